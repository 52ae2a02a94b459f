/* A signal that is pending keeps the kernel from making a worker for a thread: what a thread submits
   first is carried out all the same, under a fast timer; and what the child of one that has submitted does. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static io_context_t ctx;
static int fd;

static void on_alarm(int signal)
{
	(void)signal;
}

/* Few system calls: one that is interrupted begins anew. */
static void *sync_once(void *unused)
{
	struct itimerval fast = { { 0, 20 }, { 0, 20 } }, stop = { { 0, 0 }, { 0, 0 } };
	struct iocb cb, *list[] = { &cb };
	struct io_event event;
	sigset_t alarm;
	int n;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &alarm, NULL), 0);
	io_prep_fsync(&cb, fd);
	CHECK_EQ(setitimer(ITIMER_REAL, &fast, NULL), 0);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	while ((n = io_getevents(ctx, 1, 1, &event, NULL)) == -EINTR)
		continue;
	CHECK_EQ(setitimer(ITIMER_REAL, &stop, NULL), 0);
	CHECK_EQ(n, 1);
	CHECK_EQ((long)event.res, 0);
	return unused;
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	sigset_t alarm;

	ctx = new_context(8);
	fd = new_file(4096, 0);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &alarm, NULL), 0);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;

		CHECK_EQ(pthread_create(&thread, NULL, sync_once, NULL), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	use(ctx, eventfd(1, 0));
	for (int i = 0; i < 200; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			ctx = new_context(8);
			sync_once(NULL);
			_exit(0);
		}
		succeeded(child);
	}
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
