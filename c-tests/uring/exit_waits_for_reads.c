/* No read comes into memory that a process shared with others once that process has ended by exit. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/mman.h>

enum { READS = 32, BLOCK = 1 << 18 };

static void reads_and_exits(int fd, char *shared)
{
	static struct iocb requests[READS];
	struct iocb *list[READS];
	io_context_t ctx = new_context(READS);

	use(ctx, eventfd(1, 0));
	for (int i = 0; i < READS; i++) {
		io_prep_pread(&requests[i], fd, shared + (size_t)i * BLOCK, BLOCK,
		              (long long)i * BLOCK);
		list[i] = &requests[i];
	}
	CHECK_EQ(io_submit(ctx, READS, list), READS);
	exit(0);
}

int main(void)
{
	size_t size = (size_t)READS * BLOCK;
	int fd = new_file(size, O_DIRECT);
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(shared != MAP_FAILED);
	for (int round = 0; round < 5; round++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0)
			reads_and_exits(fd, shared);
		succeeded(child);
		memset(shared, 'n', size);
		usleep(50000);
		for (size_t i = 0; i < size; i++)
			CHECK_EQ(shared[i], 'n');
	}
	return 0;
}
