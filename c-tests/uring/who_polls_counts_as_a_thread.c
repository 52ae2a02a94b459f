/* A second thread that only looks, without waiting, is one for which a completion is to be there at
 * once: the context gets its second io_uring. Looks of the first thread make none. */
#include "uring.h"

#include <pthread.h>

static io_context_t ctx;

static void *looks(void *unused)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event event;

	(void)unused;
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), 0);
	return NULL;
}

int main(void)
{
	int late = eventfd(0, 0), always = eventfd(1, 0);
	struct iocb cb, ready;
	pthread_t thread;

	ctx = new_context(2);
	io_prep_poll(&cb, late, POLLIN);
	submit(ctx, &cb);
	looks(NULL);
	CHECK_EQ(io_urings(), 1);
	CHECK_EQ(pthread_create(&thread, NULL, looks, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(io_urings(), 2);
	/* Both are looked at. */
	io_prep_poll(&ready, always, POLLIN);
	submit(ctx, &ready);
	CHECK(take(ctx, &ready) & POLLIN);
	CHECK_EQ(eventfd_write(late, 1), 0);
	CHECK(take(ctx, &cb) & POLLIN);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(io_urings(), 0);
	return 0;
}
