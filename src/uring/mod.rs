//! The engine that makes each context of an io_uring (`LIBAIO_ENGINE=io_uring`), with the answers of
//! the kernel's AIO.
//!
//! | room | owns |
//! | --- | --- |
//! | `choice` | whether io_uring is there, and can serve the program |
//! | `setup`, `submit`, `events` | the calls: making and destroying contexts, submitting and cancelling, taking events |
//! | `entry` | from an iocb to an entry, and what `io_submit` answers to a bad one |
//! | `table` | where an address finds its context |
//! | `life` | how long a context lives, beside those who use it |
//! | `context` | the memory of a context, and its io_urings |
//! | `slots`, `free` | the requests in use |
//! | `sharing` | which of a context's two io_urings requests go to |
//! | `unasked` | the descriptor that is to be asked about before anybody waits |
//! | `queues` | the two queues of an io_uring, as they are mapped |
//! | `lock` | the exclusion of those who submit |
//! | `pump` | the thread that serves a context with eventfds |
//! | `forked`, `thread_end`, `imports` | what forks, threads that end, and unusual programs need |
//! | `worker` | the kernel's thread for a thread that submits |
//! | `sys` | the raw system calls |
//!
//! Taking events is shared with the other engine: `gate.rs` excludes reapers from each other, `ring.rs`
//! is the reap, with its way for signal handlers; here the ring is the completion queue. The kernel
//! never takes completions off by itself, so nothing but reapers and the destroyer use a gate, and a
//! thread that sleeps in the kernel excludes nobody.
//!
//! # Who may use a context
//! - To take completions: who holds the gate (state *user*). The destroyer takes the gate to set its
//!   mark, so a context is not taken apart while one does.
//! - To submit, wait, cancel: who counts as a user (`life.rs`). The last to leave a dead context takes
//!   it apart.
//!
//! # `io_destroy`
//! Marks the gate as dead, then the context as over; wakes those who sleep; has the kernel give up what
//! may never end (polls, and transfers of pipes and the like); ends the pump; waits until everything
//! has its completion; leaves. Who submits meanwhile finds the context over under the lock, which the
//! destroyer takes once after its mark.

pub(crate) mod free;
pub(crate) mod life;
pub(crate) mod lock;
#[cfg(all(test, loom))]
mod model;

#[cfg(not(loom))]
mod choice;
#[cfg(not(loom))]
mod context;
#[cfg(not(loom))]
mod entry;
#[cfg(not(loom))]
mod events;
#[cfg(not(loom))]
mod forked;
#[cfg(not(loom))]
mod imports;
#[cfg(not(loom))]
mod pump;
#[cfg(not(loom))]
mod queues;
#[cfg(not(loom))]
mod setup;
pub(crate) mod shared_eventfd;
pub(crate) mod sharing;
#[cfg(not(loom))]
mod slots;
#[cfg(not(loom))]
mod submit;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
mod table;
#[cfg(not(loom))]
mod thread_end;
pub(crate) mod unasked;
#[cfg(not(loom))]
mod worker;

#[cfg(not(loom))]
pub(crate) use self::{
    choice::is_there,
    events::get_events,
    setup::{destroy, setup},
    submit::{cancel, submit},
    sys::{flags_of, out_of_the_way},
    thread_end::at_exit,
};

/// The `user_data` of entries that are no request's.
#[cfg(not(loom))]
const INTERNAL: u64 = u64::MAX;

/// Whether a context is this engine's.
#[cfg(not(loom))]
pub(crate) fn knows(context: crate::abi::io_context_t) -> bool {
    table::find(context.addr()).is_some()
}

/// What a waiter does between two looks.
#[cfg(not(loom))]
struct Rest;

#[cfg(not(loom))]
impl crate::gate::Pause for Rest {
    fn holds_a_gate(me: usize) -> bool {
        table::table().is_some_and(|table| table.is_held_by(me))
    }

    fn sleep() {
        crate::system::ShortSleep::sleep();
    }
}
