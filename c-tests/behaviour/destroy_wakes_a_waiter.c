/* io_destroy wakes a thread that waits in io_getevents on that context, which gets -EINVAL. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static io_context_t ctx;
static atomic_int waiter_tid;

static void *wait_for_one(void *unused)
{
	struct io_event event;

	(void)unused;
	atomic_store(&waiter_tid, (int)syscall(SYS_gettid));
	EXPECT("getevents", io_getevents(ctx, 1, 1, &event, NULL), -EINVAL);
	return NULL;
}

int main(void)
{
	pthread_t waiter;
	int tid;

	ctx = new_context(1);
	CHECK_EQ(pthread_create(&waiter, NULL, wait_for_one, NULL), 0);
	while ((tid = atomic_load(&waiter_tid)) == 0)
		;
	wait_until_asleep(tid);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(pthread_join(waiter, NULL), 0);
	return 0;
}
