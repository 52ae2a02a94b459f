/* What was submitted is written when the process has ended by exit(3), as the kernel's AIO does it; whichever
   thread has submitted, and beside a poll that never ends. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <sys/wait.h>

enum { BLOCK = 65536, WRITES = 16 };

static io_context_t ctx;
static int fd;
static char *bytes;
static struct iocb writes[WRITES];

static void *submits(void *unused)
{
	struct iocb *list[WRITES];

	(void)unused;
	for (int i = 0; i < WRITES; i++) {
		io_prep_pwrite(&writes[i], fd, bytes, BLOCK, (long long)i * BLOCK);
		list[i] = &writes[i];
	}
	CHECK_EQ(io_submit(ctx, WRITES, list), WRITES);
	return NULL;
}

static void *submits_and_stays(void *submitted)
{
	submits(NULL);
	CHECK_EQ(eventfd_write(*(int *)submitted, 1), 0);
	for (;;)
		pause();
}

static void ends(int in_a_thread, int with_eventfd)
{
	int never = eventfd(0, 0), submitted = eventfd(0, 0);
	struct iocb poll;
	pthread_t thread;

	alarm(20);
	ctx = new_context(WRITES + 1);
	io_prep_poll(&poll, never, POLLIN);
	if (with_eventfd)
		io_set_eventfd(&poll, eventfd(0, 0));
	submit(ctx, &poll);
	if (in_a_thread) {
		CHECK_EQ(pthread_create(&thread, NULL, submits_and_stays, &submitted), 0);
		CHECK_EQ(eventfd_read(submitted, &(eventfd_t){ 0 }), 0);
	} else {
		submits(NULL);
	}
	exit(0);
}

int main(void)
{
	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	memset(bytes, 'x', BLOCK);
	for (int i = 0; i < 12; i++) {
		char *read = malloc(BLOCK);
		int status;
		pid_t child;

		fd = new_file(0, 0);
		child = fork();
		CHECK(child >= 0 && read != NULL);
		if (child == 0)
			ends(i & 1, i & 2);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
		for (int block = 0; block < WRITES; block++) {
			CHECK_EQ(pread(fd, read, BLOCK, (off_t)block * BLOCK), BLOCK);
			CHECK(memcmp(read, bytes, BLOCK) == 0);
		}
		CHECK_EQ(close(fd), 0);
		free(read);
	}
	return 0;
}
