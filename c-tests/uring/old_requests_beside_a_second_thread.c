/* What a thread has submitted while it used a context alone is there after a second one has come: it
 * completes, wakes who waits with and without a mask, can be cancelled, and ends with the context. */
#include "uring.h"

#include <pthread.h>
#include <signal.h>

static io_context_t ctx;

/* The second thread: its requests complete at once. */
static void *comes(void *bell)
{
	use(ctx, *(int *)bell);
	return NULL;
}

static void *rings(void *bell)
{
	usleep(20000);
	CHECK_EQ(eventfd_write(*(int *)bell, 1), 0);
	return NULL;
}

int main(void)
{
	enum { OLD = 4 };
	int always = eventfd(1, 0), bells[OLD], i;
	struct timespec second = { 1, 0 };
	struct iocb cbs[OLD];
	struct io_event event, events[OLD];
	pthread_t thread;
	sigset_t mask;

	ctx = new_context(OLD + 1);
	for (i = 0; i < OLD; i++) {
		bells[i] = eventfd(0, 0);
		io_prep_poll(&cbs[i], bells[i], POLLIN);
		submit(ctx, &cbs[i]);
	}
	CHECK_EQ(pthread_create(&thread, NULL, comes, &always), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, NULL), 0);

	/* One that waits is woken by an old request, and by a new one. */
	CHECK_EQ(pthread_create(&thread, NULL, rings, &bells[0]), 0);
	CHECK(take(ctx, &cbs[0]) & POLLIN);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	io_prep_poll(&cbs[0], always, POLLIN);
	submit(ctx, &cbs[0]);
	CHECK(take(ctx, &cbs[0]) & POLLIN);

	/* With a mask, and for two at once: an old one and a new one. */
	CHECK_EQ(sigemptyset(&mask), 0);
	io_prep_poll(&cbs[0], always, POLLIN);
	submit(ctx, &cbs[0]);
	CHECK_EQ(pthread_create(&thread, NULL, rings, &bells[1]), 0);
	CHECK_EQ(io_pgetevents(ctx, 2, OLD, events, NULL, &mask), 2);
	CHECK((events[0].obj == &cbs[0]) != (events[0].obj == &cbs[1]));
	CHECK((events[1].obj == &cbs[0]) != (events[1].obj == &cbs[1]));
	CHECK_EQ(pthread_join(thread, NULL), 0);

	/* Nothing comes of those that are not ready. */
	second.tv_sec = 0;
	second.tv_nsec = 1000000;
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, &second), 0);
	CHECK_EQ(io_cancel(ctx, &cbs[2], &event), -EINPROGRESS);
	CHECK_EQ(take(ctx, &cbs[2]), 0);
	CHECK_EQ(io_cancel(ctx, &cbs[2], &event), -EINVAL);

	/* One is left. */
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
