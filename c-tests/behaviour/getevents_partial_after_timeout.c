/* With min_nr 2 and one event, io_getevents waits its timeout out and then returns that one. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event events[3];
	struct timespec wait = { 0, 20000000 }, before, after;

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	EXPECT("min_nr 2 of 3", io_getevents(ctx, 2, 3, events, &wait), 1);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec >=
	      wait.tv_nsec);
	CHECK(events[0].obj == &cb);
	EXPECT("res", events[0].res, POLLIN);
	wait.tv_nsec = 0;
	EXPECT("taken", io_getevents(ctx, 0, 3, events, &wait), 0);
	return 0;
}
