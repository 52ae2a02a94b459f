/* Beside exit(3) another thread goes on submitting: what io_submit has accepted is written when the process has
   ended, as the kernel's AIO does it; and an fsync of which nobody has taken the event keeps no lock for long. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>

enum { BLOCK = 4096, AT_ONCE = 16, MOST = 60000, ROUNDS = 20 };

static int fd;
static volatile int *accepted;
static char bytes[BLOCK];

static void *submits(void *unused)
{
	static struct iocb cb[AT_ONCE];
	struct iocb *list[AT_ONCE];
	io_context_t ctx = new_context(AT_ONCE);
	struct io_event events[AT_ONCE];

	(void)unused;
	for (int n = 0; n < MOST; n += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++) {
			io_prep_pwrite(&cb[i], fd, bytes, BLOCK, (long long)(n + i) * BLOCK);
			list[i] = &cb[i];
		}
		CHECK_EQ(io_submit(ctx, AT_ONCE, list), AT_ONCE);
		*accepted = n + AT_ONCE;
		CHECK_EQ(io_getevents(ctx, AT_ONCE, AT_ONCE, events, NULL), AT_ONCE);
	}
	return NULL;
}

int main(void)
{
	accepted = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(accepted != MAP_FAILED);
	memset(bytes, 'x', BLOCK);
	for (int round = 0; round < ROUNDS; round++) {
		char name[64], read_back;
		int again;
		pid_t child;

		fd = new_file(0, 0);
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		again = open(name, O_RDONLY);
		CHECK(again >= 0);
		*accepted = 0;
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			pthread_t thread;
			io_context_t ctx = new_context(1);
			struct iocb cb;

			alarm(20);
			fd = open(name, O_RDWR); /* a file of its own, for its own lock */
			CHECK(fd >= 0);
			CHECK_EQ(flock(fd, LOCK_EX), 0);
			use(ctx, eventfd(1, 0));
			CHECK_EQ(pthread_create(&thread, NULL, submits, NULL), 0);
			usleep(10000 + round * 37);
			io_prep_fdsync(&cb, fd);
			submit(ctx, &cb);
			exit(0);
		}
		succeeded(child);
		alarm(20);
		CHECK_EQ(flock(again, LOCK_EX), 0);
		for (int i = 0; i < *accepted; i++) {
			CHECK_EQ(pread(fd, &read_back, 1, (off_t)i * BLOCK), 1);
			CHECK_EQ(read_back, 'x');
		}
		CHECK_EQ(close(again), 0);
		CHECK_EQ(close(fd), 0);
	}
	return 0;
}
