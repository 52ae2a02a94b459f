/* Several threads submit what an eventfd is to be told of, as much as the context lets in; another one takes the events,
   asleep until there is one: it misses none. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { THREADS = 4, EACH = 4000 };

static io_context_t ctx;
static int ready, notified;

static void *submits(void *unused)
{
	static struct iocb cbs[THREADS];
	static int threads;
	struct iocb *cb = &cbs[__atomic_fetch_add(&threads, 1, __ATOMIC_RELAXED) % THREADS];

	io_prep_poll(cb, ready, POLLIN);
	io_set_eventfd(cb, notified);
	for (int i = 0; i < EACH;) {
		int answer = io_submit(ctx, 1, &cb);

		if (answer == 1)
			i++;
		else
			CHECK_EQ(answer, -EAGAIN);
	}
	return unused;
}

int main(void)
{
	pthread_t threads[THREADS];

	alarm(60);
	ready = eventfd(1, 0);
	notified = eventfd(0, EFD_NONBLOCK);
	for (int round = 0; round < 2; round++) {
		ctx = new_context(round == 0 ? 8 : 1024);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, submits, NULL), 0);
		for (int left = THREADS * EACH; left > 0;) {
			struct io_event events[64];
			int n = io_getevents(ctx, 1, 64, events, NULL);

			CHECK(n > 0);
			left -= n;
		}
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		CHECK_EQ(io_destroy(ctx), 0);
	}
	return 0;
}
