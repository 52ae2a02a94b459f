/* For strace to count: 100 batches of 64 requests, submitted and taken. */
#define _GNU_SOURCE
#include "uring.h"

enum { BATCH = 64 };

int main(void)
{
	io_context_t ctx = new_context(BATCH);
	struct iocb cbs[BATCH], *list[BATCH];
	struct io_event events[BATCH];
	int ready = eventfd(1, 0);

	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < BATCH; i++) {
			io_prep_poll(&cbs[i], ready, POLLIN);
			list[i] = &cbs[i];
		}
		CHECK_EQ(io_submit(ctx, BATCH, list), BATCH);
		CHECK_EQ(io_getevents(ctx, BATCH, BATCH, events, NULL), BATCH);
	}
	return 0;
}
