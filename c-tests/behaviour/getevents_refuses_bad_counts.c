/* io_getevents gives -EINVAL for a min_nr above nr or below 0, and takes no event then. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event events[2];
	struct timespec short_wait = { 0, 1000000 };

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("2 of 1", io_getevents(ctx, 2, 1, events, &short_wait), -EINVAL);
	EXPECT("1 of 0", io_getevents(ctx, 1, 0, events, NULL), -EINVAL);
	EXPECT("-1 of 1", io_getevents(ctx, -1, 1, events, NULL), -EINVAL);
	EXPECT("0 of -1", io_getevents(ctx, 0, -1, events, NULL), -EINVAL);
	EXPECT("-1 of -1", io_getevents(ctx, -1, -1, events, &short_wait), -EINVAL);
	EXPECT("lowest", io_getevents(ctx, LONG_MIN, LONG_MAX, events, NULL), -EINVAL);
	EXPECT("NULL context", io_getevents(NULL, 1, 1, events, NULL), -EINVAL);
	EXPECT("1 of 2", io_getevents(ctx, 1, 2, events, NULL), 1);
	return 0;
}
