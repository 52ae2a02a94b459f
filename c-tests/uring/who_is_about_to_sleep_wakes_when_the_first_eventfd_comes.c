/* A thread that wants several events is held up on its way into the kernel. Meanwhile another asks for
   notification by an eventfd, the first of the context, and all but one of the events come: from there
   on another thread takes completions off the queue (src/uring/pump.rs), which counts no longer what the
   first one waits for. It gets its events all the same; and where more are wanted than come, its time's
   end. */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <pthread.h>

enum { WANTED = 6 };

static io_context_t ctx;

static void *waits(void *timeout)
{
	struct io_event events[WANTED];

	held_up_before = SLEEP;
	return (void *)(intptr_t)io_getevents(ctx, WANTED, WANTED, events, timeout);
}

/* How many events the thread gets where so many come. */
static void run(int come, struct timespec *timeout)
{
	int ready = eventfd(1, 0), notified = eventfd(0, EFD_SEMAPHORE);
	struct iocb requests[WANTED];
	pthread_t thread;
	uint64_t one;
	void *answer;

	ctx = new_context(64);
	CHECK_EQ(pthread_create(&thread, NULL, waits, timeout), 0);
	CHECK_EQ(sem_wait(&about_to_enter), 0);
	for (int i = 0; i < come; i++) {
		if (i == WANTED - 1)
			CHECK_EQ(sem_post(&go_on), 0);
		io_prep_poll(&requests[i], ready, POLLIN);
		io_set_eventfd(&requests[i], notified);
		submit(ctx, &requests[i]);
		CHECK_EQ(read(notified, &one, sizeof(one)), sizeof(one));
	}
	if (come < WANTED)
		CHECK_EQ(sem_post(&go_on), 0);
	CHECK_EQ(pthread_join(thread, &answer), 0);
	CHECK_EQ((intptr_t)answer, come);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(ready), 0);
	CHECK_EQ(close(notified), 0);
}

int main(void)
{
	struct timespec soon = { 0, 50000000 };

	alarm(60); /* for the case that the thread sleeps on */
	prepare_to_hold_up();
	for (int i = 0; i < 20; i++) {
		run(WANTED, NULL);
		run(WANTED - 1, &soon);
	}
	return 0;
}
