//! The counters as text for people, or as JSON, one object in a line: the same names in the same order,
//! by the same code. The text leaves zeros out.

use core::slice;

use super::block::{Block, word};
use crate::text::Text;
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

/// The sections, each with a colon, and the names of the words from the first on (`block::word`).
const NAMES: &[u8] = b"contexts: made maxevents \
submit: calls iocbs p50_ns p99_ns max_ns \
operations: pread pwrite fsync fdsync other poll noop preadv pwritev \
bytes: read_asked write_asked transferred \
getevents: ring spin kernel \
getevents_in_kernel: p50_ns p99_ns max_ns \
events: taken most_in_flight \
cancel: calls cancelled";

/// How a report begins; a 0 stands for the process, the occasion, the context and the engine.
const HEAD: &[u8] = b"libaio-rs: statistics of process \0 at \0, context \0, engine \0";
const HEAD_OF_JSON: &[u8] = b"{\"pid\":\0,\"at\":\"\0\",\"context\":\"\0\",\"engine\":\"\0\"";

/// Errors that are told by name, as the numbers differ between architectures; and their names.
const NAMED: [u8; 16] = [
    libc::EPERM as u8,
    libc::EINTR as u8,
    libc::EIO as u8,
    libc::EBADF as u8,
    libc::EAGAIN as u8,
    libc::ENOMEM as u8,
    libc::EACCES as u8,
    libc::EFAULT as u8,
    libc::EINVAL as u8,
    libc::EFBIG as u8,
    libc::ENOSPC as u8,
    libc::EPIPE as u8,
    libc::ENOSYS as u8,
    libc::ENODATA as u8,
    libc::EOPNOTSUPP as u8,
    libc::ECANCELED as u8,
];
const NAMES_OF_ERRORS: &[u8] = b"EPERM EINTR EIO EBADF EAGAIN ENOMEM EACCES EFAULT EINVAL EFBIG \
ENOSPC EPIPE ENOSYS ENODATA EOPNOTSUPP ECANCELED";

const _: () = assert!(count(NAMES, b' ') + 1 - count(NAMES, b':') == word::NAMES_END);
const _: () = assert!(count(NAMES_OF_ERRORS, b' ') + 1 == NAMED.len());

/// How often a byte is in a text.
const fn count(text: &[u8], byte: u8) -> usize {
    let (mut i, mut n) = (0, 0);
    while i < text.len() {
        n += (text[i] == byte) as usize;
        i += 1;
    }
    n
}

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
    #[inline(never)]
    pub(super) fn with(occasion: &'a [u8], f: &mut dyn FnMut(&mut Report<'_>)) {
        let Some(memory) = system::wiped_on_fork(ROOM) else { return };
        // SAFETY: just mapped, with that size, and used by nobody else.
        let bytes = unsafe { slice::from_raw_parts_mut(memory.cast::<u8>(), ROOM) };
        let text = Text { bytes, length: 0 };
        let json = config::reports_json();
        f(&mut Report { text, json, occasion, open: false, section: None });
        system::unmap(memory, ROOM);
    }

    /// The report of a block's counters.
    #[inline(never)]
    pub(super) fn of(&mut self, what: What, block: &Block) -> &[u8] {
        self.text.length = 0;
        self.head(what, block);
        let mut index = 0;
        for name in NAMES.split(|&byte| byte == b' ') {
            if let [section @ .., b':'] = name {
                self.section(section);
            } else {
                self.value(name, block.told(index));
                index += 1;
            }
        }
        for (section, errors) in
            [(&b"call_errors"[..], word::CALL_ERRORS), (b"event_errors", word::EVENT_ERRORS)]
        {
            self.section(section);
            self.errors(block, errors);
        }
        self.text.put(if self.json { b"}}\n" } else { b"\n" });
        self.open = false;
        self.text.written()
    }

    fn head(&mut self, what: What, block: &Block) {
        let mut place = 0;
        for &byte in if self.json { HEAD_OF_JSON } else { HEAD } {
            if byte != 0 {
                self.text.put(&[byte]);
                continue;
            }
            match (place, what) {
                (0, _) => self.text.number(system::pid() as u64, false),
                (1, _) => self.text.put(self.occasion),
                (2, What::Context(address)) => {
                    self.text.put(b"0x");
                    self.text.number(address as u64, true);
                }
                (2, What::Others) => self.text.put(b"other"),
                (2, What::All) => self.text.put(b"all"),
                // What the library did not make, it knows no more of.
                _ if block.get(word::CONTEXTS) == 0 => self.text.put(b"none"),
                _ if block.get(word::URING) == 0 => self.text.put(b"kernel"),
                _ => self.text.put(b"io_uring"),
            }
            place += 1;
        }
    }

    /// Ends the section that is open, and opens another.
    fn section(&mut self, name: &'static [u8]) {
        if self.json {
            self.name(if self.open { b"},\"" } else { b",\"" }, name, b"\":{");
        }
        (self.open, self.section) = (true, Some(name));
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
        if self.json {
            let first = self.section.take().is_some();
            self.name(if first { b"\"" } else { b",\"" }, name, b"\":");
            self.text.number(value, false);
            return;
        }
        if value == 0 {
            return;
        }
        match self.section.take() {
            Some(section) => self.name(b"\n  ", section, b": "),
            None => self.text.put(b", "),
        }
        let (name, unit) = match name {
            [time @ .., b'_', b'n', b's'] => (time, &b" ns"[..]),
            _ => (name, &b""[..]),
        };
        self.name(b"", name, b" ");
        self.text.number(value, false);
        self.text.put(unit);
    }

    /// The errors that came to pass.
    fn errors(&mut self, block: &Block, first: usize) {
        for number in 0..word::ERRNOS {
            let count = block.get(first + number);
            if count == 0 {
                continue;
            }
            let mut digits = [0; 20];
            let mut text = Text { bytes: &mut digits, length: 0 };
            text.number(number as u64, false);
            let names = NAMES_OF_ERRORS.split(|&byte| byte == b' ');
            let mut named = NAMED.iter().zip(names).filter(|(named, _)| **named as usize == number);
            self.value(named.next().map_or(text.written(), |(_, name)| name), count);
        }
    }
}
