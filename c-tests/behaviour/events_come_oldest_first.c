/* Events come in the order in which their requests completed, over several calls and however many
   each call takes. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

#define N 20

int main(void)
{
	io_context_t ctx = new_context(N);
	int fd = eventfd(1, 0), reaped = 0;
	struct iocb cb[N], *list[1];
	struct io_event events[N];
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	for (int i = 0; i < N; i++) {
		io_prep_poll(&cb[i], fd, POLLIN); /* ready: completes during io_submit */
		list[0] = &cb[i];
		CHECK_EQ(io_submit(ctx, 1, list), 1);
	}
	for (int take = 1; reaped < N; take++) {
		int n = take % 2 ? io_getevents(ctx, 1, take, events, NULL)
		                 : io_getevents(ctx, 1, take, events, &no_wait);
		CHECK(n >= 1 && n <= take);
		for (int i = 0; i < n; i++)
			CHECK(events[i].obj == &cb[reaped + i]);
		reaped += n;
	}
	EXPECT("in order", reaped, N);
	return 0;
}
