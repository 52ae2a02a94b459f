/* An io_uring's completion queue has room for 65,536: of more requests than that, in flight at once, each
   has its event, once; also where more are submitted while the queue is full. (The kernel's AIO refuses
   such a context beyond fs.aio-max-nr.) */
#define _GNU_SOURCE
#include "uring.h"

enum { N = 100000, AT_ONCE = 1000, SIZE = 4096 };

static struct iocb requests[N], *list[N];
static struct io_event events[N];
static char bytes[N];

static void submit_all(io_context_t ctx)
{
	for (int i = 0; i < N; i += AT_ONCE)
		CHECK_EQ(io_submit(ctx, AT_ONCE, list + i), AT_ONCE);
}

static int there_is_none(io_context_t ctx)
{
	struct timespec zero = { 0, 0 };

	return io_getevents(ctx, 0, N, events, &zero) == 0;
}

/* Takes an event of each request, by calls that wait for `least`. */
static void take_all(io_context_t ctx, int least, int most)
{
	static char seen[N];
	int n;

	memset(seen, 0, sizeof(seen));
	for (int left = N; left > 0; left -= n) {
		int wanted = least < left ? least : left;
		n = io_getevents(ctx, wanted, most, events, NULL);
		CHECK(wanted <= n && n <= most);
		for (int i = 0; i < n; i++) {
			long which = events[i].obj - requests;
			CHECK(0 <= which && which < N && !seen[which]++);
			CHECK(events[i].data == &list[which]);
			CHECK_EQ(events[i].res, 1); /* POLLIN, or a byte */
		}
	}
	CHECK(there_is_none(ctx));
}

static void poll_all(io_context_t ctx, int counter)
{
	CHECK_EQ(eventfd_read(counter, &(eventfd_t){ 0 }), 0);
	for (int i = 0; i < N; i++) {
		io_prep_poll(list[i], counter, POLLIN);
		list[i]->data = &list[i];
	}
	submit_all(ctx);
	CHECK(there_is_none(ctx));
	CHECK_EQ(eventfd_write(counter, 1), 0);
}

int main(void)
{
	int counter = eventfd(1, 0), file = new_file(SIZE, 0), answer;
	io_context_t ctx = NULL;

	CHECK(counter >= 0);
	answer = io_setup(N, &ctx);
	if (is_refused(N, answer))
		return 0;
	CHECK_EQ(answer, 0);
	for (int i = 0; i < N; i++)
		list[i] = &requests[i];

	poll_all(ctx, counter);
	take_all(ctx, N, N);
	poll_all(ctx, counter);
	take_all(ctx, 0, N); /* none of them sleeps in the kernel, which would bring the rest in */

	for (int i = 0; i < N; i++) {
		io_prep_pread(list[i], file, &bytes[i], 1, i % SIZE);
		list[i]->data = &list[i];
	}
	submit_all(ctx);
	take_all(ctx, AT_ONCE, 7 * AT_ONCE);
	for (int i = 0; i < N; i++)
		CHECK(is_file_data(&bytes[i], 1, i % SIZE));

	/* With none of them ever taken, too, the context comes to its end. */
	submit_all(ctx);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
