/* io_submit refuses a request whose eventfd is another kind of file (-EINVAL), closed or no more than a path
   (-EBADF). */
#define _GNU_SOURCE
#include "check.h"

#include <sys/epoll.h>

int main(void)
{
	io_context_t ctx = new_context(1);
	int file = new_file(64, 0);
	char buf[64];
	struct iocb cb, *list[1] = { &cb };

	io_prep_pread(&cb, file, buf, sizeof(buf), 0);
	io_set_eventfd(&cb, file);
	EXPECT("a file", io_submit(ctx, 1, list), -EINVAL);
	io_set_eventfd(&cb, epoll_create1(0));
	EXPECT("without a kind", io_submit(ctx, 1, list), -EINVAL);
	io_set_eventfd(&cb, open("/dev/null", O_PATH));
	EXPECT("a path", io_submit(ctx, 1, list), -EBADF);
	io_set_eventfd(&cb, -1);
	EXPECT("closed", io_submit(ctx, 1, list), -EBADF);
	return 0;
}
