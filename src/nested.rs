//! `io_getevents` in a signal handler that interrupted a reap of the same context on its thread.
//!
//! The interrupted reap holds the gate and cannot go on before the handler returns, so the handler
//! neither waits for the gate nor enters the kernel's reader: it takes events as the guest of that
//! reap ([`ring::reap_nested`]). Where it has to wait for some, it looks again every millisecond, for
//! the kernel wakes nobody outside its own reader. The window is a few dozen instructions wide; what
//! counts here is that nothing hangs, and no event is lost or doubled.

use core::ffi::c_int;

use libc::{EFAULT, EINTR};

use crate::context::unknown;
use crate::request::Request;
use crate::ring::{self, Reaped};
use crate::system::{self, fail, refuses, sleep_under};
use crate::table::Place;

const LOOK_AGAIN_NS: u64 = 1_000_000;

/// # Safety
/// As `io_getevents`; the caller's own thread holds the gate of `place`.
#[cold]
pub(crate) unsafe fn get_events(place: &Place, request: Request) -> c_int {
    let refused = request.refused();
    if refused != 0 {
        return fail(refused);
    }
    if request.nr > 0 && refuses(request.events) {
        return fail(EFAULT);
    }
    // SAFETY: the timeout is good, as far as can be told.
    let (limit, least) = unsafe { (system::duration_ns(request.timeout), request.least()) };
    let start = system::now_ns();
    let mut taken = 0;
    loop {
        // SAFETY: upheld by the caller.
        match unsafe { take(place, request, taken) } {
            Reaped::Taken(n) => taken += n,
            _ if taken > 0 => return taken as c_int,
            _ => return unknown(),
        }
        let left = limit.saturating_sub(system::now_ns() - start);
        if taken >= least || left == 0 {
            return if taken == 0 && interrupted(request) { fail(EINTR) } else { taken as c_int };
        }
        // Others wait for the interrupted reap, which ends only after this handler returned; one of
        // them may be who brings about what it waits for.
        let ended = if place.gate.is_wanted() {
            EINTR
        } else {
            sleep_under(left.min(LOOK_AGAIN_NS), request.sigmask)
        };
        if ended != 0 {
            return if taken > 0 { taken as c_int } else { fail(ended) };
        }
    }
}

/// Whether a signal came that only the request's mask lets through: the kernel looks for one
/// at the end of each call that has nothing to give.
fn interrupted(request: Request) -> bool {
    !request.sigmask.is_null() && sleep_under(0, request.sigmask) == EINTR
}

/// Takes what there is room for behind the events that were taken before.
///
/// # Safety
/// As [`get_events`].
unsafe fn take(place: &Place, request: Request, taken: u32) -> Reaped {
    system::with_signals_blocked(|_| {
        if place.at_end.is_doomed() {
            return Reaped::Strange;
        }
        // SAFETY: the interrupted reap is inside the gate, so the ring is mapped.
        let ring = unsafe { ring::Mapped::at(request.context) };
        // SAFETY: room for `taken` more as the caller says, and signals are blocked.
        unsafe {
            let to = request.events.add(taken as usize);
            ring::reap_nested(&ring, &place.nest, request.most() - taken, to)
        }
    })
}
