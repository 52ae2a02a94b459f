/* Two threads submit by a number that was another eventfd's: the one that has it now is told of all. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { THREADS = 2, EACH = 3000 };

static io_context_t ctx;
static int ready, named;

static void *submits(void *unused)
{
	struct iocb cb, *list[] = { &cb };

	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, named);
	for (int i = 0; i < EACH;) {
		int answer = io_submit(ctx, 1, list);

		if (answer == 1)
			i++;
		else
			CHECK_EQ(answer, -EAGAIN);
	}
	return unused;
}

static void take(long left)
{
	while (left > 0) {
		struct io_event events[64];
		int n = io_getevents(ctx, 1, 64, events, NULL);

		CHECK(n > 0);
		left -= n;
	}
}

int main(void)
{
	int first = eventfd(0, EFD_NONBLOCK), second = eventfd(0, EFD_NONBLOCK);
	struct iocb cb, *list[] = { &cb };
	pthread_t threads[THREADS];
	eventfd_t count, total = 0;

	ready = eventfd(1, 0);
	named = dup(first);
	ctx = new_context(64);
	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, named);
	EXPECT("submit", io_submit(ctx, 1, list), 1);
	take(1);

	CHECK_EQ(dup2(second, named), named);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, submits, NULL), 0);
	take((long)THREADS * EACH);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	/* The events may be there before that is told. */
	for (int i = 0; i < 5000 && total < (eventfd_t)THREADS * EACH; i++) {
		if (eventfd_read(second, &count) == 0)
			total += count;
		else
			usleep(1000);
	}
	EXPECT("told the second", total, THREADS * EACH);
	CHECK_EQ(eventfd_read(first, &count), 0);
	EXPECT("told the first", count, 1);
	return 0;
}
