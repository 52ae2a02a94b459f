/* Comes through each probe a number of times that tests/probes.rs knows. */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	struct timespec zero = { 0, 0 }, moment = { 0, 1000000 };
	io_context_t ctx = new_context(8), none = NULL;
	struct iocb request, quiet, *list[1] = { &request }, *other[1] = { &quiet };
	struct io_event events[8];

	CHECK_EQ(io_setup(0, &none), -EINVAL);
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < 7; i++) {
		CHECK_EQ(io_submit(ctx, 1, list), 1);
		CHECK_EQ(io_getevents(ctx, 1, 1, events, NULL), 1);
	}
	CHECK_EQ(io_getevents(ctx, 0, 1, events, &zero), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(io_getevents(ctx, 1, 1, events, &moment), 0);
	/* Not where the fast path is. */
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(io_pgetevents(ctx, 1, 1, events, NULL, NULL), 1);
	io_prep_poll(&quiet, eventfd(0, 0), POLLIN);
	CHECK_EQ(io_submit(ctx, 1, other), 1);
	CHECK_EQ(io_cancel(ctx, &quiet, events), -EINPROGRESS);
	CHECK_EQ(io_cancel(ctx, &request, events), -EINVAL);
	CHECK_EQ(io_submit(ctx, 0, NULL), 0);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
