/* A pwrite request stores its buffer at its offset, growing the file, and leaves the rest alone. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(8192, 0);
	unsigned char out[4096], back[16384];
	struct iocb cb;

	memset(out, 'w', sizeof(out));
	io_prep_pwrite(&cb, fd, out, sizeof(out), 6000);
	EXPECT("pwrite", run_one(ctx, &cb), 4096);
	EXPECT("size", pread(fd, back, sizeof(back), 0), 6000 + 4096);
	CHECK(is_file_data(back, 6000, 0));
	CHECK(memcmp(back + 6000, out, sizeof(out)) == 0);
	return 0;
}
