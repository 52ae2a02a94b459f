/* The first thread of a context waits for two events. A second one brings about the first of them, at
 * which that thread wakes and goes to sleep again, and submits the other at that moment, as its first
 * use of the context: the first thread gets both. (Under io_uring a second io_uring is made just then.) */
#include "uring.h"

#include <pthread.h>
#include <stdatomic.h>

enum { ROUNDS = 150 };

static io_context_t ctx, other;
static int always, late;
static atomic_int round_of_first, round_of_second;

static void *second(void *unused)
{
	struct iocb cb;
	int round;

	(void)unused;
	/* What a thread's first request costs is done. */
	io_prep_poll(&cb, always, POLLIN);
	submit(other, &cb);
	CHECK(take(other, &cb) & POLLIN);
	for (round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&round_of_first) < round)
			usleep(50);
		usleep(300);
		CHECK_EQ(eventfd_write(late, 1), 0);
		submit(ctx, &cb);
		atomic_store(&round_of_second, round);
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;
	int round;

	always = eventfd(1, 0);
	late = eventfd(0, EFD_NONBLOCK);
	other = new_context(1);
	CHECK_EQ(pthread_create(&thread, NULL, second, NULL), 0);
	for (round = 1; round <= ROUNDS; round++) {
		struct io_event events[2];
		struct timespec minute = { 60, 0 };
		eventfd_t count;
		struct iocb cb;

		ctx = new_context(2);
		io_prep_poll(&cb, late, POLLIN);
		submit(ctx, &cb);
		atomic_store(&round_of_first, round);
		CHECK_EQ(io_pgetevents(ctx, 2, 2, events, &minute, NULL), 2);
		while (atomic_load(&round_of_second) != round)
			usleep(10);
		CHECK_EQ(eventfd_read(late, &count), 0);
		CHECK_EQ(io_destroy(ctx), 0);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return 0;
}
