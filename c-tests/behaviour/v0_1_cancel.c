/* forms: shared */
/* io_cancel of LIBAIO_0.1, which old programs are linked to: no event out. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

extern int old_cancel(io_context_t, struct iocb *);
__asm__(".symver old_cancel,io_cancel@LIBAIO_0.1");

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(0, 0);
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	EXPECT("not submitted", old_cancel(ctx, &cb), -EINVAL);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("in flight", old_cancel(ctx, &cb), -EINPROGRESS);
	EXPECT("again", old_cancel(ctx, &cb), -EINVAL);
	EXPECT("event", io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == &cb);
	EXPECT("NULL context", old_cancel(NULL, &cb), -EINVAL);
	EXPECT("NULL iocb", old_cancel(ctx, NULL), -EFAULT);
	return 0;
}
