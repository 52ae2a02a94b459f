//! The kernel engine: which contexts are ours, and taking events from them: in user space where that
//! is sure to be right, through the kernel otherwise.
//!
//! A context is ours where this library's `io_setup` made it, its ring is one we know, and the table
//! (`table.rs`) has a place for it. The table is one anonymous mapping, made at the first call and
//! never freed, and `MADV_WIPEONFORK` empties it in a child, whose kernel knows none of the parent's
//! contexts.

use core::ffi::{c_int, c_long};
use core::ptr;
use core::sync::atomic::AtomicPtr;

use libc::{EINTR, EINVAL, timespec};

use crate::abi::{io_context_t, io_event};
use crate::gate::{Entry, Pause};
use crate::request::Request;
use crate::ring::{self, Reaped};
use crate::sync::{Ordering, compiler_fence};
use crate::system::{ShortSleep, fail, this_thread};
use crate::table::{Place, Table};
use crate::{config, kernel, nested, probes, spin, stats, system};

/// The table; NULL before the first call, and [`OFF`] where the library only calls the kernel.
static TABLE: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());

/// The table for the fast path: NULL where there is none.
static FAST: AtomicPtr<Table> = AtomicPtr::new(ptr::null_mut());
const OFF: *mut Table = ptr::without_provenance_mut(1);

/// The fast path of `io_getevents`: the context is where it is looked for first, nobody else reaps
/// it, and the ring holds what is asked for. Everything else is left to `elsewhere`, with the arguments
/// still in their registers.
///
/// # Safety
/// As `io_getevents`: `events` has room for `nr` events.
#[inline(always)]
pub(crate) unsafe fn get_events(
    context: io_context_t,
    min_nr: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *const timespec,
    elsewhere: Elsewhere,
) -> c_int {
    let request = Request::without_mask(context, min_nr, nr, events, timeout);
    let me = this_thread();
    'elsewhere: {
        let Some(place) = find_first(context.addr()) else { break 'elsewhere };
        if !request.is_plain() || !place.gate.enter_user_at_once(me) {
            break 'elsewhere;
        }
        // SAFETY: inside the gate; a plain request's pointers are good.
        return match unsafe { reap_and_leave::<true>(place, request, me) } {
            Some(n) => {
                probes::reap_ring(context, n);
                n
            }
            // SAFETY: upheld by the caller.
            None => unsafe { elsewhere(context, min_nr, nr, events, timeout, true) },
        };
    }
    // SAFETY: upheld by the caller.
    unsafe { elsewhere(context, min_nr, nr, events, timeout, false) }
}

/// Who answers where the fast path cannot: the arguments of `io_getevents`, and whether the ring was
/// looked at.
pub(crate) type Elsewhere = unsafe extern "C" fn(
    io_context_t,
    c_long,
    c_long,
    *mut io_event,
    *const timespec,
    bool,
) -> c_int;

/// Reaps inside the gate, and leaves it, with all of that at the place of the call, or not (`FAST`). None:
/// the kernel is to be asked.
///
/// # Safety
/// The caller has entered `place.gate` for user space; the request is plain.
#[inline(always)]
unsafe fn reap_and_leave<const FAST: bool>(
    place: &Place,
    request: Request,
    me: usize,
) -> Option<c_int> {
    // Looked up before the gate was entered; the place may have gone to another address since.
    let ours = place.is_of(request.context.addr());
    let reaped = if ours {
        // SAFETY: in a gate that is not dead the context at the place's address is mapped, since
        // its destroyer enters the gate first. (A program that unmaps or moves the ring behind the
        // library's back, or destroys it by system call, must not use the address: README, Limits.)
        let ring = unsafe { ring::Mapped::at(request.context) };
        let held = || place.gate.is_held_by(me);
        // SAFETY: inside the gate, room as the caller says.
        unsafe {
            let Request { events, .. } = request;
            if FAST {
                ring::reap(&ring, &place.nest, request.least(), request.most(), events, held)
            } else {
                let (least, most) = (request.least(), request.most());
                ring::reap_mapped(&ring, &place.nest, least, most, events, &place.gate, me)
            }
        }
    } else {
        Reaped::Strange
    };
    place.gate.leave_user();
    // A handler that comes in after the look finds the gate free.
    compiler_fence(Ordering::SeqCst);
    if place.at_end.is_any() {
        // Of the other ways `engine.rs` counts.
        let taken = match reaped {
            Reaped::Taken(n) if FAST => n as c_int,
            _ => -1,
        };
        // SAFETY: as many events have been written.
        unsafe { finish(place, request.context, ours, request.events, taken) };
    }
    match reaped {
        Reaped::Taken(n) => Some(n as c_int),
        // The kernel's answer to a child that asks for its parent's context.
        Reaped::Forked => Some(unknown()),
        Reaped::Fewer | Reaped::Strange => None,
    }
}

/// [`get_events`] where the ring did not hold enough.
///
/// # Safety
/// As `io_getevents`.
#[cold]
pub(crate) unsafe fn get_events_of_too_few(request: Request) -> c_int {
    match find(request.context.addr()) {
        // SAFETY: upheld by the caller.
        Some(place) => unsafe { get_events_slowly(place, request, this_thread()) },
        // SAFETY: upheld by the caller.
        None => unsafe { get_events_anyhow(request) },
    }
}

/// `io_getevents` and `io_pgetevents` for any context and any arguments.
///
/// # Safety
/// As `io_getevents`.
#[cold]
#[inline(never)]
pub(crate) unsafe fn get_events_anyhow(request: Request) -> c_int {
    let me = this_thread();
    loop {
        if let Some(place) = find(request.context.addr()) {
            if request.is_plain() && place.gate.enter_user(me) {
                // SAFETY: inside the gate; a plain request's pointers are good.
                if let Some(n) = unsafe { reap_and_leave_out_of_line(place, request, me) } {
                    return n;
                }
            }
            // SAFETY: upheld by the caller.
            return unsafe { get_events_slowly(place, request, me) };
        }
        // SAFETY: upheld by the caller.
        if let Some(answer) = as_stranger(request.context, || unsafe { request.ask_kernel() }) {
            return answer;
        }
        // It got a place in the meantime.
    }
}

/// [`reap_and_leave`], where its size counts for more than its speed.
///
/// # Safety
/// As [`reap_and_leave`].
#[inline(never)]
pub(crate) unsafe fn reap_and_leave_out_of_line(
    place: &Place,
    request: Request,
    me: usize,
) -> Option<c_int> {
    // SAFETY: upheld by the caller.
    unsafe { reap_and_leave::<false>(place, request, me) }
}

/// The way through the kernel, and what user space can do before: watching the ring.
///
/// # Safety
/// As `io_getevents`.
unsafe fn get_events_slowly(place: &Place, request: Request, me: usize) -> c_int {
    if config::spin_ns() != 0 && request.is_plain() {
        // SAFETY: upheld by the caller.
        return unsafe { spin::get_events(place, request, me) };
    }
    // SAFETY: upheld by the caller.
    unsafe { through_kernel(place, request, me) }
}

/// Asks the kernel, inside the gate.
///
/// # Safety
/// As `io_getevents`.
pub(crate) unsafe fn through_kernel(place: &Place, request: Request, me: usize) -> c_int {
    match place.gate.enter_kernel::<ShortSleep>(me) {
        Entry::Kernel => {
            if !place.is_of(request.context.addr()) {
                place.gate.leave_kernel();
                // SAFETY: upheld by the caller.
                return unsafe { get_events_anyhow(request) };
            }
            // In a handler that interrupted a reap the call does not sleep: who waits for that reap
            // to end must not wait for what this call waits for.
            // SAFETY: upheld by the caller.
            let wakeful = unsafe { request.may_sleep() } && is_reaping(me);
            // SAFETY: as above.
            let answer = unsafe { if wakeful { cut_short(request) } else { request.ask_kernel() } };
            place.gate.leave_kernel();
            answer
        }
        // SAFETY: upheld by the caller.
        Entry::Nested => unsafe { nested::get_events(place, request) },
        // Waiting could be for ever. Nothing is taken: later calls find it.
        Entry::Crossed => crossed(request),
    }
}

/// The kernel's answer to a wait that a signal ended: what is there, or EINTR.
///
/// # Safety
/// As `io_getevents`.
#[cold]
#[inline(never)]
pub(crate) unsafe fn cut_short(request: Request) -> c_int {
    let no_wait = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: upheld by the caller; `no_wait` outlives the call.
    match unsafe { get_events_anyhow(Request { timeout: &raw const no_wait, ..request }) } {
        0 => fail(EINTR),
        answer => answer,
    }
}

/// Gives a new context a place in the table, where its ring is one that we know.
pub(crate) fn register(context: io_context_t) {
    let Some(table) = table() else { return };
    // SAFETY: the kernel has just made it, and its owner has not seen it yet.
    if !unsafe { ring::Mapped::at(context) }.is_known() {
        return;
    }
    let address = context.addr();
    let place =
        system::with_signals_blocked(|_| table.place_for::<ShortSleep>(address, this_thread()));
    if let Some(place) = place {
        if !stats::is_off() {
            place.at_end.count();
        }
        table.settle(place, address, || is_alive(context));
    }
}

/// Whether the kernel knows the context. The caller is inside its gate in state *kernel*.
#[inline(never)]
fn is_alive(context: io_context_t) -> bool {
    let no_wait = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: no event is asked for, and the timeout outlives the call.
    let answer =
        || unsafe { kernel::io_getevents(context, 0, 0, ptr::null_mut(), &raw const no_wait) };
    system::errno_kept(answer) == 0
}

/// Runs `call`, which enters the kernel for a context that has no place, unless it has got one.
fn as_stranger<T>(context: io_context_t, call: impl FnOnce() -> T) -> Option<T> {
    match table() {
        Some(table) => table.as_stranger(context.addr(), call),
        None => Some(call()),
    }
}

/// `io_destroy`: no reap in user space is under way, and none begins, when the ring goes.
pub(crate) fn destroy(context: io_context_t) -> c_int {
    loop {
        let Some(place) = find(context.addr()) else {
            match as_stranger(context, || kernel::io_destroy(context)) {
                Some(answer) => return answer,
                None => continue,
            }
        };
        match place.gate.enter_kernel::<ShortSleep>(this_thread()) {
            Entry::Kernel if place.is_of(context.addr()) => {
                let call = || kernel::io_destroy(context);
                return place.destroyed_by(call, || is_alive(context));
            }
            Entry::Kernel => place.gate.leave_kernel(),
            // In a signal handler that interrupted a reap, which still reads the ring: its end
            // destroys the context, a moment later than this answer says.
            Entry::Nested | Entry::Crossed => {
                place.at_end.doom();
                // Another thread's reap may be past its last look at the mark. After a sleep its end
                // is seen here, or the mark there.
                ShortSleep::sleep();
                if place.gate.is_reaped() || !place.at_end.take_doom() {
                    return 0;
                }
            }
        }
    }
}

/// What a mark asks for after a reap, which has taken so many events; -1 where they are not to be counted
/// here.
///
/// # Safety
/// As many events have been written.
#[cold]
#[inline(never)]
unsafe fn finish(
    place: &Place,
    context: io_context_t,
    ours: bool,
    events: *const io_event,
    taken: c_int,
) {
    if taken >= 0 && place.at_end.is_counted() {
        // SAFETY: upheld by the caller.
        unsafe { stats::reaped_at_once(context, events, taken) };
    }
    if ours && place.at_end.take_doom() {
        // The reap has its own answer; whatever this one is, errno is the reap's.
        system::errno_kept(|| destroy(context));
    }
}

/// Whether a thread is reaping in user space, on any context.
#[cold]
#[inline(never)]
pub(crate) fn is_reaping(thread: usize) -> bool {
    table().is_some_and(|table| table.is_reaping(thread))
}

/// The answer where two signal handlers want what each other's thread holds: as if nothing were there
/// yet, or a signal had come.
fn crossed(request: Request) -> c_int {
    let refused = request.refused();
    if refused != 0 {
        return fail(refused);
    }
    // SAFETY: the timeout is good, as far as can be told.
    if unsafe { request.least() } == 0 { 0 } else { fail(EINTR) }
}

/// The place of `address` where it is the first that is looked at.
#[inline]
fn find_first(address: usize) -> Option<&'static Place> {
    // SAFETY: a table is never freed.
    unsafe { FAST.load(Ordering::Acquire).as_ref() }?.find_first(address)
}

/// The place of `address`, if it has one.
fn find(address: usize) -> Option<&'static Place> {
    table()?.find(address)
}

/// The table, made at the first call; None where the library only calls the kernel.
fn table() -> Option<&'static Table> {
    let mut table = TABLE.load(Ordering::Acquire);
    if table.is_null() {
        table = make_table();
    }
    // SAFETY: a table is never freed.
    if table == OFF { None } else { Some(unsafe { &*table }) }
}

#[cold]
fn make_table() -> *mut Table {
    let made = match config::reaps_ring() {
        true => system::wiped_on_fork(size_of::<Table>()).map_or(OFF, |p| p.cast::<Table>()),
        false => OFF,
    };
    // Release: the zeros of a fresh mapping need none, but the reader's Acquire wants its pair.
    match TABLE.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {
            if made != OFF {
                FAST.store(made, Ordering::Release);
            }
            made
        }
        Err(other) => {
            if made != OFF {
                system::unmap(made.cast(), size_of::<Table>());
            }
            other
        }
    }
}

/// `EINVAL` for a context of which a reap can say nothing.
pub(crate) fn unknown() -> c_int {
    fail(EINVAL)
}
