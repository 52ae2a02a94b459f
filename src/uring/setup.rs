//! `io_setup` and `io_destroy`, and how a context comes to its end.

use core::ffi::c_int;

use libc::{EFAULT, EINVAL};
use linux_raw_sys::io_uring::io_uring_op;

use super::context::Context;
use super::lock::Taken;
use super::queues::{Queues, empty_entry};
use super::submit::submit_internal;
use super::table::{Place, find};
use super::{INTERNAL, Rest, pump, slots, table};
use crate::abi::io_context_t;
use crate::gate::{Entry, Pause as _};
use crate::kernel;
use crate::sync::Ordering;
use crate::system::{fail, is_readable, is_writable, this_thread};

/// `io_setup`
///
/// # Safety
/// As in C: `ctxp` is checked (EFAULT).
pub(crate) unsafe fn setup(maxevents: c_int, ctxp: *mut io_context_t) -> c_int {
    if !is_readable(ctxp) {
        return fail(EFAULT);
    }
    // SAFETY: it can be read.
    let before = unsafe { ctxp.read_unaligned() };
    if !before.is_null() || maxevents == 0 {
        return fail(EINVAL);
    }
    let made = match Context::make(maxevents as u32) {
        Ok(made) => made,
        Err(error) => return fail(error),
    };
    if !is_writable(ctxp) {
        destroy(made);
        return fail(EFAULT);
    }
    // SAFETY: it can be written.
    unsafe { ctxp.write_unaligned(made) };
    0
}

/// `io_destroy`
pub(crate) fn destroy(address: io_context_t) -> c_int {
    loop {
        let Some(place) = find(address.addr()) else { return kernel::io_destroy(address) };
        match place.gate.enter_kernel::<Rest>(this_thread()) {
            Entry::Kernel => {
                let ours = place.is_of(address.addr());
                if ours {
                    place.gate.mark_dead();
                }
                // Another destroyer may have been first.
                let first = ours && place.life.end();
                place.gate.leave_kernel();
                if first {
                    bring_to_an_end(place);
                    return 0;
                }
                if ours {
                    return fail(EINVAL);
                }
            }
            // In a signal handler that interrupted a reap, which still uses the queue: its end destroys
            // the context, a moment later than this answer says.
            Entry::Nested | Entry::Crossed => {
                place.at_end.doom();
                // Another thread's reap may be past its last look at the mark. After a sleep its end
                // is seen here, or the mark there.
                Rest::sleep();
                if place.gate.is_reaped() || !place.at_end.take_doom() {
                    return 0;
                }
            }
        }
    }
}

/// What [`destroy`] does once the context is marked. The caller counts as its last regular user.
fn bring_to_an_end(place: &'static Place) {
    // SAFETY: the context's own count is this caller's now.
    let context = unsafe { place.context() };
    let me = this_thread();
    // Who has the lock has seen the context alive; who gets it later sees that it is over. (Where it is
    // this thread's own, below a signal handler, what it still submits is ended in `leave`.)
    if let Taken::Now = place.lock.take::<Rest>(me) {
        place.lock.release();
    }
    wake_all(context, place, me);
    wait_for_all(context);
    pump::stop(context);
    if place.life.leave_for_good() {
        take_apart(place);
    }
}

/// Has the kernel give up what may never end.
fn give_up_what_may_not_end(context: &Context) {
    // What another thread has put in may not be the kernel's yet, which would not find it.
    context.queues().iter().for_each(|queues| {
        queues.submit_all();
    });
    for (user_data, slot) in context.slots.in_flight(|_| true) {
        if !may_never_end(slot) {
            context.gives_up_as_another(user_data, slot);
            continue;
        }
        // As if the program had asked: a poll is not submitted anew.
        slot.mark_cancelled(user_data);
        context.cancel(user_data);
    }
}

/// Whether a request is one that nothing but the program can bring to its end. Those of files and
/// devices are waited for, as the kernel's AIO does: a write that was submitted is written.
fn may_never_end(slot: &slots::Slot) -> bool {
    slot.is_poll() || !slot.is_of_a_file()
}

/// Has everybody who sleeps on the context look again: as many completions as anybody waits for (one
/// for the pump, which looks after the bell).
fn wake_all(context: &Context, place: &Place, me: usize) {
    let sleepers = context.sleepers() != 0;
    for queues in context.queues() {
        let wakes = match sleepers {
            true => queues.most_wanted(&context.slots),
            false => context.pump.is_on().into(),
        };
        for _ in 0..wakes {
            if !wake(place, queues, me) {
                break;
            }
        }
    }
}

/// Puts a completion into a queue that is no request's; whether it could.
pub(super) fn wake(place: &Place, queues: &Queues, me: usize) -> bool {
    let mut entry = empty_entry();
    entry.opcode = io_uring_op::IORING_OP_NOP as u8;
    entry.user_data = INTERNAL;
    submit_internal(place, queues, me, &entry)
}

/// Waits until every entry has its completion. Nobody takes any but the pump.
fn wait_for_all(context: &Context) {
    loop {
        let pumped = context.pump.is_on();
        if !pumped {
            context.queues().iter().for_each(|queues| drop_completions(context, queues));
        }
        let Some(queues) = context.queues().iter().find(|queues| queues.in_flight() != 0) else {
            return;
        };
        let there = if pumped { queues.kept.load(Ordering::Relaxed) } else { queues.ready() };
        // Again and again: what was just about to be tried once more cannot be found.
        give_up_what_may_not_end(context);
        // Most often all of it has its completion by now, which the pump may have moved on.
        if queues.in_flight() == 0 {
            continue;
        }
        // Not long: the pump may move on, or drop what it keeps, at any time, and then so many never come.
        let gone = !queues.wait_a_while(there + 1, 2_000_000) || !queues.is_open();
        // Without its descriptor the io_uring ends with its mappings, and gives these up then.
        if gone && context.slots.in_flight(|slot| !may_never_end(slot)).next().is_none() {
            return;
        }
    }
}

/// Takes completions that nobody will take any more, for the kernel may keep some that the queue has no
/// room for. One stays, which wakes those who poll the queue; and as many as anybody may want who is about
/// to sleep until there are so many.
pub(super) fn drop_completions(context: &Context, queues: &Queues) {
    let keep = if context.sleepers() == 0 { 1 } else { queues.most_wanted(&context.slots) };
    for _ in keep..queues.ready() {
        let head = queues.cq_head().load(Ordering::Relaxed);
        let cqe = queues.completion(head);
        if cqe.user_data != INTERNAL {
            // Its eventfd is notified with the last of the context (`take_apart`).
            context.slots.of(cqe).mark_done();
        }
        queues.cq_head().store(head.wrapping_add(1), Ordering::Release);
    }
}

/// Leaves a context; the last to leave one that is over takes it apart.
#[inline]
pub(super) fn leave(place: &Place) {
    if place.life.leave() {
        take_apart(place);
    }
}

#[cold]
#[inline(never)]
fn take_apart(place: &Place) {
    if let Some(context) = place.take_context() {
        // SAFETY: nobody else has it, and nobody is left to use it.
        let number = unsafe {
            // What was put in below the signal handler that destroyed it.
            wait_for_all(&*context);
            let number = (*context).number();
            Context::take_apart(context);
            number
        };
        if let Some(table) = table::table() {
            table.close(number, place);
        }
    }
}

/// Whether a call may use a context as a user: counted, alive, and the right one.
pub(super) fn enter(place: &Place, address: io_context_t) -> bool {
    let alive = place.life.enter();
    if alive && place.is_of(address.addr()) {
        return true;
    }
    leave(place);
    false
}

/// The place of a context.
pub(super) fn place_of(context: &Context) -> Option<&'static Place> {
    find(context.address().addr())
}
