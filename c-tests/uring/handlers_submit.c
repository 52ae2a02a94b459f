/* A signal handler may submit, take, and wait, whatever it has interrupted: a timer's does so all the
   time while the program submits and takes on the same context. Nothing hangs, is lost or doubled. */
#define _GNU_SOURCE
#include "uring.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>

enum { SLOTS = 48, OWN = 16, ROUNDS = 20000 };

static io_context_t ctx;
static int ready;
static struct iocb cbs[SLOTS];
static atomic_int in_flight[SLOTS];
static atomic_long submitted, taken, by_handler;

static void take_some(long at_least)
{
	struct io_event events[8];
	/* What a handler waits for may have been taken by whom it has interrupted. */
	struct timespec limit = { 0, 20000 };
	int n = io_getevents(ctx, at_least, 8, events, &limit);

	CHECK(n >= 0 || n == -EINTR);
	for (int i = 0; i < n; i++)
		CHECK_EQ(atomic_exchange(&in_flight[events[i].obj - cbs], 0), 1);
	if (n > 0)
		atomic_fetch_add(&taken, n);
}

static void submit_some(int first, int end)
{
	struct iocb *list[SLOTS];
	int n = 0, in;

	for (int i = first; i < end; i++)
		if (atomic_load(&in_flight[i]) == 0) {
			atomic_store(&in_flight[i], 1);
			io_prep_poll(&cbs[i], ready, POLLIN);
			list[n++] = &cbs[i];
		}
	in = n > 0 ? io_submit(ctx, n, list) : 0;
	/* The kernel's AIO, which counts by processor, may have no slot left on this one. */
	CHECK(in >= 0 || in == -EAGAIN);
	in = in < 0 ? 0 : in;
	for (int i = in; i < n; i++)
		atomic_store(&in_flight[list[i] - cbs], 0);
	atomic_fetch_add(&submitted, in);
}

static void on_alarm(int signal)
{
	int before = errno;

	(void)signal;
	/* Of its own slots alone: the others' may be on their way at this moment. */
	submit_some(OWN, SLOTS);
	take_some(0);
	submit_some(OWN, SLOTS);
	take_some(1);
	atomic_fetch_add(&by_handler, 1);
	errno = before;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval interval = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };

	ready = eventfd(1, 0);
	ctx = new_context(SLOTS);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		submit_some(0, OWN);
		take_some(0);
	}
	CHECK_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
	while (atomic_load(&taken) < atomic_load(&submitted))
		take_some(0);
	take_some(0);
	CHECK_EQ(atomic_load(&taken), atomic_load(&submitted));
	CHECK(atomic_load(&by_handler) > 10);
	return io_destroy(ctx);
}
