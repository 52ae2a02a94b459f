/* A program that takes its events by the system call (as MariaDB does) works whatever engine is asked
   for: it imports nothing of libaio that takes events. That it has eventfds for other ends, made later,
   is no matter. */
#define _GNU_SOURCE
#include "check.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>

int main(void)
{
	io_context_t ctx = NULL;
	struct iocb cb, *list[] = { &cb };
	struct io_event event;
	char bytes[100];
	int fd = new_file(sizeof(bytes), 0);

	CHECK_EQ(io_setup(1, &ctx), 0);
	CHECK(eventfd(0, 0) >= 0);
	io_prep_pread(&cb, fd, bytes, sizeof(bytes), 0);
	CHECK_EQ(io_submit(ctx, 1, list), 1);
	CHECK_EQ(syscall(SYS_io_getevents, ctx, 1L, 1L, &event, NULL), 1);
	CHECK(event.obj == &cb && is_file_data(bytes, sizeof(bytes), 0));
	return io_destroy(ctx);
}
