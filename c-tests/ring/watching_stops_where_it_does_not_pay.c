/* Run with LIBAIO_SPIN_US=5000: a program whose waits are long sleeps through them. Counted in
   processor time, of which twenty waits that are watched for 5 ms each would take 100 ms. */
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
	struct timespec long_wait = { 0, 50000000 };
	io_context_t ctx = new_context(16);
	struct io_event event;
	long long start = nanoseconds(CLOCK_MONOTONIC), busy;

	for (int i = 0; i < 20; i++)
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, &long_wait), 0);
	busy = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	/* It neither cut the waits short nor watched through them. */
	CHECK(nanoseconds(CLOCK_MONOTONIC) - start >= 20 * 50000000ll);
	CHECK(busy < 50000000ll);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
