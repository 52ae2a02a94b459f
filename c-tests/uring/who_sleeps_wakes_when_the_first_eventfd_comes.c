/* A thread that waits for events is woken by one that asks for notification by an eventfd, the first of
   its context: from there on another thread takes completions off the queue (src/uring/pump.rs). */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static io_context_t ctx;
static volatile int waiter;

static void *waits(void *with_mask)
{
	struct io_event event;
	sigset_t none;

	sigemptyset(&none);
	waiter = (int)syscall(SYS_gettid);
	CHECK_EQ(with_mask != NULL ? io_pgetevents(ctx, 1, 1, &event, NULL, &none)
	                           : io_getevents(ctx, 1, 1, &event, NULL),
	         1);
	CHECK_EQ(event.res, POLLIN);
	return NULL;
}

int main(void)
{
	int ready = eventfd(1, 0), notified = eventfd(0, 0);
	struct iocb iocb;

	alarm(60); /* for the case that the thread sleeps on */
	for (int i = 0; i < 400; i++) {
		pthread_t thread;

		ctx = new_context(64);
		waiter = 0;
		CHECK_EQ(pthread_create(&thread, NULL, waits, i % 4 != 0 ? &ctx : NULL), 0);
		while (waiter == 0)
			sched_yield();
		wait_until_asleep(waiter);
		io_prep_poll(&iocb, ready, POLLIN);
		io_set_eventfd(&iocb, notified);
		submit(ctx, &iocb);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(io_destroy(ctx), 0);
	}
	return 0;
}
