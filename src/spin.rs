//! Watching the ring for a while before a blocking call sleeps (`LIBAIO_SPIN_US`).
//!
//! Falling asleep and being woken cost more than a fast device takes. So a call that finds too few
//! events looks again and again for up to the time given, but only while that has paid lately: where
//! the average of the context's last waits is longer than that time, the call sleeps at once. Waits
//! are measured whether they were spent watching or asleep, so it finds out when they get short
//! again, and an idle program burns no processor.
//!
//! A signal that is handled ends the call, as it ends the kernel's sleep. User space cannot see that a
//! handler ran, so signals are kept out while the call watches, but for moments in which the kernel
//! tells.

use core::ffi::c_int;

use libc::{EINTR, timespec};

use crate::config;
use crate::context::{self, Request};
use crate::sync::{Ordering, spin_loop};
use crate::system::{duration_ns, now_ns, sleep_under, with_signals_blocked};
use crate::table::Place;

/// How long a signal waits for its handler at the most.
const LET_SIGNALS_IN_NS: u64 = 20_000;

/// A wait counts for no more than so many times the time to watch, to be forgotten soon.
const LONGEST: u32 = 8;

/// Whether the last waits on the context were short enough for watching to have paid.
fn waits_were_short(place: &Place, spin_ns: u32) -> bool {
    place.average_wait_ns.load(Ordering::Relaxed) <= spin_ns
}

/// Counts a wait for an eighth of the average. Threads that wait at a time may overwrite each other's
/// share; it is an estimate.
#[inline(never)]
fn note_wait(place: &Place, wait_ns: u64, spin_ns: u32) {
    let most = u64::from(spin_ns) * u64::from(LONGEST);
    let average = u64::from(place.average_wait_ns.load(Ordering::Relaxed));
    let next = average - average / 8 + wait_ns.min(most) / 8;
    place.average_wait_ns.store(u32::try_from(next).unwrap_or(u32::MAX), Ordering::Relaxed);
}

/// What watching came to.
enum Watched {
    /// So many events were taken, at least as many as the caller wants.
    Taken(c_int),
    /// A signal was handled.
    Interrupted,
    /// The time is over, or others are at the gate.
    InVain,
}

/// Watches the ring until so many nanoseconds after `start`.
///
/// # Safety
/// As `io_getevents`; the request is plain.
unsafe fn watch(place: &Place, request: Request, me: usize, start: u64, until: u64) -> Watched {
    with_signals_blocked(|mask| {
        let (mut spent, mut let_in_at) = (0, LET_SIGNALS_IN_NS);
        loop {
            let over = spent >= until;
            if over || spent >= let_in_at {
                if sleep_under(0, mask) == EINTR {
                    return Watched::Interrupted;
                }
                if over {
                    return Watched::InVain;
                }
                let_in_at = spent + LET_SIGNALS_IN_NS;
            }
            if !place.gate.enter_user(me) {
                spent = until;
                continue;
            }
            // SAFETY: inside the gate, and plain.
            if let Some(n) = unsafe { context::reap_and_leave_out_of_line(place, request, me) } {
                return Watched::Taken(n);
            }
            spin_loop();
            spent = now_ns() - start;
        }
    })
}

/// A call that found fewer events than it wants, or the gate taken.
///
/// # Safety
/// As `io_getevents`; the request is plain.
pub(crate) unsafe fn get_events(place: &Place, request: Request, me: usize) -> c_int {
    let spin_ns = config::spin_ns();
    // SAFETY: a plain request's timeout is NULL or readable.
    let (least, limit) = unsafe { (request.least(), duration_ns(request.timeout)) };
    if least == 0 {
        // SAFETY: upheld by the caller.
        return unsafe { context::through_kernel(place, request, me) };
    }
    let start = now_ns();
    if waits_were_short(place, spin_ns) {
        let until = limit.min(u64::from(spin_ns));
        // SAFETY: upheld by the caller.
        match unsafe { watch(place, request, me, start, until) } {
            Watched::Taken(n) => {
                note_wait(place, now_ns() - start, spin_ns);
                return n;
            }
            Watched::Interrupted => {
                note_wait(place, u64::MAX, spin_ns);
                // SAFETY: upheld by the caller.
                return unsafe { context::cut_short(request) };
            }
            Watched::InVain => {}
        }
    }
    let spent = now_ns() - start;
    let left = limit.saturating_sub(spent);
    let rest =
        timespec { tv_sec: (left / 1_000_000_000) as _, tv_nsec: (left % 1_000_000_000) as _ };
    // The time spent watching counts; a wait without end keeps the form that it was given in.
    let endless = limit == u64::MAX;
    let rest =
        Request { timeout: if endless { request.timeout } else { &raw const rest }, ..request };
    // SAFETY: upheld by the caller; `rest` outlives the call.
    let answer = unsafe { context::through_kernel(place, rest, me) };
    // A wait that brought nothing is none that watching could have shortened.
    let wait_ns = if answer > 0 { now_ns() - start } else { u64::MAX };
    note_wait(place, wait_ns, spin_ns);
    answer
}
