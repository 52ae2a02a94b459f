/* A pread request fills its buffer with the bytes at its offset, and writes no byte beyond. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(16384, 0);
	unsigned char buf[4096 + 1];
	struct iocb cb;

	memset(buf, 0xee, sizeof(buf));
	io_prep_pread(&cb, fd, buf, 4096, 5000);
	EXPECT("pread", run_one(ctx, &cb), 4096);
	CHECK(is_file_data(buf, 4096, 5000));
	CHECK_EQ(buf[4096], 0xee);
	EXPECT("destroy", io_destroy(ctx), 0);
	return 0;
}
