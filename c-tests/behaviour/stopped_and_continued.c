/* What a waiting call does when its process is stopped and continued: io_getevents answers EINTR,
   io_pgetevents goes on waiting, with a mask and without one. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Waits until the process is asleep in that system call, or in what the other engine makes of it. */
static void asleep_in(pid_t process, long call)
{
	long other = call == SYS_io_getevents ? SYS_io_uring_enter : SYS_ppoll;
	char name[64], text[64];

	snprintf(name, sizeof(name), "/proc/%d/syscall", (int)process);
	for (;;) {
		int fd = open(name, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);

		CHECK(fd >= 0 && n >= 0 && close(fd) == 0);
		text[n] = 0;
		/* "running", or the number of the call in which it sleeps. */
		long now = text[0] != 'r' ? strtol(text, NULL, 10) : -1;

		if (now == call || now == other)
			return;
		CHECK_EQ(waitpid(process, NULL, WNOHANG), 0);
		usleep(100);
	}
}

/* Stops and continues a child that waits; returns what its call answered. `masked` is 0 or 1 for
   io_pgetevents without or with a mask, -1 for io_getevents. */
static int stopped(int masked)
{
	int status, fd = eventfd(0, 0);
	uint64_t one = 1;
	pid_t child;

	CHECK(fd >= 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		io_context_t ctx = new_context(1);
		struct iocb cb, *list[] = { &cb };
		struct io_event event;
		sigset_t none;
		int n;

		alarm(60);
		sigemptyset(&none);
		io_prep_poll(&cb, fd, POLLIN);
		CHECK_EQ(io_submit(ctx, 1, list), 1);
		if (masked < 0)
			n = io_getevents(ctx, 1, 1, &event, NULL);
		else
			n = io_pgetevents(ctx, 1, 1, &event, NULL, masked ? &none : NULL);
		_exit(n < 0 ? -n : 100 + n);
	}
	asleep_in(child, masked < 0 ? SYS_io_getevents : SYS_io_pgetevents);
	CHECK_EQ(kill(child, SIGSTOP), 0);
	CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(kill(child, SIGCONT), 0);
	CHECK_EQ(write(fd, &one, sizeof(one)), sizeof(one));
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(close(fd), 0);
	return WEXITSTATUS(status) > 99 ? WEXITSTATUS(status) - 100 : -WEXITSTATUS(status);
}

int main(void)
{
	EXPECT("io_getevents", stopped(-1), -EINTR);
	EXPECT("io_pgetevents without a mask", stopped(0), 1);
	EXPECT("io_pgetevents with a mask", stopped(1), 1);
	return 0;
}
