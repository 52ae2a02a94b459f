/* Four threads reap one context, each in another way (waiting, polling, io_pgetevents with a mask,
   io_queue_run), while two others submit: each event is delivered, once, to one of them. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define TOTAL 40000

static io_context_t ctx;
static int ready;
static struct iocb cb[TOTAL];
static atomic_int seen[TOTAL], reaped, next;

static void note(io_context_t c, struct iocb *iocb, long res, long res2)
{
	CHECK(c == ctx && res == POLLIN && res2 == 0);
	CHECK(iocb >= cb && iocb < cb + TOTAL);
	CHECK_EQ(atomic_fetch_add(&seen[iocb - cb], 1), 0);
	atomic_fetch_add(&reaped, 1);
}

static void note_all(const struct io_event *events, int n)
{
	CHECK(n >= 0 && n <= 8);
	for (int i = 0; i < n; i++)
		note(ctx, events[i].obj, (long)events[i].res, (long)events[i].res2);
}

static void *wait_for_events(void *unused)
{
	struct io_event events[8];
	struct timespec wait = { 0, 5000000 };

	(void)unused;
	while (atomic_load(&reaped) < TOTAL)
		note_all(events, io_getevents(ctx, 2, 8, events, &wait));
	return NULL;
}

static void *poll_for_events(void *unused)
{
	struct io_event events[8];
	struct timespec no_wait = { 0, 0 };

	(void)unused;
	while (atomic_load(&reaped) < TOTAL)
		note_all(events, io_getevents(ctx, 0, 3, events, &no_wait));
	return NULL;
}

static void *wait_with_mask(void *unused)
{
	struct io_event events[8];
	struct timespec wait = { 0, 5000000 };
	sigset_t none;

	(void)unused;
	sigemptyset(&none);
	while (atomic_load(&reaped) < TOTAL)
		note_all(events, io_pgetevents(ctx, 1, 8, events, &wait, &none));
	return NULL;
}

static void *run_queue(void *unused)
{
	(void)unused;
	while (atomic_load(&reaped) < TOTAL)
		CHECK_EQ(io_queue_run(ctx), 0);
	return NULL;
}

static void *submit(void *unused)
{
	int i;

	(void)unused;
	while ((i = atomic_fetch_add(&next, 1)) < TOTAL) {
		int n;
		while ((n = io_poll(ctx, &cb[i], note, ready, POLLIN)) == -EAGAIN)
			sched_yield();
		CHECK_EQ(n, 1);
	}
	return NULL;
}

int main(void)
{
	void *(*roles[6])(void *) = { wait_for_events, poll_for_events, wait_with_mask,
		                      run_queue,       submit,          submit };
	pthread_t threads[6];

	ready = eventfd(1, 0);
	CHECK(ready >= 0);
	ctx = new_context(64);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, roles[i], NULL), 0);
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	EXPECT("delivered", atomic_load(&reaped), TOTAL);
	EXPECT("none left", io_queue_run(ctx), 0);
	EXPECT("delivered", atomic_load(&reaped), TOTAL);
	return 0;
}
