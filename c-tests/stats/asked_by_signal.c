/* Sends itself SIGUSR2 after 5 requests, then ends by _exit. With an argument it handles that signal by
   itself, before the library's first call. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

static volatile sig_atomic_t handled;

static void handler(int signal)
{
	(void)signal;
	handled = 1;
}

int main(int argc, char **argv)
{
	struct iocb request;
	io_context_t ctx;

	(void)argv;
	if (argc > 1)
		CHECK(signal(SIGUSR2, handler) != SIG_ERR);
	ctx = new_context(1);
	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < 5; i++)
		CHECK_EQ(run_one(ctx, &request), POLLIN);
	errno = ENOTNAM;
	CHECK_EQ(raise(SIGUSR2), 0);
	CHECK_EQ(errno, ENOTNAM);
	CHECK_EQ(handled, argc > 1);
	_exit(0);
}
