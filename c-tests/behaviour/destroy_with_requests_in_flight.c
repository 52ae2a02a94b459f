/* io_destroy of a context with polls in flight and events that nobody took returns 0 and does not
   wait for them; the descriptors stay usable. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(3);
	int never = eventfd(0, 0), ready = eventfd(1, 0);
	struct iocb cb[3], *list[3] = { &cb[0], &cb[1], &cb[2] };
	eventfd_t count;

	CHECK(never >= 0 && ready >= 0);
	io_prep_poll(&cb[0], never, POLLIN);
	io_prep_poll(&cb[1], ready, POLLIN);
	io_prep_poll(&cb[2], never, POLLIN);
	CHECK_EQ(io_submit(ctx, 3, list), 3);
	alarm(60); /* ends the program where it waits */
	EXPECT("destroy", io_destroy(ctx), 0);
	EXPECT("write", eventfd_write(never, 7), 0);
	EXPECT("read", eventfd_read(never, &count), 0);
	EXPECT("count", count, 7);
	return 0;
}
