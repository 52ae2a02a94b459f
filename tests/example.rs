//! The document's example, byte for byte, in every form; and each of its failure branches, made to
//! happen for real, with the message that a user sees.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{AioLock, Ran, build, c_compiler, limited, must, root, run};

const TEXT: &str = "Hello from the example's file.\n";

/// The example compiled against our header, with the redirected `open`.
fn example(folder: &Path, extra: &[&str]) -> PathBuf {
    let binary = folder.join("example");
    must(
        c_compiler()
            .args(["-Wno-format", "-I", "include", "c-tests/example.c", "c-tests/redirect_open.c"])
            .args(["-Wl,--wrap=open", "-o"])
            .arg(&binary)
            .arg("-L")
            .arg(build())
            .arg("-laio")
            .args(extra)
            .current_dir(root()),
    );
    binary
}

/// Runs the dynamically linked example on `file`, opened as `how`.
fn run_example(binary: &Path, file: &Path, how: &str) -> Ran {
    run(limited(binary)
        .env("EXAMPLE_FILE", file)
        .env("EXAMPLE_OPEN", how)
        .env("LD_LIBRARY_PATH", build()))
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

fn text_file(folder: &Path) -> PathBuf {
    let file = folder.join("file");
    fs::write(&file, TEXT).expect("a file");
    file
}

#[test]
fn the_example_is_the_documents_byte_for_byte() {
    // The document is no part of the project, so its length and checksum stand for it.
    let ours = root().join("c-tests/example.c");
    let sum = must(Command::new("sha256sum").arg(&ours)).stdout;
    assert!(
        sum.starts_with("f399c1f56e18bc98e7d2fe3b91d26f0edd3f647942a59421a5d7246aaf3bd54a"),
        "{sum}"
    );
}

#[test]
fn the_original_header_rejects_the_example() {
    let ran = run(c_compiler()
        .args(["-fsyntax-only", "-Wno-error", "c-tests/example.c"])
        .current_dir(root()));
    assert_ne!(ran.status, 0);
    for name in ["aio_buf", "uint64_t", "aio_nbytes", "aio_offset"] {
        let told = |l: &str| l.contains("error: ") && l.contains(name);
        assert!(ran.stderr.lines().any(told), "{name}: {}", ran.stderr);
    }
}

#[test]
fn the_example_reads_a_file_in_every_form() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let file = text_file(folder.path());
    let expected = format!("Read {} bytes: {TEXT}\n", TEXT.len());

    let dynamic = example(folder.path(), &[]);
    assert_eq!(run_example(&dynamic, &file, "").stdout, expected);
    for library in [build().join("libaio.so.1"), build().join("libaio.so")] {
        let ran = must(limited(&dynamic).env("EXAMPLE_FILE", &file).env("LD_PRELOAD", library));
        assert_eq!(ran.stdout, expected);
    }
    let fixed = example(folder.path(), &["-static"]);
    assert_eq!(must(limited(fixed).env("EXAMPLE_FILE", &file)).stdout, expected);
}

#[test]
fn a_missing_file_is_told_by_open() {
    let folder = scratch();
    let binary = example(folder.path(), &[]);
    let ran = run_example(&binary, &folder.path().join("none"), "");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "open: No such file or directory\n"));
}

#[test]
fn a_used_up_aio_max_nr_is_told_by_io_setup() {
    let _lock = AioLock::alone();
    let folder = scratch();
    let binary = example(folder.path(), &[]);
    let file = text_file(folder.path());
    let hog = folder.path().join("hog");
    must(
        c_compiler()
            .args(["-I", "include", "c-tests/use_up_aio_max_nr.c", "-o"])
            .arg(&hog)
            .arg("-L")
            .arg(build())
            .args(["-laio", "-static"])
            .current_dir(root()),
    );
    let ran =
        run(limited(hog).arg(&binary).env("EXAMPLE_FILE", &file).env("LD_LIBRARY_PATH", build()));
    let expected = "io_setup: Resource temporarily unavailable\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (1, expected));
    // The twin: with the contexts given back, the same command succeeds.
    assert_eq!(run_example(&binary, &file, "").status, 0);
}

#[test]
fn a_bad_descriptor_is_told_by_io_submit() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = example(folder.path(), &[]);
    let ran = run_example(&binary, &text_file(folder.path()), "write-only");
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "io_submit: Bad file descriptor\n"));
}

#[test]
fn no_event_within_the_timeout_is_told() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = example(folder.path(), &[]);
    let stall = folder.path().join("stalled_file");
    let mount_point = folder.path().join("mnt");
    fs::create_dir(&mount_point).expect("a mount point");
    must(c_compiler().arg("c-tests/stalled_file.c").arg("-o").arg(&stall).current_dir(root()));
    let ran = run(limited(stall)
        .arg(&mount_point)
        .arg(&binary)
        .env("STALL_MS", "1500")
        .env("EXAMPLE_FILE", mount_point.join("file"))
        .env("EXAMPLE_OPEN", "direct")
        .env("LD_LIBRARY_PATH", build()));
    let expected = (0, "Timeout, no events\n", "");
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), expected);
}

#[test]
fn the_readmes_example_compiles_and_runs() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let (_, code) = readme.split_once("```c\n").expect("a C example");
    let (code, _) = code.split_once("```").expect("its end");
    fs::write(folder.path().join("readme.c"), code).expect("a source");
    let binary = folder.path().join("readme");
    let mut cc = c_compiler();
    cc.arg("-I").arg(root().join("include")).arg(folder.path().join("readme.c"));
    must(cc.arg("-o").arg(&binary).arg("-L").arg(build()).arg("-laio"));
    let ran = must(limited(binary).current_dir(root()).env("LD_LIBRARY_PATH", build()));
    assert!(ran.stdout.starts_with("# libaio-rs\n"), "{}", ran.stdout);
}
