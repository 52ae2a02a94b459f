/* Every public type and function of libaio.h, in the debug information of a shared object: compiled
   once with Debian's header and once with ours, for abidiff to compare. */
#define _GNU_SOURCE
#include <libaio.h>

#include <stddef.h>
#include <sys/uio.h>

/* What the functions take and return. */
const struct {
	__typeof__(&io_queue_init) queue_init;
	__typeof__(&io_queue_release) queue_release;
	__typeof__(&io_queue_run) queue_run;
	__typeof__(&io_setup) setup;
	__typeof__(&io_destroy) destroy;
	__typeof__(&io_submit) submit;
	__typeof__(&io_cancel) cancel;
	__typeof__(&io_getevents) getevents;
	__typeof__(&io_pgetevents) pgetevents;
} functions;

/* The types by name; a callback is one of the arguments of a public macro or inline function. */
struct {
	io_context_t context;
	struct iocb iocb;
	struct io_event event;
	io_callback_t callback;
	enum io_iocb_cmd command;
	struct timespec timeout;
	struct iovec vector;
} types;

/* The members that programs use, as they reach them. */
const size_t offsets[] = {
	offsetof(struct iocb, data),
	offsetof(struct iocb, key),
	offsetof(struct iocb, aio_rw_flags),
	offsetof(struct iocb, aio_lio_opcode),
	offsetof(struct iocb, aio_reqprio),
	offsetof(struct iocb, aio_fildes),
	offsetof(struct iocb, u.c.buf),
	offsetof(struct iocb, u.c.nbytes),
	offsetof(struct iocb, u.c.offset),
	offsetof(struct iocb, u.c.flags),
	offsetof(struct iocb, u.c.resfd),
	offsetof(struct iocb, u.v.vec),
	offsetof(struct iocb, u.v.nr),
	offsetof(struct iocb, u.v.offset),
	offsetof(struct iocb, u.poll.events),
	offsetof(struct iocb, u.saddr.addr),
	offsetof(struct iocb, u.saddr.len),
	offsetof(struct io_event, data),
	offsetof(struct io_event, obj),
	offsetof(struct io_event, res),
	offsetof(struct io_event, res2),
	IO_CMD_PREAD,
	IO_CMD_PWRITE,
	IO_CMD_FSYNC,
	IO_CMD_FDSYNC,
	IO_CMD_POLL,
	IO_CMD_NOOP,
	IO_CMD_PREADV,
	IO_CMD_PWRITEV,
};
