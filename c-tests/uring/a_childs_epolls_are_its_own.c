/* A child that has closed all that was its parent's, before anything of the library ran there (_Fork), keeps what it has
   under those numbers when it makes a context. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/epoll.h>

enum { EPOLLS = 12 };

static int has_epolls(void)
{
	return entries("/proc/self/fd", "[eventpoll]");
}

static void make_epolls(void)
{
	closefrom(3);
	for (int i = 0; i < EPOLLS; i++)
		CHECK(epoll_create1(0) >= 3);
	CHECK_EQ(has_epolls(), EPOLLS);
}

int main(void)
{
	pid_t child;

	for (int i = 0; i < 2; i++) {
		io_context_t ctx = new_context(1);
		struct iocb cb;

		io_prep_poll(&cb, eventfd(1, 0), POLLIN);
		io_set_eventfd(&cb, eventfd(0, 0));
		submit(ctx, &cb);
		CHECK(take(ctx, &cb) & POLLIN);
	}
	child = _Fork();
	CHECK(child >= 0);
	if (child == 0) {
		make_epolls();
		new_context(1);
		CHECK_EQ(has_epolls(), EPOLLS);
		_exit(0);
	}
	succeeded(child);
	return 0;
}
