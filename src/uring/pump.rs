//! The thread of a context whose program asks to be notified by an eventfd: it moves completions into
//! the ring at the context's address, and then adds to the eventfds.
//!
//! So a program that is woken by the eventfd and reads the ring by itself (QEMU) finds its events
//! there, and one that calls `io_getevents` gets them from there too. Other contexts have no such
//! thread, and their completions are taken straight from the queue.
//!
//! | state | who takes completions off the queue | where `io_getevents` looks, where it sleeps |
//! | --- | --- | --- |
//! | off | who holds the gate in state *user* | the queues; `io_uring_enter`, or `ppoll` on both |
//! | on | the pump alone | the ring; `ppoll` on the bell |
//!
//! It goes on at the first request with an eventfd, by a thread that holds the gate in state *user*,
//! and stays on until the context was destroyed. To the ring the pump is what the kernel is to that of
//! its own contexts: it stores events, then the tail; whoever holds the gate, or the program by itself,
//! stores the head.
//!
//! # The bell
//! An eventfd on which threads sleep. A sleeper counts itself, looks at the ring once more, and sleeps;
//! the pump stores the tail, and rings where anybody is counted. A fence between the two steps on
//! either side has one of the two see the other. Who wakes silences the bell before it looks again, and
//! rings anew where it leaves events to others (`events.rs`).
//!
//! Those who sleep already when the pump goes on, or are about to, do so in the kernel, until a queue has as
//! many completions as they want, or any at all (`events.rs`). While there are any, before a request's
//! completion is moved, as many stay in its queue as anybody may want that are no request's.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use libc::EAGAIN;
use linux_raw_sys::io_uring::{IORING_ENTER_GETEVENTS, io_uring_cqe};

use super::context::Context;
use super::forked::{self, Whose};
use super::queues::Queues;
use super::shared_eventfd::SharedEventfd;
use super::table::Place;
use super::{INTERNAL, Rest, sys};
use crate::gate::Pause as _;
use crate::ring;
use crate::sync::{AtomicU32, Ordering, fence};
use crate::system::{self, this_thread};

unsafe extern "C" {
    /// `pthread_setcancelstate(3)`, which the libc crate does not declare.
    fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
}
const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// How many events an eventfd is told of at once at most. (It must have room for as many: a write to one that had
/// room for fewer would wait.)
const MOST_UNTOLD: u32 = 32;

/// How long the pump waits where more may come elsewhere.
const A_MOMENT_NS: i64 = 1_000_000;

/// Bytes of stack, of which the thread's own variables of the C library take a part.
const STACK: usize = 128 * 1024;

/// All zero is a pump that is off.
#[repr(C)]
pub(super) struct Pump {
    on: AtomicU32,
    /// How many threads sleep, or are about to, until the bell rings.
    waiters: AtomicU32,
    /// The bell's descriptor and 1.
    bell: AtomicU32,
    /// The eventfd that most requests are expected to name, since the first does. Requests that name others have a
    /// descriptor each.
    shared: SharedEventfd,
    /// Its number to the program, and 1; 0 where there is none. Stored last.
    number: AtomicU32,
    /// What has it under that number, and so tells whether that is still the same file; its descriptor and 1.
    epoll: AtomicU32,
    /// Written before `on`, read by the destroyer.
    thread: UnsafeCell<libc::pthread_t>,
}

/// What the thread is given: its context and the place of it, both of which outlive it.
struct Work {
    context: &'static Context,
    place: &'static Place,
}

impl Pump {
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire) != 0
    }

    pub(super) fn bell(&self) -> c_int {
        self.bell.load(Ordering::Relaxed) as c_int - 1
    }

    /// Counts a thread that will sleep on the bell if there is nothing.
    pub(super) fn wait(&self) {
        self.waiters.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with the one in `ring_if_waited_for`
    }

    pub(super) fn waited(&self) {
        self.waiters.fetch_sub(1, Ordering::Relaxed);
    }

    /// Rings where anybody waits.
    pub(super) fn ring_if_waited_for(&self) {
        fence(Ordering::SeqCst); // pairs with the one in `wait`
        if self.waiters.load(Ordering::Relaxed) != 0 {
            sys::ring_bell(self.bell());
        }
    }

    fn epoll(&self) -> c_int {
        self.epoll.load(Ordering::Relaxed) as c_int - 1
    }

    /// A descriptor of our own for one more request that names this eventfd, if that is the one that requests share:
    /// `known` where a request that is not in a queue yet has it, so that it is the one, and stays open.
    pub(super) fn take_shared(
        &self,
        context: &Context,
        fd: c_int,
        known: &mut bool,
    ) -> Option<c_int> {
        let number = self.number.load(Ordering::Acquire);
        // (Where the program has closed all of ours, epoll's number may be its own by now.)
        let is_it = || context.quiet().is_open() && sys::is_in_epoll(self.epoll(), fd);
        if number == 0 || number as c_int - 1 != fd || !*known && !is_it() {
            return None;
        }
        let duplicate = || {
            let own = sys::duplicate(fd);
            // The number may just have become another's, and that file's descriptor would be everybody's.
            if own < 0 || sys::is_in_epoll(self.epoll(), fd) {
                return own;
            }
            sys::close(own);
            -EAGAIN
        };
        let taken = self.shared.take(duplicate, sys::close);
        *known = taken.is_some();
        taken
    }

    /// Has requests share a descriptor of the eventfd with that number. Only who has the pump go on is here.
    fn share(&self, context: usize, fd: c_int) {
        let epoll = sys::epoll();
        self.epoll.store((epoll + 1) as u32, Ordering::Relaxed);
        forked::note(context, Whose::Epoll, epoll);
        // Where there was none to be had, each request goes on having its own.
        if sys::add_to_epoll(epoll, fd) == 0 {
            self.number.store((fd + 1) as u32, Ordering::Release);
        }
    }

    /// So many requests have that descriptor of an eventfd no more; whether it is to be closed.
    #[inline(never)]
    fn give(&self, fd: c_int, n: u32) -> bool {
        !self.shared.is(fd) || self.shared.give(n)
    }

    /// Closes the descriptor that a request had of an eventfd, unless others share it.
    pub(super) fn close_eventfd(&self, fd: c_int) {
        if fd >= 0 && self.give(fd, 1) {
            sys::close(fd);
        }
    }

    /// Adds to the eventfd of so many requests, once their events are there, and gives it back.
    #[inline(never)]
    pub(super) fn notify(&self, Untold { fd, n }: Untold) {
        if fd < 0 {
            return;
        }
        // (The program may have closed it, and have its own under that number. Then the next request that finds none
        // in flight makes another.)
        let is_ours = sys::kind_of(fd) == 0;
        if is_ours {
            sys::notify(fd, n);
        }
        if self.give(fd, n) && is_ours {
            sys::close(fd);
        }
    }

    /// Gives back the bell and what tells of the eventfd, where the context's descriptors, of which `quiet` has one,
    /// are still ours.
    pub(super) fn close(&self, quiet: &Queues) {
        if self.bell() >= 0 && quiet.is_open() {
            sys::close(self.bell());
            sys::close(self.epoll());
        }
    }
}

/// Has a pump go on, for a request that names that eventfd. The caller holds the gate in state *user*, and no other
/// thread does this.
pub(super) fn start(context: &'static Context, resfd: c_int) -> Result<(), c_int> {
    let pump = &context.pump;
    if pump.bell() < 0 {
        let bell = sys::eventfd();
        if bell < 0 {
            return Err(EAGAIN);
        }
        pump.bell.store(bell as u32 + 1, Ordering::Relaxed);
        forked::note(context.number(), Whose::Bell, bell);
        pump.share(context.number(), resfd);
    }
    let mut thread = MaybeUninit::uninit();
    // The thread inherits the mask: no handler of the program's runs on it.
    let answer = system::with_signals_blocked(|_| {
        system::errno_kept(|| {
            let mut attributes = MaybeUninit::uninit();
            let attributes = attributes.as_mut_ptr();
            let argument = ptr::from_ref(context).cast_mut().cast();
            // SAFETY: initialised first (a size is nothing that would have to be destroyed); `work` reads what
            // `context` holds, which outlives the thread (`stop`).
            unsafe {
                libc::pthread_attr_init(attributes);
                libc::pthread_attr_setstacksize(attributes, STACK);
                let thread = thread.as_mut_ptr();
                match libc::pthread_create(thread, attributes, work, argument) {
                    // The program's own variables of each thread leave too little: with its own stacks.
                    libc::EINVAL => libc::pthread_create(thread, ptr::null(), work, argument),
                    answer => answer,
                }
            }
        })
    });
    if answer != 0 {
        return Err(EAGAIN);
    }
    // SAFETY: nobody reads it before `on`.
    unsafe { *pump.thread.get() = thread.assume_init() };
    pump.on.store(1, Ordering::Release);
    Ok(())
}

/// Ends the pump of a context that is over, once everything has its completion; where it sleeps, the
/// caller has woken it by an entry.
pub(super) fn stop(context: &Context) {
    if context.pump.is_on() {
        sys::ring_bell(context.pump.bell());
        // pthread_join is a cancellation point, and io_destroy is none.
        // SAFETY: stored before `on`, and joined once, by the only destroyer.
        system::errno_kept(|| unsafe {
            let mut before = 0;
            pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before);
            libc::pthread_join(*context.pump.thread.get(), ptr::null_mut());
            pthread_setcancelstate(before, &raw mut before);
        });
    }
}

extern "C" fn work(argument: *mut c_void) -> *mut c_void {
    // SAFETY: `start` gave it; it lives until this thread has ended.
    let context: &'static Context = unsafe { &*argument.cast() };
    let Some(place) = super::setup::place_of(context) else { return ptr::null_mut() };
    let name = c"libaio-pump";
    // SAFETY: a C string.
    unsafe { system::call(libc::SYS_prctl, libc::PR_SET_NAME, name.as_ptr(), 0) };
    let work = Work { context, place };
    while !context.pump.is_on() {
        Rest::sleep();
    }
    fence(Ordering::SeqCst); // pairs with the one in `Sharing::falls_asleep`
    loop {
        let moved = work.move_all();
        // Nothing is put in any more but below a signal handler that destroys (`setup.rs`).
        if place.life.is_over() && context.queues().iter().all(|queues| queues.requests() == 0) {
            return ptr::null_mut();
        }
        if !moved && !work.wait() {
            // The program has closed the descriptor: nothing is certain to come any more.
            if place.life.is_over() {
                return ptr::null_mut();
            }
            Rest::sleep();
        }
    }
}

/// An eventfd of requests whose events are in the ring, and how many of them it does not tell of yet.
pub(super) struct Untold {
    pub(super) fd: c_int,
    pub(super) n: u32,
}

impl Untold {
    const NONE: Untold = Untold { fd: -1, n: 0 };

    /// What there is; from here on there is none.
    fn take(&mut self) -> Untold {
        core::mem::replace(self, Untold::NONE)
    }
}

impl Work {
    /// The thread as one that uses the context.
    fn me(&self) -> usize {
        ptr::from_ref(self.context).addr()
    }

    /// Waits until there is a completion to move; false where that is not possible.
    fn wait(&self) -> bool {
        let Work { context, .. } = self;
        let kept = |queues: &Queues| queues.kept.load(Ordering::Relaxed);
        // Behind one who sleeps until there are several the pump would not be woken (`Sleeper::may_enter`).
        let sleepers = context.sleepers() != 0;
        // Nor behind the destroyer, who waits in the same queue for as many as there were (`wait_for_all`).
        let over = self.place.life.is_over();
        let only = if over { None } else { context.only(self.me()) };
        if let Some(queues) = only.filter(|queues| !sleepers || kept(queues) != 0) {
            let more = 1 + kept(queues);
            return sys::enter(queues.fd, 0, more, IORING_ENTER_GETEVENTS, None) >= 0;
        }
        // Queues that have something all the time cannot be polled for more. While somebody sleeps on the
        // quiet one alone, everything comes there; else who sleeps is awake in a moment.
        if over || context.queues().iter().any(|queues| kept(queues) != 0) {
            let queues = context.quiet();
            return queues.wait_a_while(1 + kept(queues), A_MOMENT_NS);
        }
        // (Who closes one closes all.)
        context.quiet().is_open()
            && sys::wait_readable(context.descriptors(), ptr::null_mut(), ptr::null()) >= 0
    }

    /// Moves every completion that is there; whether there was any.
    fn move_all(&self) -> bool {
        let mut moved = false;
        let pump = &self.context.pump;
        let mut untold = Untold::NONE;
        'all: for queues in self.context.queues() {
            // Who counts itself later sees that the pump is on.
            let keeps = queues.ready() > 0 && self.context.sleepers() != 0;
            if keeps {
                pump.notify(untold.take());
                self.keep_enough(queues);
            }
            loop {
                let (ready, kept) = (queues.ready(), queues.kept.load(Ordering::Relaxed));
                if ready == 0 {
                    break;
                }
                if keeps {
                    queues.bring_request_forward();
                }
                let head = queues.cq_head().load(Ordering::Relaxed);
                let cqe = queues.completion(head);
                if cqe.user_data != INTERNAL {
                    moved = true;
                    match self.move_one(queues, cqe, &mut untold) {
                        Some(fd) if fd == untold.fd && untold.n < MOST_UNTOLD => untold.n += 1,
                        Some(fd) => {
                            pump.notify(core::mem::replace(&mut untold, Untold { fd, n: 1 }))
                        }
                        // What is there has to be told of, so that somebody makes room.
                        None => {
                            Rest::sleep();
                            break 'all;
                        }
                    }
                    continue;
                }
                // There are no others where some are to be kept.
                match keeps {
                    true if ready <= kept => break,
                    true => (),
                    false => queues.kept.store(kept.saturating_sub(1), Ordering::Relaxed),
                }
                queues.cq_head().store(head.wrapping_add(1), Ordering::Release);
            }
        }
        pump.notify(untold);
        if moved {
            pump.ring_if_waited_for();
        }
        moved
    }

    /// Puts as many completions into a queue that are no request's as anybody may want who fell asleep, or
    /// was about to, before the pump was on.
    fn keep_enough(&self, queues: &Queues) {
        let enough = queues.most_wanted(&self.context.slots);
        while queues.kept.load(Ordering::Relaxed) < enough
            && super::setup::wake(self.place, queues, this_thread())
        {
            queues.kept.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Moves the oldest completion of a queue, which is a request's; the eventfd that is to be told of it, or -1. None
    /// where the ring is full: there was no room for those of several threads that have passed [`Context::is_full`] at
    /// once, or the program has moved the head by itself to where it should not be.
    fn move_one(&self, queues: &Queues, cqe: &io_uring_cqe, untold: &mut Untold) -> Option<c_int> {
        let Work { context, place } = self;
        if context.slots.is_orphan(cqe) && !place.life.is_over() {
            // This may wait for a thread that a handler has interrupted which waits to be told.
            context.pump.notify(untold.take());
            super::submit::prepare_thread();
            super::submit::submit_again(context, place, queues, cqe);
            return Some(-1);
        }
        let event = context.slots.event(cqe, queues);
        // A context that is over gives no more events.
        if !place.life.is_over() && !ring::put(&context.ring(), event) {
            return None;
        }
        let head = queues.cq_head().load(Ordering::Relaxed);
        let (resfd, number) = (context.slots.of(cqe).resfd(), cqe.user_data as u32);
        queues.cq_head().store(head.wrapping_add(1), Ordering::Release);
        context.slots.give_back(number);
        Some(resfd)
    }
}
