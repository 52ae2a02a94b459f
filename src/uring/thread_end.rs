//! The end of a thread that has submitted requests.
//!
//! A request of io_uring is its thread's: once that has ended, the kernel gives up its polls (their
//! result is `-ECANCELED`), and a buffered read that waited for its page fails (`-EFAULT`), for there is
//! no longer a task in whose memory it could be carried out. The kernel's AIO knows no such bond. So a
//! thread that ends waits for its reads and writes of files and devices, which takes as long as they
//! do; and polls that were given up are submitted anew by who meets their completion.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Rest;
use super::events::leave_gate;
use super::queues::Queues;
use super::slots::Slot;
use super::table::{self, Place, Table};
use crate::gate::Pause as _;
use crate::system::{self, this_thread};

/// The key of a thread-specific value and 1; 0 where there is none.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Whether any thread that had submitted has ended.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether polls may have been given up.
#[inline]
pub(super) fn was_there_any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Prepares to notice the end of threads; whether that was possible.
pub(super) fn prepare() -> bool {
    if KEY.load(Ordering::Acquire) != 0 {
        return true;
    }
    let mut key = 0;
    // SAFETY: room for a key, and a function of this library, which is never unloaded.
    if system::errno_kept(|| unsafe { libc::pthread_key_create(&raw mut key, Some(ends)) }) != 0 {
        return false;
    }
    if KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire).is_err() {
        // SAFETY: nobody has used it.
        unsafe { libc::pthread_key_delete(key) };
    }
    true
}

/// What a thread that submits has done before.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Past {
    /// Nothing.
    None = 0,
    /// It has submitted.
    Submits = 1,
    /// It has submitted to an io_uring that several threads use (`sharing.rs`).
    Shares = 2,
}

/// The calling thread submits: its end shall be noticed. What it has done before.
#[inline]
pub(super) fn notice() -> Past {
    let key = KEY.load(Ordering::Relaxed).wrapping_sub(1);
    // SAFETY: the key exists. The function does no more than look into the thread's own block for the
    // first keys of a process, so a signal handler may come here.
    match unsafe { libc::pthread_getspecific(key) }.addr() {
        0 => {
            remember(Past::Submits);
            Past::None
        }
        1 => Past::Submits,
        _ => Past::Shares,
    }
}

/// Has [`notice`] tell that; of a child of `fork`, which has no worker of its own yet, that it has
/// done nothing.
#[cold]
pub(super) fn remember(past: Past) {
    let key = KEY.load(Ordering::Relaxed).wrapping_sub(1);
    // SAFETY: as in `notice`.
    unsafe { libc::pthread_setspecific(key, ptr::without_provenance(past as usize)) };
}

unsafe extern "C" fn ends(_: *mut c_void) {
    ANY.store(true, Ordering::Relaxed);
    let Some(table) = table::table() else { return };
    let me = this_thread();
    table.any(|place| {
        // Of a place that was given back meanwhile there is nothing to ask: its life may be another
        // late caller's count alone, with no context.
        let Some(address) = Table::address_of(place) else { return false };
        if place.life.enter() && place.is_of(address) {
            mark_own(place, me);
        }
        super::setup::leave(place);
        while place.life.enter() && place.is_of(address) && is_busy(place, me) {
            super::setup::leave(place);
            Rest::sleep();
        }
        super::setup::leave(place);
        false
    });
}

/// Marks the reads and writes that the kernel takes for this thread's, or may. The caller counts as a
/// user.
fn mark_own(place: &Place, me: usize) {
    // SAFETY: as the caller says.
    let context = unsafe { place.context() };
    // A call that found others' entries in the queue has handed them over too.
    let mixed = context.queues().iter().any(Queues::is_mixed);
    let own = |slot: &Slot| !slot.is_poll() && (mixed || slot.is_owned_by(me));
    context.slots.in_flight(own).for_each(|(user_data, slot)| slot.mark_awaited(user_data));
}

/// Whether the context has reads or writes of this thread's under way. The caller counts as a user.
fn is_busy(place: &Place, me: usize) -> bool {
    // SAFETY: as the caller says.
    let context = unsafe { place.context() };
    if context.in_flight() == 0 {
        return false;
    }
    // What is there already is not under way, but was not taken either.
    system::with_signals_blocked(|_| {
        if !place.gate.enter_user(me) {
            return;
        }
        if !context.pump.is_on() {
            for queues in context.queues() {
                let head = queues.cq_head().load(crate::sync::Ordering::Relaxed);
                for i in 0..queues.ready() {
                    let slot = context.slots.of(queues.completion(head.wrapping_add(i)));
                    // Nobody waits for a poll; one that was given up is submitted anew as the same request.
                    if !slot.is_poll() {
                        slot.mark_done();
                    }
                }
            }
        }
        leave_gate(place, context.address());
    });
    // This thread's own part of completing them.
    context.queues().iter().for_each(Queues::carry_out);
    // Of what is not a file's nobody knows how long it takes.
    let mut awaited = context.slots.in_flight(|slot| slot.is_awaited() && slot.is_of_a_file());
    awaited.any(|(user_data, slot)| !context.gives_up_as_another(user_data, slot))
}
