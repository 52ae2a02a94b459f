//! A language without C inlines: Python's `ctypes` reads a file through the out-of-line helpers.

mod common;

use std::fs;
use std::process::Command;

use common::{AioLock, build, must, root, run};

#[test]
fn ctypes_reads_a_file_through_the_out_of_line_helpers() {
    let _lock = AioLock::shared();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "read by Python").expect("a file");
    let mut python = Command::new("python3");
    python.arg(root().join("c-tests/helpers_from_python.py"));
    let ran = must(python.arg(build().join("libaio.so.1")).arg(&file));
    assert_eq!(ran.stdout, "read by Python\nfsync: 0\ncallback: 0x1\n");
}

#[test]
fn ctypes_gets_an_exception_with_errno_for_a_bad_descriptor() {
    let mut python = Command::new("python3");
    python.arg(root().join("c-tests/helpers_from_python.py"));
    let ran = run(python.arg(build().join("libaio.so.1")).arg("--bad-descriptor"));
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("OSError: [Errno 9] Bad file descriptor"), "{}", ran.stderr);
}
