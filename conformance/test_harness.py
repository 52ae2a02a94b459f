"""libaio's own tests, from Debian's source package, unchanged, each case by its name.

Three ways: built against Debian's library and run on ours; compiled with our header against our
shared library; and against our static one. A case that fails is run on Debian's library too, on
the same machine, and has to fail there with the same words, for a reason that is written here.

Under io_uring some cases (`IMPATIENT`) meet a difference that is meant to be: they call
io_getevents with min_nr 0, which waits for nothing, and rely on the I/O being complete when
io_submit returns. So they are run twice: as they are, when they pass or fail for this; and with an
io_getevents that waits for one event (`patient.c`), when they pass.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import (
    BUILD,
    PROJECT,
    WORK,
    compiled,
    environment,
    imports_of,
    mounted,
    package_version,
    run,
)
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
# Cases that want an event without waiting for it, and what they say where it is not there yet.
IMPATIENT = {4, 5, 6, 7, 8, 10, 11, 13, 15}
NO_EVENT_YET = re.compile(r"io_getevents (res=0|failed \[\d\] with res=0) ")
# Uses up fs.aio-max-nr, and fails where anybody on the machine makes a context meanwhile. Tests
# hold a lock (conftest.py), other programs do not: so it has several tries. What a library did
# wrong it would do wrong in each.
GREEDY, TRIES = 20, 20
# Moves the context's memory, which io_uring's cannot be: it is found by its address.
MOVES = 19
# What two of them say that cannot pass on io_uring, and why; linked statically, for else they are
# seen to take no events from the library, and the kernel engine serves. The second may pass where a
# process may have as many descriptors.
DIFFERENT = {
    MOVES: ("io_submit failed with -22", "a context of io_uring cannot be moved"),
    GREEDY: ("io_setup(1) failed on iteration", "each context of io_uring takes a descriptor"),
}
# What the library says where the kernel engine serves a program that takes no events from it.
SERVED_BY_KERNEL = "is ignored: this program takes events by system call"
# Spends its time waiting for the kernel, which takes contexts apart: runs all ways at once.
WAITS = 18

# Why a case fails on Debian's library on some kernels.
KNOWN_FAILURES: dict[int, str] = {}

OUR_HEADER = f"MK_CPPFLAGS=-I{PROJECT / 'include'}"
ORIGINAL, STATIC = "linked with Debian's", "our header, static"
WAYS = {
    ORIGINAL: ["LIBAIO=-laio"],
    "our header, shared": [OUR_HEADER, f"LIBAIO=-L{BUILD} -laio"],
    STATIC: [OUR_HEADER, f"LIBAIO={BUILD / 'libaio.a'}"],
}


def built(name: str, variables: list[str]) -> Path:
    """The harness in a folder of that name, built with these variables."""
    tree = WORK / "harness" / "".join(c for c in name if c.isalnum() or c == " ").replace(" ", "-")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source_of("libaio-dev"), tree, symlinks=True)
    files = [f"testdir/{name}" for name in ("rofile", "wofile", "rwfile")]
    run("make", "-j2", "-C", tree / "harness", "all", *files, *variables)
    return tree / "harness"


@pytest.fixture(scope="session")
def harness() -> dict[str, Path]:
    """The folders of the harness, built each way."""
    return {way: built(way, variables) for way, variables in WAYS.items()}


@pytest.fixture(scope="session")
def patient_harness(harness, tmp_path_factory):
    """Where a case is for a way, and its environment, with the io_getevents that waits."""
    folder = tmp_path_factory.mktemp("patient")
    preload = compiled("patient.c", folder / "patient.so", "-shared", "-fPIC")
    wrapped = compiled("patient.c", folder / "patient.o", "-c", "-DWRAPPED")
    library = f"LIBAIO={wrapped} {BUILD / 'libaio.a'} -Wl,--wrap=io_getevents"
    folders = dict(harness)
    folders[STATIC] = built(f"{STATIC}, patient", [OUR_HEADER, library])

    def patient(way: str, engine: str) -> tuple[Path, dict[str, str]]:
        variables = environment(engine)
        if way != STATIC:
            variables["LD_PRELOAD"] = str(preload)
        return folders[way], variables

    return patient


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
            # Nobody else can take io_uring's contexts away.
            if ran.returncode == 0 or (way, engine) == (STATIC, "io_uring"):
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


def passes(ran: subprocess.CompletedProcess[str]) -> bool:
    assert ran.returncode != 0 or outcome(ran) == "PASSED", ran.stdout + ran.stderr
    return ran.returncode == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.alone] * (c == GREEDY)) for c in ABOUT]
)
def test_case(harness, patient_harness, engine, way, case, matrix):
    program = harness[way] / "cases" / f"{case}.p"
    library = loaded(program, environment(engine))
    if way == STATIC:
        assert library == [] and imports_of(program) == []
    else:
        assert [path.parent for path in library] == [BUILD]
    ran = run_beside(harness, way, engine, case)
    said = "passes"
    if engine == "io_uring" and case in DIFFERENT and way == STATIC:
        words, why = DIFFERENT[case]
        if not passes(ran):
            assert words in ran.stdout + ran.stderr, ran.stdout + ran.stderr
            said = f"fails, for {why}"
    elif engine == "io_uring" and SERVED_BY_KERNEL in ran.stderr:
        assert passes(ran), ran.stdout + ran.stderr
        said = "passes on the kernel engine, as it takes no events from the library"
    elif engine == "io_uring" and case in IMPATIENT:
        assert passes(ran) or NO_EVENT_YET.search(ran.stdout), ran.stdout + ran.stderr
        folder, variables = patient_harness(way, engine)
        ran = run_case(folder, case, variables)
        assert passes(ran), "fails with patience too:\n" + ran.stdout + ran.stderr
        said = "passes, with an io_getevents that waits for an event"
    elif not passes(ran):
        on_original = run_case(harness[ORIGINAL], case, dict(os.environ))
        assert (ran.returncode, ran.stdout) == (on_original.returncode, on_original.stdout), (
            "fails on ours alone:\n" + ran.stdout + ran.stderr
        )
        assert case in KNOWN_FAILURES, "fails on Debian's too, but why?\n" + ran.stdout
        said = f"fails, as on Debian's library: {KNOWN_FAILURES[case]}"
    outcomes[case, way, engine] = said
    said_each_way = {each: outcomes.get((case, each, engine)) for each in WAYS}
    if all(said_each_way.values()):
        what = f"case {case}: {ABOUT[case]}"
        version, imports = package_version("libaio-dev"), imports_of(
            harness[ORIGINAL] / "cases" / f"{case}.p"
        )
        if len(set(said_each_way.values())) == 1:
            result = f"{said} (all three ways)"
        else:
            result = "; ".join(f"{each}: {said}" for each, said in said_each_way.items())
        matrix.row("libaio's own harness", version, imports, what, result)


def test_patience_hides_no_wrong_result(patient_harness, folder):
    """The twin: events of which each tells of one byte more."""
    source, wrong = folder / "wrong.c", folder / "wrong.so"
    source.write_text(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <libaio.h>\n"
        "int io_getevents(io_context_t c, long m, long n, struct io_event *e, struct timespec *t)\n"
        "{\nint (*real)(io_context_t, long, long, struct io_event *, struct timespec *) ="
        ' dlvsym(RTLD_NEXT, "io_getevents", "LIBAIO_0.4");\n'
        "int r = real(c, m, n, e, t);\nif (r > 0)\ne->res++;\nreturn r;\n}\n"
    )
    run(
        "cc",
        "-shared",
        "-fPIC",
        "-Wl,--version-script=" + str(PROJECT / "libaio.map"),
        "-o",
        wrong,
        source,
    )
    place, variables = patient_harness(ORIGINAL, "io_uring")
    assert passes(run_case(place, 4, variables))
    variables["LD_PRELOAD"] += f" {wrong}"
    ran = run_case(place, 4, variables)
    assert not passes(ran) and "FAILED" in ran.stdout, ran.stdout


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
