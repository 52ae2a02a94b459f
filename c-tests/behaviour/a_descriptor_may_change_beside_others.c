/* As a_descriptor_may_change, while another thread waits for the events: it is told EAGAIN of a read of an
 * empty pipe whose number was a file's, and nothing of a descriptor that is closed, which is EBADF. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { ROUNDS = 30, CLOSED = 100 };

static io_context_t ctx;
static char buf[512];

/* A thread that waits for one event. */
static struct {
	pthread_t thread;
	atomic_int tid;
	struct io_event event;
} waiter;

static void *wait_for_one(void *unused)
{
	(void)unused;
	atomic_store(&waiter.tid, (int)syscall(SYS_gettid));
	CHECK_EQ(io_getevents(ctx, 1, 1, &waiter.event, NULL), 1);
	return NULL;
}

static void begin_to_wait(void)
{
	atomic_store(&waiter.tid, 0);
	CHECK_EQ(pthread_create(&waiter.thread, NULL, wait_for_one, NULL), 0);
}

static void wait_until_it_sleeps(void)
{
	int tid;

	while ((tid = atomic_load(&waiter.tid)) == 0)
		;
	wait_until_asleep(tid);
}

/* The waiter's event is that of `cb`. */
static void expect(const struct iocb *cb, long res)
{
	CHECK_EQ(pthread_join(waiter.thread, NULL), 0);
	CHECK(waiter.event.obj == cb);
	CHECK_EQ((long)waiter.event.res, res);
}

static int submit_one(struct iocb *cb, int fd)
{
	struct iocb *list[] = { cb };

	io_prep_pread(cb, fd, buf, sizeof(buf), 0);
	return io_submit(ctx, 1, list);
}

/* A context in which this thread alone has read `fd`. */
static void begin(int fd)
{
	struct iocb cb;

	ctx = new_context(4);
	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(run_one(ctx, &cb), sizeof(buf));
}

/* The waiter sleeps already, or comes at the same time. */
static void read_the_pipe(int file, int sleeps)
{
	int fd = dup(file), ends[2];
	struct iocb cb;

	CHECK(fd >= 0);
	CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
	begin(fd);
	begin_to_wait();
	if (sleeps)
		wait_until_it_sleeps();
	CHECK_EQ(dup2(ends[0], fd), fd);
	CHECK_EQ(submit_one(&cb, fd), 1);
	expect(&cb, -EAGAIN);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(close(ends[0]), 0);
	CHECK_EQ(close(ends[1]), 0);
}

/* The waiter gets the events of the good requests alone. */
static void submit_on_closed_ones(int file)
{
	struct iocb good, refused;
	int i;

	begin(file);
	begin_to_wait();
	for (i = 0; i < CLOSED; i++) {
		int fd = dup(file);

		CHECK(fd >= 0);
		for (int good_ones = 0; good_ones < 2; good_ones++) {
			wait_until_it_sleeps();
			CHECK_EQ(submit_one(&good, fd), 1);
			expect(&good, sizeof(buf));
			begin_to_wait();
		}
		CHECK_EQ(close(fd), 0);
		if (i % 2 == 0)
			wait_until_it_sleeps();
		CHECK_EQ(submit_one(&refused, fd), -EBADF);
	}
	EXPECT("refused", i, CLOSED);
	CHECK_EQ(submit_one(&good, file), 1);
	expect(&good, sizeof(buf));
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	int file = new_file(4096, 0);

	for (int round = 0; round < ROUNDS; round++)
		read_the_pipe(file, round % 2);
	submit_on_closed_ones(file);
	return 0;
}
