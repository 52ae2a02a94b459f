/* io_destroy gives up a poll that waits, also one that is to be notified, and is done then: seen by strace. */
#include "uring.h"

int main(void)
{
	for (int notified = 0; notified < 2; notified++) {
		for (int i = 0; i < 10; i++) {
			int never = eventfd(0, 0), bell = eventfd(0, 0);
			io_context_t ctx = new_context(4);
			struct iocb cb;

			io_prep_poll(&cb, never, POLLIN);
			if (notified)
				io_set_eventfd(&cb, bell);
			submit(ctx, &cb);
			CHECK_EQ(io_destroy(ctx), 0);
			CHECK_EQ(close(never), 0);
			CHECK_EQ(close(bell), 0);
		}
	}
	return 0;
}
