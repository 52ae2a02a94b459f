//! `io_submit` and `io_cancel`.

use core::ffi::{c_int, c_long};
use core::mem::MaybeUninit;
use core::ptr;

use libc::{EAGAIN, EBADF, EFAULT, EINPROGRESS, EINVAL};
use linux_raw_sys::io_uring::{io_uring_cqe, io_uring_op};

use super::context::Context;
use super::entry::AtOnce;
use super::events::leave_gate;
use super::lock::Taken;
use super::queues::{Queues, Sqe, empty_entry};
use super::setup::{enter, leave};
use super::slots::{Ticket, Why};
use super::table::{Place, find};
use super::thread_end::Past;
use super::{INTERNAL, Rest, entry, pump, sys, thread_end, worker};
use crate::abi::{IOCB_FLAG_RESFD, io_context_t, io_event, io_iocb_cmd, iocb};
use crate::gate::Turn;
use crate::kernel;
use crate::sync::Ordering;
use crate::system::{self, fail, refuses, this_thread};

const FSYNC: i16 = io_iocb_cmd::IO_CMD_FSYNC as i16;
const FDSYNC: i16 = io_iocb_cmd::IO_CMD_FDSYNC as i16;

/// What stands for a thread that is no particular one: the address of none.
const ANOTHER: usize = 16;

/// Entries that are prepared, on their way into the queue.
struct Batch {
    entries: [MaybeUninit<Sqe>; Batch::MOST],
    length: usize,
}

impl Batch {
    const MOST: usize = 16;

    fn new() -> Self {
        Batch { entries: [const { MaybeUninit::uninit() }; Batch::MOST], length: 0 }
    }

    /// The next entry, of which [`Batch::entries`] tells once it was filled and counted in `length`.
    fn next(&mut self) -> Option<&mut MaybeUninit<Sqe>> {
        self.entries.get_mut(self.length)
    }

    fn entries(&mut self) -> &mut [Sqe] {
        // SAFETY: as many were written before they were counted.
        unsafe { core::slice::from_raw_parts_mut(self.entries.as_mut_ptr().cast(), self.length) }
    }
}

/// Runs `put`, which puts entries into a queue of the place, in the exclusion of those who do so. It is
/// told whether it has interrupted its own thread's exclusion.
fn locked<T>(
    place: &Place,
    me: usize,
    put: impl FnOnce(bool) -> Result<T, c_int>,
) -> Result<T, c_int> {
    let taken = place.lock.take::<Rest>(me);
    if taken == Taken::Crossed {
        return Err(EAGAIN);
    }
    let result = put(taken == Taken::Below);
    if taken == Taken::Now {
        place.lock.release();
    }
    result
}

/// Entries that are in a queue, up to a tail, but that the kernel may not have taken yet.
struct Put<'a> {
    queues: &'a Queues,
    tail: u32,
    /// The index after the newest completion before they were put there.
    before: u32,
}

impl Put<'_> {
    /// Has the kernel take them, of which the last `own` are the caller's.
    fn submit(&self, own: u32) -> Result<(), c_int> {
        self.queues.submit(self.tail, own)
    }
}

/// Puts entries into the queue that requests go to, unless the context is over. Where another thread has
/// come since the `last` were put in, and requests go elsewhere, the kernel takes those first.
fn put<'a>(
    place: &Place,
    context: &'a Context,
    me: usize,
    entries: &mut [Sqe],
    last: Option<&Put>,
) -> Result<Put<'a>, c_int> {
    locked(place, me, |below| {
        if place.life.is_over() {
            return Err(EINVAL);
        }
        let queues = context.open(below);
        if let Some(last) = last.filter(|last| !ptr::eq(last.queues, queues)) {
            last.submit(Batch::MOST as u32)?;
        }
        let before = queues.newest();
        for entry in &mut *entries {
            if entry.opcode == io_uring_op::IORING_OP_FSYNC as u8
                && !thread_end::does_the_process_end()
            {
                queues.hold_file(entry, &context.slots);
            }
            context.slots.begin(entry.user_data);
        }
        queues.push(entries).map(|tail| Put { queues, tail, before })
    })
}

/// Has one entry, which is no request's, go to the kernel by that queue; whether that was possible.
pub(super) fn submit_internal(place: &Place, queues: &Queues, me: usize, entry: &Sqe) -> bool {
    let tail = locked(place, me, |_| queues.push(core::slice::from_ref(entry)));
    tail.and_then(|tail| queues.submit(tail, 1)).is_ok()
}

/// `io_submit`
///
/// # Safety
/// As `io_submit`.
pub(crate) unsafe fn submit(address: io_context_t, nr: c_long, list: *mut *mut iocb) -> c_int {
    let Some(place) = find(address.addr()) else {
        // SAFETY: upheld by the caller; the kernel checks the pointers.
        return unsafe { kernel::io_submit(address, nr, list) };
    };
    if !enter(place, address) {
        return fail(EINVAL);
    }
    // SAFETY: upheld by the caller; a user counts.
    let answer = unsafe { submit_as_user(place, nr, list) };
    leave(place);
    answer.unwrap_or_else(fail)
}

/// # Safety
/// As `io_submit`; the caller counts as a user of the place.
unsafe fn submit_as_user(
    place: &'static Place,
    nr: c_long,
    list: *mut *mut iocb,
) -> Result<c_int, c_int> {
    // SAFETY: upheld by the caller.
    let context = unsafe { place.context() };
    let me = this_thread();
    // More than a ring holds are not looked at.
    let nr = usize::try_from(nr).map_err(|_| EINVAL)?.min(context.slots.count() as usize + 1);
    if nr == 0 {
        return Ok(0);
    }
    let past = prepare_thread();
    context.note(me);
    if past == Past::Shares {
        // The quiet io_uring of a thread that does not rest there would keep others waiting.
        context.note(ANOTHER);
    }
    // A request by itself saves a call where its descriptor is known. (Several could not be taken back.)
    let mut descriptors =
        entry::Descriptors::new(&context.known, nr == 1 && context.may_assume(me));
    let mut batch = Batch::new();
    let (mut done, mut last, mut stopped) = (0, None::<Put>, None);
    while stopped.is_none() && done < nr {
        batch.length = 0;
        descriptors.knows_eventfd = false;
        while done + batch.length < nr {
            let at = list.wrapping_add(done + batch.length);
            let pending = batch.length as u32;
            let Some(entry) = batch.next() else { break };
            // SAFETY: upheld by the caller.
            match unsafe { prepare(place, at, &mut descriptors, pending, me, entry) } {
                Ok(()) => batch.length += 1,
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        if let Some(fd) = descriptors.assumed() {
            context.leave_unasked(fd);
        }
        match put(place, context, me, batch.entries(), last.as_ref()) {
            Ok(now) => last = Some(now),
            Err(error) => {
                batch.entries().iter().for_each(|entry| give_up(context, entry));
                stopped = Some(error);
                break;
            }
        }
        done += batch.length;
    }
    // One call for all of them. The kernel has read all that they name when it is over.
    if let Some(last) = last {
        last.submit(batch.length as u32).inspect_err(|_| let_go(context, last.queues))?;
        remember_where(last.queues, past);
        if descriptors.gives_up {
            context.give_up_what_waits();
        }
        thread_end::wait_where_the_process_ends();
        if let (Some(fd), [entry]) = (descriptors.assumed(), batch.entries()) {
            if !last.queues.has_refused(entry.user_data, last.before) {
                context.ask_unless_left(fd, me);
            } else if take_back(place, context, last.queues, entry, me) {
                return Err(EBADF);
            }
        }
    }
    match stopped {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done as c_int),
    }
}

/// Before a thread submits, without a gate: what it has done before. Its end will be noticed, and the
/// kernel has a worker for it.
pub(super) fn prepare_thread() -> Past {
    let past = thread_end::notice();
    if past == Past::None {
        worker::make();
    }
    past
}

/// Remembers that a thread has submitted to a shared io_uring.
fn remember_where(queues: &Queues, past: Past) {
    if queues.number != 0 && past != Past::Shares {
        thread_end::remember(Past::Shares);
    }
}

/// Takes a request back that was refused at once because its descriptor is not what it was at an
/// earlier call; whether it was. Where its completion was taken already, by a signal handler or a thread
/// that has just come, it has been an event.
#[cold]
fn take_back(place: &Place, context: &Context, queues: &Queues, entry: &Sqe, me: usize) -> bool {
    // A file may refuse a transfer by itself.
    if context.known.is(entry.fd, sys::flags_of(entry.fd)) {
        return false;
    }
    context.known.forget(entry.fd);
    as_who_takes(place, context, me, || {
        let removed = queues.remove(entry.user_data);
        if removed {
            context.slots.give_back(entry.user_data as u32);
        }
        removed
    })
}

/// The answer of `look`, which runs as who takes completions; false where this thread cannot be that.
fn as_who_takes(place: &Place, context: &Context, me: usize, look: impl FnOnce() -> bool) -> bool {
    system::with_signals_blocked(|_| {
        if place.gate.wait_for_user::<Rest>(me) != Turn::User {
            return false;
        }
        let answer = !context.pump.is_on() && look();
        leave_gate(place, context.address());
        answer
    })
}

/// Lets nobody wait for what the kernel has not taken, now that it takes nothing any more.
#[cold]
fn let_go(context: &Context, queues: &Queues) {
    for user_data in queues.not_taken().filter(|&user_data| user_data != INTERNAL) {
        context.slots.get(user_data as u32).mark_done();
    }
}

/// Takes back what [`prepare`] took for an entry that does not go to the kernel.
fn give_up(context: &Context, entry: &Sqe) {
    let number = entry.user_data as u32;
    context.pump.close_eventfd(context.slots.get(number).resfd());
    context.slots.give_back(number);
}

/// Writes the entry for one request of the list, and takes a slot for it. `pending` others have slots,
/// but are not in the queue yet.
///
/// # Safety
/// As `io_submit`; the caller counts as a user of the place.
unsafe fn prepare(
    place: &'static Place,
    at: *mut *mut iocb,
    descriptors: &mut entry::Descriptors<'_>,
    pending: u32,
    me: usize,
    entry: &mut MaybeUninit<Sqe>,
) -> Result<(), c_int> {
    // SAFETY: upheld by the caller.
    let context = unsafe { place.context() };
    if refuses(at) {
        return Err(EFAULT);
    }
    // SAFETY: the program's own list.
    let obj = unsafe { at.read_unaligned() };
    if refuses(obj) {
        return Err(EFAULT);
    }
    // SAFETY: the program's own request.
    let iocb = unsafe { obj.read_unaligned() };
    entry::check(&iocb)?;
    if context.is_full(pending) {
        return Err(EAGAIN);
    }
    let number = context.slots.take().ok_or(EAGAIN)?;
    // What an fsync is of is asked anyhow.
    let is_sync = matches!(iocb.aio_lio_opcode, FSYNC | FDSYNC);
    if is_sync || iocb.aio_flags & IOCB_FLAG_RESFD != 0 {
        descriptors.ask();
    }
    let resfd = loop {
        // SAFETY: upheld by the caller.
        match unsafe { fill_with_eventfd_and_key(place, obj, &iocb, descriptors, me, entry) } {
            Ok(resfd) => break resfd,
            // Which error comes first depends on what the descriptor is.
            Err(_) if descriptors.ask() => (),
            Err(error) => {
                context.slots.give_back(number);
                return Err(error);
            }
        }
    };
    // SAFETY: it was filled.
    let entry = unsafe { entry.assume_init_mut() };
    let ticket = Ticket {
        opcode: entry.opcode,
        events: iocb.aio_buf as u32,
        fd: iocb.aio_fildes,
        resfd,
        owner: me,
        data: iocb.aio_data,
        obj: obj.addr(),
        is_of_a_file: descriptors.is_of_a_file,
        should_not_wait: descriptors.at_once == AtOnce::GivenUp && entry::is_transfer(entry.opcode),
    };
    entry.user_data = context.slots.fill(number, &ticket);
    Ok(())
}

/// Writes a request's key, and its entry but for `user_data`; the descriptor of our own of its eventfd.
///
/// # Safety
/// As [`prepare`].
#[inline(never)]
unsafe fn fill_with_eventfd_and_key(
    place: &'static Place,
    obj: *mut iocb,
    iocb: &iocb,
    descriptors: &mut entry::Descriptors<'_>,
    me: usize,
    entry: &mut MaybeUninit<Sqe>,
) -> Result<c_int, c_int> {
    let flags = descriptors.flags(iocb.aio_fildes)?;
    // SAFETY: the caller counts as a user.
    let context = unsafe { place.context() };
    let resfd = descriptors.eventfd(iocb, context)?;
    if iocb.aio_key != 0 {
        // What io_cancel will look for. Most often it is there: requests that cannot be written are good
        // where it is.
        // SAFETY: the program's own request.
        unsafe { (&raw mut (*obj).aio_key).write_unaligned(0) };
    }
    // SAFETY: upheld by the caller.
    let filled = unsafe { entry::fill(entry, iocb, flags, descriptors.at_once) };
    let named = iocb.aio_resfd as c_int;
    let notified = |()| if resfd < 0 { Ok(()) } else { have_pump(place, me, named) };
    filled.and_then(notified).inspect_err(|_| context.pump.close_eventfd(resfd))?;
    Ok(resfd)
}

/// Has the context have a pump, for a request that wants that eventfd.
#[cold]
fn have_pump(place: &'static Place, me: usize, resfd: c_int) -> Result<(), c_int> {
    // SAFETY: the caller counts as a user.
    let context: &'static Context = unsafe { place.context() };
    if context.pump.is_on() {
        return Ok(());
    }
    match place.gate.wait_for_user::<Rest>(me) {
        Turn::User => {
            // The pump is one more thread, and does not ask.
            context.note(ANOTHER);
            context.ask_now();
            let started = if context.pump.is_on() { Ok(()) } else { pump::start(context, resfd) };
            leave_gate(place, context.address());
            started
        }
        Turn::Dead => Err(EINVAL),
        // In a signal handler: where it has returned, it works.
        Turn::Nested | Turn::Crossed => Err(EAGAIN),
    }
}

/// Submits a poll anew that the kernel gave up with the thread that had submitted it, and takes its
/// completion, the oldest, off its queue. The caller is who takes completions, and prepared for it
/// ([`prepare_thread`]). False where another thread puts entries in just now, who may wait for what this
/// one holds: to be tried again without that.
pub(super) fn submit_again(
    context: &Context,
    place: &Place,
    queues: &Queues,
    cqe: &io_uring_cqe,
) -> bool {
    let slot = context.slots.of(cqe);
    let mut entry = empty_entry();
    entry.opcode = io_uring_op::IORING_OP_POLL_ADD as u8;
    entry.fd = slot.fd();
    entry.__bindgen_anon_3.poll32_events = entry::poll_events(slot.events());
    entry.user_data = cqe.user_data;
    let me = this_thread();
    slot.own(me);
    let head = queues.cq_head().load(Ordering::Relaxed);
    // A context that is over would not look for it any more.
    let again = put(place, context, me, core::slice::from_mut(&mut entry), None);
    if let Err(EAGAIN) = again {
        return false;
    }
    match again.and_then(|put| put.submit(1).map(|()| put.queues)) {
        Ok(to) => {
            remember_where(to, thread_end::notice());
            queues.cq_head().store(head.wrapping_add(1), Ordering::Release);
        }
        // It cannot be had again, so it counts as cancelled.
        Err(_) => slot.mark_cancelled(cqe.user_data),
    }
    true
}

/// Whether a poll that is marked as cancelled will be told so: the kernel had given it up before, with the
/// thread that had submitted it, or another thread has just submitted it anew.
fn cancel_orphan(place: &Place, context: &Context, user_data: u64) -> bool {
    thread_end::was_there_any()
        && as_who_takes(place, context, this_thread(), || {
            let mut queues = context.queues().iter();
            queues.any(|queues| queues.has_given_up(user_data)) || context.cancel(user_data)
        })
}

/// `io_cancel`
///
/// # Safety
/// As `io_cancel`.
pub(crate) unsafe fn cancel(
    address: io_context_t,
    iocb: *mut iocb,
    result: *mut io_event,
) -> c_int {
    let Some(place) = find(address.addr()) else {
        // SAFETY: upheld by the caller; the kernel checks the pointers.
        return unsafe { kernel::io_cancel(address, iocb, result) };
    };
    if refuses(iocb) {
        return fail(EFAULT);
    }
    // SAFETY: the program's own request.
    if unsafe { (&raw const (*iocb).aio_key).read_unaligned() } != 0 || !enter(place, address) {
        return fail(EINVAL);
    }
    // SAFETY: a user counts.
    let context = unsafe { place.context() };
    context.ask_now();
    let mut found = context.slots.in_flight(|slot| slot.is_of(iocb.addr()));
    // One whose event nobody has taken yet may have the same iocb.
    let cancelled = found.any(|(user_data, slot)| {
        slot.give_up(user_data, Why::Cancelled, || {
            context.cancel(user_data) || slot.is_poll() && cancel_orphan(place, context, user_data)
        })
    });
    leave(place);
    // As the kernel's AIO: the event comes through io_getevents, and what cannot be cancelled is none.
    fail(if cancelled { EINPROGRESS } else { EINVAL })
}
