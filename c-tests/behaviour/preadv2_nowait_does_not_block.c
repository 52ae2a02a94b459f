/* RWF_NOWAIT of preadv2 reaches the kernel: on an empty eventfd, which would block the submit for
   ever, the request completes with -EAGAIN; on a full one it reads. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/eventfd.h>
#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(0, 0);
	uint64_t value = 0;
	struct iovec iov = { &value, sizeof(value) };
	struct iocb cb;

	CHECK(fd >= 0);
	alarm(60); /* ends the program where the flag got lost */
	io_prep_preadv2(&cb, fd, &iov, 1, 0, RWF_NOWAIT);
	EXPECT("empty", run_one(ctx, &cb), -EAGAIN);

	CHECK_EQ(eventfd_write(fd, 42), 0);
	io_prep_preadv2(&cb, fd, &iov, 1, 0, RWF_NOWAIT);
	EXPECT("full", run_one(ctx, &cb), 8);
	EXPECT("value", value, 42);
	return 0;
}
