/* A thread that has used a context alone sleeps in io_getevents, or computes, when a second one comes:
 * both get what they wait for, whoever submits. Under io_uring the requests go to a second io_uring
 * from then on. */
#include "uring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { ROUNDS = 300, MOST = 3 };

static io_context_t ctx;
static int bells[MOST];
static atomic_int sleeping;

static long thread_id(void)
{
	return syscall(SYS_gettid);
}

/* Whether a thread of this process sleeps. */
static int is_asleep(long thread)
{
	char name[64], line[256];
	FILE *stat;
	int asleep;

	snprintf(name, sizeof(name), "/proc/self/task/%ld/stat", thread);
	stat = fopen(name, "r");
	CHECK(stat != NULL);
	CHECK(fgets(line, sizeof(line), stat) != NULL);
	asleep = strstr(line, ") S ") != NULL;
	CHECK_EQ(fclose(stat), 0);
	return asleep;
}

/* Submits a poll of bell `i`, which is ready at once or later. */
static void poll_bell(struct iocb *cb, int i)
{
	io_prep_poll(cb, bells[i], POLLIN);
	submit(ctx, cb);
}

static void ring_bell(int i)
{
	CHECK_EQ(eventfd_write(bells[i], 1), 0);
}

/* The second thread: submits what the first one, which sleeps, waits for. */
static void *submits(void *first)
{
	static struct iocb cbs[MOST];
	int i;

	while (!is_asleep(*(long *)first))
		;
	for (i = 1; i < MOST; i++) {
		poll_bell(&cbs[i], i);
		ring_bell(i);
	}
	ring_bell(0);
	return NULL;
}

/* The second thread: waits for what the first one has submitted, which computes. */
static void *waits(void *unused)
{
	struct io_event events[MOST];

	(void)unused;
	atomic_store(&sleeping, 1);
	ring_bell(0);
	CHECK_EQ(io_getevents(ctx, 1, MOST, events, NULL), 1);
	atomic_store(&sleeping, 2);
	return NULL;
}

/* Waits for one event at a time, or for all of them. */
static void take_all(int at_once)
{
	struct io_event events[MOST];
	int taken = 0;

	while (taken < MOST) {
		int n = io_getevents(ctx, at_once ? MOST - taken : 1, MOST - taken, events, NULL);

		CHECK(n > 0);
		taken += n;
	}
	CHECK_EQ(taken, MOST);
}

int main(void)
{
	long me = thread_id();
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		struct io_event event;
		struct iocb first;
		pthread_t thread;

		ctx = new_context(MOST);
		for (i = 0; i < MOST; i++)
			bells[i] = eventfd(0, EFD_NONBLOCK);
		poll_bell(&first, 0);
		if (round % 3 == 2) {
			atomic_store(&sleeping, 0);
			CHECK_EQ(pthread_create(&thread, NULL, waits, NULL), 0);
			/* Without a system call. */
			while (atomic_load(&sleeping) != 2)
				;
		} else {
			CHECK_EQ(pthread_create(&thread, NULL, submits, &me), 0);
			take_all(round % 3);
		}
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, NULL), 0);
		CHECK_EQ(io_destroy(ctx), 0);
		for (i = 0; i < MOST; i++)
			CHECK_EQ(close(bells[i]), 0);
	}
	return 0;
}
