//! Two threads that share a context. Measured is the wall time per event, of both together.

use std::os::fd::AsRawFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{hint, ptr, thread};

use aio::abi::{io_context_t, io_event, iocb};
use libc::{c_int, c_long, timespec};

use crate::Group;
use crate::filled::{Filled, ready_event};
use crate::ways::{Bare, Context, Way, poll_request};

/// The limit where there is more than one thread: the loop over the ring under a spin lock.
#[derive(Default)]
pub struct Locked {
    taken: AtomicBool,
}

impl Way for Locked {
    fn name(&self) -> &'static str {
        Bare.name()
    }

    fn setup(&self, nr: c_int, context: &mut io_context_t) -> c_int {
        Bare.setup(nr, context)
    }

    unsafe fn destroy(&self, context: io_context_t) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { Bare.destroy(context) }
    }

    unsafe fn submit(&self, context: io_context_t, nr: c_long, list: &mut *mut iocb) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { Bare.submit(context, nr, list) }
    }

    #[inline(always)]
    unsafe fn get_events(
        &self,
        context: io_context_t,
        min_nr: c_long,
        nr: c_long,
        events: *mut io_event,
        timeout: *mut timespec,
    ) -> c_int {
        while self.taken.swap(true, Ordering::Acquire) {
            hint::spin_loop();
        }
        // SAFETY: upheld by the caller; the lock keeps others out.
        let got = unsafe { Bare.get_events(context, min_nr, nr, events, timeout) };
        self.taken.store(false, Ordering::Release);
        got
    }
}

/// Runs `work` in two threads at once; the time from the first start to the last end.
fn in_two_threads(work: impl Fn(bool) + Sync) -> Duration {
    let start_line = Barrier::new(2);
    let run = |first| {
        start_line.wait();
        let start = Instant::now();
        work(first);
        (start, Instant::now())
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| run(false));
        let (start, end) = run(true);
        let (other_start, other_end) = other.join().expect("the other thread");
        end.max(other_end) - start.min(other_start)
    })
}

/// Where two threads wait for each other without a system call.
#[derive(Default)]
struct Meeting {
    arrived: AtomicU32,
}

impl Meeting {
    /// `round` counts from 1.
    fn wait(&self, round: u32) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
        let mut looks = 0u32;
        while self.arrived.load(Ordering::Acquire) < 2 * round {
            looks += 1;
            if looks % 4096 == 0 {
                thread::yield_now(); // the other has lost its processor
            }
            hint::spin_loop();
        }
    }
}

/// Both take the events that lie in the ring, one with each call.
pub fn reap<W: Way + Sync>(group: &mut Group<'_>, way: &W) {
    struct Shared<'a, W: Way>(Filled<'a, W>);
    // SAFETY: a context may be used from any thread.
    unsafe impl<W: Way> Sync for Shared<'_, W> {}

    let shared = Shared(Filled::new(way));
    let most = u64::from(Filled::<W>::EVENTS);
    group.measure(way, |b| {
        b.iter_custom(|iterations| {
            let (meeting, taken) = (Meeting::default(), AtomicU64::new(0));
            let elapsed = in_two_threads(|first| {
                let Shared(context) = &shared;
                let mut event = io_event::default();
                let (mut left, mut round, mut mine) = (iterations, 0, 0);
                while left > 0 {
                    let n = left.min(most);
                    if first {
                        context.make_ready(n as u32);
                    }
                    meeting.wait(round + 1);
                    // SAFETY: the context is the way's own, and there is room for an event.
                    while 0 < unsafe {
                        way.get_events(context.address(), 0, 1, &mut event, ptr::null_mut())
                    } {
                        mine += 1;
                    }
                    meeting.wait(round + 2);
                    round += 2;
                    left -= n;
                }
                taken.fetch_add(mine, Ordering::Relaxed);
            });
            assert_eq!(taken.into_inner(), iterations);
            elapsed
        });
    });
}

/// Each submits one request, which completes at once, then takes what there is, and so on.
pub fn submit_and_reap<W: Way + Sync>(group: &mut Group<'_>, way: &W) {
    struct Shared<'a, W: Way>(Context<'a, W>);
    // SAFETY: a context may be used from any thread.
    unsafe impl<W: Way> Sync for Shared<'_, W> {}

    let shared = Shared(Context::new(way, 512));
    let event = ready_event();
    group.measure(way, |b| {
        b.iter_custom(|iterations| {
            let taken = AtomicU64::new(0);
            let elapsed = in_two_threads(|first| {
                let Shared(context) = &shared;
                let mut request = poll_request(event.as_raw_fd());
                let mut events = [io_event::default(); 16];
                let (to, mut mine) = (events.as_mut_ptr(), 0);
                let mut take = || {
                    // SAFETY: the context is the way's own, and there is room for 16 events.
                    let got =
                        unsafe { way.get_events(context.address(), 0, 16, to, ptr::null_mut()) };
                    mine += u64::try_from(got).expect("no error");
                    got
                };
                for _ in 0..iterations / 2 + u64::from(first) * (iterations % 2) {
                    let list = &mut ptr::from_mut(&mut request);
                    // SAFETY: the request completes in the call.
                    assert_eq!(unsafe { way.submit(context.address(), 1, list) }, 1);
                    take();
                }
                while take() > 0 {}
                taken.fetch_add(mine, Ordering::Relaxed);
            });
            assert_eq!(taken.into_inner(), iterations);
            elapsed
        });
    });
}
