"""What the library does when things go wrong: it answers what the kernel answered, and nothing is
lost, doubled, leaked or hung.

The faults are injected into the system calls of each engine (`faults.c`; by strace where Debian's
library, which makes them inline, has to meet the same), or real: a device that fails, full file
systems, limits, signals, a process that is killed with its I/O in flight. `load.c` is the program
that meets them: it counts each answer, and checks each event and each byte. Where both libraries
can be asked, what it tells must be the same.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import compiled, environment, loop_device, mounted, original_library, run

BLOCK = 4096
ORIGINAL = dict(os.environ, LD_LIBRARY_PATH=str(original_library().parent))
# What the program tells of 256 blocks with which nothing went wrong.
WHOLE = ["writes whole 256", "reads whole 256", "io_destroy 0"]


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> Path:
    """A folder with the programs and the preload."""
    made = tmp_path_factory.mktemp("faults")
    compiled("load.c", made / "load", "-laio")
    compiled("limits.c", made / "limits", "-laio")
    compiled("faults.c", made / "faults.so", "-shared", "-fPIC")
    return made


@contextlib.contextmanager
def small_file_system(folder: Path, *, kind: str, size: str):
    """A tmpfs, or an ext4 on a loop device."""
    at = folder / kind
    if kind == "tmpfs":
        with mounted("tmpfs", at, "-t", "tmpfs", "-o", f"size={size}"):
            yield at
        return
    image = folder / "image"
    run("truncate", "--size", size, image)
    run("/sbin/mkfs.ext4", "-q", "-O", "^has_journal", image)
    try:
        with loop_device(image) as device, mounted(device, at):
            yield at
    finally:
        image.unlink()


class Injected:
    """An environment for our library with faults in it (`faults.c`), and what came of them."""

    def __init__(self, programs: Path, folder: Path, engine: str, **variables: str):
        self.log = folder / "faults.log"
        variables.update(LD_PRELOAD=str(programs / "faults.so"), FAULTS_LOG=str(self.log))
        self.environment = environment(engine, **variables)

    def count(self, call: str, fault: str) -> int:
        return sum(line.split()[1:] == [call, fault] for line in self.log.read_text().splitlines())

    def lines(self) -> int:
        return len(self.log.read_text().splitlines())


def load(programs: Path, *arguments: str | Path, env: dict[str, str], status: int = 0) -> list[str]:
    """What the program tells, in lines."""
    ran = run(programs / "load", *arguments, env=env, check=False, timeout=60)
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert ran.stderr == ""
    return ran.stdout.splitlines()


# ---- into the kernel engine's calls ------------------------------------------------------------


@pytest.mark.parametrize(
    "call, fault, when",
    [
        ("io_submit", "EAGAIN", "2+3"),
        ("io_submit", "EINTR", "1+2"),
        ("io_submit", "short", "1+2"),
        ("io_getevents", "EINTR", "1+2"),
    ],
)
@pytest.mark.parametrize("how", ["block", "poll", "timeout"])
def test_an_injected_answer_comes_through(programs, folder, call, fault, when, how):
    """As often as it was injected, and nothing but that is different."""
    rule = f"{call}:{fault}:{when}"
    injected = Injected(programs, folder, "kernel", FAULTS=rule, LIBAIO_REAP="syscall")
    told = load(programs, "-d", "-w", how, folder / "file", env=injected.environment)
    times = injected.count(call, fault)
    assert times > 10
    said = "in part" if fault == "short" else fault
    assert told == WHOLE + [f"{call} {said} {times}"]


def test_all_of_them_at_once(programs, folder):
    rules = "io_submit:EAGAIN:3+5,io_submit:EINTR:2+4,io_submit:short:1+3,io_getevents:EINTR:2+3"
    injected = Injected(programs, folder, "kernel", FAULTS=rules)
    told = load(programs, "-d", "-n", "4096", folder / "file", env=injected.environment)
    assert told[:3] == ["writes whole 4096", "reads whole 4096", "io_destroy 0"]
    assert injected.count("io_submit", "short") > 10


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM", "ENOSYS"])
def test_io_setup_fails(programs, folder, error):
    injected = Injected(programs, folder, "kernel", FAULTS=f"io_setup:{error}:1")
    ours = load(programs, folder / "file", env=injected.environment, status=3)
    assert injected.count("io_setup", error) == 1
    assert ours == ["context is as it was", f"io_setup {error}"]
    assert ours == under_strace(programs, folder, ORIGINAL, f"io_setup:error={error}")


def test_io_destroy_fails(programs, folder):
    """The context is the kernel's still; and the program is told."""
    injected = Injected(programs, folder, "kernel", FAULTS="io_destroy:EINVAL:1")
    told = load(programs, folder / "file", env=injected.environment, status=1)
    assert told == WHOLE[:2] + ["io_destroy -22"]


def test_a_rule_that_makes_no_sense_is_refused(programs):
    """The twin: faults that nobody injects are not taken for a library that bears them."""
    for rule in ["io_submit", "io_submit:EAGAIN", "io_x:EAGAIN:1", "io_submit:EWHAT:1"]:
        env = dict(os.environ, LD_PRELOAD=str(programs / "faults.so"), FAULTS=rule)
        assert run("true", env=env, check=False).returncode == 2, rule


def under_strace(programs: Path, folder: Path, env: dict[str, str], inject: str) -> list[str]:
    """What the program tells with that fault; all of it in memory, so that time plays no part."""
    variables = [
        f"-E{name}={env[name]}" for name in ("LD_LIBRARY_PATH", "LIBAIO_REAP") if name in env
    ]
    with small_file_system(folder, kind="tmpfs", size="2m") as memory:
        strace = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=" + inject.split(":")[0]]
        command = [*strace, "-e", f"inject={inject}", *variables, programs / "load"]
        return run(*command, memory / "file", check=False).stdout.splitlines()


@pytest.mark.parametrize(
    "inject",
    [
        "io_submit:error=EAGAIN:when=2+3",
        "io_submit:error=EINTR:when=1+2",
        "io_submit:error=EIO:when=5",
        "io_submit:retval=0:when=1+2",
        "io_getevents:error=EINTR:when=1+2",
        "io_getevents:error=EINVAL:when=3",
        "io_getevents:retval=0:when=2+2",
    ],
)
def test_both_libraries_tell_the_same(programs, folder, inject):
    """Debian's looks at the ring for a zero timeout alone, so ours must here ask the kernel too."""
    ours = under_strace(programs, folder, environment(LIBAIO_REAP="syscall"), inject)
    assert ours == under_strace(programs, folder, ORIGINAL, inject)
    assert ours[:3] != WHOLE or len(ours) > 3 or "retval=0" in inject


# ---- into io_uring's calls ---------------------------------------------------------------------

# What the kernel's AIO has no like of stays between the library and io_uring.
SUBMITTING = ["EAGAIN", "EBUSY", "ENOMEM", "EINTR", "short"]
WAITING = ["EAGAIN", "EBUSY", "ENOMEM"]


@pytest.mark.parametrize("options", [[], ["-e"]], ids=["", "eventfd"])
@pytest.mark.parametrize(
    "call, fault",
    [("uring_submit", f) for f in SUBMITTING] + [("uring_wait", f) for f in WAITING],
)
def test_the_program_is_told_nothing_of_io_uring(programs, folder, call, fault, options):
    injected = Injected(programs, folder, "io_uring", FAULTS=f"{call}:{fault}:1+2")
    told = load(programs, "-d", *options, folder / "file", env=injected.environment)
    assert told == WHOLE
    assert injected.count(call, fault) > 10


def test_an_interruption_of_a_wait_on_io_uring_comes_through(programs, folder):
    for how in ("block", "timeout"):
        injected = Injected(programs, folder, "io_uring", FAULTS="uring_wait:EINTR:1+2")
        told = load(programs, "-d", "-w", how, folder / "file", env=injected.environment)
        times = injected.count("uring_wait", "EINTR")
        assert times > 10
        assert told == WHOLE + [f"io_getevents EINTR {times}"]
        injected.log.unlink()


@pytest.mark.parametrize("how", ["block", "poll", "timeout"])
@pytest.mark.parametrize("options", [[], ["-e"]], ids=["", "eventfd"])
def test_all_of_them_at_once_on_io_uring(programs, folder, how, options):
    rules = [f"uring_submit:{f}:{n + 1}+6" for n, f in enumerate(SUBMITTING)]
    rules += [f"uring_wait:{f}:{n + 1}+5" for n, f in enumerate([*WAITING, "EINTR"])]
    injected = Injected(programs, folder, "io_uring", FAULTS=",".join(rules))
    told = load(
        programs, "-d", *options, "-n", "4096", "-w", how, folder / "file", env=injected.environment
    )
    assert told[:3] == ["writes whole 4096", "reads whole 4096", "io_destroy 0"]
    assert all(line.startswith("io_getevents EINTR ") for line in told[3:]), told
    assert injected.count("uring_submit", "short") > 10


IGNORED = "libaio-rs: LIBAIO_ENGINE=io_uring is ignored: "


@pytest.mark.parametrize(
    "error, reason",
    [
        ("ENOSYS", "the kernel has no io_uring"),
        ("EPERM", "kernel.io_uring_disabled"),
        ("ENOMEM", "ulimit -l"),
        ("EMFILE", "ulimit -n"),
        ("EINVAL", "io_uring_setup failed"),
    ],
)
def test_the_kernel_engine_takes_over(programs, folder, error, reason):
    """Where the first io_uring cannot be had; and one line says so."""
    injected = Injected(programs, folder, "io_uring", FAULTS=f"io_uring_setup:{error}:1")
    ran = run(programs / "load", folder / "file", env=injected.environment)
    assert ran.stdout.splitlines() == WHOLE
    assert ran.stderr.startswith(IGNORED) and reason in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert injected.count("io_uring_setup", error) == 1


@pytest.mark.parametrize("error, answer", [("EMFILE", "EAGAIN"), ("ENOMEM", "ENOMEM")])
def test_io_setup_fails_on_io_uring(programs, folder, error, answer):
    """Where a later one cannot be had: the first is that by which the library finds io_uring."""
    injected = Injected(programs, folder, "io_uring", FAULTS=f"io_uring_setup:{error}:2")
    told = load(programs, folder / "file", env=injected.environment, status=3)
    assert told == ["context is as it was", f"io_setup {answer}"]
    assert injected.count("io_uring_setup", error) == 1


# ---- real ones ---------------------------------------------------------------------------------


def test_a_device_that_fails(programs, folder, engine):
    """A loop device whose file was cut short: the kernel answers EIO for the second half."""
    image = folder / "image"
    run("truncate", "--size", "1M", image)
    told = []
    with loop_device(image) as device:
        load(programs, "-d", device, env=environment(engine))
        os.truncate(image, 512 * 1024)
        for env in (ORIGINAL, environment(engine), environment(engine, LIBAIO_SPIN_US="200")):
            told.append(load(programs, "-d", "-c", device, env=env))
    assert told[0] == ["reads whole 128", "reads EIO 128", "io_destroy 0"]
    assert told[1] == told[0] and told[2] == told[0]


@pytest.mark.parametrize("kind, options", [("tmpfs", []), ("ext4", ["-d"])])
def test_a_full_file_system(programs, folder, engine, kind, options):
    told = []
    for env in (ORIGINAL, environment(engine)):
        with small_file_system(folder, kind=kind, size="1m") as full:
            told.append(load(programs, *options, "-n", "512", full / "file", env=env))
    assert told[0] == told[1]
    assert any(line.startswith("writes ENOSPC ") for line in told[0]), told[0]
    assert told[0][0] != "writes whole 0"


def test_no_memory(programs, engine):
    """Where the address space is used up: the kernel's error, and what there is works."""
    told = []
    for env in (ORIGINAL, environment(engine)):
        for kibibytes in ("0", "64", "512"):
            told.append(run(programs / "limits", kibibytes, env=env).stdout)
    assert told[:3] == told[3:]
    assert "then ENOMEM" in told[1] or "then EAGAIN" in told[1], told


def test_no_descriptors(programs, folder, engine):
    """The library needs none, or one for an io_uring: four are the program's three and its file."""
    command = ["prlimit", "--nofile=4", programs / "load", folder / "file"]
    ran = run(*command, env=environment(engine))
    assert ran.stdout.splitlines() == WHOLE
    if engine == "io_uring":
        # That there is none for the pipe with which it asks what the kernel can do is no matter.
        assert ran.stderr == IGNORED + "no descriptor is left for an io_uring (ulimit -n)\n"
        command[1] = "--nofile=5"
        ran = run(*command, env=environment(engine))
        assert ran.stdout.splitlines() == WHOLE
    assert engine == "kernel" or ran.stderr == ""
    # The twin: the limit is one.
    command[1] = "--nofile=3"
    assert run(*command, env=environment(engine), check=False).returncode != 0


@pytest.mark.parametrize("variables", [{}, {"LIBAIO_SPIN_US": "200"}, {"LIBAIO_REAP": "syscall"}])
def test_signals_at_a_high_rate(programs, folder, engine, variables):
    env = environment(engine, **variables)
    signals, interrupted = 0, 0
    for how in ("block", "poll", "timeout"):
        told = load(programs, "-d", "-s", "50", "-n", "3000", "-w", how, folder / "file", env=env)
        assert told[:3] == ["writes whole 3000", "reads whole 3000", "io_destroy 0"]
        for call, what, count in (line.split() for line in told[3:]):
            signals += int(count) if call == "signals" else 0
            interrupted += int(count) if (call, what) == ("io_getevents", "EINTR") else 0
    assert signals > 100
    # A call that watches the ring goes on after a signal, and may never come to sleep.
    assert interrupted > 0 or "LIBAIO_SPIN_US" in variables


def aio_in_use() -> int:
    return int(Path("/proc/sys/fs/aio-nr").read_text())


@pytest.mark.alone
@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGABRT], ids=lambda s: s.name)
def test_killed_with_io_in_flight(programs, folder, engine, deadly):
    """The process ends at once, and the kernel has all of its contexts back; the file system can be
    unmounted, so nothing is in flight on it.

    SIGABRT dumps core, for which the kernel reads the ring's memory.
    """
    before, choice = aio_in_use(), random.Random(1)
    with small_file_system(folder, kind="ext4", size="16m") as at:
        for round in range(6):
            command = [programs / "load", "-d", "-f", "-q", "64", "-n", "1024", at / "file"]
            child = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(engine),
                cwd=folder,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, 1 << 30)),
            )
            try:
                while "ready" not in child.stdout.readline():
                    assert child.poll() is None
                time.sleep(choice.uniform(0, 0.02))
                child.send_signal(deadly)
                assert child.wait(timeout=20) == -deadly
            finally:
                child.kill()
                child.wait()
                child.stdout.close()
    deadline = time.monotonic() + 20
    while aio_in_use() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert aio_in_use() == before
