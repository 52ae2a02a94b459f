/* Timeouts that no clock has (1e9 nanoseconds, negative ones), and timeouts at addresses that
   cannot be read, give what the system call gives, with and without an event ready. */
/* file systems: ext4 */
#define _GNU_SOURCE
#include "against_the_kernel.h"

#include <limits.h>

static struct timespec strange;
static void *pointer;
static long wanted;

static void nothing_ready(struct arguments *a)
{
	(void)a;
}

static void one_ready(struct arguments *a)
{
	make_ready(a->ctx, 1);
}

static void strange_timeout(struct arguments *a)
{
	a->timeout = &strange;
	a->min_nr = wanted;
}

static void strange_pointer(struct arguments *a)
{
	a->timeout = pointer;
	a->min_nr = wanted;
}

static void three(const char *name, const char *how, prepare_t ready, prepare_t change)
{
	compare(name, how, &getevents, ready, change);
	compare(name, how, &pgetevents, ready, change);
	compare(name, how, &queue_wait, ready, change);
}

/* With no event wanted, with one wanted and ready, and with one missing, where that ends: with a
   negative timeout the kernel waits for ever. */
static void value(const char *name, time_t seconds, long nanoseconds, int ends)
{
	strange = (struct timespec){ seconds, nanoseconds };
	wanted = 0;
	three(name, "min_nr 0, none ready", nothing_ready, strange_timeout);
	three(name, "min_nr 0, one ready", one_ready, strange_timeout);
	wanted = 1;
	three(name, "min_nr 1, one ready", one_ready, strange_timeout);
	if (ends)
		three(name, "min_nr 1, none ready", nothing_ready, strange_timeout);
}

static void address(const char *name, void *p)
{
	pointer = p;
	wanted = 0;
	three(name, "min_nr 0, none ready", nothing_ready, strange_pointer);
	three(name, "min_nr 0, one ready", one_ready, strange_pointer);
	wanted = 1;
	three(name, "min_nr 1, none ready", nothing_ready, strange_pointer);
	three(name, "min_nr 1, one ready", one_ready, strange_pointer);
}

int main(void)
{
	char *page = lone_page(PROT_READ | PROT_WRITE);
	struct timespec *read_only = lone_page(PROT_READ);

	value("1e9 ns", 0, 1000000000, 1);
	value("1 s, -1 ns", 1, -1, 1);
	value("-1 ns", 0, -1, 0);
	value("-1 s", -1, 0, 0);
	value("-1 s, 999999999 ns", -1, 999999999, 0);
	value("lowest ns", 0, LONG_MIN, 0);
	value("highest s", (time_t)LONG_MAX, 0, 0);
	value("highest s and ns", (time_t)LONG_MAX, 999999999, 0);
	value("lowest s", (time_t)LONG_MIN, 0, 0);
	value("lowest s and ns", (time_t)LONG_MIN, LONG_MIN, 0);

	address("at 1", (void *)(uintptr_t)1);
	address("at 4095", (void *)(uintptr_t)4095);
	address("in the kernel half", kernel_half());
	address("at the highest page", (void *)-4096L);
	if (kernel_alone()) {
		address("not mapped", unmapped_page());
		address("no access", lone_page(PROT_NONE));
		address("half mapped", page + 4096 - 8);
	}
	address("not aligned", page + 3);
	address("read-only zeros", read_only);
	return verdict(kernel_alone() ? 204 : 150);
}
