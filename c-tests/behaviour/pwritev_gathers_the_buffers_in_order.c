/* A pwritev request stores its buffers one after the other at its offset. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	struct iovec iov[3] = { { (void *)"one ", 4 }, { (void *)"two ", 4 }, { (void *)"3", 1 } };
	char back[64];
	struct iocb cb;

	io_prep_pwritev(&cb, fd, iov, 3, 10);
	EXPECT("pwritev", run_one(ctx, &cb), 9);
	CHECK_EQ(pread(fd, back, sizeof(back), 0), 64);
	CHECK(is_file_data(back, 10, 0));
	CHECK(memcmp(back + 10, "one two 3", 9) == 0);
	CHECK(is_file_data(back + 19, 45, 19));
	return 0;
}
