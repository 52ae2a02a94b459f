/* io_queue_run takes an event whose request has no callback (NULL in data) and calls nothing, where
   libaio calls NULL; the callbacks after it are called. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static int calls;

static void count(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK(ctx != NULL && iocb != NULL && res == POLLIN && res2 == 0);
	calls++;
}

int main(void)
{
	io_context_t ctx = new_context(3);
	int fd = eventfd(1, 0);
	struct iocb cb[3];
	struct io_event event;
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	CHECK_EQ(io_poll(ctx, &cb[0], NULL, fd, POLLIN), 1);
	CHECK_EQ(io_poll(ctx, &cb[1], count, fd, POLLIN), 1);
	CHECK_EQ(io_poll(ctx, &cb[2], NULL, fd, POLLIN), 1);
	CHECK_EQ(io_queue_run(ctx), 0);
	CHECK_EQ(calls, 1);
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), 0);
	return 0;
}
