/* What was submitted is written when the process has ended by exit(3), as the kernel's AIO does it; whichever
   thread has submitted, beside a poll that never ends, and beside or above io_destroy. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>
#include <signal.h>

enum { BLOCK = 1 << 18, WRITES = 32 };

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

/* What happens beside exit. */
enum beside { NOTHING, A_THREAD, A_DESTROYER, A_DESTROYER_BELOW };

static enum beside beside;
static int submitted;

static void *submits_and_stays(void *unused)
{
	submits(NULL);
	CHECK_EQ(eventfd_write(submitted, 1), 0);
	if (beside == A_DESTROYER)
		CHECK_EQ(io_destroy(ctx), 0);
	for (;;)
		pause();
	return unused;
}

static void *signals(void *thread)
{
	usleep(300);
	CHECK_EQ(pthread_kill(*(pthread_t *)thread, SIGUSR1), 0);
	return NULL;
}

static void exits(int unused)
{
	(void)unused;
	exit(0);
}

static void ends(int with_eventfd)
{
	int never = eventfd(0, 0);
	pthread_t me = pthread_self();
	struct iocb poll;
	pthread_t thread;

	alarm(20);
	submitted = eventfd(0, 0);
	ctx = new_context(WRITES + 1);
	io_prep_poll(&poll, never, POLLIN);
	if (with_eventfd)
		io_set_eventfd(&poll, eventfd(0, 0));
	submit(ctx, &poll);
	if (beside == A_THREAD || beside == A_DESTROYER) {
		CHECK_EQ(pthread_create(&thread, NULL, submits_and_stays, NULL), 0);
		CHECK_EQ(eventfd_read(submitted, &(eventfd_t){ 0 }), 0);
	} else {
		submits(NULL);
	}
	if (beside == A_DESTROYER)
		usleep(200); /* until io_destroy has begun */
	if (beside == A_DESTROYER_BELOW) {
		CHECK(signal(SIGUSR1, exits) != SIG_ERR);
		CHECK_EQ(pthread_create(&thread, NULL, signals, &me), 0);
		CHECK_EQ(io_destroy(ctx), 0);
	}
	exit(0);
}

int main(void)
{
	bytes = malloc(BLOCK);
	CHECK(bytes != NULL);
	memset(bytes, 'x', BLOCK);
	for (int i = 0; i < 24; i++) {
		char *read = malloc(BLOCK);
		pid_t child;

		beside = i & 3;
		fd = new_file(0, 0);
		child = fork();
		CHECK(child >= 0 && read != NULL);
		if (child == 0)
			ends(i & 4);
		succeeded(child);
		for (int block = 0; block < WRITES; block++) {
			CHECK_EQ(pread(fd, read, BLOCK, (off_t)block * BLOCK), BLOCK);
			CHECK(memcmp(read, bytes, BLOCK) == 0);
		}
		CHECK_EQ(close(fd), 0);
		free(read);
	}
	return 0;
}
