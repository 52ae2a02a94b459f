/* A library that makes contexts and takes their events by itself, of which `uring` says whether they are
   io_urings. */
#define _GNU_SOURCE
#include "uring.h"

void use_a_context(int uring)
{
	io_context_t ctx = new_context(1);
	int ready = eventfd(1, 0);

	CHECK_EQ(io_urings(), uring);
	use(ctx, ready);
	CHECK_EQ(io_destroy(ctx), 0);
	CHECK_EQ(close(ready), 0);
}
