/* io_submit refuses a request whose eventfd is another kind of file (-EINVAL) or closed
   (-EBADF). */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(1);
	int file = new_file(64, 0);
	char buf[64];
	struct iocb cb, *list[1] = { &cb };

	io_prep_pread(&cb, file, buf, sizeof(buf), 0);
	io_set_eventfd(&cb, file);
	EXPECT("a file", io_submit(ctx, 1, list), -EINVAL);
	io_set_eventfd(&cb, -1);
	EXPECT("closed", io_submit(ctx, 1, list), -EBADF);
	return 0;
}
