//! What is counted of the calls (`LIBAIO_STATS`), for each context and for the process, and the reports
//! of it. docs/statistics.md is the reference for users.
//!
//! | room | owns |
//! | --- | --- |
//! | this one | what each call adds |
//! | `block` | the counters of one context, all of them relaxed atomics |
//! | `ledger` | where an address finds its counters; whether there is counting at all |
//! | `report` | the counters as text or JSON |
//! | `output` | where reports go, and who asks for them: the end of the process, a signal |
//!
//! `engine.rs` comes here where calls are counted, and only there: off, [`is_off`] is one load and one
//! branch for each call but the fast path of `io_getevents`, which has nothing.
//!
//! Counting locks nothing, allocates nothing but at `io_setup`, and frees no counters: a thread that is
//! late with a context that was destroyed adds to what the next one may use, and to nothing worse. So
//! it may go on in signal handlers, and beside a report, which is a look at counters that move.

mod block;
mod ledger;
mod output;
mod report;

use core::ffi::{c_int, c_long};

use libc::EINPROGRESS;

use self::block::{Block, word};
pub(crate) use self::ledger::is_off;
use crate::abi::{io_context_t, io_event, io_iocb_cmd, iocb};
use crate::request::{Request, Way};
use crate::system::{now_ns, refuses};

const POLL: i16 = io_iocb_cmd::IO_CMD_POLL as i16;

/// What a list of requests asks for.
#[derive(Default)]
struct Tally {
    /// By operation; then the bytes to read and to write.
    words: [u64; word::ASKED_END - word::OPERATIONS],
}

impl Tally {
    fn add(&mut self, index: usize, by: u64) {
        if let Some(sum) = self.words.get_mut(index - word::OPERATIONS) {
            *sum = sum.wrapping_add(by);
        }
    }

    /// Adds the requests from number `from` up to `to`, or takes them off. Stops at one that the kernel
    /// is sure to refuse; returns its number.
    ///
    /// # Safety
    /// As `io_submit`.
    unsafe fn look(
        &mut self,
        block: &Block,
        list: *mut *mut iocb,
        (from, to): (usize, usize),
        adds: bool,
    ) -> usize {
        for i in from..to {
            let at = list.wrapping_add(i);
            if refuses(at) {
                return i;
            }
            // SAFETY: the program's own list.
            let obj = unsafe { at.read_unaligned() };
            if refuses(obj) {
                return i;
            }
            // SAFETY: the program's own request.
            let iocb = unsafe { obj.read_unaligned() };
            let signed = |n: u64| if adds { n } else { n.wrapping_neg() };
            self.add(word::operation(iocb.aio_lio_opcode), signed(1));
            let (index, bytes) = match iocb.aio_lio_opcode {
                0 => (word::READ_ASKED, iocb.aio_nbytes),
                1 => (word::WRITE_ASKED, iocb.aio_nbytes),
                // SAFETY: the program's own vectors.
                7 => (word::READ_ASKED, unsafe { bytes_of_vectors(&iocb) }),
                // SAFETY: as above.
                8 => (word::WRITE_ASKED, unsafe { bytes_of_vectors(&iocb) }),
                POLL => {
                    block.note_poll(obj.addr(), adds);
                    continue;
                }
                _ => continue,
            };
            self.add(index, signed(bytes));
        }
        to
    }
}

/// # Safety
/// The vectors are readable, where they are not in the null page or the kernel's half.
#[cold]
unsafe fn bytes_of_vectors(iocb: &iocb) -> u64 {
    const MOST_VECTORS: u64 = 1024; // UIO_MAXIOV
    let first = iocb.aio_buf as usize as *const libc::iovec;
    if refuses(first) || iocb.aio_nbytes > MOST_VECTORS {
        return 0;
    }
    (0..iocb.aio_nbytes as usize)
        // SAFETY: as the caller says.
        .map(|i| unsafe { first.wrapping_add(i).read_unaligned() }.iov_len as u64)
        .fold(0, u64::wrapping_add)
}

/// `io_submit`, which `call` carries out.
///
/// The requests are looked at before: afterwards those that were accepted may be gone already. Those
/// that were not are still the caller's, and are taken off again.
///
/// # Safety
/// As `io_submit`. A list, a request or a vector in unmapped memory faults.
#[cold]
pub(crate) unsafe fn submit(
    context: io_context_t,
    nr: c_long,
    list: *mut *mut iocb,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let block = ledger::block_of(context);
    let mut tally = Tally::default();
    // The kernel looks at no more than it has room for.
    let most = usize::try_from(nr).unwrap_or(0).min(block.slots());
    // SAFETY: upheld by the caller.
    let looked = unsafe { tally.look(block, list, (0, most), true) };
    let start = now_ns();
    let answer = call();
    block.time(word::SUBMIT_TIMES, word::SUBMIT_MAX, now_ns() - start);
    if answer < 0 {
        block.error(word::CALL_ERRORS, -answer);
    }
    let accepted = usize::try_from(answer).unwrap_or(0);
    if accepted < looked {
        // SAFETY: upheld by the caller.
        unsafe { tally.look(block, list, (accepted, looked), false) };
    }
    if accepted > 0 {
        for (i, &by) in tally.words.iter().enumerate().filter(|(_, by)| **by != 0) {
            block.add(word::OPERATIONS + i, by);
        }
        block.accepted(accepted as u64);
    }
    answer
}

/// A call for events has this answer.
///
/// # Safety
/// Where it is a count, as many events have been written.
#[cold]
pub(crate) unsafe fn reaped(request: &Request, answer: c_int, way: &Way) {
    let block = ledger::block_of(request.context);
    block.add(word::RING + way.source() as usize, 1);
    if way.kernel_ns() != 0 {
        block.time(word::KERNEL_TIMES, word::KERNEL_MAX, way.kernel_ns());
    }
    if answer < 0 {
        block.error(word::CALL_ERRORS, -answer);
    }
    let taken = usize::try_from(answer).unwrap_or(0);
    if taken == 0 {
        return;
    }
    let mut transferred = 0;
    for i in 0..taken {
        // SAFETY: as the caller says.
        let event: io_event = unsafe { request.events.wrapping_add(i).read_unaligned() };
        // What a poll gives is no count of bytes.
        let poll = block.has_polls() && block.note_poll(event.obj as usize, false);
        if event.res < 0 {
            block.error(word::EVENT_ERRORS, event.res.unsigned_abs().min(i32::MAX as u64) as c_int);
        } else if !poll {
            transferred += event.res as u64;
        }
    }
    block.add(word::TAKEN, taken as u64);
    if transferred != 0 {
        block.add(word::TRANSFERRED, transferred);
    }
}

/// `io_cancel` has this answer.
#[cold]
pub(crate) fn cancelled(context: io_context_t, answer: c_int) {
    let block = ledger::block_of(context);
    block.add(word::CANCELS, 1);
    // EINPROGRESS says that it was cancelled, and the event comes.
    if answer == 0 || answer == -EINPROGRESS {
        block.add(word::CANCELLED, 1);
    } else {
        block.error(word::CALL_ERRORS, -answer);
    }
}

/// `io_setup` has this answer, and has made this context, or none.
#[cold]
pub(crate) fn made(context: io_context_t, maxevents: c_int, answer: c_int, uring: bool) {
    if context.is_null() {
        ledger::block_of(context).error(word::CALL_ERRORS, -answer);
    } else {
        ledger::begin(context, |block| block.begin(context, maxevents, uring));
    }
}

/// `io_destroy`, which `call` carries out.
#[cold]
pub(crate) fn destroy(context: io_context_t, call: impl FnOnce() -> c_int) -> c_int {
    // Before: as soon as the context is gone, another may get its address.
    let ended = ledger::take(context);
    let answer = call();
    if answer < 0 {
        ledger::block_of(context).error(word::CALL_ERRORS, -answer);
    }
    if let Some(ended) = ended {
        output::report_end_of(context, &ended);
        ended.give_back();
    }
    answer
}
