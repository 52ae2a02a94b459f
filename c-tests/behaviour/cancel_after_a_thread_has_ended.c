/* A poll stays in flight when the thread that has submitted it ends, and can be cancelled: once, by any
 * other thread, beside events that nobody has taken. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

enum { POLLS = 3 };

static io_context_t ctx;
static struct iocb polls[POLLS];

static void *submit_all(void *unused)
{
	struct iocb *list[] = { &polls[0], &polls[1], &polls[2] };

	(void)unused;
	CHECK_EQ(io_submit(ctx, POLLS, list), POLLS);
	return NULL;
}

static void expect_cancelled(struct iocb *poll)
{
	struct io_event event;

	CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
	CHECK(event.obj == poll);
	EXPECT("res", event.res, 0);
}

int main(void)
{
	struct iocb read, *list[] = { &read };
	struct timespec short_wait = { 0, 1000000 };
	struct io_event event;
	int never = eventfd(0, 0), file = new_file(512, 0), i;
	pthread_t thread;
	char buf[512];

	ctx = new_context(8);
	CHECK(never >= 0);
	for (i = 0; i < POLLS; i++)
		io_prep_poll(&polls[i], never, POLLIN);
	CHECK_EQ(pthread_create(&thread, NULL, submit_all, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);

	/* At once, and again while its event is there. */
	EXPECT("cancel", io_cancel(ctx, &polls[0], &event), -EINPROGRESS);
	EXPECT("cancel again", io_cancel(ctx, &polls[0], &event), -EINVAL);
	expect_cancelled(&polls[0]);
	EXPECT("cancel what is over", io_cancel(ctx, &polls[0], &event), -EINVAL);

	/* Behind an event of another. */
	io_prep_pread(&read, file, buf, sizeof(buf), 0);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("cancel", io_cancel(ctx, &polls[1], &event), -EINPROGRESS);
	EXPECT("cancel again", io_cancel(ctx, &polls[1], &event), -EINVAL);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
		CHECK(event.obj == (event.res == 0 ? &polls[1] : &read));
	}

	/* After looking for events, with which it was met. */
	EXPECT("no event", io_getevents(ctx, 1, 1, &event, &short_wait), 0);
	EXPECT("cancel", io_cancel(ctx, &polls[2], &event), -EINPROGRESS);
	expect_cancelled(&polls[2]);
	EXPECT("nothing is left", io_getevents(ctx, 1, 1, &event, &short_wait), 0);
	EXPECT("destroy", io_destroy(ctx), 0);
	return 0;
}
