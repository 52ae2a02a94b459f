/* io_pgetevents with a mask that lets a blocked, pending signal in: its handler runs once, the
   answer is -EINTR, and the signal is blocked again afterwards. */
#define _GNU_SOURCE
#include "signals.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	struct io_event event;
	sigset_t none, now;

	sigemptyset(&none);
	count_signal(SIGUSR1, SA_RESTART);
	block(SIGUSR1);
	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("runs before", runs, 0);
	EXPECT("pgetevents", io_pgetevents(ctx, 1, 1, &event, NULL, &none), -EINTR);
	EXPECT("runs after", runs, 1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	EXPECT("blocked again", sigismember(&now, SIGUSR1), 1);
	return 0;
}
