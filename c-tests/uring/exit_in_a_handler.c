/* What was submitted before is written where a signal handler calls exit(3): above an io_submit that is about to hold a
   file for an fsync, and above an exit that waits. (exit may not be called there, by POSIX; programs do.) */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <signal.h>

enum { BLOCK = 4096, WRITES = 100 };

static char bytes[BLOCK];
static int fd, submitted;

static void exits(int unused)
{
	(void)unused;
	exit(0);
}

static void submits(io_context_t ctx)
{
	static struct iocb writes[WRITES];

	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&writes[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		submit(ctx, &writes[i]);
	}
}

static void exits_above_io_submit(void)
{
	io_context_t ctx = new_context(WRITES + 2);
	struct iocb poll, sync;
	int unread[2];

	/* What never ends is not waited for. */
	CHECK_EQ(pipe(unread), 0);
	io_prep_poll(&poll, unread[0], POLLIN);
	submit(ctx, &poll);
	submits(ctx);
	io_prep_fsync(&sync, fd);
	raised_before = HOLD;
	submit(ctx, &sync);
	exit(0);
}

static void exits_above_exit(void)
{
	submits(new_context(WRITES));
	CHECK_EQ(eventfd_write(submitted, 1), 0);
	exit(0);
}

static void child_does(void (*ends)(void), int signal_later)
{
	pid_t child;

	fd = new_file(0, O_DSYNC);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		alarm(30);
		CHECK(signal(SIGTERM, exits) != SIG_ERR);
		ends();
	}
	if (signal_later) {
		CHECK_EQ(eventfd_read(submitted, &(eventfd_t){ 0 }), 0);
		usleep(1000);
		CHECK_EQ(kill(child, SIGTERM), 0);
	}
	succeeded(child);
	CHECK_EQ(lseek(fd, 0, SEEK_END), (off_t)BLOCK * WRITES);
	CHECK_EQ(close(fd), 0);
}

int main(void)
{
	submitted = eventfd(0, 0);
	for (int i = 0; i < 5; i++) {
		child_does(exits_above_io_submit, 0);
		child_does(exits_above_exit, 1);
	}
	return 0;
}
