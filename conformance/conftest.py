"""What the parts of the conformance run share: the two libraries, places to work in, the matrix.

Run it with `make conformance`; one part with `make conformance-NAME`, where NAME is that of a
`test_NAME.py` here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
BUILD = PROJECT / "build"
# Sources, results and everything else that a run makes and none commits.
WORK = BUILD / "conformance"
# Engines that each part runs under: the values of LIBAIO_ENGINE, and the columns of the matrix.
ENGINES = ["kernel", "io_uring"]


def run(*command: str | Path, check: bool = True, timeout: float = 300, **options):
    """Runs a command to its end; its output is text, and is shown where it fails."""
    words = [str(word) for word in command]
    ran = subprocess.run(words, text=True, capture_output=True, timeout=timeout, **options)
    if check and ran.returncode != 0:
        raise AssertionError(
            f"{' '.join(words)}\nexit status {ran.returncode}\n{ran.stdout}{ran.stderr}"
        )
    return ran


def original_library() -> Path:
    """Debian's libaio.so.1, the one that the linker finds without being told where."""
    found = run("cc", "-print-file-name=libaio.so.1").stdout.strip()
    return Path(found).resolve(strict=True)


def environment(engine: str = "kernel", **more: str) -> dict[str, str]:
    """The environment in which a program meets our library before Debian's."""
    ours = dict(os.environ, LD_LIBRARY_PATH=str(BUILD), **more)
    if engine != "kernel":
        ours["LIBAIO_ENGINE"] = engine
    return ours


def libaio_maps(pid: int) -> set[Path]:
    """Which libaio a process has mapped; none where it has ended."""
    try:
        with open(f"/proc/{pid}/maps") as maps:
            files = {line.split()[-1] for line in maps if "/libaio.so" in line}
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {Path(file) for file in files}


def has_io_uring(pid: int) -> bool:
    """Whether a process has an io_uring; not where it has ended."""
    try:
        files = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for file in files:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{file}") == "anon_inode:[io_uring]":
                return True
    return False


def has_pump(pid: int) -> bool:
    """Whether a process has the thread with which the io_uring engine serves eventfds."""
    for name in Path(f"/proc/{pid}/task").glob("*/comm"):
        with contextlib.suppress(OSError):
            if name.read_text() == "libaio-pump\n":
                return True
    return False


def maps_ours(pid: int) -> bool:
    """Whether the process has our library mapped, and no other libaio."""
    return {file.parent for file in libaio_maps(pid)} == {BUILD}


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: the only test that uses AIO at its time")


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    return request.param


@pytest.fixture(autouse=True)
def share_of_aio(request):
    """Shares fs.aio-max-nr with other tests but not with those that use it up (tests/common).

    A test with the mark `alone` is one of the latter, or counts what is in use.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    alone = request.node.get_closest_marker("alone")
    with open("/proc/sys/fs/aio-max-nr") as limit:
        fcntl.flock(limit, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


@pytest.fixture
def folder():
    """An empty folder on the disk that the project lies on."""
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        yield Path(name)


def given_back(*command: str | Path):
    """Runs a command that gives back a device or a mount, as soon as nobody uses it any more.

    What a process had in flight in an io_uring may end a moment after the process.
    """
    deadline = time.monotonic() + 20
    while "busy" in (ran := run(*command, check=False)).stderr and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ran.returncode == 0, ran.stderr


@contextlib.contextmanager
def loop_device(file: Path):
    """A loop device over a file; given back by its own name."""
    device = run("losetup", "--find", "--show", file).stdout.strip()
    try:
        yield Path(device)
    finally:
        given_back("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(device: Path | str, at: Path, *options: str):
    """A file system mounted at a folder, which is made."""
    at.mkdir(exist_ok=True)
    run("mount", *options, device, at)
    try:
        yield at
    finally:
        given_back("umount", at)


def compiled(source: str, to: Path, *options: str | Path) -> Path:
    """A program of this folder, with this project's header."""
    file = PROJECT / "conformance" / source
    warnings = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]
    run("cc", *warnings, "-I", PROJECT / "include", "-o", to, file, *options)
    return to


def imports_of(binary: Path | str) -> list[str]:
    """The libaio functions that a program imports."""
    table = run("readelf", "--wide", "--dyn-syms", binary).stdout
    return sorted(set(re.findall(r" UND (\w+)@LIBAIO_", table)))


def package_version(package: str) -> str:
    return run("dpkg-query", "-W", "-f", "${Version}", package).stdout


class Matrix:
    """What one test ran and what came out, a row each, for docs/compatibility.md.

    A test writes a row once that has passed, and its earlier rows are gone when it begins: the
    document can only say what was seen.
    """

    folder = WORK / "matrix"

    def __init__(self, node, engine: str):
        self.engine, self.node = engine, "".join(c if c.isalnum() else "-" for c in node.nodeid)
        part = node.path.stem.removeprefix("test_")
        self.command = f"make conformance-{part} K={node.originalname}"
        self.rows = 0
        for file in self.folder.glob(f"{self.node}.*.json"):
            file.unlink()

    def row(self, program: str, version: str, imports: list[str], what: str, result: str):
        """`what` was run of `program`, with that result."""
        assert imports, f"{program} takes nothing from libaio?"
        row = dict(
            program=program,
            version=version,
            imports=imports,
            what=what,
            engine=self.engine,
            result=result,
            command=self.command,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{self.node}.{self.rows}.json"
        file.write_text(json.dumps(row, indent=1) + "\n")
        self.rows += 1


@pytest.fixture
def matrix(request, engine) -> Matrix:
    return Matrix(request.node, engine)
