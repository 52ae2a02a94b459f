//! The requests of a context that the kernel has, or whose completion nobody has taken yet.
//!
//! A slot is written by who submits it, before the kernel gets the entry that names it, and read by
//! who takes its completion, which the kernel publishes after: the kernel orders the two. Its fields
//! are atomics since `io_cancel`, `io_destroy` and the end of a thread look through all slots beside
//! that. They may meet a slot that changes hands; the generation in `user_data` keeps what they then
//! ask of the kernel from hitting another request.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use linux_raw_sys::io_uring::{io_uring_cqe, io_uring_op};

use super::entry::is_transfer;
use super::free::{Free, NONE};
use super::pump::{Pump, Untold};
use super::queues::Queues;
use crate::abi::io_event;
use crate::sync;

/// One request.
#[repr(C, align(64))]
pub(super) struct Slot {
    /// `free.rs`: the free slot below this one.
    next: sync::AtomicU32,
    /// What is carried out, an `IORING_OP_*`.
    opcode: AtomicU32,
    /// In the upper half, as in that of `user_data`, of which use this is; in the lower one, [`IN_USE`]
    /// and what else is known of that use.
    word: AtomicU64,
    /// Of a poll: what is waited for. Of an fsync: which file the kernel holds for it (`queues.rs`), 0 for none.
    events: AtomicU32,
    fd: AtomicI32,
    /// A descriptor of our own of the eventfd to notify, or -1.
    resfd: AtomicI32,
    /// The thread that submitted it.
    owner: AtomicUsize,
    data: AtomicU64,
    obj: AtomicUsize,
}

const IN_USE: u64 = 1;
/// The kernel was asked to cancel it for [`Why::Cancelled`].
const CANCELLED: u64 = 2;
/// Its completion is there.
const DONE: u64 = 4;
/// A thread or the process that ends waits for it.
const AWAITED: u64 = 8;
/// The kernel was, or will be, asked to cancel it for [`Why::WouldWait`].
const WOULD_WAIT: u64 = 16;
/// It is of a file, and sure to end ([`super::entry::is_of_a_file`]), as far as was known at `io_submit`.
const OF_A_FILE: u64 = 32;

/// Why a request is given up.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// `io_cancel` asks for it.
    Cancelled = CANCELLED as isize,
    /// It would have to wait, which its file is not to do.
    WouldWait = WOULD_WAIT as isize,
}

/// The upper half of a word, or of `user_data`.
const GENERATION: u64 = 0xffff_ffff_0000_0000;

const POLL: u32 = io_uring_op::IORING_OP_POLL_ADD as u32;
const FSYNC: u32 = io_uring_op::IORING_OP_FSYNC as u32;

/// What a request is told by, beside its entry.
pub(super) struct Ticket {
    pub(super) opcode: u8,
    pub(super) events: u32,
    pub(super) fd: c_int,
    pub(super) resfd: c_int,
    pub(super) owner: usize,
    pub(super) data: u64,
    pub(super) obj: usize,
    pub(super) is_of_a_file: bool,
    /// Whether it will be given up where it waits.
    pub(super) should_not_wait: bool,
}

impl Slot {
    /// Fills a slot that was taken; the upper half of its `user_data`.
    fn fill(&self, ticket: &Ticket) -> u64 {
        let Ticket { opcode, events, fd, resfd, owner, data, obj, is_of_a_file, should_not_wait } =
            *ticket;
        self.opcode.store(opcode.into(), Ordering::Relaxed);
        self.events.store(events, Ordering::Relaxed);
        self.fd.store(fd, Ordering::Relaxed);
        self.resfd.store(resfd, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.data.store(data, Ordering::Relaxed);
        self.obj.store(obj, Ordering::Relaxed);
        let generation = self.word.load(Ordering::Relaxed) & GENERATION;
        let file = if is_of_a_file { OF_A_FILE } else { 0 };
        let wait = if should_not_wait { WOULD_WAIT } else { 0 };
        self.word.store(generation | file | wait, Ordering::Relaxed);
        generation
    }

    /// Its entry is about to be put into a queue. (A poll that is submitted anew is in use already.)
    fn begin(&self) {
        let word = self.word.load(Ordering::Relaxed);
        if word & IN_USE == 0 {
            self.word.store(word | IN_USE, Ordering::Release);
        }
    }

    /// Frees it, for its next use. Only who has it does so.
    #[inline(always)]
    fn free(&self) {
        let generation = self.word.load(Ordering::Relaxed) & GENERATION;
        self.word.store(generation.wrapping_add(1 << 32), Ordering::Release);
    }

    fn has(&self, mark: u64) -> bool {
        self.word.load(Ordering::Acquire) & mark != 0
    }

    /// Marks the request with that `user_data`; false where it is marked so, or the slot has another by now.
    #[inline(never)]
    fn mark(&self, user_data: u64, mark: u64) -> bool {
        self.change(user_data, |word| (word & mark == 0).then_some(word | mark))
    }

    /// Changes the word of the request with that `user_data`; whether it did.
    fn change(&self, user_data: u64, to: impl Fn(u64) -> Option<u64>) -> bool {
        let of_that =
            |word| (word & GENERATION == user_data & GENERATION).then(|| to(word)).flatten();
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, of_that).is_ok()
    }

    pub(super) fn fd(&self) -> c_int {
        self.fd.load(Ordering::Relaxed)
    }

    pub(super) fn resfd(&self) -> c_int {
        self.resfd.load(Ordering::Relaxed)
    }

    pub(super) fn events(&self) -> u32 {
        self.events.load(Ordering::Relaxed)
    }

    /// Notes which file is held for an fsync.
    pub(super) fn note_file(&self, held: u32) {
        self.events.store(held, Ordering::Relaxed);
    }

    pub(super) fn is_owned_by(&self, thread: usize) -> bool {
        self.owner.load(Ordering::Relaxed) == thread
    }

    /// The request is submitted anew, by another thread.
    pub(super) fn own(&self, thread: usize) {
        self.owner.store(thread, Ordering::Relaxed);
    }

    pub(super) fn is_poll(&self) -> bool {
        self.opcode.load(Ordering::Relaxed) == POLL
    }

    /// Whether it is of a file, as far as was known at `io_submit`.
    pub(super) fn is_of_a_file(&self) -> bool {
        self.has(OF_A_FILE)
    }

    pub(super) fn should_not_wait(&self) -> bool {
        self.has(WOULD_WAIT)
    }

    pub(super) fn is_of(&self, iocb: usize) -> bool {
        self.obj.load(Ordering::Relaxed) == iocb
    }

    /// Has `cancel` give the request up; whether it did. First comes the mark, by which who takes the
    /// completion knows why; where another call has marked it for the same reason, it is that call's.
    pub(super) fn give_up(&self, user_data: u64, why: Why, cancel: impl FnOnce() -> bool) -> bool {
        let mark = why as u64;
        if !self.mark(user_data, mark) {
            return false;
        }
        let given_up = cancel();
        if !given_up {
            self.change(user_data, |word| Some(word & !mark));
        }
        given_up
    }

    /// Notes that it counts as cancelled.
    pub(super) fn mark_cancelled(&self, user_data: u64) {
        self.mark(user_data, CANCELLED);
    }

    /// Notes that a thread or the process that ends waits for it.
    pub(super) fn mark_awaited(&self, user_data: u64) {
        self.mark(user_data, AWAITED);
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.has(AWAITED)
    }

    /// Notes that its completion is there, or will never be. Nobody else takes that.
    pub(super) fn mark_done(&self) {
        self.word.fetch_or(DONE, Ordering::AcqRel);
    }

    /// [`Slot::mark_done`] of the request with that `user_data`, whose completion others may be taking.
    pub(super) fn mark_done_if_of(&self, user_data: u64) {
        self.mark(user_data, DONE);
    }

    /// Whether this is a poll that the kernel gave up because the thread that had submitted it ended,
    /// which is no reason for a program of libaio's.
    fn was_orphaned(&self, res: i32) -> bool {
        res == -libc::ECANCELED && self.is_poll() && !self.has(CANCELLED)
    }

    #[inline(always)]
    fn event(&self, cqe: &io_uring_cqe, queues: &Queues) -> io_event {
        let opcode = self.opcode.load(Ordering::Relaxed) as u8;
        let is_plain = cqe.res != -libc::ECANCELED && is_transfer(opcode);
        io_event {
            data: self.data.load(Ordering::Relaxed),
            obj: self.obj.load(Ordering::Relaxed) as u64,
            res: if is_plain { cqe.res } else { self.end(cqe, queues) }.into(),
            res2: 0,
        }
    }

    /// What the kernel's AIO tells of one that is no transfer, or was given up; its file is let go.
    #[inline(never)]
    fn end(&self, cqe: &io_uring_cqe, queues: &Queues) -> i32 {
        if self.opcode.load(Ordering::Relaxed) == FSYNC {
            queues.let_go_of_file(self.events.swap(0, Ordering::Relaxed));
        }
        match cqe.res {
            // The kernel's AIO gives a poll that was cancelled no bit.
            res if res == -libc::ECANCELED && self.is_poll() => 0,
            res if res == -libc::ECANCELED && self.has(WOULD_WAIT) && !self.has(CANCELLED) => {
                -libc::EAGAIN
            }
            res if res > 0 && self.is_poll() => {
                // io_uring tells POLLRDHUP unasked.
                let asked = self.events() as i32;
                res & (asked | i32::from(libc::POLLERR | libc::POLLHUP))
            }
            res => res,
        }
    }
}

/// All slots of a context.
pub(super) struct Slots {
    first: *mut Slot,
    count: u32,
    free: Free,
}

impl Slots {
    /// # Safety
    /// Zeroed memory for `count` slots, for as long as they are used.
    pub(super) unsafe fn at(first: *mut Slot, count: u32) -> Slots {
        // SAFETY: numbers, for all of which zero is a value.
        let free = unsafe { MaybeUninit::<Free>::zeroed().assume_init() };
        Slots { first, count, free }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u32) -> &Slot {
        debug_assert!(number < self.count);
        // SAFETY: `at`: there are as many; numbers are `take`'s, which are below `count`.
        unsafe { &*self.first.add(number as usize) }
    }

    /// Takes a slot for a request; None where all are in use.
    pub(super) fn take(&self) -> Option<u32> {
        self.free.take(self.count, |n| &self.get(n).next)
    }

    /// Fills a slot that was taken; its `user_data`.
    pub(super) fn fill(&self, number: u32, ticket: &Ticket) -> u64 {
        self.get(number).fill(ticket) | u64::from(number)
    }

    /// The entry with that `user_data` is about to be put into a queue: its request is in flight from here on.
    /// What is prepared for a queue, and never gets there where a signal handler ends the thread, is not.
    #[inline(always)]
    pub(super) fn begin(&self, user_data: u64) {
        self.get(user_data as u32).begin();
    }

    /// Whether a completion is of a poll that was orphaned ([`Slot::was_orphaned`]).
    pub(super) fn is_orphan(&self, cqe: &io_uring_cqe) -> bool {
        // Who looks without the gate may meet what the pump keeps.
        if cqe.res != -libc::ECANCELED || cqe.user_data as u32 >= self.count {
            return false;
        }
        let slot = self.of(cqe);
        // A reap that a signal handler interrupted may have freed it already.
        let word = slot.word.load(Ordering::Acquire);
        word & GENERATION == cqe.user_data & GENERATION && slot.was_orphaned(cqe.res)
    }

    /// The slot that a completion is of.
    #[inline(always)]
    pub(super) fn of(&self, cqe: &io_uring_cqe) -> &Slot {
        self.get(cqe.user_data as u32)
    }

    /// The event of a completion of that queue, whose slot is then to be freed. Who takes it asks once.
    #[inline(always)]
    pub(super) fn event(&self, cqe: &io_uring_cqe, queues: &Queues) -> io_event {
        self.of(cqe).event(cqe, queues)
    }

    /// Gives a slot back whose request never went to the kernel, or whose completion was taken.
    pub(super) fn give_back(&self, number: u32) {
        Chain::new(self).add(number);
    }

    /// Notifies and gives back the eventfds of all requests that have not come to their end otherwise.
    /// Nobody submits or takes any more.
    pub(super) fn notify_all(&self, pump: &Pump) {
        for number in 0..self.free.ever_used() {
            let slot = self.get(number);
            if slot.has(IN_USE) {
                pump.notify(Untold { fd: slot.resfd(), n: 1 });
            }
        }
    }

    /// The `user_data` of each request that is in flight and that `which` tells.
    pub(super) fn in_flight<'a>(
        &'a self,
        which: impl Fn(&Slot) -> bool + 'a,
    ) -> impl Iterator<Item = (u64, &'a Slot)> + 'a {
        (0..self.free.ever_used()).filter_map(move |number| {
            let slot = self.get(number);
            // Read before the rest: where the slot changes hands meanwhile, it is an old one.
            let word = slot.word.load(Ordering::Acquire);
            let user_data = word & GENERATION | u64::from(number);
            (word & (IN_USE | DONE) == IN_USE && which(slot)).then_some((user_data, slot))
        })
    }
}

/// Slots that are given back together: one compare-and-swap for all, at the end.
pub(super) struct Chain<'a> {
    slots: &'a Slots,
    /// [`NONE`] where there is none yet.
    first: u32,
    last: u32,
}

impl<'a> Chain<'a> {
    pub(super) fn new(slots: &'a Slots) -> Self {
        Chain { slots, first: NONE, last: NONE }
    }

    #[inline(always)]
    pub(super) fn add(&mut self, number: u32) {
        let slot = self.slots.get(number);
        slot.free();
        match self.first {
            NONE => self.first = number,
            _ => self.slots.get(self.last).next.store(number, Ordering::Relaxed),
        }
        self.last = number;
    }
}

impl Drop for Chain<'_> {
    fn drop(&mut self) {
        if self.first != NONE {
            self.slots.free.give(self.first, self.last, |n| &self.slots.get(n).next);
        }
    }
}
