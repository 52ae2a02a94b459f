//! Where the reports go, and who asks for them.
//!
//! A file is made when counting begins and stays open, since the program may change its folder, its root
//! or its user. The program may also close the descriptor and give the number to a file of its own: so
//! it is looked at before each report.
//!
//! The end of the process is told by `engine.rs`.

use core::ffi::{c_int, c_ulong};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use libc::timespec;

use super::block::Block;
use super::ledger;
use super::report::{Report, What};
use crate::gate::Pause as _;
use crate::system::{self, ShortSleep};
use crate::text::Text;
use crate::{config, uring};

/// All zero: nothing was asked for yet.
pub(super) struct Output {
    state: AtomicU32,
    /// A descriptor, or -1 where none could be had.
    fd: AtomicI32,
    /// Device and inode of a file; 0 for stderr.
    device: AtomicU64,
    inode: AtomicU64,
    /// Whether the last report had to wait for room in vain: the next one does not wait.
    full: AtomicBool,
}

const CLOSED: u32 = 0;
const OPENING: u32 = 1;
const OPEN: u32 = 2;

const STDERR: c_int = 2;

/// How often another name is tried where there is a file of that name.
const TRIES: u64 = 1000;

/// Longer than any name, with the number of the process and of the try.
const LONGEST_NAME: usize = config::LONGEST_NAME + 48;

impl Output {
    /// Whether there is one already, if only a vain one.
    pub(super) fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }

    /// Makes the file, or takes stderr, where that was not done; whether reports can be written.
    #[inline]
    pub(super) fn open(&self) -> bool {
        self.is_open() || self.open_now()
    }

    /// With signals blocked, as in `ledger::decide`.
    #[cold]
    #[inline(never)]
    fn open_now(&self) -> bool {
        system::with_signals_blocked(|_| {
            use Ordering::Acquire;
            if self.state.compare_exchange(CLOSED, OPENING, Acquire, Acquire).is_ok() {
                let fd =
                    if config::stats_file().next().is_none() { STDERR } else { self.make_file() };
                self.fd.store(fd, Ordering::Relaxed);
                self.state.store(OPEN, Ordering::Release);
            }
            while self.state.load(Ordering::Acquire) == OPENING {
                ShortSleep::sleep();
            }
        });
        self.fd.load(Ordering::Relaxed) >= 0
    }

    /// A new file, with the number of the process in its name; -1, and a line on stderr, where there is
    /// none to be had.
    fn make_file(&self) -> c_int {
        let mut name = [0u8; LONGEST_NAME];
        let mut n = 0;
        loop {
            let mut text = Text { bytes: &mut name, length: 0 };
            config::stats_file().for_each(|byte| text.put(&[byte]));
            text.put(b".");
            text.number(system::pid() as u64, false);
            if n > 0 {
                text.put(b".");
                text.number(n, false);
            }
            let length = text.length;
            text.put(b"\0");
            let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_EXCL;
            let fd = uring::out_of_the_way(system::open(text.bytes, flags));
            if fd >= 0 {
                let (device, inode) = identity(fd);
                self.device.store(device, Ordering::Relaxed);
                self.inode.store(inode, Ordering::Relaxed);
                return fd;
            }
            n += 1;
            if fd != -libc::EEXIST || n == TRIES {
                text.length = length;
                text.put(b" (error ");
                text.number(fd.unsigned_abs().into(), false);
                let start: &[u8] = b"libaio-rs: no statistics: cannot make ";
                system::write_stderr(&[start, text.written(), b")\n"]);
                return -1;
            }
        }
    }

    /// Writes a report, in one piece where the file takes it so. The caller has signals blocked, and the ledger's
    /// lock: hence a pipe that is full is given a second, and no more.
    #[inline(never)]
    fn write(&self, report: &mut Report<'_>, what: What, block: &Block) {
        let mut report = report.of(what, block);
        let fd = self.fd.load(Ordering::Relaxed);
        let expected = (self.device.load(Ordering::Relaxed), self.inode.load(Ordering::Relaxed));
        if fd < 0 || (expected.1 != 0 && identity(fd) != expected) || is_of_data(fd) {
            return;
        }
        while !report.is_empty() && self.has_room(fd) {
            // SAFETY: the bytes are ours.
            let n = unsafe { system::call(libc::SYS_write, fd, report.as_ptr(), report.len()) };
            if n <= 0 {
                take_signals_of_a_write();
                break;
            }
            report = report.get(n as usize..).unwrap_or(&[]);
        }
    }

    /// Whether there is room for a report; also where nobody can tell.
    fn has_room(&self, fd: c_int) -> bool {
        let mut descriptor = libc::pollfd { fd, events: libc::POLLOUT, revents: libc::POLLOUT };
        let ns = if self.full.load(Ordering::Relaxed) { 0 } else { 999_999_999 };
        system::poll(&raw mut descriptor, ns, ptr::null());
        let full = descriptor.revents == 0;
        self.full.store(full, Ordering::Relaxed);
        !full
    }
}

/// Takes what would end the program for a report's sake: a pipe that nobody reads sends SIGPIPE, a file that may
/// not grow (`RLIMIT_FSIZE`) SIGXFSZ. Both wait for this thread now.
#[cold]
fn take_signals_of_a_write() {
    let mut set: [c_ulong; 16 / size_of::<c_ulong>()] = Default::default();
    set[0] = 1 << (libc::SIGPIPE - 1) | 1 << (libc::SIGXFSZ - 1);
    let no_wait = timespec { tv_sec: 0, tv_nsec: 0 };
    let (time, size) = (&raw const no_wait, crate::kernel::SIGSET_SIZE);
    // SAFETY: a set as large as any kernel's, no room for what it took, and a time.
    unsafe { system::call5(libc::SYS_rt_sigtimedwait, set.as_ptr(), 0, time, size, 0) };
}

/// Whether that looks like a file of the program's data, which gets the number of stderr where a daemon has closed
/// it: such are open for reading too, and not for appending.
fn is_of_data(fd: c_int) -> bool {
    uring::flags_of(fd) & (libc::O_ACCMODE | libc::O_APPEND) == libc::O_RDWR
        && matches!(system::file_of(fd).kind as libc::mode_t, libc::S_IFREG | libc::S_IFBLK)
}

/// Device and inode of a descriptor.
fn identity(fd: c_int) -> (u64, u64) {
    let file = system::file_of(fd);
    (file.device, file.inode)
}

/// Report of a context that was destroyed. The caller has the ledger's lock.
pub(super) fn report_end_of(address: usize, block: &Block, output: &Output) {
    Report::with(b"destroy", &mut |report| {
        output.write(report, What::Context(address), block);
    });
}

/// Reports of every context that there is, of what belongs to none, and of all together.
#[inline(never)]
fn report_all(occasion: &[u8]) {
    let Some(ledger) = ledger::if_used() else { return };
    let Some(all) = Block::new() else { return };
    Report::with(occasion, &mut |report| {
        ledger.locked(|| {
            ledger.each_context(|address, block| {
                ledger.output.write(report, What::Context(address), block);
                block.add_to(all);
            });
            if ledger.other.is_used() {
                ledger.output.write(report, What::Others, &ledger.other);
            }
            ledger.other.add_to(all);
            ledger.ended.add_to(all);
            ledger.output.write(report, What::All, all);
        });
    });
    all.free();
}

/// Has the signal that was asked for ask for reports, where the program does not use it. The caller keeps
/// errno.
#[cold]
pub(super) fn heed_signal() {
    let signal = config::stats_signal();
    if signal == 0 {
        return;
    }
    let installed = replace_handler(signal, libc::SIG_DFL, on_signal as *const () as usize);
    if !installed {
        system::write_stderr(&[
            b"libaio-rs: LIBAIO_STATS_SIGNAL is ignored: the program uses that signal\n",
        ]);
    }
}

/// Has a signal be handled by `to` where it is handled by `from`; whether it is now.
fn replace_handler(signal: c_int, from: usize, to: usize) -> bool {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeros are an action, and an empty mask; the handler may run anywhere. `before` is read
    // where it was written.
    unsafe {
        (*action.as_mut_ptr()).sa_sigaction = to;
        (*action.as_mut_ptr()).sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(signal, ptr::null(), before.as_mut_ptr()) == 0
            && (*before.as_ptr()).sa_sigaction == from
            && libc::sigaction(signal, action.as_ptr(), ptr::null_mut()) == 0
    }
}

extern "C" fn on_signal(_: c_int) {
    report_all(b"signal");
}

/// The process ends, or the object that the library is linked into is unloaded, and the handler with it: who
/// asks for a report from then on gets none.
pub(crate) fn at_exit() {
    if ledger::if_used().is_some() {
        report_all(b"exit");
        replace_handler(config::stats_signal(), on_signal as *const () as usize, libc::SIG_IGN);
    }
}
