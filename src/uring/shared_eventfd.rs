//! The descriptor of our own of the eventfd that most requests of a context name.
//!
//! A request holds on to its eventfd from `io_submit` on, whatever the program makes of the number, and no longer than
//! it lives itself: a program's epoll tells of an eventfd that it has closed for as long as anybody has it. So requests
//! that are in flight together share one descriptor, and the last closes it.
//!
//! | word | state | who may leave it, and to what |
//! | --- | --- | --- |
//! | 0 | none | who submits, with a descriptor of its own: to one, 1 request |
//! | (descriptor + 1) ≪ 32 \| n | n requests have it | who submits: to n + 1; who has told of requests: to fewer; to none, the one that then closes it |
//!
//! The descriptor is the same file's at all times, for who submits asks first (`pump.rs`): so it does not matter which
//! one a request gets.

use core::ffi::c_int;

use crate::sync::{AtomicU64, Ordering};

/// All zero is none.
#[repr(transparent)]
pub(crate) struct SharedEventfd(AtomicU64);

fn descriptor(word: u64) -> c_int {
    (word >> 32) as c_int - 1
}

impl SharedEventfd {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        SharedEventfd(AtomicU64::new(0))
    }

    /// The descriptor, for one more request. Where there is none, that which `duplicate` makes, if it does (not
    /// `-errno`).
    pub(crate) fn take(
        &self,
        duplicate: impl Fn() -> c_int,
        close: impl Fn(c_int),
    ) -> Option<c_int> {
        loop {
            let word = self.0.load(Ordering::Relaxed);
            let own = if word == 0 { duplicate() } else { descriptor(word) };
            if own < 0 {
                return None;
            }
            let more = ((own + 1) as u64) << 32 | u64::from(word as u32 + 1);
            if self.0.compare_exchange(word, more, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Some(own);
            }
            if word == 0 {
                close(own);
            }
        }
    }

    /// Whether a descriptor that a request has is this one.
    pub(crate) fn is(&self, fd: c_int) -> bool {
        // It is open for as long as a request has it, so none that has another has one of that number.
        descriptor(self.0.load(Ordering::Relaxed)) == fd
    }

    /// So many requests have it no more; whether it is to be closed.
    pub(crate) fn give(&self, n: u32) -> bool {
        loop {
            let word = self.0.load(Ordering::Relaxed);
            let less = if word as u32 == n { 0 } else { word - u64::from(n) };
            if self.0.compare_exchange(word, less, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return less == 0;
            }
        }
    }
}
