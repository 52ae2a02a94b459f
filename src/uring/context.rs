//! One context: the memory that its address names, its io_urings, its requests.
//!
//! The memory is one private mapping: a page for [`Context`], then what looks like an `aio_ring`
//! (`struct aio_ring`, `fs/aio.c`) and is what `io_context_t` points at, then the slots. The ring has
//! another magic number than the kernel's, so that programs which look at it before they reap by
//! themselves (fio, SPDK, Seastar) call `io_getevents` instead. One that does not look (QEMU) finds a
//! ring that works, once it has asked for notification by an eventfd (`pump.rs`).

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use libc::{EAGAIN, EINVAL, ENOMEM};

use super::entry::{self, AtOnce, Known};
use super::pump::Pump;
use super::queues::{Kind, Queues};
use super::sharing::{Sharing, Where};
use super::slots::{Slot, Slots, Why};
use super::table::{self, Place, Table};
use super::unasked::{Runs, Unasked};
use super::{Rest, choice, forked, sys};
use crate::abi::{io_context_t, io_event};
use crate::ring::{self, HEADER_LENGTH};
use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};
use crate::system;

/// The most entries that one call hands to the kernel.
const MOST_SUBMISSIONS: u32 = 1024;

/// How often another place in memory is tried where the table is full around one.
const TRIES: usize = 16;

/// What belongs to one context.
pub(super) struct Context {
    /// The quiet io_uring, and the shared one, which is written before `sharing` says that it is there.
    queues: UnsafeCell<[MaybeUninit<Queues>; 2]>,
    pub(super) sharing: Sharing,
    /// Entries of either submission queue.
    submissions: u32,
    pub(super) slots: Slots,
    pub(super) known: Known,
    unasked: Unasked,
    runs: Runs,
    /// Who moves completions into the ring; at rest where nobody has asked for an eventfd.
    pub(super) pump: Pump,
    /// How many threads sleep in the kernel until there are completions.
    sleepers: AtomicU32,
    /// How many of them do so in `io_uring_enter`, and, in the upper half, how many completions each of
    /// those wants.
    alike: AtomicU64,
    /// The number of its place in the table.
    place: usize,
    /// The mapping that all of this lies in.
    memory: *mut c_void,
    size: usize,
}

/// How the memory of a context is laid out.
struct Layout {
    /// Events in the ring; one fewer requests can be in use.
    nr: u32,
    ring_at: usize,
    slots_at: usize,
    size: usize,
}

impl Layout {
    /// For as many requests as the kernel would allow (`ioctx_alloc`, `aio_setup_ring`), who doubles
    /// the number, because it counts by processor, and fills up the last page.
    fn new(maxevents: u32) -> Result<Layout, c_int> {
        const MOST_BYTES: u64 = 0x1000_0000;
        let (page, processors) = (system::page_size(), system::possible_processors());
        let event = size_of::<io_event>() as u64;
        let wanted = u64::from(maxevents).max(processors * 4) * 2;
        // The kernel doubles in 32 bits; what comes out small is more than fs.aio-max-nr.
        if wanted as u32 as u64 > MOST_BYTES / event {
            return Err(EINVAL);
        }
        if wanted > u32::MAX.into() {
            return Err(EAGAIN);
        }
        let pages = (HEADER_LENGTH + event * (wanted + 2)).div_ceil(page);
        let nr = (pages * page - HEADER_LENGTH) / event;
        let slots_at = page + pages * page;
        let size = slots_at + (nr - 1) * size_of::<Slot>() as u64;
        let bytes = |n: u64| usize::try_from(n).map_err(|_| ENOMEM);
        Ok(Layout {
            nr: nr as u32,
            ring_at: page as usize,
            slots_at: bytes(slots_at)?,
            size: bytes(size.next_multiple_of(page))?,
        })
    }
}

impl Context {
    /// A new context; its address. It is in the table.
    pub(super) fn make(maxevents: u32) -> Result<io_context_t, c_int> {
        let table = table::table().ok_or(ENOMEM)?;
        // Before there are descriptors, which may have the numbers of those.
        forked::tidy_up();
        let layout = Layout::new(maxevents)?;
        let requests = layout.nr - 1;
        let submissions = maxevents.clamp(1, MOST_SUBMISSIONS).next_power_of_two();
        let quiet = Queues::new(Kind::Quiet, submissions, requests).map_err(out_of)?;
        let fd = quiet.fd;
        match placed_memory(table, &layout) {
            Ok((memory, number, place)) => {
                let at = |offset: usize| memory.wrapping_byte_add(offset);
                let context = memory.cast::<Context>();
                // SAFETY: fresh memory, as large as the layout says. It is zeroed, which the other fields
                // are to be.
                unsafe {
                    (&raw mut (*context).queues).cast::<Queues>().write(quiet);
                    (&raw mut (*context).submissions).write(submissions);
                    let slots = at(layout.slots_at).cast();
                    (&raw mut (*context).slots).write(Slots::at(slots, requests));
                    (&raw mut (*context).place).write(number);
                    (&raw mut (*context).memory).write(memory);
                    (&raw mut (*context).size).write(layout.size);
                    ring::make_strange(at(layout.ring_at).cast(), layout.nr);
                }
                forked::note(number, forked::Whose::Quiet, fd);
                let address: io_context_t = at(layout.ring_at).cast();
                table.open(number, place, address.addr(), memory.cast());
                Ok(address)
            }
            Err(error) => {
                quiet.close();
                Err(error)
            }
        }
    }

    /// The address that the program knows it by.
    pub(super) fn address(&self) -> io_context_t {
        self.memory.wrapping_byte_add(system::page_size() as usize).cast()
    }

    /// The ring at that address.
    pub(super) fn ring(&self) -> ring::Mapped<'_> {
        // SAFETY: `make` has made it there.
        unsafe { ring::Mapped::at(self.address()) }
    }

    /// Whether one more request would be more than the kernel would let be in use, where `pending`
    /// have slots already but no entry.
    pub(super) fn is_full(&self, pending: u32) -> bool {
        // An event in the ring counts until it was taken, as the kernel's does. Looked at last: what
        // the pump moves meanwhile is counted twice rather than not at all.
        if !self.pump.is_on() {
            return false;
        }
        let in_use = pending + self.queues().iter().map(Queues::requests).sum::<u32>();
        in_use + ring::events_in(&self.ring()) >= self.slots.count()
    }

    /// Notes that a thread uses the context, before it submits or waits.
    #[inline]
    pub(super) fn note(&self, me: usize) {
        if !self.sharing.knows(me) {
            self.note_now(me);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_now(&self, me: usize) {
        system::with_signals_blocked(|_| self.sharing.note::<Rest>(me, || self.make_shared()));
    }

    /// Makes the shared io_uring; whether there was one to be had.
    #[cold]
    fn make_shared(&self) -> bool {
        let made = Queues::new(Kind::Shared, self.submissions, self.slots.count());
        let Ok(queues) = made else { return false };
        forked::note(self.place, forked::Whose::Shared, queues.fd);
        // SAFETY: only who makes it is here, and nobody looks yet.
        unsafe { self.queues.get().cast::<Queues>().add(1).write(queues) };
        true
    }

    /// Its io_urings: the quiet one, and the shared one where there is one.
    #[inline(never)]
    pub(super) fn queues(&self) -> &[Queues] {
        let there = 1 + usize::from(self.sharing.has_shared());
        // SAFETY: the first is always there; the other was written before `sharing` said so, and is
        // not written again.
        unsafe { core::slice::from_raw_parts(self.queues.get().cast(), there) }
    }

    /// The io_uring of a thread that is alone.
    #[inline(always)]
    pub(super) fn quiet(&self) -> &Queues {
        // SAFETY: as above.
        unsafe { &*self.queues.get().cast() }
    }

    /// The shared io_uring. `sharing` has said that there is one.
    #[inline(always)]
    fn shared(&self) -> &Queues {
        // SAFETY: as above.
        unsafe { &*self.queues.get().cast::<Queues>().add(1) }
    }

    /// The io_uring that requests go to. The caller holds the lock of those who submit, or has
    /// interrupted its own thread's hold of it (`below`).
    #[inline]
    pub(super) fn open(&self, below: bool) -> &Queues {
        if self.sharing.goes_to_shared(below) { self.shared() } else { self.quiet() }
    }

    /// The one io_uring that all requests are in, now and for as long as this thread, which was noted,
    /// may look or sleep; None where it is not only one. (To sleep where it is the quiet one a thread
    /// counts itself first: [`Sleeper`].)
    #[inline(always)]
    pub(super) fn only(&self, me: usize) -> Option<&Queues> {
        match self.sharing.place(me) {
            Where::Quiet => Some(self.quiet()),
            Where::Shared if self.quiet().in_use() == 0 => Some(self.shared()),
            Where::Shared | Where::Both => None,
        }
    }

    /// The descriptors of its io_urings, for `ppoll`: -1 for none.
    pub(super) fn descriptors(&self) -> [c_int; 2] {
        [self.quiet().fd, if self.sharing.has_shared() { self.shared().fd } else { -1 }]
    }

    /// Whether there is anything that [`Context::ask_now`] would ask.
    #[inline]
    pub(super) fn has_unasked(&self) -> bool {
        self.unasked.is_any()
    }

    /// How many completions nobody has taken.
    pub(super) fn ready(&self) -> u32 {
        self.queues().iter().map(Queues::ready).sum()
    }

    /// How many entries have no completion yet.
    pub(super) fn in_flight(&self) -> u32 {
        self.queues().iter().map(Queues::in_flight).sum()
    }

    /// Cancels the request with that `user_data`, wherever it is; whether that was possible.
    pub(super) fn cancel(&self, user_data: u64) -> bool {
        self.each_cancels(|queues| sys::cancel(queues.fd, user_data))
    }

    fn each_cancels(&self, cancel: impl Fn(&Queues) -> c_int) -> bool {
        self.queues().iter().map(cancel).find(|&answer| answer != -libc::ENOENT) == Some(0)
    }

    /// Whether the descriptor of a request by itself may be taken for what it was: this thread can be the one to
    /// ask, and it pays to do so later (`unasked.rs`).
    #[inline]
    pub(super) fn may_assume(&self, me: usize) -> bool {
        choice::cancels_on_a_file() && self.sharing.is_alone(me) && self.runs.one_more()
    }

    /// Notes that a request is about to be submitted on a descriptor that is taken for what it was.
    #[inline]
    pub(super) fn leave_unasked(&self, fd: c_int) {
        if let Some(other) = self.unasked.leave(fd) {
            self.ask(other);
        }
    }

    /// After it was submitted: asks where nobody else will.
    #[inline]
    pub(super) fn ask_unless_left(&self, fd: c_int, me: usize) {
        if !self.unasked.is_left(fd, &self.sharing, me) {
            self.ask(fd);
        }
    }

    /// Before anybody waits: asks what was not asked.
    #[inline]
    pub(super) fn ask_now(&self) {
        self.runs.end();
        if let Some(fd) = self.unasked.take() {
            self.ask(fd);
        }
    }

    /// Asks whether a descriptor is what it was taken for. If it is one by now that should not wait,
    /// requests on it are to end with EAGAIN.
    fn ask(&self, fd: c_int) {
        let may_wait = |fd, flags| entry::at_once(sys::kind_of(fd), flags) == AtOnce::No;
        let flags = sys::flags_of(fd);
        if self.known.is(fd, flags) {
            return;
        }
        self.known.forget(fd);
        if may_wait(fd, flags) {
            return;
        }
        on_what_it_is(fd, |own| {
            if may_wait(own, sys::flags_of(own)) {
                return;
            }
            // Of the others on that number the kernel knows that they are another file's.
            for (user_data, slot) in self.slots.in_flight(|slot| slot.fd() == fd && !slot.is_poll())
            {
                slot.give_up(user_data, Why::WouldWait, || self.cancel_on(user_data, own));
            }
        });
    }

    /// Gives up what is not done at once and should not wait, where the kernel could not be told.
    #[cold]
    pub(super) fn give_up_what_waits(&self) {
        for (user_data, _) in self.slots.in_flight(Slot::should_not_wait) {
            self.cancel(user_data);
        }
    }

    /// Gives a request up that was taken for a file's, where its number is of another kind by now, and
    /// the request as well; whether it was. (Its descriptor may have been taken for what it was.)
    pub(super) fn gives_up_as_another(&self, user_data: u64, slot: &Slot) -> bool {
        let mut given_up = false;
        if entry::is_of_a_file(sys::kind_of(slot.fd())) {
            return false;
        }
        on_what_it_is(slot.fd(), |own| {
            given_up = !entry::is_of_a_file(sys::kind_of(own)) && self.cancel_on(user_data, own);
        });
        given_up
    }

    /// [`Context::cancel`], where the request is of the file that `own` is of.
    fn cancel_on(&self, user_data: u64, own: c_int) -> bool {
        self.each_cancels(|queues| sys::cancel_on(queues.fd, user_data, own))
    }

    /// How many threads sleep in the kernel until there are completions.
    pub(super) fn sleepers(&self) -> u32 {
        fence(Ordering::SeqCst); // pairs with the one in `falls_asleep`, where nothing else has done so
        self.sleepers.load(Ordering::Relaxed)
    }

    /// Gives back all that the context has, itself included. Nobody uses it, and nothing is in flight.
    ///
    /// # Safety
    /// `this` is what [`Context::make`] has put into the table, and is used no more.
    pub(super) unsafe fn take_apart(this: *mut Context) {
        // SAFETY: upheld by the caller.
        let context = unsafe { &*this };
        context.slots.notify_all(&context.pump);
        forked::forget(context.place);
        context.pump.close(context.quiet());
        context.queues().iter().for_each(Queues::close);
        system::unmap(context.memory, context.size);
    }

    /// The number of its place.
    pub(super) fn number(&self) -> usize {
        self.place
    }
}

/// Runs `look` with a descriptor of the file that a number is of now, which it will be of until the end; where
/// none is left (EMFILE; EINVAL where no more than ours begin at are allowed), with the number itself.
///
/// Not for the program's files: whoever closes any descriptor of one gives up the locks that the process has on
/// it (`fcntl(2)`, F_SETLK).
fn on_what_it_is(fd: c_int, look: impl FnOnce(c_int)) {
    let own = sys::duplicate(fd);
    let is_none_left = matches!(-own, libc::EMFILE | libc::EINVAL);
    let at = if is_none_left { fd } else { own };
    if at >= 0 {
        look(at);
    }
    if own >= 0 {
        sys::close(own);
    }
}

/// Running out of descriptors is EAGAIN, as running out of contexts is for the kernel's AIO.
fn out_of(error: c_int) -> c_int {
    match error {
        libc::ENOMEM => ENOMEM,
        _ => EAGAIN,
    }
}

/// Memory for a context at an address that has a place in the table.
fn placed_memory<'a>(
    table: &'a Table,
    layout: &Layout,
) -> Result<(*mut c_void, usize, &'a Place), c_int> {
    // Kept until the end, so that each try gets other memory; each begins with where the one before is.
    let mut refused: *mut c_void = ptr::null_mut();
    let mut result = Err(EAGAIN);
    for _ in 0..TRIES {
        let Ok(memory) = sys::memory(layout.size) else {
            result = Err(ENOMEM);
            break;
        };
        if let Some((number, place)) = table.reserve(memory.addr() + layout.ring_at) {
            result = Ok((memory, number, place));
            break;
        }
        // SAFETY: fresh memory, which nobody else has; so below.
        unsafe { memory.cast::<*mut c_void>().write(refused) };
        refused = memory;
    }
    while !refused.is_null() {
        // SAFETY: as above.
        let before = unsafe { refused.cast::<*mut c_void>().read() };
        system::unmap(refused, layout.size);
        refused = before;
    }
    result
}

/// Counts a thread that is about to sleep until there are completions.
pub(super) struct Sleeper<'a> {
    context: &'a Context,
    /// Whether it sleeps on the quiet io_uring alone, to which requests go until it wakes.
    pub(super) alone: bool,
    enters: bool,
}

impl<'a> Sleeper<'a> {
    pub(super) fn on(context: &'a Context, me: usize) -> Self {
        context.sleepers.fetch_add(1, Ordering::Relaxed);
        let alone = context.sharing.falls_asleep(me); // with the fence that counting wants
        Sleeper { context, alone, enters: false }
    }

    /// Whether it may sleep in `io_uring_enter` until there are `more`. The kernel wakes those who do so in
    /// their order, up to the first for whom there are too few (`io_wake_function`): behind one who wants
    /// several another would sleep on. So all of them want the same, and who wants otherwise polls.
    pub(super) fn may_enter(&mut self, more: u32) -> bool {
        let alike = &self.context.alike;
        let word = alike.load(Ordering::Relaxed);
        let of = if word as u32 == 0 { u64::from(more) << 32 } else { word };
        // To poll is always right, also for who comes second here.
        self.enters = (of >> 32) as u32 == more
            && alike.compare_exchange(word, of + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        self.enters
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        if self.enters {
            self.context.alike.fetch_sub(1, Ordering::Relaxed);
        }
        self.context.sleepers.fetch_sub(1, Ordering::AcqRel);
        if self.alone {
            self.context.sharing.wakes();
        }
    }
}
