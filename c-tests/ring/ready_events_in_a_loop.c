/* The loop of an ordinary program over events that are ready, for strace to watch: there is no
   filter here, so each call may enter the kernel if it will. */
#define _GNU_SOURCE
#include "counted.h"

int main(void)
{
	io_context_t ctx = new_context(500);
	struct io_event events[64];

	for (int round = 0; round < 8; round++) {
		make_ready(ctx, 400);
		for (long next = 0; next < 400;) {
			int n = io_getevents(ctx, 1, 64, events, NULL);

			CHECK(n >= 1 && n <= 64);
			for (int i = 0; i < n; i++)
				CHECK_EQ((uintptr_t)events[i].data, next++);
		}
	}
	return 0;
}
