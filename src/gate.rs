//! The exclusion of one context: who may read its ring, in user space or through the kernel.
//!
//! The kernel's own reader (`aio_read_events_ring`) takes a mutex that user space cannot see, so a
//! thread inside `io_getevents(2)`, asleep or not, may take events at any moment. Two readers at
//! once deliver an event twice. Hence one word, and these states:
//!
//! | word | state | who may leave it, and to what |
//! | --- | --- | --- |
//! | 0 | free | anybody: to *user*, *kernel 1*, or *dead* |
//! | a thread | *user*: that thread reaps in user space | that thread alone: to free |
//! | n ≪ 3 \| 1 | *kernel n*: n threads are in (or about to enter) the kernel for this context | anybody: to kernel n + 1; each of the n: to n − 1, the last to free |
//! | … \| 2 | *dead*: no reaping in user space; free or kernel n otherwise | as free and kernel n; `io_setup` takes the mark away |
//!
//! A thread is named by `system::this_thread`, a multiple of 8 that is not 0.
//!
//! - User-space reapers exclude each other, and threads in the kernel; those share the context and
//!   leave their exclusion to the kernel's mutex. A sleeper in the kernel blocks nobody: others go to
//!   the kernel too.
//! - Only a reap holds the gate in state *user*, for as long as it takes to copy the events. Who
//!   waits for its end spins, then sleeps in between (`Pause`), so that a holder of lower priority
//!   gets to run. A waiter that spun in vain counts itself in `demand`; from then on nobody takes
//!   the gate for user space, so the first to find it free opens it to all through the kernel.
//! - A signal handler that finds its own thread in state *user* has interrupted that thread's reap:
//!   [`Entry::Nested`]. It must neither wait nor enter the kernel's reader.
//!
//! # Ordering
//! The word is taken with Acquire and given back with Release, so whoever comes in sees the `head`
//! that the last reap stored, and the kernel's reader, which runs on the processor of a thread that
//! came in, does too. `head` as the kernel stored it is seen through the Release of the thread that
//! came back from there.

use crate::sync::{AtomicU32, AtomicUsize, Ordering, spin_loop};

const FREE: usize = 0;
const KERNEL: usize = 1;
const DEAD: usize = 2;
const ONE: usize = 8;

/// How often a waiter looks again before it sleeps in between: a reap of a few hundred events.
const SPINS: u32 = if cfg!(loom) { 2 } else { 200 };

/// The exclusion of one context. All zero is a free gate.
#[repr(C)]
pub(crate) struct Gate {
    word: AtomicUsize,
    /// How many threads wait for the end of a reap after they spun in vain.
    demand: AtomicU32,
}

/// What is to be done at the end of a reap: for a signal handler that interrupted it, the destruction of
/// the context; and counting. All zero is nothing.
#[repr(transparent)]
pub(crate) struct AtEnd(AtomicU32);

impl AtEnd {
    const DOOM: u32 = 1;
    const COUNT: u32 = 2;

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        AtEnd(AtomicU32::new(0))
    }

    /// Whether there is anything to be done.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    /// Whether the context is destroyed as soon as the reap under way ends.
    #[inline]
    pub(crate) fn is_doomed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & AtEnd::DOOM != 0
    }

    /// Has the reap under way destroy the context at its end.
    pub(crate) fn doom(&self) {
        self.0.fetch_or(AtEnd::DOOM, Ordering::Relaxed);
    }

    /// Takes that mark away; whether it was there.
    pub(crate) fn take_doom(&self) -> bool {
        self.0.fetch_and(!AtEnd::DOOM, Ordering::Relaxed) & AtEnd::DOOM != 0
    }

    /// Whether what the fast path takes is counted (`stats/`).
    pub(crate) fn is_counted(&self) -> bool {
        self.0.load(Ordering::Relaxed) & AtEnd::COUNT != 0
    }

    /// Has it counted from now on.
    pub(crate) fn count(&self) {
        self.0.fetch_or(AtEnd::COUNT, Ordering::Relaxed);
    }
}

/// How a thread came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry {
    /// In state *kernel*, to be left by [`Gate::leave_kernel`].
    Kernel,
    /// Not in: this thread's own reap holds the gate, below this signal handler.
    Nested,
    /// Not in: another thread's reap holds the gate, and this thread, in a signal handler, has
    /// interrupted a reap of its own on another context, for which that thread may be waiting.
    Crossed,
}

/// How a thread came in that has no kernel's reader to go to instead (`uring/`).
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// In state *user*, to be left by [`Gate::leave_user`].
    User,
    /// As [`Entry::Nested`].
    Nested,
    /// As [`Entry::Crossed`].
    Crossed,
    /// Not in: the context is dead.
    Dead,
}

/// What a waiter does between two looks: nothing at first, then a short sleep.
pub(crate) trait Pause {
    /// Sleeps for some tens of microseconds.
    fn sleep();
    /// Whether this thread holds the gate of some context, so that it must not wait for another.
    fn holds_a_gate(me: usize) -> bool;
}

fn in_kernel(word: usize) -> bool {
    word & KERNEL != 0
}

/// Whether a thread reaps in user space.
fn reaping(word: usize) -> bool {
    !in_kernel(word) && word & !DEAD != FREE
}

/// Takes `by` off a count. A child of a fork in the meantime finds a zero (MADV_WIPEONFORK), and leaves
/// it. Returns what it was.
pub(crate) fn count_down(count: &AtomicU32, by: u32) -> u32 {
    let mut n = count.load(Ordering::Relaxed);
    while n >= by {
        // Release: for the strangers of `table.rs`, whose reads of the ring come before.
        match count.compare_exchange_weak(n, n - by, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return n,
            Err(now) => n = now,
        }
    }
    0
}

impl Gate {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Gate { word: AtomicUsize::new(FREE), demand: AtomicU32::new(0) }
    }

    /// Takes the gate for a reap in user space where it is free at once, or after a short wait for
    /// another reap; false where the caller must go to the kernel instead.
    pub(crate) fn enter_user(&self, me: usize) -> bool {
        self.enter_user_at_once(me) || self.enter_user_contended(me)
    }

    /// [`Gate::enter_user`] where the gate is free and nobody waits for it.
    #[inline]
    pub(crate) fn enter_user_at_once(&self, me: usize) -> bool {
        self.demand.load(Ordering::Relaxed) == 0 && self.take(me)
    }

    #[inline]
    fn take(&self, me: usize) -> bool {
        self.word.compare_exchange(FREE, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn enter_user_contended(&self, me: usize) -> bool {
        for _ in 0..SPINS {
            let word = self.word.load(Ordering::Relaxed);
            if self.is_wanted() || in_kernel(word) || word & DEAD != 0 || word == me {
                return false;
            }
            if word == FREE && self.take(me) {
                return true;
            }
            spin_loop();
        }
        false
    }

    /// Takes the gate for a reap in user space, waiting for other reaps to end, as long as it takes. Who
    /// waits counts in `demand`, so that those who come later wait too.
    #[cold]
    pub(crate) fn wait_for_user<P: Pause>(&self, me: usize) -> Turn {
        let mut looks = 0;
        let turn = loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == me {
                break Turn::Nested;
            }
            if word & DEAD != 0 {
                break Turn::Dead;
            }
            let may_take = word == FREE && (looks >= SPINS || !self.is_wanted());
            if may_take && self.take(me) {
                break Turn::User;
            }
            looks += 1;
            if looks < SPINS {
                spin_loop();
                continue;
            }
            if looks == SPINS {
                if P::holds_a_gate(me) {
                    return Turn::Crossed;
                }
                self.demand.fetch_add(1, Ordering::Relaxed);
            }
            P::sleep();
        };
        if looks >= SPINS {
            count_down(&self.demand, 1);
        }
        turn
    }

    /// Ends the reap.
    #[inline]
    pub(crate) fn leave_user(&self) {
        // Nobody but the holder changes the word in state user, so a store is enough.
        self.word.store(FREE, Ordering::Release);
    }

    /// Whether somebody waits for the reap under way to end, and has spun in vain.
    pub(crate) fn is_wanted(&self) -> bool {
        self.demand.load(Ordering::Relaxed) != 0
    }

    /// Whether a thread is in state *user*.
    pub(crate) fn is_reaped(&self) -> bool {
        reaping(self.word.load(Ordering::Relaxed))
    }

    /// Whether that thread is in state *user* here.
    pub(crate) fn is_held_by(&self, thread: usize) -> bool {
        self.word.load(Ordering::Relaxed) == thread
    }

    /// Comes in on the way to the kernel; waits for a reap in user space to end.
    #[cold]
    pub(crate) fn enter_kernel<P: Pause>(&self, me: usize) -> Entry {
        let mut looks = 0;
        let entry = loop {
            let word = self.word.load(Ordering::Relaxed);
            if word == me {
                break Entry::Nested;
            }
            if reaping(word) {
                looks += 1;
                if looks < SPINS {
                    spin_loop();
                } else {
                    if looks == SPINS {
                        if P::holds_a_gate(me) {
                            return Entry::Crossed;
                        }
                        self.demand.fetch_add(1, Ordering::Relaxed);
                    }
                    P::sleep();
                }
                continue;
            }
            let inside = (word | KERNEL) + ONE;
            let taken =
                self.word.compare_exchange(word, inside, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                break Entry::Kernel;
            }
        };
        if looks >= SPINS {
            count_down(&self.demand, 1);
        }
        entry
    }

    /// Marks the context as dead: destroyed, or not for user space to reap. The caller is in state
    /// *kernel*, so nobody reaps already.
    pub(crate) fn mark_dead(&self) {
        self.word.fetch_or(DEAD, Ordering::Relaxed);
    }

    /// Whether the context is marked as dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.word.load(Ordering::Relaxed) & DEAD != 0
    }

    /// Comes back from the kernel.
    #[cold]
    pub(crate) fn leave_kernel(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        // A child of a fork in the meantime finds zeros (MADV_WIPEONFORK) and leaves them alone.
        while in_kernel(word) {
            let mut outside = word - ONE;
            if outside & !DEAD == KERNEL {
                outside -= KERNEL;
            }
            // Release: the kernel's store of `head` is seen by the next that reaps. Acquire: so
            // are those of the others that were in the kernel, whose Release this one carries on.
            match self.word.compare_exchange_weak(
                word,
                outside,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Takes the mark away: the context at this address is a new one. The caller is in state
    /// *kernel*, so nobody reaps before it leaves.
    pub(crate) fn revive(&self) {
        self.word.fetch_and(!DEAD, Ordering::Relaxed);
    }

    /// Takes a gate that is free, to use its place for a context: state *user*.
    pub(crate) fn take_free(&self, me: usize) -> bool {
        self.take(me)
    }

    /// Takes a gate that is dead and free, to use its place for another context: state *user*.
    pub(crate) fn take_dead(&self, me: usize) -> bool {
        self.word.compare_exchange(DEAD, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// From the state that [`Gate::take_free`] or [`Gate::take_dead`] left to *kernel 1*.
    pub(crate) fn user_to_kernel(&self) {
        self.word.store(KERNEL + ONE, Ordering::Release);
    }
}
