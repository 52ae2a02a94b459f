/* The exported io_poll, io_fsync and io_fdsync prepare and submit as the inline ones do, and the
   exported io_set_callback and io_set_eventfd have their effect. */
#define _GNU_SOURCE

/* The header's inline ones, under other names. */
#define io_poll inline_poll
#define io_fsync inline_fsync
#define io_fdsync inline_fdsync
#define io_set_eventfd inline_set_eventfd
#define io_set_callback inline_set_callback
#include "check.h"
#undef io_poll
#undef io_fsync
#undef io_fdsync
#undef io_set_eventfd
#undef io_set_callback

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

extern int io_poll(io_context_t, struct iocb *, io_callback_t, int, int);
extern int io_fsync(io_context_t, struct iocb *, io_callback_t, int);
extern int io_fdsync(io_context_t, struct iocb *, io_callback_t, int);
extern void io_set_eventfd(struct iocb *, int);
extern void io_set_callback(struct iocb *, io_callback_t);

static io_context_t ctx;
static struct iocb cb, expected;
static int calls;
static long result;

static void note(io_context_t c, struct iocb *iocb, long res, long res2)
{
	CHECK(c == ctx && iocb == &cb && res2 == 0);
	result = res;
	calls++;
}

/* Checks the bytes of the request, runs the queue until it has been called, returns its result. */
static long finish(void)
{
	int before = calls;

	inline_set_callback(&expected, note);
	expected.key = cb.key; /* the kernel's */
	CHECK(memcmp(&cb, &expected, sizeof(cb)) == 0);
	do {
		sched_yield();
		CHECK_EQ(io_queue_run(ctx), 0);
	} while (calls == before);
	CHECK_EQ(calls, before + 1);
	return result;
}

int main(void)
{
	int file = new_file(64, 0), ready = eventfd(1, 0), told = eventfd(0, 0);
	struct iocb *list[1] = { &cb };
	eventfd_t count;

	CHECK(ready >= 0 && told >= 0);
	ctx = new_context(1);
	CHECK_EQ(io_poll(ctx, &cb, note, ready, POLLIN), 1);
	io_prep_poll(&expected, ready, POLLIN);
	CHECK_EQ(finish(), POLLIN);
	CHECK_EQ(io_fsync(ctx, &cb, note, file), 1);
	io_prep_fsync(&expected, file);
	CHECK_EQ(finish(), 0);
	CHECK_EQ(io_fdsync(ctx, &cb, note, file), 1);
	io_prep_fdsync(&expected, file);
	CHECK_EQ(finish(), 0);

	io_prep_poll(&cb, ready, POLLIN | POLLOUT);
	io_set_callback(&cb, note);
	io_set_eventfd(&cb, told);
	io_prep_poll(&expected, ready, POLLIN | POLLOUT);
	inline_set_eventfd(&expected, told);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(finish(), POLLIN | POLLOUT);
	CHECK_EQ(eventfd_read(told, &count), 0);
	CHECK_EQ(count, 1);

	errno = 0;
	CHECK_EQ(io_poll(ctx, &cb, note, -1, POLLIN), -EBADF);
	CHECK_EQ(errno, EBADF);
	errno = 0;
	CHECK_EQ(io_fsync(NULL, &cb, note, file), -EINVAL);
	CHECK_EQ(errno, EINVAL);
	errno = 0;
	CHECK_EQ(io_fdsync(ctx, &cb, note, -1), -EBADF);
	CHECK_EQ(errno, EBADF);
	return 0;
}
