/* A signal ends a wait for more events than come: those that came before it are the answer. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/timerfd.h>

enum { POLLS = 4, READY = 2 };

static void handler(int signal)
{
	(void)signal;
}

int main(void)
{
	io_context_t ctx = new_context(POLLS);
	struct sigaction action = { .sa_handler = handler };
	struct iocb cbs[POLLS], *list[POLLS];
	struct io_event events[POLLS];
	int i;

	for (i = 0; i < POLLS; i++) {
		/* Two while the call sleeps, the others never. */
		struct itimerspec soon = { .it_value = { 0, 100000000 } };
		int fd = timerfd_create(CLOCK_MONOTONIC, 0);

		CHECK(fd >= 0);
		if (i < READY)
			CHECK_EQ(timerfd_settime(fd, 0, &soon, NULL), 0);
		io_prep_poll(&cbs[i], fd, POLLIN);
		list[i] = &cbs[i];
	}
	CHECK_EQ(io_submit(ctx, POLLS, list), POLLS);
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	alarm(1);
	EXPECT("before the signal", io_getevents(ctx, POLLS, POLLS, events, NULL), READY);
	for (i = 0; i < READY; i++)
		CHECK(events[i].obj == &cbs[0] || events[i].obj == &cbs[1]);
	/* With none it is EINTR. */
	alarm(1);
	EXPECT("without any", io_getevents(ctx, POLLS - READY, POLLS, events, NULL), -EINTR);
	return io_destroy(ctx);
}
