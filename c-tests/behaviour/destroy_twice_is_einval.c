/* The second of two io_destroy gives -EINVAL, as do io_submit and io_cancel on a destroyed context,
   and io_destroy of NULL. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(64, 0);
	char buf[64];
	struct iocb cb, *list[1] = { &cb };
	struct io_event event;

	io_prep_pread(&cb, fd, buf, sizeof(buf), 0);
	CHECK_EQ(run_one(ctx, &cb), 64);
	EXPECT("destroy", io_destroy(ctx), 0);
	EXPECT("destroy again", io_destroy(ctx), -EINVAL);
	EXPECT("submit", io_submit(ctx, 1, list), -EINVAL);
	EXPECT("cancel", io_cancel(ctx, &cb, &event), -EINVAL);
	EXPECT("destroy NULL", io_destroy(NULL), -EINVAL);
	return 0;
}
