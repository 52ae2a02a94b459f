/* Run with LIBAIO_SPIN_US=1000000: a call that waits for an event which another thread brings about
   a little later gets it without the system call. */
#define _GNU_SOURCE
#include "counted.h"

#include <pthread.h>

static int fd;

static void *bring(void *unused)
{
	const struct timespec soon = { 0, 2000000 };
	uint64_t one = 1;

	(void)unused;
	nanosleep(&soon, NULL);
	CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
	return NULL;
}

int main(void)
{
	struct timespec minute = { 60, 0 };
	io_context_t ctx = new_context(16);
	struct io_event event;
	struct iocb iocb, *list[1] = { &iocb };
	pthread_t thread;

	refuse_system_calls();
	for (int i = 0; i < 10; i++) {
		fd = eventfd(0, 0);
		io_prep_poll(&iocb, fd, POLLIN);
		CHECK_EQ(io_submit(ctx, 1, list), 1);
		CHECK_EQ(pthread_create(&thread, NULL, bring, NULL), 0);
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, i % 2 ? NULL : &minute), 1);
		CHECK(event.obj == &iocb);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(close(fd), 0);
	}
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
