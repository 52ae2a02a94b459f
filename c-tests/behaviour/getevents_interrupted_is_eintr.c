/* A signal handler that runs while io_getevents waits with no event ends the wait with -EINTR, also
   under SA_RESTART; with one event of two it ends it with that event. */
#define _GNU_SOURCE
#include "signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	/* Again and again, since the first may come before the wait has begun. */
	struct itimerval tick = { { 0, 10000 }, { 0, 10000 } };
	struct timespec hour = { 3600, 0 };
	struct iocb cb, *list[1] = { &cb };
	struct io_event events[2];

	CHECK(fd >= 0);
	count_signal(SIGALRM, 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &tick, NULL), 0);
	EXPECT("no timeout", io_getevents(ctx, 1, 1, events, NULL), -EINTR);
	EXPECT("an hour", io_getevents(ctx, 1, 1, events, &hour), -EINTR);
	count_signal(SIGALRM, SA_RESTART);
	EXPECT("SA_RESTART", io_getevents(ctx, 1, 1, events, NULL), -EINTR);
	CHECK(runs >= 3);

	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("one of two", io_getevents(ctx, 2, 2, events, NULL), 1);
	CHECK(events[0].obj == &cb);
	return 0;
}
