/* A child has its own context before the library hears of the fork: the program's handler makes it, which may have
   closed all descriptors, or there is no fork(3). It works, and the parent's descriptors are gone. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static io_context_t ctx;
static int closes_first;

static void works(void)
{
	int ready = eventfd(1, 0);

	CHECK(ready >= 0);
	use(ctx, ready);
	CHECK_EQ(close(ready), 0);
}

static void in_child(void)
{
	for (int fd = 3; closes_first && fd < 64; fd++)
		close(fd);
	ctx = new_context(1);
}

int main(void)
{
	int own;

	CHECK_EQ(pthread_atfork(NULL, NULL, in_child), 0);
	ctx = new_context(1);
	works();
	own = io_urings(); /* 0 for the kernel's AIO */
	for (int i = 0; i < 3; i++) {
		pid_t child;

		closes_first = i == 1;
		child = i < 2 ? fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		CHECK(child >= 0);
		if (child == 0) {
			if (i == 2)
				in_child();
			works();
			CHECK_EQ(io_urings(), own);
			CHECK_EQ(io_destroy(ctx), 0);
			CHECK_EQ(io_urings(), 0);
			_exit(0);
		}
		succeeded(child);
		works();
	}
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
