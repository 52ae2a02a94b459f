/* io_cancel of a poll in flight gives -EINPROGRESS, and the poll's event comes through
   io_getevents with no bit set; a second io_cancel gives -EINVAL. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(2);
	int fd = eventfd(0, 0);
	struct iocb cb[2], *list[2] = { &cb[0], &cb[1] };
	struct io_event event;
	struct timespec short_wait = { 0, 1000000 };

	CHECK(fd >= 0);
	io_prep_poll(&cb[0], fd, POLLIN);
	io_prep_poll(&cb[1], fd, POLLIN);
	cb[1].data = &fd;
	CHECK_EQ(io_submit(ctx, 2, list), 2);
	EXPECT("cancel", io_cancel(ctx, &cb[1], &event), -EINPROGRESS);
	EXPECT("cancel again", io_cancel(ctx, &cb[1], &event), -EINVAL);
	EXPECT("event", io_getevents(ctx, 1, 2, &event, NULL), 1);
	CHECK(event.obj == &cb[1]);
	CHECK(event.data == &fd);
	EXPECT("res", event.res, 0);
	EXPECT("the other stays", io_getevents(ctx, 1, 2, &event, &short_wait), 0);
	EXPECT("cancel the other", io_cancel(ctx, &cb[0], &event), -EINPROGRESS);
	EXPECT("event", io_getevents(ctx, 1, 2, &event, NULL), 1);
	CHECK(event.obj == &cb[0]);
	return 0;
}
