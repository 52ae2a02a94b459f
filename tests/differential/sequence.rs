//! Sequences of calls: what they are made of, and how they are made up.
//!
//! Correct implementations must agree on a sequence, so nothing in one depends on time or luck:
//!
//! - What completes after `io_submit` (an fsync, a poll, a read with O_DIRECT; with io_uring anything)
//!   is waited for before the sequence goes on: the runner looks how many events are there to take,
//!   and has an eventfd notified but in sequences that are [`Sequence::quiet`] (`runner.rs`).
//! - Where transfers are carried out at the same time, those of one `io_submit` do not touch each
//!   other's bytes (`permitted.rs`).
//! - Polled descriptors become ready by a step ([`Step::Ready`]) alone; what AIO itself reads and
//!   writes is never polled.
//! - A call waits for ever only where the events that it waits for are there.
//! - A handle that was destroyed is forgotten at the next `io_setup`, which may get its address.
//! - The process keeps to one processor: the kernel counts free slots by processor.
//! - Events are compared as a multiset over the whole sequence: which of two that complete by
//!   themselves comes first is the kernel's affair.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::permitted;

/// Contexts that a sequence can hold at once.
pub const SLOTS: u8 = 3;
/// Bytes in the buffer, and at first in the file.
pub const SIZE: u64 = 1 << 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sequence {
    /// Whether events may go to memory that is not there. The library documents that it faults
    /// then, as any C function may, but under `LIBAIO_REAP=syscall`: only that is run.
    pub wild: bool,
    /// Whether `data` of each request is a callback, as `io_queue_run` wants it.
    pub callbacks: bool,
    /// Whether contexts made of io_uring must agree too: it keeps clear of what they may do otherwise
    /// (`permitted.rs`).
    #[serde(default)]
    pub io_uring: bool,
    /// Whether no request asks for notification by an eventfd.
    #[serde(default)]
    pub quiet: bool,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    Setup {
        slot: u8,
        events: i32,
        to: To,
    },
    QueueInit {
        slot: u8,
        events: i32,
        to: To,
    },
    Destroy {
        context: Context,
        release: bool,
    },
    Submit {
        context: Context,
        more: i64,
        list: To,
        requests: Vec<Request>,
    },
    GetEvents {
        context: Context,
        shape: Shape,
    },
    PGetEvents {
        context: Context,
        shape: Shape,
        mask: Mask,
    },
    QueueRun {
        context: Context,
    },
    QueueWait {
        context: Context,
        timeout: Timeout,
    },
    Cancel {
        context: Context,
        request: u8,
        event: To,
    },
    /// Makes a polled descriptor ready, or not.
    Ready {
        second: bool,
        on: bool,
    },
    /// A signal that is blocked becomes pending.
    Raise,
    Fork(Vec<Step>),
    /// Threads that each submit so many reads to one context, and together take as many events.
    Threads {
        slot: u8,
        threads: u8,
        each: u8,
    },
}

/// The context that a call is given.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Context {
    Slot(u8),
    Null,
    /// An address where nothing is mapped.
    Unmapped,
    KernelHalf,
    /// A live context's address and 8.
    Misaligned(u8),
}

/// Memory that a call is to read or write.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum To {
    Good,
    Null,
    NullPage,
    KernelHalf,
    ReadOnly,
    /// Room for one event at the end of a page, and nothing mapped behind it.
    Half,
    Unmapped,
    /// Good, but not aligned.
    Unaligned,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Shape {
    pub min: i64,
    pub nr: i64,
    pub to: To,
    pub timeout: Timeout,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Timeout {
    Null,
    Zero,
    Short,
    Negative,
    /// More than a second in the nanoseconds, where it does not have to pass.
    Unnormalised,
    At(To),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Mask {
    Null,
    /// Lets the pending signal through.
    Empty,
    Full,
    At(To),
}

/// What a descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum File {
    Memory,
    ReadOnly,
    WriteOnly,
    Direct,
    Directory,
    Path,
    Null,
    Closed,
    Negative,
    Pipe,
    Socket,
    /// An eventfd that AIO reads and writes.
    Counter,
    /// Two that become ready by a step.
    Polled(bool),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Where the pointer in the list leads; only a good one has the rest.
    pub at: To,
    pub opcode: i16,
    pub file: File,
    pub buf: To,
    pub nbytes: u64,
    pub offset: i64,
    pub flags: u32,
    pub resfd: File,
    pub rw_flags: u32,
    pub reqprio: i16,
    pub reserved: u64,
    pub key: u32,
}

impl Request {
    /// A read with which nothing is wrong.
    pub fn good() -> Request {
        Request {
            at: To::Good,
            opcode: 0,
            file: File::Memory,
            buf: To::Good,
            nbytes: 512,
            offset: 0,
            flags: 0,
            resfd: File::Counter,
            rw_flags: 0,
            reqprio: 0,
            reserved: 0,
            key: 0,
        }
    }
}

fn memory() -> impl Strategy<Value = To> {
    prop_oneof![
        20 => Just(To::Good),
        1 => Just(To::Null),
        1 => Just(To::NullPage),
        1 => Just(To::KernelHalf),
        1 => Just(To::Unaligned),
    ]
}

/// Memory that the kernel alone looks at, in every implementation.
fn kernels_memory() -> impl Strategy<Value = To> {
    prop_oneof![10 => memory(), 1 => Just(To::ReadOnly), 1 => Just(To::Unmapped)]
}

fn wild_memory() -> impl Strategy<Value = To> {
    prop_oneof![
        4 => memory(),
        1 => Just(To::ReadOnly),
        1 => Just(To::Half),
        1 => Just(To::Unmapped),
    ]
}

fn context() -> impl Strategy<Value = Context> {
    prop_oneof![
        40 => (0..SLOTS).prop_map(Context::Slot),
        1 => Just(Context::Null),
        1 => Just(Context::Unmapped),
        1 => Just(Context::KernelHalf),
        1 => (0..SLOTS).prop_map(Context::Misaligned),
    ]
}

fn timeout(wild: bool) -> impl Strategy<Value = Timeout> {
    let at = if wild { wild_memory().boxed() } else { memory().boxed() };
    prop_oneof![
        4 => Just(Timeout::Null),
        6 => Just(Timeout::Zero),
        2 => Just(Timeout::Short),
        1 => Just(Timeout::Negative),
        1 => Just(Timeout::Unnormalised),
        2 => at.prop_map(Timeout::At),
    ]
}

fn shape(wild: bool) -> impl Strategy<Value = Shape> {
    let min = prop_oneof![
        4 => Just(0i64),
        6 => Just(1),
        4 => 2..8i64,
        1 => Just(-1),
        1 => Just(i64::MIN),
        1 => Just(i64::MAX),
    ];
    let nr = prop_oneof![
        3 => Just(1i64),
        6 => 2..10i64,
        1 => Just(64),
        1 => Just(0),
        1 => Just(-1),
        1 => Just(i64::MAX),
    ];
    let to = if wild { wild_memory().boxed() } else { memory().boxed() };
    (min, nr, to, timeout(wild)).prop_map(|(min, nr, to, timeout)| Shape { min, nr, to, timeout })
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        3 => Just(Mask::Null),
        3 => Just(Mask::Empty),
        2 => Just(Mask::Full),
        1 => kernels_memory().prop_map(Mask::At),
    ]
}

fn file() -> impl Strategy<Value = File> {
    use File::*;
    let polled = any::<bool>().prop_map(Polled);
    let rare = prop_oneof![
        Just(ReadOnly),
        Just(WriteOnly),
        Just(Directory),
        Just(Path),
        Just(Null),
        Just(Closed),
        Just(Negative),
        Just(Pipe),
        Just(Socket),
        Just(Counter),
    ];
    prop_oneof![12 => Just(Memory), 2 => Just(Direct), 4 => polled, 5 => rare]
}

fn request() -> impl Strategy<Value = Request> {
    let opcode = prop_oneof![
        6 => Just(0i16),
        4 => Just(1),
        2 => Just(2),
        2 => Just(3),
        6 => Just(5),
        2 => Just(7),
        2 => Just(8),
        2 => any::<i16>().prop_map(|n| n % 12),
        1 => any::<i16>(),
    ];
    let nbytes = prop_oneof![
        10 => prop_oneof![Just(512u64), Just(4096), 1..600u64],
        2 => Just(0),
        1 => Just(SIZE + 1),
        1 => prop_oneof![Just(u64::MAX), Just(i64::MAX as u64), Just(0x7fff_f000), Just(1025)],
    ];
    let offset = prop_oneof![
        12 => (0..16i64).prop_map(|n| n * 512),
        2 => 0..SIZE as i64 + 10,
        1 => prop_oneof![Just(-1), Just(i64::MAX), Just(i64::MIN), Just(i64::MAX - 511)],
    ];
    let flags = prop_oneof![12 => Just(0u32), 4 => Just(1), 2 => Just(2), 1 => any::<u32>()];
    let resfd = prop_oneof![8 => Just(File::Counter), 2 => file()];
    let rw_flags = prop_oneof![
        20 => Just(0u32),
        2 => (0..9u32).prop_map(|bit| 1 << bit),
        1 => any::<u32>(),
    ];
    let reqprio = prop_oneof![
        6 => Just(0i16),
        3 => (0..9i16, 0..10i16).prop_map(|(class, level)| class << 13 | level),
        1 => any::<i16>(),
    ];
    let reserved = prop_oneof![30 => Just(0u64), 1 => Just(1), 1 => any::<u64>()];
    let key = prop_oneof![8 => Just(0u32), 1 => any::<u32>()];
    let place = prop_oneof![20 => Just(To::Good), 1 => kernels_memory()];
    let transfer = (nbytes, offset, rw_flags, reqprio, reserved, key);
    (place, opcode, file(), kernels_memory(), flags, resfd, transfer).prop_map(
        |(at, opcode, file, buf, flags, resfd, transfer)| {
            let (nbytes, offset, rw_flags, reqprio, reserved, key) = transfer;
            let mut request = Request {
                at,
                opcode,
                file,
                buf,
                nbytes,
                offset,
                flags,
                resfd,
                rw_flags,
                reqprio,
                reserved,
                key,
            };
            // Most polls and syncs have nothing in the fields that must be zero for them.
            if matches!(opcode, 2 | 3 | 5) && offset % 3 != 1 {
                (request.nbytes, request.offset, request.rw_flags) = (0, 0, 0);
                if opcode != 5 {
                    request.buf = To::Null;
                }
            }
            request
        },
    )
}

fn slot() -> impl Strategy<Value = u8> {
    0..SLOTS
}

/// The arguments of `io_setup` that a sequence can do without failing for want of memory.
fn events() -> impl Strategy<Value = i32> {
    prop_oneof![
        8 => Just(64),
        2 => 1..200i32,
        1 => prop_oneof![Just(0), Just(-1), Just(i32::MAX), Just(i32::MIN)],
    ]
}

fn simple_step(wild: bool, callbacks: bool) -> BoxedStrategy<Step> {
    let setup = || (slot(), events(), kernels_memory());
    let more = prop_oneof![
        20 => Just(0i64),
        1 => -3..3i64,
        1 => Just(1000),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX - 100)],
    ];
    let submit = (context(), more, kernels_memory(), vec(request(), 0..6));
    let get = || (context(), shape(wild));
    let steps = prop_oneof![
        4 => setup().prop_map(|(slot, events, to)| Step::Setup { slot, events, to }),
        1 => setup().prop_map(|(slot, events, to)| Step::QueueInit { slot, events, to }),
        2 => (context(), any::<bool>())
            .prop_map(|(context, release)| Step::Destroy { context, release }),
        12 => submit.prop_map(|(context, more, list, requests)| Step::Submit {
            context, more, list, requests
        }),
        8 => get().prop_map(|(context, shape)| Step::GetEvents { context, shape }),
        3 => (get(), mask()).prop_map(|((context, shape), mask)| Step::PGetEvents {
            context, shape, mask
        }),
        1 => (context(), timeout(wild))
            .prop_map(|(context, timeout)| Step::QueueWait { context, timeout }),
        3 => (context(), any::<u8>(), kernels_memory())
            .prop_map(|(context, request, event)| Step::Cancel { context, request, event }),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(second, on)| Step::Ready { second, on }),
        1 => Just(Step::Raise),
    ];
    if callbacks {
        let run = context().prop_map(|context| Step::QueueRun { context });
        prop_oneof![6 => steps, 1 => run].boxed()
    } else {
        steps.boxed()
    }
}

fn step(wild: bool, callbacks: bool) -> BoxedStrategy<Step> {
    let simple = simple_step(wild, callbacks);
    let fork = vec(simple_step(wild, callbacks), 1..5).prop_map(Step::Fork);
    let threads = (slot(), 1..4u8, 1..5u8);
    let threads = threads.prop_map(|(slot, threads, each)| Step::Threads { slot, threads, each });
    prop_oneof![40 => simple, 1 => fork, 1 => threads].boxed()
}

/// Any sequence, or one for io_uring alone. It begins with a context that works, so that most of it
/// means something.
pub fn any_sequence(for_io_uring: bool) -> impl Strategy<Value = Sequence> {
    let chance = prop::bool::weighted;
    // A difference is shrunk within its kind.
    let io_uring = chance(if for_io_uring { 1.0 } else { 0.5 }).no_shrink();
    (chance(0.15), chance(0.25), io_uring, chance(0.5)).prop_flat_map(
        |(wild, callbacks, io_uring, quiet)| {
            let wild = wild && !io_uring;
            vec(step(wild, callbacks), 1..24).prop_map(move |mut steps| {
                steps.insert(0, Step::Setup { slot: 0, events: 64, to: To::Good });
                let mut sequence = Sequence { wild, callbacks, io_uring, quiet, steps };
                if io_uring {
                    permitted::avoid(&mut sequence);
                }
                sequence
            })
        },
    )
}
