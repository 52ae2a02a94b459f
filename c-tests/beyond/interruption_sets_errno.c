/* A wait that a signal handler ends returns -EINTR and sets errno to EINTR, whatever the handler
   left in it; so does io_pgetevents with a mask that lets a pending signal in. */
#define _GNU_SOURCE
#include "check.h"

#include <signal.h>
#include <sys/time.h>

static void disturb(int signal)
{
	(void)signal;
	errno = 4242;
}

int main(void)
{
	io_context_t ctx = new_context(1);
	struct sigaction action = { .sa_handler = disturb };
	struct itimerval tick = { { 0, 10000 }, { 0, 10000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct io_event event;
	sigset_t alarms, none;

	sigemptyset(&none);
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	/* Errno is read in a moment without further signals. */
	CHECK_EQ(sigprocmask(SIG_BLOCK, &alarms, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &tick, NULL), 0);
	for (int i = 0; i < 5; i++) {
		errno = 0;
		CHECK_EQ(io_pgetevents(ctx, 1, 1, &event, NULL, &none), -EINTR);
		CHECK_EQ(errno, EINTR);
	}
	CHECK_EQ(setitimer(ITIMER_REAL, &never, NULL), 0);
	return 0;
}
