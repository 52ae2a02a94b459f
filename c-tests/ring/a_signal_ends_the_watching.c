/* Run with LIBAIO_SPIN_US=1000000: a signal that is handled while a call watches the ring ends the
   call as it would end the sleep, with EINTR or the events that are there; one that is ignored does
   not. */
#define _GNU_SOURCE
#include "counted.h"

#include <pthread.h>
#include <signal.h>

static pthread_t waiter;
static int fd, sent;
static volatile sig_atomic_t handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void *send(void *with_an_event)
{
	const struct timespec soon = { 0, 5000000 };
	uint64_t one = 1;

	nanosleep(&soon, NULL);
	CHECK_EQ(pthread_kill(waiter, sent), 0);
	nanosleep(&soon, NULL);
	if (with_an_event)
		CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
	return NULL;
}

/* The answer to a call that waits for `least` events while the signal comes, and then, maybe, one. */
static int wait_for(io_context_t ctx, long least, int number, int with_an_event)
{
	struct timespec minute = { 60, 0 };
	struct io_event events[2];
	pthread_t thread;
	int n;

	sent = number;
	handled = 0;
	CHECK_EQ(pthread_create(&thread, NULL, send, with_an_event ? &fd : NULL), 0);
	errno = 0;
	n = io_getevents(ctx, least, 2, events, with_an_event ? &minute : NULL);
	CHECK_EQ(errno, n < 0 ? -n : 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	return n;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct iocb iocb, *list[1] = { &iocb };
	/* A context each: what came of a wait decides whether the next is watched. */
	io_context_t empty = new_context(16), one_ready = new_context(16),
		     ignoring = new_context(16);
	sigset_t none, now;

	waiter = pthread_self();
	sigemptyset(&none);
	CHECK_EQ(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	refuse_system_calls();

	CHECK_EQ(wait_for(empty, 1, SIGUSR1, 0), -EINTR);
	CHECK_EQ(handled, 1);

	make_ready(one_ready, 1);
	CHECK_EQ(wait_for(one_ready, 2, SIGUSR1, 0), 1);
	CHECK_EQ(handled, 1);

	fd = eventfd(0, 0);
	io_prep_poll(&iocb, fd, POLLIN);
	CHECK_EQ(io_submit(ignoring, 1, list), 1);
	CHECK_EQ(wait_for(ignoring, 1, SIGWINCH, 1), 1); /* ignored by default */

	CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	for (int number = 1; number < 32; number++)
		CHECK_EQ(sigismember(&now, number), 0);
	CHECK_EQ(io_destroy(empty), 0);
	CHECK_EQ(io_destroy(one_ready), 0);
	CHECK_EQ(io_destroy(ignoring), 0);
	return 0;
}
