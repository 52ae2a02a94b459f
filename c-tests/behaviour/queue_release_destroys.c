/* After io_queue_release the context is gone: io_submit, io_destroy and a second release give
   -EINVAL. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = NULL;
	int fd = new_file(64, 0);
	char buf[64];
	struct iocb cb, *list[1] = { &cb };

	CHECK_EQ(io_queue_init(4, &ctx), 0);
	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	CHECK_EQ(run_one(ctx, &cb), 64);
	EXPECT("release", io_queue_release(ctx), 0);
	EXPECT("submit", io_submit(ctx, 1, list), -EINVAL);
	EXPECT("destroy", io_destroy(ctx), -EINVAL);
	EXPECT("release again", io_queue_release(ctx), -EINVAL);
	EXPECT("release NULL", io_queue_release(NULL), -EINVAL);
	return 0;
}
