//! The atomics that the exclusion and the reap are written with: the machine's; or loom's, where the
//! model checker runs them (`--cfg loom`); or, in unit tests, the machine's with a hook before each
//! step, where a test lets a signal handler come in.

#[cfg(not(any(loom, test)))]
pub(crate) use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence},
};

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

/// In the model nothing interrupts a thread on its own stack, so there is nothing to order.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}

#[cfg(all(test, not(loom)))]
pub(crate) use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering, compiler_fence, fence},
};
#[cfg(all(test, not(loom)))]
pub(crate) use stepped::{AtomicU32, at_each_step, step};

/// Atomics that say when they are about to be used.
#[cfg(all(test, not(loom)))]
mod stepped {
    use core::sync::atomic::{AtomicU32 as Real, Ordering};
    use std::boxed::Box;
    use std::cell::RefCell;
    use std::thread_local;

    type Hook = Box<dyn FnMut()>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Runs `body`, and `hook` before each of its steps (but not before the hook's own).
    pub(crate) fn at_each_step(hook: impl FnMut() + 'static, body: impl FnOnce()) {
        HOOK.with(|h| *h.borrow_mut() = Some(Box::new(hook)));
        body();
        HOOK.with(|h| *h.borrow_mut() = None);
    }

    /// A step is about to be made.
    pub(crate) fn step() {
        let hook = HOOK.with(|h| h.borrow_mut().take());
        if let Some(mut hook) = hook {
            hook();
            HOOK.with(|h| *h.borrow_mut() = Some(hook));
        }
    }

    pub(crate) struct AtomicU32(Real);

    #[allow(clippy::allow_attributes, dead_code, reason = "the set that the library uses varies")]
    impl AtomicU32 {
        pub(crate) const fn new(value: u32) -> Self {
            AtomicU32(Real::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            step();
            self.0.load(order)
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            step();
            self.0.store(value, order);
        }

        pub(crate) fn swap(&self, value: u32, order: Ordering) -> u32 {
            step();
            self.0.swap(value, order)
        }

        pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
            step();
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
            step();
            self.0.fetch_sub(value, order)
        }

        pub(crate) fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
            step();
            self.0.fetch_or(value, order)
        }

        pub(crate) fn fetch_and(&self, value: u32, order: Ordering) -> u32 {
            step();
            self.0.fetch_and(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            old: u32,
            new: u32,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u32, u32> {
            step();
            self.0.compare_exchange(old, new, success, failure)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            old: u32,
            new: u32,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u32, u32> {
            step();
            self.0.compare_exchange_weak(old, new, success, failure)
        }
    }
}
