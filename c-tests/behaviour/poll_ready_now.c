/* A poll of what is ready already completes at once; its result is the ready ones of the asked
   bits, and a hang-up even where nobody asked. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0), file = new_file(1, 0), pipes[2];
	struct iocb cb;

	CHECK(fd >= 0);
	CHECK_EQ(pipe(pipes), 0);
	io_prep_poll(&cb, fd, POLLIN | POLLOUT);
	EXPECT("both ready, both asked", run_one(ctx, &cb), POLLIN | POLLOUT);
	io_prep_poll(&cb, fd, POLLIN);
	EXPECT("both ready, one asked", run_one(ctx, &cb), POLLIN);
	io_prep_poll(&cb, pipes[1], POLLIN | POLLOUT);
	EXPECT("one ready, both asked", run_one(ctx, &cb), POLLOUT);
	CHECK_EQ(close(pipes[1]), 0);
	io_prep_poll(&cb, pipes[0], POLLIN);
	EXPECT("hung up, not asked", run_one(ctx, &cb), POLLHUP);
	io_prep_poll(&cb, file, POLLIN | POLLOUT | POLLPRI);
	EXPECT("a file", run_one(ctx, &cb), POLLIN | POLLOUT);
	return 0;
}
