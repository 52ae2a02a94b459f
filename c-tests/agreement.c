/*
 * agreement.c - the C header and what cbindgen makes of the Rust ABI, in one translation unit
 *
 * rust_functions.h declares every exported function again, on the C header's types: another
 * prototype is an error. rust_types.h has the structures under names of their own, compared here.
 * tests/header.rs makes both, and compiles this file.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <libaio.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LIBAIO_BIG_ENDIAN
#else
#define LIBAIO_LITTLE_ENDIAN
#endif

#include "rust_functions.h"
#include "rust_types.h"

#define SAME(type, member)                                                                         \
	_Static_assert(offsetof(struct type, member) == offsetof(struct rust_##type, member) &&    \
	                       sizeof(((struct type *)0)->member) ==                               \
	                               sizeof(((struct rust_##type *)0)->member),                  \
	               #type "." #member " differs between C and Rust")

_Static_assert(sizeof(struct iocb) == sizeof(struct rust_iocb), "iocb");
_Static_assert(_Alignof(struct iocb) == _Alignof(struct rust_iocb), "iocb");
SAME(iocb, aio_data);
SAME(iocb, aio_key);
SAME(iocb, aio_rw_flags);
SAME(iocb, aio_lio_opcode);
SAME(iocb, aio_reqprio);
SAME(iocb, aio_fildes);
SAME(iocb, aio_buf);
SAME(iocb, aio_nbytes);
SAME(iocb, aio_offset);
SAME(iocb, aio_reserved2);
SAME(iocb, aio_flags);
SAME(iocb, aio_resfd);

_Static_assert(sizeof(struct io_event) == sizeof(struct rust_io_event), "io_event");
_Static_assert(_Alignof(struct io_event) == _Alignof(struct rust_io_event), "io_event");
SAME(io_event, data);
SAME(io_event, obj);
SAME(io_event, res);
SAME(io_event, res2);

#define SAME_OPCODE(name) _Static_assert((int)(name) == (int)RUST_##name, #name)

SAME_OPCODE(IO_CMD_PREAD);
SAME_OPCODE(IO_CMD_PWRITE);
SAME_OPCODE(IO_CMD_FSYNC);
SAME_OPCODE(IO_CMD_FDSYNC);
SAME_OPCODE(IO_CMD_POLL);
SAME_OPCODE(IO_CMD_NOOP);
SAME_OPCODE(IO_CMD_PREADV);
SAME_OPCODE(IO_CMD_PWRITEV);
