"""What is io_uring's, and what is the library's: a small C program (benches/bare.c) that reads
through Debian's library, through ours on io_uring, and through an io_uring with nothing between."""

import json
import os
import subprocess

from .fio import SECONDS
from .libraries import BUILD, ROOT, environment, output
from .storage import Skip, evict, served_by

# Name: way, library, variables.
KINDS = {
    "original": ("libaio", "original", {}),
    "bare": ("io_uring", "original", {}),
    "io_uring": ("libaio", "ours", {"LIBAIO_ENGINE": "io_uring"}),
}
# Where the program runs, and where the thread of the kernel that serves a loop device.
HERE = 0
SERVED = {"served here": HERE, "served elsewhere": HERE + 1}


def build():
    """The program, with the library that the system has."""
    binary = BUILD / "bench" / "bare"
    binary.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-std=gnu11", "-O2", f"-I{ROOT / 'include'}"]
    output(
        "cc",
        *flags,
        "-o",
        str(binary),
        str(ROOT / "benches" / "bare.c"),
        "-l:libaio.so.1",
        "-lpthread",
    )


def run(kind, what, file, depth, is_direct):
    way, library, variables = kind
    place = [str(HERE)] if is_direct else []
    ran = subprocess.run(
        [BUILD / "bench" / "bare", way, what, str(file), str(depth), str(SECONDS), *place],
        check=False,
        capture_output=True,
        text=True,
        env=environment(library, variables),
    )
    if ran.stderr.startswith("libaio-rs: LIBAIO_"):
        raise Skip(ran.stderr.strip())
    if ran.returncode != 0:
        raise SystemExit(f"error: benches/bare.c has failed: {ran.stderr}")
    measured = json.loads(ran.stdout)
    kept = {"iops": round(measured["iops"]), "submit": {"p99_ns": measured["p99_ns"]}}
    return kept, measured["requests"]


def direct_reads(kind, target, depth):
    return run(kind, "reads", target, depth, True)[0]


def uncached_reads(kind, file):
    evict(file)
    kept, reads = run(kind, "reads", file, 32, False)
    if reads * 4096 >= file.stat().st_size:
        raise SystemExit(f"error: {file} is too small for BENCH_SECONDS={SECONDS}")
    return kept


def writes(kind, does, file):
    if does == "extends":
        file.write_bytes(bytes(4096))
    evict(file)
    return run(kind, does, file, 32, False)[0]


def on_loop(rounds, name, device):
    for depth in (1, 32):
        for where, processor in SERVED.items():
            if processor >= os.cpu_count():
                continue
            with served_by(processor):
                yield direct(rounds, name, device, depth, {"where": where})


def on_file(rounds, name, file):
    for depth in (1, 32):
        yield direct(rounds, name, file, depth, {})
    yield uncached(rounds, name, file)
    for does, word in (("extends", "extending"), ("overwrites", "overwriting")):
        target = file.with_name("extended") if does == "extends" else file
        about = {"what": "writes", "device": name, "depth": 32, "does": word}
        about |= {"direct": False, "paced": False}
        yield rounds(about, lambda kind, t=target, does=does: writes(kind, does, t), KINDS)


def direct(rounds, name, target, depth, more):
    about = {"what": "direct", "device": name, "depth": depth} | more
    return rounds(about, lambda kind: direct_reads(kind, target, depth), KINDS)


def uncached(rounds, name, file):
    about = {"what": "uncached", "device": name, "depth": 32}
    return rounds(about, lambda kind: uncached_reads(kind, file), KINDS)
