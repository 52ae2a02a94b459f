//! The engine that makes contexts of io_uring (`LIBAIO_ENGINE=io_uring`): what it does beyond the
//! kernel's AIO, what it must not leave behind, and where it gives way. The programs are in
//! `c-tests/uring/`; the C tests, the stress and the interruptions run on it too.

mod common;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::{AioLock, Ran, build, c_compiler, compile, limited, must, root, run, scratch};

const URING: (&str, &str) = ("LIBAIO_ENGINE", "io_uring");

fn run_with(name: &str, variables: &[(&str, &str)]) -> Ran {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), &format!("c-tests/{name}.c"), &[]);
    let mut program = limited(binary);
    program.current_dir(folder.path()).env("LD_LIBRARY_PATH", build());
    run(program.envs(variables.iter().copied()))
}

/// Holds under this engine, and is no matter of course: the kernel's AIO does otherwise.
fn holds_here_alone(name: &str) {
    let name = format!("uring/{name}");
    let ran = run_with(&name, &[URING]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name}");
    let mut twin = limited("timeout");
    let folder = scratch();
    let binary = compile(folder.path(), &format!("c-tests/{name}.c"), &[]);
    let _lock = AioLock::shared();
    twin.args(["--signal=KILL", "3"]).arg(binary).current_dir(folder.path());
    assert_ne!(run(twin.env("LD_LIBRARY_PATH", build())).status, 0, "{name} on the kernel's AIO");
}

/// Holds under either engine.
fn holds(name: &str) {
    for variables in [&[URING][..], &[]] {
        let ran = run_with(name, variables);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name} {variables:?}");
    }
}

const AS_LIBRARY: [&str; 2] = ["-shared", "-fPIC"];

fn archive() -> OsString {
    build().join("libaio.a").into()
}

/// A program or library of `c-tests/uring/`, without the shared library; `last` ends the command.
fn compile_without(folder: &Path, name: &str, last: impl IntoIterator<Item = OsString>) -> PathBuf {
    let to = folder.join(name);
    let mut cc = c_compiler();
    cc.current_dir(root()).args(["-I", "include", "-I", "c-tests", "-pthread", "-o"]).arg(&to);
    must(cc.arg(format!("c-tests/uring/{name}.c")).args(last));
    to
}

/// [`holds`] where `libaio.a` is linked in.
fn holds_linked_in(name: &str, before: Option<OsString>) {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile_without(folder.path(), name, before.into_iter().chain([archive()]));
    for variables in [&[URING][..], &[]] {
        let mut program = limited(&binary);
        program.current_dir(folder.path()).envs(variables.iter().copied());
        let ran = run(&mut program);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name} {variables:?}");
    }
}

#[test]
fn an_empty_pipe_does_not_block_the_submitter() {
    holds_here_alone("an_empty_pipe_does_not_block_the_submitter");
}

#[test]
fn contexts_are_limited_by_descriptors_alone() {
    holds_here_alone("contexts_are_limited_by_descriptors_alone");
}

#[test]
fn an_eventfd_wakes_who_reads_the_ring() {
    // The kernel's ring has the kernel's magic number.
    holds_here_alone("an_eventfd_wakes_who_reads_the_ring");
}

#[test]
fn full_beside_a_ring_that_nobody_reads() {
    // The kernel counts free slots by processor: fewer than the ring has.
    holds_here_alone("full_beside_a_ring_that_nobody_reads");
}

#[test]
fn destroy_leaves_nothing() {
    // The kernel's AIO needs no thread for eventfds.
    holds_here_alone("destroy_leaves_nothing");
}

#[test]
fn child_keeps_no_descriptor() {
    holds_here_alone("child_keeps_no_descriptor");
}

#[test]
fn a_forks_handler_makes_a_context() {
    holds("uring/a_forks_handler_makes_a_context");
}

#[test]
fn closed_descriptors_end_a_wait() {
    holds_here_alone("closed_descriptors_end_a_wait");
}

#[test]
fn what_cannot_be_submitted_is_not_waited_for() {
    holds_here_alone("what_cannot_be_submitted_is_not_waited_for");
}

#[test]
fn the_numbers_of_a_daemon_stay_free() {
    holds("uring/the_numbers_of_a_daemon_stay_free");
}

#[test]
fn a_refused_call_leaves_nothing_behind() {
    holds("uring/a_refused_call_leaves_nothing_behind");
}

#[test]
fn several_wait_beside_an_ended_threads_polls() {
    holds("uring/several_wait_beside_an_ended_threads_polls");
}

#[test]
fn more_completions_than_a_queue_holds() {
    holds("uring/more_completions_than_a_queue_holds");
}

#[test]
fn a_thread_ends_beside_a_full_queue() {
    holds("uring/a_thread_ends_beside_a_full_queue");
}

#[test]
fn exit_waits_for_reads() {
    holds("uring/exit_waits_for_reads");
}

#[test]
fn exit_waits_for_writes() {
    holds("uring/exit_waits_for_writes");
}

#[test]
fn destroy_beside_the_first_eventfd() {
    // (The kernel's AIO takes longer for each context than so many can be waited for.)
    let ran = run_with("uring/destroy_beside_the_first_eventfd", &[URING]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_closed_descriptor_is_the_programs_again() {
    let ran = run_with("uring/a_closed_descriptor_is_the_programs_again", &[URING]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_destructor_submits() {
    holds("uring/a_destructor_submits");
    // Where the library is linked in, its end is one of the program's own.
    for kind in [None, Some("-static")] {
        holds_linked_in("a_destructor_submits", kind.map(OsString::from));
    }
}

#[test]
fn exit_beside_who_syncs() {
    holds("uring/exit_beside_who_syncs");
}

#[test]
fn exit_beside_who_submits() {
    holds("uring/exit_beside_who_submits");
}

/// [`holds`] beside a library whose destructor comes after this library's end.
fn holds_beside(name: &str, library: &str) {
    let folder = scratch();
    let library = compile_without(folder.path(), library, AS_LIBRARY.map(OsString::from));
    holds_linked_in(name, Some(library.into()));
}

#[test]
fn a_later_destructor_joins_who_submits() {
    holds_beside("a_later_destructor_joins_who_submits", "joins_at_its_end");
}

#[test]
fn a_later_destructor_submits() {
    holds_beside("a_later_destructor_submits", "submits_at_its_end");
}

#[test]
fn exit_beside_a_held_fsync() {
    holds_beside("exit_beside_a_held_fsync", "joins_at_its_end");
}

#[test]
fn a_lost_eventfd_is_made_anew() {
    holds("uring/a_lost_eventfd_is_made_anew");
}

#[test]
fn submitters_at_the_limit() {
    holds("uring/submitters_at_the_limit");
}

#[test]
fn a_childs_epolls_are_its_own() {
    holds("uring/a_childs_epolls_are_its_own");
}

#[test]
fn exit_in_a_handler() {
    holds("uring/exit_in_a_handler");
}

#[test]
fn exit_beside_more_than_a_queue_holds() {
    holds("uring/exit_beside_more_than_a_queue_holds");
}

#[test]
fn an_object_is_unloaded_beside_a_threads_end() {
    loads_an_object("an_object_is_unloaded_beside_a_threads_end");
}

#[test]
fn an_object_is_unloaded() {
    loads_an_object("an_object_is_unloaded");
}

/// [`holds`] of a program that loads and unloads an object with the library linked in.
fn loads_an_object(name: &str) {
    let _lock = AioLock::shared();
    let folder = scratch();
    let last = AS_LIBRARY.map(OsString::from).into_iter().chain([archive()]);
    let object = compile_without(folder.path(), "uses_a_context", last);
    // The program must not have the library by itself: the object would call that one.
    let binary = compile_without(folder.path(), name, None);
    for variables in [&[URING][..], &[]] {
        let mut program = limited(&binary);
        program.arg(&object);
        let ran = run(program.envs(variables.iter().copied()));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{variables:?}");
        program.current_dir(folder.path()).env("LIBAIO_STATS", "report");
        let ran = run(program.env("LIBAIO_STATS_SIGNAL", "USR1"));
        assert_eq!(ran.status, 0, "{variables:?} {}", ran.stderr);
    }
}

#[test]
fn who_wants_fewer_is_woken_first() {
    let ran = run_with("uring/who_wants_fewer_is_woken_first", &[URING]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn requests_outlive_their_thread() {
    holds("uring/requests_outlive_their_thread");
}

#[test]
fn who_sleeps_wakes_when_the_first_eventfd_comes() {
    holds("uring/who_sleeps_wakes_when_the_first_eventfd_comes");
}

#[test]
fn who_is_about_to_sleep_wakes_when_the_first_eventfd_comes() {
    holds("uring/who_is_about_to_sleep_wakes_when_the_first_eventfd_comes");
}

#[test]
fn destroy_wakes_who_is_about_to_sleep() {
    holds("uring/destroy_wakes_who_is_about_to_sleep");
}

#[test]
fn requests_that_were_taken_are_not_waited_for() {
    holds("uring/requests_that_were_taken_are_not_waited_for");
}

#[test]
fn a_number_that_is_used_again_loses_no_request() {
    holds("uring/a_number_that_is_used_again_loses_no_request");
}

#[test]
fn with_no_descriptor_left_an_empty_pipe_is_eagain() {
    holds("uring/with_no_descriptor_left_an_empty_pipe_is_eagain");
}

#[test]
fn a_files_locks_are_kept() {
    holds("uring/a_files_locks_are_kept");
}

#[test]
fn a_thread_ends_beside_who_takes() {
    holds_here_alone("a_thread_ends_beside_who_takes");
}

#[test]
fn what_waits_for_a_pipe_ends_with_the_context() {
    holds_here_alone("what_waits_for_a_pipe_ends_with_the_context");
}

#[test]
fn a_poll_goes_on_after_two_threads() {
    holds_here_alone("a_poll_goes_on_after_two_threads");
}

#[test]
fn a_second_thread_comes() {
    holds("uring/a_second_thread_comes");
}

#[test]
fn one_of_two_wakes_and_the_other_comes() {
    holds("uring/one_of_two_wakes_and_the_other_comes");
}

#[test]
fn who_polls_counts_as_a_thread() {
    holds_here_alone("who_polls_counts_as_a_thread");
}

#[test]
fn old_requests_beside_a_second_thread() {
    holds("uring/old_requests_beside_a_second_thread");
}

#[test]
fn no_descriptor_for_a_second_thread() {
    holds("uring/no_descriptor_for_a_second_thread");
}

#[test]
fn destroy_beside_those_who_submit() {
    holds("uring/destroy_beside_those_who_submit");
}

#[test]
fn signals_do_not_cancel() {
    holds("uring/signals_do_not_cancel");
}

#[test]
fn destroy_is_no_cancellation_point() {
    holds("uring/destroy_is_no_cancellation_point");
}

#[test]
fn threads_may_begin_with_many_variables() {
    holds("uring/threads_may_begin_with_many_variables");
}

#[test]
fn handlers_submit() {
    holds("uring/handlers_submit");
}

#[test]
fn ready_events_need_no_system_call() {
    let ran = run_with("ring/ready_events_need_no_system_call", &[URING]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn watching_finds_what_comes_soon() {
    let spin = ("LIBAIO_SPIN_US", "1000000");
    let ran = run_with("ring/watching_finds_what_comes_soon", &[URING, spin]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    // The twin: without it the call sleeps in the kernel.
    assert_eq!(run_with("ring/watching_finds_what_comes_soon", &[URING]).status, 1);
}

/// What strace logs of those system calls of a program of `c-tests/uring/`.
fn traced(name: &str, calls: &str) -> String {
    traced_with(name, &[], calls)
}

/// [`traced`], with arguments.
fn traced_with(name: &str, arguments: &[&str], calls: &str) -> String {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), &format!("c-tests/uring/{name}.c"), &[]);
    let log = folder.path().join("strace");
    let mut strace = limited("strace");
    strace.args(["-f", "-e", &format!("trace={calls}"), "-o"]).arg(&log);
    strace.arg(binary).args(arguments);
    must(strace.env("LD_LIBRARY_PATH", build()).env(URING.0, URING.1));
    std::fs::read_to_string(log).expect("strace's log")
}

#[test]
fn one_call_submits_a_batch() {
    let log = traced("one_call_submits_a_batch", "io_uring_enter,io_submit");
    // 100 batches, whose completions are there when the call returns; and one for the thread's worker.
    assert_eq!(log.matches("io_uring_enter(").count(), 101);
    assert_eq!(log.matches(", 64, 0, 0, NULL").count(), 100, "{log}");
    assert_eq!(log.matches("io_submit(").count(), 0);
}

#[test]
fn a_child_asks_about_its_parents_descriptors_alone() {
    let log = traced("child_keeps_no_descriptor", "readlinkat");
    // The two contexts', in each child; not the table's thousands of places.
    let asked = log.matches("thread-self").count();
    assert!((2..40).contains(&asked), "{log}");
}

#[test]
fn requests_share_an_eventfd() {
    let calls = "io_uring_enter,epoll_ctl,readlinkat,fcntl,ppoll";
    let log = traced_with("one_call_submits_a_batch", &["eventfd"], calls);
    let count = |call: &str| log.matches(&format!("{call}(")).count();
    // 100 batches, each of which asks with every 16 whether the number is still the same eventfd's, once more where no
    // request in flight has a descriptor of it; and the first one whether it is one, and what will tell is given it.
    assert_eq!(log.matches(", 64, 0, 0, NULL").count(), 100, "{log}");
    assert!((401..=501).contains(&count("epoll_ctl")), "{log}");
    assert_eq!(count("readlinkat"), 1, "{log}");
    assert!(count("fcntl") < 2 * 100 + 20, "{log}");
    // The pump looks once for several whether there is room in the eventfd.
    assert!((100..3200).contains(&count("ppoll")), "{log}");
}

#[test]
fn a_vforked_child_exits() {
    let log = traced("a_vforked_child_exits", "io_uring_setup");
    // To find out, the context's, and one for the thread's worker: it is made once.
    assert_eq!(log.matches("io_uring_setup(").count(), 3, "{log}");
}

#[test]
fn destroy_waits_for_nothing_else() {
    let log = traced("destroy_waits_for_nothing_else", "io_uring_enter");
    // (The pump looks again in a while; it has another number.)
    let destroyer = log.split_whitespace().next().expect("a call");
    let waits = |line: &&str| line.contains("IORING_ENTER_EXT_ARG") && line.starts_with(destroyer);
    assert_ne!(log.matches("io_uring_enter(").count(), 0);
    assert_eq!(log.lines().filter(waits).count(), 0, "{log}");
}

/// The engine gives way to the kernel's AIO, and says so in one line.
fn gives_way(ran: &Ran, reason: &str) {
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.starts_with("libaio-rs: LIBAIO_ENGINE=io_uring is ignored: "));
    assert!(ran.stderr.contains(reason), "{}", ran.stderr);
}

#[test]
fn without_io_uring_the_kernel_engine_serves() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let without = compile(folder.path(), "conformance/without_io_uring.c", &[]);
    let binary = compile(folder.path(), "c-tests/behaviour/pread_reads_the_bytes.c", &[]);
    let mut program = limited(without);
    program.arg(binary).current_dir(folder.path()).env("LD_LIBRARY_PATH", build());
    gives_way(&run(program.env(URING.0, URING.1)), "no io_uring");
}

#[test]
fn who_takes_events_by_system_call_is_served_by_the_kernel_engine() {
    let program = "uring/reads_by_system_call";
    gives_way(&run_with(program, &[URING]), "by system call");
    let ran = run_with(program, &[]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn what_a_library_takes_is_none_of_the_programs_events() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let library = "c-tests/uring/library_of_its_own_contexts.c";
    let library = compile(folder.path(), library, &["-shared", "-fPIC"]);
    let run_with = |name: &str, variables: &[(&str, &str)]| {
        let binary = compile(folder.path(), &format!("c-tests/uring/{name}.c"), &[]);
        let mut program = limited(binary);
        program.current_dir(folder.path()).env("LD_LIBRARY_PATH", build());
        run(program.env("LD_PRELOAD", &library).envs(variables.iter().copied()))
    };
    gives_way(&run_with("reads_by_system_call", &[URING]), "by system call");
    // The twin: what makes the contexts takes the events.
    for variables in [&[URING][..], &[]] {
        let ran = run_with("leaves_it_to_a_library", variables);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{variables:?}");
    }
}

#[test]
fn who_imports_without_defining_is_looked_through_too() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let source = "c-tests/uring/reads_by_system_call_alone.c";
    // Only those that are no PIE define nothing at all.
    for extra in [&["-no-pie"][..], &["-no-pie", "-fno-plt", "-Wl,-z,now"], &["-fPIE", "-pie"]] {
        let binary = compile(folder.path(), source, extra);
        let mut program = limited(binary);
        program.current_dir(folder.path()).env("LD_LIBRARY_PATH", build());
        gives_way(&run(program.env(URING.0, URING.1)), "by system call");
    }
}

#[test]
fn who_takes_the_address_of_a_function_imports_it_too() {
    let _lock = AioLock::shared();
    let folder = scratch();
    for extra in ["-pie", "-no-pie"] {
        let binary = compile(folder.path(), "c-tests/uring/takes_an_address.c", &[extra]);
        let mut program = limited(binary);
        program.current_dir(folder.path()).env("LD_LIBRARY_PATH", build());
        let ran = run(program.env(URING.0, URING.1));
        assert_eq!((ran.stdout.trim(), ran.stderr.as_str()), ("1", ""), "{extra}");
    }
}

#[test]
fn under_valgrind_the_kernel_engine_serves() {
    let _lock = AioLock::shared();
    let folder = scratch();
    let binary = compile(folder.path(), "c-tests/behaviour/pread_reads_the_bytes.c", &["-g"]);
    let mut valgrind = limited("valgrind");
    valgrind.args(["-q", "--error-exitcode=99"]).arg(binary).current_dir(folder.path());
    valgrind.env("LD_LIBRARY_PATH", build());
    gives_way(&run(valgrind.env(URING.0, URING.1)), "Valgrind");
}
