/* Programs whose threads begin with many variables of their own are notified by eventfds too. */
#define _GNU_SOURCE
#include "uring.h"

static __thread volatile char own[1 << 20];

int main(void)
{
	io_context_t ctx = new_context(1);
	int ready = eventfd(1, 0), notified = eventfd(0, 0);
	struct iocb cb;

	own[0] = 1;
	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, notified);
	submit(ctx, &cb);
	CHECK_EQ(take(ctx, &cb), POLLIN);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
