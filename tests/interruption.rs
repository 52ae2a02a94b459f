//! A signal handler between any two machine instructions of a reap: the programs in
//! `c-tests/interruption/`, which stop the processor after each (`c-tests/step.h`). The same for the
//! steps of the reap alone, and exhaustively for both sides, is in `src/ring_tests.rs`.

#![cfg(target_arch = "x86_64")]

mod common;

use common::{AioLock, build, compile, limited, run, scratch};

fn holds(name: &str) {
    holds_on(&["kernel", "io_uring"], name);
}

fn holds_on(engines: &[&str], name: &str) {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), &format!("c-tests/interruption/{name}.c"), &[]);
    for engine in engines {
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
fn handler_exits() {
    holds("handler_exits");
}

#[test]
fn handler_forks() {
    holds("handler_forks");
}

/// On io_uring alone, which puts off asking what a descriptor is. (The kernel's AIO asks by itself.)
#[test]
fn handler_submits() {
    holds_on(&["io_uring"], "handler_submits");
}
