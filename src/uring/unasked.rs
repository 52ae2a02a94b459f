//! The descriptor that requests were submitted on without asking what it is by now.
//!
//! A thread that is alone with its context (`sharing.rs`) takes a descriptor for what it was at an earlier
//! call (`Known`, `entry.rs`). What it is by now is asked before anybody waits.
//!
//! | who | steps |
//! | --- | --- |
//! | the one thread, when it submits | is alone; names the descriptor here; has the kernel take the request; where the name is gone by now, or the thread is not alone any more, asks at once |
//! | whoever is about to wait, or looks in vain | has been noted as a user; takes the name; asks |
//! | whoever cancels | takes the name; asks |
//!
//! With a fence between the steps the name is met by a second thread that waits, or that thread by the
//! first; and the request by who takes the name, or its absence by the submitter. So who takes a name
//! before the kernel has the request leaves the asking to its submitter.

use core::ffi::c_int;

use super::sharing::Sharing;
use crate::sync::{AtomicU32, Ordering, fence};

/// A descriptor and 1, 0 for none.
pub(crate) struct Unasked(AtomicU32);

impl Unasked {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Unasked(AtomicU32::new(0))
    }

    /// Whether there is a name.
    #[inline(always)]
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn is(&self, fd: c_int) -> bool {
        self.0.load(Ordering::Relaxed) == name_of(fd)
    }

    /// Names a descriptor, before the kernel gets the request; another that was named before is to be asked
    /// about now.
    #[inline]
    pub(crate) fn leave(&self, fd: c_int) -> Option<c_int> {
        if self.is(fd) { None } else { named(self.0.swap(name_of(fd), Ordering::AcqRel)) }
    }

    /// Whether the asking may be left to who waits, now that the kernel has the request.
    #[inline]
    pub(crate) fn is_left(&self, fd: c_int, sharing: &Sharing, me: usize) -> bool {
        fence(Ordering::SeqCst); // pairs with those in `take` and in `Sharing::note`
        self.is(fd) && sharing.is_alone(me)
    }

    /// The descriptor to ask about.
    #[inline]
    pub(crate) fn take(&self) -> Option<c_int> {
        if !self.is_any() {
            return None;
        }
        let name = self.0.swap(0, Ordering::AcqRel);
        fence(Ordering::SeqCst); // pairs with the one in `is_left`
        named(name)
    }
}

/// How many requests are submitted by themselves between two waits: where it is one, to leave the asking to the
/// wait saves nothing, and the device has the request while the thread is not asleep yet.
///
/// All zero is none. Whoever counts is alone; who waits meanwhile may spoil a count, which costs a call.
#[repr(C)]
pub(crate) struct Runs {
    now: AtomicU32,
    last: AtomicU32,
}

impl Runs {
    /// Counts a request; whether to leave the asking pays.
    #[inline(always)]
    pub(crate) fn one_more(&self) -> bool {
        let before = self.now.load(Ordering::Relaxed);
        self.now.store(before.wrapping_add(1), Ordering::Relaxed);
        before > 0 || self.last.load(Ordering::Relaxed) > 1
    }

    /// Somebody waits.
    #[inline(always)]
    pub(crate) fn end(&self) {
        let now = self.now.load(Ordering::Relaxed);
        if now != 0 {
            self.last.store(now, Ordering::Relaxed);
            self.now.store(0, Ordering::Relaxed);
        }
    }
}

fn name_of(fd: c_int) -> u32 {
    fd as u32 + 1
}

fn named(name: u32) -> Option<c_int> {
    (name != 0).then(|| name.wrapping_sub(1) as c_int)
}
