/* While a call gathers its requests, another thread comes, from where on requests go to another io_uring, and
   the program closes the descriptor of the first (closefrom). The call ends with an error; none of
   its requests is carried out with those of a later call. */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <pthread.h>

enum { N = 40, LATE = 20 };

static io_context_t ctx;
static struct io_event events[N + 1];
static int io_uring = -1, taken;

static int first_io_uring(void)
{
	for (int fd = 3; fd < 100; fd++) {
		char name[32], target[32] = "";

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		if (readlink(name, target, sizeof(target) - 1) > 0 && strstr(target, "[io_uring]"))
			return fd;
	}
	return -1;
}

static void *comes_and_closes(void *unused)
{
	CHECK_EQ(sem_wait(&about_to_enter), 0);
	taken = io_getevents(ctx, 0, N, events, NULL);
	CHECK(taken >= 0);
	if (io_uring >= 0)
		CHECK_EQ(close(io_uring), 0);
	CHECK_EQ(sem_post(&go_on), 0);
	return unused;
}

int main(void)
{
	int ready = eventfd(1, 0), late = dup(ready), accepted;
	struct iocb cb[N], later, *list[N];
	pthread_t thread;

	alarm(60); /* for the case that a thread waits on */
	prepare_to_hold_up();
	ctx = new_context(N + 1);
	io_uring = first_io_uring();
	for (int i = 0; i < N; i++) {
		io_prep_poll(&cb[i], i == LATE ? late : ready, POLLIN);
		list[i] = &cb[i];
	}
	io_prep_poll(&later, ready, POLLIN);
	CHECK_EQ(pthread_create(&thread, NULL, comes_and_closes, NULL), 0);
	held_up_before = LOOK;
	looked_at = late;
	accepted = io_submit(ctx, N, list);
	/* Where the library does not look at descriptors, the kernel's AIO serves. */
	CHECK_EQ(held_up_before, io_uring < 0 ? LOOK : NONE);
	CHECK_EQ(accepted, io_uring < 0 ? N : -EBADF);
	if (io_uring < 0)
		CHECK_EQ(sem_post(&about_to_enter) + sem_wait(&go_on), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	submit(ctx, &later);
	accepted = (accepted < 0 ? 0 : accepted) + 1 - taken;
	CHECK_EQ(io_getevents(ctx, 0, N + 1, events, NULL), accepted);
	CHECK(events[accepted - 1].obj == &later);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
