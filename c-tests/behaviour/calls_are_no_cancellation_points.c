/* A thread with a cancellation pending runs through every call of the library, also one that waits,
   and ends by itself. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

extern int io_queue_wait(io_context_t, struct timespec *);

static int fd;

static void *call_all(void *result)
{
	io_context_t ctx = NULL;
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec short_wait = { 0, 1000000 };
	int ok = 1;

	if (pthread_cancel(pthread_self()) != 0)
		return NULL;
	io_prep_poll(&cb, fd, POLLIN);
	ok &= io_queue_init(1, &ctx) == 0;
	ok &= io_queue_release(ctx) == 0;
	ctx = NULL;
	ok &= io_setup(1, &ctx) == 0;
	ok &= io_submit(ctx, 1, list) == 1;
	ok &= io_cancel(ctx, &cb, &event) == -EINVAL;
	ok &= io_getevents(ctx, 1, 1, &event, &short_wait) == 1;
	ok &= io_getevents(ctx, 1, 1, &event, &short_wait) == 0;
	ok &= io_pgetevents(ctx, 1, 1, &event, &short_wait, NULL) == 0;
	ok &= io_queue_wait(ctx, NULL) == 0;
	ok &= io_queue_run(ctx) == 0;
	ok &= io_destroy(ctx) == 0;
	return ok ? result : NULL;
}

int main(void)
{
	pthread_t thread;
	void *result;

	fd = eventfd(1, 0);
	CHECK(fd >= 0);
	CHECK_EQ(pthread_create(&thread, NULL, call_all, &fd), 0);
	CHECK_EQ(pthread_join(thread, &result), 0);
	CHECK(result != PTHREAD_CANCELED);
	CHECK(result == &fd);
	puts("ran through");
	return 0;
}
