/* A thread polls and ends; what it waited for comes and goes. Another thread polls something else, and
   ends too. The first poll, which the kernel gave up and the library submits anew, goes on: it can be
   cancelled, and io_destroy does not wait for it. (To the kernel's AIO it is complete.) */
#include "uring.h"

#include <pthread.h>

static io_context_t ctx;
static struct iocb polls[2];
static int fds[2];

static void *polls_one(void *number)
{
	int i = (int)(intptr_t)number;
	struct iocb *list[1] = { &polls[i] };

	io_prep_poll(&polls[i], fds[i], POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	return NULL;
}

static void run(int cancels)
{
	struct timespec no_time = { 0, 0 }, soon = { 0, 20000000 };
	struct io_event events[2];
	uint64_t one = 1;

	ctx = new_context(8);
	for (int i = 0; i < 2; i++) {
		pthread_t thread;

		fds[i] = eventfd(0, 0);
		CHECK_EQ(pthread_create(&thread, NULL, polls_one, (void *)(intptr_t)i), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		if (i > 0)
			break;
		/* The thread is gone a moment after it was joined. */
		nanosleep(&soon, NULL);
		CHECK_EQ(write(fds[0], &one, sizeof(one)), sizeof(one));
		nanosleep(&soon, NULL);
		CHECK_EQ(read(fds[0], &one, sizeof(one)), sizeof(one));
	}
	nanosleep(&soon, NULL);
	CHECK_EQ(io_getevents(ctx, 1, 2, events, &soon), 0);
	if (cancels) {
		for (int i = 0; i < 2; i++)
			CHECK_EQ(io_cancel(ctx, &polls[i], &events[0]), -EINPROGRESS);
		CHECK_EQ(io_getevents(ctx, 2, 2, events, NULL), 2);
	} else {
		CHECK_EQ(write(fds[0], &one, sizeof(one)), sizeof(one));
		CHECK_EQ(io_getevents(ctx, 1, 2, events, NULL), 1);
		CHECK(events[0].obj == &polls[0] && events[0].res == POLLIN);
	}
	CHECK_EQ(io_getevents(ctx, 0, 2, events, &no_time), 0);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(fds[0]), 0);
	CHECK_EQ(close(fds[1]), 0);
}

int main(void)
{
	alarm(60); /* for the case that io_destroy waits */
	for (int i = 0; i < 5; i++) {
		run(0);
		run(1);
	}
	return 0;
}
