/* A handler that submits a read of an empty pipe, whose number was a file's before, at any instruction of
 * a call that waits on its own thread: the call gets EAGAIN's event, as if it had been there before; and so
 * does one that waits after a submission that was interrupted. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <sys/timerfd.h>

static io_context_t ctx;
static struct iocb good, empty, late;
static int fd, file, ends[2], timer, in_time;
static char buf[512];

static void handler(void)
{
	struct pollfd over = { .fd = timer, .events = POLLIN };
	struct iocb *list[] = { &empty };

	in_time = poll(&over, 1, 0) == 0;
	CHECK_EQ(dup2(ends[0], fd), fd);
	io_prep_pread(&empty, fd, buf, sizeof(buf), 0);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
}

/* Reads `fd` while it is a file. */
static void begin(void)
{
	CHECK_EQ(dup2(file, fd), fd);
	io_prep_pread(&good, fd, buf, sizeof(buf), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(run_one(ctx, &good), sizeof(buf));
}

static struct iocb *take(long *res)
{
	struct io_event event;

	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	*res = (long)event.res;
	return event.obj;
}

/* Waits, with the handler before instruction `at`; whether it came before something else did, which is
 * only for a call that it does not come to. */
static int waits(int at)
{
	struct itimerspec two_seconds = { .it_value = { 2, 0 } };
	struct iocb *list[] = { &late }, *first;
	struct io_event event;
	long res;

	begin();
	CHECK_EQ(timerfd_settime(timer, 0, &two_seconds, NULL), 0);
	io_prep_poll(&late, timer, POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	STEPPING(at, handler, first = take(&res));
	CHECK(step_came_in());
	CHECK(first == (in_time ? &empty : &late));
	if (in_time) {
		CHECK_EQ(res, -EAGAIN);
		CHECK_EQ(io_cancel(ctx, &late, &event), -EINPROGRESS);
		CHECK(take(&res) == &late);
	} else {
		CHECK(take(&res) == &empty);
		CHECK_EQ(res, -EAGAIN);
	}
	return in_time;
}

/* Submits on the same number, with the handler before instruction `at`, and waits. Until the kernel has
 * taken it, it may be of either file. */
static int submits(int at)
{
	struct iocb *list[] = { &good };
	int came_in, told = 0, taken;

	begin();
	STEPPING(at, handler, CHECK_EQ(io_submit(ctx, 1, list), 1));
	came_in = step_came_in();
	for (taken = 0; taken < 1 + came_in; taken++) {
		long res;

		if (take(&res) == &empty) {
			CHECK_EQ(res, -EAGAIN);
			told++;
		} else {
			CHECK(res == sizeof(buf) || (came_in && res == -EAGAIN));
		}
	}
	CHECK_EQ(told, came_in);
	return came_in;
}

int main(void)
{
	int at;

	file = new_file(4096, 0);
	fd = dup(file);
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK(fd >= 0 && timer >= 0);
	CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
	ctx = new_context(4);
	step_prepare();
	for (at = 0; waits(at); at += step_by())
		;
	/* Fewer would mean that the processor was not stopped inside the library. */
	CHECK(at > 30);
	for (at = 0; submits(at); at += step_by())
		;
	CHECK(at > 30);
	return io_destroy(ctx);
}
