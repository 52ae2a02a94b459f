/* What a destructor of another library (submits_at_its_end.c) submits, which comes after this library's end, is
   written, too. */
#define _GNU_SOURCE
#include "uring.h"

enum { BLOCK = 1 << 16, WRITES = 8 };

void at_its_end(int (*function)(void));

static io_context_t ctx;
static int fd;

static int writes(void)
{
	static struct iocb cb[WRITES];
	static char bytes[BLOCK];
	struct iocb *list[WRITES];

	memset(bytes, 'x', BLOCK);
	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&cb[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &cb[i];
	}
	CHECK_EQ(io_submit(ctx, WRITES, list), WRITES);
	return 0;
}

int main(void)
{
	for (int i = 0; i < 5; i++) {
		pid_t child;

		fd = new_file(0, O_DSYNC);
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			ctx = new_context(WRITES);
			use(ctx, eventfd(1, 0));
			at_its_end(writes);
			exit(0);
		}
		succeeded(child);
		CHECK_EQ(lseek(fd, 0, SEEK_END), (off_t)BLOCK * WRITES);
		CHECK_EQ(close(fd), 0);
	}
	return 0;
}
