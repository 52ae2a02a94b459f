//! The exclusion and the reap under loom, with a model of the kernel: every interleaving of a few
//! steps (up to a bound on preemptions), and every value that the memory orderings allow.
//!
//! `make model` runs it. Each test checks that every event is delivered exactly once, and that a
//! reaper sees its own in order; loom itself that no slot is read while the kernel writes it, that no
//! ring is read after it was unmapped, and that no thread waits for ever.

use std::vec::Vec;
use std::{assert, assert_eq};

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::abi::io_event;
use crate::gate::{Entry, Gate, Pause};
use crate::ring::{Nest, Reaped, Ring, reap};
use crate::sync::{AtomicU32, Ordering};
use crate::table::Table;

/// The ring as kernel and user space share it.
struct ModelRing {
    slots: Vec<UnsafeCell<u64>>,
    head: AtomicU32,
    tail: AtomicU32,
    /// Written where the kernel unmaps the ring; read by every access of user space.
    mapped: UnsafeCell<bool>,
}

impl ModelRing {
    fn assert_mapped(&self) {
        // SAFETY: loom checks that nobody writes at the same time.
        self.mapped.with(|m| assert!(unsafe { *m }, "the ring is read after it was unmapped"));
    }
}

impl Ring for ModelRing {
    fn nr(&self) -> u32 {
        self.slots.len() as u32
    }

    fn head(&self) -> u32 {
        self.assert_mapped();
        self.head.load(Ordering::Relaxed)
    }

    fn tail(&self) -> u32 {
        self.tail.load(Ordering::Acquire)
    }

    fn publish(&self, head: u32) {
        self.assert_mapped();
        self.head.store(head, Ordering::Release);
    }

    unsafe fn copy(&self, first: u32, n: u32, to: *mut io_event) {
        self.assert_mapped();
        for i in 0..n {
            // SAFETY: loom checks that the kernel does not write the slot at the same time.
            let data = self.slots[(first + i) as usize].with(|slot| unsafe { *slot });
            // SAFETY: upheld by the caller.
            unsafe { to.add(i as usize).write(io_event { data, ..Default::default() }) };
        }
    }
}

/// A context: what the library keeps of it, and the kernel.
struct Model {
    gate: Gate,
    nest: Nest,
    ring: ModelRing,
    /// The kernel's `ring_lock`: who holds it reads the ring inside `io_getevents`.
    reader: Mutex<()>,
    /// `fs/aio.c`'s `dead`: `io_getevents` answers EINVAL.
    dead: Mutex<bool>,
    /// Lets a reaper in beside others: the twin that must fail.
    broken: bool,
}

/// A thread of the model waits by letting others run.
pub(crate) struct Yield;

impl Pause for Yield {
    fn holds_a_gate(_: usize) -> bool {
        false
    }

    fn sleep() {
        thread::yield_now();
    }
}

impl Model {
    fn new(nr: usize, broken: bool) -> Arc<Model> {
        Arc::new(Model {
            gate: Gate::new(),
            nest: Nest::new(),
            ring: ModelRing {
                slots: (0..nr).map(|_| UnsafeCell::new(u64::MAX)).collect(),
                head: AtomicU32::new(0),
                tail: AtomicU32::new(0),
                mapped: UnsafeCell::new(true),
            },
            reader: Mutex::new(()),
            dead: Mutex::new(false),
            broken,
        })
    }

    /// What `io_destroy` does to the ring.
    fn destroy(&self) {
        *self.dead.lock().expect("not poisoned") = true;
        // SAFETY: loom checks that nobody reads at the same time.
        self.ring.mapped.with_mut(|m| unsafe { *m = false });
    }

    /// `aio_complete`, where a slot is free; whether one was.
    fn complete(&self, event: u64) -> bool {
        let tail = self.ring.tail.load(Ordering::Relaxed);
        let next = (tail + 1) % self.ring.nr();
        // Acquire: pairs with the Release of `publish`, as the kernel's accounting does.
        if next == self.ring.head.load(Ordering::Acquire) {
            return false;
        }
        // SAFETY: loom checks that no reaper reads the slot at the same time.
        self.ring.slots[tail as usize].with_mut(|slot| unsafe { *slot = event });
        self.ring.tail.store(next, Ordering::Release);
        true
    }

    /// Completes events `from` to `to`, each as soon as there is room.
    fn complete_all(&self, from: u64, to: u64) {
        for event in from..to {
            while !self.complete(event) {
                thread::yield_now();
            }
        }
    }

    /// `aio_read_events_ring`.
    fn kernel_reads(&self, most: u32, taken: &mut Vec<u64>) {
        let _reader = self.reader.lock().expect("not poisoned");
        if *self.dead.lock().expect("not poisoned") {
            return;
        }
        let nr = self.ring.nr();
        let mut head = self.ring.head.load(Ordering::Relaxed);
        let tail = self.ring.tail.load(Ordering::Acquire);
        let mut n = 0;
        while head != tail && n < most {
            // SAFETY: loom checks that nobody writes the slot at the same time.
            taken.push(self.ring.slots[head as usize].with(|slot| unsafe { *slot }));
            head = (head + 1) % nr;
            n += 1;
        }
        self.ring.head.store(head, Ordering::Release);
    }

    /// `io_getevents(ctx, 0, most, ...)` of the library.
    fn get_events(&self, me: usize, most: u32, taken: &mut Vec<u64>) {
        self.get_events_at(&self.gate, me, most, taken);
    }

    /// The same through another gate; whether it took any.
    fn get_events_at(&self, gate: &Gate, me: usize, most: u32, taken: &mut Vec<u64>) -> bool {
        let before = taken.len();
        if gate.enter_user(me) || self.broken {
            let mut events = [io_event::default(); 4];
            // SAFETY: inside the gate (or meant to fail); room for four.
            let reaped =
                unsafe { reap(&self.ring, &self.nest, 0, most, events.as_mut_ptr(), || true) };
            gate.leave_user();
            let Reaped::Taken(n) = reaped else { panic!("{reaped:?}") };
            taken.extend(events[..n as usize].iter().map(|e| e.data));
        } else {
            assert_eq!(gate.enter_kernel::<Yield>(me), Entry::Kernel);
            self.kernel_reads(most, taken);
            gate.leave_kernel();
        }
        taken.len() > before
    }

    /// Everything that is left, taken by the last thread.
    fn drain(&self, taken: &mut Vec<u64>) {
        loop {
            let before = taken.len();
            self.get_events(ME, 4, taken);
            if taken.len() == before {
                break;
            }
        }
    }
}

const ME: usize = 8;

/// Checks order within each reaper, and that all together took 0 to `n`, each once.
fn exactly_once(parts: &[Vec<u64>], n: u64) {
    for part in parts {
        assert!(part.is_sorted(), "{part:?}");
    }
    let mut all: Vec<u64> = parts.concat();
    all.sort_unstable();
    assert_eq!(all, (0..n).collect::<Vec<_>>(), "not each event once: {parts:?}");
}

/// Runs a model in every interleaving up to a bound on preemptions.
pub(crate) fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Two threads that reap in user space where they can, while events come.
fn two_reapers(broken: bool) {
    check(3, move || {
        let model = Model::new(3, broken);
        let reapers: Vec<_> = [16, 24]
            .map(|me| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    model.get_events(me, 2, &mut taken);
                    taken
                })
            })
            .into();
        model.complete_all(0, 2);
        let mut parts: Vec<_> = reapers.into_iter().map(|r| r.join().expect("a reaper")).collect();
        let mut rest = Vec::new();
        model.drain(&mut rest);
        parts.push(rest);
        exactly_once(&parts, 2);
    });
}

#[test]
fn two_reapers_take_each_event_once() {
    two_reapers(false);
}

#[test]
#[should_panic(expected = "not each event once")]
fn without_the_gate_two_reapers_do_not() {
    two_reapers(true);
}

#[test]
fn a_reaper_beside_the_kernels_reader_takes_each_event_once() {
    check(3, || {
        let model = Model::new(3, false);
        let sleeper = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut taken = Vec::new();
                // One stay in the kernel, two looks at the ring: asleep in between.
                assert_eq!(model.gate.enter_kernel::<Yield>(16), Entry::Kernel);
                model.kernel_reads(1, &mut taken);
                model.kernel_reads(1, &mut taken);
                model.gate.leave_kernel();
                taken
            })
        };
        let reaper = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut taken = Vec::new();
                model.get_events(24, 1, &mut taken);
                model.get_events(24, 1, &mut taken);
                taken
            })
        };
        model.complete_all(0, 2);
        let mut parts =
            std::vec![sleeper.join().expect("a sleeper"), reaper.join().expect("a reaper")];
        let mut rest = Vec::new();
        model.drain(&mut rest);
        parts.push(rest);
        exactly_once(&parts, 2);
    });
}

/// More events than slots: the kernel writes a slot again as soon as `head` has given it back.
#[test]
fn a_full_ring_that_wraps_loses_nothing() {
    check(3, || {
        let model = Model::new(3, false);
        let kernel = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.complete_all(0, 4))
        };
        let mut taken = Vec::new();
        while taken.len() < 4 {
            let before = taken.len();
            model.get_events(ME, 2, &mut taken);
            if taken.len() == before {
                thread::yield_now();
            }
        }
        kernel.join().expect("the kernel");
        exactly_once(&[taken], 4);
    });
}

/// `io_destroy` beside a reap: the ring goes when nobody in user space reads it.
#[test]
fn a_ring_is_unmapped_when_no_reap_is_under_way() {
    check(3, || {
        let model = Model::new(3, false);
        assert!(model.complete(0));
        let destroyer = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                assert_eq!(model.gate.enter_kernel::<Yield>(16), Entry::Kernel);
                model.gate.mark_dead();
                model.destroy();
                model.gate.leave_kernel();
            })
        };
        let mut taken = Vec::new();
        model.get_events(ME, 1, &mut taken);
        model.get_events(ME, 1, &mut taken);
        destroyer.join().expect("a destroyer");
        assert!(!model.gate.enter_user(ME), "a dead context is not reaped in user space");
        assert!(taken.is_empty() || taken == [0]);
    });
}

/// The place's next life: `io_setup` got the same address while a late caller is in the kernel.
#[test]
fn a_new_context_at_the_address_is_reaped_when_late_callers_have_left() {
    check(3, || {
        let model = Model::new(3, false);
        assert_eq!(model.gate.enter_kernel::<Yield>(ME), Entry::Kernel);
        model.gate.mark_dead();
        model.gate.leave_kernel();
        let late = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut taken = Vec::new();
                model.get_events(16, 1, &mut taken);
                taken
            })
        };
        assert_eq!(model.gate.enter_kernel::<Yield>(ME), Entry::Kernel);
        model.gate.mark_dead();
        model.gate.revive();
        model.gate.leave_kernel();
        assert!(model.complete(0));
        assert!(model.complete(1));
        let mut taken = Vec::new();
        model.get_events(ME, 1, &mut taken);
        let mut parts = std::vec![late.join().expect("a late caller"), taken];
        let mut rest = Vec::new();
        model.drain(&mut rest);
        parts.push(rest);
        exactly_once(&parts, 2);
    });
}

/// `io_setup` gives a context out at an address that a late caller is just asking the kernel about.
fn stranger(broken: bool) {
    check(3, move || {
        let (model, table) = (Model::new(3, false), Arc::new(Table::new()));
        let late = {
            let (model, table) = (Arc::clone(&model), Arc::clone(&table));
            thread::spawn(move || {
                let mut taken = Vec::new();
                if broken {
                    if table.find(ADDRESS).is_none() {
                        model.kernel_reads(1, &mut taken);
                    }
                } else {
                    let answer = table.as_stranger(ADDRESS, || model.kernel_reads(1, &mut taken));
                    if answer.is_none() {
                        let place = table.find(ADDRESS).expect("its place stays");
                        model.get_events_at(&place.gate, 16, 1, &mut taken);
                    }
                }
                taken
            })
        };
        let place = table.place_for::<Yield>(ADDRESS, ME).expect("a free place");
        table.settle(place, ADDRESS, || true);
        assert!(model.complete(0));
        assert!(model.complete(1));
        let mut taken = Vec::new();
        model.get_events_at(&place.gate, ME, 1, &mut taken);
        let mut parts = std::vec![late.join().expect("a late caller"), taken];
        let mut rest = Vec::new();
        while model.get_events_at(&place.gate, ME, 4, &mut rest) {}
        parts.push(rest);
        exactly_once(&parts, 2);
    });
}

#[test]
fn a_stranger_at_a_new_contexts_address_takes_no_event_twice() {
    stranger(false);
}

#[test]
#[should_panic(expected = "not each event once")]
fn a_stranger_that_does_not_count_itself_does() {
    stranger(true);
}

const ADDRESS: usize = 0x1000;
/// Looked for at the same place, the only one for both.
const OTHER_ADDRESS: usize = ADDRESS + 0x2000;

/// A thread sleeps in the kernel while another destroys the context and a third reaps.
#[test]
fn a_destroyed_ring_is_not_read_beside_a_sleeper() {
    check(3, || {
        let model = Model::new(3, false);
        assert!(model.complete(0));
        assert_eq!(model.gate.enter_kernel::<Yield>(16), Entry::Kernel);
        let sleeper = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let mut taken = Vec::new();
                model.kernel_reads(1, &mut taken);
                model.kernel_reads(1, &mut taken);
                model.gate.leave_kernel();
                taken
            })
        };
        let destroyer = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                assert_eq!(model.gate.enter_kernel::<Yield>(24), Entry::Kernel);
                model.gate.mark_dead();
                model.destroy();
                model.gate.leave_kernel();
            })
        };
        let mut taken = Vec::new();
        model.get_events(ME, 1, &mut taken);
        destroyer.join().expect("a destroyer");
        let slept = sleeper.join().expect("a sleeper");
        assert!(!model.gate.enter_user(ME), "a dead context is not reaped in user space");
        assert!(taken.len() + slept.len() <= 1);
    });
}

/// The kernel's contexts at one address, one after another; each has a ring of its own.
struct Lives {
    rings: [Arc<Model>; 2],
    /// How many there were, and whether the last is alive.
    state: Mutex<(usize, bool)>,
}

impl Lives {
    fn alive(&self) -> bool {
        self.state.lock().expect("not poisoned").1
    }

    fn setup(&self) {
        let mut state = self.state.lock().expect("not poisoned");
        assert!(!state.1);
        *state = (state.0 + 1, true);
    }

    /// `io_destroy`, of whatever context is at the address now.
    fn destroy(&self) -> i32 {
        let mut state = self.state.lock().expect("not poisoned");
        if !state.1 {
            return -22;
        }
        state.1 = false;
        self.rings[state.0 - 1].destroy();
        0
    }
}

/// Two threads destroy the same context, and `io_setup` gets its address again between the two: then
/// the second destroys the new one. Whichever it was, no ring is read that is gone.
fn two_destroyers(broken: bool) {
    check(2, move || {
        let lives = Arc::new(Lives {
            rings: [Model::new(3, false), Model::new(3, false)],
            state: Mutex::new((1, true)),
        });
        let table = Arc::new(Table::new());
        let place = table.place_for::<Yield>(ADDRESS, ME).expect("a free place");
        table.settle(place, ADDRESS, || true);
        let destroyers = [16, 24].map(|me| {
            let (lives, table) = (Arc::clone(&lives), Arc::clone(&table));
            thread::spawn(move || {
                let place = table.find(ADDRESS).expect("its place stays");
                assert_eq!(place.gate.enter_kernel::<Yield>(me), Entry::Kernel);
                let ask = || broken || lives.alive();
                place.destroyed_by(|| lives.destroy(), ask);
            })
        });
        while lives.alive() {
            thread::yield_now();
        }
        lives.setup();
        let place = table.place_for::<Yield>(ADDRESS, ME).expect("its own");
        table.settle(place, ADDRESS, || broken || lives.alive());
        for _ in 0..2 {
            if place.gate.enter_user(ME) {
                lives.rings[1].ring.assert_mapped();
                place.gate.leave_user();
            }
        }
        for destroyer in destroyers {
            destroyer.join().expect("a destroyer");
        }
        let entered = place.gate.enter_user(ME);
        assert!(!entered || lives.alive(), "the context is gone");
    });
}

#[test]
fn of_two_destroyers_the_late_one_leaves_no_gate_open() {
    two_destroyers(false);
}

#[test]
#[should_panic(expected = "the context is gone")]
fn that_does_not_ask_the_kernel_it_would() {
    two_destroyers(true);
}

/// A context's place goes to another address while a late caller has it in hand.
fn recycled(broken: bool) {
    check(3, move || {
        let (old, new) = (Model::new(3, false), Model::new(3, false));
        let table = Arc::new(Table::new());
        let place = table.place_for::<Yield>(ADDRESS, ME).expect("a free place");
        table.settle(place, ADDRESS, || true);
        let late = {
            let (old, table) = (Arc::clone(&old), Arc::clone(&table));
            thread::spawn(move || {
                let Some(place) = table.find(ADDRESS) else { return };
                if place.gate.enter_user(16) {
                    if broken || place.is_of(ADDRESS) {
                        old.ring.assert_mapped();
                    }
                    place.gate.leave_user();
                }
            })
        };
        assert_eq!(place.gate.enter_kernel::<Yield>(ME), Entry::Kernel);
        place.destroyed_by(
            || {
                old.destroy();
                0
            },
            || false,
        );
        let place = table.place_for::<Yield>(OTHER_ADDRESS, ME);
        if let Some(place) = place {
            table.settle(place, OTHER_ADDRESS, || true);
            assert!(new.complete(0));
            let mut taken = Vec::new();
            new.get_events_at(&place.gate, ME, 1, &mut taken);
            assert_eq!(taken, [0]);
            assert!(table.find(ADDRESS).is_none());
        }
        late.join().expect("a late caller");
    });
}

#[test]
fn a_late_caller_does_not_take_a_recycled_place_for_its_own() {
    recycled(false);
}

#[test]
#[should_panic(expected = "the ring is read after it was unmapped")]
fn that_does_not_look_again_it_would() {
    recycled(true);
}

/// A thread that wants to get to the kernel, for example to destroy the context, beside one that
/// reaps again and again: it gets in.
fn progress(broken: bool) {
    check(2, move || {
        let model = Model::new(3, false);
        let came_in = Arc::new(AtomicU32::new(0));
        let waiter = {
            let (model, came_in) = (Arc::clone(&model), Arc::clone(&came_in));
            thread::spawn(move || {
                assert_eq!(model.gate.enter_kernel::<Yield>(16), Entry::Kernel);
                came_in.store(1, Ordering::Relaxed);
                model.gate.leave_kernel();
            })
        };
        // The waiter runs when the reaper yields: inside the gate.
        while came_in.load(Ordering::Relaxed) == 0 {
            let entered = if broken { model.gate.take_free(ME) } else { model.gate.enter_user(ME) };
            thread::yield_now();
            if entered {
                model.gate.leave_user();
            } else {
                model.get_events(ME, 1, &mut Vec::new());
            }
        }
        waiter.join().expect("a waiter");
    });
}

#[test]
fn who_waits_for_a_reap_to_end_gets_in() {
    progress(false);
}

#[test]
#[should_panic(expected = "exceeded maximum number of branches")]
fn whose_demand_nobody_heeds_does_not() {
    progress(true);
}
