//! The kernel's worker for a thread that submits.
//!
//! What would make `io_uring_enter` wait, the kernel hands to workers that it makes for each thread. A
//! signal that is pending keeps it from making one; after a few tries, where there is no other worker,
//! it gives up what was handed over: `-ECANCELED`, with nothing written (`create_worker_cont` in
//! io_uring/io-wq.c). To a program with a fast timer that came to pass. So the first worker of a thread
//! is made ahead, with signals kept out; the kernel keeps the last one for as long as the thread lives.

use linux_raw_sys::io_uring::{io_uring_op, io_uring_sqe_flags_bit};

use super::queues::{Kind, Queues, empty_entry};
use super::{INTERNAL, sys};
use crate::system;

/// Has the kernel make a worker for this thread, by an io_uring of its own that ends at once: in a
/// context's there are completions of requests alone. Where there is none to be had, it must do without.
#[cold]
#[inline(never)]
pub(super) fn make() {
    system::with_signals_blocked(|_| {
        let Ok(queues) = Queues::new(Kind::Shared, 1, 1) else { return };
        let mut entry = empty_entry();
        entry.opcode = io_uring_op::IORING_OP_NOP as u8;
        entry.flags = 1 << io_uring_sqe_flags_bit::IOSQE_ASYNC_BIT as u8;
        entry.user_data = INTERNAL;
        if queues.push(core::slice::from_ref(&entry)).is_ok() {
            sys::enter(queues.fd, 1, 0, 0, None);
        }
        queues.close();
    });
}
