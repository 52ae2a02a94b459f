/* For strace to count: 100 batches of 64 requests, submitted and taken; with an argument, an eventfd tells of them. */
#define _GNU_SOURCE
#include "uring.h"

enum { BATCH = 64 };

int main(int argc, char **argv)
{
	io_context_t ctx = new_context(BATCH);
	struct iocb cbs[BATCH], *list[BATCH];
	struct io_event events[BATCH];
	int ready = eventfd(1, 0), notified = argc > 1 ? eventfd(0, 0) : -1;

	(void)argv;
	for (int round = 0; round < 100; round++) {
		eventfd_t count;

		for (int i = 0; i < BATCH; i++) {
			io_prep_poll(&cbs[i], ready, POLLIN);
			if (notified >= 0)
				io_set_eventfd(&cbs[i], notified);
			list[i] = &cbs[i];
		}
		CHECK_EQ(io_submit(ctx, BATCH, list), BATCH);
		for (int told = 0; notified >= 0 && told < BATCH; told += (int)count)
			CHECK_EQ(eventfd_read(notified, &count), 0);
		CHECK_EQ(io_getevents(ctx, BATCH, BATCH, events, NULL), BATCH);
	}
	return 0;
}
