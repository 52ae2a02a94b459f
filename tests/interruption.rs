//! A signal handler between any two machine instructions of a reap: the programs in
//! `c-tests/interruption/`, which stop the processor after each (`c-tests/step.h`). The same for the
//! steps of the reap alone, and exhaustively for both sides, is in `src/ring_tests.rs`.

#![cfg(target_arch = "x86_64")]

mod common;

use common::{AioLock, build, c_compiler, limited, must, root, run};

fn holds(name: &str) {
    let _lock = AioLock::shared();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let binary = folder.path().join(name);
    let mut cc = c_compiler();
    cc.current_dir(root()).args(["-I", "include", "-I", "c-tests", "-o"]).arg(&binary);
    must(cc.arg(format!("c-tests/interruption/{name}.c")).arg("-L").arg(build()).arg("-laio"));
    for engine in ["kernel", "io_uring"] {
        let mut program = limited(&binary);
        program.env("LD_LIBRARY_PATH", build()).env("LIBAIO_ENGINE", engine);
        let ran = run(&mut program);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{engine}");
    }
}

#[test]
fn handler_reaps() {
    holds("handler_reaps");
}

#[test]
fn handler_waits() {
    holds("handler_waits");
}

#[test]
fn handler_sleeps_elsewhere() {
    holds("handler_sleeps_elsewhere");
}

#[test]
fn handlers_cross() {
    holds("handlers_cross");
}

#[test]
fn handlers_destroy_crossed() {
    holds("handlers_destroy_crossed");
}

#[test]
fn handler_destroys() {
    holds("handler_destroys");
}

#[test]
fn handler_forks() {
    holds("handler_forks");
}
