//! The requests of a context that the kernel has, or whose completion nobody has taken yet.
//!
//! A slot is written by who submits it, before the kernel gets the entry that names it, and read by
//! who takes its completion, which the kernel publishes after: the kernel orders the two. Its fields
//! are atomics since `io_cancel`, `io_destroy` and the end of a thread look through all slots beside
//! that. They may meet a slot that changes hands; the generation in `user_data` keeps what they then
//! ask of the kernel from hitting another request.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use linux_raw_sys::io_uring::{io_uring_cqe, io_uring_op};

use super::free::{Free, NONE};
use super::pump;
use crate::abi::io_event;
use crate::sync;

/// One request.
#[repr(C, align(64))]
pub(super) struct Slot {
    /// `free.rs`: the free slot below this one.
    next: sync::AtomicU32,
    /// Of which use this is; the upper half of `user_data`.
    generation: AtomicU32,
    /// [`IN_USE`] and what else is known.
    state: AtomicU32,
    /// What is carried out, an `IORING_OP_*`.
    opcode: AtomicU32,
    /// Of a poll: what is waited for.
    events: AtomicU32,
    fd: AtomicI32,
    /// A descriptor of our own of the eventfd to notify, or -1.
    resfd: AtomicI32,
    /// The thread that submitted it.
    owner: AtomicUsize,
    data: AtomicU64,
    obj: AtomicUsize,
}

const IN_USE: u32 = 1;
/// The kernel was asked to cancel it for [`Why::Cancelled`].
const CANCELLED: u32 = 2;
/// Its completion is there.
const DONE: u32 = 4;
/// A thread that ends waits for it.
const AWAITED: u32 = 8;
/// The kernel was asked to cancel it for [`Why::WouldWait`].
const WOULD_WAIT: u32 = 16;

/// Why a request is given up.
#[derive(Clone, Copy)]
pub(super) enum Why {
    /// `io_cancel` asks for it.
    Cancelled = CANCELLED as isize,
    /// It would have to wait, which its file is not to do.
    WouldWait = WOULD_WAIT as isize,
}

const POLL: u32 = io_uring_op::IORING_OP_POLL_ADD as u32;

/// What a request is told by, beside its entry.
pub(super) struct Ticket {
    pub(super) opcode: u8,
    pub(super) events: u32,
    pub(super) fd: c_int,
    pub(super) resfd: c_int,
    pub(super) owner: usize,
    pub(super) data: u64,
    pub(super) obj: usize,
}

impl Slot {
    /// Fills a slot that was taken; its generation.
    fn fill(&self, ticket: &Ticket) -> u32 {
        let Ticket { opcode, events, fd, resfd, owner, data, obj } = *ticket;
        self.opcode.store(opcode.into(), Ordering::Relaxed);
        self.events.store(events, Ordering::Relaxed);
        self.fd.store(fd, Ordering::Relaxed);
        self.resfd.store(resfd, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.data.store(data, Ordering::Relaxed);
        self.obj.store(obj, Ordering::Relaxed);
        self.state.store(IN_USE, Ordering::Release);
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the request is the kernel's still, as far as is known.
    pub(super) fn is_in_flight(&self) -> bool {
        self.state.load(Ordering::Acquire) & (IN_USE | DONE) == IN_USE
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

    pub(super) fn is_of(&self, iocb: usize) -> bool {
        self.obj.load(Ordering::Relaxed) == iocb
    }

    /// Has `cancel` give the request up; whether it did. First comes the mark, by which who takes the
    /// completion knows why; where another call has marked it for the same reason, it is that call's.
    pub(super) fn give_up(&self, why: Why, cancel: impl FnOnce() -> bool) -> bool {
        let mark = why as u32;
        if self.state.fetch_or(mark, Ordering::AcqRel) & mark != 0 {
            return false;
        }
        let given_up = cancel();
        if !given_up {
            self.state.fetch_and(!mark, Ordering::AcqRel);
        }
        given_up
    }

    /// Notes that it counts as cancelled.
    pub(super) fn mark_cancelled(&self) {
        self.state.fetch_or(CANCELLED, Ordering::AcqRel);
    }

    /// Notes that a thread that ends waits for it.
    pub(super) fn mark_awaited(&self) {
        self.state.fetch_or(AWAITED, Ordering::AcqRel);
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.state.load(Ordering::Acquire) & AWAITED != 0
    }

    pub(super) fn mark_done(&self) {
        self.state.fetch_or(DONE, Ordering::AcqRel);
    }

    /// Whether this is a poll that the kernel gave up because the thread that had submitted it ended,
    /// which is no reason for a program of libaio's.
    fn was_orphaned(&self, res: i32) -> bool {
        res == -libc::ECANCELED
            && self.is_poll()
            && self.state.load(Ordering::Acquire) & CANCELLED == 0
    }

    #[inline(always)]
    fn event(&self, res: i32) -> io_event {
        let is_plain = res != -libc::ECANCELED && !self.is_poll();
        io_event {
            data: self.data.load(Ordering::Relaxed),
            obj: self.obj.load(Ordering::Relaxed) as u64,
            res: if is_plain { res } else { self.told_otherwise(res) }.into(),
            res2: 0,
        }
    }

    /// What the kernel's AIO tells, of a poll or of a request that was given up.
    #[inline(never)]
    fn told_otherwise(&self, res: i32) -> i32 {
        match res {
            // The kernel's AIO gives a poll that was cancelled no bit.
            res if res == -libc::ECANCELED && self.is_poll() => 0,
            res if res == -libc::ECANCELED
                && self.state.load(Ordering::Acquire) & (CANCELLED | WOULD_WAIT) == WOULD_WAIT =>
            {
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
    pub(super) unsafe fn at(first: *mut Slot, count: u32, free: Free) -> Slots {
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
        let generation = self.get(number).fill(ticket);
        u64::from(generation) << 32 | u64::from(number)
    }

    /// Whether a completion is of a poll that was orphaned ([`Slot::was_orphaned`]).
    pub(super) fn is_orphan(&self, cqe: &io_uring_cqe) -> bool {
        if cqe.res != -libc::ECANCELED {
            return false;
        }
        let slot = self.of(cqe);
        // A reap that a signal handler interrupted may have freed it already.
        let generation = (cqe.user_data >> 32) as u32;
        slot.generation.load(Ordering::Acquire) == generation && slot.was_orphaned(cqe.res)
    }

    /// The slot that a completion is of.
    #[inline(always)]
    pub(super) fn of(&self, cqe: &io_uring_cqe) -> &Slot {
        self.get(cqe.user_data as u32)
    }

    /// The event of a completion, whose slot is then to be freed.
    #[inline(always)]
    pub(super) fn event(&self, cqe: &io_uring_cqe) -> io_event {
        self.of(cqe).event(cqe.res)
    }

    /// Gives a slot back whose request never went to the kernel, or whose completion was taken.
    pub(super) fn give_back(&self, number: u32) {
        Chain::new(self).add(number);
    }

    /// Notifies and gives back the eventfds of all requests that have not come to their end otherwise.
    /// Nobody submits or takes any more.
    pub(super) fn notify_all(&self) {
        for number in 0..self.free.ever_used() {
            let slot = self.get(number);
            if slot.state.load(Ordering::Acquire) & IN_USE != 0 {
                pump::notify(slot.resfd());
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
            let generation = slot.generation.load(Ordering::Acquire);
            let user_data = u64::from(generation) << 32 | u64::from(number);
            (slot.is_in_flight() && which(slot)).then_some((user_data, slot))
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
        slot.state.store(0, Ordering::Relaxed);
        // Who gives a slot back is the only one to have it.
        let generation = slot.generation.load(Ordering::Relaxed);
        slot.generation.store(generation.wrapping_add(1), Ordering::Release);
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
