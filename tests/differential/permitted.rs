//! What contexts made of io_uring (`LIBAIO_ENGINE=io_uring`) may answer otherwise than the kernel's
//! AIO, with the reasons, and how the sequences that they run keep clear of it.
//!
//! A request is rewritten where it would come upon a difference of [`DIFFERENCES`], so that all the
//! rest of its sequence is compared to the letter. docs/compatibility.md has the same list.

use crate::sequence::{File, Request, Sequence, Step, To};

/// One thing that io_uring's contexts may do.
pub struct Difference {
    pub what: &'static str,
    pub why: &'static str,
    avoid: fn(&mut Request),
}

const PREAD: i16 = 0;
const PWRITE: i16 = 1;
const PREADV: i16 = 7;
const PWRITEV: i16 = 8;
const RWF_NOWAIT: u32 = 8;
const RWF_APPEND: u32 = 0x10;
const RWF_NOAPPEND: u32 = 0x20;
const RWF_ATOMIC: u32 = 0x40;
const RWF_DONTCACHE: u32 = 0x80;

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "A file that has no read_iter or write_iter (a directory; an eventfd that is written) is \
               accepted by io_submit; the event has its own error, or it is served.",
        why: "Only the kernel knows a file's operations, and it tells when it carries the request out.",
        avoid: |r| {
            let eventfd = matches!(r.file, File::Counter | File::Polled(_));
            if transfers(r) && (r.file == File::Directory || eventfd && writes(r)) {
                r.file = File::Null;
            }
        },
    },
    Difference {
        what: "RWF_NOWAIT, RWF_ATOMIC and RWF_DONTCACHE on a file that does not support them: \
               -EOPNOTSUPP comes as the event's res.",
        why: "As above: the file's modes are not to be seen from outside the kernel.",
        avoid: |r| {
            let atomic_read = r.rw_flags & RWF_ATOMIC != 0 && !writes(r);
            if transfers(r) && !atomic_read {
                r.rw_flags &= !(RWF_NOWAIT | RWF_ATOMIC | RWF_DONTCACHE);
            }
        },
    },
    Difference {
        what: "An iocb in memory that cannot be written is accepted where its aio_key is 0.",
        why: "The key needs no store then; to try one would fault, as would asking cost a system call.",
        avoid: |r| {
            if r.at == To::ReadOnly {
                r.at = To::Good;
            }
        },
    },
    Difference {
        what: "Lists, iocbs, iovecs, events and times in memory that is not mapped fault; NULL, the null \
               page and the kernel's half are answered.",
        why: "The library reads them itself, as any C function does.",
        avoid: |r| {
            if r.at == To::Unmapped {
                r.at = To::Null;
            }
            if matches!(r.opcode, PREADV | PWRITEV) && r.buf != To::Good {
                if r.buf == To::Unmapped {
                    r.buf = To::Null;
                }
                // As many as there is room for in that page.
                if r.nbytes <= 1024 {
                    r.nbytes %= 256;
                }
            }
        },
    },
    Difference {
        what: "A buffer at an address that no memory can have, but not in the kernel's half: -EFAULT comes as \
               the event's res.",
        why: "Which addresses these are depends on processor and kernel (access_ok refuses them since \
              Linux 6.13 on x86-64, with 47 or 56 bits).",
        avoid: |r| {
            // Its iovecs would be made of whatever bytes are there.
            if matches!(r.opcode, PREADV | PWRITEV) && r.buf == To::Unaligned {
                r.buf = To::Good;
            }
        },
    },
    Difference {
        what: "Requests of one io_submit may be carried out in another order, or at the same time.",
        why: "That is what the engine is for; libaio promises no order, and the kernel's AIO has none \
              either where it is asynchronous. (See `keep_apart`.)",
        avoid: |_| (),
    },
    Difference {
        what: "io_cancel cancels reads, writes and fsyncs that have not started: -EINPROGRESS, where the \
               kernel's AIO answers -EINVAL.",
        why: "It is asked for. (Sequences wait for these before they go on, so it does not show there.)",
        avoid: |_| (),
    },
    Difference {
        what: "The end of a process counts nothing in the eventfds of the requests that it leaves in flight, \
               where another process has them too.",
        why: "The thread that counts is the process's own. (A child of a sequence has its own eventfd.)",
        avoid: |_| (),
    },
    Difference {
        what: "io_setup does not know fs.aio-max-nr; a context cannot be moved (mremap) or copied.",
        why: "It is asked for; and the address is a key in a table. (No sequence does it.)",
        avoid: |_| (),
    },
];

fn transfers(r: &Request) -> bool {
    matches!(r.opcode, PREAD | PWRITE | PREADV | PWRITEV)
}

fn writes(r: &Request) -> bool {
    matches!(r.opcode, PWRITE | PWRITEV)
}

/// Makes a sequence one on which io_uring must agree with the kernel's AIO.
pub fn avoid(sequence: &mut Sequence) {
    sequence.wild = false;
    avoid_in(&mut sequence.steps);
}

fn avoid_in(steps: &mut [Step]) {
    for step in steps {
        match step {
            Step::Submit { list, requests, .. } => {
                if *list == To::Unmapped {
                    *list = To::Null;
                }
                for request in &mut *requests {
                    DIFFERENCES.iter().for_each(|d| (d.avoid)(request));
                }
                keep_apart(requests);
            }
            Step::Fork(steps) => avoid_in(steps),
            _ => (),
        }
    }
}

/// Gives each transfer of a batch its own part of the file and of the buffer, where their order would
/// show otherwise.
fn keep_apart(requests: &mut [Request]) {
    const LONG: u64 = 8192;
    let long = |r: &Request| r.nbytes > LONG;
    let moving = requests.iter().filter(|r| transfers(r));
    let shows = moving.clone().any(|r| writes(r) || long(r));
    if moving.count() < 2 || !shows {
        return;
    }
    for (i, request) in requests.iter_mut().enumerate().filter(|(_, r)| transfers(r)) {
        if (0..1 << 20).contains(&request.offset) {
            request.offset = request.offset % 512 + i as i64 * 8192;
        }
        if long(request) && request.nbytes <= i64::MAX as u64 {
            request.nbytes = 4096;
        }
        if request.rw_flags & RWF_NOAPPEND == 0 {
            request.rw_flags &= !RWF_APPEND;
        }
    }
}
