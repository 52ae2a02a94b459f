/* Two threads, each in a handler that interrupted a reap, each wanting the context that the other
   was reaping: neither waits for ever, at whatever instructions the two were interrupted, and each
   event comes once. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

static io_context_t ctx[2];
static struct iocb cb[2];
static int seen[2], ready_fd, waits;
static pthread_barrier_t both;
static __thread int me;

static void take(int whose)
{
	struct timespec no_wait = { 0, 0 }, wait = { 0, 2000000 };
	struct io_event event;
	int n = io_getevents(ctx[whose], waits, 1, &event, waits ? &wait : &no_wait);

	CHECK(n == 0 || n == 1 || n == -EINTR);
	if (n == 1) {
		CHECK(event.obj == &cb[whose]);
		__atomic_fetch_add(&seen[whose], 1, __ATOMIC_RELAXED);
	}
}

static void handler(void)
{
	pthread_barrier_wait(&both);
	take(!me);
}

struct place {
	int me, at, came_in;
};

static void *reaper(void *argument)
{
	struct place *place = argument;
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	int n;

	me = place->me;
	STEPPING(place->at, handler, n = io_getevents(ctx[me], 0, 1, &event, &no_wait));
	place->came_in = step_came_in();
	if (!place->came_in)
		handler(); /* outside any reap, so that the other has company */
	CHECK(n == 0 || n == 1);
	if (n == 1)
		__atomic_fetch_add(&seen[me], 1, __ATOMIC_RELAXED);
	return NULL;
}

static int cross(int at, int apart)
{
	struct place places[2] = { { 0, at, 0 }, { 1, at + apart, 0 } };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		struct iocb *one = &cb[i];
		CHECK_EQ(io_submit(ctx[i], 1, &one), 1);
		seen[i] = 0;
	}
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, reaper, &places[i]), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	waits = 0;
	for (int i = 0; i < 2; i++) {
		take(i);
		CHECK_EQ(seen[i], 1);
	}
	return places[0].came_in;
}

int main(void)
{
	ready_fd = eventfd(1, 0);
	CHECK(ready_fd >= 0);
	CHECK_EQ(pthread_barrier_init(&both, NULL, 2), 0);
	for (int i = 0; i < 2; i++) {
		ctx[i] = new_context(1);
		io_prep_poll(&cb[i], ready_fd, POLLIN);
	}
	step_prepare();
	for (int waiting = 0; waiting < 2; waiting++)
		for (int apart = -8; apart <= 8; apart += 4)
			for (int at = 8;; at += step_by()) {
				waits = waiting;
				if (!cross(at, apart))
					break;
			}
	return 0;
}
