/* exit(3) comes where a thread has had the kernel hold the first file of a batch of fsyncs, and not put any of them in:
   they are synced all the same, as a destructor finds that comes after this library's end (joins_at_its_end.c). */
#define _GNU_SOURCE
#include "held_up.h"
#include "uring.h"

#include <pthread.h>

void joins(pthread_t whom, volatile int *when);

static volatile int stop;

static void *syncs(void *unused)
{
	int fd = new_file(64, 0);
	io_context_t ctx = new_context(4);
	struct iocb syncs[3], *list[3];
	struct io_event events[3];

	(void)unused;
	for (int i = 0; i < 3; i++) {
		io_prep_fdsync(&syncs[i], fd);
		list[i] = &syncs[i];
	}
	use(ctx, eventfd(1, 0));
	let_by = 1;
	held_up_before = HOLD;
	if (io_submit(ctx, 3, list) != 3)
		_exit(2);
	/* An engine that holds no files has not come by there. */
	sem_post(&about_to_enter);
	if (io_getevents(ctx, 3, 3, events, NULL) != 3)
		_exit(3);
	for (int i = 0; i < 3; i++)
		if (events[i].res != 0)
			_exit(4);
	return NULL;
}

static void *lets_go_on(void *unused)
{
	/* Until main is in the library's end, which waits longer. */
	usleep(10000);
	sem_post(&go_on);
	return unused;
}

int main(void)
{
	pthread_t thread, other;

	alarm(20);
	prepare_to_hold_up();
	CHECK_EQ(pthread_create(&thread, NULL, syncs, NULL), 0);
	CHECK_EQ(sem_wait(&about_to_enter), 0);
	CHECK_EQ(pthread_create(&other, NULL, lets_go_on, NULL), 0);
	joins(thread, &stop);
	return 0;
}
