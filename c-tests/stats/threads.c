/* Four threads with a context of their own each and one for all, which submit and take 500 times on
   either; the other takes what comes. With an argument, SIGUSR2 comes all the while. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

enum { THREADS = 4, ROUNDS = 500 };

static io_context_t shared;
static atomic_int at_work = THREADS;

static void *works(void *unused)
{
	io_context_t own = new_context(1);
	struct iocb request, *list[1] = { &request };
	struct io_event event;
	int n;

	(void)unused;
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK_EQ(run_one(own, &request), POLLIN);
		CHECK_EQ(io_submit(shared, 1, list), 1);
		do
			n = io_getevents(shared, 1, 1, &event, NULL);
		while (n == -EINTR);
		CHECK_EQ(n, 1);
	}
	CHECK_EQ(io_destroy(own), 0);
	at_work--;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	(void)argv;
	shared = new_context(THREADS);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, works, NULL), 0);
	while (argc > 1 && at_work > 0)
		CHECK_EQ(kill(getpid(), SIGUSR2), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	return 0;
}
