/*
 * libaio.h - Linux-native asynchronous I/O
 *
 * The C face of libaio-rs, a drop-in for libaio 0.3.113: the same types, constants, functions and
 * inline helpers, at the same layout. Beyond it, `struct iocb` also has the member names of the
 * kernel's own <linux/aio_abi.h> (aio_buf, aio_nbytes, aio_offset, ...), and a failed call sets
 * errno besides returning it.
 *
 * The four steps: prepare a request (io_prep_pread and the like), queue it (io_submit), wait for
 * its completion (io_getevents), handle the result (io_event.res).
 *
 * For every function declared here, unless its own text says otherwise:
 *
 *   Return value   0 or a count on success; on failure a negative error number (-EINVAL), and
 *                  errno is set to the same number (EINVAL). Success leaves errno alone.
 *   Bad input      is answered as the kernel answers it: a context that is NULL, not mapped,
 *                  destroyed (by io_destroy) or another process's gives -EINVAL, a pointer into
 *                  the null page or the kernel's half of the address space -EFAULT; neither ends
 *                  the program. Where io_getevents takes events from the ring itself, another
 *                  pointer at which nothing is mapped may fault, as in any C function.
 *   Threads        may call it at the same time, also on the same context.
 *   Signals        it may be called from a signal handler. It is no cancellation point.
 *   fork           a context belongs to the process that made it: in a child, -EINVAL.
 *
 * Completions are taken from the ring that the kernel shares with the process, without a system
 * call, where they are there or the call is not to wait; by the system call otherwise. The
 * environment variables LIBAIO_ENGINE, LIBAIO_REAP and LIBAIO_SPIN_US change that: see libaio(3).
 *
 * Sizes and offsets are in bytes. Facts about the kernel are from fs/aio.c and
 * include/uapi/linux/aio_abi.h of Linux 6.x, and from the manual pages io_setup(2) and so on.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef LIBAIO_RS_LIBAIO_H
#define LIBAIO_RS_LIBAIO_H

/* The guard of the original, for code that asks whether libaio.h has been seen. */
#ifndef __LIBAIO_H
#define __LIBAIO_H
#endif

#include <linux/types.h> /* __u64: the kernel's types of the aio_* members */
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/select.h> /* sigset_t, under strict C modes too */
#include <sys/types.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timespec; /* strict C99 has none; a program that passes one includes <time.h> itself */
struct sockaddr;
struct iovec;

/* ---- types ---------------------------------------------------------------------------------- */

/*
 * A context: a queue of requests in flight and a ring of completions, made by io_setup. The value
 * is the address of that ring in the process, and opaque; NULL is no context.
 */
typedef struct io_context *io_context_t;

/* The operations, for iocb.aio_lio_opcode. */
typedef enum io_iocb_cmd {
	IO_CMD_PREAD = 0,  /* pread(2) */
	IO_CMD_PWRITE = 1, /* pwrite(2) */
	IO_CMD_FSYNC = 2,  /* fsync(2), since Linux 4.18; earlier: -EINVAL */
	IO_CMD_FDSYNC = 3, /* fdatasync(2), since Linux 4.18; earlier: -EINVAL */
	IO_CMD_POLL = 5,   /* poll(2) of one descriptor, once, since Linux 4.19 */
	IO_CMD_NOOP = 6,   /* has a number, but no kernel accepts it: io_submit gives -EINVAL */
	IO_CMD_PREADV = 7, /* preadv2(2) */
	IO_CMD_PWRITEV = 8 /* pwritev2(2) */
} io_iocb_cmd_t;

/*
 * The kernel reads each of these fields as 64 bits on every architecture. LIBAIO_RS_WIDE_ declares
 * a member narrower than that where pointers and longs have 32 bits, with its padding on the side
 * that the byte order wants; LIBAIO_RS_PAIR_ declares two 32-bit halves in the byte order.
 */
#if !defined(__BYTE_ORDER__) || !defined(__SIZEOF_POINTER__) || !defined(__SIZEOF_LONG__)
#error "libaio.h: the compiler does not tell its byte order and sizes (__BYTE_ORDER__ and so on)"
#elif __SIZEOF_POINTER__ != __SIZEOF_LONG__
#error "libaio.h: no Linux ABI has pointers and longs of different sizes"
#endif

/* The timeouts are the kernel's first struct timespec, whose members are longs. */
#if __SIZEOF_LONG__ == 4 && defined(_TIME_BITS) && _TIME_BITS == 64
#error "libaio.h: no support for _TIME_BITS=64 on this architecture"
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LIBAIO_RS_PAIR_(low, high)                                                                 \
	low;                                                                                       \
	high
#elif __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LIBAIO_RS_PAIR_(low, high)                                                                 \
	high;                                                                                      \
	low
#else
#error "libaio.h: unknown byte order"
#endif

#if __SIZEOF_POINTER__ == 8
#define LIBAIO_RS_WIDE_(member, pad) member
#else
#define LIBAIO_RS_WIDE_(member, pad) LIBAIO_RS_PAIR_(member, unsigned pad)
#endif

/* iocb.u.poll: an IO_CMD_POLL. The event's res is the mask of what is ready (it may hold more than
   was asked for), or -errno. */
struct io_iocb_poll {
	LIBAIO_RS_PAIR_(int events, unsigned __pad1); /* POLLIN and so on, of poll(2) */
};

/* iocb.u.saddr: no kernel has an operation that uses it; kept since libaio declares it. */
struct io_iocb_sockaddr {
	LIBAIO_RS_WIDE_(struct sockaddr *addr, __pad1);
	LIBAIO_RS_WIDE_(unsigned long len, __pad2);
};

/* iocb.u.c: reads and writes. The event's res is the number of bytes moved, or -errno. */
struct io_iocb_common {
	LIBAIO_RS_WIDE_(void *buf, __pad1);            /* the buffer, or the iovec array */
	LIBAIO_RS_WIDE_(unsigned long nbytes, __pad2); /* its bytes, or its entries */
	long long offset;                              /* position in the file, in bytes */
	long long __pad3;                              /* must be 0 */
	unsigned flags;                                /* bit 0: resfd; bit 1: aio_reqprio */
	unsigned resfd;                                /* the eventfd to signal */
};

/* iocb.u.v: the vectored operations; the same bytes as buf, nbytes and offset of iocb.u.c. */
struct io_iocb_vector {
	LIBAIO_RS_WIDE_(const struct iovec *vec, __pad1);
	LIBAIO_RS_WIDE_(unsigned long nr, __pad2);
	long long offset;
};

/*
 * A request: 64 bytes, the kernel's struct iocb. Each byte has libaio's name (data, u.c.buf) and
 * the kernel's (aio_data, aio_buf); use either. Zero it before filling it in by hand.
 *
 * The program keeps the buffer (and, for io_cancel, the iocb's address) until the completion has
 * been taken; the iocb itself and an iovec array are read during io_submit and may be reused after
 * it. The kernel writes `key` during io_submit.
 */
struct iocb {
	__extension__ union {
		struct {
			LIBAIO_RS_WIDE_(void *data, __pad1); /* comes back as io_event.data */
		};
		__u64 aio_data;
	};

	/* key: the kernel's. aio_rw_flags: RWF_* of preadv2(2), else 0. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__extension__ union {
		unsigned key;
		__u32 aio_key;
	};
	unsigned aio_rw_flags;
#else
	unsigned aio_rw_flags;
	__extension__ union {
		unsigned key;
		__u32 aio_key;
	};
#endif

	short aio_lio_opcode; /* io_iocb_cmd_t */
	short aio_reqprio;    /* ioprio_set(2), read where flags has bit 1 */
	int aio_fildes;       /* the file descriptor */

	__extension__ union {
		union {
			struct io_iocb_common c;
			struct io_iocb_vector v;
			struct io_iocb_poll poll;
			struct io_iocb_sockaddr saddr;
		} u;
		struct {
			__u64 aio_buf;    /* (uint64_t) of the buffer's address, or the poll mask */
			__u64 aio_nbytes; /* bytes, or entries of the iovec array */
			__s64 aio_offset; /* position in the file, in bytes */
			__u64 aio_reserved2; /* must be 0 */
			__u32 aio_flags;     /* IOCB_FLAG_RESFD 1, IOCB_FLAG_IOPRIO 2 */
			__u32 aio_resfd;     /* the eventfd to signal */
		};
	};
};

/* A completion: 32 bytes, as the kernel writes them into the ring. */
struct io_event {
	LIBAIO_RS_WIDE_(void *data, __pad1);         /* iocb.data of the request */
	LIBAIO_RS_WIDE_(struct iocb *obj, __pad2);   /* its iocb */
	LIBAIO_RS_WIDE_(unsigned long res, __pad3);  /* the result; cast to long for -errno */
	LIBAIO_RS_WIDE_(unsigned long res2, __pad4); /* 0; since Linux 5.16 always */
};

/* How the system call io_pgetevents(2) takes a signal mask; no function here does. */
struct io_sigset {
	unsigned long ss;
	unsigned long ss_len;
};

/* The same, for a 32-bit program on a 64-bit kernel. */
struct io_sigset_compat {
	LIBAIO_RS_WIDE_(unsigned long ss, __ss_pad);
	unsigned long ss_len;
};

#undef LIBAIO_RS_PAIR_
#undef LIBAIO_RS_WIDE_

/* What io_queue_run calls for a completion: the event's context, obj, res and res2. */
typedef void (*io_callback_t)(io_context_t ctx, struct iocb *iocb, long res, long res2);

/* ---- contexts ------------------------------------------------------------------------------- */

/*
 * io_setup - create a context
 *
 * Makes a context that can hold at least `maxevents` requests between io_submit and io_getevents,
 * and stores it in *ctxp, which must be NULL before the call.
 *
 * Returns 0, or
 *   -EINVAL   *ctxp is not NULL, maxevents is 0 or too large for the kernel (a negative one may
 *             also give -EAGAIN)
 *   -EFAULT   ctxp cannot be read and written
 *   -EAGAIN   maxevents is more than /proc/sys/fs/aio-max-nr leaves free (/proc/sys/fs/aio-nr is
 *             what all contexts of the machine hold)
 *   -ENOMEM   no kernel memory for it
 *   -ENOSYS   the kernel was built without AIO
 */
extern int io_setup(int maxevents, io_context_t *ctxp);

/*
 * io_destroy - destroy a context
 *
 * Cancels the requests that can be cancelled, waits for the others, drops completions that nobody
 * took, and frees the context. Another thread that waits in io_getevents on it wakes up.
 *
 * Returns 0, or -EINVAL (no such context; also for the second of two calls).
 */
extern int io_destroy(io_context_t ctx);

/* ---- requests ------------------------------------------------------------------------------- */

/*
 * io_submit - queue requests
 *
 * Queues ios[0] to ios[nr - 1] in order, up to the first that the kernel refuses; what it finds
 * out later than here (an unmapped buffer, bad alignment for O_DIRECT) is the event's res. It may
 * block: for buffered files it usually does the whole transfer, for direct I/O it may wait for a free
 * slot of the device's queue. RWF_NOWAIT in aio_rw_flags turns blocking into -EAGAIN results.
 *
 * Returns how many were queued (0 where nr is 0); where that is fewer than nr, submit the rest
 * again to learn why. Where not even the first one was queued:
 *   -EAGAIN   the context has no room: take completions first
 *   -EBADF    ios[0]->aio_fildes is no open descriptor, or not open for this direction; or its
 *             eventfd (resfd) is no open descriptor
 *   -EFAULT   ios cannot be read, *ios[0] cannot be read and written (the kernel sets its key),
 *             its iovec array cannot be read, or its buffer lies in the kernel's half
 *   -EINVAL   no such context, nr < 0, or ios[0] is not a request that this file can do
 *             (unknown opcode, reserved field not 0, negative offset, resfd no eventfd, ...)
 *   -EPERM    aio_reqprio asks for a class that the process may not use
 *   -ENOMEM   no kernel memory for it
 *   -EOPNOTSUPP  an RWF_* flag that this file does not know
 */
extern int io_submit(io_context_t ctx, long nr, struct iocb *ios[]);

/*
 * io_cancel - try to cancel a request
 *
 * `iocb` is the address that was given to io_submit. The kernel can cancel polls and requests on
 * USB gadget files, little else. A cancelled request completes through io_getevents as any other;
 * *evt is not written by current kernels.
 *
 * Returns
 *   -EINPROGRESS  the request is being cancelled: its event comes through io_getevents (as the
 *                 kernel has answered since 3.12 at the latest; before, 0 with the event in *evt)
 *   -EINVAL   no such context, or `iocb` is not in flight, or cannot be cancelled
 *   -EFAULT   iocb cannot be read
 *   -EAGAIN   it could not be cancelled
 */
extern int io_cancel(io_context_t ctx, struct iocb *iocb, struct io_event *evt);

/* ---- completions ---------------------------------------------------------------------------- */

/*
 * io_getevents - take completions
 *
 * Waits until `min_nr` completions are there or `timeout` (relative; NULL: no limit) is over, and
 * stores up to `nr` of them, oldest first, in `events`. With min_nr 0 or a timeout of zero it does
 * not wait. Each completion is given to one caller, once.
 *
 * Returns how many were stored, or an error. Fewer than min_nr only after the timeout (then maybe
 * 0), or where a signal came or the context was destroyed after the first. The errors:
 *   -EINVAL   no such context, or not 0 <= min_nr <= nr
 *   -EFAULT   events or timeout cannot be used
 *   -EINTR    a signal came before the first completion
 * The kernel does not check the timeout's range: tv_nsec of 2000000000 is two seconds.
 */
extern int io_getevents(io_context_t ctx, long min_nr, long nr, struct io_event *events,
                        struct timespec *timeout);

/*
 * io_pgetevents - take completions under another signal mask
 *
 * As io_getevents, with the thread's signal mask set to *sigmask (NULL: left alone) while it
 * waits, atomically, as ppoll(2) does.
 *
 * Returns as io_getevents, and -EFAULT for a bad sigmask, -ENOSYS before Linux 4.18.
 */
extern int io_pgetevents(io_context_t ctx, long min_nr, long nr, struct io_event *events,
                         struct timespec *timeout, sigset_t *sigmask);

/* ---- the queue interface: callbacks --------------------------------------------------------- */

/*
 * io_queue_init - create a context, whatever *ctxp held before
 *
 * Sets *ctxp to NULL, then does what io_setup does. Where maxevents is below 1, *ctxp is left
 * alone.
 *
 * Returns as io_setup; -EINVAL also where maxevents is below 1.
 */
extern int io_queue_init(int maxevents, io_context_t *ctxp);

/*
 * io_queue_release - io_destroy under its queue name
 */
extern int io_queue_release(io_context_t ctx);

/*
 * io_queue_run - call the callbacks of all that has completed
 *
 * Takes the completions that are there, one after the other, without waiting, and calls for each
 * the function that io_set_callback stored in its request; a completion without one is dropped.
 * The callback may submit to the context, take events from it, or destroy it (then the answer is
 * -EINVAL). Requests of the context that carry anything but such a function (or NULL) in `data`
 * must not meet io_queue_run.
 *
 * Returns 0 when no completion is left, or as io_getevents. Safe in a signal handler where the
 * callbacks are.
 */
extern int io_queue_run(io_context_t ctx);

/*
 * io_queue_wait - check a context and a timeout
 *
 * As in libaio, this asks the kernel for no event, so there is nothing to wait for: it returns 0
 * at once, and -EINVAL or -EFAULT for a bad context or timeout. libaio exports it but does not
 * declare it. To wait for a completion, use io_getevents.
 */
extern int io_queue_wait(io_context_t ctx, struct timespec *timeout);

/* ---- inline helpers ------------------------------------------------------------------------- */
/*
 * They fill in a request and cannot fail; io_poll, io_fsync and io_fdsync submit it too. The
 * shared library also exports each under the same name, for languages that cannot use these.
 * Unlike the functions above they write through `iocb` themselves: it must be a good pointer.
 */

/* Stores the function that io_queue_run calls, in iocb->data. Call it after io_prep_*. */
static __inline__ void io_set_callback(struct iocb *iocb, io_callback_t cb)
{
	/* ISO C has no cast from a function pointer to void *. */
	memcpy(&iocb->data, &cb, sizeof(cb));
}

/* Zeroes the request and names its operation and descriptor. */
static __inline__ void libaio_rs_prep_(struct iocb *iocb, io_iocb_cmd_t opcode, int fd)
{
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_lio_opcode = (short)opcode;
	iocb->aio_fildes = fd;
}

/* Reads up to `count` bytes at `offset` into `buf`. */
static __inline__ void io_prep_pread(struct iocb *iocb, int fd, void *buf, size_t count,
                                     long long offset)
{
	libaio_rs_prep_(iocb, IO_CMD_PREAD, fd);
	iocb->u.c.buf = buf;
	iocb->u.c.nbytes = count;
	iocb->u.c.offset = offset;
}

/* Writes `count` bytes of `buf` at `offset`. */
static __inline__ void io_prep_pwrite(struct iocb *iocb, int fd, void *buf, size_t count,
                                      long long offset)
{
	io_prep_pread(iocb, fd, buf, count, offset);
	iocb->aio_lio_opcode = IO_CMD_PWRITE;
}

/* Reads at `offset` into `iovcnt` buffers; `flags` are RWF_* of preadv2(2). */
static __inline__ void io_prep_preadv2(struct iocb *iocb, int fd, const struct iovec *iov,
                                       int iovcnt, long long offset, int flags)
{
	libaio_rs_prep_(iocb, IO_CMD_PREADV, fd);
	iocb->aio_rw_flags = (unsigned)flags;
	iocb->u.v.vec = iov;
	iocb->u.v.nr = (unsigned long)iovcnt;
	iocb->u.v.offset = offset;
}

/* Writes `iovcnt` buffers at `offset`; `flags` are RWF_* of pwritev2(2). */
static __inline__ void io_prep_pwritev2(struct iocb *iocb, int fd, const struct iovec *iov,
                                        int iovcnt, long long offset, int flags)
{
	io_prep_preadv2(iocb, fd, iov, iovcnt, offset, flags);
	iocb->aio_lio_opcode = IO_CMD_PWRITEV;
}

/* Reads at `offset` into `iovcnt` buffers. */
static __inline__ void io_prep_preadv(struct iocb *iocb, int fd, const struct iovec *iov,
                                      int iovcnt, long long offset)
{
	io_prep_preadv2(iocb, fd, iov, iovcnt, offset, 0);
}

/* Writes `iovcnt` buffers at `offset`. */
static __inline__ void io_prep_pwritev(struct iocb *iocb, int fd, const struct iovec *iov,
                                       int iovcnt, long long offset)
{
	io_prep_pwritev2(iocb, fd, iov, iovcnt, offset, 0);
}

/* Waits, once, until one of `events` (POLLIN and so on) holds for `fd`. */
static __inline__ void io_prep_poll(struct iocb *iocb, int fd, int events)
{
	libaio_rs_prep_(iocb, IO_CMD_POLL, fd);
	iocb->u.poll.events = events;
}

/* Flushes data and metadata of `fd`, as fsync(2). Earlier writes must have completed. */
static __inline__ void io_prep_fsync(struct iocb *iocb, int fd)
{
	libaio_rs_prep_(iocb, IO_CMD_FSYNC, fd);
}

/* Flushes data of `fd`, as fdatasync(2). Earlier writes must have completed. */
static __inline__ void io_prep_fdsync(struct iocb *iocb, int fd)
{
	libaio_rs_prep_(iocb, IO_CMD_FDSYNC, fd);
}

/* Has the kernel add 1 to the eventfd(2) when the request completes. Call it after io_prep_*. */
static __inline__ void io_set_eventfd(struct iocb *iocb, int eventfd)
{
	iocb->u.c.flags |= 1u; /* IOCB_FLAG_RESFD */
	iocb->u.c.resfd = (unsigned)eventfd;
}

/* Prepares a poll with a callback and submits it; returns as io_submit. */
static __inline__ int io_poll(io_context_t ctx, struct iocb *iocb, io_callback_t cb, int fd,
                              int events)
{
	io_prep_poll(iocb, fd, events);
	io_set_callback(iocb, cb);
	return io_submit(ctx, 1, &iocb);
}

/* Prepares an fsync with a callback and submits it; returns as io_submit. */
static __inline__ int io_fsync(io_context_t ctx, struct iocb *iocb, io_callback_t cb, int fd)
{
	io_prep_fsync(iocb, fd);
	io_set_callback(iocb, cb);
	return io_submit(ctx, 1, &iocb);
}

/* Prepares an fdatasync with a callback and submits it; returns as io_submit. */
static __inline__ int io_fdsync(io_context_t ctx, struct iocb *iocb, io_callback_t cb, int fd)
{
	io_prep_fdsync(iocb, fd);
	io_set_callback(iocb, cb);
	return io_submit(ctx, 1, &iocb);
}

#ifdef __cplusplus
}
#endif

#endif /* LIBAIO_RS_LIBAIO_H */
