/* Calls io_getevents, and takes its address too, by which linkers count it among what the program itself
   defines. */
#include "uring.h"

int main(int argc, char **argv)
{
	int (*gets)(io_context_t, long, long, struct io_event *, struct timespec *) =
		argc > 1 ? NULL : io_getevents;
	io_context_t ctx = new_context(4);
	struct timespec zero = { 0, 0 };
	struct io_event event;

	(void)argv;
	CHECK_EQ(gets(ctx, 0, 1, &event, &zero), 0);
	CHECK_EQ(io_getevents(ctx, 0, 1, &event, &zero), 0);
	fprintf(stdout, "%d\n", io_urings());
	return io_destroy(ctx);
}
