/* An io_uring's completion queue has room for 65,536: a thread that has submitted more, of which none was taken,
   ends all the same, and the events are there. */
#define _GNU_SOURCE
#include "uring.h"

#include <pthread.h>

enum { N = 66000, ASKED = 40000, AT_ONCE = 1000, SIZE = 4096 };

static io_context_t ctx;
static struct iocb requests[N], *list[N];
static struct io_event events[N];
static char bytes[N];

static void *submits_and_ends(void *unused)
{
	int file = new_file(SIZE, 0);

	(void)unused;
	for (int i = 0; i < N; i++) {
		list[i] = &requests[i];
		io_prep_pread(list[i], file, &bytes[i], 1, i % SIZE);
	}
	for (int i = 0; i < N; i += AT_ONCE)
		CHECK_EQ(io_submit(ctx, AT_ONCE, list + i), AT_ONCE);
	return NULL;
}

int main(void)
{
	int answer = io_setup(ASKED, &ctx), n;
	pthread_t thread;

	if (is_refused(ASKED, answer))
		return 0;
	CHECK_EQ(answer, 0);
	CHECK_EQ(pthread_create(&thread, NULL, submits_and_ends, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	for (int taken = 0; taken < N; taken += n) {
		n = io_getevents(ctx, 1, N - taken, events, NULL);
		CHECK(n > 0);
		for (int i = 0; i < n; i++)
			CHECK_EQ(events[i].res, 1);
	}
	for (int i = 0; i < N; i++)
		CHECK(is_file_data(&bytes[i], 1, i % SIZE));
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
