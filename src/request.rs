//! What a caller of `io_getevents` or `io_pgetevents` asks for, and what of it can be told without
//! the kernel.

use core::cell::Cell;
use core::ffi::{c_int, c_long};
use core::ptr;

use libc::{EFAULT, EINVAL, sigset_t, timespec};

use crate::abi::{io_context_t, io_event};
use crate::system::{now_ns, refuses};
use crate::{kernel, probes, stats};

/// What a caller of `io_getevents` or `io_pgetevents` asks for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) context: io_context_t,
    pub(crate) min_nr: c_long,
    pub(crate) nr: c_long,
    pub(crate) events: *mut io_event,
    pub(crate) timeout: *const timespec,
    /// NULL where the signal mask stays.
    pub(crate) sigmask: *const sigset_t,
    /// Whether it is `io_pgetevents`, which after a stop and a SIGCONT goes on waiting where
    /// `io_getevents` answers EINTR, also without a mask.
    pub(crate) with_mask: bool,
    /// Where it is noted how the request is answered; NULL where nobody asks.
    pub(crate) way: *const Way,
}

/// Where the answer to a request comes from.
#[derive(Clone, Copy, Default)]
#[repr(u32)]
pub(crate) enum Source {
    /// What user space found at once.
    #[default]
    Ring,
    /// Found while the call watched the ring (`spin.rs`).
    Spin,
    /// The kernel, where the call may have slept.
    Kernel,
}

/// How a request is answered.
#[derive(Default)]
pub(crate) struct Way {
    source: Cell<Source>,
    kernel_ns: Cell<u64>,
}

impl Way {
    pub(crate) fn source(&self) -> Source {
        self.source.get()
    }

    /// How long the call was in the kernel, where that is counted.
    pub(crate) fn kernel_ns(&self) -> u64 {
        self.kernel_ns.get()
    }
}

impl Request {
    /// That of `io_getevents`.
    #[inline(always)]
    pub(crate) fn without_mask(
        context: io_context_t,
        min_nr: c_long,
        nr: c_long,
        events: *mut io_event,
        timeout: *const timespec,
    ) -> Self {
        let (sigmask, way) = (ptr::null(), ptr::null());
        Request { context, min_nr, nr, events, timeout, sigmask, with_mask: false, way }
    }

    fn way(&self) -> Option<&Way> {
        // SAFETY: NULL, or what `engine.rs` keeps until the call is answered.
        unsafe { self.way.as_ref() }
    }

    /// The answer was found while the call watched the ring.
    #[cold]
    pub(crate) fn found_by_spinning(&self) {
        if let Some(way) = self.way() {
            way.source.set(Source::Spin);
        }
    }

    /// Runs `call`, in which the kernel may put the caller to sleep.
    #[inline]
    pub(crate) fn in_kernel(&self, call: impl FnOnce() -> c_int) -> c_int {
        let start = self.enter_kernel();
        let answer = call();
        self.leave_kernel(start, answer);
        answer
    }

    /// When the call enters the kernel; 0 where nothing is counted.
    #[inline(never)]
    fn enter_kernel(&self) -> u64 {
        probes::wait_start(self.context, self.min_nr, self.nr);
        if stats::is_off() { 0 } else { now_ns() }
    }

    #[inline(never)]
    fn leave_kernel(&self, start: u64, answer: c_int) {
        if let Some(way) = self.way() {
            way.source.set(Source::Kernel);
            if start != 0 {
                way.kernel_ns.set(way.kernel_ns.get() + (now_ns() - start));
            }
        }
        probes::wait_end(self.context, answer);
    }

    /// The kernel's answer to the request as it is.
    ///
    /// # Safety
    /// As `io_getevents`.
    #[inline(never)]
    pub(crate) unsafe fn ask_kernel(self) -> c_int {
        let Request { context, min_nr, nr, events, timeout, sigmask, with_mask, .. } = self;
        // SAFETY: upheld by the caller.
        self.in_kernel(|| unsafe {
            if with_mask {
                kernel::io_pgetevents(context, min_nr, nr, events, timeout, sigmask)
            } else {
                kernel::io_getevents(context, min_nr, nr, events, timeout)
            }
        })
    }

    /// Whether user space may answer: nothing in it that the kernel would refuse or must see.
    #[inline(always)]
    pub(crate) fn is_plain(self) -> bool {
        self.sigmask.is_null()
            && 0 <= self.min_nr
            && self.min_nr <= self.nr
            && !refuses(self.events)
            && (self.timeout.is_null() || !refuses(self.timeout))
    }

    /// The number of events below which the caller wants to wait.
    ///
    /// # Safety
    /// The timeout is NULL or readable.
    #[inline(always)]
    pub(crate) unsafe fn least(self) -> u32 {
        if self.min_nr == 0 {
            return 0;
        }
        // SAFETY: upheld by the caller.
        if !self.timeout.is_null() && unsafe { is_zero(self.timeout) } {
            return 0;
        }
        clamped(self.min_nr)
    }

    /// The kernel's checks before it looks at the ring, in its order: an error number, or 0.
    #[cold]
    #[inline(never)]
    pub(crate) fn refused(&self) -> c_int {
        if !self.timeout.is_null() && refuses(self.timeout) {
            EFAULT
        } else if !(0 <= self.min_nr && self.min_nr <= self.nr) {
            EINVAL
        } else {
            0
        }
    }

    /// Whether the kernel may put the caller to sleep: it refuses nothing, and there is a wait.
    ///
    /// # Safety
    /// The timeout is NULL, readable, or one that the kernel is sure to refuse.
    pub(crate) unsafe fn may_sleep(self) -> bool {
        // SAFETY: upheld by the caller.
        self.refused() == 0 && unsafe { self.least() } > 0
    }

    /// The room for events, as far as a ring can fill it.
    #[inline(always)]
    pub(crate) fn most(self) -> u32 {
        clamped(self.nr)
    }
}

/// `n`, which is not negative, or the largest number that the type holds.
#[inline]
fn clamped(n: c_long) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// # Safety
/// `timeout` is readable.
#[inline]
unsafe fn is_zero(timeout: *const timespec) -> bool {
    // SAFETY: upheld by the caller.
    let timeout = unsafe { timeout.read_unaligned() };
    timeout.tv_sec == 0 && timeout.tv_nsec == 0
}
