/* A process that has begun to count, and whose child counts by a clock that is two days ahead. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

int main(void)
{
	static const char days[] = "monotonic 172800 0\n";
	io_context_t ctx = new_context(1);
	struct iocb request;
	int fd, status;
	pid_t pid;

	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	CHECK_EQ(run_one(ctx, &request), POLLIN);
	CHECK_EQ(unshare(CLONE_NEWTIME), 0);
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	CHECK_EQ(write(fd, days, sizeof(days) - 1), sizeof(days) - 1);
	CHECK_EQ(close(fd), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		ctx = new_context(2);
		for (int i = 0; i < 1000; i++)
			CHECK_EQ(run_one(ctx, &request), POLLIN);
		exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	return 0;
}
