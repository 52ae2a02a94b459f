//! What the library needs of the system beside the AIO calls: who and when it is, a sleep, signals,
//! memory, stderr. Nothing here changes `errno` but [`fail`], and nothing is a cancellation point:
//! what the C library makes one of is called by number.

use core::ffi::{c_int, c_long, c_ulong, c_void};
use core::mem::MaybeUninit;
use core::ptr;

use libc::{sigset_t, timespec};

use crate::gate::Pause;
use crate::kernel::SIGSET_SIZE;

/// Sets `errno` and returns it negated: for the errors that the library finds by itself.
#[cold]
pub(crate) fn fail(number: c_int) -> c_int {
    // SAFETY: __errno_location returns the calling thread's errno, always valid.
    unsafe { *libc::__errno_location() = number };
    -number
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> c_int {
    // SAFETY: as in `fail`.
    unsafe { *libc::__errno_location() }
}

/// Runs `f` and puts `errno` back to what it was.
pub(crate) fn errno_kept<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: as in `fail`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let result = f();
    // SAFETY: as above.
    unsafe { *errno = before };
    result
}

/// What a system call is given.
pub(crate) trait Argument {
    fn word(self) -> usize;
}

impl Argument for c_int {
    #[inline(always)]
    fn word(self) -> usize {
        self as usize
    }
}

impl Argument for usize {
    #[inline(always)]
    fn word(self) -> usize {
        self
    }
}

impl<T> Argument for *const T {
    #[inline(always)]
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

impl<T> Argument for *mut T {
    #[inline(always)]
    fn word(self) -> usize {
        self.expose_provenance()
    }
}

/// A system call by its number, which is no cancellation point: a count or `-errno`; `errno` itself is left
/// alone.
///
/// # Safety
/// That of the call.
#[inline(always)]
pub(crate) unsafe fn call(
    number: c_long,
    a: impl Argument,
    b: impl Argument,
    c: impl Argument,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { call_with_words(number, a.word(), b.word(), c.word()) }
}

#[inline(never)]
unsafe fn call_with_words(number: c_long, a: usize, b: usize, c: usize) -> c_int {
    // SAFETY: upheld by the caller.
    answer_of(|| unsafe { libc::syscall(number, a, b, c) })
}

/// [`call`] with more arguments.
///
/// # Safety
/// That of the call.
#[inline(always)]
pub(crate) unsafe fn call5(
    number: c_long,
    a: impl Argument,
    b: impl Argument,
    c: impl Argument,
    d: impl Argument,
    e: impl Argument,
) -> c_int {
    // SAFETY: upheld by the caller.
    unsafe { call_with_more_words(number, a.word(), b.word(), c.word(), d.word(), e.word()) }
}

#[inline(never)]
unsafe fn call_with_more_words(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
) -> c_int {
    // SAFETY: upheld by the caller.
    answer_of(|| unsafe { libc::syscall(number, a, b, c, d, e) })
}

/// The answer of `syscall(3)` as a count or `-errno`, with `errno` as it was before.
#[inline(always)]
pub(crate) fn answer_of(call: impl FnOnce() -> c_long) -> c_int {
    errno_kept(|| {
        let ret = call();
        if ret == -1 { -errno() } else { ret as c_int }
    })
}

/// A number that names the calling thread: the address of its control block, which is aligned to 8
/// at least and never NULL.
#[inline]
pub(crate) fn this_thread() -> usize {
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    {
        let block: usize;
        // SAFETY: the word at fs:0 is the control block's own address (the ABI's TLS variant II).
        unsafe {
            core::arch::asm!("mov {}, fs:0", out(reg) block,
                options(nostack, preserves_flags, readonly, pure));
        }
        block
    }
    #[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
    {
        // SAFETY: no precondition. An address, on every C library for Linux.
        unsafe { libc::pthread_self() as usize }
    }
}

/// The bits of an address that a user-space address has not set.
const KERNEL_HALF: usize = if cfg!(target_arch = "x86_64") && usize::BITS == 64 {
    usize::MAX << 47
} else if usize::BITS == 64 {
    usize::MAX << (usize::BITS - 12)
} else {
    0 // where the kernel's part begins depends on the kernel
};

/// Whether the kernel is sure to answer EFAULT for `pointer`: it lies in the null page or the
/// kernel's half of the address space.
#[inline]
pub(crate) fn refuses<T>(pointer: *const T) -> bool {
    let address = pointer.addr();
    address < 4096 || address & KERNEL_HALF != 0
}

/// Sleeps for `ns` nanoseconds, less than a second, under a signal mask; 0 or an error number.
pub(crate) fn sleep_under(ns: u64, mask: *const sigset_t) -> c_int {
    poll(ptr::null_mut(), ns, mask)
}

/// [`sleep_under`], unless or until a descriptor, if there is one, is ready; its `revents` tell.
#[inline(never)]
pub(crate) fn poll(descriptor: *mut libc::pollfd, ns: u64, mask: *const sigset_t) -> c_int {
    let mut time = timespec { tv_sec: 0, tv_nsec: ns as _ };
    let (n, size) = (c_int::from(!descriptor.is_null()), SIGSET_SIZE);
    // SAFETY: one descriptor or none; the kernel checks the mask, and may write the time that is left.
    let answer = unsafe { call5(libc::SYS_ppoll, descriptor, n, &raw mut time, mask, size) };
    (-answer).max(0)
}

/// Whether a pointer can be written through. The kernel tells: `getcpu(2)` stores two numbers where it
/// is told to, or answers EFAULT. What was there may be overwritten either way.
pub(crate) fn is_writable<T>(pointer: *mut *mut T) -> bool {
    let first = pointer.cast::<u32>();
    let last = first.wrapping_byte_add(size_of::<*mut T>() - size_of::<u32>());
    // SAFETY: the caller is about to overwrite both halves; the kernel checks them.
    unsafe { call(libc::SYS_getcpu, first, last, 0) != -libc::EFAULT }
}

/// Whether what a pointer is of can be read. The kernel tells: `rt_sigprocmask(2)` reads a set of signals before it
/// finds that it is to do nothing with it (EINVAL), or answers EFAULT.
pub(crate) fn is_readable<T>(pointer: *const T) -> bool {
    // A set that has its first byte in it, or its last, and lies in one page. (NULL is no set for the kernel.)
    let set_with = |at| (pointer.addr() + at) & !(SIGSET_SIZE - 1);
    let is_read = |set: usize| {
        // SAFETY: the kernel checks the set, and does nothing.
        unsafe { call5(libc::SYS_rt_sigprocmask, -1, set, 0, SIGSET_SIZE, 0) != -libc::EFAULT }
    };
    !refuses(pointer) && is_read(set_with(0)) && is_read(set_with(size_of::<T>() - 1))
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(never)]
pub(crate) fn now_ns() -> u64 {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists and `now` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A timeout in nanoseconds; `u64::MAX` for NULL, and for a negative one, at which the kernel's
/// `io_getevents` waits for ever too.
///
/// # Safety
/// `timeout` is NULL or readable.
#[allow(clippy::useless_conversion, reason = "the fields have 32 bits on 32-bit targets")]
pub(crate) unsafe fn duration_ns(timeout: *const timespec) -> u64 {
    if timeout.is_null() {
        return u64::MAX;
    }
    // SAFETY: upheld by the caller.
    let timeout = unsafe { timeout.read_unaligned() };
    // As timespec64_to_ktime: what is too large is the largest, and the nanoseconds are only added.
    let (seconds, ns) = (i64::from(timeout.tv_sec), i64::from(timeout.tv_nsec));
    let whole = if seconds >= i64::MAX / NS { i64::MAX } else { seconds.wrapping_mul(NS) };
    let sum = if whole == i64::MAX { whole } else { whole.wrapping_add(ns) };
    // The largest is without end too (KTIME_MAX).
    u64::try_from(sum).ok().filter(|&ns| ns < i64::MAX as u64).unwrap_or(u64::MAX)
}

/// Nanoseconds in a second.
const NS: i64 = 1_000_000_000;

/// The sleep of who waits for another thread's reap to end.
pub(crate) struct ShortSleep;

impl Pause for ShortSleep {
    fn holds_a_gate(me: usize) -> bool {
        crate::context::is_reaping(me)
    }

    fn sleep() {
        let time = timespec { tv_sec: 0, tv_nsec: 50_000 };
        // SAFETY: a valid time, and no remainder wanted.
        unsafe { call(libc::SYS_nanosleep, &raw const time, 0, 0) };
    }
}

/// A signal set in the kernel's form: longs, 8 bytes of them or 16.
type Signals = [c_ulong; 16 / size_of::<c_ulong>()];

/// The signals of a thread's own doing.
pub(crate) const FAULTS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

/// Every signal but those of a thread's own doing: the kernel kills one that has them blocked, and a
/// program that handles them wants to.
const ALL_BUT_FAULTS: Signals = {
    let mut signals: Signals = [c_ulong::MAX; size_of::<Signals>() / size_of::<c_ulong>()];
    let mut i = 0;
    while i < FAULTS.len() {
        signals[0] &= !(1 << (FAULTS[i] - 1));
        i += 1;
    }
    signals
};

/// Runs `f` with every signal of this thread blocked that can be and is none of its own faults; `f` is
/// given the mask that the thread had before.
pub(crate) fn with_signals_blocked<T>(f: impl FnOnce(*const sigset_t) -> T) -> T {
    let mut before: Signals = Default::default();
    set_mask(ALL_BUT_FAULTS.as_ptr(), before.as_mut_ptr());
    let result = f(before.as_ptr().cast());
    set_mask(before.as_ptr(), ptr::null_mut());
    result
}

/// The raw call, since the C library's keeps its own signals unblocked.
#[inline(never)]
fn set_mask(new: *const c_ulong, old: *mut c_ulong) {
    let (how, size) = (libc::SIG_SETMASK, SIGSET_SIZE);
    // SAFETY: both are NULL or as large as any kernel's signal set.
    unsafe { call5(libc::SYS_rt_sigprocmask, how, new, old, size, 0) };
}

/// Zeroed memory that a child of `fork` finds zeroed again; None where there is none such.
pub(crate) fn wiped_on_fork(size: usize) -> Option<*mut c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let map = || {
        // SAFETY: a new mapping, wherever the kernel likes.
        unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) }
    };
    let memory = errno_kept(map);
    if memory == libc::MAP_FAILED {
        return None;
    }
    // SAFETY: the mapping just made.
    if unsafe { call(libc::SYS_madvise, memory, size, libc::MADV_WIPEONFORK) } != 0 {
        unmap(memory, size); // Linux before 4.14
        return None;
    }
    Some(memory)
}

/// Opens the file of that name, which ends with 0: a descriptor, or a negated error number.
pub(crate) fn open(name: &[u8], flags: c_int) -> c_int {
    let (name, flags) = (name.as_ptr(), flags | libc::O_CLOEXEC);
    // SAFETY: a C string.
    unsafe { call5(libc::SYS_openat, libc::AT_FDCWD, name, flags, 0o644, 0) }
}

/// What a descriptor is of.
pub(crate) struct File {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// The `S_IFMT` bits, 0 for an anonymous file; or `-errno`.
    pub(crate) kind: c_int,
}

/// `fstat(2)`
#[inline(never)]
#[allow(clippy::unnecessary_cast, reason = "their sizes differ between architectures")]
pub(crate) fn file_of(fd: c_int) -> File {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // The C library's function would be one more version of it that the library needs.
    #[cfg(all(
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64"
    ))]
    // SAFETY: room for the answer, which has the C library's layout there.
    let answer = unsafe { call(libc::SYS_fstat, fd, stat.as_mut_ptr(), 0) };
    #[cfg(not(all(
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64"
    )))]
    // SAFETY: room for the answer.
    let answer = answer_of(|| unsafe { libc::fstat(fd, stat.as_mut_ptr()) as c_long });
    // SAFETY: zeros are one, too.
    let stat = unsafe { stat.assume_init() };
    let kind = if answer < 0 { answer } else { (stat.st_mode & libc::S_IFMT) as c_int };
    File { device: stat.st_dev as u64, inode: stat.st_ino as u64, kind }
}

/// The number of this process.
#[inline(always)]
pub(crate) fn pid() -> c_int {
    // SAFETY: no precondition.
    unsafe { libc::syscall(libc::SYS_getpid) as c_int }
}

/// Bytes in a page of memory.
pub(crate) fn page_size() -> u64 {
    // SAFETY: no precondition; every Linux answers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    size.max(4096) as u64
}

/// How many processors the machine can have.
pub(crate) fn possible_processors() -> u64 {
    // SAFETY: no precondition.
    errno_kept(|| unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) }).max(1) as u64
}

/// Whether this thread may ask for real-time I/O priority: `CAP_SYS_ADMIN` or `CAP_SYS_NICE`.
pub(crate) fn may_be_real_time() -> bool {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_ADMIN_OR_NICE: u32 = 1 << 21 | 1 << 23;
    let header = [VERSION_3, 0];
    let mut sets = [0u32; 6];
    // SAFETY: a header, and room for two times three sets.
    let answer = unsafe { call(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr(), 0) };
    answer == 0 && sets[0] & SYS_ADMIN_OR_NICE != 0
}

/// Gives back a mapping of this library's.
pub(crate) fn unmap(memory: *mut c_void, size: usize) {
    // SAFETY: as the caller says, nobody uses it.
    unsafe { call(libc::SYS_munmap, memory, size, 0) };
}

/// Writes one line, given in parts, to stderr, as far as it can be written.
pub(crate) fn write_stderr(parts: &[&[u8]]) {
    let mut line = [0u8; 256];
    let mut length = 0;
    for &byte in parts.iter().copied().flatten() {
        // The last byte stays for the line's end, however long a value is.
        if let Some(place) = line[..255].get_mut(length) {
            // One line, whatever the value has in it.
            *place = if byte < b' ' { b'?' } else { byte };
            length += 1;
        }
    }
    if let Some(end) = line.get_mut(length.saturating_sub(1)) {
        *end = b'\n';
    }
    // SAFETY: the bytes are ours; a closed stderr is the user's choice.
    unsafe { call(libc::SYS_write, 2, line.as_ptr(), length) };
}
