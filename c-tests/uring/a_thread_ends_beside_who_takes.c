/* Threads that have read a file end, one after the other, beside one that takes their events. The context's
   first request, which waits for a pipe, is in flight all the time: io_cancel finds it, and io_destroy ends. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { ROUNDS = 10, THREADS = 1500, READS = 8 };

static io_context_t ctx;
static int fd;
static volatile int is_over;

static void *takes(void *unused)
{
	struct timespec soon = { 0, 100000 };
	struct io_event events[4];

	(void)unused;
	while (!is_over)
		CHECK(io_getevents(ctx, 1, 1, events, &soon) >= 0);
	return NULL;
}

static void *reads(void *unused)
{
	static char bytes[READS][512];
	static struct iocb requests[READS];
	struct iocb *list[READS];

	(void)unused;
	for (int i = 0; i < READS; i++) {
		io_prep_pread(&requests[i], fd, bytes[i], sizeof(bytes[i]), 0);
		list[i] = &requests[i];
	}
	CHECK_EQ(io_submit(ctx, READS, list), READS);
	return NULL;
}

static void run(int pipe)
{
	struct io_event event;
	struct iocb request;
	pthread_t taker, reader;
	char byte;

	ctx = new_context(30000);
	is_over = 0;
	io_prep_pread(&request, pipe, &byte, 1, 0);
	submit(ctx, &request);
	CHECK_EQ(pthread_create(&taker, NULL, takes, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(pthread_create(&reader, NULL, reads, NULL), 0);
		CHECK_EQ(pthread_join(reader, NULL), 0);
	}
	is_over = 1;
	CHECK_EQ(pthread_join(taker, NULL), 0);
	CHECK_EQ(io_cancel(ctx, &request, &event), -EINPROGRESS);
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	int ends[2];

	alarm(60); /* for the case that io_destroy does not end */
	CHECK_EQ(pipe(ends), 0);
	fd = new_file(512, 0);
	for (int i = 0; i < ROUNDS; i++)
		run(ends[0]);
	return 0;
}
