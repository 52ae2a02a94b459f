/* io_submit of no request returns 0, of a negative count -EINVAL, and without a context -EINVAL. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	static char buf[64]; /* the last request may be in flight when main returns */
	struct iocb cb, *list[1] = { &cb };

	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	EXPECT("0", io_submit(ctx, 0, list), 0);
	EXPECT("0 of NULL", io_submit(ctx, 0, NULL), 0);
	EXPECT("-1", io_submit(ctx, -1, list), -EINVAL);
	EXPECT("LONG_MIN", io_submit(ctx, LONG_MIN, list), -EINVAL);
	EXPECT("1 of NULL", io_submit(ctx, 1, NULL), -EFAULT);
	EXPECT("NULL context", io_submit(NULL, 1, list), -EINVAL);
	EXPECT("NULL context, 0", io_submit(NULL, 0, list), -EINVAL);
	EXPECT("1", io_submit(ctx, 1, list), 1);
	return 0;
}
