//! The exported, out-of-line forms of the header's inline helpers, under the project's own version
//! node, for languages that have no C inlines (`dlsym`, `ctypes`, cgo, JNA).
//!
//! C and C++ programs get the inline forms from `include/libaio.h` and import none of these. The
//! `io_prep_*` functions write all 64 bytes of the request and nothing else. Everything here may
//! be called from any thread and from signal handlers.

use core::ffi::{c_int, c_longlong, c_void};

use libc::{iovec, size_t};

use crate::abi::{IOCB_FLAG_RESFD, io_callback_t, io_context_t, io_iocb_cmd, iocb};
use crate::capi::io_submit;

/// Fills a request that moves data: `buf` is a buffer of `nbytes` bytes, or `nbytes` iovecs.
const fn transfer(
    opcode: io_iocb_cmd,
    fd: c_int,
    buf: u64,
    nbytes: u64,
    offset: c_longlong,
    rw_flags: c_int,
) -> iocb {
    iocb {
        aio_buf: buf,
        aio_nbytes: nbytes,
        aio_offset: offset,
        aio_rw_flags: rw_flags as u32,
        ..iocb::new(opcode, fd)
    }
}

/// Stores the function that `io_queue_run` calls when the request completes, in `aio_data`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_set_callback(iocb: *mut iocb, cb: io_callback_t) {
    let address = cb.map_or(0, |f| f as usize);
    // SAFETY: upheld by the caller.
    unsafe { (*iocb).aio_data = address as u64 };
}

/// Prepares a `pread(2)` of `count` bytes at byte `offset` into `buf`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_pread(
    iocb: *mut iocb,
    fd: c_int,
    buf: *mut c_void,
    count: size_t,
    offset: c_longlong,
) {
    let r = transfer(io_iocb_cmd::IO_CMD_PREAD, fd, address(buf), count as u64, offset, 0);
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(r) };
}

/// Prepares a `pwrite(2)` of `count` bytes at byte `offset` from `buf`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_pwrite(
    iocb: *mut iocb,
    fd: c_int,
    buf: *mut c_void,
    count: size_t,
    offset: c_longlong,
) {
    let r = transfer(io_iocb_cmd::IO_CMD_PWRITE, fd, address(buf), count as u64, offset, 0);
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(r) };
}

/// Prepares a `preadv(2)` at byte `offset` into `iovcnt` buffers.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_preadv(
    iocb: *mut iocb,
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: c_longlong,
) {
    // SAFETY: upheld by the caller.
    unsafe { io_prep_preadv2(iocb, fd, iov, iovcnt, offset, 0) };
}

/// Prepares a `pwritev(2)` at byte `offset` from `iovcnt` buffers.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_pwritev(
    iocb: *mut iocb,
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: c_longlong,
) {
    // SAFETY: upheld by the caller.
    unsafe { io_prep_pwritev2(iocb, fd, iov, iovcnt, offset, 0) };
}

/// Prepares a `preadv2(2)`: [`io_prep_preadv`] with `RWF_*` flags.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_preadv2(
    iocb: *mut iocb,
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: c_longlong,
    flags: c_int,
) {
    let n = count_of(iovcnt);
    let r = transfer(io_iocb_cmd::IO_CMD_PREADV, fd, address(iov), n, offset, flags);
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(r) };
}

/// Prepares a `pwritev2(2)`: [`io_prep_pwritev`] with `RWF_*` flags.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_pwritev2(
    iocb: *mut iocb,
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: c_longlong,
    flags: c_int,
) {
    let n = count_of(iovcnt);
    let r = transfer(io_iocb_cmd::IO_CMD_PWRITEV, fd, address(iov), n, offset, flags);
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(r) };
}

/// Prepares a one-shot `poll(2)` of `fd` for the `POLL*` bits in `events`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_poll(iocb: *mut iocb, fd: c_int, events: c_int) {
    let r = self::iocb {
        // The C header's `int events`: the low half, whose sign bit reaches no other byte.
        aio_buf: u64::from(events as u32),
        ..iocb::new(io_iocb_cmd::IO_CMD_POLL, fd)
    };
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(r) };
}

/// Prepares an `fsync(2)`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_fsync(iocb: *mut iocb, fd: c_int) {
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(iocb::new(io_iocb_cmd::IO_CMD_FSYNC, fd)) };
}

/// Prepares an `fdatasync(2)`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_prep_fdsync(iocb: *mut iocb, fd: c_int) {
    // SAFETY: upheld by the caller.
    unsafe { iocb.write(iocb::new(io_iocb_cmd::IO_CMD_FDSYNC, fd)) };
}

/// Has the kernel add 1 to `eventfd` when the request completes.
///
/// # Safety
/// `iocb` is prepared, and valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_set_eventfd(iocb: *mut iocb, eventfd: c_int) {
    // SAFETY: upheld by the caller.
    unsafe {
        (*iocb).aio_flags |= IOCB_FLAG_RESFD;
        (*iocb).aio_resfd = eventfd as u32;
    }
}

/// Prepares and submits a one-shot poll with a callback; returns as `io_submit`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_poll(
    ctx: io_context_t,
    iocb: *mut iocb,
    cb: io_callback_t,
    fd: c_int,
    events: c_int,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe {
        io_prep_poll(iocb, fd, events);
        submit_one(ctx, iocb, cb)
    }
}

/// Prepares and submits an fsync with a callback; returns as `io_submit`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_fsync(
    ctx: io_context_t,
    iocb: *mut iocb,
    cb: io_callback_t,
    fd: c_int,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe {
        io_prep_fsync(iocb, fd);
        submit_one(ctx, iocb, cb)
    }
}

/// Prepares and submits an fdatasync with a callback; returns as `io_submit`.
///
/// # Safety
/// `iocb` is valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_fdsync(
    ctx: io_context_t,
    iocb: *mut iocb,
    cb: io_callback_t,
    fd: c_int,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe {
        io_prep_fdsync(iocb, fd);
        submit_one(ctx, iocb, cb)
    }
}

/// Sets the callback of a prepared request and submits it.
///
/// # Safety
/// `iocb` is prepared, and valid for writing.
unsafe fn submit_one(ctx: io_context_t, mut iocb: *mut iocb, cb: io_callback_t) -> c_int {
    // SAFETY: upheld by the caller; `iocb` on the stack is an array of one.
    unsafe {
        io_set_callback(iocb, cb);
        io_submit(ctx, 1, &raw mut iocb)
    }
}

/// A pointer as the kernel's ABI carries it: 64 bits, zero-extended.
fn address<T>(p: *const T) -> u64 {
    p as usize as u64
}

/// A count as C's `nbytes = iovcnt` stores it: widened to an unsigned long, so that a negative one
/// stays a number that the kernel refuses (EINVAL).
#[allow(clippy::unnecessary_cast, reason = "c_ulong has 32 bits on 32-bit targets")]
const fn count_of(n: c_int) -> u64 {
    n as core::ffi::c_ulong as u64
}
