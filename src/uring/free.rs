//! The numbers of slots that are free: a stack of those that were used before, and a count of those
//! that never were.
//!
//! Any thread and any signal handler may take and give back at any time: both are one
//! compare-and-swap of the stack's head, which carries a tag against a head that went and came back
//! (ABA) while somebody looked.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// No slot: the end of the stack.
pub(crate) const NONE: u32 = u32::MAX;

/// All zero is nothing ever used: the head is a number and 1, with its tag in the upper half.
#[repr(C)]
pub(crate) struct Free {
    head: AtomicU64,
    /// How many have ever been used.
    fresh: AtomicU32,
}

fn word(number: u32, tag: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(number.wrapping_add(1))
}

fn number(word: u64) -> u32 {
    (word as u32).wrapping_sub(1)
}

fn tag(word: u64) -> u32 {
    (word >> 32) as u32
}

impl Free {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Free { head: AtomicU64::new(0), fresh: AtomicU32::new(0) }
    }

    /// How many slots have ever been used: those from there on have never been written.
    pub(crate) fn ever_used(&self) -> u32 {
        self.fresh.load(Ordering::Acquire)
    }

    /// Takes a slot out of `count`; None where all are in use. `next` gives the word of a slot in
    /// which the number of the one below it is kept.
    pub(crate) fn take<'a>(&self, count: u32, next: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        while number(head) != NONE {
            let below = next(number(head)).load(Ordering::Relaxed);
            // Where somebody took it meanwhile, `below` may be anything; then the tag has changed.
            match self.head.compare_exchange_weak(
                head,
                word(below, tag(head).wrapping_add(1)),
                Ordering::Acquire,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(number(head)),
                Err(now) => head = now,
            }
        }
        let mut fresh = self.fresh.load(Ordering::Relaxed);
        while fresh < count {
            match self.fresh.compare_exchange_weak(
                fresh,
                fresh + 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(fresh),
                Err(now) => fresh = now,
            }
        }
        None
    }

    /// Gives slots back: those from `first` to `last`, each of which names the next already.
    pub(crate) fn give<'a>(&self, first: u32, last: u32, next: impl Fn(u32) -> &'a AtomicU32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            next(last).store(number(head), Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                word(first, tag(head).wrapping_add(1)),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}
