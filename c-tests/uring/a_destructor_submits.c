/* What a destructor of the program submits while the process ends is written, too. */
#define _GNU_SOURCE
#include "uring.h"

enum { BLOCK = 1 << 18, WRITES = 32 };

static io_context_t ctx;
static int fd = -1;

__attribute__((destructor)) static void submits(void)
{
	static struct iocb writes[WRITES];
	struct iocb *list[WRITES];
	char *bytes;

	if (fd < 0)
		return;
	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	memset(bytes, 'x', BLOCK);
	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&writes[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &writes[i];
	}
	CHECK_EQ(io_submit(ctx, WRITES, list), WRITES);
}

int main(void)
{
	for (int i = 0; i < 5; i++) {
		int file = new_file(0, 0);
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			ctx = new_context(WRITES);
			use(ctx, eventfd(1, 0));
			fd = file;
			exit(0);
		}
		succeeded(child);
		CHECK_EQ(lseek(file, 0, SEEK_END), (off_t)BLOCK * WRITES);
		CHECK_EQ(close(file), 0);
	}
	return 0;
}
