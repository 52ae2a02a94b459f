//! The reap with signal handlers that reap too, at every place where one can come in.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::vec::Vec;
use std::{assert, assert_eq};

use super::*;
use crate::sync::{at_each_step, step};

/// A ring whose kernel is the test: it completes one request after the other, where a slot is free.
struct TestRing {
    slots: RefCell<Vec<u64>>,
    head: Cell<u32>,
    tail: Cell<u32>,
    completed: Cell<u64>,
}

impl TestRing {
    fn new(nr: u32, start: u32) -> Self {
        TestRing {
            slots: RefCell::new(std::vec![u64::MAX; nr as usize]),
            head: Cell::new(start),
            tail: Cell::new(start),
            completed: Cell::new(0),
        }
    }

    /// The kernel completes a request: into a slot that `head` has given back, as `aio_complete`.
    fn complete(&self) {
        let next = after(self.nr(), self.tail.get(), 1);
        if next != self.head.get() {
            self.slots.borrow_mut()[self.tail.get() as usize] = self.completed.get();
            self.completed.set(self.completed.get() + 1);
            self.tail.set(next);
        }
    }
}

impl Ring for TestRing {
    fn nr(&self) -> u32 {
        self.slots.borrow().len() as u32
    }

    fn head(&self) -> u32 {
        step();
        self.head.get()
    }

    fn tail(&self) -> u32 {
        step();
        self.tail.get()
    }

    fn publish(&self, head: u32) {
        step();
        self.head.set(head);
    }

    unsafe fn copy(&self, first: u32, n: u32, to: *mut io_event) {
        for i in 0..n {
            step();
            let data = self.slots.borrow()[(first + i) as usize];
            let event = io_event { data, ..Default::default() };
            // SAFETY: upheld by the caller.
            unsafe { to.add(i as usize).write(event) };
        }
    }
}

/// What one thread and its handlers took, in the order in which they returned.
type Taken = Rc<RefCell<Vec<u64>>>;

fn note(taken: &Taken, events: &[io_event], reaped: &Reaped) {
    if let Reaped::Taken(n) = *reaped {
        taken.borrow_mut().extend(events[..n as usize].iter().map(|e| e.data));
    }
}

/// One reap of up to `most`, with a handler at the steps `first` and `second`, before each of which
/// the kernel completes `fresh` requests; then reaps until nothing is left. Returns how many steps
/// the interrupted reap made.
fn interrupted(
    start: u32,
    ready: u32,
    most: u32,
    at: [u32; 2],
    handler_most: u32,
    fresh: u32,
) -> u32 {
    let ring = Rc::new(TestRing::new(4, start));
    let nest = Rc::new(Nest::new());
    let taken: Taken = Taken::default();
    let steps = Rc::new(Cell::new(0));
    for _ in 0..ready {
        ring.complete();
    }

    let hook = {
        let (ring, nest, taken, steps) = (ring.clone(), nest.clone(), taken.clone(), steps.clone());
        move || {
            let now = steps.get();
            steps.set(now + 1);
            if at.contains(&now) {
                (0..fresh).for_each(|_| ring.complete());
                let mut events = [io_event::default(); 8];
                // SAFETY: inside the gate, as the only thread; room for eight.
                let reaped =
                    unsafe { reap_nested(&*ring, &nest, handler_most, events.as_mut_ptr()) };
                note(&taken, &events, &reaped);
                (0..fresh).for_each(|_| ring.complete());
            }
        }
    };
    at_each_step(hook, || {
        let mut events = [io_event::default(); 8];
        // SAFETY: as above.
        let reaped = unsafe { reap(&*ring, &nest, 0, most, events.as_mut_ptr(), || true) };
        note(&taken, &events, &reaped);
    });
    loop {
        let mut events = [io_event::default(); 8];
        // SAFETY: as above.
        let reaped = unsafe { reap(&*ring, &nest, 0, 8, events.as_mut_ptr(), || true) };
        note(&taken, &events, &reaped);
        if reaped == Reaped::Taken(0) {
            break;
        }
    }
    let mut all = taken.borrow().clone();
    all.sort_unstable();
    let expected: Vec<u64> = (0..ring.completed.get()).collect();
    assert_eq!(all, expected, "start {start} ready {ready} most {most} handlers at {at:?}");
    assert_eq!(ring.head.get(), ring.tail.get());
    steps.get()
}

#[test]
fn a_handler_at_any_step_neither_loses_nor_doubles_an_event() {
    let mut cases = 0;
    for start in 0..4 {
        for ready in 0..4 {
            for most in 1..4 {
                for (handler_most, fresh) in [(1, 0), (2, 1), (8, 1), (8, 3)] {
                    let mut first = 0;
                    loop {
                        let at = |second| {
                            interrupted(start, ready, most, [first, second], handler_most, fresh)
                        };
                        let steps = at(first);
                        for second in first + 1..steps {
                            at(second);
                            cases += 1;
                        }
                        cases += 1;
                        first += 1;
                        if first > steps {
                            break;
                        }
                    }
                }
            }
        }
    }
    assert!(cases > 10_000, "{cases} cases");
}

#[test]
fn a_single_reaper_gets_events_in_order_across_the_wrap() {
    let ring = TestRing::new(5, 0);
    let nest = Nest::new();
    let mut next = 0;
    for round in 0..100u32 {
        (0..round % 4 + 1).for_each(|_| ring.complete());
        let mut events = [io_event::default(); 8];
        // SAFETY: as above.
        let reaped = unsafe { reap(&ring, &nest, 0, round % 3 + 1, events.as_mut_ptr(), || true) };
        let Reaped::Taken(n) = reaped else { unreachable!("{reaped:?}") };
        for event in &events[..n as usize] {
            assert_eq!(event.data, next);
            next += 1;
        }
    }
    assert!(next > 100);
}

#[test]
fn fewer_than_asked_for_are_left_alone() {
    let ring = TestRing::new(4, 3);
    let nest = Nest::new();
    ring.complete();
    let mut events = [io_event::default(); 2];
    // SAFETY: as above.
    assert_eq!(unsafe { reap(&ring, &nest, 2, 2, events.as_mut_ptr(), || true) }, Reaped::Fewer);
    assert_eq!(ring.head.get(), 3);
    ring.complete();
    // SAFETY: as above.
    assert_eq!(unsafe { reap(&ring, &nest, 2, 2, events.as_mut_ptr(), || true) }, Reaped::Taken(2));
}

#[test]
fn indices_outside_the_ring_are_left_to_the_kernel() {
    let ring = TestRing::new(4, 0);
    let mut events = [io_event::default(); 2];
    for (head, tail) in [(4, 0), (0, 4), (u32::MAX, u32::MAX)] {
        ring.head.set(head);
        ring.tail.set(tail);
        // SAFETY: as above.
        let reaped = unsafe { reap(&ring, &Nest::new(), 0, 2, events.as_mut_ptr(), || true) };
        assert_eq!(reaped, Reaped::Strange);
        assert_eq!(ring.head.get(), head);
    }
}

#[test]
fn a_ring_of_another_kind_is_not_known() {
    let known = |change: fn(&mut Header)| {
        let mut header = Header {
            id: 0,
            nr: 127,
            head: AtomicU32::new(0),
            tail: AtomicU32::new(0),
            magic: MAGIC,
            compat_features: 1,
            incompat_features: 0,
            header_length: 32,
        };
        change(&mut header);
        Mapped(&header).is_known()
    };
    assert!(known(|_| ()));
    assert!(known(|h| h.compat_features = 3));
    assert!(!known(|h| h.magic = 0), "gVisor's");
    assert!(!known(|h| h.incompat_features = 1));
    assert!(!known(|h| h.header_length = 64));
    assert!(!known(|h| h.nr = 0));
}
