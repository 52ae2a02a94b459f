/* A number that was a file's is one of an empty pipe's that does not wait: a read is -EAGAIN, also where the
   program may have no more descriptors. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/resource.h>

/* Nothing more than there is, or a limit below all that there is. */
static void run(int is_below)
{
	io_context_t ctx = new_context(4);
	int file = new_file(512, 0), fd = dup(file), ends[2], last;
	struct rlimit before, limit;
	struct iocb cbs[3];
	char bytes[512];

	CHECK(fd >= 0);
	/* What a number is may be looked up once for several requests in a row. */
	for (int i = 0; i < 2; i++) {
		io_prep_pread(&cbs[i], fd, bytes, sizeof(bytes), 0);
		submit(ctx, &cbs[i]);
	}
	CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
	CHECK_EQ(dup2(ends[0], fd), fd);
	last = dup(file);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = is_below ? 0 : (rlim_t)last + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(dup(file), -1);
	io_prep_pread(&cbs[2], fd, bytes, sizeof(bytes), 0);
	submit(ctx, &cbs[2]);
	for (int i = 0; i < 3; i++) {
		struct io_event event;

		CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
		CHECK_EQ((long)event.res, event.obj == &cbs[2] ? -EAGAIN : (long)sizeof(bytes));
	}
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(close(file) | close(fd) | close(last) | close(ends[0]) | close(ends[1]), 0);
}

int main(void)
{
	alarm(30); /* for the case that it waits */
	run(0);
	run(1);
	return 0;
}
