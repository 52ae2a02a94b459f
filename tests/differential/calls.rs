//! The implementations that are compared, each as a table of C functions: the raw system calls,
//! a libaio loaded from a file, and, to test the test, a libaio that is wrong on purpose.

use std::ffi::{CString, c_int, c_long, c_void};
use std::path::Path;
use std::sync::OnceLock;

use aio::abi::{io_callback_t, io_context_t, io_event, iocb};
use libc::{sigset_t, timespec};

/// The functions of libaio, as C declares them.
#[derive(Clone, Copy)]
pub struct Calls {
    pub setup: unsafe extern "C" fn(c_int, *mut io_context_t) -> c_int,
    pub destroy: unsafe extern "C" fn(io_context_t) -> c_int,
    pub submit: unsafe extern "C" fn(io_context_t, c_long, *mut *mut iocb) -> c_int,
    pub cancel: unsafe extern "C" fn(io_context_t, *mut iocb, *mut io_event) -> c_int,
    pub getevents: GetEvents,
    pub pgetevents: PGetEvents,
    pub queue_init: unsafe extern "C" fn(c_int, *mut io_context_t) -> c_int,
    pub queue_release: unsafe extern "C" fn(io_context_t) -> c_int,
    pub queue_run: unsafe extern "C" fn(io_context_t) -> c_int,
    pub queue_wait: unsafe extern "C" fn(io_context_t, *mut timespec) -> c_int,
}

type GetEvents =
    unsafe extern "C" fn(io_context_t, c_long, c_long, *mut io_event, *mut timespec) -> c_int;
type PGetEvents = unsafe extern "C" fn(
    io_context_t,
    c_long,
    c_long,
    *mut io_event,
    *mut timespec,
    *mut sigset_t,
) -> c_int;

/// Which implementation a sequence runs on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Implementation {
    Raw,
    Original,
    /// Ours, with these variables in its environment.
    Ours(Variables),
    /// The same, and wrong on purpose.
    Wrong(Damage, Variables),
}

pub type Variables = &'static [(&'static str, &'static str)];

/// What a library does that is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Damage {
    LosesAnEvent,
    DoublesAnEvent,
    ChangesAResult,
    ForgetsErrno,
    TakesABadRange,
    AcceptsADeadContext,
    KeepsTheContext,
    Hangs,
}

impl Damage {
    pub const ALL: &[Damage] = &[
        Damage::LosesAnEvent,
        Damage::DoublesAnEvent,
        Damage::ChangesAResult,
        Damage::ForgetsErrno,
        Damage::TakesABadRange,
        Damage::AcceptsADeadContext,
        Damage::KeepsTheContext,
        Damage::Hangs,
    ];
}

impl Calls {
    pub fn of(implementation: Implementation, original: &Path, ours: &Path) -> Calls {
        match implementation {
            Implementation::Raw => RAW,
            Implementation::Original => Calls::load(original),
            Implementation::Ours(variables) => Calls::load_with(ours, variables),
            Implementation::Wrong(damage, variables) => {
                let right = REAL.get_or_init(|| Calls::load_with(ours, variables));
                DAMAGE.set(damage).expect("set once in a process");
                Calls { getevents: wrong_getevents, destroy: wrong_destroy, ..*right }
            }
        }
    }

    fn load_with(library: &Path, variables: Variables) -> Calls {
        for (name, value) in variables {
            // SAFETY: a process of one thread, which has read no environment yet.
            unsafe { std::env::set_var(name, value) };
        }
        Calls::load(library)
    }

    fn load(library: &Path) -> Calls {
        let name = CString::new(library.to_str().expect("UTF-8")).expect("no NUL");
        // SAFETY: a libaio, whose loading runs nothing.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!handle.is_null(), "cannot load {library:?}");
        let symbol = |name: &str| -> *mut c_void {
            let name = CString::new(name).expect("no NUL");
            // SAFETY: the handle is open, and stays so.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!address.is_null(), "no {name:?} in {library:?}");
            address
        };
        // SAFETY: each has the C type that libaio.h gives it.
        unsafe {
            Calls {
                setup: function(symbol("io_setup")),
                destroy: function(symbol("io_destroy")),
                submit: function(symbol("io_submit")),
                cancel: function(symbol("io_cancel")),
                getevents: function(symbol("io_getevents")),
                pgetevents: function(symbol("io_pgetevents")),
                queue_init: function(symbol("io_queue_init")),
                queue_release: function(symbol("io_queue_release")),
                queue_run: function(symbol("io_queue_run")),
                queue_wait: function(symbol("io_queue_wait")),
            }
        }
    }
}

/// The function at an address.
///
/// # Safety
///
/// `F` is the type of a C function, and that is what is there.
unsafe fn function<F: Copy>(address: *mut c_void) -> F {
    assert_eq!(size_of::<F>(), size_of_val(&address));
    // SAFETY: as large as a pointer; the rest is the caller's promise.
    unsafe { std::mem::transmute_copy(&address) }
}

/// The libc crate has no name for it.
const PGETEVENTS: c_long = linux_raw_sys::general::__NR_io_pgetevents as c_long;

/// The system calls, and what libaio makes of them.
const RAW: Calls = Calls {
    setup: raw_setup,
    destroy: raw_destroy,
    submit: raw_submit,
    cancel: raw_cancel,
    getevents: raw_getevents,
    pgetevents: raw_pgetevents,
    queue_init: raw_queue_init,
    queue_release: raw_destroy,
    queue_run: raw_queue_run,
    queue_wait: raw_queue_wait,
};

fn answer(ret: c_long) -> c_int {
    // SAFETY: the thread's own errno.
    if ret == -1 { -unsafe { *libc::__errno_location() } } else { ret as c_int }
}

unsafe extern "C" fn raw_setup(events: c_int, context: *mut io_context_t) -> c_int {
    // SAFETY: the kernel checks what it is given; so for each below.
    answer(unsafe { libc::syscall(libc::SYS_io_setup, c_long::from(events), context) })
}

unsafe extern "C" fn raw_destroy(context: io_context_t) -> c_int {
    // SAFETY: as above.
    answer(unsafe { libc::syscall(libc::SYS_io_destroy, context) })
}

unsafe extern "C" fn raw_submit(context: io_context_t, nr: c_long, list: *mut *mut iocb) -> c_int {
    // SAFETY: as above.
    answer(unsafe { libc::syscall(libc::SYS_io_submit, context, nr, list) })
}

unsafe extern "C" fn raw_cancel(
    context: io_context_t,
    request: *mut iocb,
    event: *mut io_event,
) -> c_int {
    // SAFETY: as above.
    answer(unsafe { libc::syscall(libc::SYS_io_cancel, context, request, event) })
}

unsafe extern "C" fn raw_getevents(
    context: io_context_t,
    min: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *mut timespec,
) -> c_int {
    // SAFETY: as above.
    answer(unsafe { libc::syscall(libc::SYS_io_getevents, context, min, nr, events, timeout) })
}

unsafe extern "C" fn raw_pgetevents(
    context: io_context_t,
    min: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *mut timespec,
    mask: *mut sigset_t,
) -> c_int {
    let set: [usize; 2] = [mask as usize, 8];
    // SAFETY: as above.
    answer(unsafe {
        let set = set.as_ptr();
        libc::syscall(PGETEVENTS, context, min, nr, events, timeout, set)
    })
}

unsafe extern "C" fn raw_queue_init(events: c_int, context: *mut io_context_t) -> c_int {
    if events < 1 {
        return -libc::EINVAL;
    }
    // The kernel writes NULL where it is told to, or answers EFAULT.
    // SAFETY: as above.
    let null = unsafe { libc::syscall(libc::SYS_getcpu, context, context.byte_add(4), 0) };
    if null == -1 {
        return -libc::EFAULT;
    }
    // SAFETY: writable, as the kernel has just shown.
    unsafe { context.write_unaligned(std::ptr::null_mut()) };
    // SAFETY: as above.
    unsafe { raw_setup(events, context) }
}

unsafe extern "C" fn raw_queue_run(context: io_context_t) -> c_int {
    loop {
        let (mut event, mut zero) = (io_event::default(), timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: as above.
        let n = unsafe { raw_getevents(context, 0, 1, &raw mut event, &raw mut zero) };
        if n != 1 {
            return n;
        }
        // SAFETY: `data` is the sequence's callback.
        let callback: io_callback_t = unsafe { std::mem::transmute(event.data as usize) };
        // SAFETY: the runner's own function.
        unsafe {
            let (obj, res) = (event.obj as usize as *mut iocb, event.res as c_long);
            callback.expect("a callback")(context, obj, res, event.res2 as c_long);
        }
    }
}

unsafe extern "C" fn raw_queue_wait(context: io_context_t, timeout: *mut timespec) -> c_int {
    // SAFETY: as above.
    unsafe { raw_getevents(context, 0, 0, std::ptr::null_mut(), timeout) }
}

static REAL: OnceLock<Calls> = OnceLock::new();
static DAMAGE: OnceLock<Damage> = OnceLock::new();

fn damage(kind: Damage) -> bool {
    DAMAGE.get() == Some(&kind)
}

unsafe extern "C" fn wrong_getevents(
    context: io_context_t,
    min: c_long,
    nr: c_long,
    events: *mut io_event,
    timeout: *mut timespec,
) -> c_int {
    let real = REAL.get().expect("set before").getevents;
    // It does not wait: each hang takes seconds to be found out.
    let min = if damage(Damage::TakesABadRange) && min > nr && nr >= 0 { 0 } else { min };
    if damage(Damage::Hangs) {
        // SAFETY: waits for the signal that ends the process.
        unsafe { libc::pause() };
    }
    // SAFETY: the caller's arguments.
    let n = unsafe { real(context, min, nr, events, timeout) };
    if n == -libc::EINVAL && damage(Damage::AcceptsADeadContext) && min == 0 {
        return 0;
    }
    if n < 0 && damage(Damage::ForgetsErrno) {
        // SAFETY: the thread's own errno.
        unsafe { *libc::__errno_location() = 77 };
    }
    if n < 2 {
        return n;
    }
    // SAFETY: the call has filled n events, which is two at least.
    let list = unsafe { std::slice::from_raw_parts_mut(events, n as usize) };
    if damage(Damage::LosesAnEvent) {
        return n - 1;
    }
    if damage(Damage::DoublesAnEvent) {
        list[1] = list[0];
    }
    if damage(Damage::ChangesAResult) {
        list[1].res += 1;
    }
    n
}

unsafe extern "C" fn wrong_destroy(context: io_context_t) -> c_int {
    let real = REAL.get().expect("set before").destroy;
    if damage(Damage::KeepsTheContext) && !context.is_null() {
        return 0;
    }
    // SAFETY: the caller's argument.
    unsafe { real(context) }
}
