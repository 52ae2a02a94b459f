//! The end of a thread that has submitted requests, and that of the process.
//!
//! A request of io_uring is its thread's: once that has ended, the kernel gives up its polls (their
//! result is `-ECANCELED`), and a buffered read that waited for its page fails (`-EFAULT`), for there is
//! no longer a task in whose memory it could be carried out. The kernel's AIO knows no such bond. So a
//! thread that ends waits for its reads and writes of files and devices, which takes as long as they
//! do; and polls that were given up are submitted anew by who meets their completion. A process that ends
//! waits for its reads and writes: what was submitted is written, and no read comes into memory that others have.
//!
//! # The end of the process
//! It says so first ([`ENDS_ALL`]), then passes each context's lock (`lock.rs`) once, then looks for what it
//! waits for, and lets go of the files that are held for fsyncs (`queues.rs`).
//! - Whoever has put entries in before that pass: they are among those, and the kernel has got them, and taken their
//!   files, before any is let go.
//! - Whoever comes later knows: no file is held for it, and it waits in `io_submit` for what it has submitted.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::context::Context;
use super::queues::Queues;
use super::setup::drop_completions;
use super::slots::Slot;
use super::table::{self, Place, Table};
use super::{INTERNAL, Rest, lock};
use crate::gate::{Pause as _, Turn};
use crate::system::{self, this_thread};

/// The key of a thread-specific value and 1; 0 where there is none.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Whether any thread that had submitted has ended.
static ANY: AtomicBool = AtomicBool::new(false);

/// The thread that ends the process, 0 before that.
static ENDS_ALL: AtomicUsize = AtomicUsize::new(0);

/// How many threads are in their [`thread_ends`].
static ENDING: AtomicU32 = AtomicU32::new(0);

/// How often the thread that ends the process looks at most, above [`at_exit`], whether what it has submitted
/// meanwhile is done: some seconds in all. A timer's handler that submits faster than a disk writes would keep it for
/// ever.
const PATIENCE: u32 = 1 << 16;

fn is_out_of_patience(me: usize) -> bool {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    ENDS_ALL.load(Ordering::Relaxed) == me
        && KEY.load(Ordering::Relaxed) != 0
        && LOOKS.fetch_add(1, Ordering::Relaxed) > PATIENCE
}

/// Whether the process ends. Who asks under the lock of those who put entries in finds either, or is waited for.
pub(super) fn does_the_process_end() -> bool {
    ENDS_ALL.load(Ordering::Relaxed) != 0
}

/// After a thread has submitted: where the process ends, which may have looked already for what it waits for, waits
/// here for its requests of files, so that nothing is lost once `io_submit` has returned.
#[inline]
pub(super) fn wait_where_the_process_ends() {
    if does_the_process_end() {
        ends(SUBMITTER);
    }
}

/// In a child of `fork`: its end is not its parent's, nor those of its parent's threads.
pub(super) fn forget_end() {
    ENDS_ALL.store(0, Ordering::Relaxed);
    ENDING.store(0, Ordering::Relaxed);
}

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
    // SAFETY: room for a key, and a function of this library, which deletes the key before it is unloaded.
    if system::errno_kept(|| unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) })
        != 0
    {
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
        // After the library's end, when nothing is remembered.
        0 if key == u32::MAX => Past::Submits,
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

/// The process ends by `exit(3)`, or the object that the library is linked into is unloaded.
pub(crate) fn at_exit() {
    // (A child of `vfork` that calls exit does so in its parent's memory.)
    if !table::table().is_some_and(Table::is_of_this_process) {
        return;
    }
    ENDS_ALL.store(this_thread(), Ordering::SeqCst);
    // A handler that calls exit now, too, waits as well: it would come to the end of all with no other function left.
    let own = (&raw const KEY).cast_mut().cast();
    // SAFETY: a function of this library's, which is taken off again before the library is unloaded.
    unsafe { __cxa_atexit(ends, PROCESS, own) };
    ends(PROCESS);
    // SAFETY: what was registered with that name is the function above.
    unsafe { __cxa_finalize(own) };
    // From here on no thread's end is noticed: the key is soon another's.
    let key = KEY.swap(0, Ordering::Relaxed).wrapping_sub(1);
    // SAFETY: where there was none, this is none either.
    unsafe { libc::pthread_key_delete(key) };
    // Where the object is unloaded, nobody is to be in here. (One that a handler has interrupted which exits is.)
    for _ in 0..lock::PASSES {
        let nobody = ENDING.load(Ordering::Relaxed) == 0;
        Rest::sleep();
        if nobody {
            break;
        }
    }
}

unsafe extern "C" {
    /// Has `function` called with `argument` at the end of the process, or of the object that `name` names (the C++
    /// ABI).
    fn __cxa_atexit(
        function: extern "C" fn(*mut c_void),
        argument: *mut c_void,
        name: *mut c_void,
    ) -> c_int;
    /// Calls what was registered with that name, and takes it off.
    fn __cxa_finalize(name: *mut c_void);
}

/// A thread ends that has submitted.
extern "C" fn thread_ends(past: *mut c_void) {
    ENDING.fetch_add(1, Ordering::Relaxed);
    ends(past);
    ENDING.fetch_sub(1, Ordering::Release);
}

/// Who waits in [`ends`]: the process that ends, for all reads and writes that it finds at first, as the kernel's AIO
/// does in `exit_aio`.
const PROCESS: *mut c_void = ptr::null_mut();
/// A thread in `io_submit`, for its own.
const SUBMITTER: *mut c_void = ptr::without_provenance_mut(3);

/// Waits until what ends has nothing under way that would be lost: [`PROCESS`], [`SUBMITTER`], or the calling thread,
/// whose specific value is given, of the reads and writes that it finds at first and that the kernel takes for its own,
/// or may.
extern "C" fn ends(who: *mut c_void) {
    ANY.store(true, Ordering::Relaxed);
    let Some(table) = table::table() else { return };
    table.any(|place| {
        wait_in(place, who);
        false
    });
}

/// [`ends`] in one place.
#[inline(never)]
fn wait_in(place: &Place, who: *mut c_void) {
    let me = this_thread();
    // Of a place that was given back meanwhile there is nothing to ask: its life may be another
    // late caller's count alone, with no context.
    let Some(address) = Table::address_of(place) else { return };
    // What a handler on this thread has interrupted in the middle of putting entries in, nobody else can put in: it
    // never has a completion.
    let holds = place.lock.is_held_by(me);
    if who != PROCESS {
        if holds {
            return;
        }
    } else if !holds {
        place.lock.pass::<Rest>(me);
    }
    let mut marked = who == SUBMITTER;
    loop {
        let there = place.life.enter_while_whole() && place.is_of(address);
        let busy = there && {
            // SAFETY: the right one, and a user counts.
            is_busy(place, unsafe { place.context() }, who, me, &mut marked)
        };
        if there && who == PROCESS && !busy {
            // SAFETY: as above.
            unsafe { place.context() }.queues().iter().for_each(Queues::let_go_of_all);
        }
        super::setup::leave(place);
        if !busy || (holds || who == SUBMITTER) && is_out_of_patience(me) {
            return;
        }
        Rest::sleep();
    }
}

/// Marks what is to be waited for; whether there is anything.
fn mark(context: &Context, who: *mut c_void, me: usize) -> bool {
    // A call that found others' entries in the queue has handed them over too.
    let mixed = context.queues().iter().any(Queues::is_mixed);
    let all = mixed || who == PROCESS;
    let awaited = |slot: &Slot| !slot.is_poll() && (all || slot.is_owned_by(me));
    let marked = context.slots.in_flight(awaited);
    marked.map(|(user_data, slot)| slot.mark_awaited(user_data)).count() != 0
}

/// Whether the context has anything under way that is to be waited for, which is marked at first. Not where
/// a queue is full, and the kernel keeps what found no room there: who would take something may be waiting
/// for this thread, and what is kept cannot be told from what is under way.
fn is_busy(
    place: &Place,
    context: &Context,
    who: *mut c_void,
    me: usize,
    marked: &mut bool,
) -> bool {
    if context.in_flight() == 0 {
        return false;
    }
    if !core::mem::replace(marked, true) && !mark(context, who, me) {
        return false;
    }
    for queues in context.queues() {
        // In a handler above a call of this thread's own, nobody else may do that.
        if who == PROCESS && !queues.submit_all() {
            return false;
        }
        // This thread's own part of completing them.
        queues.carry_out();
        // First the head: what lies beyond the tail was never written, or is another round's.
        let head = queues.cq_head().load(crate::sync::Ordering::Acquire);
        let ready = queues.ready();
        if queues.is_stuck(ready) && !context.pump.is_on() {
            if who != PROCESS || place.gate.wait_for_user::<Rest>(me) != Turn::User {
                return false;
            }
            // Nobody takes any more what the end of the process finds there.
            drop_completions(context, queues);
            place.gate.leave_user();
        }
        // What is there already is not under way, but was not taken either. Others may take completions
        // meanwhile: what is read here may be an old one or a new one, and the mark is its request's alone.
        let there = (0..ready).map(|i| queues.user_data(head.wrapping_add(i)));
        for user_data in there.filter(|&user_data| user_data != INTERNAL) {
            let slot = context.slots.get(user_data as u32);
            // Nobody waits for a poll; one that was given up is submitted anew as the same request.
            if !slot.is_poll() {
                slot.mark_done_if_of(user_data);
            }
        }
    }
    // Of what is not a file's nobody knows how long it takes.
    let mut awaited = context.slots.in_flight(|slot| {
        let is_meant = if who == SUBMITTER { slot.is_owned_by(me) } else { slot.is_awaited() };
        is_meant && slot.is_of_a_file()
    });
    awaited.any(|(user_data, slot)| !context.gives_up_as_another(user_data, slot))
}
