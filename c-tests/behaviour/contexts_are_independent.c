/* Events come only from the context that their request went to; destroying one leaves the others
   working. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

#define N 10

int main(void)
{
	io_context_t ctx[N];
	int fd = eventfd(1, 0);
	struct iocb cb[N], *list[1];
	struct io_event events[N];

	CHECK(fd >= 0);
	for (int i = 0; i < N; i++)
		ctx[i] = new_context(1);
	for (int i = 0; i < N; i++) {
		io_prep_poll(&cb[i], fd, POLLIN);
		list[0] = &cb[i];
		CHECK_EQ(io_submit(ctx[i], 1, list), 1);
	}
	for (int i = 0; i < N; i += 2)
		CHECK_EQ(io_destroy(ctx[i]), 0);
	for (int i = 1; i < N; i += 2) {
		CHECK_EQ(io_getevents(ctx[i], 1, N, events, NULL), 1);
		CHECK(events[0].obj == &cb[i]);
		CHECK_EQ(io_destroy(ctx[i]), 0);
		CHECK_EQ(io_destroy(ctx[i]), -EINVAL);
	}
	puts("each its own");
	return 0;
}
