/* A callback may submit to its own context; io_queue_run goes on until nothing is left, so it takes
   those completions too. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static int fd, calls;

static void again(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK_EQ(res, POLLIN);
	CHECK_EQ(res2, 0);
	if (++calls < 1000)
		CHECK_EQ(io_poll(ctx, iocb, again, fd, POLLIN), 1);
}

int main(void)
{
	io_context_t ctx = new_context(1);
	struct iocb cb;

	fd = eventfd(1, 0);
	CHECK(fd >= 0);
	CHECK_EQ(io_poll(ctx, &cb, again, fd, POLLIN), 1);
	EXPECT("run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 1000);
	return 0;
}
