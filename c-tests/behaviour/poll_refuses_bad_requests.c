/* io_submit refuses a poll with a field that polls do not use, or with a mask of more than 16 bits,
   with -EINVAL, and one of a closed descriptor with -EBADF. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	cb.u.c.offset = 1;
	EXPECT("with an offset", io_submit(ctx, 1, list), -EINVAL);
	io_prep_poll(&cb, fd, POLLIN);
	cb.u.c.nbytes = 1;
	EXPECT("with a count", io_submit(ctx, 1, list), -EINVAL);
	io_prep_poll(&cb, fd, POLLIN);
	cb.aio_rw_flags = 1;
	EXPECT("with rw_flags", io_submit(ctx, 1, list), -EINVAL);
	io_prep_poll(&cb, fd, POLLIN | 1 << 16);
	EXPECT("bit 16", io_submit(ctx, 1, list), -EINVAL);
	CHECK_EQ(close(fd), 0);
	io_prep_poll(&cb, fd, POLLIN);
	EXPECT("closed", io_submit(ctx, 1, list), -EBADF);
	return 0;
}
