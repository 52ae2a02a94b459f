//! Where a context's address finds its counters, and whether there is counting at all.
//!
//! One mapping, and one for each block, none of them ever freed, which a child of `fork` finds zeroed:
//! it begins afresh, with a file of its own, at its first call. A block stays at its place for the next
//! context there. Contexts that have no place (made by system call, or more than there are) are counted
//! together, in [`Ledger::other`].

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::block::Block;
use super::output::{self, Output};
use crate::abi::io_context_t;
use crate::config;
use crate::gate::Pause as _;
use crate::system::{self, ShortSleep};

/// Places; a power of two.
const PLACES: usize = 1024;
/// How far from its own place an address may lie.
const PROBES: usize = 16;

/// The address of a place that is being taken.
const RESERVED: usize = 1;

/// A context and its counters. All zero is a free place.
struct Place {
    address: AtomicUsize,
    block: AtomicPtr<Block>,
}

/// All zero is a ledger that nobody has opened.
pub(super) struct Ledger {
    pub(super) output: Output,
    places: [Place; PLACES],
    /// What belongs to no context that is known.
    pub(super) other: Block,
    /// What belonged to contexts that were destroyed.
    pub(super) ended: Block,
}

/// NULL before the first call, and where nothing is counted.
static LEDGER: AtomicPtr<Ledger> = AtomicPtr::new(ptr::null_mut());

/// Whether calls are counted.
static STATE: AtomicU32 = AtomicU32::new(UNDECIDED);
const UNDECIDED: u32 = 0;
const OFF: u32 = 1;
const ON: u32 = 2;
const DECIDING: u32 = 3;

/// How often who waits for another thread's decision looks: for a second at the least.
const LOOKS: u32 = 20_000;

/// Whether nothing is counted. Decided at the first call.
#[inline(always)]
pub(crate) fn is_off() -> bool {
    match STATE.load(Ordering::Acquire) {
        OFF => true,
        state => state != ON && decide(),
    }
}

/// [`is_off`] where that is not decided. Signals are blocked meanwhile: a handler on this thread would
/// wait for ever.
#[cold]
#[inline(never)]
fn decide() -> bool {
    system::with_signals_blocked(|_| {
        use Ordering::Acquire;
        if STATE.compare_exchange(UNDECIDED, DECIDING, Acquire, Acquire).is_ok() {
            STATE.store(if open() { ON } else { OFF }, Ordering::Release);
        }
        for _ in 0..LOOKS {
            if STATE.load(Ordering::Acquire) != DECIDING {
                break;
            }
            ShortSleep::sleep();
        }
        // A child of a fork in the middle of it waits in vain, and counts nothing.
        let _ = STATE.compare_exchange(DECIDING, OFF, Acquire, Acquire);
        STATE.load(Ordering::Acquire) == OFF
    })
}

/// Begins to count, where that is asked for and possible.
fn open() -> bool {
    if !config::wants_stats() {
        return false;
    }
    let Some(memory) = system::wiped_on_fork(size_of::<Ledger>()) else {
        system::write_stderr(&[b"libaio-rs: no statistics: no memory for them\n"]);
        return false;
    };
    let ledger: *mut Ledger = memory.cast();
    // SAFETY: zeroed memory of that size, which is never freed where it is used.
    if !unsafe { &*ledger }.output.open() {
        system::unmap(memory, size_of::<Ledger>());
        return false;
    }
    LEDGER.store(ledger, Ordering::Release);
    output::heed_signal();
    true
}

/// The ledger, for who has heard that calls are counted ([`is_off`]); of a child, a new one.
fn ledger() -> &'static Ledger {
    // SAFETY: stored before the state was, and never freed.
    let ledger = unsafe { &*LEDGER.load(Ordering::Acquire) };
    ledger.output.open();
    ledger
}

/// The ledger, where anything has been counted in it: not in a child that has made no call.
pub(super) fn if_used() -> Option<&'static Ledger> {
    // SAFETY: never freed.
    let ledger = unsafe { LEDGER.load(Ordering::Acquire).as_ref() };
    ledger.filter(|ledger| ledger.output.is_open())
}

impl Ledger {
    /// The places where an address may be.
    fn probes(&self, address: usize) -> impl Iterator<Item = &Place> {
        let first = address >> 12 ^ address >> 22;
        (first..first + PROBES).map(|i| &self.places[i & (PLACES - 1)])
    }

    fn find(&self, address: usize) -> Option<&Place> {
        let of = |p: &&Place| p.address.load(Ordering::Acquire) == address;
        self.probes(address).find(of).filter(|_| address > RESERVED)
    }

    /// The contexts that there are.
    pub(super) fn contexts(&self) -> impl Iterator<Item = (usize, &'static Block)> {
        self.places.iter().filter_map(|place| {
            let address = place.address.load(Ordering::Acquire);
            place.block().filter(|_| address > RESERVED).map(|block| (address, block))
        })
    }
}

impl Place {
    fn block(&self) -> Option<&'static Block> {
        // SAFETY: never freed.
        unsafe { self.block.load(Ordering::Acquire).as_ref() }
    }
}

/// The counters of a context, or those of all others.
pub(super) fn block_of(context: io_context_t) -> &'static Block {
    let ledger = ledger();
    ledger.find(context.addr()).and_then(Place::block).unwrap_or(&ledger.other)
}

/// Gives a new context counters, which `begin` makes its own, where there is a place for it.
pub(super) fn begin(context: io_context_t, begin: impl FnOnce(&Block)) {
    let address = context.addr();
    let ledger = ledger();
    let free = |p: &&Place| {
        p.address.compare_exchange(0, RESERVED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    // One that was destroyed by system call is still there.
    let place = ledger.find(address).or_else(|| ledger.probes(address).find(free));
    let Some(place) = place else { return };
    if place.block().is_none() {
        let new = Block::new().map_or(ptr::null_mut(), |new| ptr::from_ref(new).cast_mut());
        place.block.store(new, Ordering::Release);
    }
    let block = place.block().inspect(|block| begin(block));
    place.address.store(if block.is_some() { address } else { 0 }, Ordering::Release);
}

/// The counters of a context that is destroyed, which nobody finds any more.
pub(super) struct Ended {
    place: &'static Place,
    ledger: &'static Ledger,
}

/// Takes the counters of a context, if it has any.
pub(super) fn take(context: io_context_t) -> Option<Ended> {
    let ledger = ledger();
    let place = ledger.find(context.addr())?;
    let address = context.addr();
    place.address.compare_exchange(address, RESERVED, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    Some(Ended { place, ledger })
}

impl Ended {
    pub(super) fn block(&self) -> Option<&'static Block> {
        self.place.block()
    }

    /// Adds them to those of all that have ended; the place is another context's.
    pub(super) fn give_back(self) {
        if let Some(block) = self.block() {
            block.add_to(&self.ledger.ended);
        }
        self.place.address.store(0, Ordering::Release);
    }
}
