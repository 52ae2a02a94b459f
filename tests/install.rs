//! `make install` and `make uninstall`, and what a program that is built against the installed
//! files through pkg-config gets.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{AioLock, bare_c_compiler, build, limited, make, must, root, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every function has its page, and there is one for the whole.
const PAGES: &[&str] = &[
    "io_cancel",
    "io_destroy",
    "io_fdsync",
    "io_fsync",
    "io_getevents",
    "io_pgetevents",
    "io_poll",
    "io_prep_fdsync",
    "io_prep_fsync",
    "io_prep_poll",
    "io_prep_pread",
    "io_prep_preadv",
    "io_prep_preadv2",
    "io_prep_pwrite",
    "io_prep_pwritev",
    "io_prep_pwritev2",
    "io_queue_init",
    "io_queue_release",
    "io_queue_run",
    "io_queue_wait",
    "io_set_callback",
    "io_set_eventfd",
    "io_setup",
    "io_submit",
    "libaio",
];

/// Serialises the tests here: each runs make in the same build folder.
static ONE_MAKE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Installs with `variables` into a fresh folder.
fn install(target: &str, variables: &[&str]) -> tempfile::TempDir {
    build();
    let stage = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    run_make(target, stage.path(), variables);
    stage
}

fn run_make(target: &str, stage: &Path, variables: &[&str]) {
    let destination = format!("DESTDIR={}", stage.display());
    run_make_without_destination(target, &[&[destination.as_str()], variables].concat());
}

fn run_make_without_destination(target: &str, variables: &[&str]) {
    let _guard = ONE_MAKE.lock().unwrap_or_else(|e| e.into_inner());
    must(make(&[&[target], variables].concat()));
}

/// The files and links below `folder`, by their paths in it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("its type").is_dir() {
                open.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(folder).expect("below the folder");
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("a folder").next().is_none()
}

/// What an install leaves, with its folders' names.
fn expected(
    bindir: &str,
    libdir: &str,
    includedir: &str,
    mandir: &str,
    soname: &str,
) -> BTreeSet<String> {
    let real = format!("{soname}.{}", &VERSION[2..]);
    let mut files: BTreeSet<String> =
        PAGES.iter().map(|p| format!("{mandir}/man3/{p}.3")).collect();
    for name in [real.as_str(), soname, "libaio.so", "libaio.a", "pkgconfig/libaio.pc"] {
        files.insert(format!("{libdir}/{name}"));
    }
    // The folder of names that with-libaio-rs has programs look in.
    for name in ["libaio.so", "libaio.so.1", "libaio.so.1t64"] {
        files.insert(format!("{libdir}/libaio-rs/{name}"));
    }
    files.insert(format!("{bindir}/with-libaio-rs"));
    files.insert(format!("{mandir}/man1/with-libaio-rs.1"));
    files.insert(format!("{includedir}/libaio.h"));
    files
}

/// What pkg-config says of the staged library to `arguments`, as a list.
fn pkg_config(stage: &Path, libdir: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(arguments).arg("libaio").env("PKG_CONFIG_SYSROOT_DIR", stage);
    command.env("PKG_CONFIG_LIBDIR", stage.join(libdir).join("pkgconfig"));
    must(command).stdout.split_whitespace().map(str::to_owned).collect()
}

/// Builds the example against the staged files and runs it; its output.
fn build_and_run(stage: &Path, libdir: &str, fixed: bool) -> String {
    let binary: PathBuf = stage.join("example");
    let mut arguments = vec!["--cflags", "--libs"];
    if fixed {
        arguments.push("--static");
    }
    // pkg-config leaves out what it takes for the compiler's own folders, but for a sysroot.
    let flags = pkg_config(stage, libdir, &arguments);
    let mut cc = bare_c_compiler();
    cc.current_dir(root()).args(["-Wall", "-Wextra", "-Werror", "-Wno-format", "-o"]).arg(&binary);
    cc.args(["c-tests/example.c", "c-tests/redirect_open.c", "-Wl,--wrap=open"]).args(flags);
    if fixed {
        cc.arg("-static");
    }
    must(cc);
    let file = stage.join("file");
    fs::write(&file, "installed").expect("a file");
    let mut program = limited(binary);
    program.env("EXAMPLE_FILE", file);
    if !fixed {
        program.env("LD_LIBRARY_PATH", stage.join(libdir));
    }
    must(program).stdout
}

#[test]
fn install_puts_everything_where_it_is_told_and_uninstall_leaves_nothing() {
    let defaults = expected(
        "usr/local/bin",
        "usr/local/lib",
        "usr/local/include",
        "usr/local/share/man",
        "libaio.so.1",
    );
    let stage = install("install", &[]);
    assert_eq!(files(stage.path()), defaults);
    run_make("uninstall", stage.path(), &[]);
    assert!(is_empty(stage.path()));

    let variables = [
        "PREFIX=/usr",
        "BINDIR=/opt/commands",
        "LIBDIR=/usr/lib/x86_64-linux-gnu",
        "INCLUDEDIR=/opt/headers",
        "MANDIR=/opt/man",
    ];
    let stage = install("install", &variables);
    let libdir = "usr/lib/x86_64-linux-gnu";
    let elsewhere = expected("opt/commands", libdir, "opt/headers", "opt/man", "libaio.so.1");
    assert_eq!(files(stage.path()), elsewhere);
    let launcher = stage.path().join("opt/commands/with-libaio-rs");
    let text = fs::read_to_string(&launcher).expect("the launcher");
    assert!(text.contains(&format!("'/{libdir}'")) && !text.contains("@LIBDIR@"), "{text}");
    assert_eq!(fs::metadata(&launcher).expect("the launcher").permissions().mode() & 0o777, 0o755);
    run_make("uninstall", stage.path(), &variables);
    assert!(is_empty(stage.path()));
}

#[test]
fn a_destination_with_a_space_in_it_is_one_folder() {
    let outer = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let stage = outer.path().join("two words");
    let other = outer.path().join("two");
    fs::write(&other, "").expect("a file");
    build();
    run_make("install", &stage, &["PREFIX=/usr"]);
    assert_eq!(
        files(&stage),
        expected("usr/bin", "usr/lib", "usr/include", "usr/share/man", "libaio.so.1")
    );
    run_make("uninstall", &stage, &["PREFIX=/usr"]);
    assert!(is_empty(&stage) && other.exists());
}

#[test]
fn uninstall_takes_nothing_of_others() {
    let stage = install("install", &["PREFIX=/usr"]);
    let others = ["usr/bin/other", "usr/lib/libaio-rs/other.so", "usr/lib/libother.so"];
    for other in others {
        fs::write(stage.path().join(other), "").expect("a file");
    }
    run_make("uninstall", stage.path(), &["PREFIX=/usr"]);
    assert_eq!(files(stage.path()), BTreeSet::from(others.map(str::to_owned)));
}

#[test]
fn folders_go_that_install_has_made_and_no_others() {
    build();
    let outer = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let prefix = outer.path().join("a prefix");
    let variables = [&*format!("PREFIX={}", prefix.display())];
    let installed: BTreeSet<String> = expected("bin", "lib", "include", "share/man", "libaio.so.1")
        .into_iter()
        .chain(["lib/libaio-rs.folders".to_owned()])
        .collect();
    // Once, and once more over it.
    for times in 1..3 {
        for _ in 0..times {
            run_make_without_destination("install", &variables);
        }
        assert_eq!(files(&prefix), installed);
        run_make_without_destination("uninstall", &variables);
        assert!(is_empty(outer.path()));
    }
    // Empty ones that were there stay, and so do those with something of others' in them.
    let empty = ["lib/pkgconfig", "share/man/man3"];
    for folder in empty {
        fs::create_dir_all(prefix.join(folder)).expect("a folder");
    }
    run_make_without_destination("install", &variables);
    fs::write(prefix.join("share/man/man1/other.1"), "").expect("a file");
    run_make_without_destination("uninstall", &variables);
    assert_eq!(files(&prefix), BTreeSet::from(["share/man/man1/other.1".to_owned()]));
    assert!(empty.iter().all(|folder| is_empty(&prefix.join(folder))));
    let gone = ["bin", "include", "lib/libaio-rs"];
    assert!(gone.iter().all(|folder| !prefix.join(folder).exists()));
}

#[test]
fn the_renamed_soname_installs_under_its_name() {
    let variables = ["PREFIX=/usr", "SONAME=libaio.so.1t64", "BUILD=build/soname-install"];
    let stage = install("install", &variables);
    let files = files(stage.path());
    assert_eq!(
        files,
        expected("usr/bin", "usr/lib", "usr/include", "usr/share/man", "libaio.so.1t64")
    );
    assert!(build_and_run(stage.path(), "usr/lib", false).contains("Read 9 bytes"));
}

#[test]
fn programs_build_on_the_installed_library_through_pkg_config() {
    let _lock = AioLock::shared();
    let stage = install("install", &["PREFIX=/usr"]);
    assert_eq!(pkg_config(stage.path(), "usr/lib", &["--modversion"]), [VERSION]);
    for fixed in [false, true] {
        let output = build_and_run(stage.path(), "usr/lib", fixed);
        assert!(output.starts_with("Read 9 bytes: installed"), "{output}");
    }
}

#[test]
fn the_stripped_install_works_and_is_smaller() {
    let _lock = AioLock::shared();
    let (whole, stripped) = (install("install", &[]), install("install-strip", &[]));
    let size = |stage: &Path| {
        let file = stage.join(format!("usr/local/lib/libaio.so.{VERSION}"));
        fs::metadata(file).expect("the library").len()
    };
    assert!(size(stripped.path()) < size(whole.path()));
    assert!(build_and_run(stripped.path(), "usr/local/lib", false).contains("Read 9 bytes"));
}

#[test]
fn an_install_that_cannot_be_written_fails_and_says_why() {
    build();
    let stage = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    let destination = format!("DESTDIR={}", stage.path().display());
    let _guard = ONE_MAKE.lock().unwrap_or_else(|e| e.into_inner());
    let ran = run(&mut make(&["install", destination.as_str()]));
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("Not a directory"), "{}", ran.stderr);
}
