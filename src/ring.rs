//! The view of a context's `aio_ring`, and the reap: pure, no system call, no global.
//!
//! The ring (`struct aio_ring`, `fs/aio.c`) is written by two sides. The kernel stores events, then
//! `tail`. Whoever takes events stores `head`: that is this module, or the kernel's own
//! `io_getevents`, never both at a time (`gate.rs` sees to that). `head` and `tail` are indices in
//! `0..nr`; they are equal where the ring is empty, and one slot always stays free.
//!
//! # Ordering
//! - `tail` is loaded with Acquire. It pairs with the write barrier between event and `tail` in
//!   `aio_complete`: events below the `tail` that was seen are whole.
//! - `head` is stored with Release, after the events were copied. It pairs with the kernel's read of
//!   `head` before it hands a slot to a new request (`user_refill_reqs_available`): a slot is
//!   overwritten only after it was copied.
//! - `head` is loaded Relaxed: only threads inside the gate store it, and the gate orders them.
//!
//! # Signal handlers
//! A handler may interrupt a reap on its own thread, find the gate held by that thread, and reap
//! too. [`Nest`] is how the two share one passage through the gate. The handler's part runs with
//! signals blocked, so for the interrupted part it happens between two of its instructions; only
//! program order counts, which [`compiler_fence`] keeps. `tests::interruption` runs the handler's
//! part between every two steps of the other.

use crate::abi::io_event;
use crate::sync::{AtomicU32, Ordering, compiler_fence};

/// What a reap needs of a ring. [`Mapped`] is the kernel's; the model has its own.
pub(crate) trait Ring {
    /// The number of slots.
    fn nr(&self) -> u32;
    /// The index of the oldest event.
    fn head(&self) -> u32;
    /// The index after the newest event, with all of them visible.
    fn tail(&self) -> u32;
    /// Gives the slots before `head` back.
    fn publish(&self, head: u32);
    /// Copies the `n` events from `first` on, which do not wrap, to `to`.
    ///
    /// # Safety
    /// `to` has room for `n` events, and the slots hold events that nobody else takes.
    unsafe fn copy(&self, first: u32, n: u32, to: *mut io_event);

    /// [`Ring::copy`] across the wrap.
    ///
    /// # Safety
    /// As [`Ring::copy`].
    #[inline(always)]
    unsafe fn copy_wrapped(&self, first: u32, n: u32, to: *mut io_event) {
        let up_to_wrap = n.min(self.nr() - first);
        // SAFETY: upheld by the caller; the two parts are `n` together.
        unsafe {
            self.copy(first, up_to_wrap, to);
            if up_to_wrap < n {
                self.copy(0, n - up_to_wrap, to.add(up_to_wrap as usize));
            }
        }
    }
}

/// How far a reap on this context has come, for a signal handler that interrupts it. Only the
/// thread that holds the gate, and handlers on that thread, use it.
#[repr(C)]
pub(crate) struct Nest {
    /// [`OPEN`], [`COPYING`] or [`SETTLED`].
    stage: AtomicU32,
    /// Where not [`OPEN`]: the index after the last event that is taken.
    end: AtomicU32,
    /// Where [`OPEN`]: a handler has moved `head`; what the reap has read is old.
    disturbed: AtomicU32,
}

impl Nest {
    #[cfg(any(loom, test))]
    pub(crate) fn new() -> Self {
        Nest { stage: AtomicU32::new(0), end: AtomicU32::new(0), disturbed: AtomicU32::new(0) }
    }
}

/// Nothing is taken but what `head` says; a handler may take and store `head`.
const OPEN: u32 = 0;
/// The events up to `end` are taken; a handler may take more by moving `end`, and `head` follows.
const COPYING: u32 = 1;
/// `head` has followed, unless `end` has moved since. Where it has not, a handler moves both.
const SETTLED: u32 = 2;

/// What a reap found.
#[derive(Debug, PartialEq)]
pub(crate) enum Reaped {
    /// So many events were taken, at least as many as were asked for.
    Taken(u32),
    /// There are fewer than were asked for; none was taken.
    Fewer,
    /// The ring's indices make no sense: the kernel shall say what it is.
    Strange,
    /// The process was forked in the middle of the reap: this is a child, the ring its parent's.
    Forked,
}

/// How many events there are to take.
#[inline(always)]
fn available(nr: u32, head: u32, tail: u32) -> u32 {
    if head <= tail { tail - head } else { nr - head + tail }
}

/// The index `n` after `index`.
#[inline(always)]
fn after(nr: u32, index: u32, n: u32) -> u32 {
    let sum = index + n;
    if sum >= nr { sum - nr } else { sum }
}

/// Takes up to `most` events into `to` where there are at least `least`, else none. `held` says
/// whether the caller is still inside the gate, as it is but in a child of a fork.
///
/// # Safety
/// The caller is inside the gate of this ring, and `to` has room for `most` events.
#[inline(always)]
pub(crate) unsafe fn reap(
    ring: &impl Ring,
    nest: &Nest,
    least: u32,
    most: u32,
    to: *mut io_event,
    held: impl Fn() -> bool,
) -> Reaped {
    let nr = ring.nr();
    let n = loop {
        let head = ring.head();
        let tail = ring.tail();
        if head >= nr || tail >= nr {
            return Reaped::Strange;
        }
        let n = available(nr, head, tail).min(most);
        if n < least || n == 0 {
            return if least == 0 { Reaped::Taken(0) } else { Reaped::Fewer };
        }
        // From the store of COPYING on a handler leaves these events alone. One that came before
        // it has taken some of them and says so in `disturbed`; one that comes between the two
        // sees both, and knows that this reap starts again.
        nest.end.store(after(nr, head, n), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        nest.stage.store(COPYING, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if nest.disturbed.load(Ordering::Relaxed) == 0 {
            // SAFETY: the events are taken by the line above; room as the caller says.
            unsafe { ring.copy_wrapped(head, n, to) };
            break n;
        }
        nest.stage.store(OPEN, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        nest.disturbed.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    };
    // `head` follows `end`, which a handler may move on meanwhile. While COPYING only this loop
    // stores `head`, so it never goes back: the kernel takes slots that it has been given at once,
    // and a `head` behind a `tail` that went round would hide events.
    loop {
        compiler_fence(Ordering::SeqCst);
        let end = nest.end.load(Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        // Where a handler has forked, and this is the child, the gate is wiped, and the ring its
        // parent's. (A fork between this look and the store still gets through: README, Limits.)
        if !held() {
            return Reaped::Forked;
        }
        ring.publish(end);
        compiler_fence(Ordering::SeqCst);
        nest.stage.store(SETTLED, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        if nest.end.load(Ordering::Relaxed) == end {
            break;
        }
        nest.stage.store(COPYING, Ordering::Relaxed);
    }
    nest.stage.store(OPEN, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    if held() { Reaped::Taken(n) } else { Reaped::Forked }
}

/// [`reap`] of a mapped ring by the thread `me`, where its size counts for more than its speed.
///
/// # Safety
/// As [`reap`].
#[cfg(not(loom))]
#[inline(never)]
pub(crate) unsafe fn reap_mapped(
    ring: &Mapped<'_>,
    nest: &Nest,
    least: u32,
    most: u32,
    to: *mut io_event,
    gate: &crate::gate::Gate,
    me: usize,
) -> Reaped {
    // SAFETY: upheld by the caller.
    unsafe { reap(ring, nest, least, most, to, || gate.is_held_by(me)) }
}

/// [`reap`] of up to `most` events for a signal handler on the thread that is inside the gate already.
///
/// # Safety
/// As [`reap`]; and signals are blocked, so that this is not interrupted in turn.
#[cold]
pub(crate) unsafe fn reap_nested(
    ring: &impl Ring,
    nest: &Nest,
    most: u32,
    to: *mut io_event,
) -> Reaped {
    let nr = ring.nr();
    compiler_fence(Ordering::SeqCst);
    let stage = nest.stage.load(Ordering::Relaxed);
    let restarts = stage == OPEN || nest.disturbed.load(Ordering::Relaxed) != 0 && stage == COPYING;
    let head = if restarts { ring.head() } else { nest.end.load(Ordering::Relaxed) };
    let tail = ring.tail();
    if head >= nr || tail >= nr {
        return Reaped::Strange;
    }
    let n = available(nr, head, tail).min(most);
    if n == 0 {
        return Reaped::Taken(0);
    }
    // SAFETY: the events from `head` on are not the interrupted reap's; room as the caller says.
    unsafe { ring.copy_wrapped(head, n, to) };
    let end = after(nr, head, n);
    if restarts {
        ring.publish(end);
        nest.disturbed.store(1, Ordering::Relaxed);
    } else {
        nest.end.store(end, Ordering::Relaxed);
        // Where `head` has not followed yet, the slots before it are still being copied, or the
        // other is about to look at `end`; else it may have looked already.
        if stage == SETTLED && ring.head() == head {
            ring.publish(end);
        }
    }
    compiler_fence(Ordering::SeqCst);
    Reaped::Taken(n)
}

/// The first 32 bytes of the mapping (`struct aio_ring`); the events follow.
#[cfg(not(loom))]
#[repr(C)]
struct Header {
    /// The kernel's, read back at each call.
    id: u32,
    nr: u32,
    head: AtomicU32,
    tail: AtomicU32,
    magic: u32,
    compat_features: u32,
    incompat_features: u32,
    header_length: u32,
}

#[cfg(not(loom))]
const MAGIC: u32 = 0xa10a_10a1;

/// Bytes before the first event.
#[cfg(not(loom))]
pub(crate) const HEADER_LENGTH: u64 = size_of::<Header>() as u64;

/// A context's ring as the kernel mapped it.
#[cfg(not(loom))]
pub(crate) struct Mapped<'a>(&'a Header);

#[cfg(not(loom))]
impl Mapped<'_> {
    /// # Safety
    /// The context is mapped for as long as the view lives.
    #[inline]
    pub(crate) unsafe fn at<'a>(context: crate::abi::io_context_t) -> Mapped<'a> {
        // SAFETY: upheld by the caller; the kernel maps the ring page-aligned.
        Mapped(unsafe { &*context.cast::<Header>() })
    }

    /// Whether this is a ring of the kind that this module knows (gVisor has no magic).
    pub(crate) fn is_known(&self) -> bool {
        let Header { nr, magic, incompat_features, header_length, .. } = *self.0;
        magic == MAGIC && incompat_features == 0 && header_length == 32 && nr > 1
    }
}

/// Makes zeroed memory an empty ring of `nr` slots which the kernel does not know of, and which
/// [`Mapped::is_known`] and other programs' checks of the magic number refuse.
///
/// # Safety
/// Room for the header and `nr` events, page-aligned.
#[cfg(not(loom))]
pub(crate) unsafe fn make_strange(at: *mut core::ffi::c_void, nr: u32) {
    // SAFETY: upheld by the caller.
    unsafe {
        at.cast::<Header>().write(Header {
            id: 0,
            nr,
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            magic: 0,
            compat_features: 0,
            incompat_features: u32::MAX,
            header_length: size_of::<Header>() as u32,
        });
    }
}

/// How many events a ring holds.
#[cfg(not(loom))]
pub(crate) fn events_in(ring: &Mapped<'_>) -> u32 {
    let (nr, head, tail) = (ring.nr(), ring.head(), ring.tail());
    // A program that reaps by itself may have stored anything as the head.
    if head < nr { available(nr, head, tail) } else { 0 }
}

/// Puts an event in, as the kernel does; false where there is no room. The caller is the only one that
/// does so.
#[cfg(not(loom))]
pub(crate) fn put(ring: &Mapped<'_>, event: io_event) -> bool {
    let nr = ring.nr();
    let at = ring.0.tail.load(Ordering::Relaxed);
    let next = after(nr, at, 1);
    // Acquire: the slot was copied before it was given back.
    if next == ring.0.head.load(Ordering::Acquire) {
        return false;
    }
    let header: *const Header = ring.0;
    // SAFETY: `nr` events follow the header, in memory that may be written.
    unsafe { header.add(1).cast::<io_event>().cast_mut().add(at as usize).write(event) };
    // Release: pairs with the Acquire of `tail`.
    ring.0.tail.store(next, Ordering::Release);
    true
}

#[cfg(not(loom))]
impl Ring for Mapped<'_> {
    #[inline(always)]
    fn nr(&self) -> u32 {
        self.0.nr
    }

    #[inline(always)]
    fn head(&self) -> u32 {
        self.0.head.load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn tail(&self) -> u32 {
        self.0.tail.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn publish(&self, head: u32) {
        self.0.head.store(head, Ordering::Release);
    }

    #[inline(always)]
    unsafe fn copy(&self, first: u32, n: u32, to: *mut io_event) {
        let header: *const Header = self.0;
        // SAFETY: `nr` events follow the header in the mapping, `first` and `n` lie in them, and
        // `to` has room. The program may have given an unaligned `to`, which the kernel takes.
        unsafe {
            let events = header.add(1).cast::<io_event>().add(first as usize);
            if n == 1 {
                to.write_unaligned(events.read());
            } else {
                core::ptr::copy_nonoverlapping(
                    events.cast::<u8>(),
                    to.cast::<u8>(),
                    n as usize * size_of::<io_event>(),
                );
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "ring_tests.rs"]
mod tests;
