/* waits_in_vain.h - what processor time it takes to wait where nothing comes. */
#ifndef WAITS_IN_VAIN_H
#define WAITS_IN_VAIN_H

#include <time.h>

#include "check.h"

static inline long long nanoseconds(clockid_t clock)
{
	struct timespec now;

	CHECK_EQ(clock_gettime(clock, &now), 0);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* The nanoseconds of processor time in which that many waits of `ns` each, less than a second, have
   gone by; checks that none was cut short. */
static inline long long busy_in(int waits, long ns)
{
	struct timespec timeout = { 0, ns };
	io_context_t ctx = new_context(16);
	struct io_event event;
	long long start = nanoseconds(CLOCK_MONOTONIC), busy;

	for (int i = 0; i < waits; i++)
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, &timeout), 0);
	busy = nanoseconds(CLOCK_THREAD_CPUTIME_ID);
	CHECK(nanoseconds(CLOCK_MONOTONIC) - start >= waits * (long long)ns);
	CHECK_EQ(io_destroy(ctx), 0);
	return busy;
}

#endif /* WAITS_IN_VAIN_H */
