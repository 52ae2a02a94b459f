//! The raw system calls, and how their answers become `-errno`.
//!
//! `syscall(3)` sets `errno` on failure and leaves it alone on success, which is this library's
//! own promise too. Every argument goes to the kernel as the caller gave it: the kernel's check of
//! it (EFAULT, EINVAL) is the answer.

use core::ffi::{c_int, c_long};

use libc::{sigset_t, timespec};
use linux_raw_sys::general::{
    __NR_io_cancel, __NR_io_destroy, __NR_io_getevents, __NR_io_pgetevents, __NR_io_setup,
    __NR_io_submit,
};

use crate::abi::{aio_sigset, io_context_t, io_event, iocb};
use crate::system::errno;

/// Bytes in the kernel's signal set (`_NSIG / 8`), which is smaller than the C library's.
pub(crate) const SIGSET_SIZE: usize = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6"
)) {
    16
} else {
    8
};

/// The answer of `syscall(3)` in the form that this library returns: a count, or `-errno`.
fn answer(ret: c_long) -> c_int {
    if ret == -1 {
        return -errno();
    }
    // The kernel counts what it was given through an int or a long that this library bounded by
    // one; io_submit and io_getevents of more than c_int::MAX entries cannot happen (the ring is
    // capped at 0x10000000 / 32 bytes, aio_setup_ring).
    ret as c_int
}

/// `io_setup(2)`
///
/// # Safety
/// The kernel checks `ctxp` and writes only what it points at.
pub(crate) unsafe fn io_setup(nr_events: c_int, ctxp: *mut io_context_t) -> c_int {
    // SAFETY: upheld by the caller.
    answer(unsafe { libc::syscall(__NR_io_setup as c_long, nr_events as c_long, ctxp) })
}

/// `io_destroy(2)`
pub(crate) fn io_destroy(ctx: io_context_t) -> c_int {
    // SAFETY: the kernel looks the context up; an unknown one is EINVAL.
    answer(unsafe { libc::syscall(__NR_io_destroy as c_long, ctx) })
}

/// `io_submit(2)`
///
/// # Safety
/// Each of the `nr` requests names memory that the program lends to the kernel until completion.
pub(crate) unsafe fn io_submit(ctx: io_context_t, nr: c_long, iocbpp: *mut *mut iocb) -> c_int {
    // SAFETY: upheld by the caller.
    answer(unsafe { libc::syscall(__NR_io_submit as c_long, ctx, nr, iocbpp) })
}

/// `io_cancel(2)`
///
/// # Safety
/// The kernel checks both pointers and writes at most one event to `result`.
pub(crate) unsafe fn io_cancel(ctx: io_context_t, iocb: *mut iocb, result: *mut io_event) -> c_int {
    // SAFETY: upheld by the caller.
    answer(unsafe { libc::syscall(__NR_io_cancel as c_long, ctx, iocb, result) })
}

/// `io_getevents(2)`
///
/// # Safety
/// `events` has room for `nr` events; the kernel checks it and `timeout`.
pub(crate) unsafe fn io_getevents(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: upheld by the caller.
    answer(unsafe { libc::syscall(__NR_io_getevents as c_long, ctx, min_nr, nr, events, timeout) })
}

/// `io_pgetevents(2)`
///
/// # Safety
/// As [`io_getevents`]; the kernel checks `sigmask`.
pub(crate) unsafe fn io_pgetevents(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *const timespec,
    sigmask: *const sigset_t,
) -> c_int {
    let sigset = aio_sigset { sigmask, sigsetsize: SIGSET_SIZE };
    // SAFETY: upheld by the caller; `sigset` outlives the call.
    answer(unsafe {
        libc::syscall(
            __NR_io_pgetevents as c_long,
            ctx,
            min_nr,
            nr,
            events,
            timeout,
            &raw const sigset,
        )
    })
}
