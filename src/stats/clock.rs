//! How long a call takes, by the processor's own clock where the kernel keeps time by it: what it costs to
//! ask the kernel's (by vDSO) is most of what counting costs.
//!
//! The TSC is used where the kernel itself names it as its clock source. Its pace is learnt by the kernel's
//! clock in the first moments (by which calls are timed meanwhile), twice, and learnt anew up to fifty times
//! a second. Where it is another all at once (a machine that slept, or was moved to another one; a child in
//! another time namespace), the kernel's clock is used for good.

use crate::system::now_ns;

#[cfg(target_arch = "x86_64")]
use self::tsc as fast;

/// A call that is being timed.
#[derive(Clone, Copy)]
pub(super) struct Timed {
    /// Nanoseconds in a tick of the fast clock, times 2^32; 0: the start is by the kernel's.
    pace: u64,
    start: u64,
}

impl Timed {
    #[inline(always)]
    pub(super) fn start() -> Timed {
        match fast::pace() {
            0 => Timed { pace: 0, start: now_ns() },
            pace => Timed { pace, start: fast::ticks() },
        }
    }

    /// Nanoseconds since the start.
    #[inline(always)]
    pub(super) fn ns(self) -> u64 {
        if self.pace == 0 {
            let now = now_ns();
            fast::learn(now);
            return now - self.start;
        }
        let now = fast::ticks();
        // Of two processors one may be behind.
        let ns = fast::ns_of(now.saturating_sub(self.start), self.pace);
        if fast::is_to_be_learnt(now) {
            fast::learn_anew();
        }
        ns
    }
}

/// Begins to learn the pace of the processor's clock, where that can be used. The caller keeps errno.
pub(super) fn begin() {
    fast::begin();
}

/// Where the kernel's clock is the only one.
#[cfg(not(target_arch = "x86_64"))]
mod fast {
    pub(super) fn begin() {}
    pub(super) fn learn(_: u64) {}
    pub(super) fn pace() -> u64 {
        0
    }
    pub(super) fn ticks() -> u64 {
        0
    }
    pub(super) fn ns_of(_: u64, _: u64) -> u64 {
        0
    }
    pub(super) fn is_to_be_learnt(_: u64) -> bool {
        false
    }
    pub(super) fn learn_anew() {}
}

#[cfg(target_arch = "x86_64")]
mod tsc {
    use core::sync::atomic::AtomicU64;
    use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use crate::system::{self, now_ns};

    /// How long the pace is learnt.
    const LEARNT_NS: u64 = 20_000_000;
    /// A look at both clocks is good where it takes no more than one in so many of the ticks since the last.
    const GOOD: i64 = 256;
    /// A pace is another where it differs by one in so many.
    const ANOTHER: u64 = 8;

    /// See `Timed`; 0 while it is not known.
    static PACE: AtomicU64 = AtomicU64::new(0);
    /// The pace that the last look gave; 0 before there is one.
    static SEEN: AtomicU64 = AtomicU64::new(0);
    /// When the next look is due, in ticks.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    /// The last look at both clocks; 0 ticks where the TSC is of no use, and while a thread looks anew.
    static TICKS: AtomicU64 = AtomicU64::new(0);
    static NS: AtomicU64 = AtomicU64::new(0);

    #[inline(always)]
    pub(super) fn pace() -> u64 {
        PACE.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn ticks() -> u64 {
        // SAFETY: every such processor has it. The system calls beside it order it well enough.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    #[inline(always)]
    pub(super) fn ns_of(ticks: u64, pace: u64) -> u64 {
        ((u128::from(ticks) * u128::from(pace)) >> 32) as u64
    }

    #[inline(always)]
    pub(super) fn is_to_be_learnt(now: u64) -> bool {
        now >= NEXT.load(Relaxed)
    }

    /// See [`super::begin`].
    pub(super) fn begin() {
        if keeps_time() {
            let (start, ns) = (ticks(), now_ns());
            // Else it was interrupted, and the first pace would be wrong by as much: by a hundredth at the most.
            if ticks().wrapping_sub(start) < LEARNT_NS / 100 {
                NS.store(ns, Relaxed);
                TICKS.store(start, Relaxed);
            }
        }
    }

    /// Whether the kernel keeps time by the TSC, which it watches. (A program that may not read it, as
    /// `PR_SET_TSC` says, could not ask the time by vDSO then, either.)
    fn keeps_time() -> bool {
        let name = c"/sys/devices/system/clocksource/clocksource0/current_clocksource";
        let mut source = [0u8; 8];
        let fd = system::open(name.to_bytes_with_nul(), libc::O_RDONLY);
        // SAFETY: room for as many bytes; the descriptor, if it is one, is ours.
        unsafe {
            system::call(libc::SYS_read, fd, source.as_mut_ptr(), source.len());
            system::call(libc::SYS_close, fd, 0, 0);
        }
        source == *b"tsc\n\0\0\0\0"
    }

    /// Learns the pace where there was time for it, at the end of a call that was timed by the kernel's clock.
    #[inline]
    pub(super) fn learn(now: u64) {
        if TICKS.load(Relaxed) != 0 && now.wrapping_sub(NS.load(Relaxed)) >= LEARNT_NS {
            learn_anew();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn learn_anew() {
        // Nobody else learns it meanwhile.
        let last = TICKS.swap(0, Acquire);
        if last == 0 {
            return;
        }
        let mut look = last;
        let (start, ns) = (ticks(), now_ns());
        let took = ticks().wrapping_sub(start) as i64;
        let since = start.wrapping_sub(last);
        // Else it was interrupted, or is too early: as signed numbers, since a processor may run ahead.
        if took <= since as i64 / GOOD {
            let new = pace_of(since, ns.wrapping_sub(NS.load(Relaxed)));
            let before = SEEN.swap(new, Relaxed);
            let goes_on = agree(before, new);
            // The one that this one confirms: in the time of the first the machine may have slept.
            PACE.store(if goes_on { before } else { 0 }, Relaxed);
            NS.store(ns, Relaxed);
            NEXT.store(start.wrapping_add(since), Relaxed);
            look = if goes_on { start } else { 0 };
        }
        TICKS.store(look, Release);
    }

    /// The pace where so many ticks took so long; 0 where there is none.
    fn pace_of(mut ticks: u64, mut ns: u64) -> u64 {
        while ns >> 32 != 0 {
            (ticks, ns) = (ticks >> 1, ns >> 1);
        }
        (ns << 32).checked_div(ticks).unwrap_or(0)
    }

    /// Whether a new pace is that of before, if there was one.
    fn agree(before: u64, new: u64) -> bool {
        before == 0 || before.abs_diff(new) <= before / ANOTHER
    }

    #[cfg(test)]
    pub(super) mod tests {
        use super::*;

        /// Who tries the clocks of the process.
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

        #[test]
        fn the_pace_is_that_of_the_kernels_clock() {
            assert_eq!(pace_of(200_000_000, 100_000_000), 1 << 31);
            assert_eq!(pace_of(100_000_000, 100_000_000), 1 << 32);
            // A year.
            assert_eq!(pace_of(31_536_000_000_000_000, 31_536_000_000_000_000), 1 << 32);
            // The twins: clocks that stand, or go back.
            assert_eq!((pace_of(0, 5), pace_of(0, 0), pace_of(5, 0)), (0, 0, 0));
            assert!(!agree(1 << 31, pace_of(5u64.wrapping_neg(), 100_000_000)));
        }

        #[test]
        fn a_pace_that_is_another_all_at_once_is_none() {
            assert!(agree(0, 1 << 31) && agree(1 << 31, (1 << 31) + (1 << 27)));
            assert!(!agree(1 << 31, 1 << 32) && !agree(1 << 31, 1 << 30));
            assert!(!agree(1 << 31, 0));
        }

        /// Has the clocks forget all, for who has them alone.
        pub(in super::super) fn forget() -> std::sync::MutexGuard<'static, ()> {
            let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            for word in [&PACE, &SEEN, &NEXT, &TICKS, &NS] {
                word.store(0, Relaxed);
            }
            alone
        }

        /// Sets a last look that was so long ago.
        fn looked(ticks_ago: u64, ns_ago: u64) {
            NS.store(now_ns().wrapping_sub(ns_ago), Relaxed);
            TICKS.store(ticks().saturating_sub(ticks_ago), Relaxed);
        }

        /// Has a look that is not interrupted.
        fn look() {
            let before = TICKS.load(Relaxed);
            while TICKS.load(Relaxed) == before {
                learn_anew();
            }
        }

        #[test]
        fn a_first_pace_that_the_second_gainsays_is_not_used() {
            // The machine slept for a day, which the kernel's clock leaves out or the processor's does.
            for (ticks_ago, ns_ago) in [(1 << 47, 20_000_000), (1 << 27, 86_400_000_000_000)] {
                let _alone = forget();
                looked(ticks_ago.min(ticks() / 2), ns_ago);
                look();
                assert!(PACE.load(Relaxed) == 0 && SEEN.load(Relaxed) != 0);
                look();
                assert_eq!((PACE.load(Relaxed), TICKS.load(Relaxed)), (0, 0));
            }
        }

        #[test]
        fn a_first_pace_that_the_second_confirms_is_used() {
            let is_used = || {
                let _alone = forget();
                looked(0, 0);
                std::thread::sleep(std::time::Duration::from_millis(1));
                look();
                assert_eq!(PACE.load(Relaxed), 0);
                let first = SEEN.load(Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(1));
                look();
                first != 0 && PACE.load(Relaxed) == first
            };
            // Whoever is interrupted between the two clocks gets a wrong pace.
            assert!((0..1000).any(|_| is_used()));
        }

        #[test]
        fn a_clock_that_was_given_up_is_not_learnt_by_who_is_late() {
            let _alone = forget();
            // Who began before that, and ends when another look is due.
            super::super::Timed { pace: 1 << 31, start: ticks() }.ns();
            assert_eq!((PACE.load(Relaxed), TICKS.load(Relaxed)), (0, 0));
        }

        #[test]
        fn ticks_are_nanoseconds_at_that_pace() {
            assert_eq!((ns_of(3, 1 << 32), ns_of(3, 1 << 31), ns_of(0, 1 << 31)), (3, 1, 0));
            // A year of ticks at 4 GHz.
            assert_eq!(ns_of(126_144_000_000_000_000, 1 << 30), 31_536_000_000_000_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Begins anew, for who has the clocks of the process alone.
    fn begin_alone() -> impl Sized {
        #[cfg(target_arch = "x86_64")]
        let alone = tsc::tests::forget();
        #[cfg(not(target_arch = "x86_64"))]
        let alone = ();
        begin();
        alone
    }

    #[test]
    fn a_call_takes_as_long_by_either_clock() {
        let _alone = begin_alone();
        // Until the pace is known, where it can be.
        let until = now_ns() + 400_000_000;
        while fast::pace() == 0 && now_ns() < until {
            Timed::start().ns();
        }
        for _ in 0..100 {
            let outer = now_ns();
            let timed = Timed::start();
            let inner = now_ns();
            std::thread::sleep(std::time::Duration::from_micros(100));
            let inner = now_ns() - inner;
            let ns = timed.ns();
            let outer = now_ns() - outer;
            assert!(inner - inner / 2 <= ns && ns <= outer + outer / 2, "{inner} {ns} {outer}");
        }
    }

    #[test]
    fn threads_that_learn_the_pace_at_a_time_do_not_spoil_it() {
        let _alone = begin_alone();
        let until = now_ns() + 1_000_000_000;
        let calls = move || {
            let mut known = false;
            while now_ns() < until {
                Timed::start().ns();
                known |= fast::pace() != 0;
            }
            known && fast::pace() == 0
        };
        let threads: std::vec::Vec<_> = (0..4).map(|_| std::thread::spawn(calls)).collect();
        for thread in threads {
            assert!(!thread.join().expect("an end"), "it was known, and is not");
        }
    }
}
