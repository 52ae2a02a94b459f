/* A child has none of its parent's io_urings, after a fork and after an exec; the parent's go on
   working, and the child can have its own. */
#define _GNU_SOURCE
#include "uring.h"

static int works(io_context_t ctx)
{
	struct iocb cb;

	io_prep_poll(&cb, eventfd(1, 0), POLLIN);
	submit(ctx, &cb);
	return take(ctx, &cb) & POLLIN;
}

int main(int argc, char **argv)
{
	io_context_t ctx, notified;
	struct io_event event;
	struct iocb cb;
	pid_t child;

	if (argc > 1)
		return io_urings();
	ctx = new_context(1);
	notified = new_context(1);
	io_prep_poll(&cb, eventfd(1, 0), POLLIN);
	io_set_eventfd(&cb, eventfd(0, 0));
	submit(notified, &cb);
	/* Who is notified by an eventfd shares the context with a thread, for which there is a second. */
	CHECK_EQ(io_urings(), 3);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK_EQ(io_urings(), 0);
		CHECK_EQ(entries("/proc/self/fd", "[eventpoll]"), 0);
		CHECK_EQ(io_getevents(notified, 0, 1, &event, NULL), -EINVAL);
		CHECK_EQ(io_destroy(ctx), -EINVAL);
		CHECK(works(new_context(1)));
		_exit(0);
	}
	succeeded(child);
	/* vfork, as posix_spawn does it: only close-on-exec is left. */
	child = vfork();
	CHECK(child >= 0);
	if (child == 0) {
		execl("/proc/self/exe", argv[0], "after exec", NULL);
		_exit(9);
	}
	succeeded(child);
	CHECK(works(ctx));
	CHECK(take(notified, &cb) & POLLIN);
	return 0;
}
