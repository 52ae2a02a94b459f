//! What this engine adds to the exclusion, under loom (as `src/model.rs`): the life of a context beside
//! its users, the lock of the submission queue, the free slots, waiting for a turn at the gate, the way
//! from one io_uring to two, and the asking about descriptors that only one thread may put off.
//!
//! Each model has a twin that is broken on purpose, and must fail.

use std::vec::Vec;
use std::{assert, assert_eq};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::free::Free;
use super::life::Life;
use super::lock::{Lock, Taken};
use super::shared_eventfd::SharedEventfd;
use super::sharing::{Sharing, Where};
use super::unasked::Unasked;
use crate::gate::{Entry, Gate, Turn};
use crate::model::{Yield, check};
use crate::sync::{AtomicU32, Ordering};

/// A context: written where it is taken apart, read by who uses it. Loom checks that nobody uses it at
/// that time.
struct Model {
    life: Life,
    context: UnsafeCell<u32>,
    taken_apart: AtomicU32,
}

impl Model {
    fn new() -> Arc<Model> {
        let life = Life::new();
        life.begin();
        let (context, taken_apart) = (UnsafeCell::new(0), AtomicU32::new(0));
        Arc::new(Model { life, context, taken_apart })
    }

    fn leave(&self, broken: bool) {
        self.left(self.life.leave() || broken);
    }

    fn left(&self, is_last: bool) {
        // A late caller may be the last to leave once more: one alone gets the context (`Place`).
        if is_last && self.taken_apart.swap(1, Ordering::AcqRel) == 0 {
            // SAFETY: loom checks that nobody reads at the same time.
            self.context.with_mut(|c| unsafe { *c += 1 });
        }
    }

    fn use_it(&self) {
        self.use_if(self.life.enter());
    }

    /// As a thread that ends.
    fn use_while_whole(&self) {
        self.use_if(self.life.enter_while_whole());
    }

    fn use_if(&self, may: bool) {
        if may {
            // SAFETY: loom checks that nobody writes at the same time.
            self.context.with(|c| assert_eq!(unsafe { *c }, 0, "used after it was taken apart"));
        }
        self.leave(false);
    }

    fn destroy(&self, broken: bool) {
        if self.life.end() {
            self.left(self.life.leave_for_good() || broken);
        }
    }
}

/// A thread that ends beside a destroyer, and one who comes late, find the context whole or not at all; and whoever
/// comes before the destroyer leaves finds it.
#[test]
fn a_thread_that_ends_uses_what_is_being_destroyed() {
    check(3, || {
        let model = Model::new();
        assert!(model.life.end());
        let others = [Model::use_while_whole, Model::use_it].map(|uses| {
            let model = Arc::clone(&model);
            thread::spawn(move || uses(&model))
        });
        assert!(model.life.enter_while_whole(), "its destroyer is still at it");
        model.leave(false);
        model.left(model.life.leave_for_good());
        for other in others {
            other.join().expect("a user");
        }
        assert!(!model.life.enter_while_whole(), "what was taken apart is used");
        model.leave(false);
        assert_eq!(model.taken_apart.load(Ordering::Relaxed), 1, "it is never taken apart");
    });
}

fn two_users_and_a_destroyer(broken: bool) {
    check(3, move || {
        let model = Model::new();
        let users: Vec<_> = (0..2)
            .map(|_| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.use_it())
            })
            .collect();
        model.destroy(broken);
        for user in users {
            user.join().expect("a user");
        }
        assert!(!model.life.enter(), "a dead context is used");
        model.leave(false);
        assert_eq!(model.taken_apart.load(Ordering::Relaxed), 1, "it is never taken apart");
    });
}

#[test]
fn a_context_is_taken_apart_when_its_users_have_left() {
    two_users_and_a_destroyer(false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn by_a_destroyer_that_does_not_wait_it_is_not() {
    two_users_and_a_destroyer(true);
}

/// Of two destroyers one succeeds; the other is told that there is no such context.
#[test]
fn a_context_is_destroyed_once() {
    check(3, || {
        let model = Model::new();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.life.end())
        };
        let ended = [model.life.end(), other.join().expect("a destroyer")];
        assert_eq!(ended.iter().filter(|&&e| e).count(), 1);
        assert!(model.life.leave_for_good());
    });
}

fn two_submitters(broken: bool) {
    check(3, move || {
        let queue = Arc::new((Lock::new(), UnsafeCell::new(0)));
        let put = move |queue: &(Lock, UnsafeCell<u32>), me| {
            if !broken {
                assert_eq!(queue.0.take::<Yield>(me), Taken::Now);
            }
            // SAFETY: loom checks that nobody else is there.
            queue.1.with_mut(|n| unsafe { *n += 1 });
            queue.0.release();
        };
        let other = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || put(&queue, 16))
        };
        put(&queue, 8);
        other.join().expect("a submitter");
        // SAFETY: the only thread left.
        queue.1.with(|n| assert_eq!(unsafe { *n }, 2));
    });
}

#[test]
fn submitters_exclude_each_other() {
    two_submitters(false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn without_the_lock_they_do_not() {
    two_submitters(true);
}

/// What an end of the process and a thread that submits an fsync beside it share (`thread_end.rs`).
struct End {
    lock: Lock,
    /// That the process ends.
    ends: AtomicU32,
    /// Whether the kernel holds the file.
    held: AtomicU32,
    /// Whether an entry is in the queue that names what is held.
    put: AtomicU32,
    /// Whether the kernel has taken it, and the file.
    taken: AtomicU32,
}

impl End {
    /// As `io_submit`; whether it waits for what it has submitted.
    fn submits(&self) -> bool {
        assert_eq!(self.lock.take::<Yield>(8), Taken::Now);
        if self.ends.load(Ordering::Relaxed) == 0 {
            self.held.store(1, Ordering::Relaxed);
            self.put.store(1, Ordering::Relaxed);
        }
        self.lock.release();
        self.kernel_takes();
        self.ends.load(Ordering::Relaxed) != 0
    }

    fn kernel_takes(&self) {
        if self.put.swap(0, Ordering::AcqRel) != 0 {
            assert_eq!(self.held.load(Ordering::Acquire), 1, "the file was let go before");
            self.taken.store(1, Ordering::Release);
        }
    }

    /// As the end of the process; whether it waits for the other's request.
    fn ends(&self, broken: bool) -> bool {
        self.ends.store(1, Ordering::SeqCst);
        if !broken {
            self.lock.pass::<Yield>(16);
        }
        let found = self.held.load(Ordering::Acquire) != 0;
        self.kernel_takes();
        // Another's call that takes the entry holds the kernel's lock until it has the file.
        while found && self.taken.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        self.held.store(0, Ordering::Release);
        found
    }
}

fn an_end_beside_an_fsync(broken: bool) {
    check(3, move || {
        let end = Arc::new(End {
            lock: Lock::new(),
            ends: AtomicU32::new(0),
            held: AtomicU32::new(0),
            put: AtomicU32::new(0),
            taken: AtomicU32::new(0),
        });
        let submitter = {
            let end = Arc::clone(&end);
            thread::spawn(move || end.submits())
        };
        let found = end.ends(broken);
        let waits = submitter.join().expect("a submitter");
        assert!(found || waits, "nobody waits for it");
    });
}

#[test]
fn no_file_is_let_go_before_the_kernel_has_taken_it() {
    an_end_beside_an_fsync(false);
}

#[test]
#[should_panic(expected = "the file was let go before")]
fn by_an_end_that_does_not_pass_the_lock_it_may_be() {
    an_end_beside_an_fsync(true);
}

/// An eventfd that requests share, and for each descriptor of it whether that is open.
struct Shared {
    eventfd: SharedEventfd,
    open: [AtomicU32; 3],
    made: AtomicU32,
}

impl Shared {
    fn duplicate(&self) -> i32 {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.open[number as usize].swap(1, Ordering::Relaxed), 0);
        number as i32
    }

    fn close(&self, fd: i32) {
        assert_eq!(self.open[fd as usize].swap(0, Ordering::Relaxed), 1, "closed twice");
    }

    /// A request: submitted, then told of.
    fn request(&self, broken: bool) {
        let fd = self.eventfd.take(|| self.duplicate(), |fd| self.close(fd)).expect("one");
        assert_eq!(self.open[fd as usize].load(Ordering::Relaxed), 1, "it is closed");
        assert!(self.eventfd.is(fd), "it is another's");
        if self.eventfd.give(1) || broken {
            self.close(fd);
        }
    }
}

fn two_share_an_eventfd(broken: bool) {
    check(3, move || {
        let shared = Arc::new(Shared {
            eventfd: SharedEventfd::new(),
            open: std::array::from_fn(|_| AtomicU32::new(0)),
            made: AtomicU32::new(0),
        });
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.request(broken))
        };
        shared.request(broken);
        other.join().expect("the other");
        assert!(!shared.open.iter().any(|open| open.load(Ordering::Relaxed) != 0), "one is left");
    });
}

#[test]
fn requests_share_an_eventfd_and_the_last_closes_it() {
    two_share_an_eventfd(false);
}

#[test]
#[should_panic(expected = "closed")]
fn where_each_closes_it_they_do_not() {
    two_share_an_eventfd(true);
}

/// Two slots, two threads that take and give back: nobody has one that another has.
fn two_takers(broken: bool) {
    check(3, move || {
        struct Slots {
            free: Free,
            next: [AtomicU32; 2],
            used: [UnsafeCell<u32>; 2],
        }
        let slots = Arc::new(Slots {
            free: Free::new(),
            next: [AtomicU32::new(0), AtomicU32::new(0)],
            used: [UnsafeCell::new(0), UnsafeCell::new(0)],
        });
        let take = move |slots: &Slots| {
            let number = slots.free.take(2, |n| &slots.next[n as usize]).expect("one for each");
            let number = if broken { 0 } else { number };
            // SAFETY: loom checks that nobody else has the slot.
            slots.used[number as usize].with_mut(|n| unsafe { *n += 1 });
            slots.free.give(number, number, |n| &slots.next[n as usize]);
        };
        let other = {
            let slots = Arc::clone(&slots);
            thread::spawn(move || {
                take(&slots);
                take(&slots);
            })
        };
        take(&slots);
        take(&slots);
        other.join().expect("a taker");
    });
}

#[test]
fn a_slot_is_nobody_elses() {
    two_takers(false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_slot_that_was_not_taken_may_be() {
    two_takers(true);
}

/// A gate, and what is changed by who has a turn at it.
type Turns = (Gate, UnsafeCell<u32>);

fn take_a_turn(gate: &Turns, me: usize) -> Turn {
    let turn = gate.0.wait_for_user::<Yield>(me);
    if turn == Turn::User {
        // SAFETY: loom checks that nobody else is there.
        gate.1.with_mut(|n| unsafe { *n += 1 });
        gate.0.leave_user();
    }
    turn
}

/// Two threads that want the gate each get a turn. (No third one here or below: where two wait for it,
/// loom would let these take turns at waiting for ever.)
#[test]
fn who_waits_gets_a_turn() {
    check(3, || {
        let gate: Arc<Turns> = Arc::new((Gate::new(), UnsafeCell::new(0)));
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                assert_eq!(take_a_turn(&gate, 16), Turn::User);
                assert_eq!(take_a_turn(&gate, 16), Turn::User);
            })
        };
        assert_eq!(take_a_turn(&gate, 8), Turn::User);
        other.join().expect("a reaper");
        // SAFETY: the only thread left.
        gate.1.with(|n| assert_eq!(unsafe { *n }, 3));
    });
}

#[test]
fn who_waits_beside_a_destroyer_finds_the_context_dead_at_last() {
    check(3, || {
        let gate: Arc<Turns> = Arc::new((Gate::new(), UnsafeCell::new(0)));
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let first = take_a_turn(&gate, 16);
                assert!(matches!(first, Turn::User | Turn::Dead), "{first:?}");
            })
        };
        assert_eq!(gate.0.enter_kernel::<Yield>(8), Entry::Kernel);
        // SAFETY: loom checks that no reaper is there: the destroyer has the gate.
        gate.1.with_mut(|n| unsafe { *n += 1 });
        gate.0.mark_dead();
        gate.0.leave_kernel();
        other.join().expect("a reaper");
        assert_eq!(take_a_turn(&gate, 8), Turn::Dead);
    });
}

/// A context's two io_urings, as the number of requests that went to each.
struct Two {
    sharing: Sharing,
    lock: Lock,
    quiet: AtomicU32,
    shared: AtomicU32,
}

/// What the twin of a model leaves out.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    Nothing,
    /// The first thread does not count itself before it sleeps.
    Counting,
    /// Who submits does not do so under the lock.
    Lock,
}

const FIRST: usize = 8;
const SECOND: usize = 16;

impl Two {
    fn new() -> Arc<Two> {
        Arc::new(Two {
            sharing: Sharing::new(),
            lock: Lock::new(),
            quiet: AtomicU32::new(0),
            shared: AtomicU32::new(0),
        })
    }

    fn submit(&self, me: usize, left: Left) {
        self.sharing.note::<Yield>(me, || true);
        if left != Left::Lock {
            assert_eq!(self.lock.take::<Yield>(me), Taken::Now);
        }
        let to = if self.sharing.goes_to_shared(false) { &self.shared } else { &self.quiet };
        to.fetch_add(1, Ordering::Release);
        self.lock.release();
    }

    /// The first thread sleeps: where on the quiet io_uring alone, nothing goes to the other until it
    /// wakes.
    fn sleep_as_the_first(&self, left: Left) {
        let alone = match left {
            Left::Counting => self.sharing.place(FIRST) == Where::Quiet,
            _ => self.sharing.falls_asleep(FIRST),
        };
        if alone {
            loom::sync::atomic::fence(Ordering::SeqCst);
            let missed = self.shared.load(Ordering::Relaxed);
            assert_eq!(missed, 0, "sleeps on the quiet one, and a request went to the other");
            if left != Left::Counting {
                self.sharing.wakes();
            }
        }
    }

    /// A thread that looks where the requests are: in the shared one alone only where none comes to the
    /// quiet one any more.
    fn look(&self, me: usize) {
        if self.sharing.place(me) == Where::Shared {
            let before = self.quiet.load(Ordering::Acquire);
            loom::thread::yield_now();
            let after = self.quiet.load(Ordering::Acquire);
            assert_eq!(before, after, "a request went to the quiet one, which nobody looks at");
        }
    }
}

fn the_first_sleeps_while_a_second_submits(left: Left) {
    check(3, move || {
        let two = Two::new();
        two.sharing.note::<Yield>(FIRST, || true);
        let other = {
            let two = Arc::clone(&two);
            thread::spawn(move || two.submit(SECOND, Left::Nothing))
        };
        two.sleep_as_the_first(left);
        other.join().expect("the second");
    });
}

#[test]
fn who_sleeps_alone_misses_nothing() {
    the_first_sleeps_while_a_second_submits(Left::Nothing);
}

#[test]
#[should_panic(expected = "sleeps on the quiet one")]
fn who_is_not_counted_misses_a_request() {
    the_first_sleeps_while_a_second_submits(Left::Counting);
}

/// In the middle of making the shared one, which loom does not look into by itself, the first thread falls
/// asleep on the quiet one: there is no other; and requests go there until it wakes.
#[test]
fn who_sleeps_while_the_other_is_made_misses_nothing() {
    check(3, || {
        let two = Two::new();
        two.sharing.note::<Yield>(FIRST, || true);
        two.sharing.note::<Yield>(SECOND, || {
            assert!(!two.sharing.has_shared());
            assert!(two.sharing.falls_asleep(FIRST));
            true
        });
        two.submit(SECOND, Left::Nothing);
        assert_eq!(two.quiet.load(Ordering::Relaxed), 1);
        two.sharing.wakes();
        assert!(!two.sharing.falls_asleep(FIRST));
        two.submit(SECOND, Left::Nothing);
        assert_eq!(two.shared.load(Ordering::Relaxed), 1);
    });
}

fn both_submit_and_one_looks(left: Left) {
    check(3, move || {
        let two = Two::new();
        two.sharing.note::<Yield>(FIRST, || true);
        let other = {
            let two = Arc::clone(&two);
            thread::spawn(move || {
                two.submit(SECOND, left);
                two.look(SECOND);
            })
        };
        two.submit(FIRST, left);
        other.join().expect("the second");
        let all = two.quiet.load(Ordering::Relaxed) + two.shared.load(Ordering::Relaxed);
        assert_eq!(all, 2);
    });
}

#[test]
fn nothing_goes_to_the_quiet_one_once_it_is_shared() {
    both_submit_and_one_looks(Left::Nothing);
}

#[test]
#[should_panic(expected = "which nobody looks at")]
fn without_the_lock_something_does() {
    both_submit_and_one_looks(Left::Lock);
}

/// Three threads at once: one shared io_uring is made, and each knows of it; or of there being none.
fn two_come_to_the_first(made: bool) {
    check(2, move || {
        let two = Two::new();
        two.sharing.note::<Yield>(FIRST, || made);
        let makers = Arc::new(AtomicU32::new(0));
        let come = move |two: &Two, makers: &AtomicU32, me| {
            two.sharing.note::<Yield>(me, || {
                makers.fetch_add(1, Ordering::Relaxed);
                made
            });
            assert_eq!(two.sharing.has_shared(), made);
            let place = if made { Where::Both } else { Where::Quiet };
            assert_eq!(two.sharing.place(me), place);
        };
        let other = {
            let (two, makers) = (Arc::clone(&two), Arc::clone(&makers));
            thread::spawn(move || come(&two, &makers, SECOND))
        };
        come(&two, &makers, 24);
        other.join().expect("the second");
        assert_eq!(makers.load(Ordering::Relaxed), 1, "made once");
    });
}

#[test]
fn one_shared_io_uring_is_made() {
    two_come_to_the_first(true);
}

#[test]
fn or_none() {
    two_come_to_the_first(false);
}

/// A request on a descriptor that is a pipe by now, which somebody has to find out before anybody sleeps.
struct Pipe {
    sharing: Sharing,
    unasked: Unasked,
    /// The request's slot.
    filled: AtomicU32,
    /// What the kernel knows: nothing, of the request, that it was cancelled.
    kernel: loom::sync::Mutex<u32>,
}

const FD: i32 = 3;
const UNKNOWN: u32 = 0;
const WAITING: u32 = 1;
const CANCELLED: u32 = 2;

impl Pipe {
    fn new() -> Arc<Pipe> {
        let pipe = Pipe {
            sharing: Sharing::new(),
            unasked: Unasked::new(),
            filled: AtomicU32::new(0),
            kernel: loom::sync::Mutex::new(UNKNOWN),
        };
        pipe.sharing.note::<Yield>(FIRST, || true);
        Arc::new(pipe)
    }

    fn kernel(&self) -> loom::sync::MutexGuard<'_, u32> {
        self.kernel.lock().expect("the kernel")
    }

    fn ask(&self) {
        if self.filled.load(Ordering::Acquire) != 0 {
            let mut request = self.kernel();
            if *request == WAITING {
                *request = CANCELLED;
            }
        }
    }

    /// The first thread submits; `looks` whether it may leave the asking to others.
    fn submit(&self, looks: bool) {
        let alone = self.sharing.is_alone(FIRST);
        self.filled.store(1, Ordering::Release);
        if alone {
            assert_eq!(self.unasked.leave(FD).filter(|&fd| fd != FD), None);
        }
        *self.kernel() = WAITING;
        if !alone || looks && !self.unasked.is_left(FD, &self.sharing, FIRST) {
            self.ask();
        }
    }

    fn ask_now(&self) {
        if self.unasked.take().is_some() {
            self.ask();
        }
    }

    /// Any thread is about to sleep.
    fn sleep(&self, me: usize) {
        self.sharing.note::<Yield>(me, || true);
        self.ask_now();
    }
}

/// The first thread submits while others come to wait; `again` where it has left the same name before.
fn others_come_to_wait(others: usize, again: bool, looks: bool) {
    check(if others == 1 { 3 } else { 2 }, move || {
        let pipe = Pipe::new();
        if again {
            assert_eq!(pipe.unasked.leave(FD), None);
        }
        let others: Vec<_> = (0..others)
            .map(|i| {
                let pipe = Arc::clone(&pipe);
                thread::spawn(move || pipe.sleep(SECOND + 8 * i))
            })
            .collect();
        pipe.submit(looks);
        for other in others {
            other.join().expect("one who waits");
        }
        assert_eq!(*pipe.kernel(), CANCELLED, "others sleep, and nobody has asked");
    });
}

#[test]
fn what_is_left_unasked_is_asked_before_others_sleep() {
    others_come_to_wait(1, false, true);
    others_come_to_wait(1, true, true);
}

#[test]
fn also_where_two_come_at_once() {
    others_come_to_wait(2, false, true);
    others_come_to_wait(2, true, true);
}

/// Another thread cancels something, which does not count it as one that uses the context.
#[test]
fn and_before_the_first_sleeps_beside_one_who_cancels() {
    check(3, || {
        let pipe = Pipe::new();
        assert_eq!(pipe.unasked.leave(FD), None);
        let other = {
            let pipe = Arc::clone(&pipe);
            thread::spawn(move || pipe.ask_now())
        };
        pipe.submit(true);
        pipe.sleep(FIRST);
        other.join().expect("one who cancels");
        assert_eq!(*pipe.kernel(), CANCELLED, "the first sleeps, and nobody has asked");
    });
}

#[test]
#[should_panic(expected = "nobody has asked")]
fn by_a_submitter_that_does_not_look_again_it_is_not() {
    others_come_to_wait(1, false, false);
}
