//! `scripts/with-libaio-rs`: what it starts runs on the library, meets the world as it would without
//! it, and what cannot run on the library is not started.

mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{AioLock, Ran, build, c_compiler, limited, make, must, original, root, run, scratch};

/// The shells that `/bin/sh` may be.
const SHELLS: &[&[&str]] = &[&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// The launcher's own statuses.
const REFUSED: i32 = 125;
const NOT_EXECUTABLE: i32 = 126;
const NOT_THERE: i32 = 127;

/// What the environment of a test run must not bring in.
const VARIABLES: &[&str] =
    &["LD_PRELOAD", "LIBAIO_ENGINE", "LIBAIO_SPIN_US", "LIBAIO_STATS", "LIBAIO_RS_LIBRARY"];

fn script() -> PathBuf {
    build();
    root().join("scripts/with-libaio-rs")
}

fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = limited(program);
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// The launcher, run by the shell that `/bin/sh` is.
fn launcher() -> Command {
    plain(script())
}

fn launcher_in(shell: &[&str]) -> Command {
    let mut command = plain(shell[0]);
    command.args(&shell[1..]).arg(script());
    command
}

/// The file that our library is.
fn ours() -> String {
    let file = fs::canonicalize(build().join("libaio.so.1")).expect("the library is built");
    file.to_str().expect("UTF-8").to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A C program or library from its source.
fn c(to: PathBuf, source: &str, options: &[&str]) -> PathBuf {
    let file = to.with_extension("source.c");
    fs::write(&file, source).expect("a source file");
    must(c_compiler().arg(&file).args(options).arg("-o").arg(&to));
    fs::remove_file(file).expect("the source file is there");
    to
}

const SAYS_RAN: &str = "#include <stdio.h>\nint main(void) { return puts(\"ran\") < 0; }\n";

/// The same, by a program that calls libaio first.
fn destroys() -> String {
    format!("int io_destroy(void *);\n{}", SAYS_RAN.replace("return", "io_destroy(0);return"))
}

/// `c-tests/launcher/tells.c`, linked with a library.
fn tells(to: PathBuf, library: &Path) -> PathBuf {
    let mut cc = c_compiler();
    cc.current_dir(root()).args(["-I", "include", "c-tests/launcher/tells.c", "-o"]).arg(&to);
    must(cc.arg(library));
    to
}

/// The same, linked with Debian's library.
fn tells_original(folder: &Path) -> PathBuf {
    tells(folder.join("tells"), original())
}

/// The same, linked with a library of the other SONAME, which fails all calls; and that library, in
/// a folder of its own.
fn tells_renamed(folder: &Path) -> (PathBuf, PathBuf) {
    let other = folder.join("other");
    fs::create_dir(&other).expect("a new folder");
    let library = other.join("libaio.so.1t64");
    let mut cc = c_compiler();
    cc.current_dir(root()).args(["-shared", "-fPIC", "c-tests/launcher/none.c"]);
    cc.args(["-Wl,-soname,libaio.so.1t64", "-Wl,--version-script=libaio.map", "-o"]);
    must(cc.arg(&library));
    (tells(folder.join("tells64"), &library), other)
}

/// What came of a program that must print these lines, and nothing on stderr.
#[track_caller]
fn prints(command: &mut Command, lines: &[&str]) {
    let ran = run(command);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{command:?}");
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), lines, "{command:?}");
}

/// A run in which nothing was started, and that says why in one line.
#[track_caller]
fn refused(command: &mut Command, status: i32, why: &str) -> Ran {
    let ran = run(command);
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{command:?}: {}", ran.stderr);
    assert!(ran.stderr.starts_with("with-libaio-rs: "), "{}", ran.stderr);
    assert!(ran.stderr.contains(why), "{command:?}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    ran
}

fn needs_root(what: &str) {
    // SAFETY: geteuid has no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this test {what}: run it as root");
}

/// Runs make for a prefix, once at a time: each run writes into the same build folder.
fn run_make(target: &str, prefix: &Path) {
    static ONE_MAKE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    build();
    let _guard = ONE_MAKE.lock().unwrap_or_else(|e| e.into_inner());
    must(make(&[target, &format!("PREFIX={}", text(prefix))]));
}

/// A folder that every user can reach, with the launcher and the library in it as installed.
fn installed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its owner");
    run_make("install", folder.path());
    let launcher = folder.path().join("bin/with-libaio-rs");
    (folder, launcher)
}

/// `command` as another user than root.
fn as_nobody(command: impl AsRef<OsStr>) -> Command {
    let mut program = plain("setpriv");
    program.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(command);
    program
}

// ---- on the library ----------------------------------------------------------------------------

#[test]
fn a_program_linked_with_the_original_runs_on_ours() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let debians = text(original());
    prints(plain(&program).args(["library", "mapped"]), &[debians, debians]);
    for shell in SHELLS {
        let ours = ours();
        prints(launcher_in(shell).arg(&program).args(["library", "mapped"]), &[&ours, &ours]);
    }
}

#[test]
fn a_program_linked_with_the_renamed_one_runs_on_ours() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let (program, other) = tells_renamed(folder.path());
    let arguments = ["library", "mapped", "engine"];
    let library = text(&other).to_owned() + "/libaio.so.1t64";
    let mut without = plain(&program);
    prints(
        without.args(arguments).env("LD_LIBRARY_PATH", &other),
        &[&library, &library, "error -38"],
    );
    // Where the renamed library is installed, and where it is not.
    assert_eq!(run(plain(&program).args(arguments)).status, NOT_THERE);
    for shell in SHELLS {
        let (ours, mut with) = (ours(), launcher_in(shell));
        with.arg(&program).args(arguments);
        prints(&mut with, &[&ours, &ours, "kernel"]);
        prints(with.env("LD_LIBRARY_PATH", &other), &[&ours, &ours, "kernel"]);
    }
}

#[test]
fn the_original_need_not_be_installed() {
    needs_root("hides Debian's library in a mount namespace");
    let folder = scratch();
    let program = tells_original(folder.path());
    let hidden = |command: &Path, arguments: &[&str]| {
        let mut all = plain("unshare");
        let hide = "mount --bind /dev/null \"$1\" && shift && exec \"$@\"";
        all.args(["--mount", "--propagation=private", "sh", "-c", hide, "sh"]).arg(original());
        all.arg(command).args(arguments);
        all
    };
    assert_eq!(run(&mut hidden(&program, &["library"])).status, NOT_THERE);
    prints(&mut hidden(&script(), &[text(&program), "library", "mapped"]), &[&ours(), &ours()]);
}

#[test]
fn a_library_that_the_program_needs_may_be_what_uses_libaio() {
    let folder = scratch();
    let library = folder.path().join("libuser.so");
    let source = "#include <errno.h>\nint io_destroy(void *);\nint use(void);\n\
        int use(void) { errno = 0; io_destroy((void *)0); return errno; }\n";
    let user = c(library, source, &["-shared", "-fPIC", text(original())]);
    // libaio leaves errno alone.
    let source = "#include <stdio.h>\nint use(void);\nint main(void) { return !printf(\"%d\\n\", use()); }\n";
    let path = format!("-Wl,-rpath,{}", text(folder.path()));
    let program = c(folder.path().join("program"), source, &[text(&user), &path]);
    prints(&mut plain(&program), &["0"]);
    for shell in SHELLS {
        prints(launcher_in(shell).arg(&program), &["22"]);
    }
}

#[test]
fn what_is_opened_by_name_at_run_time_is_ours() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let names = ["by:libaio.so.1", "by:libaio.so.1t64", "by:libaio.so"];
    prints(launcher().arg(&program).args(names), &[&ours(), &ours(), &ours()]);
    // A program that opens it is one that uses it, though it needs it no more.
    let opens = "#include <dlfcn.h>\n#include <stdio.h>\nint main(void)\n{\n\
        void *f = dlsym(dlopen(\"libaio.so.1\", RTLD_NOW), \"io_setup\");\n\
        Dl_info info;\n return !f || !dladdr(f, &info) || !puts(info.dli_fname);\n}\n";
    let program = c(folder.path().join("opens"), opens, &["-D_GNU_SOURCE"]);
    let opened = must(launcher().arg(&program)).stdout;
    assert_eq!(fs::canonicalize(opened.trim()).expect("a file"), Path::new(&ours()));
    // By its whole path, it is what is there.
    let program = tells_original(folder.path());
    let whole = format!("by:{}", text(original()));
    prints(launcher().arg(&program).arg(whole), &[text(original())]);
}

#[test]
fn the_engine_is_the_one_asked_for() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let program = tells_original(folder.path());
    for shell in SHELLS {
        let with = |option: &str, inherited: &str| {
            let mut with = launcher_in(shell);
            with.args([option, "--"]).arg(&program).arg("engine").env("LIBAIO_ENGINE", inherited);
            with
        };
        prints(&mut with("--engine=io_uring", "kernel"), &["io_uring"]);
        prints(&mut with("--engine=kernel", "io_uring"), &["kernel"]);
        // Without an option, what the environment says.
        prints(&mut with("--force", "io_uring"), &["io_uring"]);
    }
}

#[test]
fn options_set_the_librarys_variables() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let variables = ["env:LIBAIO_ENGINE", "env:LIBAIO_SPIN_US", "env:LIBAIO_STATS"];
    let file = text(folder.path()).to_owned() + "/sta ts";
    for shell in SHELLS {
        let with = |options: &[&str]| {
            let mut with = launcher_in(shell);
            with.args(options).arg(&program).args(variables).current_dir(folder.path());
            with
        };
        prints(&mut with(&[]), &["(unset)", "(unset)", "(unset)"]);
        let all = ["--engine=io_uring", "--spin=200", "--stats"];
        prints(&mut with(&all), &["io_uring", "200", "1"]);
        // The file is one of the folder in which the launcher is called, wherever the program goes.
        prints(&mut with(&["--stats=sta ts"]), &["(unset)", "(unset)", &file]);
        let one = text(folder.path()).to_owned() + "/1";
        prints(&mut with(&["--stats=1"]), &["(unset)", "(unset)", &one]);
        prints(&mut with(&["--spin=0", "--stats=/name"]), &["(unset)", "0", "/name"]);
        // The last of each counts.
        let twice = ["--spin=1000000", "--stats", "--spin=08", &format!("--stats={file}")];
        prints(&mut with(&twice), &["(unset)", "08", &file]);
        // What the environment has already stays where no option is given.
        let mut inherited = with(&["--spin=1"]);
        inherited.env("LIBAIO_STATS", "file").env("LIBAIO_ENGINE", "kernel");
        prints(&mut inherited, &["kernel", "1", "file"]);
    }
}

#[test]
fn children_run_on_ours_too() {
    let folder = scratch();
    let program = tells_original(folder.path());
    // A shell does not use libaio: only by --force.
    let child = format!("{}; {} library", "cd /", text(&program));
    prints(launcher().args(["--force", "sh", "-c", &child]), &[&ours()]);

    // A script says nothing of what it starts: it is started, with a line that says so.
    let script = folder.path().join("a script");
    for first in ["#!/bin/sh", "#! /bin/sh -e", "# none, so it is sh's"] {
        fs::write(&script, format!("{first}\n\"$1\" library\n")).expect("a file");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its owner");
        for shell in SHELLS {
            let ran = must(launcher_in(shell).arg(&script).arg(&program));
            assert_eq!(ran.stdout, ours() + "\n", "{first}");
            let line = format!("with-libaio-rs: {} (a script for /bin/sh): ", text(&script));
            assert!(ran.stderr.starts_with(&line), "{first}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
            let mut quiet = launcher_in(shell);
            prints(quiet.arg("--force").arg(&script).arg(&program), &[&ours()]);
        }
    }
    // An interpreter that uses libaio is told apart.
    fs::write(&script, format!("#!{} name\n", text(&program))).expect("a file");
    let ran = run(launcher().arg(&script));
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), (&*format!("{}\n", text(&program)), ""));
}

// ---- as without it -----------------------------------------------------------------------------

#[test]
fn arguments_arrive_as_they_are() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let arguments =
        ["", "two words", "a\nline\n", "*", "--force", "--", "-x", "$HOME", "\\n", "\""];
    let lines: Vec<String> = arguments.iter().map(|a| format!("[{a}]\n")).collect();
    for shell in SHELLS {
        for separator in [&[][..], &["--"]] {
            let mut with = launcher_in(shell);
            let ran = must(with.args(separator).arg(&program).arg("rest").args(arguments));
            assert_eq!(ran.stdout, lines.concat());
        }
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    let folder = scratch();
    let program = tells_original(folder.path());
    for shell in SHELLS {
        for status in [0, 1, 2, 125, 255] {
            let ran = run(launcher_in(shell).arg(&program).arg(format!("exit:{status}")));
            assert_eq!((ran.status, ran.stderr.as_str()), (status, ""));
        }
    }
}

#[test]
fn the_program_takes_the_launchers_place_and_its_signals() {
    let folder = scratch();
    let program = tells_original(folder.path());
    for shell in SHELLS {
        // Without timeout(1) in between; and in a process group, which may be ended as a whole.
        let mut with = Command::new(shell[0]);
        with.args(&shell[1..]).arg(script()).arg(&program).args(["library", "wait"]);
        for variable in VARIABLES {
            with.env_remove(variable);
        }
        let mut child = with.process_group(0).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        let read = BufReader::new(output).read_line(&mut line);
        let pid = i32::try_from(child.id()).expect("a process id");
        let file = fs::read_link(format!("/proc/{pid}/exe"));
        // SAFETY: a child that is not waited for keeps its id, also when it has ended; zeros are a
        // valid start for what waitid writes.
        let terminated = unsafe {
            let terminated = libc::kill(pid, libc::SIGTERM);
            let options = libc::WEXITED | libc::WNOWAIT;
            libc::waitid(libc::P_PID, child.id(), &mut std::mem::zeroed(), options);
            // What it has left, where it was not the program itself.
            libc::kill(-pid, libc::SIGKILL);
            terminated
        };
        let status = child.wait().expect("a child");
        read.expect("a line");
        assert_eq!((line.trim(), terminated), (ours().as_str(), 0));
        assert_eq!(status.signal(), Some(libc::SIGTERM));
        assert_eq!(file.expect("a process"), program);
    }
}

#[test]
fn the_environment_is_as_without_it_but_for_what_is_set() {
    // The names of its own variables, and those that shells look at, have values here.
    let source = fs::read_to_string(script()).expect("the script");
    let mut names = BTreeSet::from(["IFS", "ENV", "CDPATH", "POSIXLY_CORRECT", "LC_ALL", "HOME"]);
    for word in source.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '=')) {
        if let Some((name, _)) = word.split_once('=') {
            let first = name.chars().next();
            if first.is_some_and(|c| c.is_ascii_lowercase()) && !name.starts_with("libaio_rs_") {
                names.insert(name);
            }
        }
    }
    assert!(names.contains("file") && names.contains("library"), "{names:?}");
    let by_shells = ["PWD", "OLDPWD", "SHLVL", "_"];
    let environment = |mut command: Command| -> BTreeSet<String> {
        command.args(["/usr/bin/env", "-0"]).env_clear().env("PATH", "/usr/bin:/bin");
        command.envs(names.iter().map(|name| (*name, "a b\nc ")));
        let told = must(command).stdout;
        let lines = told.split_terminator('\0').map(str::to_owned);
        lines.filter(|l| !by_shells.contains(&l.split('=').next().expect("a name"))).collect()
    };
    for shell in SHELLS {
        let with = |options: &[&str]| {
            let mut with = launcher_in(shell);
            with.args(options);
            environment(with)
        };
        let mut without = plain(shell[0]);
        without.args(&shell[1..]).args(["-c", "exec \"$@\"", "sh"]);
        let mut expected = environment(without);
        let links = text(build()).to_owned() + "/libaio-rs";
        expected.insert(format!("LD_LIBRARY_PATH={links}"));
        expected.insert(format!("LD_PRELOAD={links}/libaio.so.1"));
        assert_eq!(with(&["--force"]), expected);
        expected.insert("LIBAIO_SPIN_US=7".to_owned());
        assert_eq!(with(&["--force", "--spin=7"]), expected);
    }
}

#[test]
fn nothing_stays_open_and_the_name_stays() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let mut found = std::env::split_paths(&std::env::var_os("PATH").expect("a PATH"))
        .collect::<std::collections::VecDeque<_>>();
    found.push_front(folder.path().to_path_buf());
    let path = std::env::join_paths(found).expect("a PATH");
    let without = must(plain("tells").args(["name", "descriptors"]).env("PATH", &path)).stdout;
    for shell in SHELLS {
        let mut with = launcher_in(shell);
        with.args(["tells", "name", "descriptors"]).env("PATH", &path);
        assert_eq!(must(with).stdout, without);
        let mut with = launcher_in(shell);
        prints(with.arg(&program).arg("name"), &[text(&program)]);
    }
}

#[test]
fn what_is_preloaded_already_stays_first() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let first = c(folder.path().join("first.so"), "int nothing;\n", &["-shared", "-fPIC"]);
    let library = text(build()).to_owned() + "/libaio-rs/libaio.so.1";
    let links = text(build()).to_owned() + "/libaio-rs";
    for shell in SHELLS {
        let with = |outer: bool| {
            let mut with = launcher_in(shell);
            if outer {
                // One launcher that starts another adds nothing.
                with.args(["--force", "--engine=kernel", "--"]).arg(script());
            }
            with.arg(&program).args(["env:LD_PRELOAD", "env:LD_LIBRARY_PATH", "library"]);
            with
        };
        for outer in [false, true] {
            prints(&mut with(outer), &[&library, &links, &ours()]);
            let mut beside = with(outer);
            beside.env("LD_PRELOAD", &first).env("LD_LIBRARY_PATH", "/one:/two");
            let both = format!("{}:{library}", text(&first));
            prints(&mut beside, &[&both, &format!("{links}:/one:/two"), &ours()]);
        }
        // As the dynamic linker does, it takes a space for the end of a name.
        let mut spaced = with(false);
        let value = format!("{} {library}", text(&first));
        prints(spaced.env("LD_PRELOAD", &value), &[&value, &links, &ours()]);
        // By its name alone, it is what the folder of links has.
        let mut named = with(false);
        let value = format!("libaio.so.1:{library}");
        prints(named.env("LD_PRELOAD", "libaio.so.1"), &[&value, &links, &ours()]);
        // The folder comes first, also where it is there already.
        let mut late = with(false);
        late.env("LD_LIBRARY_PATH", format!("/one:{links}"));
        prints(&mut late, &[&library, &format!("{links}:/one:{links}"), &ours()]);
    }
}

#[test]
fn another_libaio_that_is_preloaded_already_would_win() {
    let folder = scratch();
    let program = tells_original(folder.path());
    for shell in SHELLS {
        for before in ["", "libnothing.so "] {
            let mut with = launcher_in(shell);
            with.arg(&program).arg("library");
            with.env("LD_PRELOAD", format!("{before}{}", text(original())));
            // Its helpers say that they have no libnothing.so.
            let ran = run(&mut with);
            assert_eq!((ran.status, ran.stdout.as_str()), (REFUSED, ""));
            assert!(ran.stderr.contains("LD_PRELOAD has another libaio"), "{}", ran.stderr);
        }
        let mut with = launcher_in(shell);
        with.arg("--force").arg(&program).arg("library").env("LD_PRELOAD", original());
        prints(&mut with, &[text(original())]);
    }
}

// ---- what cannot run on it ---------------------------------------------------------------------

#[test]
fn a_static_program_is_refused() {
    let folder = scratch();
    for (name, option) in [("fixed", "-static"), ("pie", "-static-pie")] {
        let program = c(folder.path().join(name), SAYS_RAN, &[option]);
        for shell in SHELLS {
            refused(launcher_in(shell).arg(&program), REFUSED, "statically linked");
            prints(launcher_in(shell).arg("--force").arg(&program), &["ran"]);
        }
    }
    // The twin: as dynamic programs, also at a fixed address.
    for option in ["-pie", "-no-pie"] {
        let with = [option, "-fPIE", text(original())];
        let program = c(folder.path().join("dynamic"), &destroys(), &with);
        for shell in SHELLS {
            prints(launcher_in(shell).arg(&program), &["ran"]);
        }
    }
}

#[test]
fn a_program_that_imports_no_symbol_of_libaio_is_refused() {
    const WHY: &str = "imports no symbol of libaio";
    let folder = scratch();
    let at = |name: &str| folder.path().join(name);
    let none = c(at("none"), SAYS_RAN, &[]);
    // One that has it linked in has its functions, but does not ask for them.
    let archive = text(build()).to_owned() + "/libaio.a";
    let inside = c(at("inside"), &destroys(), &[&archive]);
    // Being linked with it is not enough, nor is that of a library.
    let linked = ["-Wl,--no-as-needed", text(original())];
    let needless = c(at("needless"), SAYS_RAN, &linked);
    let nothing = [&linked[..], &["-shared", "-fPIC"]].concat();
    let library = c(at("libneedless.so"), "int nothing;\n", &nothing);
    let path = format!("-Wl,-rpath,{}", text(folder.path()));
    let indirect = c(at("indirect"), SAYS_RAN, &["-Wl,--no-as-needed", text(&library), &path]);
    // A function of that name may be another library's.
    let its_own = "int io_destroy(void *p);\nint io_destroy(void *p) { return !p; }\n";
    let library = c(at("libown.so"), its_own, &["-shared", "-fPIC"]);
    let own = c(at("own"), &destroys(), &[text(&library), &path]);
    for program in [&none, &inside, &needless, &indirect, &own] {
        for shell in SHELLS {
            let ran = refused(launcher_in(shell).arg(program), REFUSED, WHY);
            assert!(ran.stderr.contains("--force"), "{}", ran.stderr);
            // Nor by what is preloaded into it already.
            let mut inner = launcher_in(shell);
            inner.arg(program).env("LD_PRELOAD", build().join("libaio.so.1"));
            refused(&mut inner, REFUSED, WHY);
            prints(launcher_in(shell).arg("--force").arg(program), &["ran"]);
        }
    }
    // The twins: what calls it, and what may open it by a name that is not that of its linking.
    let calls = c(at("calls"), &destroys(), &linked);
    let opens = "#include <dlfcn.h>\n#include <stdio.h>\nint main(void)\n{\n\
        return !dlopen(\"libaio.so.1\", RTLD_NOW) || puts(\"ran\") < 0;\n}\n";
    let opens = c(at("opens"), opens, &linked);
    for program in [&calls, &opens] {
        for shell in SHELLS {
            prints(launcher_in(shell).arg(program), &["ran"]);
            // What the dynamic linker is asked to tell besides goes where it is to go.
            let mut with = launcher_in(shell);
            with.env("LD_DEBUG", "files").env("LD_DEBUG_OUTPUT", at("debug"));
            prints(with.arg(program), &["ran"]);
        }
    }
}

/// The program with some of its bytes changed.
fn changed(program: &Path, to: &Path, at: usize, bytes: &[u8]) -> PathBuf {
    let mut data = fs::read(program).expect("the program");
    data[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(to, data).expect("a file");
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).expect("its owner");
    to.to_path_buf()
}

#[test]
fn a_program_for_another_architecture_is_refused() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let header = fs::read(&program).expect("the program");
    // EI_CLASS, EI_DATA, e_machine.
    for (at, bytes) in
        [(4, &[3 - header[4]][..]), (5, &[3 - header[5]]), (18, &[header[18] ^ 1, header[19]])]
    {
        let other = changed(&program, &folder.path().join("other"), at, bytes);
        for shell in SHELLS {
            refused(launcher_in(shell).arg(&other), REFUSED, "another architecture");
        }
    }
}

#[test]
fn a_damaged_program_is_refused() {
    let folder = scratch();
    let program = tells_original(folder.path());
    // No, too small and too far program headers (e_phnum, e_phentsize, e_phoff).
    let cases: [(usize, &[u8]); 3] = [(56, &[0, 0]), (54, &[1, 0]), (36, &[0xff; 4])];
    for (at, bytes) in cases {
        let other = changed(&program, &folder.path().join("other"), at, bytes);
        for shell in SHELLS {
            let ran = run(launcher_in(shell).arg(&other));
            assert_eq!((ran.status, ran.stdout.as_str()), (REFUSED, ""), "{at}: {}", ran.stderr);
            assert!(ran.stderr.contains("statically linked"), "{at}: {}", ran.stderr);
        }
    }
    // No more than what the kernel takes for a program by its first bytes.
    let cut = folder.path().join("cut");
    fs::write(&cut, b"\x7fELF").expect("a file");
    fs::set_permissions(&cut, fs::Permissions::from_mode(0o755)).expect("its owner");
    refused(launcher().arg(&cut), REFUSED, "another architecture");
}

#[test]
fn a_program_of_another_c_library_is_refused() {
    let folder = scratch();
    let musl = folder.path().join("ld-musl-other.so.1");
    let program = c(
        folder.path().join("program"),
        SAYS_RAN,
        &["-Wl,--no-as-needed", text(original()), &format!("-Wl,--dynamic-linker={}", text(&musl))],
    );
    for shell in SHELLS {
        refused(launcher_in(shell).arg(&program), REFUSED, "the library is for glibc's");
    }
    // Of glibc's, but not there.
    let linker = folder.path().join("ld-linux-other.so.2");
    let option = format!("-Wl,--dynamic-linker={}", text(&linker));
    let program = c(folder.path().join("program"), SAYS_RAN, &[&option]);
    for shell in SHELLS {
        refused(
            launcher_in(shell).arg(&program),
            NOT_EXECUTABLE,
            "dynamic linker that is not there",
        );
    }
}

#[test]
fn a_script_is_judged_by_its_interpreter() {
    let folder = scratch();
    let fixed = c(folder.path().join("fixed"), SAYS_RAN, &["-static"]);
    let script = folder.path().join("script");
    let write = |path: &Path, interpreter: &str| {
        fs::write(path, format!("#! {interpreter}\n")).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its owner");
    };
    write(&script, text(&fixed));
    let outer = folder.path().join("outer");
    write(&outer, &format!("{} option", text(&script)));
    for shell in SHELLS {
        for script in [&script, &outer] {
            let ran = refused(launcher_in(shell).arg(script), REFUSED, "statically linked");
            assert!(ran.stderr.contains(&format!("(a script for {})", text(&fixed))));
            prints(launcher_in(shell).arg("--force").arg(script), &["ran"]);
        }
    }
    let missing = folder.path().join("missing");
    write(&script, text(&missing));
    refused(launcher().arg(&script), NOT_EXECUTABLE, "an interpreter that cannot be executed");
    // One that is its own interpreter.
    write(&script, text(&script));
    refused(launcher().arg(&script), NOT_EXECUTABLE, "an interpreter that cannot be executed");
}

#[test]
fn a_program_that_cannot_be_read_is_refused() {
    needs_root("becomes a user who cannot read a program");
    let (folder, launcher) = installed();
    let program = tells_original(folder.path());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o711)).expect("its owner");
    let with = |options: &[&str]| {
        let mut with = as_nobody(&launcher);
        with.args(options).arg(&program).arg("exit:3");
        with
    };
    refused(&mut with(&[]), REFUSED, "cannot be read");
    assert_eq!(run(&mut with(&["--force"])).status, 3);
}

#[test]
fn a_program_with_raised_privileges_is_refused() {
    needs_root("makes a set-user-ID program");
    let (folder, launcher) = installed();
    let ours = fs::canonicalize(folder.path().join("lib/libaio.so.1")).expect("it is installed");
    let program = tells_original(folder.path());
    let with = |options: &[&str]| {
        let mut with = as_nobody(&launcher);
        with.args(options).arg(&program).arg("library");
        with
    };
    prints(&mut with(&[]), &[text(&ours)]);
    for (mode, what) in [(0o4755, "is set-user-ID"), (0o2755, "is set-group-ID")] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).expect("its owner");
        refused(&mut with(&[]), REFUSED, what);
        // The reason holds: there is no way but not to use the library.
        prints(&mut with(&["--force"]), &[text(original())]);
        // For root, it is a program as any other.
        prints(plain(&launcher).arg(&program).arg("library"), &[text(&ours)]);
    }
    // Without the execute bit for the group, that other bit has another meaning.
    fs::set_permissions(&program, fs::Permissions::from_mode(0o2745)).expect("its owner");
    prints(&mut with(&[]), &[text(&ours)]);

    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its owner");
    set_capability(&program);
    refused(&mut with(&[]), REFUSED, "has file capabilities");
    prints(&mut with(&["--force"]), &[text(original())]);
    prints(plain(&launcher).arg(&program).arg("library"), &[text(&ours)]);
}

/// Gives a program CAP_SYS_NICE, as setcap(8) does.
fn set_capability(program: &Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(program.as_os_str().as_bytes()).expect("no NUL in a path");
    // VFS_CAP_REVISION_2 with the effective bit; permitted and inheritable, low and high.
    let words: [u32; 5] = [0x0200_0001, 1 << 23, 0, 0, 0];
    let data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = c"security.capability";
    // SAFETY: two C strings, and as many bytes as are said.
    let set = unsafe {
        libc::setxattr(path.as_ptr(), name.as_ptr(), data.as_ptr().cast(), data.len(), 0)
    };
    assert_eq!(set, 0, "setxattr: {}", std::io::Error::last_os_error());
}

// ---- finding the program -----------------------------------------------------------------------

#[test]
fn what_is_not_there_or_not_executable_has_the_usual_status() {
    let folder = scratch();
    fs::write(folder.path().join("data"), "").expect("a file");
    symlink("nowhere", folder.path().join("dangling")).expect("a link");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    let cases = [
        ("", NOT_THERE, "is empty"),
        ("no-such-program", NOT_THERE, "no-such-program is not there"),
        ("./missing", NOT_THERE, "./missing is not there"),
        ("./dangling", NOT_THERE, "./dangling is not there"),
        ("./data/below", NOT_THERE, "is not there"),
        ("./data", NOT_EXECUTABLE, "./data is no executable file"),
        ("data", NOT_EXECUTABLE, "data is no executable file"),
        ("./sub", NOT_EXECUTABLE, "./sub is no executable file"),
    ];
    for shell in SHELLS {
        for (name, status, why) in cases {
            for force in [&[][..], &["--force"]] {
                let mut with = launcher_in(shell);
                with.args(force).arg(name).current_dir(folder.path());
                let path = std::env::var("PATH").expect("a PATH");
                refused(with.env("PATH", format!("{path}:{}", text(folder.path()))), status, why);
            }
        }
    }
}

#[test]
fn programs_are_found_as_execvp_finds_them() {
    let folder = scratch();
    let odd = folder.path().join("a folder\nof *");
    fs::create_dir(&odd).expect("a folder");
    let program = tells(odd.join("-the program\n"), original());
    symlink(&program, odd.join("the link")).expect("a link");
    // Not executable, and a folder: what comes later on the PATH is taken.
    let decoy = folder.path().join("decoy");
    fs::create_dir_all(decoy.join("the link")).expect("a folder");
    fs::write(decoy.join("-the program\n"), "").expect("a file");
    let other = folder.path().join("other decoy");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("the link"), "").expect("a file");
    let path = std::env::var("PATH").expect("a PATH");
    let found = format!("{}:{}:{path}:{}", text(&decoy), text(&other), text(&odd));
    // An empty part is the current folder.
    for path in [found, format!("{path}:"), format!("{path}::/none")] {
        for shell in SHELLS {
            for name in ["-the program\n", "the link"] {
                let mut with = launcher_in(shell);
                with.args(["--", name, "library"]).current_dir(&odd).env("PATH", &path);
                prints(&mut with, &[&ours()]);
            }
        }
    }
    let dashed = odd.join("-folder");
    fs::create_dir(&dashed).expect("a folder");
    symlink(&program, dashed.join("link")).expect("a link");
    for shell in SHELLS {
        let mut relative = launcher_in(shell);
        relative.args(["--", "-folder/link", "library"]).current_dir(&odd);
        prints(&mut relative, &[&ours()]);
        let mut whole = launcher_in(shell);
        prints(whole.arg(&program).arg("library"), &[&ours()]);
        // The current folder is not on the PATH.
        let mut with = launcher_in(shell);
        refused(with.arg("the link").current_dir(&odd), NOT_THERE, "the link is not there");
    }
}

#[test]
fn a_builtin_of_the_shell_is_no_program() {
    for shell in SHELLS {
        refused(launcher_in(shell).args(["--force", "unset"]), NOT_THERE, "unset is not there");
        let ran = must(launcher_in(shell).args(["--force", "echo", "--version"]));
        assert!(ran.stdout.contains("coreutils"), "{}", ran.stdout);
    }
}

// ---- options, and the library ------------------------------------------------------------------

#[test]
fn bad_options_are_refused_and_nothing_is_started() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let cases = [
        ("--engine", "the engines are"),
        ("--engine=", "the engines are"),
        ("--engine=uring", "the engines are"),
        ("--engine=KERNEL", "the engines are"),
        ("--engines=kernel", "no such option"),
        ("--spin", "0 to 1000000"),
        ("--spin=", "0 to 1000000"),
        ("--spin=-1", "0 to 1000000"),
        ("--spin=1ms", "0 to 1000000"),
        ("--spin=1000001", "0 to 1000000"),
        ("--spin=99999999999999999999", "0 to 1000000"),
        ("--spin=0x10", "0 to 1000000"),
        ("--stats=", "the name of a file"),
        ("--stats=/tmp/", "the name of a file"),
        ("--stats=.", "the name of a file"),
        ("--stats=/tmp/..", "the name of a file"),
        ("--stats=/no/such/folder/stats", "no folder for the statistics: /no/such/folder"),
        ("--stats=none/stats", "no folder for the statistics"),
        ("--statistics", "no such option"),
        ("--force=yes", "no such option"),
        ("-f", "no such option"),
        ("-", "no such option"),
    ];
    for shell in SHELLS {
        for (option, why) in cases {
            let mut with = launcher_in(shell);
            with.args(["--force", option]).arg(&program).arg("library");
            refused(&mut with, REFUSED, why);
        }
        for none in [&[][..], &["--"], &["--force"], &["--stats", "--"]] {
            refused(launcher_in(shell).args(none), REFUSED, "which program?");
        }
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for shell in SHELLS {
        let help = must(launcher_in(shell).arg("--help"));
        assert!(help.stdout.starts_with("usage: with-libaio-rs "), "{}", help.stdout);
        for option in ["--engine=", "--spin=", "--stats", "--force"] {
            assert!(help.stdout.contains(option), "{}", help.stdout);
        }
        assert_eq!(help.stderr, "");
        let version = format!("with-libaio-rs {}", env!("CARGO_PKG_VERSION"));
        prints(launcher_in(shell).arg("--version"), &[&version]);
    }
}

#[test]
fn the_library_can_be_named() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let (renamed, other) = tells_renamed(folder.path());
    let copy = folder.path().join("our-copy.so");
    fs::copy(ours(), &copy).expect("a copy");
    for shell in SHELLS {
        for name in [text(&copy), "our-copy.so", "./our-copy.so"] {
            let mut with = launcher_in(shell);
            with.arg(&program).args(["library", "env:LD_LIBRARY_PATH"]);
            with.current_dir(folder.path()).env("LIBAIO_RS_LIBRARY", name);
            // There is no folder with links beside it.
            prints(&mut with, &[text(&copy), "(unset)"]);
            with.env("LD_LIBRARY_PATH", "/one");
            prints(&mut with, &[text(&copy), "/one"]);
        }
        // So it takes the place of a library under another name where that one is found as well.
        let mut with = launcher_in(shell);
        with.arg(&renamed).arg("library").env("LIBAIO_RS_LIBRARY", &copy);
        assert_eq!(run(&mut with).status, NOT_THERE);
        prints(with.env("LD_LIBRARY_PATH", &other), &[text(&copy)]);
        // With the folder, it needs no other one.
        let mut with = launcher_in(shell);
        with.arg(&renamed).args(["library", "env:LD_PRELOAD"]);
        let library = text(build()).to_owned() + "/libaio.so.1";
        prints(with.env("LIBAIO_RS_LIBRARY", &library), &[&ours(), &library]);
    }
}

#[test]
fn a_library_that_cannot_be_preloaded_is_refused() {
    let folder = scratch();
    let program = tells_original(folder.path());
    for name in ["two words", "co:lon", "semi;colon", "$ORIGIN"] {
        let odd = folder.path().join(name);
        fs::create_dir(&odd).expect("a folder");
        let copy = odd.join("libaio.so.1");
        fs::copy(ours(), &copy).expect("a copy");
        for shell in SHELLS {
            let mut with = launcher_in(shell);
            with.arg("--force").arg(&program).arg("library").env("LIBAIO_RS_LIBRARY", &copy);
            refused(&mut with, REFUSED, "no library whose path has");
        }
    }
    // Its head alone is not enough.
    let head = folder.path().join("head.so");
    fs::write(&head, &fs::read(ours()).expect("the library")[..60]).expect("a file");
    for shell in SHELLS {
        let mut with = launcher_in(shell);
        with.arg(&program).arg("library").env("LIBAIO_RS_LIBRARY", &head);
        refused(&mut with, REFUSED, &format!("cannot load the library {}", text(&head)));
    }
    let data = folder.path().join("data");
    fs::write(&data, "data").expect("a file");
    for (library, why) in [
        (folder.path().join("missing"), "no library at"),
        (folder.path().to_path_buf(), "no library at"),
        (data, "is no shared library"),
    ] {
        for shell in SHELLS {
            let mut with = launcher_in(shell);
            with.arg("--force").arg(&program).arg("library").env("LIBAIO_RS_LIBRARY", &library);
            refused(&mut with, REFUSED, why);
        }
    }
}

#[test]
fn it_finds_the_library_of_its_own_folder() {
    let folder = scratch();
    let program = tells_original(folder.path());
    // By a link, by the PATH, and as a shell's argument.
    let link = folder.path().join("a link");
    symlink(script(), &link).expect("a link");
    prints(plain(&link).arg(&program).arg("library"), &[&ours()]);
    let scripts = script().parent().expect("a folder").to_owned();
    let path = std::env::var("PATH").expect("a PATH");
    let mut found = plain("with-libaio-rs");
    found.arg(&program).arg("library").env("PATH", format!("{}:{path}", text(&scripts)));
    prints(&mut found, &[&ours()]);
    for shell in SHELLS {
        let mut with = plain(shell[0]);
        with.args(&shell[1..]).arg("with-libaio-rs").arg(&program).arg("library");
        prints(with.current_dir(&scripts), &[&ours()]);
    }
    // Before make has run there.
    let sources = folder.path().join("sources");
    fs::create_dir_all(sources.join("scripts")).expect("a folder");
    let copy = sources.join("scripts/with-libaio-rs");
    fs::copy(script(), &copy).expect("a copy");
    refused(plain(&copy).arg(&program), REFUSED, "make builds it");
}

#[test]
fn the_installed_one_takes_the_installed_library() {
    let (folder, launcher) = installed();
    let ours = fs::canonicalize(folder.path().join("lib/libaio.so.1")).expect("it is installed");
    let program = tells_original(folder.path());
    let (renamed, _other) = tells_renamed(folder.path());
    for program in [&program, &renamed] {
        let mut with = plain(&launcher);
        with.arg(program).args(["library", "mapped"]);
        prints(&mut with, &[text(&ours), text(&ours)]);
    }
    let version = format!("with-libaio-rs {}", env!("CARGO_PKG_VERSION"));
    prints(plain(&launcher).arg("--version"), &[&version]);

    let kept = folder.path().join("kept");
    fs::copy(&launcher, &kept).expect("a copy");
    run_make("uninstall", folder.path());
    assert!(!folder.path().join("lib/libaio-rs").exists() && !launcher.exists());
    refused(plain(&kept).arg(&program), REFUSED, "no library at");
}

#[test]
fn it_finds_its_commands_where_the_path_has_none() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let fixed = c(folder.path().join("fixed"), SAYS_RAN, &["-static"]);
    for shell in SHELLS {
        let which = must(plain("sh").args(["-c", "command -v \"$1\"", "sh", shell[0]])).stdout;
        for path in ["", "/nonexistent", text(folder.path())] {
            let with = |arguments: &[&str]| {
                let mut with = plain("env");
                with.arg(format!("PATH={path}")).arg(which.trim()).args(&shell[1..]).arg(script());
                with.args(arguments);
                with
            };
            prints(&mut with(&[text(&program), "library", "env:PATH"]), &[&ours(), path]);
            refused(&mut with(&[text(&fixed)]), REFUSED, "statically linked");
            // They are not the program's.
            refused(&mut with(&["ls"]), NOT_THERE, "ls is not there");
            assert!(must(with(&["--help"])).stdout.contains("--engine="));
            assert!(must(with(&["--version"])).stdout.contains(env!("CARGO_PKG_VERSION")));
        }
    }
}

#[test]
fn it_does_with_busyboxs_commands() {
    let folder = scratch();
    let program = tells_original(folder.path());
    let (renamed, _other) = tells_renamed(folder.path());
    let fixed = c(folder.path().join("fixed"), SAYS_RAN, &["-static"]);
    let none = c(folder.path().join("none"), SAYS_RAN, &[]);
    let commands = folder.path().join("commands");
    fs::create_dir(&commands).expect("a folder");
    must(plain("busybox").args(["--install", "-s"]).arg(&commands));
    let with = |program: &Path| {
        let mut with = plain("env");
        with.arg(format!("PATH={}", text(&commands))).arg(commands.join("sh"));
        with.arg(script()).arg(program);
        with
    };
    for program in [&program, &renamed] {
        prints(with(program).arg("library"), &[&ours()]);
    }
    refused(&mut with(&fixed), REFUSED, "statically linked");
    refused(&mut with(&none), REFUSED, "imports no symbol of libaio");
}
