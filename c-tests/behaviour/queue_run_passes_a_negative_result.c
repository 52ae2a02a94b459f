/* The callback of a request that failed gets the error as a negative res; the run still returns
   0. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/eventfd.h>

static int calls;

static void failed(io_context_t ctx, struct iocb *iocb, long res, long res2)
{
	CHECK(ctx != NULL && iocb != NULL);
	EXPECT("res", res, -EINVAL);
	EXPECT("res2", res2, 0);
	calls++;
}

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = eventfd(1, 0);
	char small[4];
	struct iocb cb, *list[1] = { &cb };

	CHECK(fd >= 0);
	io_prep_pread(&cb, fd, small, sizeof(small), 0); /* an eventfd wants room for 8 bytes */
	io_set_callback(&cb, failed);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	EXPECT("run", io_queue_run(ctx), 0);
	EXPECT("calls", calls, 1);
	return 0;
}
