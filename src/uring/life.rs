//! How long a context lives: until it was destroyed, and everybody who uses it has left.
//!
//! One word: the number of users, of which the context itself is one from `io_setup` to the end of
//! `io_destroy`, and two marks: that it was destroyed, and that its destroyer is still at it.
//!
//! | word | state | who may change it, and to what |
//! | --- | --- | --- |
//! | 0 | no context here | `io_setup`: to 1 |
//! | n | alive, n − 1 threads use it | anybody: n + 1; each of them: n − 1; one destroyer: both marks |
//! | n, both marks | being destroyed, n − 1 threads beside its destroyer use it | anybody: n + 1; each of them: n − 1; the destroyer: n − 1, without the second mark |
//! | n, one mark | destroyed, n users left | each of them: n − 1; who leaves 0 takes it apart, and takes the mark away |
//!
//! While the destroyer is at it the context is whole, and who has counted itself meanwhile keeps it so: so the end
//! of a thread or of the process can wait for what a destroyer waits for.
//!
//! A late caller may count itself where it has no business to (the place belongs to nobody, or to
//! another context by now): it sees that, and leaves. It may be the last to leave.
//!
//! A child of `fork` finds a 0 (`MADV_WIPEONFORK`) and leaves it.

use crate::sync::{AtomicU32, Ordering};

const DEAD: u32 = 1 << 31;
/// The context's own count has not been taken away yet.
const WHOLE: u32 = 1 << 30;
const MARKS: u32 = DEAD | WHOLE;

/// All zero is a place with no context.
#[repr(transparent)]
pub(crate) struct Life(AtomicU32);

impl Life {
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Life(AtomicU32::new(0))
    }

    /// A context begins.
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a user of a living context; where false, whether to take the dead one apart is told by
    /// [`Life::leave`], which the caller must call all the same.
    pub(crate) fn enter(&self) -> bool {
        // SeqCst: with `end`, either the user sees the mark, or the destroyer what the user did before.
        let was = self.0.fetch_add(1, Ordering::SeqCst);
        was != 0 && was & DEAD == 0
    }

    /// [`Life::enter`] of one that lives, or that its destroyer is still at.
    pub(crate) fn enter_while_whole(&self) -> bool {
        let was = self.0.fetch_add(1, Ordering::SeqCst);
        was != 0 && was & MARKS != DEAD
    }

    /// Whether the context was destroyed.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::SeqCst) & DEAD != 0
    }

    /// Marks the context as destroyed; whether this caller is who did. It still counts as a user: the
    /// context's own count is now the destroyer's, for [`Life::leave_for_good`].
    pub(crate) fn end(&self) -> bool {
        let mut word = self.0.load(Ordering::SeqCst);
        while word != 0 && word & DEAD == 0 {
            match self.0.compare_exchange_weak(
                word,
                word | MARKS,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Leaves; whether the context is over and nobody is left to use it.
    pub(crate) fn leave(&self) -> bool {
        self.leave_with(0)
    }

    /// [`Life::leave`] of the destroyer.
    pub(crate) fn leave_for_good(&self) -> bool {
        self.leave_with(WHOLE)
    }

    #[inline(always)]
    fn leave_with(&self, mark: u32) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & !MARKS != 0 {
            let left = (word - 1) & !mark;
            // Release, and Acquire for the last: all use comes before taking apart.
            match self.0.compare_exchange_weak(word, left, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return left == DEAD,
                Err(now) => word = now,
            }
        }
        false
    }

    /// The context is taken apart: the place may have another.
    pub(crate) fn clear(&self) {
        self.0.fetch_and(!DEAD, Ordering::AcqRel);
    }
}
