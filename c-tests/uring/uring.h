/*
 * uring.h - what the tests of the engine that is made of io_uring share
 */
#ifndef URING_H
#define URING_H

#include "check.h"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

/* How many entries a folder of /proc has whose link, or name where they are none, has `part` in it. */
static inline int entries(const char *folder, const char *part)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		char name[512], target[256];
		ssize_t length;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
		length = readlink(name, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		n += strstr(length < 0 ? entry->d_name : target, part) != NULL;
	}
	CHECK_EQ(closedir(dir), 0);
	return n;
}

/* How many io_urings this process has descriptors of. */
static inline int io_urings(void)
{
	return entries("/proc/self/fd", "[io_uring]");
}

/* Takes one event, which must be that request's; returns its res. */
static inline long take(io_context_t ctx, const struct iocb *iocb)
{
	struct io_event event;

	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == iocb && event.data == iocb->data);
	CHECK_EQ(event.res2, 0);
	return (long)event.res;
}

/* Submits one request. */
static inline void submit(io_context_t ctx, struct iocb *iocb)
{
	struct iocb *list[] = { iocb };

	CHECK_EQ(io_submit(ctx, 1, list), 1);
}

/* Uses the context ten times, each time with a poll of a descriptor that is ready. */
static inline void use(io_context_t ctx, int ready)
{
	struct iocb cb;
	int i;

	for (i = 0; i < 10; i++) {
		io_prep_poll(&cb, ready, POLLIN);
		submit(ctx, &cb);
		CHECK(take(ctx, &cb) & POLLIN);
	}
}

/* Waits for a child, which must have exited with status 0. */
static inline void succeeded(pid_t child)
{
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
}

static inline long number_in(const char *name)
{
	FILE *f = fopen(name, "r");
	long n;

	CHECK(f != NULL && fscanf(f, "%ld", &n) == 1);
	CHECK_EQ(fclose(f), 0);
	return n;
}

/* Whether the engine has refused a context of that many, as it may: beyond the limit it must. */
static inline int is_refused(int requests, int answer)
{
	const char *engine = getenv("LIBAIO_ENGINE");
	long limit = number_in("/proc/sys/fs/aio-max-nr");

	if (engine && !strcmp(engine, "io_uring"))
		return 0;
	if (limit < requests)
		CHECK_EQ(answer, -EAGAIN);
	return answer == -EAGAIN && limit < requests + number_in("/proc/sys/fs/aio-nr");
}

#endif /* URING_H */
