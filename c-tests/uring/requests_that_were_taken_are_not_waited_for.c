/* A thread is held up on its way into the kernel with a request. Another submits meanwhile, and its call
   takes the first one's request along (io_uring has one queue for both). The first one's call ends at
   once all the same, without a sleep. */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <pthread.h>

static io_context_t ctx;
static int ready;

static void *submits(void *iocb)
{
	use(ctx, ready);
	naps = 0;
	held_up_before = SUBMISSION;
	submit(ctx, iocb);
	CHECK_EQ(held_up_before, NONE);
	CHECK_EQ(naps, 0);
	return NULL;
}

int main(void)
{
	struct iocb first, second;
	struct io_event events[2];
	pthread_t thread;

	alarm(60); /* for the case that the thread sleeps on */
	prepare_to_hold_up();
	ready = eventfd(1, 0);
	ctx = new_context(8);
	for (int i = 0; i < 100; i++) {
		io_prep_poll(&first, ready, POLLIN);
		io_prep_poll(&second, ready, POLLIN);
		use(ctx, ready);
		CHECK_EQ(pthread_create(&thread, NULL, submits, &first), 0);
		CHECK_EQ(sem_wait(&about_to_enter), 0);
		submit(ctx, &second);
		CHECK_EQ(sem_post(&go_on), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(io_getevents(ctx, 2, 2, events, NULL), 2);
		CHECK(events[0].obj != events[1].obj);
	}
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(ready), 0);
	return 0;
}
