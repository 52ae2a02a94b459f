//! Which engine serves the program: the kernel's AIO (`context.rs`), or io_uring (`uring/`). This is
//! the one place where that is decided, and where each call is handed to one of the two.
//!
//! The choice is made at the first `io_setup` and stays (`LIBAIO_ENGINE`). The kernel engine pays
//! nothing for the other one in taking events: under io_uring it has no table of contexts, so its
//! fast path finds nothing and comes to [`elsewhere`]. The other calls load one word.

use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicU32, Ordering};

use libc::timespec;

use crate::abi::{io_context_t, io_event, iocb};
use crate::config;
use crate::request::Request;
use crate::{context, kernel, uring};

static ENGINE: AtomicU32 = AtomicU32::new(UNDECIDED);
const UNDECIDED: u32 = 0;
const KERNEL: u32 = 1;
const URING: u32 = 2;

/// Whether contexts are made of io_uring. Before the first `io_setup` there is none to speak of.
#[inline]
fn is_uring() -> bool {
    ENGINE.load(Ordering::Relaxed) == URING
}

/// Whether the next context is to be made of io_uring: asked for, and to be had.
fn chooses_uring() -> bool {
    match ENGINE.load(Ordering::Relaxed) {
        UNDECIDED => {
            let uring = config::wants_uring() && uring::is_there();
            let choice = if uring { URING } else { KERNEL };
            // Of two first calls at a time one may have found no descriptor left: the first counts.
            let order = Ordering::Relaxed;
            match ENGINE.compare_exchange(UNDECIDED, choice, order, order) {
                Ok(_) => uring,
                Err(chosen) => chosen == URING,
            }
        }
        choice => choice == URING,
    }
}

/// `io_setup`
///
/// # Safety
/// As in C: `ctxp` is checked (EFAULT).
pub(crate) unsafe fn setup(maxevents: c_int, ctxp: *mut io_context_t) -> c_int {
    if chooses_uring() {
        // SAFETY: upheld by the caller.
        return unsafe { uring::setup(maxevents, ctxp) };
    }
    // SAFETY: handed on to the kernel, which checks it.
    let answer = unsafe { kernel::io_setup(maxevents, ctxp) };
    if answer == 0 {
        // SAFETY: the kernel has just written there.
        context::register(unsafe { ctxp.read_unaligned() });
    }
    answer
}

/// `io_destroy`
pub(crate) fn destroy(ctx: io_context_t) -> c_int {
    if is_uring() { uring::destroy(ctx) } else { context::destroy(ctx) }
}

/// `io_submit`
///
/// # Safety
/// As `io_submit`.
pub(crate) unsafe fn submit(ctx: io_context_t, nr: c_long, list: *mut *mut iocb) -> c_int {
    if is_uring() {
        // SAFETY: upheld by the caller.
        return unsafe { uring::submit(ctx, nr, list) };
    }
    // SAFETY: upheld by the caller; the kernel checks the pointers.
    unsafe { kernel::io_submit(ctx, nr, list) }
}

/// `io_cancel`
///
/// # Safety
/// As `io_cancel`.
pub(crate) unsafe fn cancel(ctx: io_context_t, iocb: *mut iocb, result: *mut io_event) -> c_int {
    if is_uring() {
        // SAFETY: upheld by the caller.
        return unsafe { uring::cancel(ctx, iocb, result) };
    }
    // SAFETY: upheld by the caller.
    unsafe { kernel::io_cancel(ctx, iocb, result) }
}

/// `io_getevents`
///
/// # Safety
/// As `io_getevents`.
#[inline(always)]
pub(crate) unsafe fn get_events(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: upheld by the caller; so for `elsewhere`, which gets the same arguments.
    unsafe {
        context::get_events(ctx, min_nr, nr, events, timeout, |ctx, min_nr, nr, events, timeout| {
            elsewhere(ctx, min_nr, nr, events, timeout)
        })
    }
}

/// [`get_events`] where the fast path could not so much as look at a ring.
///
/// # Safety
/// As `io_getevents`.
#[cold]
#[inline(never)]
unsafe extern "C" fn elsewhere(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { get_events_anyhow(Request::without_mask(ctx, min_nr, nr, events, timeout)) }
}

/// `io_getevents` and `io_pgetevents` for any context and any arguments.
///
/// # Safety
/// As `io_getevents`.
pub(crate) unsafe fn get_events_anyhow(request: Request) -> c_int {
    if is_uring() {
        // SAFETY: upheld by the caller.
        return unsafe { uring::get_events(request) };
    }
    // SAFETY: upheld by the caller.
    unsafe { context::get_events_anyhow(request) }
}
