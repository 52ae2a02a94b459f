/* io_poll prepares and submits in one call; io_queue_run calls the callback with the mask of what
   is ready. On a bad descriptor it returns io_submit's error. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static struct iocb cb;
static io_context_t ctx;
static int calls;

static void polled(io_context_t c, struct iocb *iocb, long res, long res2)
{
	CHECK(c == ctx && iocb == &cb);
	calls++;
	printf("callback: %ld %ld\n", res, res2);
}

int main(void)
{
	int fd = eventfd(1, 0);

	CHECK(fd >= 0);
	ctx = new_context(1);
	EXPECT("io_poll", io_poll(ctx, &cb, polled, fd, POLLIN), 1);
	CHECK_EQ(cb.aio_lio_opcode, IO_CMD_POLL);
	CHECK_EQ(cb.u.poll.events, POLLIN);
	EXPECT("io_queue_run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 1);
	EXPECT("io_poll of -1", io_poll(ctx, &cb, polled, -1, POLLIN), -EBADF);
	return 0;
}
