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

/* How events are waited for. */
enum manner { LOOKING, WAITING, IN_A_HURRY, MANNERS };

/* Takes so many events: looking again and again, waiting, or with a time too short to sleep. One is of
 * `empty`, which is EAGAIN; the others are good. */
static void take(int count, enum manner manner, const struct iocb *empty)
{
	struct timespec hurry = { 0, 1 };
	int least = manner != LOOKING, taken = 0, told = 0;

	while (taken < count) {
		struct io_event events[BEFORE + 1];
		int n = io_getevents(ctx, least, BEFORE + 1, events,
		                     manner == IN_A_HURRY ? &hurry : NULL);
		int i;

		CHECK(n >= (manner == WAITING));
		for (i = 0; i < n; i++) {
			int is_empty = events[i].obj == empty;

			CHECK_EQ((long)events[i].res, is_empty ? -EAGAIN : (long)sizeof(buf));
			told += is_empty;
		}
		taken += n;
	}
	CHECK_EQ(taken, count);
	CHECK_EQ(told, empty != NULL);
}

int main(void)
{
	int file = new_file(4096, 0), written = open("written", O_WRONLY | O_CREAT, 0600), round, i;

	CHECK(written >= 0);
	ctx = new_context(2 * BEFORE);
	for (round = 0; round < ROUNDS; round++) {
		struct iocb cbs[BEFORE], refused, empty, good;
		struct io_event event;
		int fd = dup(file), ends[2];

		CHECK(fd >= 0);
		CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
		for (i = 0; i < BEFORE; i++)
			CHECK_EQ(submit_one(&cbs[i], fd), 1);
		if (round % 2 == 0) {
			CHECK_EQ(dup2(ends[0], fd), fd);
			CHECK_EQ(submit_one(&empty, fd), 1);
			take(BEFORE + 1, (enum manner)(round / 2 % MANNERS), &empty);
			CHECK_EQ(dup2(file, fd), fd);
			for (i = 0; i < BEFORE; i++)
				CHECK_EQ(submit_one(&cbs[i], fd), 1);
		}
		CHECK_EQ(close(fd), 0);
		CHECK_EQ(submit_one(&refused, fd), -EBADF);
		CHECK_EQ(dup2(written, fd), fd);
		CHECK_EQ(submit_one(&refused, fd), -EBADF);
		CHECK_EQ(dup2(file, fd), fd);
		CHECK_EQ(submit_one(&good, fd), 1);
		take(BEFORE + 1, (enum manner)(round / 2 % MANNERS), NULL);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, NULL), 0);
		CHECK_EQ(close(fd), 0);
		CHECK_EQ(close(ends[0]), 0);
		CHECK_EQ(close(ends[1]), 0);
	}
	EXPECT("rounds", round, ROUNDS);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
