/* file systems: ext4 */
/* O_DIRECT requests with aligned buffer, count and offset read and write the bytes. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

static _Alignas(4096) unsigned char in[8192], out[4096], back[16384];

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(16384, O_DIRECT);
	struct iovec iov[2] = { { in + 4096, 4096 }, { in, 4096 } };
	struct iocb cb;

	io_prep_pread(&cb, fd, in, 8192, 4096);
	EXPECT("pread", run_one(ctx, &cb), 8192);
	CHECK(is_file_data(in, 8192, 4096));
	memset(in, 0, sizeof(in));
	io_prep_preadv(&cb, fd, iov, 2, 4096);
	EXPECT("preadv", run_one(ctx, &cb), 8192);
	CHECK(is_file_data(in + 4096, 4096, 4096) && is_file_data(in, 4096, 8192));

	memset(out, 'd', sizeof(out));
	io_prep_pwrite(&cb, fd, out, 4096, 8192);
	EXPECT("pwrite", run_one(ctx, &cb), 4096);
	CHECK_EQ(pread(fd, back, sizeof(back), 0), sizeof(back));
	CHECK(is_file_data(back, 8192, 0));
	CHECK(memcmp(back + 8192, out, 4096) == 0);
	CHECK(is_file_data(back + 12288, 4096, 12288));
	return 0;
}
