/* What the header's inline functions write is what the kernel reads, by the kernel's own header, and
   what the kernel writes is what libaio's names read: for any word size and byte order. */
#include <linux/types.h>

#define iocb kernel_iocb
#define io_event kernel_io_event
#include <linux/aio_abi.h>
#undef iocb
#undef io_event

#include <libaio.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#ifdef DAMAGED /* the twin: a request that the comparison must not accept */
#define WANTED_FD 8
#else
#define WANTED_FD 7
#endif

static int wrong;

#define SAME(got, want)                                                                            \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_) {                                                               \
			printf("line %d: %s is %lld, not %lld\n", __LINE__, #got, got_, want_);    \
			wrong = 1;                                                                 \
		}                                                                                  \
	} while (0)

static struct kernel_iocb as_the_kernel_sees(const struct iocb *cb)
{
	struct kernel_iocb seen;

	_Static_assert(sizeof(seen) == sizeof(*cb), "struct iocb");
	memcpy(&seen, cb, sizeof(seen));
	return seen;
}

static void reads_and_writes(void)
{
	static char buf[8];
	struct iovec vec = { buf, sizeof(buf) };
	struct iocb cb;
	struct kernel_iocb seen;

	memset(&cb, 0xee, sizeof(cb));
	io_prep_pwrite(&cb, 7, buf, (size_t)-1, 0x123456789abcdefLL);
	io_set_eventfd(&cb, 9);
	cb.data = buf;
	seen = as_the_kernel_sees(&cb);
	SAME(seen.aio_data, (uintptr_t)buf);
	SAME(seen.aio_lio_opcode, IOCB_CMD_PWRITE);
	SAME(seen.aio_fildes, WANTED_FD);
	SAME(seen.aio_buf, (uintptr_t)buf);
	SAME(seen.aio_nbytes, SIZE_MAX);
	SAME(seen.aio_offset, 0x123456789abcdefLL);
	SAME(seen.aio_rw_flags, 0);
	SAME(seen.aio_reqprio, 0);
	SAME(seen.aio_reserved2, 0);
	SAME(seen.aio_flags, IOCB_FLAG_RESFD);
	SAME(seen.aio_resfd, 9);

	memset(&cb, 0xee, sizeof(cb));
	io_prep_preadv2(&cb, INT_MAX, &vec, 1, LLONG_MIN, 16);
	cb.aio_reqprio = -3;
	seen = as_the_kernel_sees(&cb);
	SAME(seen.aio_data, 0);
	SAME(seen.aio_lio_opcode, IOCB_CMD_PREADV);
	SAME(seen.aio_fildes, INT_MAX);
	SAME(seen.aio_buf, (uintptr_t)&vec);
	SAME(seen.aio_nbytes, 1);
	SAME(seen.aio_offset, LLONG_MIN);
	SAME(seen.aio_rw_flags, 16);
	SAME(seen.aio_reqprio, -3);
	SAME(seen.aio_flags, 0);
	SAME(seen.aio_resfd, 0);
}

static void polls_and_syncs(void)
{
	struct iocb cb;
	struct kernel_iocb seen;

	memset(&cb, 0xee, sizeof(cb));
	io_prep_poll(&cb, 7, 0x2001);
	seen = as_the_kernel_sees(&cb);
	SAME(seen.aio_lio_opcode, IOCB_CMD_POLL);
	SAME(seen.aio_buf, 0x2001);
	SAME(seen.aio_nbytes, 0);
	SAME(seen.aio_offset, 0);

	memset(&cb, 0xee, sizeof(cb));
	io_prep_fdsync(&cb, 7);
	seen = as_the_kernel_sees(&cb);
	SAME(seen.aio_lio_opcode, IOCB_CMD_FDSYNC);
	SAME(seen.aio_buf, 0);
	io_prep_fsync(&cb, 7);
	SAME(as_the_kernel_sees(&cb).aio_lio_opcode, IOCB_CMD_FSYNC);
}

static void events(void)
{
	struct iocb cb;
	struct kernel_io_event written = { (uintptr_t)&wrong, (uintptr_t)&cb, -22, 4096 };
	struct io_event read;

	_Static_assert(sizeof(read) == sizeof(written), "struct io_event");
	memcpy(&read, &written, sizeof(read));
	SAME((uintptr_t)read.data, (uintptr_t)&wrong);
	SAME((uintptr_t)read.obj, (uintptr_t)&cb);
	SAME((long)read.res, -22);
	SAME(read.res2, 4096);
}

int main(void)
{
	reads_and_writes();
	polls_and_syncs();
	events();
	return wrong;
}
