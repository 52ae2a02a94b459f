/* Where the kernel cannot store an event, io_getevents gives -EFAULT, and the event is there for
   the next call. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("NULL", io_getevents(ctx, 1, 1, NULL, NULL), -EFAULT);
	EXPECT("NULL, zero timeout", io_getevents(ctx, 1, 1, NULL, &no_wait), -EFAULT);
	EXPECT("good", io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == &cb);
	return 0;
}
