/* In a child after fork every call on the parent's context gives -EINVAL, also those that libaio
   answers from the ring, which the child shares: it can take no event of its parent's. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static int calls;

static void count(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK(ctx != NULL && iocb != NULL && res == POLLIN && res2 == 0);
	calls++;
}

static void all_refuse(io_context_t ctx, struct iocb *iocb)
{
	struct io_event event;
	struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };

	CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), -EINVAL);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, &no_wait), -EINVAL);
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, NULL), -EINVAL);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, &short_wait), -EINVAL);
	CHECK_EQ(io_pgetevents(ctx, 0, 1, &event, &no_wait, NULL), -EINVAL);
	CHECK_EQ(io_queue_run(ctx), -EINVAL);
	CHECK_EQ(io_queue_wait(ctx, &no_wait), -EINVAL);
	CHECK_EQ(io_submit(ctx, 1, &iocb), -EINVAL);
	CHECK_EQ(io_cancel(ctx, iocb, &event), -EINVAL);
	CHECK_EQ(io_destroy(ctx), -EINVAL);
	CHECK_EQ(io_queue_release(ctx), -EINVAL);
	CHECK_EQ(calls, 0);
}

int main(void)
{
	io_context_t ctx = new_context(2);
	int fd = eventfd(1, 0);
	struct iocb cb;

	CHECK(fd >= 0);
	/* Once with an empty ring, once with an event in it. */
	for (int events = 0; events < 2; events++) {
		int status;
		pid_t child;

		if (events)
			CHECK_EQ(io_poll(ctx, &cb, count, fd, POLLIN), 1);
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			io_context_t own;

			all_refuse(ctx, &cb);
			own = new_context(1);
			CHECK_EQ(io_poll(own, &cb, count, fd, POLLIN), 1);
			CHECK_EQ(io_queue_run(own), 0);
			CHECK_EQ(calls, 1);
			_exit(0);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
		CHECK_EQ(io_queue_run(ctx), 0);
		CHECK_EQ(calls, events);
	}
	return 0;
}
