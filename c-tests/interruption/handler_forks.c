/* A handler that forks at any instruction of a reap: the child gets EINVAL for its parent's context,
   can have one of its own, and takes nothing; the parent's reap goes on. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static io_context_t ctx;
static struct timespec no_wait;

static void handler(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		struct io_event event;
		io_context_t own = NULL;

		CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), -EINVAL);
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), -EINVAL);
		CHECK_EQ(io_setup(1, &own), 0);
		CHECK_EQ(io_getevents(own, 0, 1, &event, &no_wait), 0);
		CHECK_EQ(io_destroy(ctx), -EINVAL);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

int main(void)
{
	int ready_fd = eventfd(1, 0), at = 0, came_in;

	CHECK(ready_fd >= 0);
	ctx = new_context(1);
	step_prepare();
	do {
		struct iocb cb[2], *list[2] = { &cb[0], &cb[1] };
		struct io_event event;
		int answer;

		for (int i = 0; i < 2; i++)
			io_prep_poll(&cb[i], ready_fd, POLLIN);
		CHECK_EQ(io_submit(ctx, 2, list), 2);
		STEPPING(at, handler, answer = io_getevents(ctx, 0, 1, &event, &no_wait));
		came_in = step_came_in();
		CHECK_EQ(answer, 1);
		CHECK(event.obj == &cb[0]);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), 1);
		CHECK(event.obj == &cb[1]);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), 0);
		at++;
	} while (came_in);
	CHECK(at > 30);
	return 0;
}
