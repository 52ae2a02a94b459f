//! The calls, each measured for Debian's library, ours, and the limit (`ways.rs`), in one process.
//!
//! `make bench` runs this and `scripts/bench-programs`; `make bench-report` makes `docs/benchmarks.md`
//! of the two. The names of the groups are known to `scripts/bench-report`.

mod filled;
mod two_threads;
mod ways;

use std::hint::black_box;
use std::time::{Duration, Instant};
use std::{fs, io, ptr};

use aio::abi::{io_event, iocb};
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use libc::{c_long, timespec};

use crate::filled::Filled;
use crate::ways::{Bare, Library, Way};

/// How often each case goes through all ways, so that a slow moment of the machine does not count for
/// one of them alone.
const ROUNDS: u32 = 5;

/// The measurements of one case, in one round.
pub struct Group<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    round: u32,
}

impl Group<'_> {
    fn measure(&mut self, way: &impl Way, measure: impl FnMut(&mut Bencher<'_>)) {
        let id = BenchmarkId::new(way.name(), self.round);
        let mut measure = measure;
        self.group.bench_function(id, |b| measure(b));
    }
}

/// So many events are ready, and as many are asked for.
fn ready(group: &mut Group<'_>, way: &impl Way, n: u32) {
    let context = Filled::new(way);
    let mut events = [io_event::default(); 256];
    group.measure(way, |b| {
        b.iter(|| {
            context.make_ready(n);
            let events = black_box(events.as_mut_ptr());
            // SAFETY: the context is the way's own, and there is room for 256 events.
            let got = unsafe {
                way.get_events(context.address(), n.into(), n.into(), events, ptr::null_mut())
            };
            assert_eq!(got, n as i32);
        });
    });
}

/// Nothing is ready, and the call is not to wait.
fn empty(group: &mut Group<'_>, way: &impl Way, min_nr: c_long, timeout: Option<timespec>) {
    let context = Filled::new(way);
    context.make_ready(0);
    let mut events = [io_event::default(); 1];
    let mut timeout = timeout;
    group.measure(way, |b| {
        let timeout = timeout.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
        b.iter(|| {
            let (events, timeout) = black_box((events.as_mut_ptr(), timeout));
            // SAFETY: the context is the way's own, there is room for an event, and `timeout` lives.
            let got = unsafe { way.get_events(context.address(), min_nr, 1, events, timeout) };
            assert_eq!(got, 0);
        });
    });
}

/// A file of one sector in memory, whose data the kernel has at hand.
fn cached_file() -> fs::File {
    use std::os::fd::FromRawFd;
    // SAFETY: the name is a C string; a new descriptor is nobody else's.
    let file = unsafe {
        let fd = libc::memfd_create(c"libaio-rs".as_ptr(), libc::MFD_CLOEXEC);
        assert!(fd >= 0, "memfd_create: {}", io::Error::last_os_error());
        fs::File::from_raw_fd(fd)
    };
    io::Write::write_all(&mut &file, &[1; 512]).expect("writing to memory");
    file
}

/// The submission of one read of cached data. The completions are taken outside the measurement.
fn submit(group: &mut Group<'_>, way: &impl Way) {
    use std::os::fd::AsRawFd;
    const BATCH: usize = 64;
    let context = ways::Context::new(way, 2 * BATCH as i32);
    let file = cached_file();
    let mut buffer = [0u8; 512];
    let mut events = [io_event::default(); BATCH];
    let mut requests: Vec<iocb> = (0..BATCH)
        .map(|_| iocb {
            aio_buf: buffer.as_mut_ptr() as u64,
            aio_nbytes: buffer.len() as u64,
            ..ways::request(aio::abi::io_iocb_cmd::IO_CMD_PREAD, file.as_raw_fd())
        })
        .collect();
    group.measure(way, |b| {
        b.iter_custom(|iterations| {
            let mut elapsed = Duration::ZERO;
            let mut left = iterations as usize;
            while left > 0 {
                let n = left.min(BATCH);
                let start = Instant::now();
                for request in &mut requests[..n] {
                    // SAFETY: request, buffer and file outlive the read, which ends in the call.
                    let submitted =
                        unsafe { way.submit(context.address(), 1, &mut ptr::from_mut(request)) };
                    assert_eq!(submitted, 1);
                }
                elapsed += start.elapsed();
                left -= n;
                let (n, to) = (n as c_long, events.as_mut_ptr());
                // SAFETY: the context is the way's own, and there is room for a batch.
                let got = unsafe { way.get_events(context.address(), n, n, to, ptr::null_mut()) };
                assert_eq!(i64::from(got), n);
                assert!(events[..n as usize].iter().all(|e| e.res == 512));
            }
            elapsed
        });
    });
}

/// Taking one event after the other. Unlike [`ready`] it needs no ring that is filled once: the requests
/// are submitted anew, outside the measurement.
fn take(group: &mut Group<'_>, way: &impl Way) {
    use std::os::fd::AsRawFd;
    const BATCH: usize = 64;
    let context = ways::Context::new(way, 2 * BATCH as i32);
    let ready = filled::ready_event();
    let mut event = io_event::default();
    let mut requests: [iocb; BATCH] =
        std::array::from_fn(|_| ways::poll_request(ready.as_raw_fd()));
    let mut list = requests.each_mut().map(ptr::from_mut);
    group.measure(way, |b| {
        b.iter_custom(|iterations| {
            let mut elapsed = Duration::ZERO;
            let mut left = iterations as usize;
            while left > 0 {
                let n = left.min(BATCH);
                // SAFETY: the requests complete in the call.
                let submitted = unsafe { way.submit(context.address(), n as i64, &mut list[0]) };
                assert_eq!(submitted, n as i32);
                let start = Instant::now();
                for _ in 0..n {
                    let to = black_box(&raw mut event);
                    // SAFETY: the context is the way's own, and there is room for an event.
                    let got =
                        unsafe { way.get_events(context.address(), 1, 1, to, ptr::null_mut()) };
                    assert_eq!(got, 1);
                }
                elapsed += start.elapsed();
                left -= n;
            }
            elapsed
        });
    });
}

/// A context's whole life.
fn setup_destroy(group: &mut Group<'_>, way: &impl Way) {
    group.measure(way, |b| b.iter(|| drop(ways::Context::new(way, 128))));
}

/// Measures one case for each way, in alternation.
macro_rules! case {
    ($c:expr, $name:expr, $limit:expr, |$group:ident, $way:ident| $measure:expr) => {{
        let mut $group = Group { group: $c.benchmark_group($name), round: 0 };
        let limit = &$limit;
        while $group.round < ROUNDS {
            $group.round += 1;
            for $way in [Library::original(), Library::ours()] {
                $measure;
            }
            let $way = limit;
            $measure;
        }
    }};
}

fn calls(c: &mut Criterion) {
    for n in [1, 16, 256] {
        case!(c, format!("{n} ready"), Bare, |group, way| ready(&mut group, way, n));
    }
    let zero = timespec { tv_sec: 0, tv_nsec: 0 };
    case!(c, "empty, zero timeout", Bare, |group, way| empty(&mut group, way, 1, Some(zero)));
    case!(c, "empty, min_nr 0, NULL timeout", Bare, |group, way| empty(&mut group, way, 0, None));
    case!(c, "io_submit, cached read", Bare, |group, way| submit(&mut group, way));
    let limit = two_threads::Locked::default();
    case!(c, "two threads, reap", limit, |group, way| two_threads::reap(&mut group, way));
    case!(c, "two threads, submit and reap", limit, |group, way| {
        two_threads::submit_and_reap(&mut group, way);
    });
}

/// Measures one case for both libraries, and for ours on io_uring.
fn engines(c: &mut Criterion, name: &str, measure: impl Fn(&mut Group<'_>, &Library)) {
    let Some(on_io_uring) = Library::on_io_uring() else { return };
    let mut group = Group { group: c.benchmark_group(format!("io_uring: {name}")), round: 0 };
    while group.round < ROUNDS {
        group.round += 1;
        for way in [Library::original(), Library::ours(), on_io_uring] {
            measure(&mut group, way);
        }
    }
}

/// Short enough for the whole to take about two minutes.
fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .nresamples(10_000)
        .without_plots()
}

fn main() {
    if Library::on_io_uring().is_none() {
        eprintln!("io_uring is not to be had here: left out");
    }
    calls(&mut settings().sample_size(30).configure_from_args());
    // io_destroy waits for a grace period of the kernel's: milliseconds.
    let mut few = settings().sample_size(10).configure_from_args();
    case!(few, "io_setup and io_destroy", Bare, |group, way| {
        group.group.sampling_mode(SamplingMode::Flat);
        setup_destroy(&mut group, way);
    });
    let mut c = settings().sample_size(30).configure_from_args();
    engines(&mut c, "take", take);
    engines(&mut c, "submit", submit);
    engines(&mut few, "setup", |group, way| {
        group.group.sampling_mode(SamplingMode::Flat);
        setup_destroy(group, way);
    });
}
