/* io_pgetevents with a zero timeout and nothing ready, too, lets in a pending signal that its mask
   lets in: -EINTR, and the handler has run. libaio looks at the ring alone and returns 0. */
#define _GNU_SOURCE
#include "signals.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	sigset_t none;

	sigemptyset(&none);
	count_signal(SIGUSR1, 0);
	block(SIGUSR1);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(io_pgetevents(ctx, 0, 1, &event, &no_wait, &none), -EINTR);
	CHECK_EQ(runs, 1);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(io_pgetevents(ctx, 1, 1, &event, &no_wait, &none), -EINTR);
	CHECK_EQ(runs, 2);
	CHECK_EQ(io_pgetevents(ctx, 1, 1, &event, &no_wait, &none), 0);
	return 0;
}
