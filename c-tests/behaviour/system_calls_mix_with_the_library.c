/* A program may make some of the calls itself, as MariaDB does: contexts, requests and events are
   the kernel's, whichever side made or took them. */
/* engines: kernel */
#define _GNU_SOURCE
#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

int main(void)
{
	io_context_t ctx = new_context(4), other = NULL;
	int fd = eventfd(1, 0);
	struct iocb cb[4], *list[4] = { &cb[0], &cb[1], &cb[2], &cb[3] };
	struct io_event events[4];
	struct timespec no_wait = { 0, 0 };

	CHECK(fd >= 0);
	for (int i = 0; i < 4; i++)
		io_prep_poll(&cb[i], fd, POLLIN);

	EXPECT("library submits", io_submit(ctx, 4, list), 4);
	EXPECT("program reaps", syscall(SYS_io_getevents, ctx, 1L, 1L, events, NULL), 1);
	CHECK(events[0].obj == &cb[0]);
	EXPECT("library reaps", io_getevents(ctx, 0, 1, events, &no_wait), 1);
	CHECK(events[0].obj == &cb[1]);
	EXPECT("program reaps", syscall(SYS_io_getevents, ctx, 1L, 1L, events, NULL), 1);
	CHECK(events[0].obj == &cb[2]);
	EXPECT("library reaps", io_getevents(ctx, 1, 4, events, NULL), 1);
	CHECK(events[0].obj == &cb[3]);

	EXPECT("program destroys", syscall(SYS_io_destroy, ctx), 0);
	EXPECT("library destroys", io_destroy(ctx), -EINVAL);

	/* The kernel may well put this one where the other was. */
	EXPECT("program sets up", syscall(SYS_io_setup, 4, &other), 0);
	EXPECT("library reaps none", io_getevents(other, 0, 4, events, &no_wait), 0);
	EXPECT("program submits", syscall(SYS_io_submit, other, 2L, list), 2);
	EXPECT("library reaps", io_getevents(other, 0, 4, events, &no_wait), 2);
	CHECK(events[0].obj == &cb[0] && events[1].obj == &cb[1]);
	EXPECT("library destroys", io_destroy(other), 0);
	EXPECT("program destroys", syscall(SYS_io_destroy, other), -1);
	return 0;
}
