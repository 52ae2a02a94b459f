/* io_destroy is no cancellation point, also where the context has a thread to wait for. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

static int ready, notified, went_on;

static void *is_cancelled(void *unused)
{
	io_context_t ctx = new_context(1);
	struct iocb cb;

	(void)unused;
	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, notified);
	CHECK_EQ(pthread_cancel(pthread_self()), 0);
	submit(ctx, &cb);
	CHECK_EQ(take(ctx, &cb), POLLIN);
	CHECK_EQ(io_destroy(ctx), 0);
	went_on = 1;
	pthread_testcancel();
	return NULL;
}

int main(void)
{
	ready = eventfd(1, 0);
	notified = eventfd(0, 0);
	/* Often enough to meet a thread that has not ended yet. */
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *result;

		went_on = 0;
		CHECK_EQ(pthread_create(&thread, NULL, is_cancelled, NULL), 0);
		CHECK_EQ(pthread_join(thread, &result), 0);
		CHECK(result == PTHREAD_CANCELED && went_on);
	}
	return 0;
}
