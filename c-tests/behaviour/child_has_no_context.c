/* A child after fork has no context of its parent's: submit, getevents, cancel and destroy there
   give -EINVAL, the parent's event stays, and a context of the child's own works. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

int main(void)
{
	io_context_t ctx = new_context(2), own;
	int fd = eventfd(1, 0), status;
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec short_wait = { 0, 1000000 };
	pid_t child;

	CHECK(fd >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		EXPECT("submit", io_submit(ctx, 1, list), -EINVAL);
		EXPECT("getevents, NULL", io_getevents(ctx, 1, 1, &event, NULL), -EINVAL);
		EXPECT("getevents, 1 ms", io_getevents(ctx, 1, 1, &event, &short_wait), -EINVAL);
		EXPECT("cancel", io_cancel(ctx, &cb, &event), -EINVAL);
		EXPECT("destroy", io_destroy(ctx), -EINVAL);
		own = new_context(1);
		EXPECT("own context", run_one(own, &cb), POLLIN);
		return 0;
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	EXPECT("parent", io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == &cb);
	EXPECT("parent, again", run_one(ctx, &cb), POLLIN);
	return 0;
}
