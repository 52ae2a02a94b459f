//! The fast path, seen from outside: which calls make a system call, what the `LIBAIO_*` variables
//! do, and where the library steps aside. The programs are in `c-tests/ring/`.

mod common;

use std::path::Path;
use std::process::Command;

use common::{AioLock, Ran, build, compile, limited, must, run, scratch};

/// Runs a program of `c-tests/ring/` with some variables set.
fn run_ring(name: &str, variables: &[(&str, &str)]) -> Ran {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), &format!("c-tests/ring/{name}.c"), &[]);
    let mut program = limited(binary);
    program.env("LD_LIBRARY_PATH", build()).envs(variables.iter().copied());
    run(&mut program)
}

fn holds(name: &str, variables: &[(&str, &str)]) {
    let ran = run_ring(name, variables);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

const EVERY_CALL: &str = "every_call_is_a_system_call";
const NO_CALL: &str = "ready_events_need_no_system_call";

#[test]
fn ready_events_need_no_system_call() {
    holds(NO_CALL, &[]);
    holds(NO_CALL, &[("LIBAIO_REAP", "ring")]);
    holds(NO_CALL, &[("LIBAIO_REAP", "ring"), ("LIBAIO_SPIN_US", "0")]);
}

#[test]
fn what_user_space_cannot_answer_goes_to_the_kernel() {
    holds("what_user_space_cannot_answer_goes_to_the_kernel", &[]);
}

#[test]
fn reap_by_syscall_makes_every_call_a_system_call() {
    holds(EVERY_CALL, &[("LIBAIO_REAP", "syscall")]);
    // The twins: each program fails in the other mode.
    assert_eq!(run_ring(EVERY_CALL, &[]).status, 1);
    assert_eq!(run_ring(NO_CALL, &[("LIBAIO_REAP", "syscall")]).status, 1);
}

#[test]
fn a_loop_over_ready_events_makes_no_io_getevents_call_under_strace() {
    // The same by another witness, without a filter: strace counts. The events are of polls that
    // are ready when they are submitted: a read may have to wait for its file, cached or not.
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), "c-tests/ring/ready_events_in_a_loop.c", &[]);
    let calls = |reap: &str| {
        let log = folder.path().join(reap);
        let mut strace = limited("strace");
        strace.args(["-f", "-e", "trace=io_getevents,io_pgetevents,io_submit", "-o"]).arg(&log);
        strace.arg(&binary).current_dir(folder.path());
        must(strace.env("LD_LIBRARY_PATH", build()).env("LIBAIO_REAP", reap));
        let log = std::fs::read_to_string(log).expect("strace's log");
        // io_setup asks the kernel too, once, whether the context is there.
        let (_, loops) = log.split_once("io_submit(").expect("io_submit in strace's log");
        loops.matches("getevents(").count()
    };
    assert_eq!((calls("ring"), calls("syscall") > 0), (0, true));
}

#[test]
fn watching_finds_what_comes_soon() {
    holds("watching_finds_what_comes_soon", &[("LIBAIO_SPIN_US", "1000000")]);
    // The twin: without it the call sleeps in the kernel.
    assert_eq!(run_ring("watching_finds_what_comes_soon", &[]).status, 1);
}

#[test]
fn a_signal_ends_the_watching() {
    holds("a_signal_ends_the_watching", &[("LIBAIO_SPIN_US", "1000000")]);
}

#[test]
fn watching_stops_where_it_does_not_pay() {
    holds("watching_stops_where_it_does_not_pay", &[("LIBAIO_SPIN_US", "5000")]);
    holds("watching_stops_where_nothing_comes", &[("LIBAIO_SPIN_US", "5000")]);
}

#[test]
fn a_wrong_value_is_told_in_one_line_and_ignored() {
    let reap = "takes ring or syscall\n";
    let spin = "takes 0 to 1000000, in microseconds\n";
    let long = "x".repeat(400);
    let endless = "x".repeat(1024);
    let signal = "takes USR1, USR2 or a number\n";
    let engine = "takes kernel or io_uring\n";
    let cases = [
        ("LIBAIO_ENGINE", "uring", engine),
        ("LIBAIO_ENGINE", "", engine),
        ("LIBAIO_REAP", "", reap),
        ("LIBAIO_REAP", "Ring", reap),
        ("LIBAIO_REAP", "ring ", reap),
        ("LIBAIO_SPIN_US", "", spin),
        ("LIBAIO_SPIN_US", "-1", spin),
        ("LIBAIO_SPIN_US", "+1", spin),
        ("LIBAIO_SPIN_US", "10us", spin),
        ("LIBAIO_SPIN_US", "1000001", spin),
        ("LIBAIO_SPIN_US", "99999999999999999999", spin),
        ("LIBAIO_SPIN_US", long.as_str(), "\n"),
        ("LIBAIO_STATS", "", "takes 0, 1 or a file name\n"),
        ("LIBAIO_STATS", endless.as_str(), "\n"),
        ("LIBAIO_STATS_FORMAT", "JSON", "takes text or json\n"),
        ("LIBAIO_STATS_SIGNAL", "", signal),
        ("LIBAIO_STATS_SIGNAL", "SIGUSR2", signal),
        ("LIBAIO_STATS_SIGNAL", "0", signal),
        ("LIBAIO_STATS_SIGNAL", "9", signal),
        ("LIBAIO_STATS_SIGNAL", "11", signal),
        ("LIBAIO_STATS_SIGNAL", "65", signal),
    ];
    for (variable, value, takes) in cases {
        let ran = run_ring(NO_CALL, &[(variable, value)]);
        assert_eq!(ran.status, 0, "{variable}={value}: {}", ran.stderr);
        let start = format!("libaio-rs: {variable}={}", &value[..value.len().min(100)]);
        assert!(ran.stderr.starts_with(&start), "{}", ran.stderr);
        assert!(ran.stderr.ends_with(takes), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_set_user_id_program_ignores_the_variables() {
    // Only root can make one for another user; make check says that it wants root.
    // SAFETY: geteuid has no precondition.
    let user = unsafe { libc::geteuid() };
    assert_eq!(user, 0, "this test makes a set-user-ID program: run it as root");
    let _lock = AioLock::shared();
    // In a folder that the other user can reach.
    let folder = tempfile::tempdir().expect("a folder");
    let open = Command::new("chmod").arg("755").arg(folder.path()).status().expect("chmod");
    assert!(open.success());
    let binary = compile(folder.path(), &format!("c-tests/ring/{NO_CALL}.c"), &["-static"]);
    let variables =
        [("LIBAIO_REAP", "syscall"), ("LIBAIO_SPIN_US", "nonsense"), ("LIBAIO_STATS", "1")];
    let as_other = |binary: &Path| {
        let mut program = limited("setpriv");
        program.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
        run(program.envs(variables))
    };
    // The twin: an ordinary program heeds them.
    let plain = as_other(&binary);
    assert_eq!(plain.status, 1);
    assert!(plain.stderr.contains("LIBAIO_SPIN_US=nonsense"), "{}", plain.stderr);
    assert!(plain.stderr.contains("statistics of process"), "{}", plain.stderr);

    must(Command::new("chmod").arg("4755").arg(&binary));
    let secure = as_other(&binary);
    assert_eq!((secure.status, secure.stderr.as_str()), (0, ""));
}

#[test]
fn memcheck_has_nothing_to_say_of_a_clean_program() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let memcheck = |source: &str| {
        let binary = compile(folder.path(), source, &["-g", "-O0"]);
        let mut valgrind = limited("valgrind");
        valgrind.args(["--error-exitcode=99", "--leak-check=full", "-q"]).arg(binary);
        run(valgrind.current_dir(folder.path()).env("LD_LIBRARY_PATH", build()))
    };
    for source in [
        "c-tests/behaviour/pread_reads_the_bytes.c",
        "c-tests/behaviour/preadv_fills_the_buffers_in_order.c",
    ] {
        let ran = memcheck(source);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{source}");
    }
    // Memcheck knows the buffers from the system call: every call must be one.
    let binary = compile(folder.path(), "c-tests/ring/memcheck_sees_the_buffer.c", &["-g", "-O0"]);
    let mut valgrind = limited("valgrind");
    valgrind.args(["--error-exitcode=99", "-q"]).arg(binary);
    let ran = run(valgrind.env("LD_LIBRARY_PATH", build()));
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    // The twin: it does see what nobody filled.
    assert_eq!(memcheck("c-tests/ring/reads_what_nobody_filled.c").status, 99);
}
