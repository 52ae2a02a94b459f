/* Four threads with a context of their own each and one for all, which submit and take 500 times on
   either; the other takes what comes. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { THREADS = 4, ROUNDS = 500 };

static io_context_t shared;

static void *works(void *unused)
{
	io_context_t own = new_context(1);
	struct iocb request, *list[1] = { &request };
	struct io_event event;

	(void)unused;
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(run_one(own, &request), POLLIN);
		CHECK_EQ(io_submit(shared, 1, list), 1);
		CHECK_EQ(io_getevents(shared, 1, 1, &event, NULL), 1);
	}
	CHECK_EQ(io_destroy(own), 0);
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	shared = new_context(THREADS);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, works, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	return 0;
}
