//! Where a context's address finds its counters, and whether there is counting at all.
//!
//! One mapping, and one for each block, none of them ever freed, which a child of `fork` finds zeroed:
//! it begins afresh, with a file of its own, at its first call. A block stays at its place for the next
//! context there. Contexts that have no place (made by system call, or more than there are) are counted
//! together, in [`Ledger::other`].

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::block::{Block, Role, Side};
use super::clock;
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
/// A bit that no context's address has: the place of one that is being destroyed. Nobody finds it any more,
/// but it is reported.
const ENDING: usize = 2;

/// Whether an address is none of those that stand for something else.
#[inline(always)]
fn may_be_context(address: usize) -> bool {
    address != 0 && address & (RESERVED | ENDING) == 0
}

/// A context and its counters. All zero is a free place.
struct Place {
    /// The context's, [`ENDING`] while it is destroyed, [`RESERVED`] while the place is made ready for
    /// another.
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
    /// 1 while a thread moves counters from a context to those that have ended, or reports all.
    lock: AtomicU32,
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
            // Who waited too long has decided already.
            let decision = if system::errno_kept(open) { ON } else { OFF };
            if STATE.compare_exchange(DECIDING, decision, Ordering::AcqRel, Acquire).is_err() {
                LEDGER.store(ptr::null_mut(), Ordering::Release);
            }
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

/// Begins to count, where that is asked for and possible. The caller keeps errno.
fn open() -> bool {
    if !config::wants_stats() {
        return false;
    }
    let Some(memory) = system::wiped_on_fork(size_of::<Ledger>()) else {
        system::write_stderr(&[b"libaio-rs: no statistics: no memory\n"]);
        return false;
    };
    let ledger: *mut Ledger = memory.cast();
    // SAFETY: zeroed memory of that size, which is never freed where it is used.
    if !unsafe { &*ledger }.output.open() {
        system::unmap(memory, size_of::<Ledger>());
        return false;
    }
    LEDGER.store(ledger, Ordering::Release);
    clock::begin();
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
    /// The place that is looked at first.
    #[inline(always)]
    fn first(address: usize) -> usize {
        address >> 12 ^ address >> 22
    }

    /// The places where an address may be.
    #[inline(always)]
    fn probes(&self, address: usize) -> impl Iterator<Item = &Place> {
        let first = Ledger::first(address);
        (first..first + PROBES).map(|i| &self.places[i & (PLACES - 1)])
    }

    fn find(&self, address: usize) -> Option<&Place> {
        let of = |p: &&Place| p.address.load(Ordering::Acquire) == address;
        self.probes(address).find(of).filter(|_| may_be_context(address))
    }

    /// Runs `f` while no counters are moved. With signals blocked, as in `decide`.
    pub(super) fn locked(&self, f: impl FnOnce()) {
        system::with_signals_blocked(|_| {
            while self.lock.swap(1, Ordering::Acquire) != 0 {
                ShortSleep::sleep();
            }
            f();
            self.lock.store(0, Ordering::Release);
        })
    }

    /// Shows the contexts that there are, also those that are being destroyed.
    #[inline(always)]
    pub(super) fn each_context(&self, mut f: impl FnMut(usize, &'static Block)) {
        for place in &self.places {
            let address = place.address.load(Ordering::Acquire) & !ENDING;
            if may_be_context(address) {
                place.block().into_iter().for_each(|block| f(address, block));
            }
        }
    }
}

impl Place {
    #[inline(always)]
    fn block(&self) -> Option<&'static Block> {
        // SAFETY: never freed.
        unsafe { self.block.load(Ordering::Acquire).as_ref() }
    }

    /// Takes the place from an address, if it is its own.
    fn take(&self, address: usize, to: usize) -> bool {
        self.address.compare_exchange(address, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// The counters of a context, or those of all others, for the calling thread in that role.
#[inline(never)]
pub(super) fn side_of(context: io_context_t, role: Role) -> Side {
    let address = context.addr();
    // SAFETY: stored before the state was, and never freed. A place with an address in it is in a ledger that
    // this process has opened.
    let ledger = unsafe { &*LEDGER.load(Ordering::Acquire) };
    let first = &ledger.places[Ledger::first(address) & (PLACES - 1)];
    let is_first = first.address.load(Ordering::Acquire) == address && may_be_context(address);
    let block =
        if is_first { first.block() } else { self::ledger().find(address).and_then(Place::block) };
    block.unwrap_or_else(other).side(role)
}

/// Those of all contexts that have none of their own.
pub(super) fn other() -> &'static Block {
    &ledger().other
}

/// Gives a new context counters, which `begin` makes its own; false where there is no place for it.
pub(super) fn begin(context: io_context_t, begin: impl FnOnce(&Block)) -> bool {
    // One that was destroyed by system call is still there.
    if let Some(gone) = take(context) {
        gone.give_back(false);
    }
    let address = context.addr();
    let free = |p: &&Place| p.take(0, RESERVED);
    let Some(place) = ledger().probes(address).find(free) else { return false };
    if place.block().is_none() {
        let new = Block::new().map_or(ptr::null_mut(), |new| ptr::from_ref(new).cast_mut());
        place.block.store(new, Ordering::Release);
    }
    let block = place.block().inspect(|block| begin(block));
    place.address.store(if block.is_some() { address } else { 0 }, Ordering::Release);
    block.is_some()
}

/// The counters of a context that is destroyed, which nobody finds any more.
pub(super) struct Ended {
    place: &'static Place,
    ledger: &'static Ledger,
}

/// Takes the counters of a context, if it has any.
#[inline(never)]
pub(super) fn take(context: io_context_t) -> Option<Ended> {
    let ledger = ledger();
    let address = context.addr();
    let place = ledger.find(address).filter(|place| place.take(address, address | ENDING))?;
    Some(Ended { place, ledger })
}

impl Ended {
    /// Reports them, if that is wanted, and adds them to those of all that have ended; the place is another
    /// context's.
    #[inline(never)]
    pub(super) fn give_back(self, reported: bool) {
        let Ended { place, ledger } = self;
        ledger.locked(|| {
            if let Some(block) = place.block() {
                if reported {
                    let address = place.address.load(Ordering::Relaxed) & !ENDING;
                    output::report_end_of(address, block, &ledger.output);
                }
                block.add_to(&ledger.ended);
            }
            place.address.store(0, Ordering::Release);
        });
    }
}
