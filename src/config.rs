//! The environment variables, read once, at the first call that could need them.
//!
//! | variable | values | default |
//! | --- | --- | --- |
//! | `LIBAIO_ENGINE` | `kernel` or `io_uring`: what contexts are made of (`engine.rs`) | `kernel` |
//! | `LIBAIO_REAP` | `ring`: events are taken from the ring; `syscall`: by the kernel alone | `ring` |
//! | `LIBAIO_SPIN_US` | microseconds, 0 to 1000000: see `spin.rs` | 0 |
//! | `LIBAIO_STATS` | `0`; `1`: reports of `stats/` go to stderr; a file name: to FILE.PID | `0` |
//! | `LIBAIO_STATS_FORMAT` | `text` or `json` | `text` |
//! | `LIBAIO_STATS_SIGNAL` | `USR1`, `USR2` or a number: the signal that asks for a report | none |
//!
//! Set-user-ID programs ignore them (`secure_getenv(3)`). A wrong value is told in one line on
//! stderr, and ignored.

use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::{system, text, valgrind};

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
const STATS: u32 = 8;
const JSON: u32 = 16;
/// The number of a signal begins there.
const SIGNAL_SHIFT: u32 = 8;

/// The longest file name that `LIBAIO_STATS` takes, and one, for the file's end.
pub(crate) const LONGEST_NAME: usize = 1024;
/// Where the reports go: a file name, ended by 0; empty for stderr. (The program may overwrite its
/// environment.)
static STATS_FILE: [AtomicU8; LONGEST_NAME] = [const { AtomicU8::new(0) }; LONGEST_NAME];

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

/// Whether calls are to be counted.
pub(crate) fn wants_stats() -> bool {
    settings() & STATS != 0
}

/// Whether the reports are to be JSON.
pub(crate) fn reports_json() -> bool {
    settings() & JSON != 0
}

/// The signal that asks for a report, or 0.
pub(crate) fn stats_signal() -> c_int {
    (settings() >> SIGNAL_SHIFT) as c_int
}

/// The bytes of the file name for the reports; none for stderr.
pub(crate) fn stats_file() -> impl Iterator<Item = u8> {
    STATS_FILE.iter().map(|byte| byte.load(Ordering::Relaxed)).take_while(|&byte| byte != 0)
}

fn settings() -> u32 {
    match SETTINGS.load(Ordering::Acquire) {
        0 => read_all(),
        settings => settings,
    }
}

/// Reads the environment.
#[cold]
fn read_all() -> u32 {
    let silent = TOLD.swap(1, Ordering::Relaxed) != 0;
    let microseconds = |value: &[u8]| number(value, MOST_US);
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
    let stats = read(c"LIBAIO_STATS", "0, 1 or a file name", silent, sink);
    let format = read(c"LIBAIO_STATS_FORMAT", "text or json", silent, |value| match value {
        b"text" => Some(0),
        b"json" => Some(JSON),
        _ => None,
    });
    let signal = read(c"LIBAIO_STATS_SIGNAL", "USR1, USR2 or a number", silent, signal);
    let settings = READ
        | reap.unwrap_or(RING)
        | engine.unwrap_or(0)
        | stats.unwrap_or(0)
        | format.unwrap_or(0)
        | signal.unwrap_or(0) << SIGNAL_SHIFT;
    // Release: the file name.
    SETTINGS.store(settings, Ordering::Release);
    settings
}

/// [`STATS`] or 0; a file name is kept.
fn sink(value: &[u8]) -> Option<u32> {
    match value {
        b"0" => return Some(0),
        b"1" => return Some(STATS),
        _ => (),
    }
    if value.is_empty() || value.len() >= LONGEST_NAME {
        return None;
    }
    // Who reads the environment at the same time writes the same.
    STATS_FILE.iter().zip(value).for_each(|(to, &byte)| to.store(byte, Ordering::Relaxed));
    Some(STATS)
}

/// A signal that can be handled, and is no fault of the thread's own.
fn signal(value: &[u8]) -> Option<u32> {
    let number = match value {
        b"USR1" => libc::SIGUSR1,
        b"USR2" => libc::SIGUSR2,
        digits => number(digits, 64)? as c_int,
    };
    let taken = system::FAULTS.contains(&number)
        || matches!(number, 0 | libc::SIGKILL | libc::SIGSTOP | libc::SIGABRT | 32 | 33);
    (!taken).then_some(number as u32)
}

/// A whole number up to `most`.
fn number(value: &[u8], most: u32) -> Option<u32> {
    let mut number: u32 = 0;
    for &digit in value {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
    }
    (!value.is_empty() && number <= most).then_some(number)
}

/// The variable's value, where it is set and `parse` takes it.
#[inline(never)]
fn read(name: &CStr, values: &str, silent: bool, parse: fn(&[u8]) -> Option<u32>) -> Option<u32> {
    // SAFETY: the name is a C string.
    let value = unsafe { secure_getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: getenv's answer is a C string; nobody has had the time to change it.
    let value = unsafe { text::of_c_string(value.cast()) };
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
