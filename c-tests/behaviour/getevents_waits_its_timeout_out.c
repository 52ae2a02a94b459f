/* Without an event io_getevents returns 0, not before its timeout is over, and does not change the
   timeout. */
#define _GNU_SOURCE
#include "check.h"

#include <time.h>

static long long now(void)
{
	struct timespec t;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void)
{
	io_context_t ctx = new_context(1);
	static const long waits[] = { 0, 1, 1000000, 30000000 };
	struct io_event event;

	for (int i = 0; i < 4; i++) {
		struct timespec wait = { 0, waits[i] };
		long long start = now(), end;

		EXPECT("events", io_getevents(ctx, 1, 1, &event, &wait), 0);
		end = now();
		CHECK(end - start >= waits[i]);
		CHECK_EQ(wait.tv_sec, 0);
		CHECK_EQ(wait.tv_nsec, waits[i]);
	}
	return 0;
}
