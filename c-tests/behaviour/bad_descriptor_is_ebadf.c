/* io_submit refuses a request on a descriptor that is not open, or not open for this direction,
   with -EBADF. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int file = new_file(64, 0), closed = dup(file), in, out;
	char name[64], buf[16] = "";
	struct iovec iov = { buf, sizeof(buf) };
	struct iocb cb, *list[1] = { &cb };

	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	in = open(name, O_RDONLY);
	out = open(name, O_WRONLY);
	CHECK(in >= 0 && out >= 0);
	CHECK_EQ(close(closed), 0);
	io_prep_pread(&cb, closed, buf, sizeof(buf), 0);
	EXPECT("pread, closed", io_submit(ctx, 1, list), -EBADF);
	io_prep_pwrite(&cb, -1, buf, sizeof(buf), 0);
	EXPECT("pwrite, -1", io_submit(ctx, 1, list), -EBADF);
	io_prep_fsync(&cb, closed);
	EXPECT("fsync, closed", io_submit(ctx, 1, list), -EBADF);

	io_prep_pread(&cb, out, buf, sizeof(buf), 0);
	EXPECT("pread, write-only", io_submit(ctx, 1, list), -EBADF);
	io_prep_preadv(&cb, out, &iov, 1, 0);
	EXPECT("preadv, write-only", io_submit(ctx, 1, list), -EBADF);
	io_prep_pwrite(&cb, in, buf, sizeof(buf), 0);
	EXPECT("pwrite, read-only", io_submit(ctx, 1, list), -EBADF);
	io_prep_pwritev(&cb, in, &iov, 1, 0);
	EXPECT("pwritev, read-only", io_submit(ctx, 1, list), -EBADF);
	return 0;
}
