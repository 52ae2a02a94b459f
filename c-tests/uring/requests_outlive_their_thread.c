/* Requests are their context's: a thread that has submitted some may end, and they complete as if it
   had not. (io_uring itself gives up what a thread leaves behind.) */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { BLOCK = 4096, READS = 32 };

static io_context_t ctx;
static int pollable, fd;
static struct iocb polls, reads[READS];
static unsigned char *bytes;

static void *submits_and_ends(void *unused)
{
	struct iocb *list[READS];

	(void)unused;
	submit(ctx, &polls);
	for (int i = 0; i < READS; i++) {
		io_prep_pread(&reads[i], fd, bytes + i * BLOCK, BLOCK, (long long)i * BLOCK);
		list[i] = &reads[i];
	}
	CHECK_EQ(io_submit(ctx, READS, list), READS);
	return NULL;
}

static void in_a_thread(int with_eventfd)
{
	uint64_t one = 1;
	pthread_t thread;

	memset(bytes, 0, READS * BLOCK);
	CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	pollable = eventfd(0, 0);
	io_prep_poll(&polls, pollable, POLLIN);
	if (with_eventfd)
		io_set_eventfd(&polls, eventfd(0, 0));
	CHECK_EQ(pthread_create(&thread, NULL, submits_and_ends, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int taken = 0; taken < READS;) {
		struct io_event events[READS];
		int n = io_getevents(ctx, 1, READS, events, NULL);

		CHECK(n > 0);
		for (int i = 0; i < n; i++)
			CHECK_EQ(events[i].res, BLOCK);
		taken += n;
	}
	CHECK(is_file_data(bytes, READS * BLOCK, 0));
	CHECK_EQ(write(pollable, &one, sizeof(one)), sizeof(one));
	CHECK_EQ(take(ctx, &polls), POLLIN);
	CHECK_EQ(close(pollable), 0);
}

int main(void)
{
	ctx = new_context(64);
	fd = new_file(READS * BLOCK, 0);
	bytes = aligned_alloc(BLOCK, READS * BLOCK);
	CHECK(bytes != NULL);
	for (int i = 0; i < 20; i++)
		in_a_thread(0);
	/* Whether the context has a thread of its own makes no difference. */
	for (int i = 0; i < 5; i++)
		in_a_thread(1);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
