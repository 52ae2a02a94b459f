//! What contexts made of io_uring (`LIBAIO_ENGINE=io_uring`) may answer otherwise than the kernel's
//! AIO, with the reasons, and how the sequences that they run keep clear of it.
//!
//! A request is rewritten where it would come upon a difference of [`DIFFERENCES`], so that all the
//! rest of its sequence is compared to the letter. docs/compatibility.md has the same list.
//!
//! Nothing is in the list for good: each run sees that the requests by which a difference is known differ
//! still, and no longer once they are rewritten.

use std::os::fd::RawFd;
use std::sync::OnceLock;

use crate::runner;
use crate::sequence::{Context, File, Request, Sequence, Step, To};

/// One thing that io_uring's contexts may do.
pub struct Difference {
    pub what: &'static str,
    pub why: &'static str,
    /// Keeps the requests of one io_submit clear of it.
    avoid: fn(&mut [Request]),
    /// Requests that show it, each by itself. None where it takes more than a request, or luck.
    shown_by: fn() -> Vec<Request>,
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
/// All that a kernel may know (Linux 6.18).
const RWF_ALL: u32 = 0x1ff;
/// As many iovecs as a page holds.
const VECTORS: u64 = 256;
const UIO_MAXIOV: u64 = 1024;

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "A read of a file that has no read_iter (a directory), or a write of one that has no write_iter \
               (an eventfd), is accepted by io_submit; the event has its own error, or it is served.",
        why: "Only the kernel knows a file's operations, and it tells when it carries the request out.",
        avoid: |requests| {
            for r in requests.iter_mut().filter(|r| transfers(r)) {
                let eventfd = matches!(r.file, File::Counter | File::Polled(_));
                if if writes(r) { eventfd } else { r.file == File::Directory } {
                    r.file = File::Null;
                }
            }
        },
        shown_by: || {
            let of = |opcode, file| Request { opcode, file, ..Request::good() };
            vec![
                of(PREAD, File::Directory),
                of(PREADV, File::Directory),
                of(PWRITE, File::Counter),
                of(PWRITEV, File::Counter),
            ]
        },
    },
    Difference {
        what: "RWF_NOWAIT, RWF_ATOMIC and RWF_DONTCACHE on a file that does not support them, and what the \
               kernel is too old for: -EOPNOTSUPP comes as the event's res.",
        why: "As above: the file's modes are not to be seen from outside the kernel.",
        avoid: |requests| {
            for r in requests.iter_mut().filter(|r| transfers(r)) {
                let refused =
                    r.rw_flags & !RWF_ALL != 0 || r.rw_flags & RWF_ATOMIC != 0 && !writes(r);
                if !refused {
                    r.rw_flags &= supported(r.file);
                }
            }
        },
        shown_by: || {
            let with = |rw_flags, opcode| Request { rw_flags, opcode, ..Request::good() };
            vec![with(RWF_DONTCACHE, PREAD), with(RWF_DONTCACHE, PWRITEV), with(RWF_ATOMIC, PWRITE)]
        },
    },
    Difference {
        what: "An iocb in memory that cannot be written is accepted where its aio_key is 0.",
        why: "The key needs no store then; to try one would fault, as would asking cost a system call.",
        avoid: |requests| {
            requests.iter_mut().filter(|r| r.at == To::ReadOnly).for_each(|r| r.at = To::Good);
        },
        shown_by: || vec![Request { at: To::ReadOnly, ..Request::good() }],
    },
    Difference {
        what: "Lists, iocbs, iovecs, events and times in memory that is not mapped fault; NULL, the null \
               page and the kernel's half are answered.",
        why: "The library reads them itself, as any C function does.",
        avoid: |requests| {
            for r in requests {
                if r.at == To::Unmapped {
                    r.at = To::Null;
                }
                if vectored(r) && r.buf == To::Unmapped {
                    r.buf = To::Null;
                }
                // Nothing is mapped behind that page.
                if vectored(r) && r.buf == To::ReadOnly && r.nbytes <= UIO_MAXIOV {
                    r.nbytes = r.nbytes.min(VECTORS);
                }
            }
        },
        shown_by: || {
            let vectors = |buf, nbytes| Request { opcode: PREADV, buf, nbytes, ..Request::good() };
            vec![
                Request { at: To::Unmapped, ..Request::good() },
                vectors(To::Unmapped, 1),
                vectors(To::ReadOnly, VECTORS + 1),
            ]
        },
    },
    Difference {
        what: "Requests of one io_submit may be carried out in another order, or at the same time.",
        why: "That is what the engine is for; libaio promises no order, and the kernel's AIO has none \
              either where it is asynchronous.",
        avoid: keep_apart,
        shown_by: Vec::new,
    },
    Difference {
        what: "A buffer at an address that no memory can have, but not in the kernel's half: -EFAULT comes as \
               the event's res.",
        why: "Which addresses these are depends on processor and kernel (access_ok refuses them since \
              Linux 6.13 on x86-64, with 47 or 56 bits). (No request has one: `Runner::prepare`.)",
        avoid: |_| (),
        shown_by: Vec::new,
    },
    Difference {
        what: "io_cancel cancels reads, writes and fsyncs that have not started: -EINPROGRESS, where the \
               kernel's AIO answers -EINVAL.",
        why: "It is asked for. (Sequences wait for these before they go on, so it does not show there.)",
        avoid: |_| (),
        shown_by: Vec::new,
    },
    Difference {
        what: "The end of a process counts nothing in the eventfds of the requests that it leaves in flight, \
               where another process has them too.",
        why: "The thread that counts is the process's own. (A child of a sequence has its own eventfd.)",
        avoid: |_| (),
        shown_by: Vec::new,
    },
    Difference {
        what: "io_setup does not know fs.aio-max-nr; a context cannot be moved (mremap) or copied.",
        why: "It is asked for; and the address is a key in a table. (No sequence does it.)",
        avoid: |_| (),
        shown_by: Vec::new,
    },
];

impl Difference {
    /// Sequences that show it, where it takes no more than a request.
    pub fn shown_by(&self) -> impl Iterator<Item = Sequence> {
        (self.shown_by)().into_iter().map(|request| {
            let submit = Step::Submit {
                context: Context::Slot(0),
                more: 0,
                list: To::Good,
                requests: vec![request],
            };
            let setup = Step::Setup { slot: 0, events: 64, to: To::Good };
            let steps = vec![setup, submit];
            Sequence { wild: false, callbacks: false, io_uring: true, quiet: true, steps }
        })
    }
}

fn transfers(r: &Request) -> bool {
    matches!(r.opcode, PREAD | PWRITE | PREADV | PWRITEV)
}

fn writes(r: &Request) -> bool {
    matches!(r.opcode, PWRITE | PWRITEV)
}

fn vectored(r: &Request) -> bool {
    matches!(r.opcode, PREADV | PWRITEV)
}

/// The `RWF_*` bits that this kernel takes for reads of such a file. None of the ways in which it could
/// support `RWF_ATOMIC` can be asked for without a write; and with O_DIRECT whether anything is waited for is
/// luck.
fn supported(file: File) -> u32 {
    static KINDS: OnceLock<Vec<(File, u32)>> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| {
        let kinds = [File::Memory, File::Null, File::Pipe, File::Socket, File::Counter];
        kinds.map(|kind| (kind, runner::with_file(kind, taken_by))).into()
    });
    let as_opened = match file {
        File::Polled(_) => File::Counter,
        // What they refuse comes first.
        File::ReadOnly | File::WriteOnly => File::Memory,
        other => other,
    };
    match kinds.iter().find(|(kind, _)| *kind == as_opened) {
        Some((_, bits)) => *bits,
        None => RWF_ALL & !(RWF_NOWAIT | RWF_ATOMIC | RWF_DONTCACHE),
    }
}

/// The bits with which a byte of that descriptor can be read, as far as they go.
fn taken_by(fd: RawFd) -> u32 {
    let takes = |bit: &u32| {
        let mut byte = 0u8;
        let vector = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        // SAFETY: one iovec, of a byte to write to.
        let n = unsafe { libc::preadv2(fd, &raw const vector, 1, -1, *bit as i32) };
        n >= 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EOPNOTSUPP)
    };
    (0..9).map(|bit| 1 << bit).filter(|bit| *bit != RWF_ATOMIC).filter(takes).sum()
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
                DIFFERENCES.iter().for_each(|d| (d.avoid)(requests));
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
