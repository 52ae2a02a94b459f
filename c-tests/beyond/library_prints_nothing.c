/* Neither success nor any failure makes the library write to stdout or stderr. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

static void nothing(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	(void)ctx;
	(void)iocb;
	(void)res;
	(void)res2;
}

/* Every function, well and badly; returns how many answers were errors. */
static int call_all(int fd)
{
	io_context_t ctx = NULL, bad = (io_context_t)(uintptr_t)0x1000;
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;
	struct timespec no_wait = { 0, 0 };
	int errors = 0;

	errors += io_setup(0, &ctx) < 0;
	errors += io_setup(0x7fffffff, &ctx) < 0;
	errors += io_setup(1, NULL) < 0;
	errors += io_queue_init(0, &ctx) < 0;
	errors += io_queue_init(1, NULL) < 0;
	errors += io_setup(1, &ctx) < 0;
	errors += io_submit(bad, 1, list) < 0;
	errors += io_submit(ctx, 1, NULL) < 0;
	errors += io_poll(ctx, &cb, nothing, -1, POLLIN) < 0;
	errors += io_poll(ctx, &cb, nothing, fd, POLLIN) < 0;
	errors += io_cancel(ctx, &cb, &event) < 0;
	errors += io_cancel(bad, &cb, &event) < 0;
	errors += io_getevents(ctx, 1, 1, NULL, NULL) < 0;
	errors += io_getevents(bad, 1, 1, &event, &no_wait) < 0;
	errors += io_pgetevents(bad, 1, 1, &event, &no_wait, NULL) < 0;
	errors += io_queue_run(bad) < 0;
	errors += io_queue_run(ctx) < 0;
	errors += io_queue_wait(bad, &no_wait) < 0;
	errors += io_queue_wait(ctx, &no_wait) < 0;
	errors += io_queue_release(bad) < 0;
	errors += io_destroy(ctx) < 0;
	errors += io_destroy(ctx) < 0;
	return errors;
}

int main(void)
{
	int fd = eventfd(1, 0), pipes[2], out = dup(1), err = dup(2), errors;
	char written[4096];
	ssize_t n;

	CHECK(fd >= 0 && out >= 0 && err >= 0);
	CHECK_EQ(pipe2(pipes, O_NONBLOCK), 0);
	CHECK(dup2(pipes[1], 1) == 1 && dup2(pipes[1], 2) == 2);
	errors = call_all(fd);
	fflush(NULL);
	CHECK(dup2(out, 1) == 1 && dup2(err, 2) == 2);
	CHECK_EQ(close(pipes[1]), 0);
	n = read(pipes[0], written, sizeof(written));
	CHECK_EQ(n, 0); /* the end of the pipe, and nothing before it */
	CHECK_EQ(errors, 17);
	return 0;
}
