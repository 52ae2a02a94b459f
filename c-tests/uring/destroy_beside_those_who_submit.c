/* io_destroy ends the polls of threads that submit at the same moment, and counts them in their eventfd:
   as many as were submitted. Nobody hangs. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 3, ROUNDS = 60, EACH = 8 };

static io_context_t ctx;
static int never, notified;
static atomic_long submitted;
static atomic_int running;

static void *submits(void *with_eventfd)
{
	struct iocb cbs[EACH], *list[EACH];
	int n;

	for (int i = 0; i < EACH; i++) {
		io_prep_poll(&cbs[i], never, POLLIN);
		if (with_eventfd != NULL)
			io_set_eventfd(&cbs[i], notified);
		list[i] = &cbs[i];
	}
	atomic_fetch_add(&running, 1);
	while ((n = io_submit(ctx, EACH, list)) > 0 || n == -EAGAIN)
		if (n > 0 && with_eventfd != NULL)
			atomic_fetch_add(&submitted, n);
	CHECK_EQ(n, -EINVAL);
	return NULL;
}

int main(void)
{
	never = eventfd(0, 0);
	notified = eventfd(0, EFD_NONBLOCK);
	alarm(120); /* for the case that one hangs */
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[THREADS];
		uint64_t count = 0;

		ctx = new_context(2000);
		atomic_store(&submitted, 0);
		atomic_store(&running, 0);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, submits,
			                        round % 2 != 0 ? &ctx : NULL),
			         0);
		while (atomic_load(&running) < THREADS)
			;
		CHECK_EQ(io_destroy(ctx), 0);
		for (int i = 0; i < THREADS; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		if (atomic_load(&submitted) > 0)
			CHECK_EQ(read(notified, &count, sizeof(count)), sizeof(count));
		CHECK_EQ(count, atomic_load(&submitted));
	}
	return 0;
}
