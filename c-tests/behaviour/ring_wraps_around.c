/* Over many times the length of the ring, in batches of 1 to 7 taken in parts of 1 to 5, no event
   is lost, repeated or out of order. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

#define TOTAL 20000

int main(void)
{
	io_context_t ctx = new_context(7);
	int fd = eventfd(1, 0);
	struct timespec no_wait = { 0, 0 };
	uintptr_t submitted = 0, reaped = 0;

	CHECK(fd >= 0);
	while (submitted < TOTAL) {
		struct iocb cb[7], *list[7];
		struct io_event events[5];
		int batch = 1 + (int)(submitted % 7);

		for (int i = 0; i < batch; i++) {
			io_prep_poll(&cb[i], fd, POLLIN);
			cb[i].data = (void *)submitted++;
			list[i] = &cb[i];
		}
		CHECK_EQ(io_submit(ctx, batch, list), batch);
		while (reaped < submitted) {
			long take = 1 + (long)(reaped % 5);
			struct timespec *timeout = reaped % 2 ? &no_wait : NULL;
			int n = io_getevents(ctx, 1, take, events, timeout);

			CHECK(n >= 1 && n <= take);
			for (int i = 0; i < n; i++)
				CHECK_EQ((uintptr_t)events[i].data, reaped++);
		}
		CHECK_EQ(io_getevents(ctx, 0, 5, events, &no_wait), 0);
	}
	EXPECT("reaped", reaped, submitted);
	return 0;
}
