/* A callback may destroy the context that io_queue_run is working on: the run ends with -EINVAL,
   and the events behind it are gone. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static int calls;

static void destroy(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK(iocb != NULL && res == POLLIN && res2 == 0);
	CHECK_EQ(io_destroy(ctx), 0);
	calls++;
}

int main(void)
{
	io_context_t ctx = new_context(3);
	int fd = eventfd(1, 0);
	struct iocb cb[3];

	CHECK(fd >= 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(io_poll(ctx, &cb[i], destroy, fd, POLLIN), 1);
	errno = 0;
	CHECK_EQ(io_queue_run(ctx), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	CHECK_EQ(calls, 1);
	return 0;
}
