/* A preadv2 or pwritev2 flag that no kernel knows is refused by io_submit with -EOPNOTSUPP, so the
   flags reach the kernel whole. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	char buf[8] = "";
	struct iovec iov = { buf, sizeof(buf) };
	struct iocb cb, *list[1] = { &cb };

	io_prep_preadv2(&cb, fd, &iov, 1, 0, 1 << 30);
	EXPECT("preadv2, bit 30", io_submit(ctx, 1, list), -EOPNOTSUPP);
	io_prep_preadv2(&cb, fd, &iov, 1, 0, 1u << 31);
	EXPECT("preadv2, bit 31", io_submit(ctx, 1, list), -EOPNOTSUPP);
	io_prep_pwritev2(&cb, fd, &iov, 1, 0, 1 << 30);
	EXPECT("pwritev2, bit 30", io_submit(ctx, 1, list), -EOPNOTSUPP);
	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	cb.aio_rw_flags = 1 << 30;
	EXPECT("pread, bit 30", io_submit(ctx, 1, list), -EOPNOTSUPP);
	return 0;
}
