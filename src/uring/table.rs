//! The places of contexts: where an address finds its io_uring and who may use it.
//!
//! One mapping, never freed, which a child of `fork` finds zeroed: there every context of the parent
//! is unknown. A place is taken by `io_setup` and free again when the context was taken apart, so a
//! caller that looked it up before may meet another context there: it asks for the address again
//! when it is inside ([`Place::is_of`]).

use core::ptr;
use core::sync::atomic::AtomicPtr;

use super::context::Context;
use super::{life::Life, lock::Lock};
use crate::gate::{AtEnd, Gate};
use crate::ring::Nest;
use crate::sync::{AtomicU32, AtomicUsize, Ordering};
use crate::system;

/// Places; a power of two, and more than a process has descriptors as a rule.
const PLACES: usize = 1 << 15;
/// How far from its own place an address may lie.
const PROBES: usize = 32;

/// The address of a place that is being taken or given back.
const RESERVED: usize = 1;

/// One context. All zero is a free place.
#[repr(C, align(64))]
pub(super) struct Place {
    address: AtomicUsize,
    /// Who may take completions.
    pub(super) gate: Gate,
    /// How far a reap of each io_uring has come; the first is also that of the ring.
    pub(super) nests: [Nest; 2],
    /// A signal handler destroyed the context in the middle of a reap, whose end does it.
    pub(super) at_end: AtEnd,
    /// See `spin.rs`.
    pub(super) average_wait_ns: AtomicU32,
    pub(super) life: Life,
    /// Who puts entries in.
    pub(super) lock: Lock,
    context: AtomicPtr<Context>,
}

/// All zero is an empty table.
pub(super) struct Table {
    places: [Place; PLACES],
    /// A bit for each place that may be in use, so that few need be looked at.
    used: [AtomicUsize; GROUPS],
    /// A bit for each group of places, of which one has ever been in use.
    ever_used: [AtomicUsize; GROUPS / BITS],
    /// How many contexts there are.
    count: AtomicU32,
    /// The process that has nothing of a parent's left (`forked.rs`).
    process: AtomicU32,
}

const BITS: usize = usize::BITS as usize;
const GROUPS: usize = PLACES / BITS;

static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

impl Place {
    /// Whether the place is that of `address`, for who is inside.
    #[inline]
    pub(super) fn is_of(&self, address: usize) -> bool {
        self.address.load(Ordering::Relaxed) == address
    }

    /// The context here.
    ///
    /// # Safety
    /// The caller holds the gate, or counts as a user, and [`Place::is_of`] has said that it is the
    /// right one.
    #[inline]
    pub(super) unsafe fn context(&self) -> &Context {
        // SAFETY: it is taken apart when nobody does.
        unsafe { &*self.context.load(Ordering::Acquire) }
    }

    /// Opens the place for a context at `address`.
    fn open(&self, address: usize, context: *mut Context) {
        self.context.store(context, Ordering::Release);
        self.average_wait_ns.store(0, Ordering::Relaxed);
        self.at_end.take_doom();
        self.life.begin();
        self.address.store(address, Ordering::Release);
    }

    /// What is to be taken apart, for one caller alone, where the last user has left a dead context.
    /// The address is nobody's from here on: as soon as the memory is given back, another context may
    /// lie there, in another place. [`Table::close`] comes after that.
    pub(super) fn take_context(&self) -> Option<*mut Context> {
        let context = self.context.swap(ptr::null_mut(), Ordering::AcqRel);
        if context.is_null() {
            return None;
        }
        self.address.store(RESERVED, Ordering::Release);
        Some(context)
    }

    /// The place is free.
    fn close(&self) {
        self.life.clear();
        self.gate.revive();
        self.address.store(0, Ordering::Release);
    }
}

impl Table {
    /// Contexts lie page-aligned, and close to each other.
    #[inline]
    fn first(address: usize) -> usize {
        (address >> 12 ^ address >> 27) & (PLACES - 1)
    }

    #[inline]
    fn probes(&self, address: usize) -> impl Iterator<Item = (usize, &Place)> {
        let first = Table::first(address);
        (first..first + PROBES).map(|i| (i & (PLACES - 1), &self.places[i & (PLACES - 1)]))
    }

    /// Reserves a free place for `address`, with its number; None where there is none near.
    pub(super) fn reserve(&self, address: usize) -> Option<(usize, &Place)> {
        self.probes(address).find(|(_, p)| {
            let (from, to) = (0, RESERVED);
            p.address.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })
    }

    /// Whether this thread holds a gate or a lock of any context.
    pub(super) fn is_held_by(&self, thread: usize) -> bool {
        self.any(|p| p.gate.is_held_by(thread) || p.lock.is_held_by(thread))
    }

    /// [`Table::is_held_by`], where the thread uses the context of `own`, whose gate it does not hold.
    pub(super) fn another_is_held_by(&self, own: &Place, thread: usize) -> bool {
        match self.count.load(Ordering::Relaxed) {
            // What this thread holds is of a context that there is.
            1 => own.lock.is_held_by(thread),
            _ => self.is_held_by(thread),
        }
    }

    /// Whether `is` says so of any place that has a context, or had one a moment ago.
    #[inline(always)]
    pub(super) fn any(&self, mut is: impl FnMut(&Place) -> bool) -> bool {
        any_bit(&self.ever_used, |group| {
            let places = core::slice::from_ref(&self.used[group & (GROUPS - 1)]);
            any_bit(places, |n| is(&self.places[(group * BITS + n) & (PLACES - 1)]))
        })
    }

    fn bit_of(&self, number: usize) -> (&AtomicUsize, usize) {
        (&self.used[(number / BITS) & (GROUPS - 1)], 1 << (number % BITS))
    }

    /// Opens a reserved place for the context at an address.
    pub(super) fn open(&self, number: usize, place: &Place, address: usize, context: *mut Context) {
        let (word, bit) = self.bit_of(number);
        word.fetch_or(bit, Ordering::AcqRel);
        let group = number / BITS;
        let groups = &self.ever_used[(group / BITS) & (GROUPS / BITS - 1)];
        groups.fetch_or(1 << (group % BITS), Ordering::AcqRel);
        self.count.fetch_add(1, Ordering::AcqRel);
        place.open(address, context);
    }

    /// Frees a place: nothing of its context is there any more.
    pub(super) fn close(&self, number: usize, place: &Place) {
        let (word, bit) = self.bit_of(number);
        word.fetch_and(!bit, Ordering::AcqRel);
        self.count.fetch_sub(1, Ordering::AcqRel);
        place.close();
    }

    /// Whether the caller is the one who is to tidy up after a fork.
    pub(super) fn is_first_to_tidy(&self) -> bool {
        let (own, order) = (system::pid() as u32, Ordering::AcqRel);
        self.process.compare_exchange(0, own, order, Ordering::Relaxed).is_ok()
    }

    /// Whether the calling process is the one whose contexts these are, no child that shares its memory.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process.load(Ordering::Relaxed) == system::pid() as u32
    }

    /// The address of a place's context, where it has one.
    pub(super) fn address_of(place: &Place) -> Option<usize> {
        Some(place.address.load(Ordering::Acquire)).filter(|&address| address > RESERVED)
    }
}

/// Whether `is` says so of the number of any bit that is set.
#[inline(always)]
fn any_bit(words: &[AtomicUsize], mut is: impl FnMut(usize) -> bool) -> bool {
    for (n, word) in words.iter().enumerate() {
        let mut bits = word.load(Ordering::Acquire);
        while bits != 0 {
            if is(n * BITS + bits.trailing_zeros() as usize) {
                return true;
            }
            // Takes the lowest away.
            bits &= bits.wrapping_sub(1);
        }
    }
    false
}

/// The place of `address`, if it has one.
#[inline]
pub(super) fn find(address: usize) -> Option<&'static Place> {
    // What is no context's address is no place's either.
    if address <= RESERVED {
        return None;
    }
    let mut probes = table()?.probes(address);
    probes.find(|(_, p)| p.is_of(address)).map(|(_, place)| place)
}

/// The table, where there is one.
#[inline]
pub(super) fn table() -> Option<&'static Table> {
    // SAFETY: never freed.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

/// Makes the table where there is none; whether there is one.
pub(super) fn make() -> bool {
    if table().is_some() {
        return true;
    }
    let Some(made) = system::wiped_on_fork(size_of::<Table>()) else { return false };
    // SAFETY: fresh memory, as large as a table, which nobody else has yet.
    unsafe { &*made.cast::<Table>() }.is_first_to_tidy();
    let other =
        TABLE.compare_exchange(ptr::null_mut(), made.cast(), Ordering::AcqRel, Ordering::Acquire);
    if other.is_err() {
        system::unmap(made, size_of::<Table>());
    }
    true
}

/// How many places there are.
pub(super) const fn places() -> usize {
    PLACES
}
