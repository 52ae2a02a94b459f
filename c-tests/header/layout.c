/*
 * layout.c - where every member of the header lies, as the kernel's include/uapi/linux/aio_abi.h
 * lays it out, for 32 and 64 bits and both byte orders. With LIBAIO_NAMES_ONLY it asks for
 * libaio's names alone, which the original's header has too.
 */
#include <libaio.h>
#include <stddef.h>

/* A 32-bit value in the low half of a 64-bit field. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LOW 4
#else
#define LOW 0
#endif

/* A pointer or long in a 64-bit field. */
#if __SIZEOF_POINTER__ == 8
#define WORD 0
#else
#define WORD LOW
#endif

#define AT(type, member, offset, size)                                                             \
	_Static_assert(offsetof(struct type, member) == (offset),                                  \
	               #type "." #member " lies wrong");                                           \
	_Static_assert(sizeof(((struct type *)0)->member) == (size), #type "." #member " size")

_Static_assert(sizeof(struct iocb) == 64, "iocb");
_Static_assert(sizeof(struct io_event) == 32, "io_event");
_Static_assert(sizeof(struct io_iocb_common) == 40, "io_iocb_common");

#define P sizeof(void *)

AT(iocb, data, 0 + WORD, P);
AT(iocb, key, 8 + LOW, 4);
AT(iocb, aio_rw_flags, 12 - LOW, 4);
AT(iocb, aio_lio_opcode, 16, 2);
AT(iocb, aio_reqprio, 18, 2);
AT(iocb, aio_fildes, 20, 4);
AT(iocb, u, 24, 40);
AT(iocb, u.c.buf, 24 + WORD, P);
AT(iocb, u.c.nbytes, 32 + WORD, P);
AT(iocb, u.c.offset, 40, 8);
AT(iocb, u.c.__pad3, 48, 8);
AT(iocb, u.c.flags, 56, 4);
AT(iocb, u.c.resfd, 60, 4);
AT(iocb, u.v.vec, 24 + WORD, P);
AT(iocb, u.v.nr, 32 + WORD, P);
AT(iocb, u.v.offset, 40, 8);
AT(iocb, u.poll.events, 24 + LOW, 4);
AT(iocb, u.saddr.addr, 24 + WORD, P);
AT(iocb, u.saddr.len, 32 + WORD, P);
AT(io_event, data, 0 + WORD, P);
AT(io_event, obj, 8 + WORD, P);
AT(io_event, res, 16 + WORD, P);
AT(io_event, res2, 24 + WORD, P);

#ifndef LIBAIO_NAMES_ONLY
AT(iocb, aio_data, 0, 8);
AT(iocb, aio_key, 8 + LOW, 4);
AT(iocb, aio_buf, 24, 8);
AT(iocb, aio_nbytes, 32, 8);
AT(iocb, aio_offset, 40, 8);
AT(iocb, aio_reserved2, 48, 8);
AT(iocb, aio_flags, 56, 4);
AT(iocb, aio_resfd, 60, 4);
#endif
