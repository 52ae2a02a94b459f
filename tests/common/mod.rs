//! What the test binaries share: the built library, the C compiler, Debian's library, file systems
//! to work on, and running a command to its end.

#![allow(dead_code)] // each test binary uses its part

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

/// How long any one program of a test may run before it counts as hung.
const TIME_LIMIT: &str = "120";

/// The project's top folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the library as `make` builds it; built first where it is not there.
pub fn build() -> &'static Path {
    static BUILD: OnceLock<PathBuf> = OnceLock::new();
    BUILD.get_or_init(|| {
        must(make(&["all"]));
        root().join("build")
    })
}

/// The `cdylib` that a plain `cargo build --release` leaves, built in a folder of its own.
pub fn cargo_cdylib() -> &'static Path {
    static CDYLIB: OnceLock<PathBuf> = OnceLock::new();
    CDYLIB.get_or_init(|| {
        let target = root().join("build/plain");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "--release", "--locked", "--quiet"]);
        must(cargo.arg("--target-dir").arg(&target));
        target.join("release/libaio.so")
    })
}

/// `make` in the top folder. The variables of an outer make must not reach it.
pub fn make<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new("make");
    command.current_dir(root()).arg("--no-print-directory").args(args);
    for variable in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "LDFLAGS"] {
        command.env_remove(variable);
    }
    command
}

/// The C compiler, as the `cc` crate finds it (`CC` is honoured), with warnings as errors.
pub fn c_compiler() -> Command {
    let mut command = bare_c_compiler();
    command.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O2", "-pthread"]);
    command
}

/// The C compiler with no flag but those for the machine.
pub fn bare_c_compiler() -> Command {
    let host = host_triple();
    cc::Build::new()
        .host(&host)
        .target(&host)
        .opt_level(0)
        .debug(false)
        .no_default_flags(true)
        .cargo_metadata(false)
        .get_compiler()
        .to_command()
}

/// The target triple of this machine, as rustc names it.
pub fn host_triple() -> String {
    let version = must(Command::new("rustc").arg("-vV"));
    let host = version.stdout.lines().find_map(|l| l.strip_prefix("host: ").map(str::to_owned));
    host.expect("rustc -vV names the host")
}

/// Debian's `libaio.so.1`, the one that the linker finds without being told where.
pub fn original() -> &'static Path {
    static ORIGINAL: OnceLock<PathBuf> = OnceLock::new();
    ORIGINAL.get_or_init(|| {
        let found = must(bare_c_compiler().arg("-print-file-name=libaio.so")).stdout;
        fs::canonicalize(found.trim()).expect("libaio-dev is installed (make check does that)")
    })
}

/// A new folder on the project's own disk.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// A C program of the project, linked with our shared library, or statically with `-static` in `extra`.
pub fn compile(folder: &Path, source: &str, extra: &[&str]) -> PathBuf {
    let binary = folder.join(Path::new(source).file_stem().expect("a name"));
    let mut cc = c_compiler();
    cc.current_dir(root()).args(["-I", "include", "-I", "c-tests", "-o"]).arg(&binary);
    must(cc.arg(source).arg("-L").arg(build()).arg("-laio").args(extra));
    binary
}

/// What a command printed, as text.
#[derive(Debug)]
pub struct Ran {
    /// The exit status, or 128 + the signal, as a shell counts it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    let Output { status, stdout, stderr } =
        command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    Ran {
        status: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Runs a command that must succeed.
pub fn must(mut command: impl std::borrow::BorrowMut<Command>) -> Ran {
    let command = command.borrow_mut();
    let ran = run(command);
    if ran.status != 0 {
        let line: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
        panic!("{line:?}\nexit status {}\n{}{}", ran.status, ran.stdout, ran.stderr);
    }
    ran
}

/// `program` under a time limit (status 124, or 137 where it had to be killed).
pub fn limited(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", TIME_LIMIT]).arg(program);
    // cargo's own, with its build folders; a test that wants one says so.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// A place to run a program in: a folder on a known kind of file system.
pub struct Place {
    pub name: &'static str,
    folder: tempfile::TempDir,
    /// An image to mount on `folder`, where the kind of file system is not here already.
    image: Option<tempfile::NamedTempFile>,
}

impl Place {
    /// A folder on ext4: under `target/` where that is ext4, else in a loop-mounted image.
    pub fn ext4() -> Place {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let folder = tempfile::tempdir_in(target).expect("a folder under target/");
        let image = (file_system(target) != libc::EXT4_SUPER_MAGIC).then(|| {
            let image = tempfile::NamedTempFile::new_in(target).expect("an image file");
            image.as_file().set_len(64 << 20).expect("room for an image of 64 MiB");
            must(Command::new("/sbin/mkfs.ext4").arg("-q").arg(image.path()));
            image
        });
        Place { name: "ext4", folder, image }
    }

    /// A folder on tmpfs.
    pub fn tmpfs() -> Place {
        let shm = Path::new("/dev/shm");
        assert_eq!(file_system(shm), libc::TMPFS_MAGIC, "/dev/shm is no tmpfs");
        let folder = tempfile::tempdir_in(shm).expect("a folder in /dev/shm");
        Place { name: "tmpfs", folder, image: None }
    }

    /// `program`, time-limited, with this place as its working directory.
    pub fn limited(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(image) = &self.image else {
            let mut command = limited(program);
            command.current_dir(self.folder.path());
            return command;
        };
        // A mount namespace of the command's own: mount and loop device go with its end.
        let script = "mount -o loop \"$1\" \"$2\" && cd \"$2\" && shift 2 && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]);
        command.arg(image.path()).arg(self.folder.path());
        let limited = limited(program);
        command.arg(limited.get_program()).args(limited.get_args()).env_remove("LD_LIBRARY_PATH");
        command
    }
}

/// The magic number of the file system that `path` is on.
fn file_system(path: &Path) -> libc::c_long {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path");
    // SAFETY: statfs writes the structure, for which zeros are a valid start.
    unsafe {
        let mut answer: libc::statfs = std::mem::zeroed();
        assert_eq!(libc::statfs(path.as_ptr(), &mut answer), 0, "{path:?}");
        answer.f_type
    }
}

/// Holds the machine's AIO contexts: shared by tests that create some, alone by the test that uses
/// up `fs.aio-max-nr`, which the whole machine shares.
pub struct AioLock(
    #[allow(dead_code, reason = "the lock lives as long as the file is open")] fs::File,
);

impl AioLock {
    pub fn shared() -> AioLock {
        Self::take(libc::LOCK_SH)
    }

    pub fn alone() -> AioLock {
        Self::take(libc::LOCK_EX)
    }

    fn take(how: libc::c_int) -> AioLock {
        use std::os::fd::AsRawFd;
        // The limit itself is what is locked, so that test runs in other folders heed it too.
        let file = fs::File::open("/proc/sys/fs/aio-max-nr").expect("a kernel with AIO");
        // SAFETY: flock takes any descriptor.
        assert_eq!(unsafe { libc::flock(file.as_raw_fd(), how) }, 0, "flock");
        AioLock(file)
    }
}

/// The two texts one above the other, for a message about their difference.
pub fn difference(name_a: &str, a: &str, name_b: &str, b: &str) -> String {
    let mut text = String::new();
    let _ = write!(text, "--- {name_a}\n{a}\n+++ {name_b}\n{b}");
    text
}
