/* A read over the end of the file gives the bytes up to it; one at or beyond the end gives 0 and
   writes nothing. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(5000, 0);
	unsigned char buf[4096];
	struct iovec iov[2] = { { buf, 100 }, { buf + 100, 3996 } };
	struct iocb cb;

	memset(buf, 0xee, sizeof(buf));
	io_prep_pread(&cb, fd, buf, 4096, 4096);
	EXPECT("over the end", run_one(ctx, &cb), 904);
	CHECK(is_file_data(buf, 904, 4096));
	CHECK_EQ(buf[904], 0xee);
	io_prep_preadv(&cb, fd, iov, 2, 4850);
	EXPECT("preadv over the end", run_one(ctx, &cb), 150);
	CHECK(is_file_data(buf, 150, 4850));

	memset(buf, 0xee, sizeof(buf));
	io_prep_pread(&cb, fd, buf, 4096, 5000);
	EXPECT("at the end", run_one(ctx, &cb), 0);
	io_prep_pread(&cb, fd, buf, 4096, 1LL << 40);
	EXPECT("beyond the end", run_one(ctx, &cb), 0);
	io_prep_pread(&cb, fd, buf, 0, 0);
	EXPECT("no bytes asked", run_one(ctx, &cb), 0);
	CHECK_EQ(buf[0], 0xee);
	return 0;
}
