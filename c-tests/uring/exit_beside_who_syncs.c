/* Beside exit(3) other threads sync a file: what they are told of it is what there was, up to the end. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <sys/mman.h>

enum { THREADS = 6, ROUNDS = 60 };

static int fd;
static volatile long *wrong;

static void *syncs(void *unused)
{
	io_context_t ctx = new_context(4);

	(void)unused;
	for (;;) {
		struct iocb cb;
		long res;

		io_prep_fdsync(&cb, fd);
		CHECK_EQ(pwrite(fd, "x", 1, 0), 1);
		submit(ctx, &cb);
		res = take(ctx, &cb);
		if (res != 0)
			*wrong = res;
	}
	return NULL;
}

int main(void)
{
	wrong = mmap(NULL, sizeof(*wrong), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
	             0);
	CHECK(wrong != MAP_FAILED);
	fd = new_file(0, 0);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0) {
			pthread_t thread;

			alarm(20);
			for (int i = 0; i < THREADS; i++)
				CHECK_EQ(pthread_create(&thread, NULL, syncs, NULL), 0);
			usleep(2000 + round * 13);
			exit(0);
		}
		succeeded(child);
		CHECK_EQ(*wrong, 0);
	}
	return 0;
}
