//! Watching the ring for a while before a blocking call sleeps (`LIBAIO_SPIN_US`).
//!
//! Falling asleep and being woken cost more than a fast device takes. So a call that finds too few
//! events looks again and again for up to the time given, but only while that has paid lately: where
//! the average of the context's last waits is longer than that time, the call sleeps at once. Waits
//! are measured whether they were spent watching or asleep, so it finds out when they get short
//! again, and an idle program burns no processor.

use core::ffi::c_int;

use libc::timespec;

use crate::config;
use crate::context;
use crate::request::Request;
use crate::sync::{AtomicU32, Ordering, spin_loop};
use crate::system::{duration_ns, now_ns};
use crate::table::Place;

/// A wait counts for no more than so many times the time to watch, to be forgotten soon.
const LONGEST: u32 = 8;

/// Whether the last waits on the context were short enough for watching to have paid.
fn waits_were_short(average: &AtomicU32, spin_ns: u32) -> bool {
    average.load(Ordering::Relaxed) <= spin_ns
}

/// Counts a wait for an eighth of the average. Threads that wait at a time may overwrite each other's
/// share; it is an estimate.
fn note_wait(average: &AtomicU32, wait_ns: u64, spin_ns: u32) {
    let most = u64::from(spin_ns) * u64::from(LONGEST);
    let before = u64::from(average.load(Ordering::Relaxed));
    let next = before - before / 8 + wait_ns.min(most) / 8;
    average.store(u32::try_from(next).unwrap_or(u32::MAX), Ordering::Relaxed);
}

/// Watches for up to the time given, or `limit`, while that has paid lately; whether `is_there` came
/// true. For the engine whose waits nobody else need be excluded from.
pub(crate) fn watch(average: &AtomicU32, limit: u64, is_there: impl Fn() -> bool) -> bool {
    let spin_ns = config::spin_ns();
    if !waits_were_short(average, spin_ns) {
        return false;
    }
    let (start, watch) = (now_ns(), limit.min(u64::from(spin_ns)));
    loop {
        let spent = now_ns() - start;
        if is_there() {
            note_wait(average, spent, spin_ns);
            return true;
        }
        if spent >= watch {
            return false;
        }
        spin_loop();
    }
}

/// Counts a wait that was slept through; one that brought nothing is none that watching could have
/// shortened.
pub(crate) fn note_sleep(average: &AtomicU32, brought: bool, wait_ns: u64) {
    note_wait(average, if brought { wait_ns } else { u64::MAX }, config::spin_ns());
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
    let mut spent = 0;
    if waits_were_short(&place.average_wait_ns, spin_ns) {
        let watch = limit.min(u64::from(spin_ns));
        while spent < watch && place.gate.enter_user(me) {
            // SAFETY: inside the gate, and plain.
            if let Some(n) = unsafe { context::reap_and_leave_out_of_line(place, request, me) } {
                note_wait(&place.average_wait_ns, now_ns() - start, spin_ns);
                return n;
            }
            spin_loop();
            spent = now_ns() - start;
        }
    }
    let left = limit.saturating_sub(spent);
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
