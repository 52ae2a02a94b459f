/* Where an event is ready and the mask lets a pending signal in, io_pgetevents gives the event, and
   the handler has run by its return: a program that never runs out of events still gets its
   signals. */
#define _GNU_SOURCE
#include "signals.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(3);
	int fd = eventfd(1, 0);
	struct timespec no_wait = { 0, 0 }, wait = { 10, 0 };
	struct iocb cb[3], *list[3] = { &cb[0], &cb[1], &cb[2] };
	struct io_event event;
	sigset_t none;

	CHECK(fd >= 0);
	sigemptyset(&none);
	count_signal(SIGUSR1, 0);
	block(SIGUSR1);
	for (int i = 0; i < 3; i++)
		io_prep_poll(&cb[i], fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 3, list), 3);

	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("no timeout", io_pgetevents(ctx, 1, 1, &event, NULL, &none), 1);
	EXPECT("runs", runs, 1);
	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("10 s", io_pgetevents(ctx, 1, 1, &event, &wait, &none), 1);
	EXPECT("runs", runs, 2);
	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("zero timeout", io_pgetevents(ctx, 1, 1, &event, &no_wait, &none), 1);
	EXPECT("runs", runs, 3);
	return 0;
}
