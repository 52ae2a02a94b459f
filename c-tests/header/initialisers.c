/* initialisers.c - ways to initialise an iocb that compile against the original's header */
#include <libaio.h>

static int target;
struct iocb zero = { 0 };
struct iocb positional = { &target, 0, 0, IO_CMD_PREAD, 0, 3 };
struct io_event event = { &target, &zero, 1, 0 };

#if !defined(__cplusplus)
struct iocb nested = { .aio_fildes = 3, .u.c.buf = &target, .u.c.nbytes = 4, .u.c.offset = 5 };
struct iocb braced = { .data = &target,
	               .aio_lio_opcode = IO_CMD_PWRITE,
	               .u = { .c = { .buf = &target, .nbytes = 1 } } };
struct iocb poll = { .aio_lio_opcode = IO_CMD_POLL, .u.poll.events = 1 };
struct iocb vector = { .key = 0, .aio_rw_flags = 0, .u.v.nr = 1, .u = { .v = { 0, 1, 2 } } };
struct iocb full = { &target, 0, 0, IO_CMD_PREAD, 0, 3, { { &target, 1, 2, 0, 0, 0 } } };
#endif
#if !defined(__cplusplus) || __cplusplus > 201703L
struct iocb named = { .data = &target, .aio_lio_opcode = IO_CMD_FSYNC, .aio_fildes = 3 };
#endif
