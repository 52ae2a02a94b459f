/* A number that was a file's is one of an empty pipe's that does not wait: a read is -EAGAIN, also where the
   program may have no more descriptors. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/resource.h>

int main(void)
{
	io_context_t ctx = new_context(4);
	int file = new_file(512, 0), fd = dup(file), ends[2], last;
	struct rlimit limit;
	struct iocb cb;
	char bytes[512];

	alarm(30); /* for the case that it waits */
	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++) {
		io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
		submit(ctx, &cb);
		CHECK_EQ(take(ctx, &cb), sizeof(bytes));
	}
	CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
	CHECK_EQ(dup2(ends[0], fd), fd);
	last = dup(file);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)last + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(dup(file), -1);
	io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
	submit(ctx, &cb);
	CHECK_EQ(take(ctx, &cb), -EAGAIN);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
