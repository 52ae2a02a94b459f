/* One io_submit may carry reads, writes, a sync and a poll, on several files; each gives its own
   result. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

int main(void)
{
	io_context_t ctx = new_context(6);
	int a = new_file(1000, 0), b = new_file(2000, 0), ready = eventfd(1, 0);
	char in[100], in2[200], out[] = "written";
	struct iovec into = { in2, sizeof(in2) }, from = { out, 7 };
	struct iocb cb[6], *list[6];
	struct io_event events[6];
	long res[6];

	CHECK(ready >= 0);
	io_prep_pread(&cb[0], a, in, sizeof(in), 0);
	io_prep_pwrite(&cb[1], b, out, 7, 5000);
	io_prep_preadv(&cb[2], a, &into, 1, 900);
	io_prep_pwritev(&cb[3], b, &from, 1, 6000);
	io_prep_fdsync(&cb[4], a);
	io_prep_poll(&cb[5], ready, POLLIN);
	for (int i = 0; i < 6; i++)
		list[i] = &cb[i];
	EXPECT("submit", io_submit(ctx, 6, list), 6);
	EXPECT("getevents", io_getevents(ctx, 6, 6, events, NULL), 6);
	for (int i = 0; i < 6; i++)
		res[events[i].obj - cb] = (long)events[i].res;
	for (int i = 0; i < 6; i++)
		printf("request %d: %ld\n", i, res[i]);
	CHECK(res[0] == 100 && res[1] == 7 && res[2] == 100 && res[3] == 7);
	CHECK(res[4] == 0 && res[5] == POLLIN);
	CHECK(is_file_data(in, 100, 0) && is_file_data(in2, 100, 900));
	EXPECT("size", lseek(b, 0, SEEK_END), 6007);
	return 0;
}
