//! The counters of one context: an array of words, so that they are added up, and told, by loops.
//!
//! There are two such arrays. One is added to by a thread that has it for itself, with an instruction that
//! no signal handler can split: the first thread that submits, and the first that takes events ([`Side`]).
//! The other is added to by all, atomically, which costs more than all else that is counted of a call.
//! What is told is the sum.
//!
//! Times are kept in a log-linear histogram, 16 buckets for each power of two: a quantile is told up to
//! a sixteenth too large, and never more than the largest, which is kept exactly.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::abi::io_context_t;
use crate::system::{self, this_thread};

/// Which word is what. The first ones are told in this order, by the names in `report.rs`.
pub(super) mod word {
    pub(crate) const CONTEXTS: usize = 0;
    pub(crate) const MAXEVENTS: usize = 1;
    /// What is found in the histogram when it is told is not counted, here and below.
    pub(crate) const SUBMIT_CALLS: usize = 2;
    pub(crate) const ACCEPTED: usize = 3;
    pub(crate) const SUBMIT_P50: usize = 4;
    pub(crate) const SUBMIT_P99: usize = 5;
    pub(crate) const SUBMIT_MAX: usize = 6;
    /// Nine operations by their number in the ABI; 4, which no kernel accepts, has all others.
    pub(crate) const OPERATIONS: usize = 7;
    pub(crate) const READ_ASKED: usize = 16;
    pub(crate) const WRITE_ASKED: usize = 17;
    pub(crate) const TRANSFERRED: usize = 18;
    /// By `request::Source`.
    pub(crate) const RING: usize = 19;
    pub(crate) const KERNEL_P50: usize = 22;
    pub(crate) const KERNEL_P99: usize = 23;
    pub(crate) const KERNEL_MAX: usize = 24;
    pub(crate) const TAKEN: usize = 25;
    pub(crate) const MOST_IN_FLIGHT: usize = 26;
    pub(crate) const CANCELS: usize = 27;
    pub(crate) const CANCELLED: usize = 28;
    pub(crate) const NAMES_END: usize = 29;
    pub(crate) const SLOTS: usize = 29;
    pub(crate) const URING: usize = 30;
    pub(crate) const ERRNOS: usize = 136;
    pub(crate) const CALL_ERRORS: usize = 31;
    pub(crate) const EVENT_ERRORS: usize = CALL_ERRORS + ERRNOS;
    pub(crate) const SUBMIT_TIMES: usize = EVENT_ERRORS + ERRNOS;
    pub(crate) const KERNEL_TIMES: usize = SUBMIT_TIMES + super::BUCKETS;
    pub(crate) const END: usize = KERNEL_TIMES + super::BUCKETS;
    /// What is under way, and not added up.
    pub(super) const POLLS_COUNT: usize = END;
    pub(super) const POLLS: usize = END + 1;

    /// A bit for each word of which the largest counts, and not the sum.
    pub(super) const LARGEST: u64 = 1 << MAXEVENTS
        | 1 << SUBMIT_MAX
        | 1 << KERNEL_MAX
        | 1 << MOST_IN_FLIGHT
        | 1 << SLOTS
        | 1 << URING;

    /// That of an operation.
    pub(crate) fn operation(opcode: i16) -> usize {
        let n = opcode as u16 as usize;
        OPERATIONS + if n < 9 { n } else { 4 }
    }
}

const WORDS: usize = 2048;
const _: () = assert!(word::POLLS + POLLS <= WORDS);

/// Buckets for each power of two, as a power of two.
const FINE: u32 = 4;
/// What lasts longer counts as that long: 2^36 ns are 68 seconds.
const LONGEST: u32 = 36;
pub(super) const BUCKETS: usize = (LONGEST as usize - FINE as usize + 1) << FINE;

/// Addresses of polls in flight that are remembered; a power of two.
const POLLS: usize = 256;
/// How far from its own place one may lie.
const PROBES: usize = 16;

/// All zero is a new block.
#[repr(C)]
pub(super) struct Block {
    shared: Words,
    own: Words,
    /// Of `own`: the threads that write the words of those who submit, and of those who take events;
    /// 0 before there is one. It stays, so that nobody writes beside it; the next thread with its control
    /// block is one that began after its end.
    owners: [AtomicUsize; 2],
}

type Words = [AtomicU64; WORDS];

/// Word number `index`. Masked, so that there is no panic.
#[inline(always)]
fn word_of(words: &Words, index: usize) -> &AtomicU64 {
    &words[index & (WORDS - 1)]
}

/// What a call does, as far as who may write which words is concerned.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Submits,
    Takes,
}

/// A block for a thread in one role.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) block: &'static Block,
    owns: bool,
}

impl Side {
    /// Adds to a word that nobody adds to in the other role.
    #[inline(always)]
    pub(super) fn add(self, index: usize, by: u64) {
        if self.owns {
            add_alone(word_of(&self.block.own, index), by);
        } else {
            self.block.add(index, by);
        }
    }

    /// Counts a time in a histogram.
    #[inline(never)]
    pub(super) fn time(self, times: usize, max: usize, ns: u64) {
        // First the longest: a report in between must find no quantile beyond it.
        self.block.raise(max, ns);
        self.add(times + bucket(ns), 1);
    }

    /// So many requests were accepted.
    #[inline(always)]
    pub(super) fn accepted(self, n: u64) {
        self.add(word::ACCEPTED, n);
        // Another thread may have taken them already, which are these at the least.
        self.block.note_in_flight(n);
    }

    /// A call was answered in the way of that word, and so many completions are handed out, which tell of
    /// so many bytes.
    #[inline(always)]
    pub(super) fn taken(self, way: usize, n: u64, bytes: u64) {
        // Of two threads that submit at a time neither may have seen the other's.
        if word_of(&self.block.shared, word::ACCEPTED).load(Ordering::Relaxed) != 0 {
            self.block.note_in_flight(0);
        }
        self.add(way, 1);
        self.add(word::TAKEN, n);
        self.add(word::TRANSFERRED, bytes);
    }
}

/// Adds to a word that this thread alone writes, itself or in a signal handler.
#[inline(always)]
fn add_alone(word: &AtomicU64, by: u64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a word that can be written; whole for readers, as it is aligned.
    unsafe {
        core::arch::asm!("add qword ptr [{}], {}", in(reg) word.as_ptr(), in(reg) by,
            options(nostack));
    }
    #[cfg(not(target_arch = "x86_64"))]
    word.fetch_add(by, Ordering::Relaxed);
}

/// The bucket of a time.
#[inline(always)]
fn bucket(ns: u64) -> usize {
    let ns = ns.min((1 << LONGEST) - 1);
    let power = ns.max(1).ilog2();
    if power < FINE {
        return ns as usize;
    }
    let within = (ns >> (power - FINE)) & ((1 << FINE) - 1);
    (((power - FINE + 1) << FINE) as u64 + within) as usize
}

/// The longest time of a bucket.
fn longest_of(bucket: usize) -> u64 {
    let (round, within) = (bucket >> FINE, (bucket & ((1 << FINE) - 1)) as u64);
    if round == 0 {
        return within;
    }
    (((1 << FINE) + within + 1) << (round - 1)) - 1
}

impl Block {
    /// A new one.
    pub(super) fn new() -> Option<&'static Block> {
        // SAFETY: zeroed memory of the right size, given back by nobody but `free`.
        system::wiped_on_fork(size_of::<Block>()).map(|p| unsafe { &*p.cast::<Block>() })
    }

    fn memory(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Gives a block back that the caller alone has.
    pub(super) fn free(&self) {
        system::unmap(self.memory(), size_of::<Block>());
    }

    /// The block for the calling thread in that role.
    #[inline(always)]
    pub(super) fn side(&'static self, role: Role) -> Side {
        let me = this_thread();
        let owner = &self.owners[role as usize];
        let owns = match owner.load(Ordering::Relaxed) {
            0 => owner.compare_exchange(0, me, Ordering::Relaxed, Ordering::Relaxed).is_ok(),
            other => other == me,
        };
        Side { block: self, owns }
    }

    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> u64 {
        let load = |words| word_of(words, index).load(Ordering::Relaxed);
        load(&self.shared).wrapping_add(load(&self.own))
    }

    #[inline]
    pub(super) fn add(&self, index: usize, by: u64) {
        word_of(&self.shared, index).fetch_add(by, Ordering::Relaxed);
    }

    /// Of words of which the largest counts the own ones stay 0.
    #[inline(always)]
    fn raise(&self, index: usize, to: u64) {
        let word = word_of(&self.shared, index);
        if to > word.load(Ordering::Relaxed) {
            word.fetch_max(to, Ordering::Relaxed);
        }
    }

    /// Counts an error.
    #[cold]
    #[inline(never)]
    pub(super) fn error(&self, errors: usize, number: c_int) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        self.add(errors + number.min(word::ERRNOS - 1), 1);
    }

    /// Makes it that of a new context.
    pub(super) fn begin(&self, context: io_context_t, maxevents: c_int, uring: bool) {
        // (Not by MADV_DONTNEED, which a program that locks its memory is refused.)
        for i in 0..WORDS {
            // Pages that nobody has written are not made.
            if self.get(i) != 0 {
                word_of(&self.shared, i).store(0, Ordering::Relaxed);
                word_of(&self.own, i).store(0, Ordering::Relaxed);
            }
        }
        self.owners.iter().for_each(|owner| owner.store(0, Ordering::Relaxed));
        self.made(maxevents, uring);
        // SAFETY: the second word of a ring, which either engine maps there (`struct aio_ring`).
        self.add(word::SLOTS, unsafe { context.cast::<u32>().add(1).read() }.into());
    }

    /// Counts a new context.
    #[inline(always)]
    pub(super) fn made(&self, maxevents: c_int, uring: bool) {
        self.add(word::CONTEXTS, 1);
        self.raise(word::MAXEVENTS, u64::from(maxevents as u32));
        // No number: whether there is one.
        self.add(word::URING, uring.into());
    }

    /// The most requests that the context has room for; without end, where that is not known.
    #[inline(always)]
    pub(super) fn slots(&self) -> usize {
        match word_of(&self.shared, word::SLOTS).load(Ordering::Relaxed) {
            0 => usize::MAX,
            slots => slots as usize,
        }
    }

    /// Notes how many requests are in flight, which are `least` if not more.
    #[inline(never)]
    fn note_in_flight(&self, least: u64) {
        let in_flight = self.get(word::ACCEPTED).wrapping_sub(self.get(word::TAKEN)) as i64;
        let in_flight = in_flight.max(least as i64) as usize;
        // A program that takes events by itself lets none be seen.
        self.raise(word::MOST_IN_FLIGHT, in_flight.min(self.slots()) as u64);
    }

    /// Whether any poll is in flight.
    #[inline(always)]
    pub(super) fn has_polls(&self) -> bool {
        word_of(&self.shared, word::POLLS_COUNT).load(Ordering::Relaxed) != 0
    }

    /// Remembers the poll of an iocb that is submitted, or forgets one; whether there was room, or one.
    #[cold]
    pub(super) fn note_poll(&self, obj: usize, submitted: bool) -> bool {
        let (old, new) = if submitted { (0, obj as u64) } else { (obj as u64, 0) };
        let first = obj >> 6 ^ obj >> 14;
        let found = (first..first.wrapping_add(PROBES)).any(|i| {
            let place = word_of(&self.shared, word::POLLS + (i & (POLLS - 1)));
            place.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        });
        if found {
            self.add(word::POLLS_COUNT, if submitted { 1 } else { u64::MAX });
        }
        found
    }

    /// Whether anything was counted.
    pub(super) fn is_used(&self) -> bool {
        (0..word::END).any(|i| self.get(i) != 0)
    }

    /// Adds the counters to another block's.
    #[inline(never)]
    pub(super) fn add_to(&self, sum: &Block) {
        for i in 0..word::END {
            let n = self.get(i);
            if i < u64::BITS as usize && word::LARGEST >> i & 1 != 0 {
                sum.raise(i, n);
            } else if n != 0 {
                sum.add(i, n);
            }
        }
    }

    /// A word as it is told.
    pub(super) fn told(&self, index: usize) -> u64 {
        let percent = match index {
            word::SUBMIT_CALLS => return self.times(word::SUBMIT_TIMES),
            word::SUBMIT_P50 | word::KERNEL_P50 => 50,
            word::SUBMIT_P99 | word::KERNEL_P99 => 99,
            // What a late thread took off again may have been added to the context before, here.
            _ => return (self.get(index) as i64).max(0) as u64,
        };
        let (times, max) = match index {
            word::SUBMIT_P50 | word::SUBMIT_P99 => (word::SUBMIT_TIMES, word::SUBMIT_MAX),
            _ => (word::KERNEL_TIMES, word::KERNEL_MAX),
        };
        self.quantile(times, max, percent)
    }

    /// How many times are in a histogram.
    #[inline(never)]
    fn times(&self, times: usize) -> u64 {
        (0..BUCKETS).map(|i| self.get(times + i)).fold(0, u64::wrapping_add)
    }

    /// The time that so many in a hundred do not exceed.
    fn quantile(&self, times: usize, max: usize, percent: u64) -> u64 {
        let most = self.get(max);
        let mut left = self.times(times).wrapping_mul(percent).wrapping_add(99) / 100;
        for i in 0..BUCKETS {
            let n = self.get(times + i);
            if n >= left {
                return longest_of(i).min(most);
            }
            left -= n;
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_the_times_up_to_its_longest() {
        let mut last = 0;
        for i in 0..BUCKETS {
            let longest = longest_of(i);
            assert_eq!((bucket(last), bucket(longest)), (i, i), "{i}: {last} to {longest}");
            assert!(longest - last <= last / 16, "{i}: {last} to {longest}");
            last = longest + 1;
        }
        assert_eq!(last, 1 << LONGEST);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_times() {
        let block = Block::new().expect("memory");
        for ns in 1..=1000 {
            block.side(Role::Submits).time(word::SUBMIT_TIMES, word::SUBMIT_MAX, ns);
        }
        let quantile = |percent| block.quantile(word::SUBMIT_TIMES, word::SUBMIT_MAX, percent);
        for (percent, ns) in [(50, 500), (99, 990), (100, 1000)] {
            assert!((ns..=ns + ns / 16).contains(&quantile(percent)), "{}", quantile(percent));
        }
        assert_eq!(quantile(100), 1000);
        assert_eq!(block.times(word::SUBMIT_TIMES), 1000);
        // The twin: the other histogram knows nothing of them.
        assert_eq!(block.times(word::KERNEL_TIMES), 0);
        assert_eq!(block.quantile(word::KERNEL_TIMES, word::KERNEL_MAX, 99), 0);
        block.free();
    }

    #[test]
    fn quantiles_of_few_times_are_among_them() {
        let block = Block::new().expect("memory");
        let quantile = |percent| block.quantile(word::SUBMIT_TIMES, word::SUBMIT_MAX, percent);
        assert_eq!((quantile(50), quantile(99)), (0, 0), "of none");
        for (ns, p50, p99) in [(7, 7, 7), (9, 7, 9), (11, 9, 11)] {
            block.side(Role::Submits).time(word::SUBMIT_TIMES, word::SUBMIT_MAX, ns);
            assert_eq!((quantile(50), quantile(99)), (p50, p99));
        }
        // 97 more: the longest is the one in a hundred, and its own 100th, not the 99th.
        for _ in 0..97 {
            block.side(Role::Submits).time(word::SUBMIT_TIMES, word::SUBMIT_MAX, 3);
        }
        assert_eq!((quantile(50), quantile(99), quantile(100)), (3, 9, 11));
        // Longer than the histogram knows.
        block.side(Role::Submits).time(word::SUBMIT_TIMES, word::SUBMIT_MAX, u64::MAX);
        assert_eq!((quantile(100), block.get(word::SUBMIT_MAX)), ((1 << LONGEST) - 1, u64::MAX));
        block.free();
    }

    #[test]
    fn what_one_thread_adds_alone_and_others_together_is_one_sum() {
        let block = Block::new().expect("memory");
        let counts = || {
            let (submits, takes) = (block.side(Role::Submits), block.side(Role::Takes));
            for _ in 0..10_000 {
                submits.accepted(1);
                takes.taken(word::RING, 1, 0);
            }
            (submits.owns, takes.owns)
        };
        assert_eq!(counts(), (true, true));
        let others: std::vec::Vec<_> = (0..3).map(|_| std::thread::spawn(counts)).collect();
        assert_eq!(counts(), (true, true));
        for other in others {
            assert_eq!(other.join().expect("an end"), (false, false));
        }
        assert_eq!((block.get(word::ACCEPTED), block.get(word::TAKEN)), (50_000, 50_000));
        assert!((1..=4).contains(&block.get(word::MOST_IN_FLIGHT)));
        block.free();
    }

    #[test]
    fn what_two_threads_have_submitted_is_found_when_it_is_taken() {
        let block = Block::new().expect("memory");
        // As if neither had seen the other's.
        block.side(Role::Submits).add(word::ACCEPTED, 1);
        block.add(word::ACCEPTED, 1);
        assert_eq!(block.get(word::MOST_IN_FLIGHT), 0);
        block.side(Role::Takes).taken(word::RING, 1, 0);
        assert_eq!(block.get(word::MOST_IN_FLIGHT), 2);
        block.free();
    }

    #[test]
    fn polls_are_known_while_they_are_in_flight() {
        let block = Block::new().expect("memory");
        assert!(!block.has_polls() && !block.note_poll(64, false));
        assert!(block.note_poll(64, true) && block.has_polls());
        assert!(!block.note_poll(128, false) && block.has_polls());
        assert!(block.note_poll(64, false) && !block.has_polls());
        block.free();
    }
}
