/* RWF_APPEND of pwritev2 reaches the kernel: the bytes land at the end of the file, not at the
   request's offset; with flags 0 they land at the offset. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(1000, 0);
	struct iovec iov = { (void *)"tail", 4 };
	unsigned char back[2000];
	struct iocb cb;

	io_prep_pwritev2(&cb, fd, &iov, 1, 0, RWF_APPEND);
	EXPECT("pwritev2, RWF_APPEND", run_one(ctx, &cb), 4);
	EXPECT("size", pread(fd, back, sizeof(back), 0), 1004);
	CHECK(is_file_data(back, 1000, 0));
	CHECK(memcmp(back + 1000, "tail", 4) == 0);

	io_prep_pwritev2(&cb, fd, &iov, 1, 0, 0);
	EXPECT("pwritev2, 0", run_one(ctx, &cb), 4);
	EXPECT("size", pread(fd, back, sizeof(back), 0), 1004);
	CHECK(memcmp(back, "tail", 4) == 0);
	return 0;
}
