//! The ways that are compared: two libraries, each loaded privately, and the limit, which is a loop
//! over the ring for taking events and the bare system call for everything else.

use std::ffi::{CStr, CString, c_int, c_long, c_void};
use std::mem::transmute_copy;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs, ptr};

use aio::abi::{io_context_t, io_event, io_iocb_cmd, iocb};
use libc::timespec;

use crate::filled::Ring;

type Setup = unsafe extern "C" fn(c_int, *mut io_context_t) -> c_int;
type Destroy = unsafe extern "C" fn(io_context_t) -> c_int;
type Submit = unsafe extern "C" fn(io_context_t, c_long, *mut *mut iocb) -> c_int;
type GetEvents =
    unsafe extern "C" fn(io_context_t, c_long, c_long, *mut io_event, *mut timespec) -> c_int;

/// One way to do asynchronous I/O. What is unsafe is so as in C: the pointers are as the manual
/// pages want them.
#[allow(clippy::missing_safety_doc)]
pub trait Way {
    fn name(&self) -> &'static str;
    fn setup(&self, nr: c_int, context: &mut io_context_t) -> c_int;
    unsafe fn destroy(&self, context: io_context_t) -> c_int;
    unsafe fn submit(&self, context: io_context_t, nr: c_long, list: &mut *mut iocb) -> c_int;
    unsafe fn get_events(
        &self,
        context: io_context_t,
        min_nr: c_long,
        nr: c_long,
        events: *mut io_event,
        timeout: *mut timespec,
    ) -> c_int;
}

/// A `libaio.so.1`.
pub struct Library {
    name: &'static str,
    setup: Setup,
    destroy: Destroy,
    submit: Submit,
    get_events: GetEvents,
}

impl Library {
    /// The one that `make` has built.
    pub fn ours() -> &'static Library {
        static OURS: OnceLock<Library> = OnceLock::new();
        OURS.get_or_init(|| {
            for variable in ["LIBAIO_ENGINE", "LIBAIO_REAP", "LIBAIO_SPIN_US"] {
                assert!(
                    env::var_os(variable).is_none(),
                    "{variable} is set: that would be measured"
                );
            }
            Library::load("ours", &built())
        })
    }

    /// The same on io_uring; none where io_uring is not to be had. A library reads its environment
    /// once: this one is a copy, which the loader takes for another library.
    ///
    /// To be called before there are other threads.
    pub fn on_io_uring() -> Option<&'static Library> {
        static ON_IO_URING: OnceLock<Option<Library>> = OnceLock::new();
        let library = ON_IO_URING.get_or_init(|| {
            Self::ours();
            let folder = tempfile::tempdir().expect("a folder for the copy");
            let copy = folder.path().join("libaio.so");
            fs::copy(built(), &copy).expect("a copy");
            let library = Library::load("io_uring", &copy);
            let before = io_urings();
            // SAFETY: there are no other threads.
            unsafe { env::set_var("LIBAIO_ENGINE", "io_uring") };
            let context = Context::new(&library, 1);
            // SAFETY: as above.
            unsafe { env::remove_var("LIBAIO_ENGINE") };
            let is_io_uring = io_urings() > before;
            drop(context);
            is_io_uring.then_some(library)
        });
        library.as_ref()
    }

    /// Debian's: the one that the linker finds without being told where.
    pub fn original() -> &'static Library {
        static ORIGINAL: OnceLock<Library> = OnceLock::new();
        ORIGINAL.get_or_init(|| {
            let cc = env::var("CC").unwrap_or("cc".into());
            let found = Command::new(cc).arg("-print-file-name=libaio.so").output();
            let found = String::from_utf8(found.expect("a C compiler").stdout).expect("a path");
            let found: PathBuf = fs::canonicalize(found.trim())
                .expect("libaio-dev is installed (make bench does that)");
            Library::load("original", &found)
        })
    }

    fn load(name: &'static str, path: &Path) -> Library {
        let c_path = CString::new(path.to_str().expect("a UTF-8 path")).expect("no NUL in a path");
        // SAFETY: both libraries' constructors, if any, ask nothing of the caller.
        let library = unsafe { libc::dlopen(c_path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        assert!(!library.is_null(), "cannot load {path:?}");
        // SAFETY: the functions have these types (libaio.h).
        unsafe {
            Library {
                name,
                setup: symbol(library, c"io_setup"),
                destroy: symbol(library, c"io_destroy"),
                submit: symbol(library, c"io_submit"),
                get_events: symbol(library, c"io_getevents"),
            }
        }
    }
}

fn built() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/libaio.so");
    assert!(built.exists(), "no build/libaio.so: run make");
    built
}

/// How many of this process's descriptors are io_urings.
fn io_urings() -> usize {
    fs::read_dir("/proc/self/fd")
        .expect("/proc")
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| link.ends_with("anon_inode:[io_uring]"))
        .count()
}

/// # Safety
/// `library` is from `dlopen`, and `T` is the type of its function `name`.
unsafe fn symbol<T>(library: *mut c_void, name: &CStr) -> T {
    // SAFETY: upheld by the caller.
    let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
    assert!(!symbol.is_null(), "no {name:?}");
    assert_eq!(size_of::<T>(), size_of::<*mut c_void>());
    // SAFETY: a function of type `T`, as the caller says.
    unsafe { transmute_copy(&symbol) }
}

impl Way for Library {
    fn name(&self) -> &'static str {
        self.name
    }

    fn setup(&self, nr: c_int, context: &mut io_context_t) -> c_int {
        // SAFETY: `context` is writable.
        unsafe { (self.setup)(nr, context) }
    }

    unsafe fn destroy(&self, context: io_context_t) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { (self.destroy)(context) }
    }

    unsafe fn submit(&self, context: io_context_t, nr: c_long, list: &mut *mut iocb) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { (self.submit)(context, nr, list) }
    }

    unsafe fn get_events(
        &self,
        context: io_context_t,
        min_nr: c_long,
        nr: c_long,
        events: *mut io_event,
        timeout: *mut timespec,
    ) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { (self.get_events)(context, min_nr, nr, events, timeout) }
    }
}

/// The limit: what no library can beat. It takes events without any check or exclusion, and knows no
/// waiting.
pub struct Bare;

impl Way for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn setup(&self, nr: c_int, context: &mut io_context_t) -> c_int {
        // SAFETY: `context` is writable.
        unsafe { libc::syscall(libc::SYS_io_setup, nr, ptr::from_mut(context)) as c_int }
    }

    unsafe fn destroy(&self, context: io_context_t) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { libc::syscall(libc::SYS_io_destroy, context) as c_int }
    }

    unsafe fn submit(&self, context: io_context_t, nr: c_long, list: &mut *mut iocb) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { libc::syscall(libc::SYS_io_submit, context, nr, ptr::from_mut(list)) as c_int }
    }

    #[inline(always)]
    unsafe fn get_events(
        &self,
        context: io_context_t,
        _min_nr: c_long,
        nr: c_long,
        events: *mut io_event,
        _timeout: *mut timespec,
    ) -> c_int {
        // SAFETY: upheld by the caller.
        unsafe { Ring::of(context).take(nr as u32, events) as c_int }
    }
}

/// A context of one way, destroyed with this value.
pub struct Context<'a, W: Way>(&'a W, io_context_t);

impl<'a, W: Way> Context<'a, W> {
    pub fn new(way: &'a W, nr: c_int) -> Self {
        let mut context = ptr::null_mut();
        let answer = way.setup(nr, &mut context);
        assert_eq!(answer, 0, "io_setup (see fs.aio-max-nr)");
        Context(way, context)
    }

    pub fn address(&self) -> io_context_t {
        self.1
    }
}

impl<W: Way> Drop for Context<'_, W> {
    fn drop(&mut self) {
        // SAFETY: made by the same way; nobody uses it any more.
        assert_eq!(unsafe { self.0.destroy(self.1) }, 0);
    }
}

/// A request that is all zero but for its operation and descriptor.
pub fn request(operation: io_iocb_cmd, fd: c_int) -> iocb {
    // SAFETY: zeros are a valid request.
    let zero: iocb = unsafe { std::mem::zeroed() };
    iocb { aio_lio_opcode: operation as i16, aio_fildes: fd, ..zero }
}

/// A request that completes at once: a poll of a descriptor that is ready.
pub fn poll_request(fd: c_int) -> iocb {
    iocb { aio_buf: libc::POLLIN as u64, ..request(io_iocb_cmd::IO_CMD_POLL, fd) }
}
