/* An fsync is of the file that its descriptor was of at io_submit, whatever the program does with the number
   before it is carried out; and with its event the file is let go. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/file.h>

enum { ROUNDS = 50, BLOCK = 1 << 16 };

int main(void)
{
	static char bytes[BLOCK];
	io_context_t ctx = new_context(2);
	int ends[2], refused = 0;
	struct iocb cb;

	alarm(60); /* for the case that the file is not let go */
	CHECK_EQ(pipe(ends), 0);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = new_file(64, 0), other;
		char name[64];

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		other = open(name, O_RDWR);
		CHECK(other >= 0);
		CHECK_EQ(flock(fd, LOCK_EX), 0);
		CHECK_EQ(pwrite(fd, bytes, BLOCK, 0), BLOCK);
		if (i % 2)
			io_prep_fsync(&cb, fd);
		else
			io_prep_fdsync(&cb, fd);
		CHECK_EQ(io_submit(ctx, 1, (struct iocb *[]){ &cb }), 1);
		if (i % 3)
			CHECK_EQ(dup2(ends[0], fd), fd); /* which has no fsync */
		else
			CHECK_EQ(close(fd), 0);
		{
			struct io_event event;

			CHECK_EQ(io_getevents(ctx, 1, 1, &event, NULL), 1);
			refused += event.res != 0;
		}
		CHECK_EQ(flock(other, LOCK_EX), 0);
		CHECK_EQ(close(other), 0);
		if (i % 3)
			CHECK_EQ(close(fd), 0);
	}
	EXPECT("refused", refused, 0);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
