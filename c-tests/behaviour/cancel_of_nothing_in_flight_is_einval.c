/* io_cancel gives -EINVAL for a request that was never submitted, has completed, or is in flight in
   another context. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1), other = new_context(1);
	int fd = eventfd(0, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	EXPECT("never submitted", io_cancel(ctx, &cb, &event), -EINVAL);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("another context", io_cancel(other, &cb, &event), -EINVAL);
	EXPECT("NULL context", io_cancel(NULL, &cb, &event), -EINVAL);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	EXPECT("completed", io_cancel(ctx, &cb, &event), -EINVAL);
	return 0;
}
