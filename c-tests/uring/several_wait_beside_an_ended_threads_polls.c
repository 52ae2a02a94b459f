/* Threads that wait at once, some with a timeout, get the events of polls whose thread has ended: who finds
 * one that is to be submitted anew gets its turn to do that. */
#include "uring.h"

#include <pthread.h>
#include <stdatomic.h>

#define POLLS 32
#define WAITERS 3

static io_context_t ctx;
static int pipes[POLLS][2];
static struct iocb polls[POLLS];
static atomic_int seen[POLLS], taken;

static void *submits_and_ends(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < POLLS; i++) {
		io_prep_poll(&polls[i], pipes[i][0], POLLIN);
		submit(ctx, &polls[i]);
	}
	return NULL;
}

static void *waits(void *unused)
{
	struct io_event event;

	(void)unused;
	while (atomic_load(&taken) < POLLS) {
		struct timespec moment = { 0, 2000000 };
		int n = io_getevents(ctx, 1, 1, &event, &moment);

		CHECK(n == 0 || n == 1);
		if (n == 1) {
			CHECK(event.res & POLLIN);
			CHECK_EQ(atomic_fetch_add(&seen[event.obj - polls], 1), 0);
			atomic_fetch_add(&taken, 1);
		}
	}
	return NULL;
}

static void round_of_polls(void)
{
	pthread_t waiters[WAITERS], submitter;
	int i;

	ctx = new_context(POLLS);
	taken = 0;
	for (i = 0; i < POLLS; i++) {
		CHECK_EQ(pipe(pipes[i]), 0);
		seen[i] = 0;
	}
	for (i = 0; i < WAITERS; i++)
		CHECK_EQ(pthread_create(&waiters[i], NULL, waits, NULL), 0);
	CHECK_EQ(pthread_create(&submitter, NULL, submits_and_ends, NULL), 0);
	CHECK_EQ(pthread_join(submitter, NULL), 0);
	for (i = 0; i < POLLS; i++)
		CHECK_EQ(write(pipes[i][1], "x", 1), 1);
	for (i = 0; i < WAITERS; i++)
		CHECK_EQ(pthread_join(waiters[i], NULL), 0);
	for (i = 0; i < POLLS; i++)
		CHECK(close(pipes[i][0]) == 0 && close(pipes[i][1]) == 0);
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	int i;

	for (i = 0; i < 50; i++)
		round_of_polls();
	return 0;
}
