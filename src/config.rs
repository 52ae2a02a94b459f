//! The environment variables, read once, at the first call that could need them.
//!
//! | variable | values | default |
//! | --- | --- | --- |
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

/// Whether a thread has taken it on itself to speak of wrong values.
static TOLD: AtomicU32 = AtomicU32::new(0);

/// See [`SPIN_NS`].
pub(crate) fn spin_ns() -> u32 {
    SPIN_NS.load(Ordering::Relaxed)
}

/// Reads the environment; whether events are to be taken from the ring at all.
pub(crate) fn reaps_ring() -> bool {
    let silent = TOLD.swap(1, Ordering::Relaxed) != 0;
    let us = read(c"LIBAIO_SPIN_US", "0 to 1000000, in microseconds", silent, microseconds);
    SPIN_NS.store(us.unwrap_or(0) * 1000, Ordering::Relaxed);
    let ring = read(c"LIBAIO_REAP", "ring or syscall", silent, |value| match value {
        b"ring" => Some(true),
        b"syscall" => Some(false),
        _ => None,
    });
    ring.unwrap_or(true) && !valgrind::runs_here()
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
