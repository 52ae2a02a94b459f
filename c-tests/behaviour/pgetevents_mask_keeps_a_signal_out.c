/* io_pgetevents with a mask that holds a signal back waits its timeout out while the signal comes
   (0, not -EINTR); the signal is let in again afterwards. */
#define _GNU_SOURCE
#include "signals.h"

#include <sys/time.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	struct itimerval tick = { { 0, 5000 }, { 0, 5000 } };
	struct timespec wait = { 0, 100000000 };
	struct io_event event;
	sigset_t alarms, now;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	count_signal(SIGALRM, 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &tick, NULL), 0);
	EXPECT("held back", io_pgetevents(ctx, 1, 1, &event, &wait, &alarms), 0);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	EXPECT("blocked after", sigismember(&now, SIGALRM), 0);
	EXPECT("NULL mask", io_pgetevents(ctx, 1, 1, &event, NULL, NULL), -EINTR);
	CHECK(runs > 0);
	return 0;
}
