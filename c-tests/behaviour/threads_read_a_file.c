/* Four threads each submit reads of one file to one context and reap whatever is there, also the
   others' events: every read happens once and brings its own bytes. */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define THREADS 4
#define EACH 500
#define TOTAL (THREADS * EACH)
#define SIZE 1000

static io_context_t ctx;
static int file;
static struct iocb cb[TOTAL];
static unsigned char buf[TOTAL][SIZE];
static atomic_int reaped;

static void *read_and_reap(void *first)
{
	struct iocb *mine = first, *list[10];
	struct io_event events[16];
	struct timespec wait = { 0, 5000000 };
	int submitted = 0;

	while (submitted < EACH || atomic_load(&reaped) < TOTAL) {
		int n = EACH - submitted < 10 ? EACH - submitted : 10;

		for (int i = 0; i < n; i++) {
			long which = (long)(mine - cb) + submitted + i;
			io_prep_pread(&cb[which], file, buf[which], SIZE, which * SIZE);
			list[i] = &cb[which];
		}
		n = io_submit(ctx, n, list);
		CHECK(n >= 0 || n == -EAGAIN);
		submitted += n > 0 ? n : 0;
		n = io_getevents(ctx, 1, 16, events, &wait);
		CHECK(n >= 0);
		for (int i = 0; i < n; i++) {
			long which = (long)(events[i].obj - cb);
			CHECK_EQ(events[i].res, SIZE);
			CHECK(is_file_data(buf[which], SIZE, (size_t)which * SIZE));
			memset(buf[which], 0xee, SIZE); /* a second delivery would show */
			atomic_fetch_add(&reaped, 1);
		}
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	struct io_event event;
	struct timespec no_wait = { 0, 0 };

	ctx = new_context(32);
	file = new_file(TOTAL * SIZE, 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, read_and_reap, &cb[i * EACH]), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	EXPECT("reads", atomic_load(&reaped), TOTAL);
	EXPECT("none left", io_getevents(ctx, 0, 1, &event, &no_wait), 0);
	return 0;
}
