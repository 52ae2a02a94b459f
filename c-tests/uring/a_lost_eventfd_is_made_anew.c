/* A program that closes the library's descriptor of its eventfd is not told of what is in flight; but of what comes
   later, as soon as nothing is. */
#define _GNU_SOURCE
#include "uring.h"

int main(void)
{
	int ready = eventfd(1, 0), notified = eventfd(0, EFD_NONBLOCK), before, pipes[2];
	io_context_t ctx = new_context(4);
	struct iocb cb, waits;
	eventfd_t count;

	CHECK_EQ(pipe(pipes), 0);
	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, notified);
	for (int i = 0; i < 2; i++) {
		submit(ctx, &cb);
		CHECK(take(ctx, &cb) & POLLIN);
		usleep(20000);
		CHECK_EQ(eventfd_read(notified, &count), 0);
	}
	/* The next number is what one that stays in flight gets. */
	before = dup(ready);
	CHECK_EQ(close(before), 0);
	io_prep_poll(&waits, pipes[0], POLLIN);
	io_set_eventfd(&waits, notified);
	submit(ctx, &waits);
	close(before);
	CHECK_EQ(write(pipes[1], "x", 1), 1);
	CHECK(take(ctx, &waits) & POLLIN);
	usleep(20000);
	(void)!eventfd_read(notified, &count);
	for (int i = 0; i < 3; i++) {
		submit(ctx, &cb);
		CHECK(take(ctx, &cb) & POLLIN);
		usleep(20000);
		CHECK_EQ(eventfd_read(notified, &count), 0);
		CHECK_EQ(count, 1);
	}
	return 0;
}
