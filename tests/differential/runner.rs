//! Runs one sequence on one implementation, in the process that it is called in, and tells what came
//! of it in lines of text.

use std::cell::RefCell;
use std::ffi::{c_int, c_long};
use std::fs::File as Output;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, mem, ptr};

use aio::abi::{io_context_t, io_event, iocb};
use libc::{sigset_t, timespec};

use crate::calls::Calls;
use crate::sequence::*;

const PAGE: usize = 4096;
/// Requests of one sequence; room for their number and for what is behind the list.
const REQUESTS: usize = 512;
const EVENTS: usize = 1024;
/// Where in the buffer the requests lie, one after the other.
const STRIDE: usize = 8192;
/// What errno is before a call, to see whether it changes.
const UNTOUCHED: c_int = 77;

// The calls in which the original looks at the ring by itself.
pub const GETEVENTS: &str = "getevents";
pub const PGETEVENTS: &str = "pgetevents";
pub const QUEUE_RUN: &str = "queue_run";
pub const QUEUE_WAIT: &str = "queue_wait";

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

thread_local! {
    /// What the callbacks of one io_queue_run were given.
    static CALLED: RefCell<Vec<io_event>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn callback(_: io_context_t, obj: *mut iocb, res: c_long, res2: c_long) {
    let event = io_event { data: 0, obj: obj as u64, res, res2 };
    CALLED.with_borrow_mut(|called| called.push(event));
}

fn errno() -> *mut c_int {
    // SAFETY: always valid.
    unsafe { libc::__errno_location() }
}

/// Memory of the process that the whole sequence uses.
struct Memory {
    /// Two pages of which the second is not accessible.
    half: *mut u8,
    /// A page of zeros, and nothing accessible behind it.
    read_only: *mut u8,
    /// The buffer, of [`SIZE`] bytes, and nothing accessible behind it.
    buffer: *mut u8,
    events: Vec<io_event>,
    iocbs: Vec<iocb>,
    list: Vec<*mut iocb>,
}

/// A mapping with `length` bytes to use and a page without access behind them.
fn guarded(length: usize, protection: c_int) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), length + PAGE, libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    // SAFETY: the mapping's own pages.
    assert_eq!(unsafe { libc::mprotect(at, length, protection) }, 0);
    at.cast()
}

const READ_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;

impl Memory {
    fn new() -> Memory {
        let buffer = guarded(SIZE as usize, READ_WRITE);
        // SAFETY: the buffer's own bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, SIZE as usize) };
        bytes.iter_mut().enumerate().for_each(|(i, b)| *b = (i % 239) as u8);
        Memory {
            half: guarded(PAGE, READ_WRITE),
            read_only: guarded(PAGE, libc::PROT_READ),
            buffer,
            events: vec![io_event::default(); EVENTS + 1],
            iocbs: (0..REQUESTS).map(|_| unused()).collect(),
            list: vec![ptr::null_mut(); 2 * EVENTS],
        }
    }

    /// An address of that kind; `good` where it is to be good, `size` bytes where half of it is.
    fn at<T>(&self, to: To, good: *mut T, size: usize) -> *mut T {
        match to {
            To::Good => good,
            To::Unaligned => good.wrapping_byte_add(1),
            To::Null => ptr::null_mut(),
            To::NullPage => ptr::without_provenance_mut(0x20),
            To::KernelHalf => ptr::without_provenance_mut(0xffff_8880_0000_0000),
            To::ReadOnly => self.read_only.cast(),
            To::Half => self.half.wrapping_add(PAGE - size).cast(),
            To::Unmapped => self.half.wrapping_add(PAGE).cast(),
        }
    }
}

fn unused() -> iocb {
    // SAFETY: all its fields are numbers.
    unsafe { mem::zeroed() }
}

/// A poll that has not completed as far as is known.
struct Pending {
    slot: usize,
    request: usize,
    fd: RawFd,
    events: i16,
    notifies: bool,
}

/// What the runner must know of an implementation.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Whether it promises to set errno on failure and to leave it alone otherwise.
    pub keeps_errno: bool,
    /// Whether its contexts are made of io_uring.
    pub io_uring: bool,
}

/// Waits of ten milliseconds after which a thread gives up.
const IN_VAIN: u32 = 100;

/// In a line that says that something never came.
pub const MISSING: &str = "is missing";

#[derive(Clone, Copy, Default)]
struct Slot {
    handle: usize,
    live: bool,
    /// The io_urings that it is made of: one, and one more once several threads use it.
    queues: [Option<RawFd>; 2],
    /// A request of it asked for an eventfd: its events come to the ring at the handle.
    notified: bool,
    /// For how many requests it was made.
    size: i32,
    /// Completions that are there to take.
    available: i64,
}

pub struct Runner<'a> {
    calls: Calls,
    kind: Kind,
    output: &'a Output,
    folder: RawFd,
    callbacks: bool,
    quiet: bool,
    /// Whether reads and writes may complete in any order.
    any_order: bool,
    memory: Memory,
    slots: [Slot; SLOTS as usize],
    used: usize,
    pending: Vec<Pending>,
    taken: Vec<String>,
    files: Vec<(File, RawFd)>,
    /// Descriptors for the requests of one call alone.
    once: Vec<RawFd>,
    /// The eventfd that what completes later adds to; what it was given, and what it should be.
    settle: RawFd,
    settled: u64,
    expected: u64,
    in_fork: bool,
}

impl<'a> Runner<'a> {
    pub fn new(calls: Calls, kind: Kind, output: &'a Output, folder: RawFd) -> Runner<'a> {
        // SAFETY: plain calls on this process's own signals and descriptors.
        let settle = unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = count_signal as *const () as usize;
            libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut());
            let mut set: sigset_t = mem::zeroed();
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
            libc::eventfd(0, libc::EFD_NONBLOCK)
        };
        Runner {
            calls,
            kind,
            output,
            folder,
            callbacks: false,
            quiet: false,
            any_order: false,
            memory: Memory::new(),
            slots: Default::default(),
            used: 0,
            pending: Vec::new(),
            taken: Vec::new(),
            files: Vec::new(),
            once: Vec::new(),
            settle,
            settled: 0,
            expected: 0,
            in_fork: false,
        }
    }

    pub fn run(&mut self, sequence: &Sequence) {
        let Sequence { callbacks, quiet, io_uring, .. } = *sequence;
        (self.callbacks, self.quiet, self.any_order) = (callbacks, quiet, io_uring);
        self.steps(&sequence.steps);
        for slot in 0..self.slots.len() {
            if self.slots[slot].live {
                self.drain(slot);
            }
        }
        self.taken.sort();
        let taken = mem::take(&mut self.taken);
        taken.iter().for_each(|line| self.line(line));
        if !writes_directly(&sequence.steps) {
            // SAFETY: the buffer's own bytes.
            let bytes = unsafe { std::slice::from_raw_parts(self.memory.buffer, SIZE as usize) };
            self.line(&format!("buffer {:x}", checksum(bytes)));
        }
        let fd = self.file(File::Memory);
        let mut bytes = vec![0; 2 * SIZE as usize];
        // SAFETY: room for as many bytes.
        let n = unsafe { libc::pread(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        self.line(&format!("file {n} {:x}", checksum(&bytes)));
        self.line(&format!("signals {}", SIGNALS.load(Ordering::Relaxed)));
        if self.kind.io_uring {
            self.destroy_all();
        }
        self.line("end");
    }

    fn line(&self, text: &str) {
        writeln!(&mut &*self.output, "{text}").expect("the parent reads");
    }

    fn steps(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            let said = self.step(step);
            self.line(&format!("{number} {}: {said}", name(step)));
            self.settle();
        }
    }

    fn step(&mut self, step: &Step) -> String {
        let said = self.carry_out(step);
        let slot = match step {
            Step::Submit { context, .. }
            | Step::GetEvents { context, .. }
            | Step::PGetEvents { context, .. }
            | Step::QueueRun { context }
            | Step::QueueWait { context, .. }
            | Step::Cancel { context, .. } => self.context(*context).1,
            Step::Threads { slot, .. } => Some(usize::from(*slot)),
            _ => None,
        };
        if let Some(slot) = slot {
            self.claim_queue(slot);
        }
        said
    }

    fn carry_out(&mut self, step: &Step) -> String {
        match step {
            Step::Setup { slot, events, to } => self.setup(*slot, *events, *to, false),
            Step::QueueInit { slot, events, to } => self.setup(*slot, *events, *to, true),
            Step::Destroy { context, release } => self.destroy(*context, *release),
            Step::Submit { context, more, list, requests } => {
                self.submit(*context, *more, *list, requests)
            }
            Step::GetEvents { context, shape } => self.get(*context, *shape, None),
            Step::PGetEvents { context, shape, mask } => self.get(*context, *shape, Some(*mask)),
            Step::QueueRun { context } => self.queue_run(*context),
            Step::QueueWait { context, timeout } => {
                let shape = Shape { min: 0, nr: 0, to: To::Null, timeout: *timeout };
                let (handle, _) = self.context(*context);
                self.with_timeout(*context, shape, |r, time| {
                    // SAFETY: what the sequence asks for.
                    r.call(|c| unsafe { (c.queue_wait)(handle, time) }).1
                })
            }
            Step::Cancel { context, request, event } => self.cancel(*context, *request, *event),
            Step::Ready { second, on } => {
                if !self.in_fork {
                    let fd = self.file(File::Polled(*second));
                    let mut count = 1u64;
                    // SAFETY: eight bytes to write from and read into.
                    unsafe {
                        match on {
                            true => libc::write(fd, (&raw const count).cast(), 8),
                            false => libc::read(fd, (&raw mut count).cast(), 8),
                        }
                    };
                }
                "ready".into()
            }
            Step::Raise => {
                // SAFETY: blocked, so nothing runs yet.
                unsafe { libc::raise(libc::SIGUSR1) };
                "raised".into()
            }
            Step::Fork(steps) => self.fork(steps),
            Step::Threads { slot, threads, each } => self.threads(*slot as usize, *threads, *each),
        }
    }

    /// Calls the implementation; its answer, and that in words, with what it did to errno.
    fn call(&self, call: impl FnOnce(&Calls) -> c_int) -> (c_int, String) {
        // SAFETY: the thread's own errno.
        unsafe { *errno() = UNTOUCHED };
        let answer = call(&self.calls);
        // SAFETY: as above.
        let after = unsafe { *errno() };
        let right = if answer < 0 { -answer } else { UNTOUCHED };
        let words = match self.kind.keeps_errno && after != right {
            true => format!("{answer} with errno {after}"),
            false => answer.to_string(),
        };
        (answer, words)
    }

    /// A handle, and its slot where it is that of a live context.
    fn context(&self, context: Context) -> (io_context_t, Option<usize>) {
        let (address, slot) = match context {
            Context::Slot(s) => (self.slots[s as usize].handle, Some(s as usize)),
            Context::Null => (0, None),
            Context::Unmapped => (self.memory.half as usize + PAGE, None),
            Context::KernelHalf => (0xffff_8880_0000_0000, None),
            Context::Misaligned(s) if self.slots[s as usize].live => {
                (self.slots[s as usize].handle + 8, None)
            }
            Context::Misaligned(_) => (8, None),
        };
        (ptr::with_exposed_provenance_mut(address), slot.filter(|&s| self.slots[s].live))
    }

    fn setup(&mut self, slot: u8, events: i32, to: To, init: bool) -> String {
        let slot = slot as usize;
        if !self.slots[slot].live {
            self.slots[slot].handle = 0;
        } else if init && matches!(to, To::Good | To::Unaligned) {
            // It would be forgotten, and leak.
            return "skipped".into();
        }
        let mut room = [self.slots[slot].handle, 0];
        let good = room.as_mut_ptr().cast::<u8>();
        if to == To::Unaligned {
            // SAFETY: `room` is twice as large as a handle.
            unsafe { good.add(1).cast::<usize>().write_unaligned(room[0]) };
        }
        let at = self.memory.at(to, good, 4).cast();
        let (answer, said) = self.call(|c| {
            let setup = if init { c.queue_init } else { c.setup };
            // SAFETY: what the sequence asks for.
            unsafe { setup(events, at) }
        });
        if answer == 0 {
            for other in &mut self.slots {
                if !other.live {
                    other.handle = 0;
                }
            }
            // SAFETY: the call has just written there.
            let handle = unsafe { at.read_unaligned() } as usize;
            self.slots[slot] = Slot { handle, live: true, size: events, ..Slot::default() };
            if self.kind.io_uring {
                self.slots[slot].queues[0] = self.new_queue();
                assert!(self.slots[slot].queues[0].is_some(), "one io_uring for each context");
            }
        }
        said
    }

    fn destroy(&mut self, context: Context, release: bool) -> String {
        let (handle, slot) = self.context(context);
        let (answer, said) = self.call(|c| {
            let destroy = if release { c.queue_release } else { c.destroy };
            // SAFETY: what the sequence asks for.
            unsafe { destroy(handle) }
        });
        if let (0, Some(slot)) = (answer, slot) {
            self.slots[slot].live = false;
            if self.any_order && self.slots[slot].available > 0 {
                // Which of its events were taken, and which never, is nobody's business.
                let of_it = format!("event of {slot}: ");
                let taken = self.taken.iter_mut().filter(|line| line.starts_with(&of_it));
                taken.for_each(|line| *line = format!("some event of {slot}"));
            }
            // One that comes to the slot later has other lines.
            self.taken.iter_mut().for_each(|line| {
                if line.starts_with(&format!("event of {slot}: ")) {
                    line.insert_str(0, "earlier ");
                }
            });
            // Its polls are cancelled, and notify.
            let (gone, left) =
                mem::take(&mut self.pending).into_iter().partition(|p| p.slot == slot);
            self.pending = left;
            let gone: Vec<Pending> = gone;
            self.expected += gone.iter().filter(|p| p.notifies).count() as u64;
        }
        said
    }

    fn submit(&mut self, context: Context, more: i64, list: To, requests: &[Request]) -> String {
        if self.used + requests.len() > REQUESTS {
            return "skipped".into();
        }
        let first = self.used;
        self.memory.list.fill(ptr::null_mut());
        for (i, request) in requests.iter().enumerate() {
            let number = first + i;
            self.memory.iocbs[number] = self.prepare(number, request);
            let good = &raw mut self.memory.iocbs[number];
            let at = if request.at == To::Unaligned { To::Good } else { request.at };
            self.memory.list[i] = self.memory.at(at, good, 8);
        }
        self.used += requests.len();
        let nr = (requests.len() as i64).saturating_add(more);
        let good = self.memory.list.as_mut_ptr();
        let list = if list == To::Unaligned { To::Good } else { list };
        let list = self.memory.at(list, good, 8);
        let (handle, slot) = self.context(context);
        // SAFETY: what the sequence asks for.
        let (answer, said) = self.call(|c| unsafe { (c.submit)(handle, nr, list) });
        for fd in self.once.drain(..) {
            // What has no fsync gets the number.
            // SAFETY: a C string, and a number of this runner's.
            unsafe {
                let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
                libc::dup2(null, fd);
                libc::close(null);
            }
        }
        if let Some(slot) = slot {
            (0..answer.max(0) as usize).for_each(|i| self.accepted(slot, first + i));
        }
        let keys = (0..answer.max(0) as usize).map(|i| self.memory.iocbs[first + i].aio_key);
        format!("{said} keys {}", keys.sum::<u32>())
    }

    /// The request as the program fills it in.
    fn prepare(&mut self, number: usize, request: &Request) -> iocb {
        let good = self.memory.buffer.wrapping_add(number * STRIDE % SIZE as usize);
        let mut buf = self.memory.at(request.buf, good, 100) as u64;
        // What AIO reads and writes is not polled.
        let fd = self.file(match (request.opcode, request.file) {
            (5, File::Counter) => File::Polled(false),
            (0 | 1 | 7 | 8, File::Polled(_)) => File::Counter,
            (_, file) => file,
        });
        let fd = if matches!(request.opcode, 2 | 3) { self.once(fd) } else { fd };
        let vectors = matches!(request.opcode, 7 | 8);
        let mut nbytes = request.nbytes;
        if request.opcode == 5 {
            buf = match request.buf {
                To::Good => libc::POLLIN as u64,
                To::Unaligned => libc::POLLOUT as u64,
                To::ReadOnly => (libc::POLLIN | libc::POLLPRI) as u64,
                _ => buf,
            };
        } else if vectors && nbytes < 10_000 && self.has_vectors(request.buf) {
            // Two vectors, which share the bytes; never freed, as the process ends soon.
            let part = nbytes as usize / 2;
            let vector = |at: usize, iov_len| libc::iovec {
                iov_base: good.wrapping_add(at).cast(),
                iov_len,
            };
            let vectors = [vector(0, part), vector(part, nbytes as usize - part)];
            let room = Box::leak(Box::new([vectors; 2])).as_mut_ptr();
            let at = self.memory.at(request.buf, room, 0);
            // SAFETY: there is twice the room.
            unsafe { at.write_unaligned(vectors) };
            buf = at as u64;
            nbytes = 2;
        }
        let later = completes_later(request);
        let (mut flags, mut resfd) = (request.flags, self.settle);
        if self.quiet {
            flags &= !1;
        } else if flags & 1 == 0 && later {
            flags |= 1;
        } else if flags & 1 != 0 && request.resfd != File::Counter {
            // Not one that is polled: that would make it ready.
            let polled = matches!(request.resfd, File::Polled(_));
            resfd = self.file(if polled { File::Memory } else { request.resfd });
        }
        let data = if self.callbacks { callback as *const () as u64 } else { number as u64 + 1000 };
        iocb {
            aio_data: data,
            aio_key: request.key,
            aio_rw_flags: request.rw_flags,
            aio_lio_opcode: request.opcode,
            aio_reqprio: request.reqprio,
            aio_fildes: fd,
            aio_buf: buf,
            aio_nbytes: nbytes,
            aio_offset: request.offset,
            aio_reserved2: request.reserved,
            aio_flags: flags,
            aio_resfd: resfd as u32,
        }
    }

    /// Whether iovecs are to be there. On kernel AIO those that are not aligned are whatever bytes the
    /// buffer has, and most of their addresses such as no memory can have (`permitted.rs`).
    fn has_vectors(&self, buf: To) -> bool {
        buf == To::Good || buf == To::Unaligned && self.any_order
    }

    fn accepted(&mut self, slot: usize, number: usize) {
        let cb = &self.memory.iocbs[number];
        let notifies = cb.aio_flags & 1 != 0 && cb.aio_resfd as RawFd == self.settle;
        self.slots[slot].notified |= cb.aio_flags & 1 != 0;
        if cb.aio_lio_opcode == 5 {
            let (fd, events) = (cb.aio_fildes, cb.aio_buf as i16);
            self.pending.push(Pending { slot, request: number, fd, events, notifies });
        } else {
            self.completed(slot, notifies);
        }
    }

    fn completed(&mut self, slot: usize, notifies: bool) {
        self.slots[slot].available += 1;
        self.expected += u64::from(notifies);
    }

    /// Waits for all completions that are on their way.
    fn settle(&mut self) {
        for pending in mem::take(&mut self.pending) {
            let mut poll = libc::pollfd { fd: pending.fd, events: pending.events, revents: 0 };
            // SAFETY: one descriptor.
            let ready = unsafe { libc::poll(&raw mut poll, 1, 0) } > 0;
            if ready {
                self.completed(pending.slot, pending.notifies);
            } else {
                self.pending.push(pending);
            }
        }
        while self.settled < self.expected {
            let mut poll = libc::pollfd { fd: self.settle, events: libc::POLLIN, revents: 0 };
            // SAFETY: one descriptor.
            if unsafe { libc::poll(&raw mut poll, 1, 3000) } == 0 {
                self.line(&format!("a notification {MISSING}"));
                self.settled = self.expected;
                return;
            }
            self.read_settle();
        }
        self.read_settle();
        if self.settled > self.expected {
            self.line("a notification too many");
            self.settled = self.expected;
        }
        for slot in 0..self.slots.len() {
            self.settle_slot(slot);
        }
    }

    /// Waits until as many events are there to take as should be.
    fn settle_slot(&mut self, slot: usize) {
        let start = Instant::now();
        loop {
            let Slot { live, available, .. } = self.slots[slot];
            let ready = if live { self.ready(slot) } else { available };
            if ready == available {
                return;
            }
            if start.elapsed() > Duration::from_secs(3) {
                self.line(&format!("an event of {slot} {MISSING}: {ready} of {available}"));
                self.slots[slot].available = ready;
                return;
            }
            std::thread::yield_now();
        }
    }

    /// How many events there are to take.
    fn ready(&self, slot: usize) -> i64 {
        let Slot { handle, queues, notified, .. } = self.slots[slot];
        let completions = queues[0].map(|_| queues.into_iter().flatten().map(completions_in).sum());
        if let (Some(completions), false) = (completions, notified) {
            return completions;
        }
        // struct aio_ring of fs/aio.c: id, nr, head, tail.
        let header: *const AtomicU32 = ptr::with_exposed_provenance(handle);
        // SAFETY: a live context, whose first page is mapped.
        let [nr, head, tail] =
            [1, 2, 3].map(|at| i64::from(unsafe { &*header.add(at) }.load(Ordering::Acquire)));
        match completions {
            // The thread that moves them has not done so yet.
            Some(1..) => -1,
            _ => (tail - head).rem_euclid(nr),
        }
    }

    /// The io_uring that the last step has made, if any.
    fn new_queue(&self) -> Option<RawFd> {
        let known = |fd: &RawFd| self.slots.iter().any(|s| s.live && s.queues.contains(&Some(*fd)));
        let mut queues = descriptors_of("anon_inode:[io_uring]");
        queues.retain(|fd| !known(fd));
        assert!(queues.len() <= 1, "one io_uring at a time");
        queues.pop()
    }

    /// The last step was one on that context, which may have got its second io_uring.
    fn claim_queue(&mut self, slot: usize) {
        if self.kind.io_uring && self.slots[slot].live && self.slots[slot].queues[1].is_none() {
            self.slots[slot].queues[1] = self.new_queue();
        }
    }

    /// Destroys all contexts, and tells what is left of them.
    fn destroy_all(&mut self) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].live {
                self.destroy(Context::Slot(slot as u8), false);
            }
        }
        self.settle();
        let counter = |f: &&(File, RawFd)| matches!(f.0, File::Counter | File::Polled(_));
        let eventfds = 1 + self.files.iter().filter(counter).count();
        let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
        let tasks = fs::read_dir("/proc/self/task").expect("/proc");
        let names = tasks.map(|t| fs::read_to_string(t.expect("a task").path().join("comm")));
        let left = [
            descriptors_of("anon_inode:[io_uring]").len(),
            descriptors_of("anon_inode:[eventfd]").len() - eventfds,
            maps.lines().filter(|line| line.contains("io_uring")).count(),
            names.filter(|n| n.as_ref().is_ok_and(|n| n.starts_with("libaio"))).count(),
        ];
        if left != [0; 4] {
            self.line(&format!("left over: io_urings, eventfds, mappings, threads {left:?}"));
        }
    }

    fn read_settle(&mut self) {
        let mut count = 0u64;
        // SAFETY: eight bytes to read into.
        if unsafe { libc::read(self.settle, (&raw mut count).cast(), 8) } == 8 {
            self.settled += count;
        }
    }

    /// Runs a call with the timeout of that shape, one that does not wait for ever for nothing.
    fn with_timeout(
        &mut self,
        context: Context,
        shape: Shape,
        call: impl FnOnce(&mut Self, *mut timespec) -> String,
    ) -> String {
        let slot = self.context(context).1.map(|s| self.slots[s]);
        let waits =
            slot.is_some_and(|s| 0 < shape.min && shape.min <= shape.nr && s.available < shape.min);
        let zero = timespec { tv_sec: 0, tv_nsec: 0 };
        let mut room = [zero; 2];
        room[0] = match shape.timeout {
            Timeout::Negative if !waits => timespec { tv_sec: -1, tv_nsec: 0 },
            Timeout::Unnormalised if !waits => timespec { tv_sec: 0, tv_nsec: 1_000_000_001 },
            Timeout::Zero | Timeout::At(_) => zero,
            _ => timespec { tv_sec: 0, tv_nsec: 1_000_000 },
        };
        let good = room.as_mut_ptr();
        let time = match shape.timeout {
            Timeout::Null if !waits => ptr::null_mut(),
            // No timeout is to wait for ever.
            Timeout::At(to) if to != To::Null || !waits => self.memory.at(to, good, 8),
            _ => good,
        };
        call(self, time)
    }

    fn get(&mut self, context: Context, shape: Shape, mask: Option<Mask>) -> String {
        let (handle, slot) = self.context(context);
        let good = self.memory.events.as_mut_ptr();
        let events = self.memory.at(shape.to, good, size_of::<io_event>());
        // SAFETY: an empty and a full set.
        let (mut empty, mut full): (sigset_t, sigset_t) = unsafe { mem::zeroed() };
        // SAFETY: as above.
        unsafe {
            libc::sigemptyset(&raw mut empty);
            libc::sigfillset(&raw mut full);
        }
        let set = match mask {
            None | Some(Mask::Null) => ptr::null_mut(),
            Some(Mask::Empty) => &raw mut empty,
            Some(Mask::Full) => &raw mut full,
            Some(Mask::At(to)) => self.memory.at(to, &raw mut empty, 4),
        };
        self.with_timeout(context, shape, |r, time| {
            let (answer, said) = r.call(|c| {
                // SAFETY: what the sequence asks for.
                unsafe {
                    match mask {
                        Some(_) => (c.pgetevents)(handle, shape.min, shape.nr, events, time, set),
                        None => (c.getevents)(handle, shape.min, shape.nr, events, time),
                    }
                }
            });
            if let Some(slot) = slot.filter(|_| answer > 0) {
                r.took(slot, events, answer as usize);
            }
            said
        })
    }

    fn took(&mut self, slot: usize, events: *const io_event, n: usize) {
        self.slots[slot].available -= n as i64;
        for i in 0..n {
            // SAFETY: the call has filled them.
            let event = unsafe { events.add(i).read_unaligned() };
            self.taken.push(self.describe(slot, &event));
        }
    }

    fn describe(&self, slot: usize, event: &io_event) -> String {
        let first = self.memory.iocbs.as_ptr() as u64;
        let number = event.obj.wrapping_sub(first) / size_of::<iocb>() as u64;
        let data = match self.callbacks {
            true => 0,
            false => event.data,
        };
        format!("event of {slot}: request {number} data {data} {} {}", event.res, event.res2)
    }

    fn drain(&mut self, slot: usize) {
        let shape = Shape { min: 0, nr: 64, to: To::Good, timeout: Timeout::Zero };
        loop {
            let before = self.taken.len();
            let said = self.get(Context::Slot(slot as u8), shape, None);
            if self.taken.len() == before {
                self.line(&format!("drained {slot}: {said}"));
                return;
            }
        }
    }

    fn queue_run(&mut self, context: Context) -> String {
        let (handle, slot) = self.context(context);
        // SAFETY: all requests of this sequence have a callback.
        let (_, said) = self.call(|c| unsafe { (c.queue_run)(handle) });
        let called = CALLED.with_borrow_mut(mem::take);
        if let Some(slot) = slot {
            self.took(slot, called.as_ptr(), called.len());
        }
        format!("{said} after {} callbacks", called.len())
    }

    fn cancel(&mut self, context: Context, request: u8, event: To) -> String {
        let (handle, slot) = self.context(context);
        let number = request as usize % self.used.max(1);
        let mut room = [io_event::default(); 2];
        let event = self.memory.at(event, room.as_mut_ptr(), size_of::<io_event>());
        let cb = &raw mut self.memory.iocbs[number];
        // SAFETY: what the sequence asks for.
        let (answer, said) = self.call(|c| unsafe { (c.cancel)(handle, cb, event) });
        if let (Some(slot), true) = (slot, answer == -libc::EINPROGRESS) {
            let at = self.pending.iter().position(|p| p.slot == slot && p.request == number);
            if let Some(at) = at {
                let poll = self.pending.swap_remove(at);
                self.completed(slot, poll.notifies);
            }
        }
        said
    }

    fn fork(&mut self, steps: &[Step]) -> String {
        // SAFETY: a process of one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: for the case that a call hangs.
            unsafe {
                libc::alarm(10);
                // The parent may be ended at any line.
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            }
            self.in_fork = true;
            // One of its own: the parent's would count what this process leaves in flight.
            // SAFETY: no pointer.
            self.settle = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) };
            (self.settled, self.expected) = (0, 0);
            // Its parent tells of those.
            self.taken.clear();
            self.pending.clear();
            self.slots.iter_mut().for_each(|s| s.live = false);
            self.steps(steps);
            for slot in 0..self.slots.len() {
                if self.slots[slot].live {
                    self.drain(slot);
                }
            }
            let mut taken = mem::take(&mut self.taken);
            taken.sort();
            taken.iter().for_each(|line| self.line(&format!("in the fork: {line}")));
            // SAFETY: ends the process as it is.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child that was just made.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        format!("fork ended with {status}")
    }

    fn threads(&mut self, slot: usize, threads: u8, each: u8) -> String {
        let Slot { handle, live, size, available, .. } = self.slots[slot];
        let busy = self.pending.iter().any(|p| p.slot == slot);
        let all = usize::from(threads) * usize::from(each);
        if !live || size < 64 || available != 0 || busy || self.used + all > REQUESTS {
            return "skipped".into();
        }
        let request = Request { nbytes: 64, ..Request::good() };
        let first = self.used;
        let mut list: Vec<usize> = Vec::new();
        for number in first..first + all {
            self.memory.iocbs[number] = self.prepare(number, &request);
            list.push(&raw mut self.memory.iocbs[number] as usize);
        }
        self.used += all;
        let (calls, left) = (self.calls, AtomicI64::new(all as i64));
        let work = |part: &[usize]| {
            let mut part = part.to_vec();
            let context = || ptr::with_exposed_provenance_mut(handle);
            let mut events = [io_event::default(); 4];
            // SAFETY: the requests live as long as the process.
            let n = unsafe {
                (calls.submit)(context(), part.len() as c_long, part.as_mut_ptr().cast())
            };
            left.fetch_sub(part.len() as i64 - i64::from(n.max(0)), Ordering::SeqCst);
            let (mut took, mut in_vain) = (Vec::new(), 0);
            while left.load(Ordering::SeqCst) > 0 && in_vain < IN_VAIN {
                let mut time = timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                let to = events.as_mut_ptr();
                // SAFETY: room for four.
                let n = unsafe { (calls.getevents)(context(), 1, 4, to, &raw mut time) };
                in_vain = if n > 0 { 0 } else { in_vain + 1 };
                left.fetch_sub(i64::from(n.max(0)), Ordering::SeqCst);
                took.extend_from_slice(&events[..n.max(0) as usize]);
            }
            (n, took)
        };
        let took = std::thread::scope(|scope| {
            let work = &work;
            let parts = list.chunks(usize::from(each));
            let threads: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            threads.into_iter().map(|t| t.join().expect("a thread")).collect::<Vec<_>>()
        });
        let submitted: Vec<c_int> = took.iter().map(|(n, _)| *n).collect();
        for event in took.iter().flat_map(|(_, events)| events) {
            self.taken.push(self.describe(slot, event));
        }
        match left.into_inner() {
            0 => format!("threads submitted {submitted:?}"),
            left => format!("threads submitted {submitted:?}, of {left} the event {MISSING}"),
        }
    }

    /// A descriptor of that kind, made when it is first asked for.
    /// A descriptor of the same file that is another's once the request was submitted, which is of the file that it
    /// was of at io_submit.
    fn once(&mut self, fd: RawFd) -> RawFd {
        // SAFETY: no pointer.
        let own = unsafe { libc::dup(fd) };
        if own < 0 {
            return fd;
        }
        self.once.push(own);
        own
    }

    fn file(&mut self, file: File) -> RawFd {
        if let Some((_, fd)) = self.files.iter().find(|(f, _)| *f == file) {
            return *fd;
        }
        let fd = match file {
            File::ReadOnly | File::WriteOnly | File::Path => {
                let memory = self.file(File::Memory);
                reopen(memory, file)
            }
            other => open(other, self.folder),
        };
        self.files.push((file, fd));
        fd
    }
}

/// The word for a step.
fn name(step: &Step) -> &'static str {
    match step {
        Step::Setup { .. } => "setup",
        Step::QueueInit { .. } => "queue_init",
        Step::Destroy { .. } => "destroy",
        Step::Submit { .. } => "submit",
        Step::GetEvents { .. } => GETEVENTS,
        Step::PGetEvents { .. } => PGETEVENTS,
        Step::QueueRun { .. } => QUEUE_RUN,
        Step::QueueWait { .. } => QUEUE_WAIT,
        Step::Cancel { .. } => "cancel",
        Step::Ready { .. } | Step::Raise | Step::Fork(_) | Step::Threads { .. } => "step",
    }
}

/// Whether the request completes after `io_submit` has returned, or may.
fn completes_later(request: &Request) -> bool {
    let direct = request.file == File::Direct && matches!(request.opcode, 0 | 1 | 7 | 8);
    matches!(request.opcode, 2 | 3 | 5) || direct
}

/// Whether a sequence writes with O_DIRECT, beside which reads may find old or new.
fn writes_directly(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Submit { requests, .. } => {
            requests.iter().any(|r| r.file == File::Direct && matches!(r.opcode, 1 | 8))
        }
        Step::Fork(steps) => writes_directly(steps),
        _ => false,
    })
}

/// The descriptors whose link in /proc is that.
fn descriptors_of(what: &str) -> Vec<RawFd> {
    let all = fs::read_dir("/proc/self/fd").expect("/proc");
    all.filter_map(|entry| {
        let path = entry.expect("a descriptor").path();
        let is = fs::read_link(&path).is_ok_and(|to| to.to_str() == Some(what));
        is.then(|| path.file_name()?.to_str()?.parse().ok())?
    })
    .collect()
}

/// How many completions an io_uring holds, as /proc tells.
fn completions_in(queue: RawFd) -> i64 {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{queue}")).expect("/proc");
    let number = |name: &str| -> u32 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).expect("an io_uring")
    };
    i64::from(number("CqTail:").wrapping_sub(number("CqHead:")))
}

/// FNV-1a, to compare contents.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn reopen(memory: RawFd, file: File) -> RawFd {
    let flags = match file {
        File::ReadOnly => libc::O_RDONLY,
        File::WriteOnly => libc::O_WRONLY,
        _ => libc::O_PATH,
    };
    let name = std::ffi::CString::new(format!("/proc/self/fd/{memory}")).expect("no NUL");
    // SAFETY: a C string.
    unsafe { libc::open(name.as_ptr(), flags) }
}

/// Asks something of such a file, of those that need no folder.
pub fn with_file<T>(file: File, ask: impl FnOnce(RawFd) -> T) -> T {
    let fd = open(file, libc::AT_FDCWD);
    assert!(fd >= 0, "{file:?}");
    let answer = ask(fd);
    // SAFETY: opened above, and used by nobody else. (The other end of a pipe stays with the process.)
    unsafe { libc::close(fd) };
    answer
}

fn open(file: File, folder: RawFd) -> RawFd {
    let filled = |fd: RawFd| {
        let bytes: *mut u8 = guarded(SIZE as usize, READ_WRITE);
        // SAFETY: the mapping's own bytes, page-aligned as O_DIRECT wants them.
        unsafe {
            let content = std::slice::from_raw_parts_mut(bytes, SIZE as usize);
            content.iter_mut().enumerate().for_each(|(i, b)| *b = (i % 251) as u8);
            assert_eq!(libc::pwrite(fd, bytes.cast(), SIZE as usize, 0), SIZE as isize);
            libc::munmap(bytes.cast(), SIZE as usize + PAGE);
        }
        fd
    };
    let mut pair = [-1; 2];
    // SAFETY: C strings, and room for two descriptors.
    unsafe {
        match file {
            File::Memory => filled(libc::memfd_create(c"file".as_ptr(), 0)),
            File::Direct => {
                let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_DIRECT;
                filled(libc::openat(folder, c".".as_ptr(), flags, 0o600))
            }
            File::Directory => libc::open(c"/".as_ptr(), libc::O_RDONLY),
            File::Null => libc::open(c"/dev/null".as_ptr(), libc::O_RDWR),
            File::Pipe => {
                libc::pipe2(pair.as_mut_ptr(), libc::O_NONBLOCK);
                pair[0]
            }
            File::Socket => {
                let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
                libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr());
                pair[0]
            }
            File::Counter | File::Polled(_) => libc::eventfd(0, libc::EFD_NONBLOCK),
            File::Negative => -1,
            _ => 9999, // closed
        }
    }
}
