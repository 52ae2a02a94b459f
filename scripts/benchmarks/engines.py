"""The io_uring engine (LIBAIO_ENGINE=io_uring) beside Debian's library and beside ours on the
kernel's AIO: what the kernel's AIO is bad at, and what it is good at.

fio's slat is the time of io_submit, as fio submits each request by itself. With a stream of
fdatasync on the same file, writes are measured at full speed (32 in flight), and at a rate that all
can keep, where all have the same load.
"""

import os
import statistics

from . import bare
from .fio import ROUNDS, SECONDS, fio, times
from .storage import MIB, SIZE_MIB, Skip, cache, evict, ext4, ext4_on_loop, loop

# Each round begins with another of them. Name, library, variables.
KINDS = {
    "original": ("original", {}),
    "kernel": ("ours", {}),
    "io_uring": ("ours", {"LIBAIO_ENGINE": "io_uring"}),
}
# More than a run reads, so that nothing is read twice.
UNCACHED_MIB = 2048
# Writes per second.
RATE = 4000
# What writes do to the file, and the length of one.
BLOCK = {"extending": "4k", "overwriting": "4k", "half pages": "2k"}
HOW = [
    {"does": does, "direct": is_direct, "paced": paced}
    for paced in (False, True)
    for does in BLOCK
    for is_direct in (False, True)
    if not (does == "half pages" and is_direct)
]

READS = ["--name=bench", "--ioengine=libaio", "--readonly", "--rw=randread", "--slat_percentiles=1"]
READS += ["--clat_percentiles=1", f"--runtime={SECONDS}"]


def of_job(job, direction):
    """What is kept of a job."""
    measured = job[direction]
    return {
        "iops": round(measured["iops"]),
        "submit": times(measured["slat_ns"]),
        "complete": times(measured["clat_ns"]),
    }


def direct(file, depth, kind):
    size = [f"--size={SIZE_MIB}m", "--norandommap"]
    job = fio([*READS, f"--filename={file}", "--direct=1", f"--iodepth={depth}", *size], *kind)
    return of_job(job["bench"], "read")


def uncached(file, depth, kind):
    evict(file)
    size = [f"--size={UNCACHED_MIB}m", "--invalidate=1"]
    job = fio([*READS, f"--filename={file}", "--direct=0", f"--iodepth={depth}", *size], *kind)
    if job["bench"]["read"]["io_bytes"] >= UNCACHED_MIB * MIB:
        raise SystemExit(f"error: {UNCACHED_MIB} MiB are too few for BENCH_SECONDS={SECONDS}")
    return of_job(job["bench"], "read")


def cached(file, depth, kind):
    cache(file, SIZE_MIB)
    size = [f"--size={SIZE_MIB}m", "--norandommap", "--invalidate=0"]
    job = fio([*READS, f"--filename={file}", "--direct=0", f"--iodepth={depth}", *size], *kind)
    return of_job(job["bench"], "read")


def write(file, how, kind):
    """Writes 32 deep, with `fdatasync` after each write of another thread to the same file. With
    O_DIRECT in both or neither: beside writes through the page cache, others end with EIO."""
    extending = how["does"] == "extending"
    if extending:
        file.unlink(missing_ok=True)
        sync_folder(file)
        before, mode = 0, ["--rw=write", "--size=64g", "--create_on_open=1", "--fallocate=none"]
    else:
        evict(file)
        before, mib = file.stat().st_size, UNCACHED_MIB if how["does"] == "half pages" else SIZE_MIB
        mode = ["--rw=randwrite", f"--size={mib}m", "--overwrite=1", "--norandommap"]
    pace = [f"--rate_iops={RATE}"] if how["paced"] else []
    jobs = fio(
        [
            f"--filename={file}", f"--runtime={2 * SECONDS}", "--slat_percentiles=1",
            "--clat_percentiles=1", f"--direct={int(how['direct'])}",
            "--name=writer", "--ioengine=libaio", "--iodepth=32", *mode, *pace,
            f"--bs={BLOCK[how['does']]}",
            "--name=syncer", "--ioengine=sync", "--fdatasync=1", "--rw=randwrite", "--size=1m",
            *(mode[2:] if extending else ["--overwrite=1"]),
        ],
        *kind,
    )  # fmt: skip
    after, most = file.stat().st_size, jobs["writer"]["write"]["io_bytes"] + MIB
    if not (before < after <= most if extending else before == after):
        raise SystemExit(f"error: fio was to work by {how['does']}, but from {before} to {after}")
    return of_job(jobs["writer"], "write") | {"syncs": round(jobs["syncer"]["write"]["iops"])}


def sync_folder(file):
    """Ends what was begun: the journal is written, and blocks of deleted files are given back."""
    descriptor = os.open(file.parent, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def rounds(about, run, kinds=KINDS):
    """Runs all kinds in turn. Of each there is a list of numbers, one of each round."""
    case = about | {"kinds": {name: {} for name in kinds}}
    kinds = list(kinds.items())
    for number in range(ROUNDS):
        first = number % len(kinds)
        for name, kind in kinds[first:] + kinds[:first]:
            measured = run(kind)
            keep(case["kinds"][name], measured)
            values = f"{measured['iops']} IOPS, io_submit p99 {measured['submit']['p99_ns']} ns"
            print(f"{title(about)}, {name}: {values}", flush=True)
    return case


def keep(lists, measured):
    for key, value in measured.items():
        if isinstance(value, dict):
            keep(lists.setdefault(key, {}), value)
        else:
            lists.setdefault(key, []).append(value)


def measure():
    """The part of the record that this file makes."""
    cases, skipped = [], {}
    bare.build()
    devices = (
        (loop, on_loop),
        (ext4_for_all, on_ext4),
        (ext4_on_loop_for_all, on_ext4_on_loop),
    )
    for device, measure_device in devices:
        try:
            with device() as (name, target):
                cases += measure_device(name, target)
        except Skip as reason:
            skipped[device.__name__] = str(reason)
            print(f"{device.__name__}: left out, {reason}", flush=True)
    for case in cases:
        iops, submit = ratio(case, "io_uring", iops_of), ratio(case, "io_uring", submit_of)
        print(f"{title(case)}: x{iops[1]:.2f} in IOPS, 1/{submit[1]:.1f} in p99 of io_submit")
    return {
        "rate": RATE,
        "cases": [case for case in cases if not is_bare(case)],
        "bare": [case for case in cases if is_bare(case)],
        "skipped": skipped,
    }


def is_bare(case):
    return "bare" in case["kinds"]


def ext4_for_all():
    return ext4(UNCACHED_MIB)


def ext4_on_loop_for_all():
    return ext4_on_loop(UNCACHED_MIB)


def on_loop(name, target):
    yield from direct_reads(name, target)
    yield from bare.on_loop(rounds, name, target)


def on_ext4(name, file):
    yield from direct_reads(name, file)
    yield from buffered_reads(name, file, "uncached", uncached)
    yield from buffered_reads(name, file, "cached", cached)
    for how in HOW:
        target = file.with_name("extended") if how["does"] == "extending" else file
        about = {"what": "writes", "device": name, "depth": 32} | how
        yield rounds(about, lambda kind, target=target, how=how: write(target, how, kind))
    yield from bare.on_file(rounds, name, file)


def on_ext4_on_loop(name, file):
    yield from buffered_reads(name, file, "uncached", uncached)
    yield bare.uncached(rounds, name, file)


def buffered_reads(name, file, what, run):
    for depth in (1, 32):
        about = {"what": what, "device": name, "depth": depth}
        yield rounds(about, lambda kind, depth=depth: run(file, depth, kind))


def direct_reads(name, target):
    for depth in (1, 32):
        about = {"what": "direct", "device": name, "depth": depth}
        yield rounds(about, lambda kind, depth=depth: direct(target, depth, kind))


# ---- what was measured ------------------------------------------------------------------------

WHATS = {
    "direct": "O_DIRECT reads",
    "uncached": "reads, uncached",
    "cached": "reads, cached",
}


def title(case):
    if case["what"] != "writes":
        where = f", {case['where']}" if "where" in case else ""
        return f"{case['device']}, {WHATS[case['what']]}, depth {case['depth']}{where}"
    does = case["does"]
    through = "O_DIRECT" if case["direct"] else "buffered"
    return f"{case['device']}, {does}, {through}, {'paced' if case['paced'] else 'full speed'}"


def iops_of(kind):
    return kind["iops"]


def submit_of(kind):
    """The speed that p99 of io_submit is, so that more is better."""
    return [1e9 / max(ns, 1) for ns in kind["submit"]["p99_ns"]]


def ratio(case, kind, of):
    """The median of the rounds' ratios to the original, between the quartiles."""
    pairs = zip(of(case["kinds"][kind]), of(case["kinds"]["original"]), strict=True)
    ratios = [one / other for one, other in pairs]
    if len(ratios) == 1:
        return ratios * 3
    return statistics.quantiles(ratios, n=4, method="inclusive")
