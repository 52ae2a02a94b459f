/* An object to be loaded, with the library linked in: reads by a context that it makes and destroys. */
#include "uring.h"

void uses_a_context(void);

void uses_a_context(void)
{
	io_context_t ctx = new_context(1);
	char bytes[64];
	struct iocb cb;
	int fd = open("/proc/self/exe", O_RDONLY);

	CHECK(fd >= 0);
	io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
	CHECK_EQ(run_one(ctx, &cb), sizeof(bytes));
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(io_destroy(ctx), 0);
}
