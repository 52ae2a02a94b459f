/* A child of vfork calls exit, which it had better not: its parent goes on as before. */
#define _GNU_SOURCE
#include "uring.h"

int main(void)
{
	int ready = eventfd(1, 0);
	io_context_t ctx = new_context(4);
	pid_t child;

	use(ctx, ready);
	child = vfork();
	if (child == 0)
		exit(0);
	succeeded(child);
	use(ctx, ready);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
