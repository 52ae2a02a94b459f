//! Differential fuzzing: sequences of calls run on Debian's libaio, on the raw system calls and on
//! this library, and everything that a program could see is compared.
//!
//! ```sh
//! make conformance-fuzz                       # as in make check: the corpus, and 2 seeded minutes
//! make conformance-fuzz FUZZ_SECONDS=7200 FUZZ_SEED=random
//! make conformance-fuzz FUZZ_ENGINE=io_uring         # sequences for that engine alone
//! FUZZ_REPLAY=FILE cargo test --test differential    # what each implementation made of one
//! FUZZ_PERMITTED=1 cargo test --test differential    # what io_uring's contexts may do otherwise
//! ```
//!
//! The kernel's answer is the right one. Ours must give it in each of its modes, to the letter. The
//! original may differ from it in two ways, both of which this library is there to mend: it crashes,
//! for it reads the ring of any context that it is given; and where the timeout is zero and that
//! ring empty it answers 0 before it has looked at anything else ([`permitted`]). Ours may differ where
//! its contexts are made of io_uring, in what `permitted.rs` lists; half of the sequences keep clear of
//! that, and run in these modes.
//!
//! A difference is shrunk to a small sequence, and written to `build/differential/`. Once it is
//! understood and mended it goes to `tests/differential/corpus/`, where every run begins.

#[path = "../common/mod.rs"]
mod common;

mod calls;
mod permitted;
mod runner;
mod sequence;

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, mem};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use calls::{Calls, Damage, Implementation, Variables};
use runner::Runner;
use sequence::{Sequence, any_sequence};

/// Our library in each of its modes. A sequence that hands out memory which is not there runs in
/// the first alone.
const MODES: &[&[(&str, &str)]] =
    &[&[("LIBAIO_REAP", "syscall")], &[("LIBAIO_REAP", "ring")], &[("LIBAIO_SPIN_US", "50")]];

/// Our library with contexts made of io_uring. Sequences that keep clear of what these may do otherwise
/// (`permitted.rs`) run in these modes, and the others in those above.
const KERNEL: (&str, &str) = ("LIBAIO_ENGINE", "kernel");
const IO_URING: (&str, &str) = ("LIBAIO_ENGINE", "io_uring");
const IO_URING_MODES: &[&[(&str, &str)]] = &[&[IO_URING], &[IO_URING, ("LIBAIO_SPIN_US", "50")]];

/// Processes that work at the same time.
const WORKERS: u64 = 8;

/// For how long a difference is shrunk.
const SHRINKING: Duration = Duration::from_secs(40);

/// What came of a sequence on one implementation.
struct Trace {
    lines: Vec<String>,
    /// As `waitpid` tells it.
    status: i32,
    /// Whether it was ended at its first line that differs.
    cut: bool,
}

impl Trace {
    fn is_whole(&self) -> bool {
        let missing = |line: &String| line.contains(runner::MISSING);
        self.status == 0
            && self.lines.last().is_some_and(|l| l == "end")
            && !self.lines.iter().any(missing)
    }

    fn signal(&self) -> Option<i32> {
        libc::WIFSIGNALED(self.status).then(|| libc::WTERMSIG(self.status))
    }
}

/// How often the original answered what the kernel does not.
#[derive(Default)]
struct Original {
    crashed: u64,
    looked: u64,
}

/// Starts a sequence in a process of its own; its end of the pipe, and its number.
fn start(sequence: &Sequence, implementation: Implementation) -> (File, libc::pid_t) {
    let mut pipe = [0; 2];
    // SAFETY: room for two descriptors; and this process has one thread.
    let child = unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        libc::fork()
    };
    // SAFETY: the descriptors were made above, and have no other owner.
    let (reads, writes) = unsafe { (File::from_raw_fd(pipe[0]), File::from_raw_fd(pipe[1])) };
    if child != 0 {
        return (reads, child);
    }
    // SAFETY: for a sequence that hangs: seconds after which SIGALRM ends the process.
    unsafe { libc::alarm(20) };
    let [original, ours] = libraries();
    let calls = Calls::of(implementation, original, ours);
    let variables = match implementation {
        Implementation::Ours(variables) | Implementation::Wrong(_, variables) => Some(variables),
        Implementation::Raw | Implementation::Original => None,
    };
    let io_uring = variables.is_some_and(|v| v.contains(&IO_URING));
    let kind = runner::Kind { keeps_errno: variables.is_some(), io_uring };
    let folder = File::open(scratch()).expect("the folder for files");
    Runner::new(calls, kind, &writes, folder.as_raw_fd()).run(sequence);
    // SAFETY: ends the process as it is, and its contexts with it.
    unsafe { libc::_exit(0) }
}

fn finish((mut reads, child): (File, libc::pid_t)) -> Trace {
    let (mut text, mut status) = (String::new(), 0);
    reads.read_to_string(&mut text).expect("text");
    // SAFETY: a child of this process that nobody else waits for.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    Trace { lines: text.lines().map(str::to_owned).collect(), status, cut: false }
}

/// The same, to the first line that `right` does not have: what comes after a wrong answer is often waited
/// for in vain, for seconds, and shrinking would be over before it has begun.
fn finish_beside(right: &Trace, (reads, child): (File, libc::pid_t)) -> Trace {
    let mut trace = Trace { lines: Vec::new(), status: 0, cut: false };
    for line in BufReader::new(reads).lines() {
        let line = line.expect("text");
        trace.cut = right.lines.get(trace.lines.len()) != Some(&line);
        trace.lines.push(line);
        if trace.cut {
            // SAFETY: a child of this process, which has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
            break;
        }
    }
    // SAFETY: a child of this process that nobody else waits for.
    unsafe { libc::waitpid(child, &raw mut trace.status, 0) };
    trace
}

/// The original's library and ours. Looked for once, before any process is started; the workers are
/// told.
fn libraries() -> &'static [PathBuf; 2] {
    static LIBRARIES: OnceLock<[PathBuf; 2]> = OnceLock::new();
    LIBRARIES.get_or_init(|| match (env::var_os("FUZZ_ORIGINAL"), env::var_os("FUZZ_OURS")) {
        (Some(original), Some(ours)) => [original.into(), ours.into()],
        _ => [common::original().to_owned(), common::build().join("libaio.so.1")],
    })
}

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Runs a sequence on all implementations, or on `ours` and the system calls, at the same time.
fn check(
    sequence: &Sequence,
    ours: &[Implementation],
    count: Option<&mut Original>,
) -> Result<(), String> {
    let raw = start(sequence, Implementation::Raw);
    let original = count.is_some().then(|| start(sequence, Implementation::Original));
    let started: Vec<_> = ours.iter().map(|o| (o, start(sequence, *o))).collect();
    let raw = finish(raw);
    let original = original.map(finish);
    let finish = |(o, started)| (o, finish_beside(&raw, started));
    let finished: Vec<_> = started.into_iter().map(finish).collect();
    if !raw.is_whole() {
        return Err(told("the system calls did not get to the end", &raw, &raw));
    }
    for (which, trace) in &finished {
        if trace.lines != raw.lines || trace.status != 0 {
            return Err(told(&format!("{which:?}"), &raw, trace));
        }
    }
    if let (Some(original), Some(count)) = (original, count) {
        permitted(&raw, &original, count)?;
    }
    Ok(())
}

/// The original's own answers: where it crashed, and where it looked at the ring alone.
fn permitted(raw: &Trace, original: &Trace, count: &mut Original) -> Result<(), String> {
    let first = raw.lines.iter().zip(&original.lines).position(|(a, b)| a != b);
    if let Some(at) = first {
        let (kernel, library) = (&raw.lines[at], &original.lines[at]);
        let call = kernel.split([' ', ':']).nth(1).unwrap_or_default();
        let looks = [runner::GETEVENTS, runner::PGETEVENTS, runner::QUEUE_RUN, runner::QUEUE_WAIT];
        let failed = kernel.contains(": -");
        // A crash in a fork: the parent tells with what its child ended.
        let crash = |line: &String| line.ends_with("fork ended with 11");
        if original.lines[at..].iter().any(crash) && !raw.lines[at..].iter().any(crash) {
            count.crashed += 1;
            return Ok(());
        }
        if looks.contains(&call) && failed && library.contains(": 0") {
            count.looked += 1;
            return Ok(());
        }
        return Err(told("Implementation::Original", raw, original));
    }
    match original.signal() {
        Some(libc::SIGSEGV | libc::SIGBUS) => count.crashed += 1,
        _ if original.lines != raw.lines => {
            return Err(told("Implementation::Original", raw, original));
        }
        _ => (),
    }
    Ok(())
}

/// Both traces, side by side where they differ.
fn told(which: &str, raw: &Trace, trace: &Trace) -> String {
    let mut text = match trace.cut {
        true => format!("{which}, ended where it differs\n"),
        false => format!("{which}, wait status {}\n", trace.status),
    };
    let whole = if trace.cut { 0 } else { raw.lines.len() };
    for at in 0..whole.max(trace.lines.len()) {
        let line = |t: &Trace| t.lines.get(at).cloned().unwrap_or_default();
        let mark = if line(raw) == line(trace) { ' ' } else { '!' };
        writeln!(text, "{mark} kernel: {:50} | {}", line(raw), line(trace)).expect("a string");
    }
    text
}

/// What of ours a sequence runs on.
fn modes_for(sequence: &Sequence) -> Vec<Implementation> {
    let modes = match (sequence.io_uring, sequence.wild) {
        (true, _) => IO_URING_MODES,
        (false, true) => &MODES[..1],
        (false, false) => MODES,
    };
    modes.iter().map(|variables| Implementation::Ours(variables)).collect()
}

fn generator(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Whether sequences for io_uring alone are asked for.
fn for_io_uring() -> bool {
    env::var("FUZZ_ENGINE").is_ok_and(|e| e == IO_URING.1)
}

/// Makes up a sequence, checks it, and shrinks it for so long where it fails.
fn one(
    generator: &mut TestRunner,
    for_io_uring: bool,
    shrinking: Duration,
    mut check: impl FnMut(&Sequence) -> Result<(), String>,
) -> Result<(), (Sequence, String)> {
    let mut tree = any_sequence(for_io_uring).new_tree(generator).expect("nothing is filtered out");
    let Err(said) = check(&tree.current()) else { return Ok(()) };
    let mut smallest = (tree.current(), said);
    let start = Instant::now();
    let mut simpler = tree.simplify();
    while simpler && start.elapsed() < shrinking {
        simpler = match check(&tree.current()) {
            Err(said) => {
                smallest = (tree.current(), said);
                tree.simplify()
            }
            Ok(()) => tree.complicate(),
        };
    }
    Err(smallest)
}

fn write_out(sequence: &Sequence, name: &str) -> PathBuf {
    let folder = common::root().join("build/differential");
    fs::create_dir_all(&folder).expect("build/ can be written");
    let path = folder.join(format!("{name}.ron"));
    let text = ron::ser::to_string_pretty(sequence, ron::ser::PrettyConfig::default());
    fs::write(&path, text.expect("a sequence can be written")).expect("build/ can be written");
    path
}

fn read_in(path: &Path) -> Sequence {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    ron::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

/// A worker's part of a run: sequences of one seed until the time is over.
fn work(seed: u64, time: Duration) -> ExitCode {
    // To one processor, which each worker's children keep to as well.
    // SAFETY: a set of processors, as sched_setaffinity wants it.
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        let processors = libc::sysconf(libc::_SC_NPROCESSORS_ONLN) as u64;
        libc::CPU_SET((seed % processors) as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
    let (mut generator, mut original) = (generator(seed), Original::default());
    let (start, mut sequences) = (Instant::now(), 0u64);
    while start.elapsed() < time {
        let check = |s: &Sequence| check(s, &modes_for(s), Some(&mut original));
        let checked = one(&mut generator, for_io_uring(), SHRINKING, check);
        sequences += 1;
        if let Err((sequence, said)) = checked {
            let path = write_out(&sequence, &format!("found-{seed}-{sequences}"));
            println!("difference {} in {}\n{said}", sequences, path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{sequences} {} {}", original.crashed, original.looked);
    ExitCode::SUCCESS
}

/// This program again, for a part of its work.
fn worker(variables: &[(&str, &str)]) -> Child {
    let [original, ours] = libraries();
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.env("FUZZ_ORIGINAL", original).env("FUZZ_OURS", ours);
    command.envs(variables.iter().copied());
    command.stdout(Stdio::piped()).spawn().expect("this program again")
}

/// A run: several workers at once, since most of a sequence's time is spent waiting for the kernel
/// to take contexts apart.
fn fuzz(seed: u64, time: Duration) -> bool {
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let seed = seed.wrapping_mul(WORKERS).wrapping_add(number);
            worker(&[("FUZZ_WORKER", &seed.to_string())])
        })
        .collect();
    let (mut sums, mut good) = ([0u64; 3], true);
    for worker in workers {
        let output = worker.wait_with_output().expect("a worker ends");
        let text = String::from_utf8_lossy(&output.stdout);
        good &= output.status.success();
        if !output.status.success() {
            println!("{text}");
            continue;
        }
        let numbers = text.split_whitespace().map(|word| word.parse::<u64>().expect("a number"));
        sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
    }
    let [sequences, crashed, looked] = sums;
    println!(
        "seed {seed}: {sequences} sequences in {} s, each on the system calls, on Debian's library \
         and on ours in {} modes, or {} of io_uring; Debian's crashed in {crashed}, and answered without asking the \
         kernel in {looked}",
        time.as_secs(),
        MODES.len(),
        IO_URING_MODES.len(),
    );
    good
}

/// Every sequence of the corpus.
fn corpus() -> bool {
    let folder = common::root().join("tests/differential/corpus");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the corpus")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus is empty");
    let mut good = true;
    for file in &files {
        let sequence = read_in(file);
        let checked = check(&sequence, &modes_for(&sequence), Some(&mut Original::default()));
        if let Err(said) = checked {
            good = false;
            println!("{}\n{said}", file.display());
        }
    }
    println!("corpus: {} sequences", files.len());
    good
}

/// The test of the test, on each engine: what a wrong library does is found, and shrunk to a few steps.
fn finds_what_is_wrong() -> bool {
    let engines = [KERNEL.1, IO_URING.1];
    let each = engines.iter().flat_map(|engine| Damage::ALL.iter().map(move |d| (engine, d)));
    let workers: Vec<_> = each
        .map(|(engine, d)| worker(&[("FUZZ_DAMAGE", &format!("{d:?}")), ("FUZZ_ENGINE", engine)]))
        .collect();
    let mut good = true;
    for worker in workers {
        let output = worker.wait_with_output().expect("a worker ends");
        print!("{}", String::from_utf8_lossy(&output.stdout));
        good &= output.status.success();
    }
    good
}

/// One wrong library: whether it is found out.
fn find(damage: &str) -> ExitCode {
    let damage = *Damage::ALL.iter().find(|d| format!("{d:?}") == damage).expect("a Damage");
    let engine: Variables = if for_io_uring() { &[IO_URING] } else { &[KERNEL] };
    // However long it takes: the machine may have other work. But a hang would take hours.
    let hangs = damage == Damage::Hangs;
    let shrinking = if hangs { Duration::ZERO } else { Duration::MAX };
    let (mut generator, checks) = (generator(1), Cell::new(0));
    let check_on = |s: &Sequence, which| check(s, &[which], None);
    let check = |s: &Sequence| {
        checks.set(checks.get() + 1);
        if s.wild { Ok(()) } else { check_on(s, Implementation::Wrong(damage, engine)) }
    };
    print!("{damage:?} on {}: ", engine[0].1);
    for number in 1..=500 {
        let checked = one(&mut generator, for_io_uring(), shrinking, check);
        if let Err((sequence, _)) = checked {
            let steps = sequence.steps.len();
            println!("found by sequence {number}, {steps} steps after {} checks", checks.get());
            // The twin: without the damage there is nothing to find.
            let right = check_on(&sequence, Implementation::Ours(engine));
            let good = right.map_err(|said| println!("{said}")).is_ok();
            return if good && (hangs || steps <= 6) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            };
        }
    }
    println!("not found");
    ExitCode::FAILURE
}

/// The test of the list of what io_uring may do otherwise: it does, but no longer once it is avoided.
fn does_what_it_may() -> bool {
    let (mut good, mut sequences) = (true, 0);
    for difference in permitted::DIFFERENCES {
        for mut sequence in difference.shown_by() {
            let check = |s: &Sequence| check(s, &modes_for(s), Some(&mut Original::default()));
            if check(&sequence).is_ok() {
                println!("{:?} shows nothing any more of: {}", sequence.steps, difference.what);
                good = false;
            }
            permitted::avoid(&mut sequence);
            if let Err(said) = check(&sequence) {
                println!("{:?} is not avoided\n{said}", difference.what);
                good = false;
            }
            sequences += 1;
        }
    }
    println!("what io_uring may do otherwise: {sequences} sequences");
    good
}

/// What each implementation made of one sequence.
fn replay(path: &Path) -> ExitCode {
    let sequence = read_in(path);
    let raw = finish(start(&sequence, Implementation::Raw));
    let mut others = modes_for(&sequence);
    others.insert(0, Implementation::Original);
    for other in others {
        println!("{}", told(&format!("{other:?}"), &raw, &finish(start(&sequence, other))));
    }
    match check(&sequence, &modes_for(&sequence), Some(&mut Original::default())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(text) if text == "random" => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.expect("after 1970").as_nanos() as u64 % 1_000_000_000
        }
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number")),
        Err(_) => default,
    }
}

fn main() -> ExitCode {
    libraries();
    let time = Duration::from_secs(number("FUZZ_SECONDS", 120));
    if env::var_os("FUZZ_WORKER").is_some() {
        return work(number("FUZZ_WORKER", 0), time);
    }
    if let Ok(damage) = env::var("FUZZ_DAMAGE") {
        return find(&damage);
    }
    if env::var_os("FUZZ_PERMITTED").is_some() {
        let tell = |d: &permitted::Difference| println!("- {}\n  {}", d.what, d.why);
        permitted::DIFFERENCES.iter().for_each(tell);
        return ExitCode::SUCCESS;
    }
    let _lock = common::AioLock::shared();
    if let Some(path) = env::var_os("FUZZ_REPLAY") {
        return replay(Path::new(&path));
    }
    let good =
        corpus() & does_what_it_may() & finds_what_is_wrong() & fuzz(number("FUZZ_SEED", 1), time);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
