//! A drop-in replacement for libaio 0.3.113: the C ABI of `libaio.so.1`, in Rust.
//!
//! Programs reach this crate through `include/libaio.h` and the exported C functions; the `rlib`
//! exists for the project's own tests and benches. The rooms, from the C face down to the kernel
//! (calls go downwards only):
//!
//! | room | owns |
//! | --- | --- |
//! | [`capi`] | the exported functions and their symbol versions |
//! | [`prep`] | the exported, out-of-line forms of the header's inline helpers |
//! | [`abi`] | the C types, field for field those of the header |
//! | `engine` | which of the two engines serves the program |
//! | `uring` | the second engine, which makes contexts of io_uring: a house of its own |
//! | `context` | the kernel's AIO: the ways of a call through the rooms below |
//! | `table` | which contexts are ours: where an address finds its gate |
//! | `gate` | the exclusion of one context: reaping in user space, or through the kernel |
//! | `ring` | the view of the `aio_ring`, and the reap: pure |
//! | `nested` | a call in a signal handler that interrupted a reap |
//! | `request` | what a caller asks for |
//! | `spin` | watching the ring before a call sleeps |
//! | `kernel` | the raw AIO system calls, and how their answers become `-errno` |
//! | `system` | what else the library needs of the system |
//! | `stats` | what is counted of the calls, and the reports of it: a house of its own |
//! | `probes` | the points at which tracers can attach |
//! | `config`, `valgrind` | what decides whether rings are reaped at all |
//! | `sync` | the atomics of `gate` and `ring`: the machine's, or the model checker's |
//!
//! One `io_getevents` goes from `capi` through `engine` to `context`, through the `gate` to the `ring`, and back; to
//! `kernel` on the slow way alone.
//!
//! The library is `no_std`, allocates one table at the first call and nothing else (but the counters of
//! `LIBAIO_STATS`), starts no thread, prints nothing unasked but a line about a wrong `LIBAIO_*` value,
//! and needs `libc.so.6` alone.

#![no_std]
// The model checker runs the exclusion and the reap alone.
#![cfg_attr(loom, allow(dead_code))]

// Built with `panic = "abort"` (every profile but the test one, whose panic setting cargo fixes)
// the crate brings its own panic handler; in test binaries, std brings one.
#[cfg(not(panic = "abort"))]
extern crate std;

pub mod abi;
#[cfg(not(loom))]
pub mod capi;
#[cfg(not(loom))]
mod config;
#[cfg(not(loom))]
mod context;
#[cfg(not(loom))]
mod engine;
mod gate;
#[cfg(not(loom))]
mod kernel;
#[cfg(all(test, loom))]
mod model;
#[cfg(not(loom))]
mod nested;
#[cfg(not(loom))]
pub mod prep;
#[cfg(not(loom))]
mod probes;
#[cfg(not(loom))]
mod request;
mod ring;
#[cfg(not(loom))]
mod spin;
#[cfg(not(loom))]
mod stats;
mod sync;
#[cfg(not(loom))]
mod system;
mod table;
#[cfg(not(loom))]
mod text;
mod uring;
#[cfg(not(loom))]
mod valgrind;

/// Never reached: the library has no panicking operation (`tests/artefacts.rs` checks that the
/// linker dropped this function).
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort(3) has no precondition.
    unsafe { libc::abort() }
}
