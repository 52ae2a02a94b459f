/* Under memcheck: a program that looks at an event that it did not get. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(4);
	struct io_event *event = (struct io_event *)malloc(sizeof(*event));

	CHECK(event != NULL);
	CHECK_EQ(io_getevents(ctx, 0, 1, event, NULL), 0);
	if (event->res == 1)
		puts("by chance");
	free(event);
	return io_destroy(ctx);
}
