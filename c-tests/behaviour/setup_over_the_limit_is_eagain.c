/* io_setup of more events than /proc/sys/fs/aio-max-nr allows gives -EAGAIN. */
/* engines: kernel */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	FILE *f = fopen("/proc/sys/fs/aio-max-nr", "r");
	io_context_t ctx = NULL;
	long limit;

	CHECK(f != NULL);
	CHECK_EQ(fscanf(f, "%ld", &limit), 1);
	/* aio_setup_ring's own bound, which answers -EINVAL, is twice this. */
	if (limit >= 0x400000)
		EXPECT("more than any ring", io_setup(0x400001, &ctx), -EINVAL);
	else
		EXPECT("over the limit", io_setup((int)limit + 1, &ctx), -EAGAIN);
	CHECK(ctx == NULL);
	return 0;
}
