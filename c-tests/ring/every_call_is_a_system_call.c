/* Run with LIBAIO_REAP=syscall (or under what makes the library step aside altogether): no call is
   answered in user space. */
#define _GNU_SOURCE
#include "counted.h"

int main(void)
{
	struct io_event events[4];
	struct timespec zero = { 0, 0 };
	io_context_t ctx = new_context(16);

	make_ready(ctx, 4);
	refuse_system_calls();
	CHECK_EQ(io_getevents(ctx, 1, 1, events, NULL), SYSTEM_CALL);
	CHECK_EQ(io_getevents(ctx, 0, 1, events, &zero), SYSTEM_CALL);
	CHECK_EQ(io_pgetevents(ctx, 1, 1, events, NULL, NULL), SYSTEM_CALL);
	CHECK_EQ(io_queue_run(ctx), SYSTEM_CALL);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
