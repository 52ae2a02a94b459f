//! The three system calls of io_uring, and the few others that this engine makes. Answers are a
//! count or `-errno`; `errno` itself is left alone.

use core::ffi::{c_int, c_long, c_void};
use core::ptr;

use libc::{sigset_t, timespec};
use linux_raw_sys::general::{__NR_io_uring_enter, __NR_io_uring_register, __NR_io_uring_setup};
use linux_raw_sys::io_uring::{
    __kernel_timespec, IORING_ASYNC_CANCEL_FD, IORING_ASYNC_CANCEL_USERDATA,
    IORING_RSRC_REGISTER_SPARSE, io_uring_files_update, io_uring_getevents_arg, io_uring_params,
    io_uring_register_op, io_uring_rsrc_register, io_uring_sync_cancel_reg,
};

use crate::kernel::SIGSET_SIZE;
use crate::system::{self, Argument, answer_of, call, call5, errno, errno_kept};
use crate::text::{self, Text};

/// `io_uring_setup(2)`; the descriptor is close-on-exec, as the kernel makes it.
pub(super) fn setup(entries: u32, params: &mut io_uring_params) -> c_int {
    // SAFETY: the kernel reads and writes the parameters alone.
    let fd =
        unsafe { call(__NR_io_uring_setup as c_long, entries as usize, ptr::from_mut(params), 0) };
    out_of_the_way(fd)
}

/// A new descriptor, or `-errno`, in place of one that is to stay: 0, 1 and 2 are left to a program that
/// has closed them, which may put others over them or write to 2 whatever it is.
pub(crate) fn out_of_the_way(fd: c_int) -> c_int {
    if !(0..FIRST_OWN).contains(&fd) {
        return fd;
    }
    let own = duplicate(fd);
    close(fd);
    own
}

/// The lowest number of a descriptor of ours.
const FIRST_OWN: c_int = 3;

/// `io_uring_enter(2)`; with a timeout only where `arg` is given (`IORING_ENTER_EXT_ARG`).
pub(super) fn enter(
    fd: c_int,
    to_submit: u32,
    min_complete: u32,
    flags: u32,
    arg: Option<&io_uring_getevents_arg>,
) -> c_int {
    let (arg, size) = match arg {
        Some(arg) => (ptr::from_ref(arg), size_of::<io_uring_getevents_arg>()),
        None => (ptr::null(), 0),
    };
    // SAFETY: what the entries name is the program's, which lends it as io_submit says; `arg` and
    // what it names outlive the call.
    answer_of(|| unsafe {
        libc::syscall(__NR_io_uring_enter as c_long, fd, to_submit, min_complete, flags, arg, size)
    })
}

/// Cancels the request with that `user_data`, without waiting for one that is being carried out.
pub(super) fn cancel(fd: c_int, user_data: u64) -> c_int {
    cancel_with(fd, user_data, -1, 0)
}

/// [`cancel`], where the request is on the file that `file` is now (Linux 6.6; -EINVAL before).
pub(super) fn cancel_on(fd: c_int, user_data: u64, file: c_int) -> c_int {
    cancel_with(fd, user_data, file, IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_USERDATA)
}

fn cancel_with(fd: c_int, user_data: u64, file: c_int, flags: u32) -> c_int {
    let cancel = io_uring_sync_cancel_reg {
        addr: user_data,
        fd: file,
        flags,
        timeout: __kernel_timespec { tv_sec: 0, tv_nsec: 0 },
        opcode: 0,
        pad: [0; 7],
        pad2: [0; 3],
    };
    register(fd, io_uring_register_op::IORING_REGISTER_SYNC_CANCEL, &raw const cancel, 1)
}

fn register(fd: c_int, op: io_uring_register_op, what: impl Argument, n: c_int) -> c_int {
    // SAFETY: the kernel reads what the callers have, which is as large as the operation's is, alone.
    unsafe { call5(__NR_io_uring_register as c_long, fd, op as usize, what, n, 0) }
}

/// Makes room for files that an io_uring holds, where that is possible.
pub(super) fn make_room_for_files(fd: c_int, most: u32) {
    let flags = IORING_RSRC_REGISTER_SPARSE;
    let room = io_uring_rsrc_register { nr: most, flags, resv2: 0, data: 0, tags: 0 };
    let size = size_of_val(&room) as c_int;
    register(fd, io_uring_register_op::IORING_REGISTER_FILES2, &raw const room, size);
}

/// Has an io_uring hold the file of `held`, or none (-1), in place of what it holds under that number: 1, or
/// `-errno`.
pub(super) fn hold_file(fd: c_int, number: u32, held: c_int) -> c_int {
    let fds = (&raw const held).addr() as u64;
    let update = io_uring_files_update { offset: number, resv: 0, fds };
    register(fd, io_uring_register_op::IORING_REGISTER_FILES_UPDATE, &raw const update, 1)
}

/// Has an io_uring let go of all files.
pub(super) fn hold_no_files(fd: c_int) {
    register(fd, io_uring_register_op::IORING_UNREGISTER_FILES, ptr::null::<u8>(), 0);
}

/// A shared mapping of a ring's memory; None with the error.
pub(super) fn map(fd: c_int, size: usize, offset: u32) -> Result<*mut c_void, c_int> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
    mapped(|| {
        // SAFETY: a new mapping, wherever the kernel likes.
        unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, fd, offset.into()) }
    })
}

/// Zeroed memory of the process's own, of which only what is touched counts.
pub(super) fn memory(size: usize) -> Result<*mut c_void, c_int> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    mapped(|| {
        // SAFETY: as above.
        unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) }
    })
}

fn mapped(map: impl FnOnce() -> *mut c_void) -> Result<*mut c_void, c_int> {
    errno_kept(|| {
        let at = map();
        if at == libc::MAP_FAILED { Err(errno()) } else { Ok(at) }
    })
}

/// `close(2)`
pub(super) fn close(fd: c_int) {
    // SAFETY: the caller owns the descriptor.
    unsafe { call(libc::SYS_close, fd, 0, 0) };
}

/// The flags of a descriptor that I/O can be asked of (`F_GETFL`), or `-EBADF`.
pub(crate) fn flags_of(fd: c_int) -> c_int {
    // SAFETY: no pointer.
    unsafe { call(libc::SYS_fcntl, fd, libc::F_GETFL, 0) }
}

/// The kind of a descriptor's file: the `S_IFMT` bits, 0 for an anonymous one; or `-errno`.
pub(super) fn kind_of(fd: c_int) -> c_int {
    system::file_of(fd).kind
}

/// The inode of an anonymous file, of which io_urings have one each; 0 where a descriptor is of none.
#[inline(never)]
pub(super) fn inode_of(fd: c_int) -> u64 {
    let file = system::file_of(fd);
    if file.kind == 0 { file.inode } else { 0 }
}

/// A second descriptor of the same file, close-on-exec; or `-errno`.
pub(super) fn duplicate(fd: c_int) -> c_int {
    // SAFETY: no pointer.
    unsafe { call(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, FIRST_OWN) }
}

/// Whether a descriptor is an eventfd, as `/proc` tells; where there is none, whether it can be one.
pub(super) fn is_eventfd(fd: c_int) -> bool {
    is_anonymous(fd, b"anon_inode:[eventfd]")
}

/// Whether a descriptor is an io_uring's, as [`is_eventfd`]: a program may have closed ours, and the
/// number may be its own by now.
pub(super) fn is_io_uring(fd: c_int) -> bool {
    is_anonymous(fd, b"anon_inode:[io_uring]")
}

/// Whether a descriptor's file has that name.
fn is_anonymous(fd: c_int, expected: &[u8]) -> bool {
    let mut path = [0u8; 32];
    let mut name = Text { bytes: &mut path, length: 0 };
    name.put(b"/proc/thread-self/fd/"); // a thread may have descriptors of its own (CLONE_FILES)
    name.number(fd as u64, false);
    let mut target = [0u8; 32];
    // SAFETY: a C string, and room for as many bytes.
    let n = unsafe {
        let (at, to) = (libc::AT_FDCWD, target.as_mut_ptr());
        call5(libc::SYS_readlinkat, at, path.as_ptr(), to, target.len(), 0)
    };
    match target.get(..n.max(0) as usize) {
        Some(name) if n > 0 => text::same(name, expected),
        _ => kind_of(fd) == 0,
    }
}

/// Whether a file can be polled, as `epoll_ctl(2)` tells: it refuses those that cannot.
pub(super) fn can_be_polled(fd: c_int) -> bool {
    let epoll = epoll();
    if epoll < 0 {
        return true;
    }
    let added = add_to_epoll(epoll, fd);
    close(epoll);
    added != -libc::EPERM
}

/// An epoll instance, or `-errno`.
pub(super) fn epoll() -> c_int {
    // SAFETY: no pointer.
    let fd = unsafe { call(libc::SYS_epoll_create1, libc::EPOLL_CLOEXEC, 0, 0) };
    out_of_the_way(fd)
}

/// Has an epoll instance have a file under its number, for as long as anybody has the file open, with no event of
/// interest: 0, or `-errno`.
pub(super) fn add_to_epoll(epoll: c_int, fd: c_int) -> c_int {
    control_epoll(epoll, libc::EPOLL_CTL_ADD, fd)
}

/// Whether an epoll instance has under that number the file that it is of now.
pub(super) fn is_in_epoll(epoll: c_int, fd: c_int) -> bool {
    control_epoll(epoll, libc::EPOLL_CTL_MOD, fd) == 0
}

fn control_epoll(epoll: c_int, operation: c_int, fd: c_int) -> c_int {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: an event to read.
    unsafe { call5(libc::SYS_epoll_ctl, epoll, operation, fd, &raw mut event, 0) }
}

/// Whether a file has an fsync, which it is asked to do for that.
pub(super) fn can_be_synced(fd: c_int) -> bool {
    // SAFETY: no pointer.
    unsafe { call(libc::SYS_fdatasync, fd, 0, 0) != -libc::EINVAL }
}

/// An eventfd that reads as soon as something was added.
pub(super) fn eventfd() -> c_int {
    // SAFETY: no pointer.
    let fd = unsafe { call(libc::SYS_eventfd2, 0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK, 0) };
    out_of_the_way(fd)
}

/// Adds one to an eventfd of the program's so many times, each of which wakes one of those who wait exclusively
/// (`EPOLLEXCLUSIVE`); nothing where it is full, for the kernel's AIO does not wait there either.
pub(super) fn notify(fd: c_int, n: u32) {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    system::poll(&raw mut poll, 0, ptr::null());
    if poll.revents & libc::POLLOUT != 0 {
        (0..n).for_each(|_| add_one(fd));
    }
}

/// Adds one to an eventfd; nothing where the program has closed it, and the number is a file's of its own.
pub(super) fn ring_bell(fd: c_int) {
    if kind_of(fd) == 0 {
        add_one(fd);
    }
}

#[inline(never)]
fn add_one(fd: c_int) {
    let one = 1u64;
    // SAFETY: eight bytes to read.
    unsafe { call(libc::SYS_write, fd, &raw const one, 8) };
}

/// Takes what an eventfd counted, as [`ring_bell`].
pub(super) fn silence_bell(fd: c_int) {
    let mut count = 0u64;
    if kind_of(fd) == 0 {
        // SAFETY: room for eight bytes.
        unsafe { call(libc::SYS_read, fd, &raw mut count, 8) };
    }
}

/// Waits until one of two descriptors (-1 for none) can be read: how many can, 0 after the time (NULL:
/// none), or `-errno`. A signal ends it; stopping and continuing does not.
pub(super) fn wait_readable(fds: [c_int; 2], time: *mut timespec, mask: *const sigset_t) -> c_int {
    let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: two descriptors, and a time that may be written; the kernel checks the mask.
    let answer = unsafe { call5(libc::SYS_ppoll, polls.as_mut_ptr(), 2, time, mask, SIGSET_SIZE) };
    let is_closed = |poll: &libc::pollfd| poll.revents & libc::POLLNVAL != 0;
    if answer > 0 && polls.iter().any(is_closed) { -libc::EBADF } else { answer }
}
