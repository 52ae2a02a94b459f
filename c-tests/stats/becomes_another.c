/* Makes a call, goes to another folder, makes others, and becomes itself again: once. */
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>

int main(int argc, char **argv)
{
	io_context_t ctx = new_context(argc);
	struct iocb request;

	io_prep_poll(&request, eventfd(1, 0), POLLIN);
	if (argc == 1) {
		CHECK_EQ(chdir("folder"), 0);
		CHECK_EQ(run_one(ctx, &request), POLLIN);
		CHECK_EQ(io_destroy(ctx), 0);
		CHECK_EQ(run_one(new_context(1), &request), POLLIN);
		execl("/proc/self/exe", argv[0], "again", NULL);
		CHECK(!"an exec");
	}
	CHECK_EQ(run_one(ctx, &request), POLLIN);
	CHECK_EQ(run_one(ctx, &request), POLLIN);
	return 0;
}
