/* forms: shared */
/* io_queue_wait of LIBAIO_0.1, which old programs are linked to: as the later one, it returns 0 at
   once and takes nothing. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

extern int old_queue_wait(io_context_t, const struct timespec *);
__asm__(".symver old_queue_wait,io_queue_wait@LIBAIO_0.1");

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	static const struct timespec no_wait = { 0, 0 }, hour = { 3600, 0 };

	CHECK(fd >= 0);
	alarm(60); /* ends the program where it waits */
	EXPECT("none, an hour", old_queue_wait(ctx, &hour), 0);
	EXPECT("none, NULL", old_queue_wait(ctx, NULL), 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("one, an hour", old_queue_wait(ctx, &hour), 0);
	EXPECT("one, no wait", old_queue_wait(ctx, &no_wait), 0);
	EXPECT("NULL context", old_queue_wait(NULL, NULL), -EINVAL);
	EXPECT("the event", io_getevents(ctx, 1, 1, &event, NULL), 1);
	return 0;
}
