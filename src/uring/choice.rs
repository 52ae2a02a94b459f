//! Whether contexts can be made of io_uring: on this machine, and for this program.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{INTERNAL, forked, imports, queues, sys, table, thread_end};
use crate::{system, valgrind};

static CANCELS_ON_A_FILE: AtomicBool = AtomicBool::new(false);

/// Whether a request can be cancelled on the condition that it is of a certain file (Linux 6.6).
pub(super) fn cancels_on_a_file() -> bool {
    CANCELS_ON_A_FILE.load(Ordering::Relaxed)
}

/// Whether io_uring is to be had here, with all that this engine needs, and can serve the program; if
/// not, one line says why.
pub(crate) fn is_there() -> bool {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let Err(reason) = try_out() else { return true };
    if !TOLD.swap(true, Ordering::Relaxed) {
        let start: &[u8] = b"libaio-rs: LIBAIO_ENGINE=io_uring is ignored: ";
        system::write_stderr(&[start, reason.as_bytes(), b"\n"]);
    }
    false
}

fn try_out() -> Result<(), &'static str> {
    if valgrind::runs_here() {
        return Err("Valgrind could not see what the kernel writes");
    }
    if imports::take_events_by_system_call() {
        return Err(
            "this program takes events by system call, which knows the kernel's contexts alone",
        );
    }
    let mut params = queues::params();
    let fd = sys::setup(1, &mut params);
    match -fd {
        libc::ENOSYS => return Err("the kernel has no io_uring, or a seccomp filter hides it"),
        libc::EPERM => {
            return Err("kernel.io_uring_disabled or a security policy forbids io_uring");
        }
        libc::ENOMEM => return Err("no memory for an io_uring (ulimit -l)"),
        libc::EMFILE | libc::ENFILE => {
            return Err("no descriptor is left for an io_uring (ulimit -n)");
        }
        error if error > 0 => return Err("io_uring_setup failed"),
        _ => (),
    }
    // Linux 6.0; an unknown operation is EINVAL.
    let cancels = sys::cancel(fd, INTERNAL) == -libc::ENOENT;
    CANCELS_ON_A_FILE.store(sys::cancel_on(fd, INTERNAL, fd) == -libc::ENOENT, Ordering::Relaxed);
    sys::close(fd);
    if params.features & queues::FEATURES != queues::FEATURES || !cancels {
        return Err("the kernel's io_uring is too old (Linux 6.0 has what is needed)");
    }
    if !(table::make() && forked::prepare() && thread_end::prepare()) {
        return Err("no memory for the table of contexts");
    }
    Ok(())
}
