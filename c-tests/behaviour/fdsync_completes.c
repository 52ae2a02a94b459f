/* An fdsync request on a file completes with 0; on a pipe io_submit refuses it with -EINVAL. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(4096, 0), pipes[2];
	struct iocb cb, *list[1] = { &cb };

	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(pwrite(fd, "changed", 7, 0), 7);
	io_prep_fdsync(&cb, fd);
	EXPECT("fdsync", run_one(ctx, &cb), 0);
	io_prep_fdsync(&cb, pipes[1]);
	EXPECT("fdsync of a pipe", io_submit(ctx, 1, list), -EINVAL);
	return 0;
}
