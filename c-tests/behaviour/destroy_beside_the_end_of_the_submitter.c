/* io_destroy returns when reads have been carried out, also where the thread that has submitted them ends
   meanwhile. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <semaphore.h>

enum { ROUNDS = 6, READS = 32, BLOCK = 1 << 17 };

static io_context_t ctx;
static int fd;
static char *bytes;
static sem_t submitted;

static void *submits(void *unused)
{
	static struct iocb cb[READS];
	struct iocb *list[READS];

	(void)unused;
	for (int i = 0; i < READS; i++) {
		/* Each far from the one before, so that none is read ahead. */
		int block = i * 13 % READS;

		io_prep_pread(&cb[i], fd, bytes + (size_t)block * BLOCK, BLOCK,
		              (long long)block * BLOCK);
		list[i] = &cb[i];
	}
	CHECK_EQ(io_submit(ctx, READS, list), READS);
	CHECK_EQ(sem_post(&submitted), 0);
	return NULL;
}

int main(void)
{
	size_t size = (size_t)READS * BLOCK;
	struct timespec no_wait = { 0, 0 };
	struct io_event event;
	pthread_t thread;
	int lost = 0;

	bytes = malloc(size);
	CHECK(bytes != NULL);
	CHECK_EQ(sem_init(&submitted, 0, 0), 0);
	fd = new_file(size, 0);
	for (int round = 0; round < ROUNDS; round++) {
		memset(bytes, 0xff, size);
		CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		CHECK_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
		ctx = new_context(READS);
		CHECK_EQ(io_getevents(ctx, 0, 1, &event, &no_wait), 0);
		CHECK_EQ(pthread_create(&thread, NULL, submits, NULL), 0);
		CHECK_EQ(sem_wait(&submitted), 0);
		if (round % 2)
			usleep(500);
		CHECK_EQ(io_destroy(ctx), 0);
		lost += !is_file_data(bytes, size, 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
	EXPECT("lost", lost, 0);
	return 0;
}
