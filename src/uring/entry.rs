//! From an iocb to an entry of io_uring, with the answers that the kernel's AIO gives at `io_submit`
//! (`io_submit_one` and what it calls, `fs/aio.c`), in its order.
//!
//! What is not found here, because only the file can tell, comes as the event's `res`:
//! docs/compatibility.md lists it.

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering};

use libc::{EBADF, EFAULT, EINVAL, EOPNOTSUPP, EPERM, iovec};
use linux_raw_sys::general::O_LARGEFILE;
use linux_raw_sys::io_uring::{IORING_FSYNC_DATASYNC, io_uring_op};

use super::context::Context;
use super::queues::{Sqe, empty_entry};
use super::sys;
use crate::abi::{IOCB_FLAG_RESFD, io_iocb_cmd, iocb};

/// What the kernel transfers at most at a time (`MAX_RW_COUNT`): `INT_MAX` up to a page.
const MOST_BYTES: u64 = 0x7fff_f000;
/// The `RWF_*` bits that a kernel may know: up to `RWF_NOSIGNAL` (Linux 6.18).
const KNOWN_RW_FLAGS: u32 = 0x1ff;
/// Which asks to be polled for; the kernel's AIO drops it.
const RWF_HIPRI: u32 = 1;
/// Which asks not to wait for anything.
const RWF_NOWAIT: u32 = 8;
/// For writes alone.
const RWF_ATOMIC: u32 = 0x40;
/// `RWF_APPEND` and `RWF_NOAPPEND`, which exclude each other.
const RWF_BOTH_APPENDS: u32 = 0x10 | 0x20;
/// Bit in `aio_flags`: `aio_reqprio` counts.
const IOCB_FLAG_IOPRIO: u32 = 1 << 1;

/// What was found about descriptors, by their lowest bits: the number in the upper half; the open flags,
/// [`SEEN`] and [`FILE`] in the lower one. All zero is nothing.
///
/// A number may be another file's by now, or nobody's. What differs then is found out: at once, where
/// the flags are asked for, or io_uring refuses the request (`submit.rs`); by the time that anybody would
/// wait for it (`unasked.rs`); or at the end (`Context::gives_up_as_another`).
#[repr(transparent)]
pub(super) struct Known([AtomicU64; KNOWN]);

const KNOWN: usize = 64;
const SEEN: u32 = 1 << 30;
/// It is one of a file, block device or directory: what is asked of it takes its time, but not for ever.
const FILE: u32 = 1 << 31;

/// Whether requests may be submitted without asking anew what is found: they may wait.
fn may_be_assumed(found: u32) -> bool {
    found & (FILE | libc::O_NONBLOCK as u32) == FILE
}

impl Known {
    fn word(&self, fd: c_int) -> Option<&AtomicU64> {
        self.0.get(fd as usize % KNOWN)
    }

    /// What was found about that descriptor, 0 for nothing.
    fn of(&self, fd: c_int) -> u32 {
        let word = self.word(fd).map_or(0, |word| word.load(Ordering::Relaxed));
        if (word >> 32) as c_int == fd { word as u32 } else { 0 }
    }

    /// Whether a descriptor is known for one with those flags that may be assumed.
    pub(super) fn is(&self, fd: c_int, flags: c_int) -> bool {
        let found = self.of(fd);
        may_be_assumed(found) && found == flags as u32 | SEEN | FILE
    }

    /// Notes what is found about a descriptor with those flags. (What else than a file has the flags that a file had
    /// there may be told from one at the end, but no file from what else there was.)
    fn note(&self, fd: c_int, flags: c_int, is_of_a_file: bool) {
        let found = flags as u32 | SEEN | if is_of_a_file { FILE } else { 0 };
        if let Some(word) = self.word(fd) {
            word.store(u64::from(fd as u32) << 32 | u64::from(found), Ordering::Relaxed);
        }
    }

    /// A descriptor is not what it was.
    pub(super) fn forget(&self, fd: c_int) {
        if let Some(word) = self.word(fd) {
            word.store(0, Ordering::Relaxed);
        }
    }
}

/// Whether what is asked of a file of that kind ([`sys::kind_of`]) is sure to end.
pub(super) fn is_of_a_file(kind: c_int) -> bool {
    matches!(kind as u32, libc::S_IFREG | libc::S_IFBLK | libc::S_IFDIR)
}

/// How a transfer is kept from waiting that is not to (`O_NONBLOCK`).
#[derive(Clone, Copy, PartialEq)]
pub(super) enum AtOnce {
    /// It is not.
    No,
    /// The kernel is told so.
    Asked,
    /// The kernel cannot be told: what is not done at once is given up.
    GivenUp,
}

/// The flags of the descriptors that the requests of one call name, asked for once as long as they
/// name the same.
pub(super) struct Descriptors<'a> {
    last: c_int,
    flags: c_int,
    known: &'a Known,
    /// Whether flags may be taken for what they were.
    assumes: bool,
    /// Whether they were.
    assumed: bool,
    /// Whether the last one is of a file ([`FILE`]).
    pub(super) is_of_a_file: bool,
    pub(super) at_once: AtOnce,
    /// Whether any is [`AtOnce::GivenUp`].
    pub(super) gives_up: bool,
    /// Whether one of those that are not in a queue yet has the eventfd that requests share (`Pump::take_shared`).
    pub(super) knows_eventfd: bool,
}

impl<'a> Descriptors<'a> {
    pub(super) fn new(known: &'a Known, assumes: bool) -> Self {
        Descriptors {
            last: -1,
            flags: -EBADF,
            known,
            assumes,
            assumed: false,
            is_of_a_file: false,
            at_once: AtOnce::No,
            gives_up: false,
            knows_eventfd: false,
        }
    }

    /// The descriptor whose flags were taken for what they were at an earlier call, if any.
    pub(super) fn assumed(&self) -> Option<c_int> {
        self.assumed.then_some(self.last)
    }

    /// From here on flags are asked for; whether any were not, and what was known is forgotten.
    pub(super) fn ask(&mut self) -> bool {
        self.assumes = false;
        let Some(fd) = self.assumed() else { return false };
        self.known.forget(fd);
        (self.assumed, self.last) = (false, -1);
        true
    }

    /// A descriptor of our own of the eventfd that a request wants to be notified by; -1 for none.
    pub(super) fn eventfd(&mut self, iocb: &iocb, context: &Context) -> Result<c_int, c_int> {
        if iocb.aio_flags & IOCB_FLAG_RESFD == 0 {
            return Ok(-1);
        }
        let fd = iocb.aio_resfd as c_int;
        let shared = context.pump.take_shared(context, fd, &mut self.knows_eventfd);
        shared.map_or_else(|| eventfd(fd), Ok)
    }

    /// The open flags of a descriptor that I/O can be asked of.
    #[inline(always)]
    pub(super) fn flags(&mut self, fd: c_int) -> Result<c_int, c_int> {
        if fd != self.last || self.flags < 0 {
            self.find(fd);
        }
        if self.flags < 0 { Err(EBADF) } else { Ok(self.flags) }
    }

    fn find(&mut self, fd: c_int) {
        let found = self.known.of(fd);
        self.last = fd;
        self.at_once = AtOnce::No;
        self.assumed = self.assumes && may_be_assumed(found);
        if self.assumed {
            self.flags = (found & !(SEEN | FILE)) as c_int;
            self.is_of_a_file = true;
        } else {
            self.look(fd);
        }
    }

    #[inline(never)]
    fn look(&mut self, fd: c_int) {
        self.flags = sys::flags_of(fd);
        if self.flags < 0 || self.flags & libc::O_PATH != 0 {
            self.flags = -EBADF;
            return;
        }
        self.is_of_a_file = self.known.is(fd, self.flags);
        if self.is_of_a_file {
            return;
        }
        let kind = sys::kind_of(fd);
        self.is_of_a_file = is_of_a_file(kind);
        self.known.note(fd, self.flags, self.is_of_a_file);
        self.at_once = at_once(kind, self.flags);
        self.gives_up |= self.at_once == AtOnce::GivenUp;
    }
}

/// The last address that `access_ok` lets through.
const LAST_ADDRESS: u64 = if usize::BITS == 64 { i64::MAX as u64 } else { u32::MAX as u64 };

/// Whether memory lies where no user's can (`access_ok`); where it is not mapped, the transfer fails.
fn is_kernels(address: u64, length: u64) -> bool {
    address.checked_add(length).is_none_or(|end| end > LAST_ADDRESS)
}

/// The checks that come before a request is counted.
pub(super) fn check(iocb: &iocb) -> Result<(), c_int> {
    let too_large = iocb.aio_buf as usize as u64 != iocb.aio_buf
        || iocb.aio_nbytes as usize as u64 != iocb.aio_nbytes
        || (iocb.aio_nbytes as isize) < 0;
    if iocb.aio_reserved2 != 0 || too_large { Err(EINVAL) } else { Ok(()) }
}

/// A descriptor of our own of the eventfd with that number.
fn eventfd(fd: c_int) -> Result<c_int, c_int> {
    let flags = sys::flags_of(fd);
    if flags < 0 || flags & libc::O_PATH != 0 {
        return Err(EBADF);
    }
    // First, for who closes a duplicate of a file gives up the locks that the process has on it (`fcntl(2)`,
    // F_SETLK).
    if !sys::is_eventfd(fd) {
        return Err(EINVAL);
    }
    let own = sys::duplicate(fd);
    if own < 0 { Err(libc::EAGAIN) } else { Ok(own) }
}

/// Makes an entry that of a request, without its `user_data`; `flags` are those of the descriptor, and
/// `at_once` is how a transfer of it is kept from waiting.
///
/// # Safety
/// The iovecs of a vectored request are readable where they are not in the kernel's half.
#[inline(always)]
pub(super) unsafe fn fill(
    entry: &mut MaybeUninit<Sqe>,
    iocb: &iocb,
    flags: c_int,
    at_once: AtOnce,
) -> Result<(), c_int> {
    use io_iocb_cmd as Command;
    use io_uring_op as Op;
    const PREAD: i16 = Command::IO_CMD_PREAD as i16;
    const PWRITE: i16 = Command::IO_CMD_PWRITE as i16;
    const PREADV: i16 = Command::IO_CMD_PREADV as i16;
    const PWRITEV: i16 = Command::IO_CMD_PWRITEV as i16;
    const FSYNC: i16 = Command::IO_CMD_FSYNC as i16;
    const FDSYNC: i16 = Command::IO_CMD_FDSYNC as i16;
    const POLL: i16 = Command::IO_CMD_POLL as i16;
    let entry = entry.write(empty_entry());
    entry.fd = iocb.aio_fildes;
    let (op, access) = match iocb.aio_lio_opcode {
        PREAD => (Op::IORING_OP_READ, libc::O_RDONLY),
        PWRITE => (Op::IORING_OP_WRITE, libc::O_WRONLY),
        PREADV => (Op::IORING_OP_READV, libc::O_RDONLY),
        PWRITEV => (Op::IORING_OP_WRITEV, libc::O_WRONLY),
        FSYNC => return sync(entry, iocb, 0),
        FDSYNC => return sync(entry, iocb, IORING_FSYNC_DATASYNC),
        POLL => return poll(entry, iocb),
        _ => return Err(EINVAL),
    };
    entry.opcode = op as u8;
    let at_once = if at_once == AtOnce::Asked { RWF_NOWAIT } else { 0 };
    entry.__bindgen_anon_3.rw_flags = iocb.aio_rw_flags & !RWF_HIPRI | at_once;
    // SAFETY: upheld by the caller.
    unsafe { transfer(entry, iocb, flags, access) }
}

/// Whether an entry's operation is a transfer.
pub(super) fn is_transfer(opcode: u8) -> bool {
    const FSYNC: u8 = io_uring_op::IORING_OP_FSYNC as u8;
    const POLL: u8 = io_uring_op::IORING_OP_POLL_ADD as u8;
    !matches!(opcode, FSYNC | POLL)
}

/// # Safety
/// As [`fill`].
#[inline(always)]
unsafe fn transfer(entry: &mut Sqe, iocb: &iocb, flags: c_int, access: c_int) -> Result<(), c_int> {
    if iocb.aio_flags & IOCB_FLAG_IOPRIO != 0 {
        entry.ioprio = priority(iocb.aio_reqprio as u16)?;
    }
    let rw_flags = iocb.aio_rw_flags;
    if rw_flags & !KNOWN_RW_FLAGS != 0 {
        return Err(EOPNOTSUPP);
    }
    if rw_flags & RWF_BOTH_APPENDS == RWF_BOTH_APPENDS {
        return Err(EINVAL);
    }
    if rw_flags & RWF_ATOMIC != 0 && access == libc::O_RDONLY {
        return Err(EOPNOTSUPP);
    }
    // O_ACCMODE itself is the mode that allows neither.
    let mode = flags & libc::O_ACCMODE;
    if mode != access && mode != libc::O_RDWR {
        return Err(EBADF);
    }
    const READV: u8 = io_uring_op::IORING_OP_READV as u8;
    const WRITEV: u8 = io_uring_op::IORING_OP_WRITEV as u8;
    let vectored = matches!(entry.opcode, READV | WRITEV);
    let bytes = if vectored {
        entry.len = iocb.aio_nbytes as u32;
        // SAFETY: upheld by the caller.
        unsafe { bytes_of(iocb.aio_buf, iocb.aio_nbytes) }?
    } else {
        let bytes = iocb.aio_nbytes.min(MOST_BYTES);
        if is_kernels(iocb.aio_buf, bytes) {
            return Err(EFAULT);
        }
        entry.len = bytes as u32;
        bytes
    };
    // io_uring takes -1 for the file's own position; no offset below 0 is one for AIO, nor one that
    // the transfer would go beyond the largest from (`rw_verify_area`).
    let end = (iocb.aio_offset as u64).wrapping_add(bytes) as i64;
    if iocb.aio_offset < 0 || end < 0 {
        return Err(EINVAL);
    }
    entry.__bindgen_anon_1.off = iocb.aio_offset as u64;
    entry.__bindgen_anon_2.addr = iocb.aio_buf;
    Ok(())
}

/// How transfers of a file of that kind ([`sys::kind_of`]) are kept from waiting, with -EAGAIN: io_uring takes
/// `O_NONBLOCK` for no reason not to (`io_rw_init_file`), but where the file could not wait otherwise either.
pub(super) fn at_once(kind: c_int, flags: c_int) -> AtOnce {
    if flags & libc::O_NONBLOCK == 0 {
        return AtOnce::No;
    }
    match kind as u32 {
        // Pipes and sockets take RWF_NOWAIT, but those that were opened by name do not.
        libc::S_IFIFO | libc::S_IFSOCK if flags as u32 & O_LARGEFILE == 0 => {
            // Before Linux 6.5 they do not, and io_uring does not wait for those with O_NONBLOCK by itself.
            if super::choice::cancels_on_a_file() { AtOnce::Asked } else { AtOnce::GivenUp }
        }
        0 => AtOnce::Asked, // of the files without a kind, those that AIO takes do
        libc::S_IFIFO | libc::S_IFCHR => AtOnce::GivenUp,
        _ => AtOnce::No,
    }
}

/// How many bytes iovecs are, checked as `import_iovec` does.
///
/// # Safety
/// They are readable where they are not in the kernel's half, or the null page.
unsafe fn bytes_of(vectors: u64, count: u64) -> Result<u64, c_int> {
    if count > libc::UIO_MAXIOV as u64 {
        return Err(EINVAL);
    }
    let first = vectors as usize as *const iovec;
    if count > 0 && crate::system::refuses(first) {
        return Err(EFAULT);
    }
    // SAFETY: upheld by the caller.
    let vectors = || (0..count as usize).map(|i| unsafe { first.add(i).read_unaligned() });
    // All lengths come first (`copy_iovec_from_user`).
    if vectors().any(|vector| (vector.iov_len as isize) < 0) {
        return Err(EINVAL);
    }
    let mut bytes = 0u64;
    for iovec { iov_base, iov_len } in vectors() {
        let length = (iov_len as u64).min(MOST_BYTES - bytes);
        // One alone is cut before it is looked at (`import_ubuf`).
        let looked_at = if count == 1 { length } else { iov_len as u64 };
        if is_kernels(iov_base.addr() as u64, looked_at) {
            return Err(EFAULT);
        }
        bytes += length;
    }
    Ok(bytes)
}

/// An I/O priority that io_uring takes, or what the kernel would answer (`ioprio_check_cap`).
fn priority(value: u16) -> Result<u16, c_int> {
    const REAL_TIME: u16 = 1;
    const BEST_EFFORT: u16 = 2;
    const IDLE: u16 = 3;
    match (value >> 13, value & 7) {
        (REAL_TIME, _) if !crate::system::may_be_real_time() => Err(EPERM),
        (REAL_TIME | BEST_EFFORT | IDLE, _) | (0, 0) => Ok(value),
        _ => Err(EINVAL),
    }
}

fn nothing_but_a_file(iocb: &iocb) -> bool {
    iocb.aio_offset == 0 && iocb.aio_nbytes == 0 && iocb.aio_rw_flags == 0
}

fn sync(entry: &mut Sqe, iocb: &iocb, fsync_flags: u32) -> Result<(), c_int> {
    if iocb.aio_buf != 0 || !nothing_but_a_file(iocb) {
        return Err(EINVAL);
    }
    let cannot = match sys::kind_of(iocb.aio_fildes) as u32 {
        libc::S_IFREG | libc::S_IFBLK | libc::S_IFDIR => false,
        // Few devices have it, and none takes long.
        libc::S_IFCHR => !sys::can_be_synced(iocb.aio_fildes),
        _ => true, // pipes, sockets, and files without a kind (eventfds and the like)
    };
    if cannot {
        return Err(EINVAL);
    }
    entry.opcode = io_uring_op::IORING_OP_FSYNC as u8;
    entry.__bindgen_anon_3.fsync_flags = fsync_flags;
    Ok(())
}

fn poll(entry: &mut Sqe, iocb: &iocb) -> Result<(), c_int> {
    if u64::from(iocb.aio_buf as u16) != iocb.aio_buf || !nothing_but_a_file(iocb) {
        return Err(EINVAL);
    }
    // A file that cannot be polled is ready for these: where none is asked for, it never will be.
    const READY: u16 = (libc::POLLIN | libc::POLLOUT | libc::POLLRDNORM | libc::POLLWRNORM) as u16;
    if iocb.aio_buf as u16 & READY == 0 && !sys::can_be_polled(iocb.aio_fildes) {
        return Err(EINVAL);
    }
    entry.opcode = io_uring_op::IORING_OP_POLL_ADD as u8;
    entry.__bindgen_anon_3.poll32_events = poll_events(iocb.aio_buf as u32);
    Ok(())
}

/// The bits to poll for, as an entry has them: a big-endian kernel swaps the halves
/// (`io_poll_parse_events`).
pub(super) fn poll_events(events: u32) -> u32 {
    if cfg!(target_endian = "big") { events.rotate_left(16) } else { events }
}
