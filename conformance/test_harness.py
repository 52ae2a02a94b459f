"""libaio's own tests, from Debian's source package, unchanged, each case by its name.

Three ways: built against Debian's library and run on ours; compiled with our header against our
shared library; and against our static one. A case that fails is run on Debian's library too, on
the same machine, and has to fail there with the same words, for a reason that is written here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, WORK, environment, imports_of, mounted, package_version, run
from debian import source_of

# What each case is about. There is no case 1 and no case 9. Debian's build leaves out 8, 10 and 23.
ABOUT = {
    2: "io_setup refuses bad arguments",
    3: "io_submit and io_getevents refuse bad addresses",
    4: "descriptors without permission; O_APPEND",
    5: "writes from a mapping of the same file",
    6: "reads and writes larger than what may be pinned",
    7: "writes at the limit of a file's size",
    8: "writes at the largest offset of ext2 (root, a loop mount)",
    10: "a full file system (root, a loop mount)",
    11: "one page read and written over and over",
    12: "a context across a fork",
    13: "several large writes at once",
    14: "a child that reads and writes 768 MiB at once",
    15: "preadv and pwritev",
    16: "eventfd",
    17: "more requests than the ring has room for",
    18: "io_destroy waits for what is in flight, in 100 threads",
    19: "mremap of the ring",
    20: "as many requests as fs.aio-max-nr",
    21: "RWF_NOWAIT",
    22: "poll, and the signal mask of io_pgetevents",
    23: "poll misses no event of a pipe (not in Debian's build)",
}
# Spends its time waiting for the kernel, which takes contexts apart: runs all ways at once.
WAITS = 18
# Uses up fs.aio-max-nr, and fails where anybody on the machine makes a context meanwhile. Tests
# hold a lock (conftest.py), other programs do not: so it has several tries. What a library did
# wrong it would do wrong in each.
GREEDY, TRIES = 20, 20

# Why a case fails on Debian's library on some kernels.
KNOWN_FAILURES: dict[int, str] = {}

OUR_HEADER = f"MK_CPPFLAGS=-I{PROJECT / 'include'}"
WAYS = {
    "linked with Debian's": ["LIBAIO=-laio"],
    "our header, shared": [OUR_HEADER, f"LIBAIO=-L{BUILD} -laio"],
    "our header, static": [OUR_HEADER, f"LIBAIO={BUILD / 'libaio.a'}"],
}
ORIGINAL = "linked with Debian's"


@pytest.fixture(scope="session")
def harness() -> dict[str, Path]:
    """The folders of the harness, built each way."""
    source = source_of("libaio-dev")
    folders = {}
    for way, variables in WAYS.items():
        name = "".join(c for c in way if c.isalnum() or c == " ").replace(" ", "-")
        tree = WORK / "harness" / name
        shutil.rmtree(tree, ignore_errors=True)
        shutil.copytree(source, tree, symlinks=True)
        folder = tree / "harness"
        files = [f"testdir/{name}" for name in ("rofile", "wofile", "rwfile")]
        run("make", "-j2", "-C", folder, "all", *files, *variables)
        folders[way] = folder
    return folders


def run_case(folder: Path, case: int, variables: dict[str, str]):
    """Runs a case where it wants to be: two of them in a small file system of their own."""

    def at():
        program = folder / "cases" / f"{case}.p"
        return run(program, cwd=folder, env=variables, check=False, timeout=240)

    images = {8: ("ext2.img", "testdir.ext2"), 10: ("ext2-enospc.img", "testdir.enospc")}
    if case not in images:
        return at()
    image, place = images[case]
    if case == 8:
        run("make", "-C", folder, image)
    # A fresh copy each time: the cases fill it.
    used = folder / f"used-{image}"
    shutil.copyfile(folder / image, used)
    with mounted(used, folder / place, "-o", "loop", "-t", "ext2"):
        return at()


def loaded(program: Path, variables: dict[str, str]) -> list[Path]:
    """Which libaio.so.1 the loader takes for the program; none where it is linked statically."""
    trace = run(program, env=dict(variables, LD_TRACE_LOADED_OBJECTS="1")).stdout
    return [Path(line.split()[2]) for line in trace.splitlines() if "libaio.so.1 =>" in line]


def outcome(ran: subprocess.CompletedProcess[str]) -> str:
    """What a case said at its end, or which signal ended it."""
    lines = [line for line in ran.stdout.splitlines() if " completed " in line]
    return lines[-1].rstrip(".").split()[-1] if lines else f"ended by {ran.returncode}"


outcomes: dict[tuple[int, str, str], str] = {}
started: dict[tuple[str, str], Future] = {}


def run_beside(harness, way: str, engine: str, case: int):
    """Runs a case; of the case that waits, every way is started with the first."""
    if case == GREEDY:
        for _ in range(TRIES):
            ran = run_case(harness[way], case, environment(engine))
            if ran.returncode == 0:
                break
        return ran
    if case != WAITS:
        return run_case(harness[way], case, environment(engine))
    if (way, engine) not in started:
        pool = ThreadPoolExecutor(len(WAYS))
        for each in WAYS:
            job = pool.submit(run_case, harness[each], case, environment(engine))
            started[each, engine] = job
    return started[way, engine].result()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.alone] * (c == GREEDY)) for c in ABOUT]
)
def test_case(harness, engine, way, case, matrix):
    program = harness[way] / "cases" / f"{case}.p"
    library = loaded(program, environment(engine))
    if way == "our header, static":
        assert library == [] and imports_of(program) == []
    else:
        assert [path.parent for path in library] == [BUILD]
    ran = run_beside(harness, way, engine, case)
    if ran.returncode == 0:
        assert outcome(ran) == "PASSED", ran.stdout + ran.stderr
        said = "passes"
    else:
        on_original = run_case(harness[ORIGINAL], case, dict(os.environ))
        assert (ran.returncode, ran.stdout) == (on_original.returncode, on_original.stdout), (
            "fails on ours alone:\n" + ran.stdout + ran.stderr
        )
        assert case in KNOWN_FAILURES, "fails on Debian's too, but why?\n" + ran.stdout
        said = f"fails, as on Debian's library: {KNOWN_FAILURES[case]}"
    outcomes[case, way, engine] = said
    said_all_ways = {outcomes.get((case, each, engine)) for each in WAYS}
    if said_all_ways == {said}:
        what = f"case {case}: {ABOUT[case]}"
        version, imports = package_version("libaio-dev"), imports_of(
            harness[ORIGINAL] / "cases" / f"{case}.p"
        )
        matrix.row("libaio's own harness", version, imports, what, f"{said} all three ways")


def test_a_wrong_answer_fails_a_case(harness, folder):
    """The twin: a library that says it took a request where there was none."""
    source, wrong = folder / "wrong.c", folder / "wrong.so"
    source.write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <libaio.h>\n"
        "int io_submit(io_context_t c, long n, struct iocb **list)\n{\n"
        "int (*real)(io_context_t, long, struct iocb **) ="
        ' dlvsym(RTLD_NEXT, "io_submit", "LIBAIO_0.1");\n'
        "return n == 0 ? 1 : real(c, n, list);\n}\n"
    )
    run("cc", "-shared", "-fPIC", "-o", wrong, source)
    ran = run_case(harness[ORIGINAL], 3, environment(LD_PRELOAD=str(wrong)))
    assert ran.returncode != 0 and outcome(ran) != "PASSED", ran.stdout


def test_there_are_no_other_cases(harness):
    for folder in harness.values():
        assert {int(path.stem) for path in (folder / "cases").glob("*.t")} == set(ABOUT)
