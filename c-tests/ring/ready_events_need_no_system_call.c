/* Every shape of call that ready events can answer is answered without the system call, for any
   nr, across the wrap of the ring; so is one that finds nothing and is not to wait. */
#define _GNU_SOURCE
#include "counted.h"

static long seen;

static void callback(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	(void)ctx, (void)iocb, (void)res2;
	CHECK(res & POLLIN);
	seen++;
}

int main(void)
{
	static struct io_event events[1024];
	struct timespec zero = { 0, 0 }, second = { 1, 0 };
	static struct iocb with_callback[8];
	io_context_t ctx = new_context(100);
	int fd = eventfd(1, 0);
	long next = 0;

	refuse_system_calls();
	/* Rounds of 90 wrap the ring at ever other places. */
	for (int round = 0; round < 50; round++) {
		make_ready(ctx, 90);
		next = 0;
#define TAKES(call, count)                                                                         \
	do {                                                                                       \
		CHECK_EQ(call, count);                                                             \
		for (long i_ = 0; i_ < (count); i_++)                                              \
			CHECK_EQ((uintptr_t)events[i_].data, next++);                              \
	} while (0)
		TAKES(io_getevents(ctx, 1, 1, events, NULL), 1);
		TAKES(io_getevents(ctx, 0, 1, events, NULL), 1);
		TAKES(io_getevents(ctx, 1, 7, events, &zero), 7);
		TAKES(io_getevents(ctx, 3, 10, events, &second), 10);
		TAKES(io_getevents(ctx, 16, 16, events, NULL), 16);
		TAKES(io_pgetevents(ctx, 2, 5, events, NULL, NULL), 5);
		TAKES(io_getevents(ctx, 0, 0, events, NULL), 0);
		TAKES(io_getevents(ctx, 50, 1000, events, NULL), 50);
		TAKES(io_getevents(ctx, 0, 1000, events, NULL), 0);
		TAKES(io_getevents(ctx, 0, 1000, events, &second), 0);
		TAKES(io_getevents(ctx, 5, 1000, events, &zero), 0);
		TAKES(io_pgetevents(ctx, 0, 5, events, NULL, NULL), 0);
		make_ready(ctx, 3);
		next = 0;
		/* Fewer than wanted, and no time to wait: what there is. */
		TAKES(io_getevents(ctx, 5, 10, events, &zero), 3);

		for (int i = 0; i < 8; i++)
			CHECK_EQ(io_poll(ctx, &with_callback[i], callback, fd, POLLIN), 1);
		CHECK_EQ(io_queue_run(ctx), 0);
		CHECK_EQ(seen, 8 * (round + 1));
	}
	/* The twin, which shows that the filter works: this has to wait, so it enters the kernel. */
	CHECK_EQ(io_getevents(ctx, 3, 10, events, &second), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 3, 10, events, NULL), SYSTEM_CALL);
	make_ready(ctx, 2);
	next = 0;
	TAKES(io_getevents(ctx, 0, 10, events, NULL), 2);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
