/* A destructor that comes after this library's end, of another library (joins_at_its_end.c), waits for a thread
   that submits: the process ends. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

void joins(pthread_t whom, volatile int *when);

static volatile int stop;

static void *submits(void *unused)
{
	static char bytes[4096];
	io_context_t ctx = new_context(2);
	int fd = new_file(0, 0);
	struct iocb cb;

	(void)unused;
	use(ctx, eventfd(1, 0));
	while (!stop) {
		io_prep_pwrite(&cb, fd, bytes, sizeof(bytes), 0);
		submit(ctx, &cb);
		CHECK_EQ(take(ctx, &cb), sizeof(bytes));
	}
	return NULL;
}

int main(void)
{
	pthread_t thread;

	alarm(20); /* for the case that it does not */
	CHECK_EQ(pthread_create(&thread, NULL, submits, NULL), 0);
	joins(thread, &stop);
	usleep(10000);
	return 0;
}
