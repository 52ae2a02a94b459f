/* A handler that ends the process by exit(3) at any instruction of an io_submit or of a reap: it ends, and what
   was submitted before the reap is written. */
#define _GNU_SOURCE
#include "step.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

enum { BLOCK = 65536, WRITES = 4, NOT_INTERRUPTED = 7 };

static int fd;
static char *bytes;

static void handler(void)
{
	exit(0);
}

/* In a process of its own. */
static void interrupted(int reaps, int at)
{
	struct iocb cb[WRITES + 3], *list[WRITES + 3], *last = &cb[WRITES + 2];
	io_context_t ctx = new_context(WRITES + 3);
	struct io_event event;
	int answer;

	alarm(20);
	for (int i = 0; i < WRITES + 3; i++) {
		io_prep_pwrite(&cb[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &cb[i];
	}
	io_prep_poll(&cb[WRITES], eventfd(1, 0), POLLIN);
	io_prep_poll(&cb[WRITES + 1], eventfd(0, 0), POLLIN);
	CHECK_EQ(io_submit(ctx, WRITES + 2, list), WRITES + 2);
	step_prepare();
	if (reaps)
		STEPPING(at, handler, answer = io_getevents(ctx, 1, 1, &event, NULL));
	else
		STEPPING(at, handler, answer = io_submit(ctx, 1, &last));
	CHECK_EQ(answer, 1);
	exit(NOT_INTERRUPTED);
}

/* Every `stride`th is tried. */
static void holds(int reaps, int stride)
{
	char *read = malloc(BLOCK);
	int at = 0, status;

	CHECK(read != NULL);
	do {
		pid_t child;

		CHECK_EQ(ftruncate(fd, 0), 0);
		child = fork();
		CHECK(child >= 0);
		if (child == 0)
			interrupted(reaps, at);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(status == 0 || status == NOT_INTERRUPTED << 8);
		for (int i = 0; reaps && i < WRITES; i++) {
			CHECK_EQ(pread(fd, read, BLOCK, (off_t)i * BLOCK), BLOCK);
			CHECK(memcmp(read, bytes, BLOCK) == 0);
		}
		at += stride;
	} while (status == 0);
	CHECK(at > 2 * stride);
	free(read);
}

int main(void)
{
	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	memset(bytes, 'x', BLOCK);
	fd = new_file(0, 0);
	holds(0, 13);
	holds(1, 53);
	return 0;
}
