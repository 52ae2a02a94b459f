//! The points at which tracers can attach: USDT probes (SystemTap's SDT), provider `libaio`.
//!
//! Each is one `nop`, and a note in the file that says where it is and where its arguments are
//! (`readelf -n`). docs/probes.md is the reference for users. Handles and pointers are addresses;
//! `answer` is what the function returns, a count or `-errno`.
//!
//! The fast path has [`reap_ring`] alone, whose arguments it has at hand anyway: hence a probe for each
//! source instead of one with an argument for it.

use core::ffi::{c_int, c_long};

use probe::probe;

use crate::abi::{io_context_t, iocb};

/// `io_setup` is over: the context, NULL where there is none; its size; the answer.
#[inline(always)]
pub(crate) fn setup(context: io_context_t, maxevents: c_int, answer: c_int) {
    probe!(libaio, setup, context, maxevents, answer);
}

/// `io_destroy` is over.
#[inline(always)]
pub(crate) fn destroy(context: io_context_t, answer: c_int) {
    probe!(libaio, destroy, context, answer);
}

/// `io_submit` begins, with so many requests.
#[inline(always)]
pub(crate) fn submit_entry(context: io_context_t, nr: c_long) {
    probe!(libaio, submit_entry, context, nr);
}

/// `io_submit` is over.
#[inline(always)]
pub(crate) fn submit_return(context: io_context_t, answer: c_int) {
    probe!(libaio, submit_return, context, answer);
}

/// `io_cancel` is over.
#[inline(always)]
pub(crate) fn cancel(context: io_context_t, iocb: *mut iocb, answer: c_int) {
    probe!(libaio, cancel, context, iocb, answer);
}

/// A call for events was answered from the ring.
#[inline(always)]
pub(crate) fn reap_ring(context: io_context_t, answer: c_int) {
    probe!(libaio, reap_ring, context, answer);
}

/// A call for events was answered while it watched the ring.
#[inline(always)]
pub(crate) fn reap_spin(context: io_context_t, answer: c_int) {
    probe!(libaio, reap_spin, context, answer);
}

/// A call for events was answered by the kernel.
#[inline(always)]
pub(crate) fn reap_kernel(context: io_context_t, answer: c_int) {
    probe!(libaio, reap_kernel, context, answer);
}

/// A call for events enters the kernel, which may put it to sleep.
#[inline(always)]
pub(crate) fn wait_start(context: io_context_t, min_nr: c_long, nr: c_long) {
    probe!(libaio, wait_start, context, min_nr, nr);
}

/// It comes back, with this answer of the kernel's engine or this state of io_uring's.
#[inline(always)]
pub(crate) fn wait_end(context: io_context_t, answer: c_int) {
    probe!(libaio, wait_end, context, answer);
}
