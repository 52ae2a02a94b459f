//! The places of contexts: where an address finds its gate.
//!
//! A place belongs to an address, not to a context: when a context is destroyed, the place is marked
//! dead and keeps the address, so that a late caller, and the next context there, meet the same gate.
//! A context that finds no place is left to the kernel, and only slower.
//!
//! # Strangers
//! A thread that finds no place for an address goes to the kernel outside any gate. If `io_setup`
//! made a context at that very address meanwhile, that thread would read its ring beside the reaps
//! in user space. So it counts itself in [`Table::strangers`] and looks again before it goes;
//! `io_setup` makes the place first and looks at the count then, and leaves the ring of a context
//! with strangers to the kernel. A sequentially consistent fence between the two steps on either
//! side has one of the two see the other.

use core::ffi::c_int;

use crate::gate::{AtEnd, Entry, Gate, Pause, count_down};
use crate::ring::Nest;
use crate::sync::{AtomicU32, AtomicUsize, Ordering, fence};

/// Places in the table; a power of two. A program with more contexts is only slower.
const PLACES: usize = if cfg!(loom) { 2 } else { 1024 };
/// How far from its own place an address may lie.
const PROBES: usize = if cfg!(loom) { 1 } else { 8 };
/// Counters of strangers, by address; a power of two.
const STRANGERS: usize = if cfg!(loom) { 1 } else { 64 };

/// One address at which a context is or was. All zero is a free place.
#[repr(C, align(64))]
pub(crate) struct Place {
    /// The context, or 0.
    pub(crate) address: AtomicUsize,
    pub(crate) gate: Gate,
    pub(crate) nest: Nest,
    /// A signal handler destroyed the context in the middle of a reap, whose end does it.
    pub(crate) at_end: AtEnd,
    /// See `spin.rs`: the average of the last waits, in nanoseconds.
    pub(crate) average_wait_ns: AtomicU32,
}

/// All zero is an empty table.
pub(crate) struct Table {
    places: [Place; PLACES],
    /// How many threads are in the kernel for an address without a place.
    strangers: [AtomicU32; STRANGERS],
}

impl Place {
    /// Whether the place is that of `address`, for who is inside its gate.
    #[inline]
    pub(crate) fn is_of(&self, address: usize) -> bool {
        self.address.load(Ordering::Relaxed) == address
    }

    /// Runs `call`, which destroys the context here, for a thread that is inside the gate in state
    /// *kernel*, and leaves the gate. `alive` asks the kernel whether there is a context here.
    pub(crate) fn destroyed_by(
        &self,
        call: impl FnOnce() -> c_int,
        alive: impl FnOnce() -> bool,
    ) -> c_int {
        self.gate.mark_dead();
        let answer = call();
        // The kernel may have given the address out again already, and `settle` the place a new
        // life: that goes on, unless it was the new context that the call destroyed (by a thread
        // that was late with a second destruction of the old one).
        if !self.gate.is_dead() && !alive() {
            self.gate.mark_dead();
        }
        self.gate.leave_kernel();
        answer
    }
}

impl Table {
    /// Rings are page-aligned, and close to each other in the address space.
    #[inline]
    fn first(address: usize) -> usize {
        (address >> 12 ^ address >> 22) & (PLACES - 1)
    }

    /// The place where `address` is looked for first, if it is its own.
    #[inline]
    pub(crate) fn find_first(&self, address: usize) -> Option<&Place> {
        let place = &self.places[Table::first(address)];
        // 0 is the address of a free place, and no context.
        (address != 0 && place.is_of(address)).then_some(place)
    }

    /// The place of `address`, if it has one.
    pub(crate) fn find(&self, address: usize) -> Option<&Place> {
        self.probes(address).find(|p| address != 0 && p.is_of(address))
    }

    fn probes(&self, address: usize) -> impl Iterator<Item = &Place> {
        let first = Table::first(address);
        (first..first + PROBES).map(|i| &self.places[i & (PLACES - 1)])
    }

    /// Whether a thread is reaping in user space, on any context.
    pub(crate) fn is_reaping(&self, thread: usize) -> bool {
        self.places.iter().any(|p| p.gate.is_held_by(thread))
    }

    fn strangers_of(&self, address: usize) -> &AtomicU32 {
        &self.strangers[Table::first(address) & (STRANGERS - 1)]
    }

    /// Runs `call`, which enters the kernel for an address that has no place, unless it has got one.
    pub(crate) fn as_stranger<T>(&self, address: usize, call: impl FnOnce() -> T) -> Option<T> {
        let count = self.strangers_of(address);
        count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst); // pairs with the one in `settle`
        let answer = if self.find(address).is_none() { Some(call()) } else { None };
        // Release: what the call read of the ring is read before `settle` sees the count.
        count_down(count, 1);
        answer
    }

    /// A place for a new context at `address`, entered in state *kernel*: the one that the address
    /// has, a free one, or one whose context is dead. None where all are taken.
    ///
    /// The caller has signals blocked: a handler on its thread must not take the gate, held for a
    /// moment in state *user*, for that of a reap of its own.
    pub(crate) fn place_for<P: Pause>(&self, address: usize, me: usize) -> Option<&Place> {
        if let Some(place) = self.find(address) {
            let entry = place.gate.enter_kernel::<P>(me);
            if entry == Entry::Kernel {
                if place.is_of(address) {
                    place.gate.mark_dead();
                    return Some(place);
                }
                place.gate.leave_kernel();
            }
        }
        let free = |p: &&Place| {
            let taken = p.is_of(0) && p.gate.take_free(me);
            // Somebody may have taken, used and left it between the two.
            if taken && !p.is_of(0) {
                p.gate.leave_user();
                return false;
            }
            taken
        };
        let place = self
            .probes(address)
            .find(free)
            .or_else(|| self.probes(address).find(|p| p.gate.take_dead(me)))?;
        place.address.store(address, Ordering::Release);
        place.gate.user_to_kernel();
        Some(place)
    }

    /// Opens the place that [`Table::place_for`] gave to reaps in user space, unless somebody is in
    /// the kernel for its address without having seen it, or has destroyed the context already.
    pub(crate) fn settle(&self, place: &Place, address: usize, alive: impl FnOnce() -> bool) {
        fence(Ordering::SeqCst); // pairs with the one in `as_stranger`
        // First the mark goes, then the kernel is asked: who destroys the context after the question
        // sets the mark anew, or finds in `destroyed_by` that it is gone.
        place.gate.revive();
        if self.strangers_of(address).load(Ordering::Acquire) != 0 || !alive() {
            place.gate.mark_dead();
        }
        place.gate.leave_kernel();
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        let zero = || AtomicU32::new(0);
        let place = |_| Place {
            address: AtomicUsize::new(0),
            gate: Gate::new(),
            nest: Nest::new(),
            at_end: AtEnd::new(),
            average_wait_ns: zero(),
        };
        Table { places: core::array::from_fn(place), strangers: core::array::from_fn(|_| zero()) }
    }
}
