//! The counters as text for people, or as JSON, one object in a line: the same names in the same order,
//! by the same code. The text leaves zeros out.

use core::ffi::c_int;
use core::slice;

use super::block::{Block, word};
use super::output::Text;
use crate::{config, system};

/// What a report is of.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// The context at an address.
    Context(usize),
    /// The contexts that the library did not make, or has no counters for.
    Others,
    /// The process.
    All,
}

/// More than any report takes.
const ROOM: usize = 16384;

/// Names of words that follow each other.
const OPERATIONS: &[u8] = b"pread pwrite fsync fdsync other poll noop preadv pwritev";
const BYTES: &[u8] = b"read_asked write_asked transferred";
const SOURCES: &[u8] = b"ring spin kernel";
const CANCELS: &[u8] = b"calls cancelled";

/// Errors that are told by name, as the numbers differ between architectures; and their names.
const NAMED: [c_int; 24] = [
    libc::EPERM,
    libc::EINTR,
    libc::EIO,
    libc::ENXIO,
    libc::EBADF,
    libc::EAGAIN,
    libc::ENOMEM,
    libc::EACCES,
    libc::EFAULT,
    libc::EBUSY,
    libc::ENODEV,
    libc::EINVAL,
    libc::EMFILE,
    libc::EFBIG,
    libc::ENOSPC,
    libc::ESPIPE,
    libc::EROFS,
    libc::EPIPE,
    libc::ENOSYS,
    libc::ENODATA,
    libc::EILSEQ,
    libc::EOPNOTSUPP,
    libc::ESTALE,
    libc::ECANCELED,
];
const NAMES: &[u8] =
    b"EPERM EINTR EIO ENXIO EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY ENODEV EINVAL \
EMFILE EFBIG ENOSPC ESPIPE EROFS EPIPE ENOSYS ENODATA EILSEQ EOPNOTSUPP ESTALE ECANCELED";

/// A place where reports are put together.
pub(super) struct Report<'a> {
    text: Text<'a>,
    json: bool,
    occasion: &'a [u8],
    /// Whether a section is open.
    open: bool,
    /// Its name, where it has no value yet.
    section: Option<&'a [u8]>,
}

impl<'a> Report<'a> {
    /// Runs `f` with such a place, in memory of its own: a signal handler comes here on a stack that may
    /// be small. Where there is none, there is no report.
    pub(super) fn with(occasion: &'a [u8], f: impl FnOnce(&mut Report<'_>)) {
        let Some(memory) = system::wiped_on_fork(ROOM) else { return };
        // SAFETY: just mapped, with that size, and used by nobody else.
        let bytes = unsafe { slice::from_raw_parts_mut(memory.cast::<u8>(), ROOM) };
        let text = Text { bytes, length: 0 };
        f(&mut Report { text, json: config::reports_json(), occasion, open: false, section: None });
        system::unmap(memory, ROOM);
    }

    /// The report of a block's counters.
    #[inline(never)]
    pub(super) fn of(&mut self, what: What, block: &Block) -> &[u8] {
        self.text.length = 0;
        self.head(what, block);
        self.section(b"submit");
        self.value(b"calls", block.times(word::SUBMIT_TIMES));
        self.value(b"iocbs", block.get(word::ACCEPTED));
        self.times(block, word::SUBMIT_TIMES, word::SUBMIT_MAX);
        self.words(b"operations", OPERATIONS, block, word::OPERATIONS);
        self.words(b"bytes", BYTES, block, word::READ_ASKED);
        self.words(b"getevents", SOURCES, block, word::RING);
        self.section(b"getevents_in_kernel");
        self.times(block, word::KERNEL_TIMES, word::KERNEL_MAX);
        self.section(b"events");
        self.value(b"taken", block.get(word::TAKEN));
        self.value(b"most_in_flight", block.get(word::MOST_IN_FLIGHT));
        self.words(b"cancel", CANCELS, block, word::CANCELS);
        self.errors(b"call_errors", block, word::CALL_ERRORS);
        self.errors(b"event_errors", block, word::EVENT_ERRORS);
        self.end_section();
        self.text.put(if self.json { b"}\n" } else { b"\n" });
        self.text.bytes.get(..self.text.length).unwrap_or(&[])
    }

    fn head(&mut self, what: What, block: &Block) {
        let json = self.json;
        self.text.put(if json { b"{\"pid\":" } else { b"libaio-rs: statistics of process " });
        // SAFETY: no precondition.
        self.text.number(unsafe { libc::getpid() } as u64, false);
        self.text.put(if json { b",\"at\":\"" } else { b" at " });
        self.text.put(self.occasion);
        self.text.put(if json { b"\",\"context\":\"" } else { b", context " });
        match what {
            What::Context(address) => {
                self.text.put(b"0x");
                self.text.number(address as u64, true);
            }
            What::Others => self.text.put(b"other"),
            What::All => self.text.put(b"all"),
        }
        // What the library did not make, it knows no more of.
        let made = block.get(word::CONTEXTS);
        let engine: &[u8] = match (made, block.get(word::URING)) {
            (0, _) => b"none",
            (_, 0) => b"kernel",
            _ => b"io_uring",
        };
        self.text.put(if json { b"\",\"engine\":\"" } else { b", engine " });
        self.text.put(engine);
        if json {
            self.text.put(b"\"");
        }
        self.section(b"contexts");
        self.value(b"made", made);
        self.value(b"maxevents", block.get(word::MAXEVENTS));
    }

    /// Ends the section that is open, and opens another.
    #[inline(never)]
    fn section(&mut self, name: &'static [u8]) {
        self.end_section();
        (self.open, self.section) = (true, Some(name));
        if self.json {
            self.name(b",\"", name, b"\":{");
        }
    }

    fn end_section(&mut self) {
        if self.json && self.open {
            self.text.put(b"}");
        }
        self.open = false;
    }

    #[inline(never)]
    fn name(&mut self, before: &[u8], name: &[u8], after: &[u8]) {
        self.text.put(before);
        for &byte in name {
            self.text.put(&[if byte == b'_' && !self.json { b' ' } else { byte }]);
        }
        self.text.put(after);
    }

    /// A value of the section. One in nanoseconds has a name that says so.
    #[inline(never)]
    fn value(&mut self, name: &[u8], value: u64) {
        let first = self.section.take();
        if self.json {
            self.name(if first.is_some() { b"\"" } else { b",\"" }, name, b"\":");
            self.text.number(value, false);
            return;
        }
        if value == 0 {
            self.section = first;
            return;
        }
        match first {
            Some(section) => self.name(b"\n  ", section, b": "),
            None => self.text.put(b", "),
        }
        let unit = name.strip_suffix(b"_ns");
        self.name(b"", unit.unwrap_or(name), b" ");
        self.text.number(value, false);
        if unit.is_some() {
            self.text.put(b" ns");
        }
    }

    /// A section of words that follow each other.
    #[inline(never)]
    fn words(&mut self, section: &'static [u8], names: &[u8], block: &Block, first: usize) {
        self.section(section);
        for (i, name) in names.split(|&byte| byte == b' ').enumerate() {
            self.value(name, block.get(first + i));
        }
    }

    #[inline(never)]
    fn times(&mut self, block: &Block, times: usize, max: usize) {
        self.value(b"p50_ns", block.quantile(times, max, 50));
        self.value(b"p99_ns", block.quantile(times, max, 99));
        self.value(b"max_ns", block.get(max));
    }

    /// A section of errors: those that came to pass.
    #[inline(never)]
    fn errors(&mut self, section: &'static [u8], block: &Block, first: usize) {
        self.section(section);
        for number in 0..word::ERRNOS {
            let count = block.get(first + number);
            if count == 0 {
                continue;
            }
            let names = NAMES.split(|&byte| byte == b' ');
            let named = NAMED.iter().zip(names).find(|(named, _)| **named == number as c_int);
            if let Some((_, name)) = named {
                self.value(name, count);
            } else {
                let mut digits = [0; 20];
                let mut text = Text { bytes: &mut digits, length: 0 };
                text.number(number as u64, false);
                let length = text.length;
                self.value(digits.get(..length).unwrap_or(&[]), count);
            }
        }
    }
}
