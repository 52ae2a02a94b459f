/* io_submit refuses with -EINVAL: a reserved field that is not 0, a count that is negative as a
   signed number, a negative offset, too many or a negative number of iovecs. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>
#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	struct iocb cb, *list[1] = { &cb };

	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	cb.u.c.__pad3 = 1;
	EXPECT("reserved field", io_submit(ctx, 1, list), -EINVAL);
	io_prep_pread(&cb, fd, buf, (size_t)-1, 0);
	EXPECT("count -1", io_submit(ctx, 1, list), -EINVAL);
	io_prep_pread(&cb, fd, buf, (size_t)LONG_MAX + 1, 0);
	EXPECT("count LONG_MAX + 1", io_submit(ctx, 1, list), -EINVAL);
	io_prep_pread(&cb, fd, buf, sizeof(buf), -1);
	EXPECT("pread, offset -1", io_submit(ctx, 1, list), -EINVAL);
	io_prep_pwrite(&cb, fd, buf, sizeof(buf), LLONG_MIN);
	EXPECT("pwrite, lowest offset", io_submit(ctx, 1, list), -EINVAL);
	io_prep_preadv(&cb, fd, &iov, 1025, 0);
	EXPECT("preadv, 1025 buffers", io_submit(ctx, 1, list), -EINVAL);
	io_prep_preadv(&cb, fd, &iov, -1, 0);
	EXPECT("preadv, -1 buffers", io_submit(ctx, 1, list), -EINVAL);
	return 0;
}
