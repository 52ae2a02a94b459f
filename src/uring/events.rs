//! `io_getevents` and `io_pgetevents`.

use core::ffi::c_int;
use core::ptr;

use libc::{
    EAGAIN, EBADR, EBUSY, EFAULT, EINTR, EINVAL, ENOMEM, ERESTART, ETIME, sigset_t, timespec,
};
use linux_raw_sys::io_uring::{__kernel_timespec, IORING_ENTER_EXT_ARG, io_uring_getevents_arg};

use super::context::{Context, Sleeper};
use super::queues::{Completions, Queues};
use super::setup::{destroy, enter, leave};
use super::submit::{prepare_thread, submit_again};
use super::table::{self, Place, find};
use super::{Rest, sys, thread_end};
use crate::abi::{io_context_t, io_event};
use crate::config;
use crate::gate::{Pause as _, Turn};
use crate::request::Request;
use crate::ring::{self, Nest, Reaped};
use crate::spin::{self, Look, Watched};
use crate::sync::{Ordering, compiler_fence};
use crate::system::{self, duration_ns, fail, now_ns, refuses, sleep_under, this_thread};

/// `io_getevents` and `io_pgetevents`
///
/// # Safety
/// As `io_getevents`.
pub(crate) unsafe fn get_events(request: Request) -> c_int {
    let address = request.context;
    let entered = |place: &&Place| place.gate.enter_user_at_once(this_thread());
    let plain = request.is_plain().then(|| find(address.addr())).flatten();
    let looked = plain.filter(entered);
    if let Some(place) = looked {
        // SAFETY: inside the gate; a plain request's pointers are good.
        if let Take::Taken(n) = unsafe { take_inside(place, request, request.least(), 0) } {
            return n as c_int;
        }
    }
    // SAFETY: upheld by the caller.
    unsafe { get_events_slowly(request, looked) }
}

/// What came of an attempt to take events.
enum Take {
    /// So many were taken, at least as many as were asked for.
    Taken(u32),
    /// There are fewer, and none was taken.
    Fewer,
    /// There is no such context any more.
    Gone,
    /// Another thread holds the gate, which may wait for this one (`Entry::Crossed`).
    Crossed,
}

/// Takes events inside the gate, behind those that were taken before, and leaves it.
///
/// # Safety
/// The caller has entered the gate in state *user*; `events` of the request has room.
#[inline]
unsafe fn take_inside(place: &Place, request: Request, least: u32, taken: u32) -> Take {
    let address = request.context;
    if !place.is_of(address.addr()) {
        place.gate.leave_user();
        return Take::Gone;
    }
    // SAFETY: inside the gate, and the right one.
    let context = unsafe { place.context() };
    let me = this_thread();
    let held = || place.gate.is_held_by(me);
    let (to, most) = (request.events.wrapping_add(taken as usize), request.most() - taken);
    let reaped = if context.pump.is_on() {
        let [nest, _] = &place.nests;
        // SAFETY: inside the gate, room as the caller says.
        unsafe { ring::reap_mapped(&context.ring(), nest, least, most, to, &place.gate, me) }
    } else {
        let of = match context.only(me) {
            Some(only) => core::slice::from_ref(only),
            // How many there are in both is told by taking them.
            None if least > 0 => &[],
            None => context.queues(),
        };
        each(of, most, to, |queues, most, to| {
            let nest = nest_of(place, queues);
            // SAFETY: as above.
            unsafe { ring::reap(&completions(context, queues), nest, least, most, to, held) }
        })
    };
    let found = outcome(reaped);
    // A poll that finds nothing has to ask, and its thread to be known.
    let vain = least == 0 && matches!(found, Take::Taken(0));
    let ends = !vain || most == 0 || context.sharing.knows(me) && !may_have_more(context);
    leave_gate(place, address);
    if ends { found } else { Take::Fewer }
}

/// Whether what a look did not find may be there all the same, for [`look_closer`]: the kernel waits for
/// the thread that has submitted to enter it (`sharing.rs`), something was not asked, or a poll of a thread
/// that has ended stands before it.
#[inline]
fn may_have_more(context: &Context) -> bool {
    context.quiet().in_flight() != 0
        || context.has_unasked()
        || thread_end::was_there_any() && has_orphan(context)
}

/// Has this thread do what others may wait for it to do, so that what there is can be found.
fn look_closer(place: &'static Place, context: &Context) {
    context.ask_now();
    context.quiet().carry_out();
    // Who waits for a gate that this thread holds below may hold what that takes.
    if !Rest::holds_a_gate(this_thread()) {
        while !settle_orphan(place, context) {}
    }
}

/// Whether a poll stands in the way of other completions that is to be submitted anew.
fn has_orphan(context: &Context) -> bool {
    !context.pump.is_on()
        && context.queues().iter().any(|queues| completions(context, queues).orphan().is_some())
}

/// How far a reap of those completions has come.
fn nest_of<'a>(place: &'a Place, queues: &Queues) -> &'a Nest {
    let [quiet, shared] = &place.nests;
    if queues.number == 0 { quiet } else { shared }
}

/// Takes up to `most` events to `to`, of one io_uring after the other.
#[inline]
fn each(
    of: &[Queues],
    most: u32,
    to: *mut io_event,
    reap: impl Fn(&Queues, u32, *mut io_event) -> Reaped,
) -> Reaped {
    if of.is_empty() {
        return Reaped::Fewer;
    }
    let mut taken = 0;
    for queues in of {
        match reap(queues, most - taken, to.wrapping_add(taken as usize)) {
            Reaped::Taken(n) => taken += n,
            // What was taken before is the caller's.
            _ if taken > 0 => break,
            other => return other,
        }
    }
    Reaped::Taken(taken)
}

fn outcome(reaped: Reaped) -> Take {
    match reaped {
        Reaped::Taken(n) => Take::Taken(n),
        Reaped::Fewer => Take::Fewer,
        // Who stores senseless indices into the ring finds no event there.
        Reaped::Strange | Reaped::Forked => Take::Gone,
    }
}

fn completions<'a>(context: &'a Context, queues: &'a Queues) -> Completions<'a> {
    Completions { queues, slots: &context.slots, may_be_orphans: thread_end::was_there_any() }
}

/// Leaves the gate after a reap; where a signal handler destroyed the context meanwhile, does it now.
#[inline]
pub(super) fn leave_gate(place: &Place, address: io_context_t) {
    place.gate.leave_user();
    // A handler that comes in after the look finds the gate free.
    compiler_fence(Ordering::SeqCst);
    if place.at_end.is_doomed() && place.at_end.take_doom() {
        // The reap has its own answer; errno is the reap's.
        system::errno_kept(|| destroy(address));
    }
}

/// Takes events, waiting for the gate.
///
/// # Safety
/// As [`take_inside`], but for the gate.
unsafe fn take(place: &Place, request: Request, taken: u32) -> Take {
    let me = this_thread();
    match place.gate.wait_for_user::<Rest>(me) {
        // SAFETY: upheld by the caller.
        Turn::User => unsafe { take_inside(place, request, 0, taken) },
        Turn::Dead => Take::Gone,
        Turn::Crossed => Take::Crossed,
        Turn::Nested => system::with_signals_blocked(|_| {
            if place.at_end.is_doomed() {
                return Take::Gone;
            }
            // SAFETY: the reap below this handler is inside the gate, of this very context: a handler
            // does not run long enough for another to come to the place.
            let context = unsafe { place.context() };
            let (to, most) = (request.events.wrapping_add(taken as usize), request.most() - taken);
            outcome(if context.pump.is_on() {
                let [nest, _] = &place.nests;
                // SAFETY: room as the caller says, and signals are blocked.
                unsafe { ring::reap_nested(&context.ring(), nest, most, to) }
            } else {
                each(context.queues(), most, to, |queues, most, to| {
                    let (completions, nest) =
                        (completions(context, queues), nest_of(place, queues));
                    // SAFETY: as above.
                    unsafe { ring::reap_nested(&completions, nest, most, to) }
                })
            })
        }),
    }
}

/// Any request, with the kernel's checks in its order. `looked` is the place where there were too few events a
/// moment ago.
///
/// # Safety
/// As `io_getevents`.
#[cold]
#[inline(never)]
unsafe fn get_events_slowly(request: Request, looked: Option<&'static Place>) -> c_int {
    let address = request.context;
    let Some(place) = looked.or_else(|| find(address.addr())) else {
        // SAFETY: upheld by the caller.
        return unsafe { request.ask_kernel() };
    };
    if !request.timeout.is_null() && refuses(request.timeout) {
        return fail(EFAULT);
    }
    // What the mask lets through comes through, also where events are ready.
    let interrupted = match request.sigmask.is_null() {
        true => 0,
        false => sleep_under(0, request.sigmask),
    };
    if interrupted != 0 && interrupted != EINTR {
        return fail(interrupted);
    }
    if !enter(place, address) {
        return fail(EINVAL);
    }
    // SAFETY: upheld by the caller; a user counts.
    let answer = unsafe { get_events_as_user(place, request, looked.is_some(), interrupted != 0) };
    leave(place);
    answer.unwrap_or_else(fail)
}

/// # Safety
/// As `io_getevents`; the caller counts as a user of the place.
unsafe fn get_events_as_user(
    place: &'static Place,
    request: Request,
    looked: bool,
    interrupted: bool,
) -> Result<c_int, c_int> {
    // SAFETY: upheld by the caller.
    let context = unsafe { place.context() };
    context.note(this_thread());
    if !(0 <= request.min_nr && request.min_nr <= request.nr) {
        // The kernel would have read it before.
        let read = request.timeout.is_null() || system::is_readable(request.timeout);
        return Err(if read { EINVAL } else { EFAULT });
    }
    // SAFETY: the timeout is good, as far as can be told.
    let (limit, least) = unsafe { (duration_ns(request.timeout), request.least()) };
    let is_endless = limit == u64::MAX;
    let now = || if is_endless { 0 } else { now_ns() };
    let start = now();
    let (mut taken, mut asked, mut interrupted) = (0, false, interrupted);
    // For one event, without end, the call sleeps, where the kernel looks itself before it does so.
    let mut looked = looked && is_endless && least == 1;
    let ended = loop {
        if place.life.is_over() {
            break EINVAL;
        }
        if !looked {
            // SAFETY: upheld by the caller.
            match unsafe { take_or_fault(place, context, request, taken) } {
                Err(error) => break error,
                Ok(Take::Taken(n)) => taken += n,
                Ok(Take::Gone) => break EINVAL,
                // As if nothing were there yet, or a signal had come.
                Ok(Take::Crossed) => break if least == 0 { 0 } else { EINTR },
                Ok(Take::Fewer) => (),
            }
        }
        looked = false;
        let me = this_thread();
        let ends = if taken >= least {
            Err(if interrupted { EINTR } else { 0 })
        } else if interrupted || above_another(place, me) {
            // In a handler that interrupted a reap of another context the call does not sleep: who waits
            // for that reap to end must not wait for what this call waits for.
            Err(EINTR)
        } else {
            match limit.saturating_sub(now() - start) {
                0 => Err(0),
                left => Ok(left),
            }
        };
        let left = match ends {
            Ok(left) => left,
            // Without a sleep, so this is the call's one way into the kernel.
            Err(_) if taken < least.max(1) && !asked && may_have_more(context) => {
                look_closer(place, context);
                asked = true;
                continue;
            }
            Err(ended) => break ended,
        };
        if !settle_orphan(place, context) {
            continue;
        }
        match wait(place, context, request, least - taken, left) {
            0 => (),
            // Some events had come before the signal; unless it was the time.
            ERESTART => interrupted = now() - start < limit,
            // What came after the signal is left for the next call, as the kernel does.
            answer => break answer,
        }
    };
    leave_rest_to_others(context);
    if taken == 0 && ended != 0 { Err(ended) } else { Ok(taken as c_int) }
}

/// Whether a signal handler's call has interrupted a reap of another context, or a submission.
fn above_another(place: &Place, me: usize) -> bool {
    let held = || table::table().is_some_and(|table| table.another_is_held_by(place, me));
    !place.gate.is_held_by(me) && held()
}

/// [`take`], or the kernel's answer where events have come and there is no memory to put them in.
///
/// # Safety
/// As `io_getevents`; the caller counts as a user of the place.
#[inline(never)]
unsafe fn take_or_fault(
    place: &'static Place,
    context: &Context,
    request: Request,
    taken: u32,
) -> Result<Take, c_int> {
    if request.most() == taken {
        return Ok(Take::Taken(0));
    }
    if !refuses(request.events) {
        // SAFETY: upheld by the caller.
        return Ok(unsafe { take(place, request, taken) });
    }
    let there = match context.pump.is_on() {
        true => ring::events_in(&context.ring()),
        false => context.ready(),
    };
    if there > 0 { Err(EFAULT) } else { Ok(Take::Taken(0)) }
}

/// Has a poll submitted anew that stands in the way of other completions; false where there was one.
#[inline(always)]
fn settle_orphan(place: &'static Place, context: &Context) -> bool {
    !thread_end::was_there_any() || !has_orphan(context) || settle_now(place, context)
}

#[cold]
#[inline(never)]
fn settle_now(place: &'static Place, context: &Context) -> bool {
    prepare_thread();
    // By turns: it stays in the way for as long as others come first, who only find the same.
    if place.gate.wait_for_user::<Rest>(this_thread()) != Turn::User {
        return true;
    }
    let (mut found, mut settled) = (false, true);
    system::with_signals_blocked(|_| {
        if !context.pump.is_on() && !place.life.is_over() {
            for queues in context.queues() {
                if let Some(cqe) = completions(context, queues).orphan() {
                    found = true;
                    settled &= submit_again(context, place, queues, cqe);
                }
            }
        }
    });
    leave_gate(place, context.address());
    if !settled {
        Rest::sleep();
    }
    !found
}

/// Waits for `more` events, up to `left` nanoseconds: 0, or the error that ends the call; `ERESTART` where
/// that is EINTR, or the time's end, beside fewer events that are to be taken. It may come back without any.
fn wait(place: &'static Place, context: &Context, request: Request, more: u32, left: u64) -> c_int {
    // Above a reap of this thread's own, what that has not given back yet would be found again and again.
    if config::spin_ns() == 0 || place.gate.is_held_by(this_thread()) {
        return sleep(place, context, request, more, left);
    }
    let (average, start) = (&place.average_wait_ns, now_ns());
    let look = || if is_something(place, context) { Look::Found(()) } else { Look::Again };
    match spin::watch(average, start, left, look) {
        Watched::Found(()) => {
            request.found_by_spinning();
            return 0;
        }
        Watched::Interrupted => return EINTR,
        Watched::InVain => (),
    }
    let answer = sleep(place, context, request, more, left.saturating_sub(now_ns() - start));
    spin::note_sleep(average, is_something(place, context), now_ns() - start);
    answer
}

/// Whether there is anything to take, for who looks again and again.
fn is_something(place: &'static Place, context: &Context) -> bool {
    if context.pump.is_on() {
        return ring::events_in(&context.ring()) > 0;
    }
    if context.ready() == 0 && may_have_more(context) {
        look_closer(place, context);
    }
    context.ready() > 0
}

/// Sleeps in the kernel; as [`wait`].
#[inline(never)]
fn sleep(place: &Place, context: &Context, request: Request, more: u32, left: u64) -> c_int {
    -request.in_kernel(|| -sleep_in_kernel(place, context, request, more, left))
}

/// See [`sleep`].
fn sleep_in_kernel(
    place: &Place,
    context: &Context,
    request: Request,
    more: u32,
    left: u64,
) -> c_int {
    let mut time =
        timespec { tv_sec: (left / 1_000_000_000) as _, tv_nsec: (left % 1_000_000_000) as _ };
    if place.gate.is_held_by(this_thread()) {
        context.ask_now();
        return sleep_above_a_reap(place, request, left);
    }
    // What is left of no limit is none (`duration_ns` gives no other that is so large).
    let endless = left > i64::MAX as u64;
    let time_or_none = if endless { ptr::null_mut() } else { &raw mut time };
    if context.pump.is_on() {
        return sleep_on_bell(place, context, request, time_or_none);
    }
    let me = this_thread();
    let more = more.min(context.quiet().most_wanted(&context.slots));
    let mut counted = Sleeper::on(context, me);
    // A handler that comes in from here on, and submits, asks by itself.
    context.ask_now();
    if place.life.is_over() || context.pump.is_on() {
        return 0;
    }
    let only = if counted.alone { Some(context.quiet()) } else { context.only(me) };
    // As io_pgetevents, and unlike io_uring_enter, ppoll goes on after a stop.
    let Some(queues) = only.filter(|_| !request.with_mask && counted.may_enter(more)) else {
        let fds = only.map_or(context.descriptors(), |only| [only.fd, -1]);
        return after(sys::wait_readable(fds, time_or_none, request.sigmask), request.sigmask);
    };
    // It has 64 bits for either part everywhere.
    let kernel_time = __kernel_timespec { tv_sec: time.tv_sec as _, tv_nsec: time.tv_nsec as _ };
    let arg = io_uring_getevents_arg {
        sigmask: 0,
        sigmask_sz: 0,
        min_wait_usec: 0,
        ts: (&raw const kernel_time).addr() as u64,
    };
    let head = queues.cq_head().load(Ordering::Acquire);
    let (flags, arg) = match endless {
        true => (queues.wait_flags & !IORING_ENTER_EXT_ARG, None),
        false => (queues.wait_flags, Some(&arg)),
    };
    let answer = sys::enter(queues.fd, 0, more, flags, arg);
    // The kernel gives no reason for an early end where there is any completion (`io_cqring_wait`).
    if answer >= 0 && queues.newest().wrapping_sub(head) < more {
        return ERESTART;
    }
    after(answer, ptr::null())
}

/// What a sleep in the kernel comes to that has answered so: 0, or the error that ends the call.
fn after(answer: c_int, mask: *const sigset_t) -> c_int {
    match -answer {
        // The time is over, which the caller's clock says too; or completions found no room.
        ETIME | EBADR => 0,
        // The kernel lacks memory for the moment. The kernel's AIO would have slept: so does this, for a
        // moment, and looks again.
        EAGAIN | EBUSY | ENOMEM => sleep_under(50_000, mask),
        // A signal; or what shows that the program has closed the descriptor.
        error => error.max(0),
    }
}

/// [`sleep`] in a signal handler that interrupted a reap of the same context, which has not given back
/// what it takes: to the kernel that is still there. So the handler looks again every millisecond, and
/// where others wait for that reap, goes back to it (`nested.rs`).
#[cold]
fn sleep_above_a_reap(place: &Place, request: Request, left: u64) -> c_int {
    if place.gate.is_wanted() {
        return EINTR;
    }
    sleep_under(left.min(1_000_000), request.sigmask)
}

/// Sleeps until the pump has put something into the ring.
fn sleep_on_bell(place: &Place, context: &Context, request: Request, time: *mut timespec) -> c_int {
    let pump = &context.pump;
    pump.wait();
    let mut answer = 0;
    if ring::events_in(&context.ring()) == 0 && !place.life.is_over() {
        answer = sys::wait_readable([pump.bell(), -1], time, request.sigmask);
        if answer > 0 && !place.life.is_over() {
            sys::silence_bell(pump.bell());
            // What the destroyer has rung meanwhile is for all.
            if place.life.is_over() {
                sys::ring_bell(pump.bell());
            }
        }
    }
    pump.waited();
    after(answer, request.sigmask)
}

/// Whoever was woken by the bell has silenced it: it rings again for the others, where there is more.
fn leave_rest_to_others(context: &Context) {
    if context.pump.is_on() && ring::events_in(&context.ring()) > 0 {
        context.pump.ring_if_waited_for();
    }
}
