/* A poll of a thread that has ended completes for others: who looks without waiting finds it, and what came
 * after it; also while another thread submits. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { READS = 5, ROUNDS = 50 };

static io_context_t ctx;
static int ends[2];
static struct iocb poll_cb;
static atomic_int stop, submitted;

static void *submit_a_poll(void *unused)
{
	struct iocb *list[] = { &poll_cb };

	(void)unused;
	io_prep_poll(&poll_cb, ends[0], POLLIN);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	return NULL;
}

static void *submit_all_the_time(void *unused)
{
	struct iocb cbs[4], *list[4];

	(void)unused;
	for (int i = 0; i < 4; i++) {
		io_prep_poll(&cbs[i], ends[1], POLLOUT);
		list[i] = &cbs[i];
	}
	while (!atomic_load(&stop)) {
		int n = io_submit(ctx, 4, list);

		CHECK(n > 0 || n == -EAGAIN);
		atomic_store(&submitted, 1);
	}
	return NULL;
}

/* Has a thread submit a poll, and end; then what it waits for comes. */
static void begin(int requests)
{
	pthread_t thread;

	ctx = new_context(requests);
	CHECK_EQ(pipe(ends), 0);
	CHECK_EQ(pthread_create(&thread, NULL, submit_a_poll, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void become_ready(void)
{
	CHECK_EQ(write(ends[1], "x", 1), 1);
}

static void end(void)
{
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(close(ends[1]), 0);
}

static void look_without_waiting(void)
{
	int file = new_file(4096, 0), taken = 0, i;
	struct timespec no_wait = { 0, 0 };
	struct iocb reads[READS];
	char buf[512];

	begin(READS + 1);
	become_ready();
	for (i = 0; i < READS; i++) {
		struct iocb *list[] = { &reads[i] };

		io_prep_pread(&reads[i], file, buf, sizeof(buf), 0);
		CHECK_EQ(io_submit(ctx, 1, list), 1);
	}
	while (taken < READS + 1) {
		struct io_event events[READS + 1];
		int n = io_getevents(ctx, 0, READS + 1, events, &no_wait);

		CHECK(n >= 0);
		for (i = 0; i < n; i++)
			CHECK((events[i].obj == &poll_cb) == (events[i].res != sizeof(buf)));
		taken += n;
	}
	EXPECT("taken", taken, READS + 1);
	end();
}

static void wait_beside_who_submits(void)
{
	pthread_t other;
	int found = 0;

	begin(8);
	atomic_store(&stop, 0);
	atomic_store(&submitted, 0);
	CHECK_EQ(pthread_create(&other, NULL, submit_all_the_time, NULL), 0);
	while (!atomic_load(&submitted))
		;
	become_ready();
	while (!found) {
		struct io_event events[8];
		int n = io_getevents(ctx, 1, 8, events, NULL);

		CHECK(n > 0);
		for (int i = 0; i < n; i++)
			if (events[i].obj == &poll_cb) {
				CHECK(events[i].res & POLLIN);
				found = 1;
			}
	}
	atomic_store(&stop, 1);
	CHECK_EQ(pthread_join(other, NULL), 0);
	end();
}

int main(void)
{
	look_without_waiting();
	for (int round = 0; round < ROUNDS; round++)
		wait_beside_who_submits();
	return 0;
}
