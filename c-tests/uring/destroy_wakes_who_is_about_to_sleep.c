/* A thread that wants several events is held up on its way into the kernel, and another destroys the
   context meanwhile: the first one's call ends. Also beside requests that are in flight, and where there
   is an eventfd. */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <pthread.h>

static io_context_t ctx;
static int never, in_flight;

static void *waits(void *unused)
{
	struct io_event events[2];
	struct iocb requests[2];

	(void)unused;
	for (int i = 0; i < in_flight; i++) {
		io_prep_poll(&requests[i], never, POLLIN);
		submit(ctx, &requests[i]);
	}
	held_up_before = SLEEP;
	return (void *)(intptr_t)io_getevents(ctx, 2, 2, events, NULL);
}

static void run(int requests, int notified)
{
	struct iocb one;
	pthread_t thread;
	void *answer;

	never = eventfd(0, 0);
	in_flight = requests;
	ctx = new_context(8);
	CHECK_EQ(pthread_create(&thread, NULL, waits, NULL), 0);
	CHECK_EQ(sem_wait(&about_to_enter), 0);
	if (notified >= 0) {
		io_prep_poll(&one, never, POLLIN);
		io_set_eventfd(&one, notified);
		submit(ctx, &one);
	}
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(sem_post(&go_on), 0);
	CHECK_EQ(pthread_join(thread, &answer), 0);
	CHECK_EQ((intptr_t)answer, -EINVAL);
	CHECK_EQ(close(never), 0);
}

int main(void)
{
	int notified = eventfd(0, 0);

	alarm(60); /* for the case that the thread sleeps on */
	prepare_to_hold_up();
	for (int i = 0; i < 20; i++) {
		run(0, -1);
		run(2, -1);
		run(0, notified);
	}
	return 0;
}
