/* io_queue_run calls the callback of each completed request once, with its context, iocb and
   result, in order of completion, and returns 0; a second run calls none. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static io_context_t ctx;
static struct iocb cb[3];
static int calls;

static void note(char kind, io_context_t c, struct iocb *iocb, long res, long res2)
{
	CHECK(c == ctx);
	printf("%c: request %d, %ld %ld\n", kind, (int)(iocb - cb), res, res2);
	calls++;
}

static void first_kind(io_context_t c, struct iocb *iocb, long res, long res2)
{
	note('a', c, iocb, res, res2);
}

static void second_kind(io_context_t c, struct iocb *iocb, long res, long res2)
{
	note('b', c, iocb, res, res2);
}

int main(void)
{
	int fd = eventfd(1, 0);
	struct iocb *list[3] = { &cb[0], &cb[1], &cb[2] };

	CHECK(fd >= 0);
	ctx = new_context(3);
	EXPECT("nothing there", io_queue_run(ctx), 0);
	io_prep_poll(&cb[0], fd, POLLIN);
	io_set_callback(&cb[0], first_kind);
	io_prep_poll(&cb[1], fd, POLLOUT);
	io_set_callback(&cb[1], second_kind);
	io_prep_poll(&cb[2], fd, POLLIN | POLLOUT);
	io_set_callback(&cb[2], first_kind);
	CHECK_EQ(io_submit(ctx, 3, list), 3);
	EXPECT("run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 3);
	EXPECT("run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 3);
	EXPECT("NULL context", io_queue_run(NULL), -EINVAL);
	return 0;
}
