/* A callback may take events from its own context with io_getevents, and may run the queue itself;
   io_queue_run does not see those again. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static int calls, reaped;

static void reap_two(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	struct io_event events[2];

	CHECK(iocb != NULL && res == POLLIN && res2 == 0);
	if (calls++ == 1) {
		EXPECT("run in a callback", io_queue_run(ctx), 0);
		return;
	}
	if (calls == 1) {
		EXPECT("getevents in a callback", io_getevents(ctx, 2, 2, events, NULL), 2);
		CHECK(events[0].obj == iocb + 1);
		CHECK(events[1].obj == iocb + 2);
		reaped += 2;
	}
}

int main(void)
{
	io_context_t ctx = new_context(6);
	int fd = eventfd(1, 0);
	struct iocb cb[6];

	CHECK(fd >= 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(io_poll(ctx, &cb[i], reap_two, fd, POLLIN), 1);
	EXPECT("run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 4);
	EXPECT("reaped", reaped, 2);
	return 0;
}
