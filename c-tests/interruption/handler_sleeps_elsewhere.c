/* A handler that waits on another context than the one whose reap it interrupted: who reaps that one
   waits for neither, at whatever instruction it was, even where the handler waits for what the other
   thread does next. Each event comes once. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static io_context_t ctx, elsewhere;
static struct iocb cb, cb_elsewhere;
static pthread_barrier_t both;
static int seen, seen_elsewhere;

static void handler(void)
{
	struct io_event event;
	int n;

	pthread_barrier_wait(&both);
	n = io_getevents(elsewhere, 1, 1, &event, NULL);
	CHECK(n == 1 || n == -EINTR);
	if (n == 1)
		seen_elsewhere++;
}

static int take(io_context_t from)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	int n = io_getevents(from, 0, 1, &event, &no_wait);

	CHECK(n == 0 || n == 1);
	return n;
}

static void *other(void *unused)
{
	struct iocb *one = &cb_elsewhere;

	pthread_barrier_wait(&both);
	if (take(ctx))
		__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	CHECK_EQ(io_submit(elsewhere, 1, &one), 1);
	return unused;
}

static int interrupted(int at)
{
	struct iocb *one = &cb;
	pthread_t thread;
	int came_in, n;

	seen = seen_elsewhere = 0;
	CHECK_EQ(io_submit(ctx, 1, &one), 1);
	CHECK_EQ(pthread_create(&thread, NULL, other, NULL), 0);
	STEPPING(at, handler, n = take(ctx));
	came_in = step_came_in();
	if (!came_in)
		handler();
	if (n)
		__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	seen += take(ctx);
	seen_elsewhere += take(elsewhere);
	CHECK_EQ(seen, 1);
	CHECK_EQ(seen_elsewhere, 1);
	return came_in;
}

int main(void)
{
	int ready_fd = eventfd(1, 0);

	CHECK(ready_fd >= 0);
	CHECK_EQ(pthread_barrier_init(&both, NULL, 2), 0);
	ctx = new_context(1);
	elsewhere = new_context(1);
	io_prep_poll(&cb, ready_fd, POLLIN);
	io_prep_poll(&cb_elsewhere, ready_fd, POLLIN);
	step_prepare();
	for (int at = 0; interrupted(at); at++)
		;
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(io_destroy(elsewhere), 0);
	return 0;
}
