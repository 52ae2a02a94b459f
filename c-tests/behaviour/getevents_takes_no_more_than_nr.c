/* io_getevents stores at most nr events and leaves the memory after them alone; the others stay for
   the next call. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(5);
	int fd = eventfd(1, 0);
	struct iocb cb[5], *list[5];
	struct io_event events[4], untouched;
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	for (int i = 0; i < 5; i++) {
		io_prep_poll(&cb[i], fd, POLLIN);
		list[i] = &cb[i];
	}
	CHECK_EQ(io_submit(ctx, 5, list), 5);
	memset(&untouched, 0xee, sizeof(untouched));
	memset(events, 0xee, sizeof(events));
	EXPECT("nr 2", io_getevents(ctx, 1, 2, events, NULL), 2);
	CHECK(events[0].obj == &cb[0] && events[1].obj == &cb[1]);
	CHECK(memcmp(&events[2], &untouched, sizeof(untouched)) == 0);
	memset(events, 0xee, sizeof(events));
	EXPECT("nr 3, zero timeout", io_getevents(ctx, 0, 3, events, &no_wait), 3);
	CHECK(events[0].obj == &cb[2] && events[2].obj == &cb[4]);
	CHECK(memcmp(&events[3], &untouched, sizeof(untouched)) == 0);
	EXPECT("none left", io_getevents(ctx, 0, 3, events, &no_wait), 0);
	return 0;
}
