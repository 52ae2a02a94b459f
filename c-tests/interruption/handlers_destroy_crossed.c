/* A handler that interrupted a reap destroys the context that another thread is reaping, in a reap that
   a handler holds up too, and that ends at one or another instruction of the io_destroy: when both
   reaps are over, the context is gone, and a new one at its address stays. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { LAST = 60, FAR_APART = 97, NEVER = 1 << 30 };

static io_context_t mine, others;
static struct iocb cb[2];
static pthread_barrier_t both;
static int in_reap, ends_at, released, steps;

static int take(io_context_t ctx, long min_nr)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event event;

	return io_getevents(ctx, min_nr, 1, &event, &no_wait);
}

static int is_alive(io_context_t ctx)
{
	struct timespec no_wait = { 0, 0 };
	const char *engine = getenv("LIBAIO_ENGINE");

	/* Of contexts made of io_uring the kernel's AIO knows nothing. */
	if (engine != NULL && strcmp(engine, "io_uring") == 0)
		return io_getevents(ctx, 0, 0, NULL, &no_wait) == 0;
	return syscall(SYS_io_getevents, ctx, 0l, 0l, NULL, &no_wait) == 0;
}

static void hold_up(void)
{
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
}

static void *other(void *unused)
{
	int n;

	take(others, 1000); /* binds the name: the kernel refuses the count */
	STEPPING(in_reap, hold_up, n = take(others, 0));
	CHECK(step_came_in());
	CHECK_EQ(n, 1);
	pthread_barrier_wait(&both);
	return unused;
}

static void let_the_other_end(void)
{
	released = 1;
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
}

static void handler(void)
{
	int answer;

	pthread_barrier_wait(&both);
	released = 0;
	STEPPING(ends_at, let_the_other_end, answer = io_destroy(others));
	steps = ends_at - step_left;
	CHECK_EQ(answer, 0);
	if (!released)
		let_the_other_end();
}

static void cross(void)
{
	struct iocb *one = &cb[0];
	pthread_t thread;
	int n;

	others = new_context(1);
	CHECK_EQ(io_submit(mine, 1, &one), 1);
	one = &cb[1];
	CHECK_EQ(io_submit(others, 1, &one), 1);
	CHECK_EQ(pthread_create(&thread, NULL, other, NULL), 0);
	STEPPING(in_reap, handler, n = take(mine, 0));
	step_left = 0;
	CHECK_EQ(n, 1);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!is_alive(others));
}

static int inside;

/* A wait on another context ends at once in a handler that interrupted a reap. */
static void is_in_reap(void)
{
	struct timespec brief = { 0, 1 };
	struct io_event event;

	inside = io_getevents(others, 1, 1, &event, &brief) == -EINTR;
}

/* An instruction in the middle of a reap. */
static void find_in_reap(void)
{
	int first = 0, n;

	others = new_context(1);
	for (inside = 0; !inside; first++) {
		STEPPING(first, is_in_reap, n = take(mine, 0));
		CHECK(step_came_in());
		CHECK_EQ(n, 0);
	}
	CHECK_EQ(io_destroy(others), 0);
	in_reap = first + 5;
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = step_trap,
		                    .sa_flags = SA_SIGINFO | SA_NODEFER };
	int ready_fd = eventfd(1, 0), all;

	CHECK(ready_fd >= 0);
	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
	CHECK_EQ(pthread_barrier_init(&both, NULL, 2), 0);
	io_prep_poll(&cb[0], ready_fd, POLLIN);
	io_prep_poll(&cb[1], ready_fd, POLLIN);
	mine = new_context(1);
	take(mine, 1000);
	CHECK_EQ(io_destroy(NULL), -EINVAL); /* binds the name */
	find_in_reap();

	/* How many instructions it is where the other does not end before. */
	ends_at = NEVER;
	cross();
	all = steps;
	for (ends_at = all; ends_at > 0; ends_at -= all - ends_at < LAST ? 1 : FAR_APART)
		cross();
	/* What they leave behind does no harm to a new context. */
	others = new_context(1);
	CHECK_EQ(take(others, 0), 0);
	CHECK(is_alive(others));
	CHECK_EQ(io_destroy(others), 0);
	CHECK_EQ(io_destroy(mine), 0);
	return 0;
}
