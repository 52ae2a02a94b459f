"""Real programs from Debian's packages and PyPI, unchanged, on the library by LD_LIBRARY_PATH.

Each is watched while it runs (`on_ours`): its processes have our libaio mapped, and none has
another; and one has an io_uring, where that is the engine, but none where it is not. MariaDB is in
`test_mariadb.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import threading
from functools import partial
from pathlib import Path

import pytest

from conftest import (
    BUILD,
    PROJECT,
    WORK,
    environment,
    has_io_uring,
    has_pump,
    imports_of,
    libaio_maps,
    loop_device,
    original_library,
    package_version,
    run,
)
from test_faults import Injected, programs  # noqa: F401 (a fixture)


def descendants(pid: int) -> list[int]:
    """A process and its children and theirs, as far as they live."""
    found = [pid]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        except OSError:
            continue
        found += [int(child) for child in children.split()]
    return found


def loaded(log: Path) -> set[Path]:
    """Which libaio the loader took, by what it writes to a file for each process (LD_DEBUG)."""
    searches = r"find library=libaio\.so\.1 .*\n(?:.*\t search .*\n|.*\t  trying file=(.*)\n)+"
    # Of the files that it tries, the last is the one.
    texts = [file.read_text() for file in log.iterdir()]
    return {Path(found[1]) for text in texts for found in re.finditer(searches, text)}


def on_ours(
    *command: str | Path,
    env: dict,
    check: bool = True,
    timeout: float = 120,
    contexts=True,
    on_io_uring=has_io_uring,
    engine: str | None = None,
    preloaded=False,
    **options,
):
    """Runs a program, and sees that it is our library that it runs on: in its memory map, and, for
    a program that is over before anybody has looked there, by what the loader tells (which is
    nothing of one that is preloaded). And it is on the engine asked for, by the environment where
    no other way is told, where it makes any contexts; `on_io_uring` tells that of a process."""
    words = [str(word) for word in command]
    output = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen, rings, ended = set(), set(), threading.Event()

    def watch():
        while not ended.wait(0.001):
            for pid in descendants(child.pid):
                seen.update(libaio_maps(pid))
                rings.update({pid} if on_io_uring(pid) else ())

    watcher = threading.Thread(target=watch)
    with tempfile.TemporaryDirectory(dir=WORK) as log:
        env = dict(env, LD_DEBUG="libs", LD_DEBUG_OUTPUT=f"{log}/loader")
        child = subprocess.Popen(words, env=env, **output, **options)
        watcher.start()
        try:
            out, error = child.communicate(timeout=timeout)
        finally:
            child.kill()
            child.wait()
            ended.set()
            watcher.join()
        took = loaded(Path(log))
    ran = subprocess.CompletedProcess(words, child.returncode, out, error)
    if check:
        assert ran.returncode == 0, f"{' '.join(words)}\n{out}{error}"
    assert took or preloaded, f"{' '.join(words)} looked for no libaio"
    assert {file.parent for file in took | seen} == {
        BUILD
    }, f"{' '.join(words)} ran on {took | seen}"
    asked = (engine or env.get("LIBAIO_ENGINE")) == "io_uring"
    assert bool(rings) == (asked and contexts), f"{' '.join(words)} on io_uring: {rings}"
    return ran


def path_of(program: str) -> Path:
    return Path(run("sh", "-c", 'command -v "$1"', "sh", program).stdout.strip())


def note(matrix, program: str, package: str, what: str, result: str):
    matrix.row(program, package_version(package), imports_of(path_of(program)), what, result)


def test_debians_library_is_not_taken_for_ours(folder):
    """The twin of all: what runs on Debian's is told from what runs on ours."""
    other = dict(os.environ, LD_LIBRARY_PATH=str(original_library().parent))
    with pytest.raises(AssertionError, match="ran on"):
        on_ours(*fio("--rw=read", "--runtime=1", "--time_based"), cwd=folder, env=other)


# ---- fio ---------------------------------------------------------------------------------------


def fio(*options: str) -> list[str]:
    base = ["--name=t", "--ioengine=libaio", "--size=16m", "--direct=1", "--verify_fatal=1"]
    if not any(option.startswith("--filename") for option in options):
        base.append("--filename=data")
    return ["fio", *base, "--output-format=json", *options]


def run_fio(folder: Path, env: dict[str, str], *options: str) -> dict:
    ran = on_ours(*fio(*options), cwd=folder, env=env)
    assert ran.stderr == ""
    # It warns of several writers before, though each has a file of its own.
    jobs = json.loads(ran.stdout[ran.stdout.index("{") :])["jobs"]
    assert all(job["error"] == 0 for job in jobs)
    return jobs[0]


WRITES = ["--rw=randwrite", "--bs=4k", "--iodepth=32"]
OWN_FILES = ["--numjobs=4", "--filename_format=data.$jobnum"]
FIO = {
    "verify=crc32c at depth 1": [*WRITES, "--iodepth=1", "--verify=crc32c"],
    "verify=md5": [*WRITES, "--verify=md5"],
    "verify=sha256": [*WRITES, "--verify=sha256"],
    "verify=xxhash, blocks of 4 to 64 KiB": [
        *WRITES,
        "--bsrange=4k-64k",
        "--verify=xxhash",
    ],
    "verify=pattern": [*WRITES, "--verify=pattern", "--verify_pattern=0xfeedbeef"],
    "verify beside the writes": [*WRITES, "--verify=crc32c", "--verify_backlog=64"],
    "userspace_reap": [*WRITES, "--userspace_reap=1", "--verify=crc32c"],
    "threads": [*WRITES, *OWN_FILES, "--thread", "--verify=crc32c"],
    "processes": [*WRITES, *OWN_FILES, "--verify=crc32c"],
    "polling": [*WRITES, "--iodepth_batch_complete_min=0", "--verify=crc32c"],
    "blocking for batches": [
        *WRITES,
        "--iodepth_batch_submit=8",
        "--iodepth_batch_complete_min=8",
        "--verify=crc32c",
    ],
    "cmdprio": [*WRITES, "--cmdprio_percentage=50", "--cmdprio_class=2", "--cmdprio=5"],
    "nowait": ["--rw=randread", "--bs=4k", "--iodepth=32", "--nowait=1", "--ignore_error=EAGAIN"],
    "fsync and fdatasync": [*WRITES, "--fsync=16", "--fdatasync=8", "--verify=crc32c"],
    "buffered": [*WRITES, "--direct=0", "--verify=crc32c"],
}


@pytest.mark.parametrize("what", FIO)
def test_fio(folder, engine, matrix, what):
    if "randread" in FIO[what][0]:
        run_fio(folder, environment(engine), *WRITES)
    job = run_fio(folder, environment(engine), *FIO[what])
    assert job["read"]["total_ios"] + job["write"]["total_ios"] >= 256
    note(matrix, "fio", "fio", what, "no error")


@pytest.mark.parametrize("variable", ["LIBAIO_SPIN_US=200", "LIBAIO_REAP=syscall"])
def test_fio_with_switches(folder, engine, matrix, variable):
    env = environment(engine, **dict([variable.split("=")]))
    run_fio(folder, env, *WRITES, "--verify=crc32c")
    note(matrix, "fio", "fio", variable, "no error")


def test_fio_with_the_launcher(folder, engine, matrix):
    """Nothing in the environment but what `with-libaio-rs` sets there."""
    script = PROJECT / "scripts/with-libaio-rs"
    command = [script, f"--engine={engine}", *fio(*WRITES, *OWN_FILES, "--verify=crc32c")]
    ran = on_ours(*command, cwd=folder, env=dict(os.environ), engine=engine, preloaded=True)
    assert ran.stderr == ""
    note(matrix, "fio", "fio", "with-libaio-rs, processes", "no error")
    # The twin: what the launcher refuses leaves nothing.
    (folder / "empty").mkdir()
    bad = [script, "--engine=other", *command[2:]]
    ran = run(*bad, check=False, cwd=folder / "empty")
    assert ran.returncode == 125 and ran.stdout == "" and "--engine=other" in ran.stderr
    assert not any((folder / "empty").iterdir())


def test_fio_finds_what_was_damaged(folder, engine):
    """The twin: one byte changed in what was written, and verification fails."""
    run_fio(folder, environment(engine), *WRITES, "--verify=crc32c")
    with open(folder / "data", "r+b") as data:
        data.seek(1_000_000)
        byte = data.read(1)[0]
        data.seek(1_000_000)
        data.write(bytes([byte ^ 1]))
    again = fio("--rw=read", "--bs=4k", "--verify=crc32c")
    ran = on_ours(*again, cwd=folder, env=environment(engine), check=False)
    assert ran.returncode != 0 and "verify" in ran.stderr


FAULTS = {
    "kernel": [
        "io_submit:EAGAIN:3+5",
        "io_submit:EINTR:2+4",
        "io_submit:short:1+3",
        "io_getevents:EINTR:2+3",
    ],
    "io_uring": [
        "uring_submit:EAGAIN:3+5",
        "uring_submit:EBUSY:2+4",
        "uring_submit:short:1+3",
        "uring_wait:ENOMEM:1+3",
    ],
}
# Not EINTR where io_uring waits: there it comes also when a part of the events was taken, as a
# signal may with the kernel's AIO. Then fio 3.33 asks for all of them again, and waits for ever.


@pytest.mark.parametrize(
    "engine, rule",
    [(engine, rule) for engine in FAULTS for rule in (*FAULTS[engine], ",".join(FAULTS[engine]))],
)
def test_fio_with_faults(programs, folder, engine, matrix, rule):  # noqa: F811
    injected = Injected(programs, folder, engine, FAULTS=rule)
    options = ["--iodepth_batch_submit=8", "--iodepth_batch_complete_min=2", "--verify=crc32c"]
    run_fio(folder, injected.environment, *WRITES, *options)
    for fault in rule.split(","):
        call, name, _ = fault.split(":")
        # It seldom comes to wait, where others make it slow.
        assert injected.count(call, name) > (0 if call == "uring_wait" else 10), fault
        call = call.replace("uring_", "io_uring_enter, to ")
        note(matrix, "fio", "fio", f"with {name} from {call}", "verified")


# ---- QEMU --------------------------------------------------------------------------------------

# It may have an io_uring of its own, to wait for events. Its contexts are such as have a pump.
on_qemu = partial(on_ours, on_io_uring=has_pump)

NATIVE = "file.driver=file,file.aio=native,file.cache.direct=on,cache.direct=on"


def image(format: str, file: Path) -> str:
    """An image with native AIO, as qemu-img takes it."""
    return f"driver={format},file.filename={file},{NATIVE}"


@pytest.fixture
def raw_image(folder) -> Path:
    """24 MiB of which a third is holes."""
    file = folder / "disk.raw"
    with open(file, "wb") as disk:
        for part in range(8):
            disk.write(os.urandom(2 << 20))
            disk.seek(1 << 20, os.SEEK_CUR)
        disk.truncate(24 << 20)
    return file


def submits(folder: Path, env: dict[str, str], *command: str | Path) -> int:
    """How often a program called io_submit."""
    log = folder / "strace"
    strace = ["strace", "-f", "-qq", "-o", log, "-e", "trace=io_submit", "-e", "signal=none"]
    run(*strace, *command, env=env)
    return sum("io_submit(" in line for line in log.read_text().splitlines())


def io_urings(folder: Path, env: dict[str, str], *command: str | Path) -> int:
    """How many io_urings a program made contexts of, which have a queue as long as they ask for."""
    log = folder / "strace"
    strace = ["strace", "-f", "-qq", "-o", log, "-e", "trace=io_uring_setup", "-e", "signal=none"]
    run(*strace, *command, cwd=folder, env=env, check=False)
    return log.read_text().count("IORING_SETUP_CQSIZE")


@pytest.mark.parametrize("write", [[], ["-w"]], ids=["reads", "writes"])
@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_qemu_img_bench(folder, engine, matrix, write, format):
    disk = folder / "disk"
    run("qemu-img", "create", "-q", "-f", format, disk, "64M")
    # -n: native AIO; -t none: O_DIRECT, without which QEMU refuses it.
    options = ["-t", "none", "-n", "-c", "8192", "-d", "32", "-f", format, *write]
    if format == "qcow2" and not write:
        # Nothing is read of an image in which nothing is.
        run("qemu-img", "bench", "-q", "-w", *options, disk)
    ran = on_qemu("qemu-img", "bench", *options, disk, env=environment(engine))
    assert "Run completed" in ran.stdout and ran.stderr == ""
    what = f"bench, {'writes' if write else 'reads'}, {format}"
    note(matrix, "qemu-img", "qemu-utils", what, "completed")


def test_qemu_img_convert_and_compare(folder, engine, matrix, raw_image):
    env = environment(engine)
    there, back = folder / "there.qcow2", folder / "back.raw"
    convert = ["qemu-img", "convert", "--image-opts", "-n", "-m", "8", "-W", "--target-image-opts"]
    run("qemu-img", "create", "-q", "-f", "qcow2", there, "24M")
    run("qemu-img", "create", "-q", "-f", "raw", back, "24M")
    for source, target in (
        (image("raw", raw_image), image("qcow2", there)),
        (image("qcow2", there), image("raw", back)),
    ):
        on_qemu(*convert, source, target, env=env)
    assert back.read_bytes() == raw_image.read_bytes()
    note(matrix, "qemu-img", "qemu-utils", "convert, raw to qcow2 and back", "the same bytes")

    compare = ["qemu-img", "compare", "--image-opts"]
    ran = on_qemu(*compare, image("raw", raw_image), image("qcow2", there), env=env)
    assert "identical" in ran.stdout
    both = [image("raw", raw_image), image("raw", back)]
    if engine == "kernel":
        assert submits(folder, env, *compare, *both) > 10
    # The twin.
    with open(back, "r+b") as data:
        data.seek(3_500_000)
        data.write(b"damaged")
    ran = on_qemu(*compare, *both, env=env, check=False)
    assert ran.returncode == 1 and "mismatch" in ran.stdout
    note(matrix, "qemu-img", "qemu-utils", "compare, raw and qcow2", "finds what differs")


# ---- sysbench ----------------------------------------------------------------------------------


def sysbench(folder: Path, engine: str, step: str, *more: str, check: bool = True) -> str:
    options = ["--file-num=2", "--file-total-size=32M", "--file-io-mode=async"]
    command = ["sysbench", "fileio", *options, "--file-test-mode=rndrw", *more, step]
    watched = dict(check=check, contexts=step == "run")
    return on_ours(*command, cwd=folder, env=environment(engine), **watched).stdout


def rate(told: str, what: str) -> float:
    return float(next(line for line in told.splitlines() if what in line).split()[-1])


def test_sysbench(folder, engine, matrix):
    sysbench(folder, engine, "prepare")
    options = ["--file-extra-flags=direct", "--threads=4", "--time=3"]
    told = sysbench(folder, engine, "run", *options)
    assert rate(told, "reads/s") > 0 and rate(told, "writes/s") > 0
    note(matrix, "sysbench", "sysbench", "fileio, async, O_DIRECT, 4 threads", "no error")


@pytest.mark.parametrize("engine", ["kernel"])
def test_sysbench_validates(folder, engine, matrix):
    """Without O_DIRECT and without io_uring, for it looks at a buffer, and fills it anew, as soon
    as io_submit has returned, whether the I/O has completed or not: with O_DIRECT it fails on
    Debian's library as well."""
    sysbench(folder, engine, "prepare", "--validate=on")
    told = sysbench(folder, engine, "run", "--validate=on", "--time=3")
    assert "FATAL" not in told
    assert rate(told, "reads/s") > 0 and rate(told, "writes/s") > 0
    note(matrix, "sysbench", "sysbench", "fileio, async, --validate", "no validation failed")
    # The twin: each of its blocks carries a checksum.
    for file in folder.glob("test_file.*"):
        file.write_bytes(os.urandom(file.stat().st_size))
    damaged = sysbench(folder, engine, "run", "--validate=on", "--time=3", check=False)
    assert "Validation failed" in damaged


# ---- others ------------------------------------------------------------------------------------


def test_stressapptest(folder, engine, matrix):
    """Its disk threads write patterns through AIO, read them back and compare."""
    file = folder / "disk"
    run("truncate", "--size", "64M", file)
    with loop_device(file) as device:
        command = ["stressapptest", "-s", "4", "-M", "64", "-m", "1", "-d", device]
        command += ["--destructive", "--read-block-size", "4096"]
        ran = on_ours(*command, cwd=folder, env=environment(engine))
    assert "Status: PASS" in ran.stdout
    note(matrix, "stressapptest", "stressapptest", "a disk thread", "Status: PASS")


def test_lvm(folder, engine, matrix):
    """Volume groups on loop devices: LVM reads and writes its metadata through AIO."""
    disks = [folder / "one", folder / "two"]
    (folder / "run").mkdir()
    env = environment(engine, LVM_SUPPRESS_FD_WARNINGS="1")
    for disk in disks:
        run("truncate", "--size", "32M", disk)
    with loop_device(disks[0]) as one, loop_device(disks[1]) as two:
        settings = f"devices/use_devicesfile=0 global/locking_dir={folder}/run"
        settings += f' devices/filter=["a|^{one}$|","a|^{two}$|","r|.*|"] backup/backup=0'
        settings += " backup/archive=0 activation/udev_sync=0 activation/udev_rules=0"
        config = ["--config", settings]
        on_ours("pvcreate", *config, one, two, env=env)
        on_ours("vgcreate", *config, f"conformance{os.getpid()}", one, two, env=env)
        ran = on_ours("pvs", *config, "--noheadings", "-o", "pv_name,vg_name", env=env)
        assert ran.stdout.count(f"conformance{os.getpid()}") == 2
        on_ours("vgck", *config, f"conformance{os.getpid()}", env=env)
        on_ours("vgremove", *config, "-y", f"conformance{os.getpid()}", env=env)
        ran = on_ours("pvs", *config, "--noheadings", "-o", "pv_name,vg_name", env=env)
        assert ran.stdout.count("conformance") == 0 and ran.stdout.count("/dev/loop") == 2
    note(matrix, "lvm", "lvm2", "pvcreate, vgcreate, vgck, vgremove on loop devices", "as asked")


PYPI_LIBAIO = "0.9.5"


@pytest.fixture(scope="session")
def python() -> Path:
    """A Python that has the libaio package of PyPI."""
    folder = WORK / f"python-libaio-{PYPI_LIBAIO}"
    if not (folder / "ready").exists():
        run("/usr/bin/python3", "-m", "venv", "--clear", folder)
        pip = [folder / "bin/python", "-m", "pip", "--quiet", "install"]
        run(*pip, "--no-binary", "libaio", f"libaio=={PYPI_LIBAIO}")
        (folder / "ready").touch()
    return folder / "bin/python"


def note_python(matrix, python: Path, what: str, result: str):
    """It has no imports in the linker's sense: it looks functions up by their names."""
    (source,) = python.parent.parent.glob("lib/*/site-packages/libaio/libaio.py")
    names = sorted(set(re.findall(r"_func\(\s*'(io_\w+)'", source.read_text())))
    matrix.row("libaio (PyPI)", PYPI_LIBAIO, names, what, result)


def test_python(python, folder, engine, matrix):
    program = Path(__file__).with_name("with_python.py")
    told = []
    for env in (
        environment(engine),
        dict(os.environ, LD_LIBRARY_PATH=str(original_library().parent)),
    ):
        told.append(run(python, program, folder / "file", env=env).stdout.splitlines())
    blocks = str([4096] * 64)
    assert told[0] == [blocks, blocks, "True", "22", str((BUILD / "libaio.so.1").resolve())]
    assert told[1][:-1] == told[0][:-1] and told[1][-1] == str(original_library())
    note_python(matrix, python, "writes, reads, an eventfd in epoll", "as on Debian's library")


def test_python_packages_own_tests(python, folder, engine, matrix):
    tests = [python, "-m", "libaio.test"]
    env = environment(engine)
    # Each of its contexts lives for a moment: who looks now and then may see none.
    seen = {"on_io_uring": lambda pid: True} if engine == "io_uring" else {}
    ran = on_ours(*tests, cwd=folder, env=env, check=engine == "kernel", **seen)
    assert (io_urings(folder, env, *tests) > 0) == (engine == "io_uring")
    if engine == "kernel":
        assert "OK" in ran.stderr
        note_python(matrix, python, "its own tests", "pass")
        return
    # A poll that has waited tells of other bits too that came with the one it waited for, on the
    # kernel's AIO: EPOLLRDNORM here. On io_uring it tells of what was asked for.
    assert "FAILED (failures=1)" in ran.stderr and "FAIL: testPoll" in ran.stderr, ran.stderr
    assert re.search(r"First differing element 0:\n\(.*, 65, 0\)\n\(.*, 1, 0\)\n", ran.stderr)
    result = "pass, but for one that wants a bit that it has not polled for"
    note_python(matrix, python, "its own tests", result)
