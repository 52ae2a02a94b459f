//! How many threads use a context, and so to which of its two io_urings requests go.
//!
//! The last part of a request is carried out by the thread that has submitted it. In the *shared*
//! io_uring the kernel interrupts that thread for each; in the *quiet* one it waits until the thread
//! enters the kernel by itself, at the latest at the timer's next tick (`IORING_SETUP_COOP_TASKRUN`):
//! that is much cheaper, and soon enough for as long as no other thread waits for it. So a context has
//! a quiet io_uring, and gets a shared one when a second thread comes (or the pump).
//!
//! The kernel has one list of what a thread is to carry out, of all its io_urings: what is there for a
//! quiet one already, it does not interrupt the thread for the next either. So a thread that has
//! submitted to any shared io_uring has its other contexts shared too (`thread_end.rs`). And a look that
//! finds nothing while the quiet one has requests enters the kernel (`events.rs`).
//!
//! | word | state | requests go to | who may change it, and to what |
//! | --- | --- | --- | --- |
//! | 0 | nobody has used it | quiet | the first user: to its name |
//! | a thread | that thread alone uses it | quiet | any other: to *making* |
//! | 1 | *making*: a shared io_uring is being made | quiet | who makes it: to *joined* or *lone* |
//! | 2 | *joined*: several threads use it; the first may be asleep on the quiet one alone | quiet for as long as that one is asleep | who submits, under the lock: to *shared* |
//! | 3 | *shared*: no request goes to the quiet one any more, but some may be there | shared | nobody |
//! | 4 | *lone*: several threads, and no shared io_uring to be had | quiet | nobody |
//!
//! A thread that is alone counts itself in `asleep`, looks at the word once more, and sleeps on the
//! quiet io_uring. Who submits looks at `asleep` after the word was changed. With a fence between the
//! two steps on either side one of the two sees the other, so nobody sleeps on the quiet one alone while
//! requests go to the shared one.
//! The others sleep on both, until the quiet one is empty in the state *shared*.

use crate::gate::Pause;
use crate::sync::{AtomicU32, AtomicUsize, Ordering, fence};

const NOBODY: usize = 0;
const MAKING: usize = 1;
const JOINED: usize = 2;
const SHARED: usize = 3;
const LONE: usize = 4;

/// All zero is a context that nobody has used.
#[repr(C)]
pub(crate) struct Sharing {
    word: AtomicUsize,
    /// How many calls of the first thread sleep on the quiet io_uring alone (in signal handlers several).
    asleep: AtomicU32,
}

/// Where the requests of a context are, as far as one thread may tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Where {
    Quiet,
    /// In either.
    Both,
    /// New ones in the shared io_uring, old ones in the quiet one.
    Shared,
}

impl Sharing {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Sharing { word: AtomicUsize::new(NOBODY), asleep: AtomicU32::new(0) }
    }

    /// Whether a thread has been noted ([`Sharing::note`]), or need not be.
    #[inline(always)]
    pub(crate) fn knows(&self, me: usize) -> bool {
        let word = self.word.load(Ordering::Acquire);
        word == me || (JOINED..=LONE).contains(&word)
    }

    /// Whether no other thread uses the context, and this one does not do so above a sleep of its own.
    #[inline(always)]
    pub(crate) fn is_alone(&self, me: usize) -> bool {
        self.word.load(Ordering::Relaxed) == me && self.asleep.load(Ordering::Relaxed) == 0
    }

    /// Notes that a thread uses the context. The second one to come has `make` make the shared io_uring
    /// (false: there is none to be had), with signals blocked: a handler would wait for it.
    pub(crate) fn note<P: Pause>(&self, me: usize, make: impl Fn() -> bool) {
        loop {
            let (from, to) = match self.word.load(Ordering::Acquire) {
                NOBODY => (NOBODY, me),
                MAKING => {
                    P::sleep();
                    continue;
                }
                JOINED..=LONE => return,
                word if word == me => return,
                other => (other, MAKING),
            };
            let order = Ordering::AcqRel;
            if self.word.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
                && to == MAKING
            {
                fence(Ordering::SeqCst); // pairs with the one in `Unasked::is_left`
                self.word.store(if make() { JOINED } else { LONE }, Ordering::Release);
            }
        }
    }

    /// Whether there is a shared io_uring.
    #[inline(always)]
    pub(crate) fn has_shared(&self) -> bool {
        matches!(self.word.load(Ordering::Acquire), JOINED | SHARED)
    }

    /// Where requests are, for a thread that was noted.
    #[inline(always)]
    pub(crate) fn place(&self, me: usize) -> Where {
        match self.word.load(Ordering::Acquire) {
            SHARED => Where::Shared,
            word if word == me || word == LONE => Where::Quiet,
            _ => Where::Both,
        }
    }

    /// Whether a request goes to the shared io_uring. The caller holds the lock of those who submit;
    /// `below` where it has interrupted a hold of its own thread's, which may have chosen already.
    #[inline]
    pub(crate) fn goes_to_shared(&self, below: bool) -> bool {
        match self.word.load(Ordering::Acquire) {
            SHARED => true,
            JOINED if !below => {
                fence(Ordering::SeqCst); // pairs with the one in `falls_asleep`
                let awake = self.asleep.load(Ordering::Relaxed) == 0;
                if awake {
                    self.word.store(SHARED, Ordering::Release);
                }
                awake
            }
            _ => false,
        }
    }

    /// A thread is about to sleep: true where it may do so on the quiet io_uring alone, to be ended by
    /// [`Sharing::wakes`].
    pub(crate) fn falls_asleep(&self, me: usize) -> bool {
        self.asleep.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst); // pairs with those in `goes_to_shared`, `Context::sleepers` and `work`
        // While the shared one is being made only the first thread can have come so far; it has nothing
        // else to sleep on.
        let word = self.word.load(Ordering::Acquire);
        let alone = word == me || word == MAKING;
        if !alone {
            self.wakes();
        }
        alone
    }

    pub(crate) fn wakes(&self) {
        self.asleep.fetch_sub(1, Ordering::Release);
    }
}
