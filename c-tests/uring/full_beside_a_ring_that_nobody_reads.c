/* With eventfds, events that nobody takes count against the context's capacity: io_submit answers
   -EAGAIN where it is used up, nothing is lost, and taking events makes room again. */
#define _GNU_SOURCE
#include "uring.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	static struct iocb cbs[2000];
	static struct io_event events[2000];
	int ready = eventfd(1, 0), notified = eventfd(0, 0), in = 0, capacity = 0;

	for (int round = 0; round < 20; round++) {
		int answer = 0;

		for (in = 0; in < 2000; in++) {
			struct iocb *list[] = { &cbs[in] };

			io_prep_poll(&cbs[in], ready, POLLIN);
			io_set_eventfd(&cbs[in], notified);
			answer = io_submit(ctx, 1, list);
			if (answer != 1)
				break;
		}
		CHECK_EQ(answer, -EAGAIN);
		/* The event that is being moved into the ring counts twice. */
		CHECK(round == 0 || abs(in - capacity) <= 1);
		if (capacity < in)
			capacity = in;
		for (int out = 0; out < in;) {
			int n = io_getevents(ctx, 1, 2000, events, NULL);

			CHECK(n > 0);
			out += n;
		}
	}
	CHECK_EQ(capacity, ((unsigned *)ctx)[1] - 1);
	return 0;
}
