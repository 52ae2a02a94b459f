/* Each completion of a request with io_set_eventfd adds 1 to that eventfd, when the event is there
   to take; requests without leave it alone. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/eventfd.h>

int main(void)
{
	io_context_t ctx = new_context(8);
	int file = new_file(4096, 0), fd = eventfd(0, EFD_NONBLOCK);
	char buf[8][64];
	struct iocb cb[8], *list[8];
	struct io_event events[8];
	struct timespec no_wait = { 0, 0 };
	eventfd_t count, total = 0;

	CHECK(fd >= 0);
	for (int i = 0; i < 8; i++) {
		io_prep_pread(&cb[i], file, buf[i], 64, i * 64);
		list[i] = &cb[i];
		if (i < 5)
			io_set_eventfd(&cb[i], fd);
	}
	CHECK_EQ(cb[0].u.c.flags, 1);
	CHECK_EQ(cb[0].u.c.resfd, fd);
	EXPECT("submit", io_submit(ctx, 8, list), 8);
	EXPECT("events", io_getevents(ctx, 8, 8, events, NULL), 8);
	EXPECT("read", eventfd_read(fd, &count), 0);
	EXPECT("count", count, 5);
	EXPECT("read again", eventfd_read(fd, &count), -1);

	/* The count tells how many can be taken without waiting. */
	CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
	CHECK_EQ(io_submit(ctx, 5, list), 5);
	for (; total < 5; total += count) {
		CHECK_EQ(eventfd_read(fd, &count), 0);
		CHECK_EQ(io_getevents(ctx, 0, count, events, &no_wait), count);
	}
	EXPECT("total", total, 5);
	return 0;
}
