/* A thread sleeps until there are five events. Another that sleeps after it until there is one is woken by the
   first, though the kernel wakes those who sleep in io_uring_enter in their order, up to one for whom there
   are too few; so is the thread that moves events for an eventfd, the first of the context. (A kernel's AIO
   older than Linux 6.9 may give the event to the first thread.) */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { SEVERAL = 5 };

static io_context_t ctx;
static int ready;

struct waiter {
	pthread_t thread;
	long wanted;
	volatile int id;
	struct iocb before;
	int is_first; /* of the threads that use the context */
};

static void *waits(void *argument)
{
	struct waiter *waiter = argument;
	struct io_event events[SEVERAL];

	if (waiter->is_first) {
		io_prep_poll(&waiter->before, ready, POLLIN);
		submit(ctx, &waiter->before);
		take(ctx, &waiter->before);
	}
	waiter->id = (int)syscall(SYS_gettid);
	CHECK_EQ(io_getevents(ctx, waiter->wanted, waiter->wanted, events, NULL), waiter->wanted);
	return NULL;
}

static void start(struct waiter *waiter, long wanted, int is_first)
{
	waiter->wanted = wanted;
	waiter->id = 0;
	waiter->is_first = is_first;
	CHECK_EQ(pthread_create(&waiter->thread, NULL, waits, waiter), 0);
	while (waiter->id == 0)
		sched_yield();
	wait_until_asleep(waiter->id);
}

static void *comes(void *unused)
{
	(void)unused;
	use(ctx, ready);
	return NULL;
}

/* A context that several threads have used, or none. */
static void begin(int unused)
{
	pthread_t thread;

	ctx = new_context(64);
	if (unused)
		return;
	use(ctx, ready);
	CHECK_EQ(pthread_create(&thread, NULL, comes, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	use(ctx, ready);
}

static void submit_poll(struct iocb *iocb, int fd, int notified)
{
	io_prep_poll(iocb, fd, POLLIN);
	if (notified >= 0)
		io_set_eventfd(iocb, notified);
	submit(ctx, iocb);
}

static void *looks(void *unused)
{
	struct io_event event;

	(void)unused;
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, NULL), 0);
	return NULL;
}

/* A second thread comes, for which there is no descriptor. */
static void let_another_come(void)
{
	struct rlimit limit, none;
	pthread_t thread;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = (rlim_t)ready + 1;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	CHECK_EQ(pthread_create(&thread, NULL, looks, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void beside_another(int alone)
{
	struct iocb iocbs[1 + SEVERAL];
	struct waiter several, one;

	begin(alone);
	start(&several, SEVERAL, alone);
	if (alone)
		let_another_come();
	start(&one, 1, 0);
	submit_poll(&iocbs[SEVERAL], ready, -1);
	CHECK_EQ(pthread_join(one.thread, NULL), 0);
	for (int i = 0; i < SEVERAL; i++)
		submit_poll(&iocbs[i], ready, -1);
	CHECK_EQ(pthread_join(several.thread, NULL), 0);
	CHECK_EQ(io_destroy(ctx), 0);
}

static void beside_an_eventfd(void)
{
	int notified = eventfd(0, EFD_SEMAPHORE), late = eventfd(0, 0);
	struct iocb iocbs[SEVERAL];
	struct waiter several;
	uint64_t one;

	begin(0);
	start(&several, SEVERAL, 0);
	for (int i = 0; i < SEVERAL; i++) {
		submit_poll(&iocbs[i], i == 0 ? late : ready, notified);
		if (i == 0) {
			usleep(5000); /* so that the thread that moves events is most likely asleep */
			CHECK_EQ(eventfd_write(late, 1), 0);
		}
		CHECK_EQ(read(notified, &one, sizeof(one)), sizeof(one));
	}
	CHECK_EQ(pthread_join(several.thread, NULL), 0);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(notified), 0);
	CHECK_EQ(close(late), 0);
}

int main(void)
{
	alarm(60); /* for the case that a thread sleeps on */
	ready = eventfd(1, 0);
	for (int i = 0; i < 20; i++) {
		beside_another(0);
		beside_another(1);
		beside_an_eventfd();
	}
	return 0;
}
