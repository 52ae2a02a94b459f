//! What a child of `fork` must not keep: the descriptors of its parent's contexts. They would hold the
//! parent's io_urings beyond their `io_destroy`. (A child that executes a program is rid of them by
//! close-on-exec.) And that its thread has submitted: the kernel has no worker for it (`worker.rs`).
//!
//! The numbers stand in memory that the child inherits, unlike the table of places, where a word says
//! whether this process has tidied up. Its handler does so, unless a context of the child's own comes
//! first: a handler of the program's may run before, and a child that did not come from `fork(3)` has
//! none. The mappings stay, and keep the io_uring's memory for as long as the child does not execute a
//! program or end: a handler that forked in the middle of a call returns to code that uses them.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};

use super::sys;
use super::table::{self, Table};
use super::thread_end::{self, Past};
use crate::system;

unsafe extern "C" {
    /// What `pthread_atfork(3)` calls in the C library; that function itself is in no shared one.
    fn __register_atfork(
        prepare: Option<unsafe extern "C" fn()>,
        parent: Option<unsafe extern "C" fn()>,
        child: Option<extern "C" fn()>,
        object: *const c_void,
    ) -> c_int;
}

// What is linked into a shared object that may be unloaded names it by this, so that the handler goes with it.
// The compiler's start files define it; without them it is NULL, as the shared library (-z nodelete) has it.
core::arch::global_asm!(".weak __dso_handle", ".hidden __dso_handle");

unsafe extern "C" {
    static __dso_handle: u8;
}

/// For each place its descriptors, each a number and 1.
type Descriptors = [[AtomicI32; 4]; table::places()];

/// What a descriptor of a context is.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    Quiet,
    Shared,
    Bell,
    Epoll,
}

static DESCRIPTORS: AtomicPtr<Descriptors> = AtomicPtr::new(ptr::null_mut());
/// Places from there on never had any.
static EVER_USED: AtomicU32 = AtomicU32::new(0);

/// Prepares for forks; whether that was possible.
pub(super) fn prepare() -> bool {
    if !DESCRIPTORS.load(Ordering::Acquire).is_null() {
        return true;
    }
    let Ok(made) = sys::memory(size_of::<Descriptors>()) else { return false };
    let order = Ordering::AcqRel;
    let made = made.cast();
    if DESCRIPTORS.compare_exchange(ptr::null_mut(), made, order, Ordering::Acquire).is_err() {
        system::unmap(made.cast(), size_of::<Descriptors>());
        return true;
    }
    let object = (&raw const __dso_handle).cast();
    // SAFETY: a function of this library, which may run in any child.
    system::errno_kept(|| unsafe { __register_atfork(None, None, Some(tidy_up), object) });
    true
}

fn descriptors(place: usize) -> Option<&'static [AtomicI32; 4]> {
    // SAFETY: never freed.
    unsafe { DESCRIPTORS.load(Ordering::Acquire).as_ref() }?.get(place)
}

/// A context has got a descriptor.
pub(super) fn note(place: usize, whose: Whose, fd: c_int) {
    EVER_USED.fetch_max(place as u32 + 1, Ordering::Relaxed);
    if let Some(descriptor) = descriptors(place).and_then(|all| all.get(whose as usize)) {
        descriptor.store(fd + 1, Ordering::Relaxed);
    }
}

/// A context is about to close its descriptors.
pub(super) fn forget(place: usize) {
    for descriptor in descriptors(place).into_iter().flatten() {
        descriptor.store(0, Ordering::Relaxed);
    }
}

/// Before a process makes a context, and in a child: rids it of what is its parent's, once.
pub(super) extern "C" fn tidy_up() {
    if !table::table().is_some_and(Table::is_first_to_tidy) {
        return;
    }
    thread_end::remember(Past::None);
    thread_end::forget_end();
    for place in 0..EVER_USED.load(Ordering::Relaxed) {
        let Some(all) = descriptors(place as usize) else { continue };
        let quiet = all[Whose::Quiet as usize].load(Ordering::Relaxed) - 1;
        // Where the program has closed one, it has closed all of them.
        let are_ours = quiet >= 0 && sys::is_io_uring(quiet);
        for descriptor in all {
            let fd = descriptor.swap(0, Ordering::Relaxed) - 1;
            if are_ours && fd >= 0 {
                sys::close(fd);
            }
        }
    }
}
