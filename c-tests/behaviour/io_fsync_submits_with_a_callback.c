/* io_fsync and io_fdsync prepare and submit in one call; io_queue_run calls the callback with the
   result. On a descriptor that cannot do it they return io_submit's error. */
#define _GNU_SOURCE
#include "check.h"

#include <sched.h>

static struct iocb cb;
static io_context_t ctx;
static int calls;

static void synced(io_context_t c, struct iocb *iocb, long res, long res2)
{
	CHECK(c == ctx && iocb == &cb);
	printf("callback: %ld %ld\n", res, res2);
	calls++;
}

/* A thread of the kernel does the fsync: runs the queue until the callback has been called. */
static void run_until(int n)
{
	do {
		sched_yield();
		CHECK_EQ(io_queue_run(ctx), 0);
	} while (calls < n);
	CHECK_EQ(calls, n);
}

int main(void)
{
	int fd = new_file(4096, 0), pipes[2];

	ctx = new_context(1);
	CHECK_EQ(pipe(pipes), 0);
	EXPECT("io_fsync", io_fsync(ctx, &cb, synced, fd), 1);
	CHECK_EQ(cb.aio_lio_opcode, IO_CMD_FSYNC);
	run_until(1);
	EXPECT("io_fdsync", io_fdsync(ctx, &cb, synced, fd), 1);
	CHECK_EQ(cb.aio_lio_opcode, IO_CMD_FDSYNC);
	run_until(2);
	EXPECT("io_fsync of a pipe", io_fsync(ctx, &cb, synced, pipes[1]), -EINVAL);
	EXPECT("io_fdsync of -1", io_fdsync(ctx, &cb, synced, -1), -EBADF);
	return 0;
}
