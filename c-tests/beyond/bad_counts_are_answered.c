/* Counts out of range, and in range but huge, give what the system call gives, with and without
   events ready, for each kind of timeout. */
/* file systems: ext4 */
#define _GNU_SOURCE
#include "against_the_kernel.h"

#include <limits.h>

static long min_nr, nr;
static int maxevents;

static const long values[] = { LONG_MIN, LONG_MIN + 1, INT_MIN, -2, -1, 0, 1, 2, 3,
	                       4,        INT_MAX,      LONG_MAX };
static const int setup_values[] = { INT_MIN, INT_MIN + 1, -2, -1, 0, 1, 2, INT_MAX - 1, INT_MAX };

static void nothing_ready(struct arguments *a)
{
	(void)a;
}

static void two_ready(struct arguments *a)
{
	make_ready(a->ctx, 2);
}

static void counts(struct arguments *a)
{
	a->min_nr = min_nr;
	a->nr = nr;
}

static void counts_no_wait(struct arguments *a)
{
	counts(a);
	a->timeout = &no_wait;
}

static void counts_no_timeout(struct arguments *a)
{
	counts(a);
	a->timeout = NULL;
}

static void setup_count(struct arguments *a)
{
	a->maxevents = maxevents;
}

static void both(const char *timeout, prepare_t ready, prepare_t change)
{
	char name[128];

	snprintf(name, sizeof(name), "%ld of %ld, %s ready", min_nr, nr,
	         ready == two_ready ? "two" : "none");
	compare(name, timeout, &getevents, ready, change);
	compare(name, timeout, &pgetevents, ready, change);
}

int main(void)
{
	int n = sizeof(values) / sizeof(values[0]);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			min_nr = values[i];
			nr = values[j];
			/* The room is for 4: no nr above that where more could be stored. */
			both("1 ms", nothing_ready, counts);
			both("zero timeout", nothing_ready, counts_no_wait);
			both("zero timeout", two_ready, counts_no_wait);
			/* Without a timeout these would wait for ever. */
			if (min_nr <= 2 || min_nr > nr)
				both("NULL timeout", two_ready, counts_no_timeout);
		}
	for (int i = 0; i < n; i++) {
		char name[64];

		nr = values[i];
		if (nr > 4)
			continue; /* the list has 4: see bad_pointers_are_answered.c */
		snprintf(name, sizeof(name), "nr %ld", nr);
		compare(name, "", &submit, NULL, counts);
	}
	for (size_t i = 0; i < sizeof(setup_values) / sizeof(setup_values[0]); i++) {
		char name[64];

		maxevents = setup_values[i];
		snprintf(name, sizeof(name), "maxevents %d", maxevents);
		compare(name, "", &setup, NULL, setup_count);
		if (maxevents > 0)
			compare(name, "", &queue_init, NULL, setup_count);
	}
	return verdict(900);
}
