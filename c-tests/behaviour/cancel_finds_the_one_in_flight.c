/* io_cancel finds the request in flight, also where another event of the same iocb has not been taken. */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(8);
	int ready = eventfd(1, 0), never = eventfd(0, 0);
	struct iocb iocb, *list[] = { &iocb };
	struct io_event event, events[2];

	io_prep_poll(&iocb, ready, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	io_prep_poll(&iocb, never, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("cancel", io_cancel(ctx, &iocb, &event), -EINPROGRESS);
	CHECK_EQ(io_getevents(ctx, 2, 2, events, NULL), 2);
	EXPECT("ready", events[0].res, POLLIN);
	EXPECT("cancelled", events[1].res, 0);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
