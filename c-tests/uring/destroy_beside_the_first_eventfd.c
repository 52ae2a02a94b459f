/* io_destroy comes to its end where others sleep until there are several events, another has just asked for
   notification by an eventfd, the first of the context, and requests of a file are in flight. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { ROUNDS = 3000, WAITERS = 2 };

static io_context_t ctx;
static pthread_barrier_t barrier;

static void *waits(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		struct io_event events[8];
		struct timespec time = { 0, 1000000 };

		pthread_barrier_wait(&barrier);
		io_getevents(ctx, 4, 8, events, &time);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(void)
{
	static char bytes[4096];
	int fd = new_file(64 * sizeof(bytes), 0), notified = eventfd(0, EFD_NONBLOCK);
	pthread_t threads[WAITERS];
	struct iocb cb[3], *list[] = { &cb[0], &cb[1], &cb[2] };

	alarm(100); /* for the case that it does not */
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, WAITERS + 1), 0);
	for (int i = 0; i < WAITERS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, waits, NULL), 0);
	srand(1);
	for (int i = 0; i < ROUNDS; i++) {
		ctx = new_context(32);
		pthread_barrier_wait(&barrier);
		usleep(rand() % 1100); /* before or after they sleep */
		io_prep_pwrite(&cb[0], fd, bytes, sizeof(bytes),
		               (long long)(i % 64) * (long long)sizeof(bytes));
		io_set_eventfd(&cb[0], notified);
		io_prep_fdsync(&cb[1], fd);
		io_prep_fdsync(&cb[2], fd);
		CHECK_EQ(io_submit(ctx, 3, list), 3);
		usleep(rand() % 300);
		CHECK_EQ(io_destroy(ctx), 0);
		pthread_barrier_wait(&barrier);
	}
	for (int i = 0; i < WAITERS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	return 0;
}
