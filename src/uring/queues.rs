//! The two queues of one io_uring as they are mapped, and the views of them: putting entries in, and
//! the completions as a [`Ring`] to reap (`ring.rs`).
//!
//! # Ordering
//! - Entries are written, then the submission queue's tail (Release): the kernel reads the tail with
//!   acquire (`io_sqring_entries`). Its head is loaded with Acquire: an entry before it was read.
//! - The completion queue's tail is loaded with Acquire; the kernel stores it with release after the
//!   completions (`io_commit_cqring`). Its head is stored with Release after they were copied: the
//!   kernel looks at it before it writes there again (`io_cqring_add_overflow` and the like).

use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use linux_raw_sys::io_uring::{
    __kernel_timespec, IORING_ENTER_EXT_ARG, IORING_ENTER_GETEVENTS, IORING_ENTER_NO_IOWAIT,
    IORING_FEAT_EXT_ARG, IORING_FEAT_FAST_POLL, IORING_FEAT_NO_IOWAIT, IORING_FEAT_NODROP,
    IORING_FEAT_SINGLE_MMAP, IORING_FEAT_SUBMIT_STABLE, IORING_OFF_SQ_RING, IORING_OFF_SQES,
    IORING_SETUP_COOP_TASKRUN, IORING_SETUP_CQSIZE, IORING_SQ_CQ_OVERFLOW, io_uring_cqe,
    io_uring_getevents_arg, io_uring_params, io_uring_sqe, io_uring_sqe_flags_bit,
};

use super::slots::{Chain, Slots};
use super::{INTERNAL, sys};
use crate::abi::io_event;
use crate::gate::Pause as _;
use crate::ring::Ring;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::system;

/// An entry of the submission queue.
pub(super) type Sqe = io_uring_sqe;

/// What this engine cannot do without: all of it is older than the synchronous cancelling
/// (Linux 6.0), which is asked for by itself.
pub(super) const FEATURES: u32 = IORING_FEAT_SINGLE_MMAP
    | IORING_FEAT_NODROP
    | IORING_FEAT_SUBMIT_STABLE
    | IORING_FEAT_FAST_POLL
    | IORING_FEAT_EXT_ARG;

/// The most entries that a completion queue can have.
const MOST_COMPLETIONS: u32 = 65536;

/// The most files that an io_uring holds.
const MOST_FILES: u32 = u64::BITS - 1;
/// The last bit: it has got room for them.
const HAS_ROOM: u64 = 1 << MOST_FILES;

/// What an io_uring is for (`sharing.rs`).
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// One thread, which finishes its requests when it enters the kernel by itself.
    Quiet,
    /// Several: the kernel interrupts who has submitted.
    Shared,
}

/// One io_uring.
pub(super) struct Queues {
    pub(super) fd: c_int,
    /// Which it is of its context's: 0 the quiet one, 1 the shared one.
    pub(super) number: usize,
    rings: *mut c_void,
    rings_size: usize,
    sqes: *mut Sqe,
    cqes: *mut io_uring_cqe,
    sq_entries: u32,
    cq_entries: u32,
    /// Flags of a call that waits.
    pub(super) wait_flags: u32,
    sq_head: *const AtomicU32,
    sq_tail: *const AtomicU32,
    sq_flags: *const AtomicU32,
    cq_head: *const AtomicU32,
    cq_tail: *const AtomicU32,
    /// By which it is told from what else may have its number, once the program has closed that.
    inode: u64,
    /// Whether a thread may have handed another's entries to the kernel, which takes them for its own.
    mixed: AtomicU32,
    /// How many completions are there that are no request's, and stay (`pump.rs`).
    pub(super) kept: AtomicU32,
    /// The files that the kernel holds, by their bits ([`Queues::hold_file`]), and [`HAS_ROOM`].
    held: AtomicU64,
}

/// How a call waits: with a timeout, and not as one that waits for a disk (as the kernel's AIO does not:
/// it is no matter of `iowait` and the processor's frequency), where the kernel knows that.
fn wait_flags(features: u32) -> u32 {
    let no_iowait = if features & IORING_FEAT_NO_IOWAIT != 0 { IORING_ENTER_NO_IOWAIT } else { 0 };
    IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | no_iowait
}

/// Zeroed parameters.
pub(super) fn params() -> io_uring_params {
    // SAFETY: numbers, for all of which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// An entry in which everything is zero: an `IORING_OP_NOP`.
pub(super) fn empty_entry() -> Sqe {
    // SAFETY: as above.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

impl Queues {
    /// An io_uring with that many submissions at a time, and room for more completions than there
    /// can be requests.
    pub(super) fn new(kind: Kind, submissions: u32, requests: u32) -> Result<Queues, c_int> {
        let mut p = params();
        p.flags = IORING_SETUP_CQSIZE;
        if kind == Kind::Quiet {
            // Without IORING_SETUP_TASKRUN_FLAG: the kernel would store its sign beside the indices, once
            // for each request, and who finds nothing asks anyhow.
            p.flags |= IORING_SETUP_COOP_TASKRUN;
        }
        // Twice as many: slots are free before the queue's head has moved on. What does not fit is
        // kept by the kernel (IORING_FEAT_NODROP), only slower.
        let room = (2 * (u64::from(requests) + 1)).next_power_of_two();
        p.cq_entries = room.max(submissions.into()).min(MOST_COMPLETIONS.into()) as u32;
        let fd = sys::setup(submissions, &mut p);
        if fd < 0 {
            return Err(-fd);
        }
        let sq = p.sq_off.array as usize + p.sq_entries as usize * size_of::<u32>();
        let cq = p.cq_off.cqes as usize + p.cq_entries as usize * size_of::<io_uring_cqe>();
        let rings_size = sq.max(cq);
        let sqes_size = p.sq_entries as usize * size_of::<Sqe>();
        let both = sys::map(fd, rings_size, IORING_OFF_SQ_RING).and_then(|rings| {
            let sqes = sys::map(fd, sqes_size, IORING_OFF_SQES);
            sqes.map(|sqes| (rings, sqes)).inspect_err(|_| system::unmap(rings, rings_size))
        });
        let (rings, sqes) = both.inspect_err(|_| sys::close(fd))?;
        let at = |offset: u32| rings.wrapping_byte_add(offset as usize);
        let array: *mut u32 = at(p.sq_off.array).cast();
        for i in 0..p.sq_entries {
            // SAFETY: the queue's own array of indices, which has as many; each names its entry for
            // good.
            unsafe { array.add(i as usize).write(i) };
        }
        Ok(Queues {
            fd,
            number: usize::from(kind == Kind::Shared),
            rings,
            rings_size,
            sqes: sqes.cast(),
            cqes: at(p.cq_off.cqes).cast(),
            sq_entries: p.sq_entries,
            cq_entries: p.cq_entries,
            wait_flags: wait_flags(p.features),
            sq_head: at(p.sq_off.head).cast(),
            sq_tail: at(p.sq_off.tail).cast(),
            sq_flags: at(p.sq_off.flags).cast(),
            cq_head: at(p.cq_off.head).cast(),
            cq_tail: at(p.cq_off.tail).cast(),
            inode: sys::inode_of(fd),
            mixed: AtomicU32::new(0),
            kept: AtomicU32::new(0),
            held: AtomicU64::new(0),
        })
    }

    /// Gives everything back. Nobody uses it any more.
    pub(super) fn close(&self) {
        system::unmap(self.sqes.cast(), self.sq_entries as usize * size_of::<Sqe>());
        system::unmap(self.rings, self.rings_size);
        self.let_go_of_all();
        if self.is_open() {
            sys::close(self.fd);
        }
    }

    /// Whether its descriptor is what it was: the program may have closed it, and have its own under that number.
    pub(super) fn is_open(&self) -> bool {
        sys::inode_of(self.fd) == self.inode
    }

    fn sq_head(&self) -> &AtomicU32 {
        // SAFETY: in the mapping, for as long as `self` is used; so for those below.
        unsafe { &*self.sq_head }
    }

    fn sq_tail(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.sq_tail }
    }

    #[inline(always)]
    pub(super) fn cq_head(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.cq_head }
    }

    #[inline(always)]
    fn cq_tail(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { &*self.cq_tail }
    }

    /// Whether the kernel keeps completions that found no room.
    fn has_overflowed(&self) -> bool {
        // SAFETY: as above.
        unsafe { &*self.sq_flags }.load(Ordering::Relaxed) & IORING_SQ_CQ_OVERFLOW != 0
    }

    #[inline(always)]
    pub(super) fn completion(&self, index: u32) -> &io_uring_cqe {
        // SAFETY: masked, so inside the mapping.
        unsafe { &*self.place(index) }
    }

    /// What a completion is of, also where others may be taking it: then of an older or a newer one.
    pub(super) fn user_data(&self, index: u32) -> u64 {
        // SAFETY: masked, so inside the mapping; read once, whoever writes there.
        unsafe { (&raw const (*self.place(index)).user_data).read_volatile() }
    }

    /// The index after the newest completion, with all of them visible.
    pub(super) fn newest(&self) -> u32 {
        self.cq_tail().load(Ordering::Acquire)
    }

    /// Whether a request of which there was no completion up to `before` has one that says EBADF. Others may
    /// take completions meanwhile, and what is read here may be old or torn: then it is an event.
    pub(super) fn has_refused(&self, user_data: u64, before: u32) -> bool {
        // What was taken meanwhile may be any other's.
        let new = self.newest().wrapping_sub(before).min(self.cq_entries);
        (0..new).any(|i| {
            let cqe = self.completion(before.wrapping_add(i));
            cqe.user_data == user_data && cqe.res == -libc::EBADF
        })
    }

    /// Where a completion is in the queue that nobody has taken. The caller is who takes completions.
    fn find(&self, user_data: u64) -> Option<u32> {
        let head = self.cq_head().load(Ordering::Relaxed);
        let mut there = (0..self.ready()).map(|i| head.wrapping_add(i));
        there.find(|&at| self.completion(at).user_data == user_data)
    }

    /// Whether a request is there that the kernel has given up. The caller is who takes completions.
    pub(super) fn has_given_up(&self, user_data: u64) -> bool {
        self.find(user_data).is_some_and(|at| self.completion(at).res == -libc::ECANCELED)
    }

    /// Takes a completion out of the queue, wherever it is; whether it was there. The caller is who takes
    /// completions.
    pub(super) fn remove(&self, user_data: u64) -> bool {
        let Some(found) = self.find(user_data) else { return false };
        let head = self.cq_head().load(Ordering::Relaxed);
        for i in 0..found.wrapping_sub(head) {
            let at = found.wrapping_sub(i);
            // SAFETY: masked, so inside the mapping. The kernel only writes completions, and not between
            // the two indices, where nobody else is.
            unsafe { ptr::copy(self.place(at.wrapping_sub(1)), self.place(at), 1) };
        }
        self.cq_head().store(head.wrapping_add(1), Ordering::Release);
        true
    }

    /// Makes the oldest completion of a request the oldest of all, where there is one. The caller is who takes
    /// completions.
    pub(super) fn bring_request_forward(&self) {
        let head = self.cq_head().load(Ordering::Relaxed);
        let mut there = (0..self.ready()).map(|i| head.wrapping_add(i));
        if let Some(at) = there.find(|&at| self.completion(at).user_data != INTERNAL) {
            // SAFETY: as in `remove`.
            unsafe { ptr::swap(self.place(head), self.place(at)) };
        }
    }

    /// The most completions that a call may sleep for: no more can come, and there is room for as many others.
    pub(super) fn most_wanted(&self, slots: &Slots) -> u32 {
        slots.count().min(self.cq_entries / 2)
    }

    fn place(&self, index: u32) -> *mut io_uring_cqe {
        self.cqes.wrapping_add((index & (self.cq_entries - 1)) as usize)
    }

    /// How many completions nobody has taken, with all of them visible.
    #[inline(always)]
    pub(super) fn ready(&self) -> u32 {
        let head = self.cq_head().load(Ordering::Relaxed);
        let ready = self.cq_tail().load(Ordering::Acquire).wrapping_sub(head);
        if ready == 0 && self.has_overflowed() { self.fetch(head) } else { ready }
    }

    /// Whether the kernel keeps completions beside so many that nobody has taken, which leave no room.
    pub(super) fn is_stuck(&self, ready: u32) -> bool {
        ready == self.cq_entries && self.has_overflowed()
    }

    /// [`Queues::ready`] where the kernel keeps some.
    #[cold]
    fn fetch(&self, head: u32) -> u32 {
        self.carry_out();
        self.cq_tail().load(Ordering::Acquire).wrapping_sub(head)
    }

    /// Has the kernel carry out this thread's part of completing requests, and bring in what it keeps.
    pub(super) fn carry_out(&self) {
        sys::enter(self.fd, 0, 0, IORING_ENTER_GETEVENTS, None);
    }

    /// How many entries have no completion yet. (Each gets one, and only one.)
    #[inline(always)]
    pub(super) fn in_flight(&self) -> u32 {
        // The head last: what it is subtracted from can only have grown.
        let tail = self.cq_tail().load(Ordering::Acquire);
        self.sq_tail().load(Ordering::Acquire).wrapping_sub(tail)
    }

    /// How many entries have been put in whose completion nobody has taken.
    #[inline(always)]
    pub(super) fn in_use(&self) -> u32 {
        let head = self.cq_head().load(Ordering::Acquire);
        self.sq_tail().load(Ordering::Acquire).wrapping_sub(head)
    }

    /// [`Queues::in_use`] without what is no request's.
    pub(super) fn requests(&self) -> u32 {
        // Looked at last: what goes meanwhile is counted twice rather than not at all.
        let in_use = self.in_use();
        in_use.saturating_sub(self.kept.load(Ordering::Relaxed))
    }

    /// Has the kernel hold the file of an fsync, as its AIO does from `io_submit` on: it leaves an fsync to a worker,
    /// who looks for the file only when it begins, and would find none, or another, where the program has closed the
    /// descriptor meanwhile. (Held like this it has no descriptor, and no close gives up the program's locks.)
    ///
    /// Where as many are held already, or there is no room for them, the fsync goes on without. The caller may put
    /// entries in.
    #[cold]
    #[inline(never)]
    pub(super) fn hold_file(&self, entry: &mut Sqe, slots: &Slots) {
        let number = self.held.load(Ordering::Relaxed).trailing_ones();
        let bit = 1u64.wrapping_shl(number);
        // A signal handler may have been faster, or all may be.
        if self.held.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return;
        }
        if self.held.fetch_or(HAS_ROOM, Ordering::AcqRel) & HAS_ROOM == 0 {
            sys::make_room_for_files(self.fd, MOST_FILES);
        }
        if sys::hold_file(self.fd, number, entry.fd) == 1 {
            slots.get(entry.user_data as u32).note_file(number + 1);
            entry.fd = number as c_int;
            entry.flags = 1 << io_uring_sqe_flags_bit::IOSQE_FIXED_FILE_BIT as u8;
        } else {
            self.held.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Lets go of the file that was noted so, 0 for none.
    #[cold]
    pub(super) fn let_go_of_file(&self, noted: u32) {
        if noted != 0 {
            sys::hold_file(self.fd, noted - 1, -1);
            self.held.fetch_and(!(1 << (noted - 1)), Ordering::AcqRel);
        }
    }

    /// Lets go of all files: the kernel would do so only when nobody has the io_uring mapped any more, and later.
    /// From here on it holds none.
    pub(super) fn let_go_of_all(&self) {
        if self.held.load(Ordering::Relaxed) != 0 && self.is_open() {
            sys::hold_no_files(self.fd);
        }
    }

    /// Puts entries in; the tail after them. The caller holds the queue's lock, or has interrupted its
    /// own thread's hold of it (`lock.rs`). Where there is no room, waits until the kernel has taken what is
    /// there, however long that lacks memory ([`Queues::submit`]): others wait for that all the same, some of
    /// these entries may be in already, and `io_destroy` cannot do without its own.
    pub(super) fn push(&self, entries: &[Sqe]) -> Result<u32, c_int> {
        let (mut next, mut left) = (entries.as_ptr(), entries.len() as u32);
        loop {
            let tail = self.sq_tail().load(Ordering::Relaxed);
            if left == 0 {
                return Ok(tail);
            }
            let room = self.sq_entries - tail.wrapping_sub(self.sq_head().load(Ordering::Acquire));
            let now = left.min(room);
            if now == 0 {
                self.submit(tail, 0)?;
                continue;
            }
            for i in 0..now {
                let at = tail.wrapping_add(i) & (self.sq_entries - 1);
                // SAFETY: there are so many entries. Masked; the kernel has read what was there, and
                // nobody else writes it but a handler that interrupts this, after which the exchange
                // below fails.
                unsafe {
                    ptr::copy_nonoverlapping(next.add(i as usize), self.sqes.add(at as usize), 1);
                }
            }
            let after = tail.wrapping_add(now);
            let moved =
                self.sq_tail().compare_exchange(tail, after, Ordering::Release, Ordering::Relaxed);
            if moved.is_ok() {
                next = next.wrapping_add(now as usize);
                left -= now;
            }
        }
    }

    /// Sleeps until there are so many completions, or for some nanoseconds, less than a second; false where
    /// the kernel lets nobody enter it any more (a closed descriptor, a seccomp filter).
    pub(super) fn wait_a_while(&self, completions: u32, ns: i64) -> bool {
        let time = __kernel_timespec { tv_sec: 0, tv_nsec: ns };
        let arg = io_uring_getevents_arg {
            sigmask: 0,
            sigmask_sz: 0,
            min_wait_usec: 0,
            ts: (&raw const time).addr() as u64,
        };
        match -sys::enter(self.fd, 0, completions, self.wait_flags, Some(&arg)) {
            libc::EAGAIN | libc::EBUSY | libc::ENOMEM => super::Rest::sleep(),
            error if error > 0 && !matches!(error, libc::EINTR | libc::ETIME | libc::EBADR) => {
                super::Rest::sleep();
                return false;
            }
            _ => (),
        }
        true
    }

    /// Whether the kernel may take requests for another thread's than the one that has put them in.
    pub(super) fn is_mixed(&self) -> bool {
        self.mixed.load(Ordering::Relaxed) != 0
    }

    /// The `user_data` of each entry that the kernel has not taken.
    pub(super) fn not_taken(&self) -> impl Iterator<Item = u64> + '_ {
        let head = self.sq_head().load(Ordering::Acquire);
        let n = self.sq_tail().load(Ordering::Acquire).wrapping_sub(head).min(self.sq_entries);
        (0..n).map(move |i| {
            let at = head.wrapping_add(i) & (self.sq_entries - 1);
            // SAFETY: masked; written before the tail was moved.
            unsafe { (*self.sqes.add(at as usize)).user_data }
        })
    }

    /// Has the kernel take all entries that are in the queue; whether it does.
    #[inline(always)]
    pub(super) fn submit_all(&self) -> bool {
        self.submit(self.sq_tail().load(Ordering::Acquire), 0).is_ok()
    }

    /// Has the kernel take all entries up to `tail`, of which the last `own` are the caller's. Where it
    /// lacks memory for them, asks again: they cannot be taken back, for another thread's call may be
    /// taking them right now.
    pub(super) fn submit(&self, tail: u32, own: u32) -> Result<(), c_int> {
        loop {
            let head = self.sq_head().load(Ordering::Acquire);
            let pending = tail.wrapping_sub(head);
            if pending as i32 <= 0 {
                return Ok(());
            }
            let taken = -sys::enter(self.fd, pending, 0, 0, None);
            let beyond = self.sq_head().load(Ordering::Acquire).wrapping_sub(tail) as i32 > 0;
            if pending > own || beyond {
                self.mixed.store(1, Ordering::Relaxed);
            }
            match taken {
                taken if taken < 0 => (),
                // Another thread's call has taken them.
                0 if self.sq_head().load(Ordering::Acquire) != head => (),
                // Completions that found no room want to be fetched first.
                libc::EBUSY => {
                    self.fetch(0);
                }
                error
                    if !matches!(error, 0 | libc::EAGAIN | libc::ENOMEM | libc::EINTR)
                        || !self.is_open() =>
                {
                    // The program has closed the descriptor.
                    return Err(libc::EBADF);
                }
                _ => super::Rest::sleep(),
            }
        }
    }
}

/// The completions of a context as a ring that can be reaped.
pub(super) struct Completions<'a> {
    pub(super) queues: &'a Queues,
    pub(super) slots: &'a Slots,
    /// Whether a thread that had submitted has ended: its polls may have to be submitted again, and are
    /// no events.
    pub(super) may_be_orphans: bool,
}

impl Completions<'_> {
    /// The oldest completion, where it is one that the kernel gave up with its thread.
    pub(super) fn orphan(&self) -> Option<&io_uring_cqe> {
        let head = self.queues.cq_head().load(Ordering::Relaxed);
        let cqe = self.queues.completion(head);
        (self.queues.ready() > 0 && self.slots.is_orphan(cqe)).then_some(cqe)
    }
}

impl Ring for Completions<'_> {
    #[inline(always)]
    fn nr(&self) -> u32 {
        self.queues.cq_entries
    }

    #[inline(always)]
    fn head(&self) -> u32 {
        self.queues.cq_head().load(Ordering::Relaxed) & (self.queues.cq_entries - 1)
    }

    #[inline(always)]
    fn tail(&self) -> u32 {
        let head = self.queues.cq_head().load(Ordering::Relaxed);
        // One fewer than the queue holds, since equal indices are an empty ring here.
        let mut n = self.queues.ready().min(self.queues.cq_entries - 1);
        if self.may_be_orphans {
            let at = |i| self.queues.completion(head.wrapping_add(i));
            n = (0..n).find(|&i| self.slots.is_orphan(at(i))).unwrap_or(n);
        }
        head.wrapping_add(n) & (self.queues.cq_entries - 1)
    }

    #[inline(always)]
    fn publish(&self, head: u32) {
        // The kernel's indices run on; this one is not a whole round before the other.
        let now = self.queues.cq_head().load(Ordering::Relaxed);
        let by = head.wrapping_sub(now) & (self.queues.cq_entries - 1);
        self.queues.cq_head().store(now.wrapping_add(by), Ordering::Release);
    }

    #[inline(always)]
    unsafe fn copy(&self, first: u32, n: u32, to: *mut io_event) {
        let mut chain = Chain::new(self.slots);
        for i in 0..n {
            let cqe = self.queues.completion(first + i);
            // SAFETY: room as the caller says; the program may have given an unaligned `to`.
            unsafe { to.add(i as usize).write_unaligned(self.slots.event(cqe, self.queues)) };
            chain.add(cqe.user_data as u32);
        }
    }

    #[inline(always)]
    unsafe fn copy_wrapped(&self, first: u32, n: u32, to: *mut io_event) {
        // SAFETY: upheld by the caller; a completion's index is taken round the wrap.
        unsafe { self.copy(first, n, to) };
    }
}
