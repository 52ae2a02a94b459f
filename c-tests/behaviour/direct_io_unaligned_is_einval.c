/* file systems: ext4 */
/* An O_DIRECT request whose offset, count or buffer is not aligned completes with -EINVAL; a good
   one after it works. */
#define _GNU_SOURCE
#include "check.h"

static _Alignas(4096) unsigned char buf[8192];

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(16384, O_DIRECT);
	struct iocb cb;

	io_prep_pread(&cb, fd, buf, 4096, 1);
	EXPECT("pread, offset 1", run_one(ctx, &cb), -EINVAL);
	io_prep_pread(&cb, fd, buf, 4095, 0);
	EXPECT("pread, count 4095", run_one(ctx, &cb), -EINVAL);
	io_prep_pread(&cb, fd, buf + 1, 4096, 0);
	EXPECT("pread, buffer at 1", run_one(ctx, &cb), -EINVAL);
	io_prep_pread(&cb, fd, buf, 4096, 0);
	EXPECT("pread, aligned", run_one(ctx, &cb), 4096);
	return 0;
}
