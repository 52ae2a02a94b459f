//! Which engine serves the program: the kernel's AIO (`context.rs`), or io_uring (`uring/`). This is
//! the one place where that is decided, where each call is handed to one of the two, and where it is
//! counted (`stats/`) and told to tracers (`probes.rs`).
//!
//! The choice is made at the first `io_setup` and stays (`LIBAIO_ENGINE`). The kernel engine pays
//! nothing for the other one, nor for statistics, in taking events: under io_uring its fast path finds no
//! context and comes to [`elsewhere`]; where calls are counted, a mark says so that it looks at anyway
//! (`gate::AtEnd`). The other calls load a word for each of the two.
//!
//! The end of the process is told by `.fini_array.00000`: the loader, or `exit(3)` of a program that is linked
//! statically, calls what stands there after all that the program has registered by `atexit(3)`, and after the
//! destructors of what was linked with this library: the number has linkers put it first, and the last is called
//! first. It needs no room, no registration that could fail, and no start files.

use core::ffi::{c_int, c_long};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use libc::timespec;

use crate::abi::{io_context_t, io_event, iocb};
use crate::config;
use crate::request::{Request, Source, Way};
use crate::{context, kernel, probes, stats, uring};

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
    let uring = chooses_uring();
    let answer = if uring {
        // SAFETY: upheld by the caller.
        unsafe { uring::setup(maxevents, ctxp) }
    } else {
        // SAFETY: handed on to the kernel, which checks it.
        unsafe { kernel::io_setup(maxevents, ctxp) }
    };
    let made = match answer {
        // SAFETY: the context has just been written there.
        0 => unsafe { ctxp.read_unaligned() },
        _ => ptr::null_mut(),
    };
    if !made.is_null() && !uring {
        context::register(made);
    }
    if !stats::is_off() {
        stats::made(made, maxevents, answer, uring);
    }
    probes::setup(made, maxevents, answer);
    answer
}

/// `io_destroy`
pub(crate) fn destroy(ctx: io_context_t) -> c_int {
    let call = || if is_uring() { uring::destroy(ctx) } else { context::destroy(ctx) };
    let answer = if stats::is_off() { call() } else { stats::destroy(ctx, call) };
    probes::destroy(ctx, answer);
    answer
}

/// `io_submit`
///
/// # Safety
/// As `io_submit`.
#[inline(never)]
pub(crate) unsafe fn submit(ctx: io_context_t, nr: c_long, list: *mut *mut iocb) -> c_int {
    probes::submit_entry(ctx, nr);
    let answer = match stats::is_off() {
        // SAFETY: upheld by the caller.
        true => unsafe { submit_uncounted(ctx, nr, list) },
        // SAFETY: as above.
        false => unsafe { stats::submit(ctx, nr, list, || submit_uncounted(ctx, nr, list)) },
    };
    probes::submit_return(ctx, answer);
    answer
}

/// # Safety
/// As `io_submit`.
unsafe fn submit_uncounted(ctx: io_context_t, nr: c_long, list: *mut *mut iocb) -> c_int {
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
#[inline(never)]
pub(crate) unsafe fn cancel(ctx: io_context_t, iocb: *mut iocb, result: *mut io_event) -> c_int {
    let answer = if is_uring() {
        // SAFETY: upheld by the caller.
        unsafe { uring::cancel(ctx, iocb, result) }
    } else {
        // SAFETY: upheld by the caller.
        unsafe { kernel::io_cancel(ctx, iocb, result) }
    };
    if !stats::is_off() {
        stats::cancelled(ctx, answer);
    }
    probes::cancel(ctx, iocb, answer);
    answer
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
    unsafe { context::get_events(ctx, min_nr, nr, events, timeout, elsewhere) }
}

/// [`get_events`] where the fast path has no answer: it has looked at the ring, which holds too few
/// events, or could not so much as look.
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
    looked: bool,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { answer(Request::without_mask(ctx, min_nr, nr, events, timeout), looked) }
}

/// `io_pgetevents`
///
/// # Safety
/// As `io_pgetevents`.
pub(crate) unsafe fn get_events_masked(request: Request) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { answer(request, false) }
}

/// The answer to a request, counted and told.
///
/// # Safety
/// As `io_getevents`.
#[inline(never)]
unsafe fn answer(request: Request, looked: bool) -> c_int {
    let way = Way::default();
    let request = Request { way: &raw const way, ..request };
    let answer = if is_uring() {
        // SAFETY: upheld by the caller, as below.
        unsafe { uring::get_events(request) }
    } else if looked {
        // SAFETY: as above.
        unsafe { context::get_events_of_too_few(request) }
    } else {
        // SAFETY: as above.
        unsafe { context::get_events_anyhow(request) }
    };
    if !stats::is_off() {
        // SAFETY: as many events as the answer says have just been written there.
        unsafe { stats::reaped(&request, answer, &way) };
    }
    match way.source() {
        Source::Ring => probes::reap_ring(request.context, answer),
        Source::Spin => probes::reap_spin(request.context, answer),
        Source::Kernel => probes::reap_kernel(request.context, answer),
    }
    answer
}

extern "C" fn at_exit() {
    uring::at_exit();
    stats::at_exit();
}

#[used]
#[unsafe(link_section = ".fini_array.00000")]
static AT_EXIT: extern "C" fn() = at_exit;
