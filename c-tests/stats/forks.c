/* A process with children that count by themselves, or make no call, or end by _exit. Prints who is who. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

static void polls(io_context_t ctx, int n)
{
	struct iocb request;

	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < n; i++)
		CHECK_EQ(run_one(ctx, &request), POLLIN);
}

static void child(const char *name, void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		body();
		exit(0);
	}
	printf("%s %d\n", name, (int)pid);
	fflush(stdout);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void counts(void)
{
	polls(new_context(2), 2);
}

static void idles(void)
{
}

/* What was not reported before is lost. */
static void hurries(void)
{
	io_context_t ctx = new_context(2);

	polls(ctx, 4);
	CHECK_EQ(io_destroy(ctx), 0);
	polls(new_context(2), 5);
	_exit(0);
}

int main(void)
{
	io_context_t ctx = new_context(2);

	printf("parent %d\n", (int)getpid());
	fflush(stdout);
	polls(ctx, 3);
	child("counts", counts);
	child("idles", idles);
	child("hurries", hurries);
	polls(ctx, 1);
	return 0;
}
