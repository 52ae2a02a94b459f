/* forms: shared */
/* io_getevents of LIBAIO_0.1, which old programs are linked to: no min_nr, it waits for one event,
   and a const timeout. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>

extern int old_getevents(io_context_t, long nr, struct io_event *, const struct timespec *);
__asm__(".symver old_getevents,io_getevents@LIBAIO_0.1");

int main(void)
{
	io_context_t ctx = new_context(4);
	int fd = eventfd(1, 0);
	struct iocb cb[4], *list[4] = { &cb[0], &cb[1], &cb[2], &cb[3] };
	struct io_event events[4];
	static const struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };

	CHECK(fd >= 0);
	EXPECT("none, 1 ms", old_getevents(ctx, 4, events, &short_wait), 0);
	EXPECT("none, no wait", old_getevents(ctx, 4, events, &no_wait), 0);
	EXPECT("nr 0", old_getevents(ctx, 0, events, &short_wait), -EINVAL);
	EXPECT("nr -1", old_getevents(ctx, -1, events, &short_wait), -EINVAL);
	EXPECT("NULL context", old_getevents(NULL, 1, events, &short_wait), -EINVAL);
	for (int i = 0; i < 4; i++)
		io_prep_poll(&cb[i], fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 4, list), 4);
	EXPECT("two of four", old_getevents(ctx, 2, events, NULL), 2);
	CHECK(events[0].obj == &cb[0] && events[1].obj == &cb[1]);
	EXPECT("one of two, no wait", old_getevents(ctx, 1, events, &no_wait), 1);
	CHECK(events[0].obj == &cb[2]);
	EXPECT("one, nr LONG_MAX - 1", old_getevents(ctx, LONG_MAX - 1, events, NULL), 1);
	CHECK(events[0].obj == &cb[3]);
	EXPECT("res", events[0].res, POLLIN);
	return 0;
}
