/* Run with LIBAIO_SPIN_US=5000: a program that asks again and again with a timeout shorter than that,
   and gets nothing, sleeps through its timeouts. Counted in processor time, of which watching would
   take all. */
#define _GNU_SOURCE
#include "check.h"

#include <time.h>

static long long nanoseconds(clockid_t clock)
{
	struct timespec now;

	CHECK_EQ(clock_gettime(clock, &now), 0);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

int main(void)
{
	struct timespec timeout = { 0, 2000000 };
	io_context_t ctx = new_context(16);
	struct io_event event;
	long long start = nanoseconds(CLOCK_MONOTONIC), busy;

	for (int i = 0; i < 200; i++)
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, &timeout), 0);
	busy = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	CHECK(nanoseconds(CLOCK_MONOTONIC) - start >= 200 * 2000000ll);
	CHECK(busy < 100 * 2000000ll);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
