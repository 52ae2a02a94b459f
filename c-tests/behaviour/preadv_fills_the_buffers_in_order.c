/* A preadv request fills one buffer after the other, of sizes 1, 0, 4000 and 99. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(8192, 0);
	unsigned char a[1], b[4000], c[99];
	struct iovec iov[4] = { { a, 1 }, { NULL, 0 }, { b, 4000 }, { c, 99 } };
	struct iocb cb;

	io_prep_preadv(&cb, fd, iov, 4, 123);
	EXPECT("preadv", run_one(ctx, &cb), 4100);
	CHECK(is_file_data(a, 1, 123));
	CHECK(is_file_data(b, 4000, 124));
	CHECK(is_file_data(c, 99, 4124));

	io_prep_preadv(&cb, fd, iov, 0, 123);
	EXPECT("preadv of no buffers", run_one(ctx, &cb), 0);
	return 0;
}
