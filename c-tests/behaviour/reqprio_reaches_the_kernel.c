/* With bit 1 of the flags the kernel reads aio_reqprio: a class that it does not know is -EINVAL;
   without the bit the field is ignored. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int file = new_file(64, 0);
	char buf[64];
	struct iocb cb, *list[1] = { &cb };

	io_prep_pread(&cb, file, buf, sizeof(buf), 0);
	cb.aio_reqprio = (short)(7 << 13); /* ioprio_set(2): the class is the upper 3 bits */
	EXPECT("class 7, no flag", run_one(ctx, &cb), 64);
	cb.u.c.flags = 2;
	EXPECT("class 7", io_submit(ctx, 1, list), -EINVAL);
	cb.aio_reqprio = (short)(2 << 13 | 4);
	EXPECT("best effort, 4", run_one(ctx, &cb), 64);
	return 0;
}
