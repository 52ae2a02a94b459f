/* A thread that shares no descriptors with the others (CLONE_FILES) has its requests notified by an eventfd of its
   own, though its number, and those that come next, are a file's to the others. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

enum { NUMBERS = 20 };

static pthread_barrier_t barrier;

static void *submits(void *number)
{
	io_context_t ctx = new_context(1);
	int file = new_file(64, 0), fd = *(int *)number;
	char buf[64];
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	eventfd_t count;

	CHECK_EQ(unshare(CLONE_FILES), 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	io_prep_pread(&cb, file, buf, sizeof(buf), 0);
	io_set_eventfd(&cb, fd);
	EXPECT("the others' file", io_submit(ctx, 1, list), -EINVAL);
	CHECK_EQ(dup2(eventfd(0, 0), fd), fd);
	EXPECT("its own eventfd", io_submit(ctx, 1, list), 1);
	CHECK_EQ(eventfd_read(fd, &count), 0);
	EXPECT("count", count, 1);
	EXPECT("events", io_getevents(ctx, 1, 1, &event, NULL), 1);
	EXPECT("res", event.res, sizeof(buf));
	CHECK_EQ(io_destroy(ctx), 0);
	return NULL;
}

int main(void)
{
	int fd = new_file(64, 0);
	pthread_t thread;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 2), 0);
	CHECK_EQ(pthread_create(&thread, NULL, submits, &fd), 0);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < NUMBERS; i++)
		CHECK(dup(fd) >= 0);
	pthread_barrier_wait(&barrier);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return 0;
}
