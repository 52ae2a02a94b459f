/* A handler that destroys the context at any instruction of a reap of it: the reap's answer is an
   event or EINVAL, and the context is gone when the reap has ended. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <sys/eventfd.h>

static io_context_t ctx;
static int destroyed;

static void handler(void)
{
	destroyed = io_destroy(ctx);
}

int main(void)
{
	struct timespec no_wait = { 0, 0 };
	int ready_fd = eventfd(1, 0), at = 0, came_in, taken = 0, refused = 0;

	CHECK(ready_fd >= 0);
	step_prepare();
	do {
		struct iocb cb, *one = &cb;
		struct io_event event;
		int answer;

		ctx = new_context(1);
		io_prep_poll(&cb, ready_fd, POLLIN);
		CHECK_EQ(io_submit(ctx, 1, &one), 1);
		destroyed = 1;
		STEPPING(at, handler, answer = io_getevents(ctx, 0, 1, &event, &no_wait));
		came_in = step_came_in();
		if (answer == 1)
			CHECK(event.obj == &cb);
		else
			CHECK_EQ(answer, -EINVAL);
		taken += answer == 1;
		refused += answer == -EINVAL;
		CHECK_EQ(destroyed, came_in ? 0 : 1);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), came_in ? -EINVAL : 0);
		CHECK_EQ(io_submit(ctx, 1, &one), came_in ? -EINVAL : 1);
		CHECK_EQ(io_destroy(ctx), came_in ? -EINVAL : 0);
		at++;
	} while (came_in);
	/* Both answers were seen: from before the reap, and from within or after it. */
	CHECK(taken > 1 && refused > 1);
	return 0;
}
