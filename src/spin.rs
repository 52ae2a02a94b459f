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
use crate::context;
use crate::request::Request;
use crate::sync::{AtomicU32, Ordering, spin_loop};
use crate::system::{duration_ns, now_ns, sleep_under, with_signals_blocked};
use crate::table::Place;

/// How long a signal waits for its handler at the most.
const LET_SIGNALS_IN_NS: u64 = 20_000;

/// A wait counts for no more than so many times the time to watch, to be forgotten soon.
const LONGEST: u32 = 8;

/// Counts a wait for an eighth of the average. Threads that wait at a time may overwrite each other's
/// share; it is an estimate.
#[inline(never)]
fn note_wait(average: &AtomicU32, wait_ns: u64) {
    let most = u64::from(config::spin_ns()) * u64::from(LONGEST);
    let before = u64::from(average.load(Ordering::Relaxed));
    let next = before - before / 8 + wait_ns.min(most) / 8;
    average.store(u32::try_from(next).unwrap_or(u32::MAX), Ordering::Relaxed);
}

/// Counts a wait that was slept through; one that brought nothing is none that watching could have
/// shortened.
pub(crate) fn note_sleep(average: &AtomicU32, brought: bool, wait_ns: u64) {
    note_wait(average, if brought { wait_ns } else { u64::MAX });
}

/// What one look came to.
pub(crate) enum Look<T> {
    /// What was waited for is there.
    Found(T),
    /// It is not there yet.
    Again,
    /// Others are in the way: the kernel shall be asked.
    Blocked,
}

/// What watching came to.
pub(crate) enum Watched<T> {
    Found(T),
    /// A signal was handled.
    Interrupted,
    /// The time is over, or there was no use in it.
    InVain,
}

/// Looks again and again for as long as `LIBAIO_SPIN_US` says, or `limit`, while that has paid lately.
/// `average` is that of the context's last waits.
pub(crate) fn watch<T>(
    average: &AtomicU32,
    start: u64,
    limit: u64,
    look: impl Fn() -> Look<T>,
) -> Watched<T> {
    let spin_ns = config::spin_ns();
    if average.load(Ordering::Relaxed) > spin_ns {
        return Watched::InVain;
    }
    let until = limit.min(u64::from(spin_ns));
    let watched = with_signals_blocked(|mask| {
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
            match look() {
                Look::Found(found) => return Watched::Found(found),
                Look::Again => spin_loop(),
                Look::Blocked => {
                    spent = until;
                    continue;
                }
            }
            spent = now_ns() - start;
        }
    });
    match watched {
        Watched::Found(_) => note_wait(average, now_ns() - start),
        Watched::Interrupted => note_wait(average, u64::MAX),
        Watched::InVain => (),
    }
    watched
}

/// A call that found fewer events than it wants, or the gate taken.
///
/// # Safety
/// As `io_getevents`; the request is plain.
pub(crate) unsafe fn get_events(place: &Place, request: Request, me: usize) -> c_int {
    // SAFETY: a plain request's timeout is NULL or readable.
    let (least, limit) = unsafe { (request.least(), duration_ns(request.timeout)) };
    if least == 0 {
        // SAFETY: upheld by the caller.
        return unsafe { context::through_kernel(place, request, me) };
    }
    let start = now_ns();
    let look = || {
        if !place.gate.enter_user(me) {
            return Look::Blocked;
        }
        // SAFETY: inside the gate, and plain.
        match unsafe { context::reap_and_leave_out_of_line(place, request, me) } {
            Some(n) => Look::Found(n),
            None => Look::Again,
        }
    };
    match watch(&place.average_wait_ns, start, limit, look) {
        Watched::Found(n) => {
            request.found_by_spinning();
            return n;
        }
        // SAFETY: upheld by the caller.
        Watched::Interrupted => return unsafe { context::cut_short(request) },
        Watched::InVain => (),
    }
    let left = limit.saturating_sub(now_ns() - start);
    let rest =
        timespec { tv_sec: (left / 1_000_000_000) as _, tv_nsec: (left % 1_000_000_000) as _ };
    // The time spent watching counts; a wait without end keeps the form that it was given in.
    let endless = limit == u64::MAX;
    let rest =
        Request { timeout: if endless { request.timeout } else { &raw const rest }, ..request };
    // SAFETY: upheld by the caller; `rest` outlives the call.
    let answer = unsafe { context::through_kernel(place, rest, me) };
    note_sleep(&place.average_wait_ns, answer > 0, now_ns() - start);
    answer
}
