/* io_pgetevents with a NULL mask takes events as io_getevents does, and lets no blocked signal
   in. */
#define _GNU_SOURCE
#include "signals.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(4);
	int fd = eventfd(1, 0);
	struct timespec no_wait = { 0, 0 }, short_wait = { 0, 1000000 };
	struct iocb cb[4], *list[4] = { &cb[0], &cb[1], &cb[2], &cb[3] };
	struct io_event events[4];

	CHECK(fd >= 0);
	count_signal(SIGUSR1, 0);
	block(SIGUSR1);
	CHECK_EQ(raise(SIGUSR1), 0);
	EXPECT("none, 1 ms", io_pgetevents(ctx, 1, 4, events, &short_wait, NULL), 0);
	EXPECT("none, no wait", io_pgetevents(ctx, 1, 4, events, &no_wait, NULL), 0);
	for (int i = 0; i < 4; i++)
		io_prep_poll(&cb[i], fd, POLLIN);
	CHECK_EQ(io_submit(ctx, 4, list), 4);
	EXPECT("one", io_pgetevents(ctx, 1, 1, events, NULL, NULL), 1);
	CHECK(events[0].obj == &cb[0]);
	EXPECT("two, 1 ms", io_pgetevents(ctx, 4, 4, events, &short_wait, NULL), 3);
	CHECK(events[2].obj == &cb[3]);
	EXPECT("min_nr > nr", io_pgetevents(ctx, 2, 1, events, NULL, NULL), -EINVAL);
	EXPECT("NULL context", io_pgetevents(NULL, 1, 1, events, NULL, NULL), -EINVAL);
	EXPECT("runs", runs, 0);
	return 0;
}
