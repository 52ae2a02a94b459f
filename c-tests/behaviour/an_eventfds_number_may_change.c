/* A request adds to the eventfd that its number was of at io_submit, whatever the program makes of the number later; one
   call may name several. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static io_context_t ctx;

static struct iocb poll_of(int ready, int named)
{
	struct iocb cb;

	io_prep_poll(&cb, ready, POLLIN);
	io_set_eventfd(&cb, named);
	return cb;
}

static void take(int n)
{
	struct io_event events[8];

	CHECK_EQ(io_getevents(ctx, n, n, events, NULL), n);
}

/* What an eventfd comes to count, once that much was added: the events may be there before. */
static long counts(int fd, int wanted)
{
	eventfd_t count, total = 0;

	for (int i = 0; i < 5000 && total < (eventfd_t)wanted; i++) {
		if (eventfd_read(fd, &count) == 0)
			total += count;
		else
			usleep(1000);
	}
	/* And no more. */
	usleep(1000);
	return (long)total + (eventfd_read(fd, &count) == 0 ? (long)count : 0);
}

int main(void)
{
	int ready = eventfd(1, 0), first = eventfd(0, EFD_NONBLOCK), named = dup(first);
	int second = eventfd(0, EFD_NONBLOCK), pipes[2];
	struct iocb cb[4], *list[4] = { &cb[0], &cb[1], &cb[2], &cb[3] };

	ctx = new_context(8);
	cb[0] = poll_of(ready, named);
	EXPECT("submit", io_submit(ctx, 1, list), 1);
	take(1);
	EXPECT("first", counts(first, 1), 1);

	/* Another eventfd has the number. */
	CHECK_EQ(dup2(second, named), named);
	for (int i = 0; i < 3; i++) {
		EXPECT("submit", io_submit(ctx, 1, list), 1);
		take(1);
	}
	EXPECT("second", counts(second, 3), 3);
	EXPECT("first", counts(first, 0), 0);

	/* And the first again. */
	CHECK_EQ(dup2(first, named), named);
	EXPECT("submit", io_submit(ctx, 1, list), 1);
	take(1);
	EXPECT("first", counts(first, 1), 1);
	EXPECT("second", counts(second, 0), 0);

	/* Several in one call, by several numbers. */
	cb[1] = poll_of(ready, second);
	cb[2] = poll_of(ready, first);
	cb[3] = poll_of(ready, named);
	EXPECT("submit", io_submit(ctx, 4, list), 4);
	take(4);
	EXPECT("first", counts(first, 3), 3);
	EXPECT("second", counts(second, 1), 1);

	/* While one is in flight, another has the number; then no file has. */
	CHECK_EQ(pipe(pipes), 0);
	cb[0] = poll_of(pipes[0], named);
	EXPECT("submit", io_submit(ctx, 1, list), 1);
	CHECK_EQ(dup2(second, named), named);
	CHECK_EQ(write(pipes[1], "x", 1), 1);
	take(1);
	EXPECT("first", counts(first, 1), 1);
	EXPECT("second", counts(second, 0), 0);
	CHECK_EQ(close(named), 0);
	EXPECT("submit", io_submit(ctx, 1, list), -EBADF);
	/* And one that is none. */
	CHECK_EQ(dup2(pipes[0], named), named);
	EXPECT("submit", io_submit(ctx, 1, list), -EINVAL);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
