/* A context takes at least as many requests as io_setup promised, then gives -EAGAIN until events
   have been taken. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

#define ASKED 300

int main(void)
{
	io_context_t ctx = new_context(ASKED);
	int fd = eventfd(0, 0), in_flight = 0, n;
	struct iocb cb, *list[1] = { &cb };
	struct io_event events[64];

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	while ((n = io_submit(ctx, 1, list)) == 1 && in_flight < 1000000)
		in_flight++;
	EXPECT("full", n, -EAGAIN);
	CHECK(in_flight >= ASKED);

	CHECK_EQ(eventfd_write(fd, 1), 0);
	for (int left = in_flight; left > 0; left -= n) {
		n = io_getevents(ctx, 1, 64, events, NULL);
		CHECK(n >= 1);
	}
	EXPECT("with room again", io_submit(ctx, 1, list), 1);
	EXPECT("getevents", io_getevents(ctx, 1, 1, events, NULL), 1);
	return 0;
}
