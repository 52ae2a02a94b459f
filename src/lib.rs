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
//! | `kernel` | the raw system calls, and how their answers become `-errno` |
//!
//! The library is `no_std`, allocates nothing, starts no thread, prints nothing, and needs
//! `libc.so.6` alone.

#![no_std]

// Built with `panic = "abort"` (every profile but the test one, whose panic setting cargo fixes)
// the crate brings its own panic handler; in test binaries, std brings one.
#[cfg(not(panic = "abort"))]
extern crate std;

pub mod abi;
pub mod capi;
mod kernel;
pub mod prep;

/// Never reached: the library has no panicking operation (`tests/artefacts.rs` checks that the
/// linker dropped this function).
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort(3) has no precondition.
    unsafe { libc::abort() }
}
