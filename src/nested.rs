//! `io_getevents` in a signal handler that interrupted a reap of the same context on its thread.
//!
//! The interrupted reap holds the gate and cannot go on before the handler returns, so the handler
//! neither waits for the gate nor enters the kernel's reader: it takes events as the guest of that
//! reap ([`ring::reap_nested`]). Where it has to wait for some, it looks again every millisecond, for
//! the kernel wakes nobody outside its own reader. The window is a few dozen instructions wide; what
//! counts here is that nothing hangs, and no event is lost or doubled.

use core::ffi::c_int;

use libc::{EFAULT, EINTR, EINVAL};

use crate::context::{Request, unknown};
use crate::ring::{self, Reaped};
use crate::system::{self, fail, refuses, sleep_under};
use crate::table::Place;

const LOOK_AGAIN_NS: u64 = 1_000_000;

/// # Safety
/// As `io_getevents`; the caller's own thread holds the gate of `place`.
#[cold]
pub(crate) unsafe fn get_events(place: &Place, request: Request) -> c_int {
    // The kernel's checks, in its order.
    if !request.timeout.is_null() && refuses(request.timeout) {
        return fail(EFAULT);
    }
    if !(0 <= request.min_nr && request.min_nr <= request.nr) {
        return fail(EINVAL);
    }
    if request.nr > 0 && refuses(request.events) {
        return fail(EFAULT);
    }
    // SAFETY: the timeout is good, as far as can be told.
    let (limit, mut least) = unsafe { (system::duration_ns(request.timeout), request.least()) };
    let start = system::now_ns();
    loop {
        // SAFETY: upheld by the caller.
        match unsafe { take(place, request, least) } {
            Reaped::Taken(0) if least == 0 && interrupted(request) => return fail(EINTR),
            Reaped::Taken(n) => return n as c_int,
            Reaped::Strange | Reaped::Forked => return unknown(),
            Reaped::Fewer => {}
        }
        let left = limit.saturating_sub(system::now_ns() - start);
        if left == 0 {
            least = 0;
            continue;
        }
        // Others wait for the interrupted reap, which ends only after this handler returned; one of
        // them may be who brings about what it waits for.
        if place.gate.is_wanted() {
            // SAFETY: upheld by the caller.
            return match unsafe { take(place, request, 0) } {
                Reaped::Taken(n) if n > 0 => n as c_int,
                _ => fail(EINTR),
            };
        }
        match sleep_under(left.min(LOOK_AGAIN_NS), request.sigmask) {
            0 => {}
            EINTR => {
                // SAFETY: upheld by the caller.
                return match unsafe { take(place, request, 0) } {
                    Reaped::Taken(n) if n > 0 => n as c_int,
                    _ => fail(EINTR),
                };
            }
            other => return fail(other),
        }
    }
}

/// Whether a signal came that only the request's mask lets through: the kernel looks for one
/// at the end of each call that has nothing to give.
fn interrupted(request: Request) -> bool {
    !request.sigmask.is_null() && sleep_under(0, request.sigmask) == EINTR
}

/// # Safety
/// As [`get_events`].
unsafe fn take(place: &Place, request: Request, least: u32) -> Reaped {
    system::with_signals_blocked(|| {
        if place.is_doomed() {
            return Reaped::Strange;
        }
        // SAFETY: the interrupted reap is inside the gate, so the ring is mapped.
        let ring = unsafe { ring::Mapped::at(request.context) };
        // SAFETY: room as the caller says, and signals are blocked.
        unsafe { ring::reap_nested(&ring, &place.nest, least, request.most(), request.events) }
    })
}
