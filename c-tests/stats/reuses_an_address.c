/* Two contexts, one after the other, at one address where the kernel gives it out again; the program locks
   its memory, where it may. */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

static void polls(int maxevents, int n)
{
	io_context_t ctx = new_context(maxevents);
	struct iocb request;

	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	for (int i = 0; i < n; i++)
		CHECK_EQ(run_one(ctx, &request), POLLIN);
	CHECK_EQ(io_destroy(ctx), 0);
}

int main(void)
{
	(void)!mlockall(MCL_FUTURE);
	polls(1, 3);
	polls(2, 2);
	return 0;
}
