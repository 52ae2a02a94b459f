/* A handler that interrupted a reap and waits for an event of the same context, which comes only
   after another thread's call on that context has returned: that call gets through, whatever the
   instruction; a handler that waits does not keep others out for ever. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/eventfd.h>

static io_context_t ctx;
static struct iocb cb;
static int event_fd, handler_took, other_took, interrupted;
static sem_t in_handler, go_on;

static void handler(void)
{
	struct io_event event;
	int n;

	sem_post(&in_handler);
	n = io_getevents(ctx, 1, 1, &event, NULL);
	CHECK(n == 1 || n == -EINTR);
	handler_took = n == 1;
	interrupted += n == -EINTR;
}

static void *other(void *unused)
{
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	uint64_t one = 1;
	int n;

	(void)unused;
	CHECK_EQ(sem_wait(&in_handler), 0);
	n = io_getevents(ctx, 0, 1, &event, &no_wait);
	CHECK_EQ(n, 0);
	CHECK_EQ(write(event_fd, &one, sizeof(one)), sizeof(one));
	CHECK_EQ(sem_wait(&go_on), 0);
	n = io_getevents(ctx, 0, 1, &event, &no_wait);
	CHECK(n == 0 || n == 1);
	other_took = n == 1;
	return NULL;
}

int main(void)
{
	struct timespec no_wait = { 0, 0 };
	int at = 0, came_in;

	event_fd = eventfd(0, 0);
	CHECK(event_fd >= 0);
	CHECK_EQ(sem_init(&in_handler, 0, 0), 0);
	CHECK_EQ(sem_init(&go_on, 0, 0), 0);
	ctx = new_context(1);
	io_prep_poll(&cb, event_fd, POLLIN);
	step_prepare();
	do {
		struct iocb *one = &cb;
		struct io_event event;
		pthread_t thread;
		uint64_t count;
		int n;

		handler_took = other_took = 0;
		CHECK_EQ(io_submit(ctx, 1, &one), 1);
		CHECK_EQ(pthread_create(&thread, NULL, other, NULL), 0);
		STEPPING(at, handler, n = io_getevents(ctx, 0, 1, &event, &no_wait));
		came_in = step_came_in();
		CHECK(n == 0 || n == 1);
		if (!came_in)
			sem_post(&in_handler);
		sem_post(&go_on);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		/* The event of this round: whoever took it, it was one. */
		n += handler_took + other_took;
		n += io_getevents(ctx, 0, 1, &event, &no_wait);
		CHECK_EQ(n, 1);
		CHECK_EQ(read(event_fd, &count, sizeof(count)), sizeof(count));
		at++;
	} while (came_in);
	/* Somewhere in between the gate was held: the handler gave way. */
	CHECK(interrupted > 0);
	return 0;
}
