/* Calls whose counts tests/stats.rs knows. None that succeeds changes errno. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

/* A call that succeeds, with errno as it was. */
#define GIVES(call, answer)                                                                        \
	do {                                                                                       \
		errno = ENOTNAM;                                                                   \
		CHECK_EQ(call, answer);                                                            \
		CHECK_EQ(errno, ENOTNAM);                                                          \
	} while (0)

static struct io_event events[8];

static void one(io_context_t ctx, struct iocb *request, long res)
{
	GIVES(io_submit(ctx, 1, &request), 1);
	GIVES(io_getevents(ctx, 1, 1, events, NULL), 1);
	CHECK_EQ((long)events[0].res, res);
}

/* Every operation; 17 requests, 2 of them in one call of 3, and 4 in another. */
static void operations(io_context_t ctx)
{
	int fd = new_file(65536, 0), ready = eventfd(1, 0);
	static char bytes[4096];
	struct iovec vectors[2] = { { bytes, 100 }, { bytes, 200 } };
	struct iocb requests[4],
		*list[4] = { &requests[0], &requests[1], &requests[2], &requests[3] };

	CHECK(ready >= 0);
	for (int i = 0; i < 5; i++) {
		io_prep_pread(&requests[0], fd, bytes, 4096, 0);
		one(ctx, &requests[0], 4096);
	}
	io_prep_pread(&requests[0], fd, bytes, 4096, 65536 - 96);
	one(ctx, &requests[0], 96);
	io_prep_pwrite(&requests[0], fd, bytes, 1000, 0);
	one(ctx, &requests[0], 1000);
	io_prep_preadv(&requests[0], fd, vectors, 2, 0);
	one(ctx, &requests[0], 300);
	io_prep_pwritev(&requests[0], fd, vectors, 1, 0);
	one(ctx, &requests[0], 100);
	io_prep_fsync(&requests[0], fd);
	one(ctx, &requests[0], 0);
	io_prep_fdsync(&requests[0], fd);
	one(ctx, &requests[0], 0);

	/* Two that are taken, a bad one, and one that nobody looks at. */
	for (int i = 0; i < 4; i++)
		io_prep_poll(&requests[i], i == 2 ? -1 : ready, POLLIN);
	GIVES(io_submit(ctx, 4, list), 2);
	GIVES(io_getevents(ctx, 2, 8, events, NULL), 2);
	CHECK_EQ(io_submit(ctx, 2, &list[2]), -EBADF);
	CHECK_EQ(io_submit(ctx, -1, list), -EINVAL);

	io_prep_poll(&requests[2], ready, POLLIN);
	GIVES(io_submit(ctx, 4, list), 4);
	GIVES(io_getevents(ctx, 4, 8, events, NULL), 4);
}

int main(void)
{
	struct timespec zero = { 0, 0 }, moment = { 0, 1000000 };
	io_context_t ended = new_context(8), left, none = NULL;
	struct iocb request, *list[1] = { &request };
	int quiet = eventfd(0, 0);
	void *nothing;

	operations(ended);
	/* Nothing, from the ring; nothing, after a sleep in the kernel. */
	GIVES(io_getevents(ended, 0, 8, events, &zero), 0);
	GIVES(io_getevents(ended, 1, 8, events, &moment), 0);
	/* An event that is an error, and one of a poll that was cancelled. */
	nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(nothing != MAP_FAILED);
	io_prep_pread(&request, new_file(4096, 0), nothing, 4096, 0);
	one(ended, &request, -EFAULT);
	io_prep_poll(&request, quiet, POLLIN);
	GIVES(io_submit(ended, 1, list), 1);
	CHECK_EQ(io_cancel(ended, &request, events), -EINPROGRESS);
	GIVES(io_getevents(ended, 1, 1, events, NULL), 1);
	CHECK_EQ(io_cancel(ended, &request, events), -EINVAL);
	GIVES(io_destroy(ended), 0);

	/* What belongs to no context. */
	CHECK_EQ(io_setup(0, &none), -EINVAL);
	CHECK_EQ(io_submit(NULL, 1, list), -EINVAL);

	/* A context that nobody destroys. */
	left = new_context(3);
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < 10; i++) {
		GIVES(io_submit(left, 1, list), 1);
		GIVES(io_getevents(left, 1, 1, events, NULL), 1);
	}
	return 0;
}
