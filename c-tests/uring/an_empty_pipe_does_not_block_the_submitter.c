/* A read of an empty pipe is submitted at once, where the kernel's AIO waits in io_submit; it completes
   when there is something, io_cancel cancels it, and io_destroy does not wait for it. */
#define _GNU_SOURCE
#include "uring.h"

int main(void)
{
	io_context_t ctx = new_context(4);
	struct io_event event;
	struct timespec zero = { 0, 0 };
	struct iocb cb;
	char bytes[8];
	int ends[2];

	CHECK_EQ(pipe(ends), 0);
	io_prep_pread(&cb, ends[0], bytes, sizeof(bytes), 0);
	submit(ctx, &cb);
	CHECK_EQ(io_getevents(ctx, 1, 1, &event, &zero), 0);
	CHECK_EQ(write(ends[1], "abc", 3), 3);
	CHECK_EQ(take(ctx, &cb), 3);
	CHECK(memcmp(bytes, "abc", 3) == 0);

	submit(ctx, &cb);
	CHECK_EQ(io_cancel(ctx, &cb, &event), -EINPROGRESS);
	CHECK_EQ(take(ctx, &cb), -ECANCELED);
	CHECK_EQ(io_cancel(ctx, &cb, &event), -EINVAL);

	submit(ctx, &cb);
	CHECK_EQ(io_destroy(ctx), 0);
	/* Nobody reads there any more. */
	CHECK_EQ(write(ends[1], "def", 3), 3);
	CHECK_EQ(read(ends[0], bytes, 3), 3);
	return 0;
}
