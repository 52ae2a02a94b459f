/* A request may be filled in by the member names of <linux/aio_abi.h>: the same bytes as by
   libaio's names, and the kernel does it. <aio.h> in the same file is no hindrance. */
#define _GNU_SOURCE
#include <aio.h>

#include "check.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

static struct iocb by_kernel, by_libaio;

static void same(void)
{
	CHECK(memcmp(&by_kernel, &by_libaio, sizeof(by_kernel)) == 0);
	memset(&by_kernel, 0, sizeof(by_kernel));
}

int main(void)
{
	io_context_t ctx = new_context(1);
	int fd = new_file(4096, 0), event_fd = eventfd(0, 0);
	char buf[1000];
	struct iovec iov = { buf, sizeof(buf) };
	struct aiocb posix = { .aio_fildes = fd, .aio_buf = buf, .aio_nbytes = sizeof(buf) };
	eventfd_t count;

	CHECK(event_fd >= 0);
	CHECK_EQ(sizeof(struct iocb), 64);
	by_kernel.aio_data = (uint64_t)(uintptr_t)&iov;
	by_kernel.aio_lio_opcode = IO_CMD_PREAD;
	by_kernel.aio_fildes = posix.aio_fildes;
	by_kernel.aio_buf = (uint64_t)(uintptr_t)posix.aio_buf;
	by_kernel.aio_nbytes = posix.aio_nbytes;
	by_kernel.aio_offset = 77;
	by_kernel.aio_flags = 1;
	by_kernel.aio_resfd = (uint32_t)event_fd;
	CHECK_EQ(run_one(ctx, &by_kernel), sizeof(buf));
	CHECK(is_file_data(buf, sizeof(buf), 77));
	CHECK_EQ(eventfd_read(event_fd, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(by_kernel.aio_key, by_kernel.key);
	io_prep_pread(&by_libaio, fd, buf, sizeof(buf), 77);
	by_libaio.data = &iov;
	by_libaio.key = by_kernel.key;
	io_set_eventfd(&by_libaio, event_fd);
	same();

	by_kernel.aio_lio_opcode = IO_CMD_PWRITEV;
	by_kernel.aio_fildes = fd;
	by_kernel.aio_rw_flags = RWF_APPEND;
	by_kernel.aio_buf = (uint64_t)(uintptr_t)&iov;
	by_kernel.aio_nbytes = 1;
	by_kernel.aio_offset = -5;
	io_prep_pwritev2(&by_libaio, fd, &iov, 1, -5, RWF_APPEND);
	same();

	by_kernel.aio_lio_opcode = IO_CMD_POLL;
	by_kernel.aio_fildes = fd;
	by_kernel.aio_buf = POLLIN;
	io_prep_poll(&by_libaio, fd, POLLIN);
	same();

	by_kernel.aio_lio_opcode = IO_CMD_FDSYNC;
	by_kernel.aio_reqprio = 5;
	by_kernel.aio_fildes = fd;
	by_kernel.aio_reserved2 = 9;
	by_kernel.aio_key = 3;
	io_prep_fdsync(&by_libaio, fd);
	by_libaio.aio_reqprio = 5;
	by_libaio.u.c.__pad3 = 9;
	by_libaio.key = 3;
	same();
	return 0;
}
