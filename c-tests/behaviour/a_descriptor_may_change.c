/* A descriptor that was good is closed, or made one that cannot be read, between two requests: the next
 * is EBADF, beside events that nobody has taken yet. Made an empty pipe that does not wait it is EAGAIN;
 * and good again where it is a file. */
#define _GNU_SOURCE
#include "check.h"

enum { BEFORE = 3, ROUNDS = 40 };

static io_context_t ctx;
static char buf[512];

static int submit_one(struct iocb *cb, int fd)
{
	struct iocb *list[] = { cb };

	io_prep_pread(cb, fd, buf, sizeof(buf), 0);
	return io_submit(ctx, 1, list);
}

int main(void)
{
	int file = new_file(4096, 0), written = open("written", O_WRONLY | O_CREAT, 0600), round, i;

	CHECK(written >= 0);
	ctx = new_context(2 * BEFORE);
	for (round = 0; round < ROUNDS; round++) {
		struct iocb cbs[BEFORE], refused, empty, good;
		struct io_event events[BEFORE + 2];
		int fd = dup(file), taken = 0, ends[2], n;

		CHECK(fd >= 0);
		for (i = 0; i < BEFORE; i++)
			CHECK_EQ(submit_one(&cbs[i], fd), 1);
		CHECK_EQ(close(fd), 0);
		CHECK_EQ(submit_one(&refused, fd), -EBADF);
		CHECK_EQ(dup2(written, fd), fd);
		CHECK_EQ(submit_one(&refused, fd), -EBADF);
		CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
		CHECK_EQ(dup2(ends[0], fd), fd);
		CHECK_EQ(submit_one(&empty, fd), 1);
		CHECK_EQ(dup2(file, fd), fd);
		CHECK_EQ(submit_one(&good, fd), 1);
		while (taken < BEFORE + 2) {
			n = io_getevents(ctx, 1, BEFORE + 2, events, NULL);
			CHECK(n > 0);
			for (i = 0; i < n; i++) {
				CHECK(events[i].obj != &refused);
				CHECK_EQ((long)events[i].res,
				         events[i].obj == &empty ? -EAGAIN : (long)sizeof(buf));
			}
			taken += n;
		}
		CHECK_EQ(taken, BEFORE + 2);
		CHECK_EQ(io_getevents(ctx, 0, 1, events, NULL), 0);
		CHECK_EQ(close(fd), 0);
		CHECK_EQ(close(ends[0]), 0);
		CHECK_EQ(close(ends[1]), 0);
	}
	EXPECT("rounds", round, ROUNDS);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
