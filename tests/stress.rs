//! Every event exactly once on the real kernel: `c-tests/stress.c` in many crews, ten million events
//! and more. A longer run, twenty times as many events:
//!
//! ```sh
//! STRESS_FACTOR=20 cargo test --test stress
//! ```

mod common;

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::{AioLock, Ran, build, c_compiler, must, root, run};

/// By how much the runs are longer than in `make check`.
fn factor() -> u64 {
    match env::var("STRESS_FACTOR") {
        Ok(text) => text.parse().expect("STRESS_FACTOR is a whole number"),
        Err(_) => 1,
    }
}

fn binary() -> &'static Path {
    static BINARY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = BINARY.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut cc = c_compiler();
        cc.current_dir(root()).args(["-I", "include", "-I", "c-tests", "c-tests/stress.c", "-o"]);
        must(cc.arg(folder.path().join("stress")).arg("-L").arg(build()).arg("-laio"));
        folder
    });
    // Never dropped, being static: make clean takes it.
    Box::leak(folder.path().join("stress").into_boxed_path())
}

fn stress(arguments: &str, variables: &[(&str, &str)]) -> Ran {
    let _lock = AioLock::shared();
    let mut program = Command::new("timeout");
    program.arg("--kill-after=5").arg((120 * factor()).to_string()).arg(binary());
    program.args(arguments.split_whitespace()).env("LD_LIBRARY_PATH", build());
    run(program.envs(variables.iter().copied()))
}

/// A run that must find nothing wrong, on each of the engines.
fn survives(arguments: &str, variables: &[(&str, &str)]) {
    for engine in ["kernel", "io_uring"] {
        survives_on(engine, arguments, variables);
    }
}

fn survives_on(engine: &str, arguments: &str, variables: &[(&str, &str)]) {
    let variables = [variables, &[("LIBAIO_ENGINE", engine)]].concat();
    let ran = stress(arguments, &variables);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "stress {arguments} {variables:?}");
    println!("stress {arguments} on {engine}: {}", ran.stdout);
}

/// `stress crew` with so many submitters and reapers, the first of that kind, and these beside:
/// a timer of so many microseconds, forking threads, threads with contexts of their own.
fn crew(submitters: u32, reapers: u32, kind: u32, beside: (u32, u32, u32), events: u64) {
    let (timer, forkers, churners) = beside;
    let events = events * factor();
    let requests = [8, 64, 256][reapers as usize % 3];
    survives(
        &format!(
            "crew {submitters} {reapers} {kind} {timer} {forkers} {churners} {events} {requests}"
        ),
        &[],
    );
}

const NOTHING: (u32, u32, u32) = (0, 0, 0);

#[test]
fn one_reaper_of_each_kind_with_one_submitter() {
    for kind in 0..8 {
        crew(1, 1, kind, NOTHING, 400_000);
    }
}

#[test]
fn every_number_of_reapers_with_every_number_of_submitters() {
    for submitters in 1..=4 {
        for reapers in 1..=8 {
            crew(submitters, reapers, submitters + reapers, NOTHING, 150_000);
        }
    }
}

#[test]
fn a_timer_whose_handler_reaps_too() {
    for kind in [0, 1, 4, 5] {
        crew(1, 1, kind, (30, 0, 0), 150_000);
        crew(2, 3, kind, (50, 0, 0), 150_000);
    }
}

#[test]
fn forks_going_on() {
    crew(1, 1, 0, (0, 1, 0), 150_000);
    crew(2, 4, 1, (0, 2, 0), 150_000);
    crew(2, 4, 0, (60, 1, 0), 150_000);
}

#[test]
fn contexts_created_and_destroyed_beside() {
    crew(1, 2, 0, (0, 0, 2), 300_000);
    crew(2, 4, 4, (50, 1, 1), 300_000);
    crew(4, 8, 0, (40, 1, 2), 300_000);
}

#[test]
fn watching_reapers() {
    let events = 500_000 * factor();
    survives(&format!("crew 2 4 1 0 0 0 {events} 64"), &[("LIBAIO_SPIN_US", "50")]);
    survives(&format!("crew 1 2 1 50 1 1 {events} 64"), &[("LIBAIO_SPIN_US", "1000")]);
}

#[test]
fn contexts_destroyed_beside_threads_that_reap_and_sleep() {
    survives(&format!("destroy {}", 100 * factor()), &[]);
}

#[test]
fn the_slots_of_a_small_ring_stay_as_many() {
    survives_on("kernel", &format!("slots {}", 100_000 * factor()), &[]);
    // Here all slots of the ring are used in each round, and each is a call.
    survives_on("io_uring", &format!("slots {}", 10_000 * factor()), &[]);
}

#[test]
fn more_contexts_than_the_table_has_places() {
    survives("many 1500", &[]);
}

#[test]
fn the_stress_holds_for_the_kernel_alone_too() {
    // A crew on the kernel's own exclusion, which says that the test itself asks nothing wrong.
    survives("crew 2 4 0 50 1 1 200000 64", &[("LIBAIO_REAP", "syscall")]);
}

#[test]
fn an_event_that_is_doubled_or_lost_is_noticed() {
    for (inject, told) in [("double", "an event came twice"), ("lose", "events were lost")] {
        let ran = stress("crew 2 2 0 0 0 0 100000 64", &[("STRESS_INJECT", inject)]);
        assert_eq!(ran.status, 1, "{inject}");
        assert!(ran.stderr.contains(told), "{inject}: {}", ran.stderr);
    }
}
