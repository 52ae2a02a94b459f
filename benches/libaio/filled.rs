//! The ring, seen from user space, and contexts whose rings hold events that can be made ready again
//! and again: the kernel fills the ring once, and `head` is set back.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use aio::abi::{io_context_t, io_event};

use crate::ways::{Context, Way, poll_request};

/// `struct aio_ring` (`fs/aio.c`); the events follow.
#[repr(C)]
pub struct Ring {
    id: u32,
    nr: u32,
    head: AtomicU32,
    tail: AtomicU32,
    magic: u32,
    compat_features: u32,
    incompat_features: u32,
    header_length: u32,
}

impl Ring {
    /// # Safety
    /// The context is alive for as long as the view.
    pub unsafe fn of<'a>(context: io_context_t) -> &'a Ring {
        // SAFETY: upheld by the caller: the kernel mapped a ring there.
        unsafe { &*context.cast::<Ring>() }
    }

    /// Takes up to `most` events: the loop that programs write which read the ring themselves.
    ///
    /// # Safety
    /// Nobody else takes events meanwhile, and `to` has room for `most`.
    #[inline(always)]
    pub unsafe fn take(&self, most: u32, to: *mut io_event) -> u32 {
        let mut head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Acquire);
        let mut n = 0;
        while n < most && head != tail {
            // SAFETY: `nr` events follow the header, and `to` has room.
            unsafe {
                let event = ptr::from_ref(self).add(1).cast::<io_event>().add(head as usize);
                to.add(n as usize).write(event.read());
            }
            head += 1;
            if head == self.nr {
                head = 0;
            }
            n += 1;
        }
        if n > 0 {
            self.head.store(head, Ordering::Release);
        }
        n
    }
}

/// A context in whose ring lie [`Filled::EVENTS`] events, from slot 0 on.
pub struct Filled<'a, W: Way>(Context<'a, W>);

impl<'a, W: Way> Filled<'a, W> {
    pub const EVENTS: u32 = 400;

    pub fn new(way: &'a W) -> Self {
        let context = Context::new(way, 512);
        let event = ready_event();
        for _ in 0..Self::EVENTS {
            let mut request = poll_request(event.as_raw_fd());
            // SAFETY: the request completes in the call.
            let submitted =
                unsafe { way.submit(context.address(), 1, &mut ptr::from_mut(&mut request)) };
            assert_eq!(submitted, 1);
        }
        let filled = Filled(context);
        assert_eq!(filled.ring().tail.load(Ordering::Acquire), Self::EVENTS);
        filled
    }

    fn ring(&self) -> &Ring {
        // SAFETY: the context is alive.
        unsafe { Ring::of(self.0.address()) }
    }

    pub fn address(&self) -> io_context_t {
        self.0.address()
    }

    /// Has the ring hold `n` events. The kernel looks at `head` when it is asked for events or runs
    /// out of slots for new requests, and there are no new ones.
    #[inline(always)]
    pub fn make_ready(&self, n: u32) {
        self.ring().head.store(Self::EVENTS - n, Ordering::Release);
    }
}

/// A descriptor that is always ready to be read.
pub fn ready_event() -> OwnedFd {
    // SAFETY: a new descriptor is nobody else's.
    unsafe {
        let fd = libc::eventfd(1, libc::EFD_CLOEXEC);
        assert!(fd >= 0, "eventfd");
        OwnedFd::from_raw_fd(fd)
    }
}
