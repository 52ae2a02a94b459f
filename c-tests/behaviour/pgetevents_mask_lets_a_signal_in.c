/* io_pgetevents with a mask that lets a blocked, pending signal in: its handler runs once, the
   answer is -EINTR, and the signal is blocked again afterwards. */
#define _GNU_SOURCE
#include "check.h"

#include <signal.h>

static volatile sig_atomic_t runs;

static void count(int signal)
{
	(void)signal;
	runs++;
}

int main(void)
{
	io_context_t ctx = new_context(1);
	struct sigaction action = { .sa_handler = count, .sa_flags = SA_RESTART };
	struct io_event event;
	sigset_t usr1, none, now;

	sigemptyset(&none);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &usr1, NULL), 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("runs before", runs, 0);
	EXPECT("pgetevents", io_pgetevents(ctx, 1, 1, &event, NULL, &none), -EINTR);
	EXPECT("runs after", runs, 1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	EXPECT("blocked again", sigismember(&now, SIGUSR1), 1);
	return 0;
}
