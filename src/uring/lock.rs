//! The exclusion of those who put entries into one submission queue.
//!
//! | word | state | who may leave it, and to what |
//! | --- | --- | --- |
//! | 0 | free | anybody: to their own |
//! | a thread | that thread fills entries and moves the queue's tail | that thread: to free |
//!
//! It is held for as long as it takes to copy a few entries, over no system call but where the queue
//! is full, what the same call has put in before went to another io_uring, or an fsync's file is to be
//! held. A signal handler that finds its own thread's name there has interrupted that: it may go on beside
//! it, for both move the tail by compare-and-swap from what it was before they filled their entries, and the
//! one that was interrupted then finds it changed and fills others (`queues.rs`).

use crate::gate::Pause;
use crate::sync::{AtomicUsize, Ordering, spin_loop};

/// How often a waiter looks again before it sleeps in between.
const SPINS: u32 = if cfg!(loom) { 2 } else { 200 };
/// How often [`Lock::pass`] looks: for some tenth of a second.
pub(crate) const PASSES: u32 = if cfg!(loom) { 20 } else { 1000 };

/// All zero is a free lock.
#[repr(transparent)]
pub(crate) struct Lock(AtomicUsize);

/// How a thread came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Taken {
    /// To be given back by [`Lock::release`].
    Now,
    /// This thread holds it already, below this signal handler.
    Below,
    /// Not in: another thread holds it, and this one, in a signal handler, holds what that thread may
    /// be waiting for.
    Crossed,
}

impl Lock {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Lock(AtomicUsize::new(0))
    }

    #[inline(always)]
    pub(crate) fn take<P: Pause>(&self, me: usize) -> Taken {
        match self.try_take(me) {
            Ok(_) => Taken::Now,
            Err(holder) => self.wait::<P>(me, holder),
        }
    }

    #[inline(always)]
    fn try_take(&self, me: usize) -> Result<usize, usize> {
        self.0.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
    }

    #[cold]
    #[inline(never)]
    fn wait<P: Pause>(&self, me: usize, mut holder: usize) -> Taken {
        let mut looks = 0;
        loop {
            if holder == me {
                return Taken::Below;
            }
            looks += 1;
            if looks < SPINS {
                spin_loop();
            } else if looks == SPINS && P::holds_a_gate(me) {
                return Taken::Crossed;
            } else {
                P::sleep();
            }
            match self.try_take(me) {
                Ok(_) => return Taken::Now,
                Err(other) => holder = other,
            }
        }
    }

    pub(crate) fn release(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Waits until the other thread has left that is in, though not for ever, since one that ended within never does.
    /// (A look alone would not do: who comes later has to see what the caller did before.)
    pub(crate) fn pass<P: Pause>(&self, me: usize) {
        for _ in 0..PASSES {
            if self.try_take(me).is_ok() {
                self.release();
                break;
            }
            P::sleep();
        }
    }

    /// Whether that thread holds it.
    pub(crate) fn is_held_by(&self, thread: usize) -> bool {
        self.0.load(Ordering::Relaxed) == thread
    }
}
