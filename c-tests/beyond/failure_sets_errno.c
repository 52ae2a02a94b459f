/* A failed call of any function returns the negative error number and sets errno to it; a
   successful one leaves errno alone. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

#define FAILS(call, error)                                                                         \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK_EQ(call, -(error));                                                          \
		CHECK_EQ(errno, error);                                                            \
	} while (0)

#define WORKS(call, answer)                                                                        \
	do {                                                                                       \
		errno = 4242;                                                                      \
		CHECK_EQ(call, answer);                                                            \
		CHECK_EQ(errno, 4242);                                                             \
	} while (0)

static int calls;

static void count(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK(ctx != NULL && iocb != NULL && res >= 0 && res2 == 0);
	calls++;
}

int main(void)
{
	io_context_t ctx = NULL, garbage = (io_context_t)(uintptr_t)0x1234;
	int fd = eventfd(1, 0), never = eventfd(0, 0), file = new_file(64, 0);
	struct iocb cb, stuck, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };

	CHECK(fd >= 0 && never >= 0);
	io_prep_poll(&cb, fd, POLLIN);
	io_prep_poll(&stuck, never, POLLIN);

	FAILS(io_setup(0, &ctx), EINVAL);
	FAILS(io_setup(1, NULL), EFAULT);
	FAILS(io_setup(1, &garbage), EINVAL);
	WORKS(io_setup(4, &ctx), 0);
	FAILS(io_submit(NULL, 1, list), EINVAL);
	FAILS(io_submit(ctx, -1, list), EINVAL);
	FAILS(io_submit(ctx, 1, NULL), EFAULT);
	WORKS(io_submit(ctx, 0, list), 0);
	WORKS(io_submit(ctx, 1, list), 1);
	FAILS(io_getevents(NULL, 1, 1, &event, NULL), EINVAL);
	FAILS(io_getevents(ctx, 2, 1, &event, NULL), EINVAL);
	FAILS(io_getevents(ctx, 1, 1, NULL, NULL), EFAULT);
	FAILS(io_getevents(ctx, 1, 1, NULL, &no_wait), EFAULT);
	WORKS(io_getevents(ctx, 1, 1, &event, NULL), 1);
	WORKS(io_getevents(ctx, 1, 1, &event, &no_wait), 0);
	WORKS(io_getevents(ctx, 1, 1, &event, &short_wait), 0);
	WORKS(io_getevents(ctx, 0, 1, &event, NULL), 0);
	FAILS(io_pgetevents(NULL, 1, 1, &event, NULL, NULL), EINVAL);
	WORKS(io_pgetevents(ctx, 1, 1, &event, &no_wait, NULL), 0);
	WORKS(io_pgetevents(ctx, 1, 1, &event, &short_wait, NULL), 0);
	FAILS(io_cancel(ctx, &cb, &event), EINVAL);
	list[0] = &stuck;
	WORKS(io_submit(ctx, 1, list), 1);
	FAILS(io_cancel(ctx, &stuck, &event), EINPROGRESS);
	WORKS(io_getevents(ctx, 1, 1, &event, NULL), 1);

	WORKS(io_poll(ctx, &cb, count, fd, POLLIN), 1);
	WORKS(io_queue_run(ctx), 0);
	CHECK_EQ(calls, 1);
	WORKS(io_queue_run(ctx), 0);
	FAILS(io_queue_run(NULL), EINVAL);
	WORKS(io_queue_wait(ctx, NULL), 0);
	WORKS(io_queue_wait(ctx, &no_wait), 0);
	FAILS(io_queue_wait(NULL, NULL), EINVAL);
	FAILS(io_poll(ctx, &cb, count, -1, POLLIN), EBADF);
	FAILS(io_fsync(ctx, &cb, count, -1), EBADF);
	FAILS(io_fdsync(ctx, &cb, count, -1), EBADF);
	WORKS(io_fsync(ctx, &cb, count, file), 1);
	WORKS(io_getevents(ctx, 1, 1, &event, NULL), 1);
	WORKS(io_destroy(ctx), 0);
	FAILS(io_destroy(ctx), EINVAL);

	ctx = garbage;
	FAILS(io_queue_init(0, &ctx), EINVAL);
	FAILS(io_queue_init(0x7fffffff, &ctx), EINVAL);
	FAILS(io_queue_init(1, NULL), EFAULT);
	WORKS(io_queue_init(1, &ctx), 0);
	WORKS(io_queue_release(ctx), 0);
	FAILS(io_queue_release(ctx), EINVAL);
	return 0;
}
