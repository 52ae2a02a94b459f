/* A thread that waits in io_getevents wakes when another thread submits what completes. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static io_context_t ctx;
static atomic_int waiter_tid;

static void *wait_for_two(void *events)
{
	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
	EXPECT("getevents", io_getevents(ctx, 2, 2, (struct io_event *)events, NULL), 2);
	return NULL;
}

int main(void)
{
	int fd = eventfd(1, 0), tid;
	struct iocb cb[2], *list[2] = { &cb[0], &cb[1] };
	struct io_event events[2];
	pthread_t waiter;

	CHECK(fd >= 0);
	ctx = new_context(2);
	for (int i = 0; i < 2; i++)
		io_prep_poll(&cb[i], fd, POLLIN);
	CHECK_EQ(pthread_create(&waiter, NULL, wait_for_two, events), 0);
	while ((tid = atomic_load(&waiter_tid)) == 0)
		;
	wait_until_asleep(tid);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(io_submit(ctx, 1, list + 1), 1);
	CHECK_EQ(pthread_join(waiter, NULL), 0);
	CHECK(events[0].obj == &cb[0] && events[1].obj == &cb[1]);
	return 0;
}
