//! What is counted of the calls (`LIBAIO_STATS`), for each context and for the process, and the reports
//! of it. docs/statistics.md is the reference for users.
//!
//! | room | owns |
//! | --- | --- |
//! | this one | what each call adds |
//! | `block` | the counters of one context |
//! | `clock` | how long a call takes |
//! | `ledger` | where an address finds its counters; whether there is counting at all |
//! | `report` | the counters as text or JSON |
//! | `output` | where reports go, and who asks for them: the end of the process, a signal |
//!
//! `engine.rs` and the fast path of `io_getevents` (`context.rs`) come here where calls are counted, and
//! only there: off, [`is_off`] is one load and one branch for each call but that fast path, which has
//! nothing.
//!
//! Counting locks nothing, allocates nothing but at `io_setup`, and frees no counters: a thread that is
//! late with a context that was destroyed adds to what the next one may use, and to nothing worse. So
//! it may go on in signal handlers, and beside a report, which is a look at counters that move. Who
//! destroys a context waits for a report that is being written, so that its counters are told once.

mod block;
mod clock;
mod ledger;
mod output;
mod report;

use core::ffi::{c_int, c_long};

use libc::EINPROGRESS;

use self::block::{Block, Role, Side, word};
use self::clock::Timed;
pub(crate) use self::ledger::is_off;
pub(crate) use self::output::at_exit;
use crate::abi::{io_context_t, io_event, io_iocb_cmd, iocb};
use crate::request::{Request, Source, Way};
use crate::system::refuses;
use crate::{kernel, system, uring};

const PREAD: i16 = io_iocb_cmd::IO_CMD_PREAD as i16;
const PWRITE: i16 = io_iocb_cmd::IO_CMD_PWRITE as i16;
const PREADV: i16 = io_iocb_cmd::IO_CMD_PREADV as i16;
const PWRITEV: i16 = io_iocb_cmd::IO_CMD_PWRITEV as i16;
const POLL: i16 = io_iocb_cmd::IO_CMD_POLL as i16;

/// Counts what the requests of a list ask for, from number `from` up to `to`: adds that, or takes it off
/// (`once` is 1, or `u64::MAX`). Stops at one that the kernel is sure to refuse; returns its number. A poll is
/// remembered, or forgotten.
///
/// # Safety
/// As `io_submit`.
#[inline(never)]
unsafe fn look(side: Side, list: *mut *mut iocb, (from, to): (usize, usize), once: u64) -> usize {
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
        let opcode = iocb.aio_lio_opcode;
        let (of_bytes, bytes) = match opcode {
            PREAD => (word::READ_ASKED, iocb.aio_nbytes),
            PWRITE => (word::WRITE_ASKED, iocb.aio_nbytes),
            // SAFETY: the program's own vectors.
            _ => unsafe { asked_otherwise(side.block, obj, once) },
        };
        side.add(word::operation(opcode), once);
        side.add(of_bytes, bytes.wrapping_mul(once));
    }
    to
}

/// Of a request that is no plain read or write: the bytes, and their word.
///
/// # Safety
/// As `io_submit`.
#[cold]
unsafe fn asked_otherwise(block: &Block, obj: *mut iocb, once: u64) -> (usize, u64) {
    // SAFETY: the program's own request.
    let iocb = unsafe { obj.read_unaligned() };
    match iocb.aio_lio_opcode {
        opcode @ (PREADV | PWRITEV) => {
            // SAFETY: the program's own vectors.
            let bytes = unsafe { bytes_of_vectors(&iocb) };
            (if opcode == PREADV { word::READ_ASKED } else { word::WRITE_ASKED }, bytes)
        }
        POLL => {
            block.note_poll(obj.addr(), once == 1);
            (word::READ_ASKED, 0)
        }
        _ => (word::READ_ASKED, 0),
    }
}

/// # Safety
/// The vectors are readable, where they are not in the null page or the kernel's half.
#[cold]
unsafe fn bytes_of_vectors(iocb: &iocb) -> u64 {
    let first = iocb.aio_buf as usize as *const libc::iovec;
    if refuses(first) || iocb.aio_nbytes > libc::UIO_MAXIOV as u64 {
        return 0;
    }
    (0..iocb.aio_nbytes as usize)
        // SAFETY: as the caller says.
        .map(|i| unsafe { first.wrapping_add(i).read_unaligned() }.iov_len as u64)
        .fold(0, u64::wrapping_add)
}

/// `io_submit`, which `call` carries out.
///
/// The requests are counted before: afterwards those that were accepted may be gone already. Those
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
    let side = ledger::side_of(context, Role::Submits);
    let block = side.block;
    // The kernel looks at no more than it has room for, and at none for a context that there is not.
    let room = match block.slots() {
        usize::MAX if !is_known(context) => 0,
        room => room,
    };
    let most = usize::try_from(nr).unwrap_or(0).min(room);
    // SAFETY: upheld by the caller.
    let looked = unsafe { look(side, list, (0, most), 1) };
    let start = Timed::start();
    let answer = call();
    ended(side, start, answer);
    let accepted = usize::try_from(answer).unwrap_or(0);
    if accepted < looked {
        // SAFETY: upheld by the caller.
        unsafe { look(side, list, (accepted, looked), u64::MAX) };
    }
    if accepted > 0 {
        side.accepted(accepted as u64);
    }
    answer
}

/// A call of `io_submit` that began then has this answer.
#[inline(always)]
fn ended(side: Side, start: Timed, answer: c_int) {
    side.time(word::SUBMIT_TIMES, word::SUBMIT_MAX, start.ns());
    if answer < 0 {
        side.block.error(word::CALL_ERRORS, -answer);
    }
}

/// Whether there is such a context at all: one that has no counters of its own. The kernel is asked by a call
/// that leaves the ring alone, which somebody may be reading.
fn is_known(context: io_context_t) -> bool {
    // SAFETY: no request, no pointer.
    let ask = || unsafe { kernel::io_submit(context, 0, core::ptr::null_mut()) };
    uring::knows(context) || system::errno_kept(ask) == 0
}

/// A call for events has this answer.
///
/// # Safety
/// Where it is a count, as many events have been written.
#[cold]
pub(crate) unsafe fn reaped(request: &Request, answer: c_int, way: &Way) {
    let side = ledger::side_of(request.context, Role::Takes);
    if way.kernel_ns() != 0 {
        side.time(word::KERNEL_TIMES, word::KERNEL_MAX, way.kernel_ns());
    }
    if answer < 0 {
        side.block.error(word::CALL_ERRORS, -answer);
    }
    let taken = usize::try_from(answer).unwrap_or(0);
    // SAFETY: upheld by the caller.
    unsafe { took(side, way.source(), request.events, taken) };
}

/// [`reaped`] where as many events have been taken from the ring at once.
///
/// # Safety
/// As many events have been written.
#[inline]
pub(crate) unsafe fn reaped_at_once(context: io_context_t, events: *const io_event, n: c_int) {
    let side = ledger::side_of(context, Role::Takes);
    // SAFETY: upheld by the caller.
    unsafe { took(side, Source::Ring, events, n as usize) };
}

/// So many events were taken in that way.
///
/// # Safety
/// As many events have been written.
#[inline]
unsafe fn took(side: Side, source: Source, events: *const io_event, taken: usize) {
    let block = side.block;
    let mut transferred = 0;
    for i in 0..taken {
        // SAFETY: as the caller says.
        let event: io_event = unsafe { events.wrapping_add(i).read_unaligned() };
        let odd = event.res < 0 || block.has_polls();
        transferred += if odd { bytes_of_odd(block, &event) } else { event.res as u64 };
    }
    side.taken(word::RING + source as usize, taken as u64, transferred);
}

/// The bytes that a completion tells of which may be an error, or that of a poll: what that gives is no
/// count of bytes.
#[cold]
fn bytes_of_odd(block: &Block, event: &io_event) -> u64 {
    let poll = block.note_poll(event.obj as usize, false);
    if event.res < 0 {
        block.error(word::EVENT_ERRORS, event.res.unsigned_abs().min(i32::MAX as u64) as c_int);
    }
    if poll || event.res < 0 { 0 } else { event.res as u64 }
}

/// `io_cancel` has this answer.
#[cold]
pub(crate) fn cancelled(context: io_context_t, answer: c_int) {
    let block = ledger::side_of(context, Role::Submits).block;
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
        ledger::side_of(context, Role::Submits).block.error(word::CALL_ERRORS, -answer);
    } else if !ledger::begin(context, |block| block.begin(context, maxevents, uring)) {
        ledger::other().made(maxevents, uring);
    }
}

/// `io_destroy`, which `call` carries out.
#[cold]
pub(crate) fn destroy(context: io_context_t, call: impl FnOnce() -> c_int) -> c_int {
    // Before: as soon as the context is gone, another may get its address.
    let ended = ledger::take(context);
    let answer = call();
    if answer < 0 {
        ledger::side_of(context, Role::Submits).block.error(word::CALL_ERRORS, -answer);
    }
    if let Some(ended) = ended {
        ended.give_back(true);
    }
    answer
}
