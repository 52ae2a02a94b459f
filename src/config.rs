//! The environment variables, read once, at the first call that could need them.
//!
//! | variable | values | default |
//! | --- | --- | --- |
//! | `LIBAIO_ENGINE` | `kernel` or `io_uring`: what contexts are made of (`engine.rs`) | `kernel` |
//! | `LIBAIO_REAP` | `ring`: events are taken from the ring; `syscall`: by the kernel alone | `ring` |
//! | `LIBAIO_SPIN_US` | microseconds, 0 to 1000000: see `spin.rs` | 0 |
//!
//! Set-user-ID programs ignore them (`secure_getenv(3)`). A wrong value is told in one line on
//! stderr, and ignored.

use core::ffi::{CStr, c_char};
use core::sync::atomic::{AtomicU32, Ordering};

use crate::{system, valgrind};

unsafe extern "C" {
    /// `secure_getenv(3)`, which the libc crate does not declare.
    fn secure_getenv(name: *const c_char) -> *const c_char;
}

/// The largest `LIBAIO_SPIN_US`: a second.
const MOST_US: u32 = 1_000_000;

/// How long a blocking call watches the ring before it sleeps, in nanoseconds.
static SPIN_NS: AtomicU32 = AtomicU32::new(0);

/// What was read; 0 before that.
static SETTINGS: AtomicU32 = AtomicU32::new(0);
const READ: u32 = 1;
const RING: u32 = 2;
const URING: u32 = 4;

/// Whether a thread has taken it on itself to speak of wrong values.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// See [`SPIN_NS`].
pub(crate) fn spin_ns() -> u32 {
    SPIN_NS.load(Ordering::Relaxed)
}

/// Whether events are to be taken from the kernel's rings at all.
pub(crate) fn reaps_ring() -> bool {
    settings() & RING != 0 && !valgrind::runs_here()
}

/// Whether contexts are to be made of io_uring.
pub(crate) fn wants_uring() -> bool {
    settings() & URING != 0
}

fn settings() -> u32 {
    match SETTINGS.load(Ordering::Relaxed) {
        0 => read_all(),
        settings => settings,
    }
}

/// Reads the environment.
#[cold]
fn read_all() -> u32 {
    let silent = TOLD.swap(1, Ordering::Relaxed) != 0;
    let us = read(c"LIBAIO_SPIN_US", "0 to 1000000, in microseconds", silent, microseconds);
    SPIN_NS.store(us.unwrap_or(0) * 1000, Ordering::Relaxed);
    let reap = read(c"LIBAIO_REAP", "ring or syscall", silent, |value| match value {
        b"ring" => Some(RING),
        b"syscall" => Some(0),
        _ => None,
    });
    let engine = read(c"LIBAIO_ENGINE", "kernel or io_uring", silent, |value| match value {
        b"kernel" => Some(0),
        b"io_uring" => Some(URING),
        _ => None,
    });
    let settings = READ | reap.unwrap_or(RING) | engine.unwrap_or(0);
    SETTINGS.store(settings, Ordering::Relaxed);
    settings
}

/// A whole number of microseconds up to [`MOST_US`].
fn microseconds(value: &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    for &digit in value {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
    }
    (!value.is_empty() && number <= MOST_US).then_some(number)
}

/// The variable's value, where it is set and `parse` takes it.
fn read<T>(
    name: &CStr,
    values: &str,
    silent: bool,
    parse: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    // SAFETY: the name is a C string.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv's answer is a C string; nobody has had the time to change it.
    let value = unsafe { CStr::from_ptr(value) }.to_bytes();
    let parsed = parse(value);
    if parsed.is_none() && !silent {
        let parts: [&[u8]; 7] = [
            b"libaio-rs: ",
            name.to_bytes(),
            b"=",
            value,
            b" is ignored; it takes ",
            values.as_bytes(),
            b"\n",
        ];
        system::write_stderr(&parts);
    }
    parsed
}
