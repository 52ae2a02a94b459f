/* Of several who wait exclusively for an eventfd, each event wakes one: as many as there are events come together. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { WORKERS = 4, ROUNDS = 10 };

static int counted;
static pthread_barrier_t all;

static void *works(void *unused)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	int epoll = epoll_create1(0);

	CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, counted, &event), 0);
	pthread_barrier_wait(&all);
	for (int round = 0; round < ROUNDS;) {
		eventfd_t one;

		CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
		if (eventfd_read(counted, &one) != 0)
			continue;
		/* Until each of the others has one as well. */
		pthread_barrier_wait(&all);
		pthread_barrier_wait(&all);
		round++;
	}
	return unused;
}

int main(void)
{
	io_context_t ctx = new_context(WORKERS);
	struct iocb cb[WORKERS], *list[WORKERS];
	struct io_event events[WORKERS];
	pthread_t threads[WORKERS];
	int pipes[2];

	alarm(30);
	counted = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(pthread_barrier_init(&all, NULL, WORKERS + 1), 0);
	for (int i = 0; i < WORKERS; i++) {
		CHECK_EQ(pthread_create(&threads[i], NULL, works, NULL), 0);
		io_prep_poll(&cb[i], pipes[0], POLLIN);
		io_set_eventfd(&cb[i], counted);
		list[i] = &cb[i];
	}
	pthread_barrier_wait(&all);
	for (int round = 0; round < ROUNDS; round++) {
		char byte;

		usleep(5000); /* until they sleep */
		CHECK_EQ(io_submit(ctx, WORKERS, list), WORKERS);
		CHECK_EQ(write(pipes[1], "x", 1), 1);
		CHECK_EQ(io_getevents(ctx, WORKERS, WORKERS, events, NULL), WORKERS);
		pthread_barrier_wait(&all);
		CHECK_EQ(read(pipes[0], &byte, 1), 1);
		pthread_barrier_wait(&all);
	}
	EXPECT("rounds", ROUNDS, 10);
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	return 0;
}
