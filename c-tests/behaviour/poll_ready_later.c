/* A poll of what is not ready stays in flight, and completes, once, when it becomes ready. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(0, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	EXPECT("submit", io_submit(ctx, 1, list), 1);
	EXPECT("not ready, no wait", io_getevents(ctx, 0, 1, &event, &no_wait), 0);
	EXPECT("not ready, 1 ms", io_getevents(ctx, 1, 1, &event, &short_wait), 0);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	EXPECT("ready", io_getevents(ctx, 1, 1, &event, NULL), 1);
	EXPECT("res", event.res, POLLIN);
	CHECK(event.obj == &cb);
	CHECK_EQ(eventfd_write(fd, 1), 0);
	EXPECT("no second event", io_getevents(ctx, 1, 1, &event, &short_wait), 0);
	return 0;
}
