//! The exported functions, each a few lines, and their symbol versions.
//!
//! Return values are libaio's: a count (or 0), or `-errno`; unlike libaio's, a failure also sets
//! `errno`, and success leaves it alone. All functions may be called from any thread and, but for
//! `io_queue_run` (which runs the program's own callbacks), from a signal handler. `include/libaio.h` is the reference for programs.
//!
//! `libaio.map` gives each name its default version. The three names that changed their arguments
//! after `LIBAIO_0.1` keep their first form as a hidden version, bound here with `.symver`; only
//! the `make` build asks for that (`--cfg libaio_symver`), since the linker that makes cargo's own
//! `cdylib` is given no version nodes to bind them to.

use core::ffi::{c_int, c_long};
use core::ptr;

use libc::{EFAULT, EINVAL, sigset_t, timespec};

use crate::abi::{io_context_t, io_event, iocb};
use crate::engine;
use crate::request::Request;
use crate::system::{fail, is_writable};

/// Creates a context for `maxevents` requests in flight; `*ctxp` must be NULL before.
///
/// # Safety
/// As in C: the kernel checks `ctxp` (EFAULT).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_setup(maxevents: c_int, ctxp: *mut io_context_t) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { engine::setup(maxevents, ctxp) }
}

/// Cancels what it can, waits for the rest, and frees the context.
///
/// # Safety
/// Any value of `ctx` is answered (EINVAL); the memory of requests in flight must still be there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_destroy(ctx: io_context_t) -> c_int {
    engine::destroy(ctx)
}

/// Queues up to `nr` requests; returns how many went in.
///
/// # Safety
/// Buffers that the requests name are lent to the kernel until their completion.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_submit(ctx: io_context_t, nr: c_long, ios: *mut *mut iocb) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { engine::submit(ctx, nr, ios) }
}

/// Asks the kernel to cancel one request; its event still arrives through `io_getevents`.
///
/// # Safety
/// As in C: the kernel checks both pointers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_cancel(
    ctx: io_context_t,
    iocb: *mut iocb,
    evt: *mut io_event,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { engine::cancel(ctx, iocb, evt) }
}

/// Takes between `min_nr` and `nr` events, waiting up to `timeout` (NULL: for ever) for `min_nr`.
///
/// # Safety
/// `events` has room for `nr` events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_getevents(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *mut timespec,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { engine::get_events(ctx, min_nr, nr, events, timeout) }
}

/// [`io_getevents`] with the signal mask replaced by `*sigmask` (NULL: not) while it waits.
///
/// # Safety
/// As [`io_getevents`]; the kernel checks `sigmask`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_pgetevents(
    ctx: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *mut timespec,
    sigmask: *mut sigset_t,
) -> c_int {
    let request = Request::without_mask(ctx, min_nr, nr, events, timeout);
    let request = Request { sigmask, with_mask: true, ..request };
    // SAFETY: upheld by the caller.
    unsafe { engine::get_events_masked(request) }
}

/// [`io_setup`] that sets `*ctxp` to NULL itself, and refuses a `maxevents` below 1.
///
/// # Safety
/// As in C: the kernel checks `ctxp`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_queue_init(maxevents: c_int, ctxp: *mut io_context_t) -> c_int {
    if maxevents < 1 {
        return fail(EINVAL);
    }
    if !is_writable(ctxp) {
        return fail(EFAULT);
    }
    // SAFETY: writable, as the kernel has just said.
    unsafe { ctxp.write_unaligned(ptr::null_mut()) };
    // SAFETY: as above.
    unsafe { io_setup(maxevents, ctxp) }
}

/// [`io_destroy`] under the name that goes with [`io_queue_init`].
///
/// # Safety
/// As [`io_destroy`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_queue_release(ctx: io_context_t) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { io_destroy(ctx) }
}

/// Takes events one by one, and calls the callback of each, until none is left or an error comes.
///
/// The context is looked up anew for each event, so a callback may submit to it, reap from it or
/// destroy it (the answer is then -EINVAL). An event with no callback (`data` NULL) is dropped.
///
/// # Safety
/// `data` of each request is NULL or a function of type `io_callback_t` (`io_set_callback`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_queue_run(ctx: io_context_t) -> c_int {
    loop {
        let mut event = io_event::default();
        let mut no_wait = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for one event.
        let n = unsafe { io_getevents(ctx, 0, 1, &raw mut event, &raw mut no_wait) };
        if n != 1 {
            return n;
        }
        if let Some(callback) = event.callback() {
            // SAFETY: the program's own function, as the caller promises.
            unsafe {
                callback(
                    ctx,
                    event.obj as usize as *mut iocb,
                    event.res as c_long,
                    event.res2 as c_long,
                );
            }
        }
    }
}

/// Checks the context and the timeout, and returns 0: libaio asks for no event here, so the
/// kernel has nothing to wait for.
///
/// # Safety
/// As [`io_getevents`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn io_queue_wait(ctx: io_context_t, timeout: *mut timespec) -> c_int {
    // SAFETY: no event, no room needed.
    unsafe { io_getevents(ctx, 0, 0, ptr::null_mut(), timeout) }
}

/// The forms that programs linked before libaio 0.3.15 ask for, as hidden symbol versions.
#[cfg(libaio_symver)]
mod v0_1 {
    use super::{c_int, c_long, engine, io_context_t, io_event, iocb, ptr, timespec};

    core::arch::global_asm!(
        ".symver libaio_0_1_io_cancel, io_cancel@LIBAIO_0.1",
        ".symver libaio_0_1_io_getevents, io_getevents@LIBAIO_0.1",
        ".symver libaio_0_1_io_queue_wait, io_queue_wait@LIBAIO_0.1",
    );

    /// `io_cancel(ctx, iocb)`: no event out.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn libaio_0_1_io_cancel(ctx: io_context_t, iocb: *mut iocb) -> c_int {
        let mut unused = io_event::default();
        // SAFETY: upheld by the caller.
        unsafe { engine::cancel(ctx, iocb, &raw mut unused) }
    }

    /// `io_getevents(ctx, nr, events, timeout)`: waits for one event.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn libaio_0_1_io_getevents(
        ctx: io_context_t,
        nr: c_long,
        events: *mut io_event,
        timeout: *const timespec,
    ) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { super::io_getevents(ctx, 1, nr, events, timeout.cast_mut()) }
    }

    /// `io_queue_wait(ctx, timeout)`, with a const timeout.
    ///
    /// It does what the later form does, but must not become the same code: LLVM would make the
    /// two one address, and GNU ld then takes the plain name for a by-product of `.symver` and
    /// drops it. Hence the other pointer for events that nobody writes.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn libaio_0_1_io_queue_wait(
        ctx: io_context_t,
        timeout: *const timespec,
    ) -> c_int {
        // SAFETY: no event, no room needed.
        unsafe { super::io_getevents(ctx, 0, 0, ptr::dangling_mut(), timeout.cast_mut()) }
    }
}
