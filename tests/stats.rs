//! `LIBAIO_STATS`: what is counted, what the reports say, where they go, and what it costs where nobody
//! asks for it. The programs are in `c-tests/stats/`.

mod common;

use std::fs;
use std::path::Path;

use common::{AioLock, Ran, build, compile, limited, run, scratch};
use serde_json::{Value, json};

const ENGINES: [&str; 2] = ["kernel", "io_uring"];

/// A program of `c-tests/stats/` in a folder of its own, run by `sh -c` as `"$0"`.
struct Program {
    _lock: AioLock,
    folder: tempfile::TempDir,
    binary: std::path::PathBuf,
}

impl Program {
    fn new(name: &str, extra: &[&str]) -> Program {
        let folder = scratch();
        let binary = compile(folder.path(), &format!("c-tests/stats/{name}.c"), extra);
        Program { _lock: AioLock::shared(), folder, binary }
    }

    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Ran {
        let mut shell = limited("sh");
        shell.args(["-c", script]).arg(&self.binary).current_dir(self.folder.path());
        run(shell.env("LD_LIBRARY_PATH", build()).envs(variables.iter().copied()))
    }

    /// Runs it with JSON on stderr: the reports.
    fn reports(&self, variables: &[(&str, &str)]) -> Vec<Value> {
        let json = [("LIBAIO_STATS", "1"), ("LIBAIO_STATS_FORMAT", "json")];
        let ran = self.run("exec \"$0\"", &[&json, variables].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        parsed(&ran.stderr)
    }

    fn files(&self) -> Vec<(String, String)> {
        let read = |path: &Path| fs::read_to_string(path).expect("a readable file");
        let mut files: Vec<_> = fs::read_dir(self.folder.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path != &self.binary)
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(&path)))
            .collect();
        files.sort();
        files
    }
}

/// Each line is a report, whole and well-formed.
fn parsed(lines: &str) -> Vec<Value> {
    assert!(lines.is_empty() || lines.ends_with('\n'));
    lines.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What a report says of `section`, but for times, which are as they are.
fn section<'a>(report: &'a Value, section: &str) -> &'a Value {
    let value = &report[section];
    assert!(value.is_object(), "{section} in {report}");
    value
}

fn number(report: &Value, section: &str, name: &str) -> u64 {
    report[section][name].as_u64().unwrap_or_else(|| panic!("{section}.{name} in {report}"))
}

fn calls_for_events(report: &Value) -> u64 {
    ["ring", "spin", "kernel"].iter().map(|name| number(report, "getevents", name)).sum()
}

#[test]
fn a_known_workload_is_counted_exactly() {
    let program = Program::new("known_workload", &[]);
    for engine in ENGINES {
        let reports = program.reports(&[("LIBAIO_ENGINE", engine)]);
        let [ended, left, other, all] = &reports[..] else { panic!("{reports:?}") };
        let heads: Vec<_> =
            reports.iter().map(|r| (r["at"].as_str(), r["engine"].as_str())).collect();
        let of = |at, engine| (Some(at), Some(engine));
        let expected =
            [of("destroy", engine), of("exit", engine), of("exit", "none"), of("exit", engine)];
        assert_eq!(heads, expected);
        assert_eq!((&other["context"], &all["context"]), (&json!("other"), &json!("all")));
        assert!(ended["context"].as_str().is_some_and(|address| address.starts_with("0x")));
        assert_eq!(reports.iter().filter(|r| r["pid"] == ended["pid"]).count(), 4);

        assert_eq!(ended["contexts"], json!({"made": 1, "maxevents": 8}));
        let operations = json!({
            "pread": 7, "pwrite": 1, "fsync": 1, "fdsync": 1, "other": 0, "poll": 7, "noop": 0,
            "preadv": 1, "pwritev": 1,
        });
        assert_eq!(section(ended, "operations"), &operations);
        assert_eq!(number(ended, "submit", "calls"), 17);
        assert_eq!(number(ended, "submit", "iocbs"), 19);
        let bytes = json!({
            "read_asked": 6 * 4096 + 300 + 4096, "write_asked": 1100,
            "transferred": 5 * 4096 + 96 + 1000 + 300 + 100,
        });
        assert_eq!(section(ended, "bytes"), &bytes);
        assert_eq!(calls_for_events(ended), 17);
        // The one that waits for nothing, at the least; the one that does not wait is not.
        assert!((1..=16).contains(&number(ended, "getevents", "kernel")), "{ended}");
        assert!(number(ended, "getevents_in_kernel", "max_ns") >= 1_000_000, "{ended}");
        assert_eq!(section(ended, "events"), &json!({"taken": 19, "most_in_flight": 4}));
        assert_eq!(section(ended, "cancel"), &json!({"calls": 2, "cancelled": 1}));
        assert_eq!(section(ended, "call_errors"), &json!({"EBADF": 1, "EINVAL": 2}));
        assert_eq!(section(ended, "event_errors"), &json!({"EFAULT": 1}));
        let times = |name| number(ended, "submit", name);
        assert!(times("p50_ns") > 0 && times("p50_ns") <= times("p99_ns"), "{ended}");
        assert!(times("p99_ns") <= times("max_ns"), "{ended}");

        assert_eq!(section(left, "getevents"), &json!({"ring": 10, "spin": 0, "kernel": 0}));
        assert_eq!(section(left, "events"), &json!({"taken": 10, "most_in_flight": 1}));
        assert_eq!(section(left, "call_errors"), &json!({}));
        assert_eq!(number(left, "contexts", "maxevents"), 3);
        assert_eq!(section(other, "call_errors"), &json!({"EINVAL": 2}));

        assert_eq!(all["contexts"], json!({"made": 2, "maxevents": 8}));
        assert_eq!(number(all, "submit", "calls"), 28);
        assert_eq!(number(all, "operations", "poll"), 17);
        assert_eq!(section(all, "events"), &json!({"taken": 29, "most_in_flight": 4}));
        assert_eq!(section(all, "call_errors"), &json!({"EBADF": 1, "EINVAL": 4}));
    }
}

#[test]
fn the_text_says_the_same() {
    // Statically linked too: there the end of the process is told in another way.
    for extra in [&[][..], &["-static"]] {
        let program = Program::new("known_workload", extra);
        let ran = program.run("exec \"$0\"", &[("LIBAIO_STATS", "1")]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let lines: Vec<_> = ran.stderr.lines().collect();
        let heads: Vec<_> = lines.iter().filter(|line| !line.starts_with("  ")).collect();
        assert_eq!(heads.len(), 4, "{}", ran.stderr);
        assert!(heads[0].starts_with("libaio-rs: statistics of process "));
        assert!(heads[0].contains(" at destroy, context 0x"), "{}", heads[0]);
        assert!(heads[0].ends_with(", engine kernel"), "{}", heads[0]);
        for line in [
            "  operations: pread 7, pwrite 1, fsync 1, fdsync 1, poll 7, preadv 1, pwritev 1",
            "  bytes: read asked 28972, write asked 1100, transferred 21976",
            "  events: taken 19, most in flight 4",
            "  cancel: calls 2, cancelled 1",
            "  call errors: EBADF 1, EINVAL 2",
            "  event errors: EFAULT 1",
            "  getevents: ring 10",
        ] {
            assert!(lines.contains(&line), "{line:?} in\n{}", ran.stderr);
        }
        assert!(lines.iter().any(|line| line.starts_with("  submit: calls 17, iocbs 19, p50 ")));
    }
}

#[test]
fn nothing_is_said_unasked() {
    let program = Program::new("known_workload", &[]);
    for variables in [&[][..], &[("LIBAIO_STATS", "0"), ("LIBAIO_STATS_FORMAT", "json")]] {
        let ran = program.run("exec \"$0\"", variables);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    }
    assert_eq!(program.files(), []);
}

#[test]
fn the_ring_is_not_the_kernel() {
    // The same calls, by the kernel: the twin of what the ring has answered.
    let program = Program::new("known_workload", &[]);
    let reports = program.reports(&[("LIBAIO_REAP", "syscall")]);
    assert_eq!(section(&reports[1], "getevents"), &json!({"ring": 0, "spin": 0, "kernel": 10}));
}

#[test]
fn threads_lose_no_count() {
    let program = Program::new("threads", &[]);
    for engine in ENGINES {
        let reports = program.reports(&[("LIBAIO_ENGINE", engine)]);
        assert_eq!(reports.len(), 6, "four of threads, one for all, and the process: {reports:?}");
        let all = &reports[5];
        assert_eq!(number(all, "submit", "calls"), 4000);
        assert_eq!(number(all, "operations", "poll"), 4000);
        assert_eq!(number(all, "events", "taken"), 4000);
        assert_eq!(number(all, "bytes", "transferred"), 0);
        assert_eq!(calls_for_events(all), 4000);
        assert!((1..=4).contains(&number(all, "events", "most_in_flight")), "{all}");
        assert_eq!(number(&reports[4], "submit", "calls"), 2000);
        for own in &reports[..4] {
            assert_eq!((&own["at"], number(own, "submit", "iocbs")), (&json!("destroy"), 500));
        }
    }
}

#[test]
fn reports_on_request_beside_threads_at_work_are_whole() {
    let program = Program::new("threads", &[]);
    for engine in ENGINES {
        let variables = [("LIBAIO_ENGINE", engine), ("LIBAIO_STATS_SIGNAL", "USR2")];
        let json = [("LIBAIO_STATS", "1"), ("LIBAIO_STATS_FORMAT", "json")];
        let ran = program.run("exec \"$0\" signals", &[&json[..], &variables].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let reports = parsed(&ran.stderr);
        let asked = reports.iter().filter(|r| r["at"] == "signal" && r["context"] == "all");
        let mut before = 0;
        for report in asked {
            // A context that ends at that moment may be in none of the sums.
            before = number(report, "submit", "iocbs").max(before);
            assert!(number(report, "events", "taken") <= 4000, "{report}");
        }
        let all = reports.last().expect("a report");
        assert_eq!((&all["at"], &all["context"]), (&json!("exit"), &json!("all")));
        assert!(reports.len() > 6, "nobody asked");
        assert!(before <= 4000 && number(all, "submit", "iocbs") == 4000, "{before}, {all}");
        assert_eq!(number(all, "events", "taken"), 4000);
        assert_eq!(number(all, "submit", "calls"), 4000);
        assert!((1..=4).contains(&number(all, "events", "most_in_flight")), "{all}");
    }
}

#[test]
fn contexts_that_the_library_did_not_make_are_counted_together() {
    let program = Program::new("raw_calls", &[]);
    for engine in ENGINES {
        let reports = program.reports(&[("LIBAIO_ENGINE", engine)]);
        let [other, all] = &reports[..] else { panic!("{reports:?}") };
        let heads = [other, all].map(|r| (r["context"].clone(), r["engine"].clone()));
        assert_eq!(heads, [json!("other"), json!("all")].map(|context| (context, json!("none"))));
        for report in [other, all] {
            assert_eq!(number(report, "submit", "calls"), 5);
            assert_eq!(number(report, "submit", "iocbs"), 3);
            assert_eq!(number(report, "operations", "poll"), 2);
            assert_eq!(number(report, "operations", "pread"), 1);
            assert_eq!(number(report, "bytes", "read_asked"), 512);
            // By the system call nobody saw them taken.
            assert_eq!(section(report, "events"), &json!({"taken": 1, "most_in_flight": 2}));
            assert_eq!(section(report, "getevents"), &json!({"ring": 0, "spin": 0, "kernel": 1}));
            assert_eq!(section(report, "call_errors"), &json!({"EINVAL": 3}));
        }
    }
}

#[test]
fn contexts_that_went_by_system_call_are_in_the_sum() {
    let program = Program::new("raw_calls", &[]);
    let json = [("LIBAIO_STATS", "1"), ("LIBAIO_STATS_FORMAT", "json")];
    let ran = program.run("exec \"$0\" gone", &json);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let reports = parsed(&ran.stderr);
    // One of each, or one where the second has the first one's address.
    assert!((2..=3).contains(&reports.len()), "{reports:?}");
    let all = reports.last().expect("a report");
    assert_eq!(section(all, "contexts"), &json!({"made": 2, "maxevents": 3}));
    assert_eq!((number(all, "submit", "iocbs"), number(all, "events", "taken")), (5, 5));
}

#[test]
fn contexts_without_room_for_counters_are_counted_together() {
    let program = Program::new("many_contexts", &[]);
    let reports = program.reports(&[]);
    let (all, others) = reports.split_last().expect("reports");
    let (other, own) = others.split_last().expect("a report of the others");
    assert_eq!((&other["context"], &other["engine"]), (&json!("other"), &json!("kernel")));
    assert!((1..=1024).contains(&own.len()), "{}", own.len());
    assert_eq!(number(other, "contexts", "made") as usize, 1300 - own.len());
    for (section, name) in [("contexts", "made"), ("submit", "iocbs"), ("events", "taken")] {
        assert!(own.iter().all(|report| number(report, section, name) == 1), "{section}.{name}");
        assert_eq!(number(other, section, name) as usize, 1300 - own.len());
        assert_eq!(number(all, section, name), 1300);
    }
}

#[test]
fn a_program_that_becomes_another_loses_what_was_not_reported() {
    let program = Program::new("becomes_another", &[]);
    for engine in ENGINES {
        let folder = program.folder.path();
        fs::create_dir(folder.join("folder")).expect("a folder");
        // A name that is no format.
        let variables = [("LIBAIO_STATS", "%s%n"), ("LIBAIO_ENGINE", engine)];
        let json = ("LIBAIO_STATS_FORMAT", "json");
        let ran = program.run("echo $$; exec \"$0\"", &[&variables[..], &[json]].concat());
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        let name = format!("%s%n.{}", ran.stdout.trim());
        // Where it was at its first call.
        let before = fs::read_to_string(folder.join(&name)).expect("the first file");
        let after = fs::read_to_string(folder.join("folder").join(&name)).expect("the second");
        let did = |text: &str| {
            let did = parsed(text).into_iter();
            did.map(|r| (r["at"].clone(), number(&r, "submit", "iocbs"))).collect::<Vec<_>>()
        };
        assert_eq!(did(&before), [(json!("destroy"), 1)]);
        assert_eq!(did(&after), [(json!("exit"), 2), (json!("exit"), 2)]);
        fs::remove_file(folder.join(&name)).expect("removed");
        fs::remove_dir_all(folder.join("folder")).expect("removed");
    }
}

#[test]
fn a_context_at_the_address_of_another_begins_anew() {
    let program = Program::new("reuses_an_address", &[]);
    for engine in ENGINES {
        let reports = program.reports(&[("LIBAIO_ENGINE", engine)]);
        let iocbs: Vec<_> = reports.iter().map(|r| number(r, "submit", "iocbs")).collect();
        assert_eq!(iocbs, [3, 2, 5]);
        assert_eq!(number(&reports[1], "events", "taken"), 2);
        assert_eq!(section(&reports[2], "contexts"), &json!({"made": 2, "maxevents": 2}));
    }
}

#[test]
fn each_process_has_a_file_of_what_it_did() {
    let program = Program::new("forks", &[]);
    for engine in ENGINES {
        let file = format!("stats-{engine}");
        let json = ("LIBAIO_STATS_FORMAT", "json");
        let variables = [("LIBAIO_STATS", file.as_str()), ("LIBAIO_ENGINE", engine), json];
        let ran = program.run("exec \"$0\"", &variables);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        let pid = |name: &str| {
            let line = ran.stdout.lines().find_map(|line| line.strip_prefix(name));
            line.expect("who is who").trim().to_owned()
        };
        let of = |name: &str| {
            program.files().into_iter().find(|(n, _)| *n == format!("{file}.{}", pid(name)))
        };
        let did = |name: &str| {
            let reports = parsed(&of(name).unwrap_or_else(|| panic!("no file of {name}")).1);
            let did = reports.iter().map(|report| {
                assert_eq!(report["pid"].to_string(), pid(name));
                let at = report["at"].as_str().expect("a string").to_owned();
                (at, number(report, "submit", "iocbs"))
            });
            did.collect::<Vec<_>>()
        };
        let exit = |n| ("exit".to_owned(), n);
        assert_eq!(did("parent"), [exit(4), exit(4)]);
        assert_eq!(did("counts"), [exit(2), exit(2)]);
        assert_eq!(did("hurries"), [("destroy".to_owned(), 4)]);
        assert_eq!(of("idles"), None);
    }
    assert_eq!(program.files().len(), 6);
}

#[test]
fn a_file_that_is_there_stays_as_it_is() {
    let program = Program::new("known_workload", &[]);
    // The shell's process is the program's.
    let script = "echo kept >stats.$$; echo kept >stats.$$.1; ln -s new stats.$$.2; exec \"$0\"";
    let ran = program.run(script, &[("LIBAIO_STATS", "stats")]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    // A link that leads nowhere is one, too, and still does.
    let folder = program.folder.path();
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
    let links: Vec<_> = entries.filter(|e| e.file_type().expect("a type").is_symlink()).collect();
    assert!(links.len() == 1 && !folder.join("new").exists(), "{links:?}");
    fs::remove_file(links[0].path()).expect("removed");
    let files = program.files();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!((files[0].1.as_str(), files[1].1.as_str()), ("kept\n", "kept\n"));
    assert!(files[2].0.ends_with(".3") && files[2].1.contains("events: taken 29"), "{files:?}");
}

#[test]
fn a_file_that_cannot_be_made_is_told_in_one_line() {
    let program = Program::new("known_workload", &[]);
    let ran = program.run("exec \"$0\"", &[("LIBAIO_STATS", "nowhere/stats")]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    let start = "libaio-rs: no statistics: cannot make nowhere/stats.";
    assert!(ran.stderr.starts_with(start), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(" (error 2)\n"), "{}", ran.stderr);
}

#[test]
fn a_signal_asks_for_a_report() {
    let program = Program::new("asked_by_signal", &[]);
    for (engine, signal) in [("kernel", "USR2"), ("io_uring", "12")] {
        let signal = ("LIBAIO_STATS_SIGNAL", signal);
        let reports = program.reports(&[("LIBAIO_ENGINE", engine), signal]);
        // The program ends by _exit, which nobody hears of.
        let asked: Vec<_> =
            reports.iter().map(|r| (r["at"].as_str(), number(r, "submit", "iocbs"))).collect();
        assert_eq!(asked, [(Some("signal"), 5), (Some("signal"), 5)]);
    }
    // The twins: without being told, the library leaves the signal alone, and it ends the program; where
    // the program handles it, too.
    let ran = program.run("exec \"$0\"", &[("LIBAIO_STATS", "1")]);
    assert_eq!((ran.status, ran.stderr.as_str()), (128 + libc::SIGUSR2, ""));
    let told = [("LIBAIO_STATS", "1"), ("LIBAIO_STATS_SIGNAL", "USR2")];
    let ran = program.run("exec \"$0\" itself", &told);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let line = "libaio-rs: LIBAIO_STATS_SIGNAL is ignored: the program uses that signal\n";
    assert_eq!(ran.stderr, line);
}

#[test]
fn a_report_that_nobody_reads_does_no_harm() {
    let program = Program::new("nobody_reads_stderr", &[]);
    assert_eq!(program.run("exec \"$0\"", &[("LIBAIO_STATS", "1")]).status, 0);
    // The twin: the program's own line ends it.
    assert_eq!(program.run("exec \"$0\" itself", &[]).status, 128 + libc::SIGPIPE);
}

#[test]
fn a_report_that_makes_a_file_too_large_does_no_harm() {
    let program = Program::new("file_may_not_grow", &[]);
    assert_eq!(program.run("exec \"$0\"", &[("LIBAIO_STATS", "stats")]).status, 0);
    let files = program.files();
    assert!(files.len() == 1 && files[0].1.len() == 100, "{files:?}");
    // The twin: what the program writes itself ends it.
    assert_eq!(program.run("exec \"$0\" itself", &[]).status, 128 + libc::SIGXFSZ);
}

#[test]
fn a_report_that_finds_no_room_does_not_stop_the_program() {
    let program = Program::new("stderr_is_full", &[]);
    let json = [("LIBAIO_STATS", "1"), ("LIBAIO_STATS_FORMAT", "json")];
    assert_eq!(program.run("exec timeout -s KILL 60 \"$0\"", &json).status, 0);
    // The twin: what comes after there is room again is there, and nothing else.
    let ran = program.run("exec timeout -s KILL 60 \"$0\" reads", &json);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let reports = parsed(&ran.stdout);
    let sizes: Vec<_> = reports.iter().map(|r| number(r, "contexts", "maxevents")).collect();
    assert_eq!(sizes, [2], "{}", ran.stdout);
}

#[test]
fn a_clock_that_jumps_gives_no_nonsense() {
    let program = Program::new("another_time", &[]);
    for engine in ENGINES {
        let reports = program.reports(&[("LIBAIO_ENGINE", engine)]);
        for report in &reports {
            // A program is not given two minutes.
            assert!(number(report, "submit", "max_ns") < 120_000_000_000, "{report}");
        }
        let of_child: Vec<_> = reports.iter().filter(|r| r["pid"] == reports[0]["pid"]).collect();
        assert_eq!(of_child.len(), 2);
        assert_eq!(number(of_child[1], "submit", "calls"), 1000);
    }
}

#[test]
fn a_file_of_the_programs_that_got_the_number_of_stderr_is_left_alone() {
    let program = Program::new("stderr_is_a_file", &[]);
    let content = |script| {
        let ran = program.run(script, &[("LIBAIO_STATS", "1")]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        let files = program.files();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].1.clone()
    };
    assert_eq!(content("exec \"$0\""), "");
    // The twins: a log, and what a shell makes of stderr.
    let log = content("exec \"$0\" log");
    assert!(log.contains(" at destroy, ") && log.contains(" at exit, "), "{log}");
    fs::remove_file(program.folder.path().join("file")).expect("removed");
    let program = Program::new("reuses_an_address", &[]);
    let ran = program.run("exec \"$0\" 2>log", &[("LIBAIO_STATS", "1")]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let log = &program.files()[0].1;
    assert_eq!(log.matches(" at destroy, ").count(), 2, "{log}");
}

#[test]
fn a_descriptor_that_the_program_took_is_left_alone() {
    // Also where it began with no stderr, whose number the file does not take.
    for script in ["exec \"$0\"", "exec \"$0\" stderr 2>&-"] {
        let program = Program::new("closes_all_descriptors", &[]);
        let ran = program.run(script, &[("LIBAIO_STATS", "stats")]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{script}");
        let files = program.files();
        assert_eq!((files.len(), files[0].1.as_str()), (1, ""), "{script}: {files:?}");
    }
}

/// The most instructions of an `io_getevents` that finds its one event in the ring, with nothing counted.
/// It was 144 before there were statistics and probes; two are for the probe: its `nop`, and the answer
/// as 64 bits.
#[cfg(target_arch = "x86_64")]
const BUDGET: u32 = 150;

#[test]
#[cfg(target_arch = "x86_64")]
fn the_fast_path_keeps_to_its_budget_where_nothing_is_counted() {
    let program = Program::new("instructions_of_getevents", &[]);
    let count = |stats: &str| {
        let ran = program.run("exec \"$0\"", &[("LIBAIO_STATS", stats)]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout.trim().parse::<u32>().expect("a number")
    };
    let off = count("0");
    println!("{off} instructions");
    assert!(off <= BUDGET, "{off} instructions");
    // The twin: counting costs some, and shows.
    let on = count("stats");
    assert!(on > BUDGET, "{on} instructions with statistics");
}
