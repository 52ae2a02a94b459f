/* The iocb and the iovec array are read during io_submit: what the program does to them afterwards
   changes neither the transfer nor the event. */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static _Alignas(4096) unsigned char buf[4096];

int main(void)
{
	io_context_t ctx = new_context(2);
	int fd = new_file(4096, 0), event_fd = eventfd(0, 0);
	struct iovec iov = { buf, sizeof(buf) };
	struct iocb reading, polling, *list[2] = { &reading, &polling };
	struct io_event events[2];

	CHECK(event_fd >= 0);
	io_prep_preadv(&reading, fd, &iov, 1, 0);
	reading.data = buf;
	io_prep_poll(&polling, event_fd, POLLIN);
	polling.data = &iov;
	EXPECT("submit", io_submit(ctx, 2, list), 2);
	memset(&iov, 0xee, sizeof(iov));
	memset(&reading, 0xee, sizeof(reading));
	memset(&polling, 0xee, sizeof(polling));
	memset(list, 0xee, sizeof(list));
	EXPECT("the read", io_getevents(ctx, 1, 1, events, NULL), 1);
	CHECK(events[0].obj == &reading && events[0].data == buf);
	EXPECT("res", events[0].res, 4096);
	CHECK(is_file_data(buf, 4096, 0));
	CHECK_EQ(eventfd_write(event_fd, 1), 0);
	EXPECT("the poll", io_getevents(ctx, 1, 1, events, NULL), 1);
	CHECK(events[0].obj == &polling && events[0].data == &iov);
	EXPECT("res", events[0].res, POLLIN);
	return 0;
}
