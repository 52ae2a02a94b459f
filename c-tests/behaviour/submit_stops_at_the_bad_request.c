/* io_submit returns how many requests went in before one that it refuses; submitting the rest says
   why, and the requests after the bad one have not run. */
#define _GNU_SOURCE
#include "check.h"

/* Not on the stack, which exit(3) uses: the last two may still be read into. */
static char buf[5][10];

int main(void)
{
	io_context_t ctx = new_context(5);
	int fd = new_file(100, 0);
	struct iocb cb[5], *list[5];
	struct io_event events[5];
	struct timespec no_wait = { 0, 0 };

	memset(buf, 'u', sizeof(buf));
	for (int i = 0; i < 5; i++) {
		io_prep_pread(&cb[i], i == 2 ? -1 : fd, buf[i], 10, i * 10);
		list[i] = &cb[i];
	}
	EXPECT("bad descriptor in the middle", io_submit(ctx, 5, list), 2);
	EXPECT("the rest", io_submit(ctx, 3, list + 2), -EBADF);
	EXPECT("events", io_getevents(ctx, 2, 5, events, NULL), 2);
	EXPECT("no more", io_getevents(ctx, 0, 5, events, &no_wait), 0);
	CHECK(is_file_data(buf[0], 10, 0) && is_file_data(buf[1], 10, 10));
	CHECK(buf[3][0] == 'u' && buf[4][0] == 'u');

	cb[2].aio_lio_opcode = 99;
	cb[2].aio_fildes = fd;
	EXPECT("bad opcode in the middle", io_submit(ctx, 4, list + 1), 1);
	EXPECT("the rest", io_submit(ctx, 3, list + 2), -EINVAL);
	EXPECT("events", io_getevents(ctx, 1, 5, events, NULL), 1);
	list[2] = NULL;
	EXPECT("NULL in the middle", io_submit(ctx, 4, list + 1), 1);
	EXPECT("the rest", io_submit(ctx, 3, list + 2), -EFAULT);
	EXPECT("after it", io_submit(ctx, 2, list + 3), 2);
	return 0;
}
