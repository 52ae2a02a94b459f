/* io_queue_wait, which libaio exports but does not declare, returns 0 at once, with and without an
   event ready, and takes none. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

extern int io_queue_wait(io_context_t, struct timespec *);

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 }, hour = { 3600, 0 };

	CHECK(fd >= 0);
	alarm(60); /* ends the program where it waits */
	EXPECT("none, NULL", io_queue_wait(ctx, NULL), 0);
	EXPECT("none, an hour", io_queue_wait(ctx, &hour), 0);
	EXPECT("none, zero", io_queue_wait(ctx, &no_wait), 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("one, NULL", io_queue_wait(ctx, NULL), 0);
	EXPECT("one, an hour", io_queue_wait(ctx, &hour), 0);
	EXPECT("one, zero", io_queue_wait(ctx, &no_wait), 0);
	EXPECT("NULL context", io_queue_wait(NULL, NULL), -EINVAL);
	EXPECT("the event", io_getevents(ctx, 1, 1, &event, NULL), 1);
	return 0;
}
