/* A read of an empty pipe does not keep io_destroy waiting, nor the end of its thread: where the pipe's
   descriptor was closed meanwhile, and where its number was that of a file which the thread has read before. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

static io_context_t ctx;
static struct iocb requests[2];
static char byte;
static int writable;

static void *reads_a_pipe(void *is_closed)
{
	int ends[2], fd = new_file(1, 0);

	/* What a number is may be looked up once for several requests in a row. */
	for (int i = 0; i < 3; i++) {
		io_prep_pread(&requests[0], fd, &byte, 1, 0);
		submit(ctx, &requests[0]);
	}
	for (int i = 0; i < 3; i++)
		CHECK_EQ(take(ctx, &requests[0]), 1);
	CHECK_EQ(pipe(ends), 0);
	writable = ends[1];
	if (is_closed == NULL) {
		CHECK_EQ(dup2(ends[0], fd), fd);
		CHECK_EQ(close(ends[0]), 0);
		ends[0] = fd;
	}
	io_prep_pread(&requests[1], ends[0], &byte, 1, 0);
	submit(ctx, &requests[1]);
	if (is_closed != NULL)
		CHECK_EQ(close(ends[0]), 0);
	return NULL;
}

int main(void)
{
	static int closed;

	alarm(30); /* for the case that it is waited for */
	for (int i = 0; i < 4; i++) {
		ctx = new_context(4);
		if (i & 1) {
			pthread_t thread;

			CHECK_EQ(
				pthread_create(&thread, NULL, reads_a_pipe, i & 2 ? &closed : NULL),
				0);
			CHECK_EQ(pthread_join(thread, NULL), 0);
		} else {
			reads_a_pipe(i & 2 ? &closed : NULL);
		}
		CHECK_EQ(io_destroy(ctx), 0);
		CHECK_EQ(close(writable), 0);
	}
	return 0;
}
