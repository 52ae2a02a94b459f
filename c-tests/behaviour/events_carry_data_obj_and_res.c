/* An event has the data of its request, whatever bits these are, its iocb's address, its result,
   and 0 in res2. */
#define _GNU_SOURCE
#include "check.h"

int main(void)
{
	io_context_t ctx = new_context(4);
	int fd = new_file(100, 0);
	static const uintptr_t data[4] = { 0, 1, UINTPTR_MAX, UINTPTR_MAX / 3 };
	char buf[4][64];
	struct iocb cb[4], *list[4];
	struct io_event events[4];

	for (int i = 0; i < 4; i++) {
		io_prep_pread(&cb[i], fd, buf[i], (size_t)(i + 1) * 10, i);
		cb[i].data = (void *)data[i];
		list[i] = &cb[i];
	}
	memset(events, 0xee, sizeof(events));
	EXPECT("submit", io_submit(ctx, 4, list), 4);
	EXPECT("getevents", io_getevents(ctx, 4, 4, events, NULL), 4);
	for (int i = 0; i < 4; i++) {
		long which = (long)(events[i].obj - cb);
		CHECK(which >= 0 && which < 4);
		CHECK(events[i].data == (void *)data[which]);
		CHECK_EQ(events[i].res, (which + 1) * 10);
		CHECK_EQ(events[i].res2, 0);
		CHECK(is_file_data(buf[which], events[i].res, (size_t)which));
	}
	return 0;
}
