/* io_queue_init makes a context whatever *ctxp held; a count below 1 gives -EINVAL and leaves *ctxp
   alone; a count that io_setup refuses leaves NULL there. */
#define _GNU_SOURCE
#include "check.h"

#include <limits.h>

int main(void)
{
	io_context_t garbage = (io_context_t)(uintptr_t)0x1234, ctx = garbage;
	int fd = new_file(64, 0);
	char buf[64];
	struct iocb cb;

	EXPECT("0", io_queue_init(0, &ctx), -EINVAL);
	EXPECT("-1", io_queue_init(-1, &ctx), -EINVAL);
	EXPECT("INT_MIN", io_queue_init(INT_MIN, &ctx), -EINVAL);
	EXPECT("0 and NULL", io_queue_init(0, NULL), -EINVAL);
	CHECK(ctx == garbage);
	EXPECT("INT_MAX", io_queue_init(INT_MAX, &ctx), -EINVAL);
	CHECK(ctx == NULL);
	ctx = garbage;
	EXPECT("1", io_queue_init(1, &ctx), 0);
	CHECK(ctx != NULL && ctx != garbage);
	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	EXPECT("pread", run_one(ctx, &cb), 64);
	EXPECT("release", io_queue_release(ctx), 0);
	return 0;
}
