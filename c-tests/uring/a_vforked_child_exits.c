/* A child of vfork calls exit, which it had better not: its parent goes on as before. */
#define _GNU_SOURCE
#include "uring.h"

#include <sys/wait.h>

int main(void)
{
	int ready = eventfd(1, 0), status;
	io_context_t ctx = new_context(4);
	pid_t child;

	use(ctx, ready);
	child = vfork();
	if (child == 0)
		exit(0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	use(ctx, ready);
	CHECK_EQ(io_destroy(ctx), 0);
	return 0;
}
