/* With min_nr 0 io_getevents takes what is there and never waits, also without a timeout. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(4);
	int fd = eventfd(1, 0), never = eventfd(0, 0);
	struct iocb cb[4], *list[4] = { &cb[0], &cb[1], &cb[2], &cb[3] };
	struct io_event events[8];
	struct timespec day = { 86400, 0 };

	CHECK(fd >= 0 && never >= 0);
	alarm(60); /* ends the program where it waits */
	EXPECT("none, NULL", io_getevents(ctx, 0, 8, events, NULL), 0);
	EXPECT("none, a day", io_getevents(ctx, 0, 8, events, &day), 0);
	EXPECT("none, nr 0", io_getevents(ctx, 0, 0, NULL, NULL), 0);
	for (int i = 0; i < 4; i++)
		io_prep_poll(&cb[i], i == 2 ? never : fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 4, list), 4);
	EXPECT("three, nr 0", io_getevents(ctx, 0, 0, NULL, NULL), 0);
	EXPECT("three, nr 2", io_getevents(ctx, 0, 2, events, NULL), 2);
	CHECK(events[0].obj == &cb[0] && events[1].obj == &cb[1]);
	EXPECT("one, nr 8, a day", io_getevents(ctx, 0, 8, events, &day), 1);
	CHECK(events[0].obj == &cb[3]);
	return 0;
}
