"""libaio's own tests, from Debian's source package, unchanged, each case by its name.

Three ways: built against Debian's library and run on ours; compiled with our header against our
shared library; and against our static one. A case that fails is run on Debian's library too, on
the same machine, and has to fail there with the same words, for a reason that is written here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, WORK, environment, imports_of, mounted, package_version, run
from debian import source_of

# There is no case 1 and no case 9. Debian's build leaves out 8, 10 and 23.
CASES = [*range(2, 9), *range(10, 24)]

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


results: dict[tuple[str, str], dict[int, str]] = {}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", WAYS)
def test_case(harness, engine, way, case):
    folder, variables = harness[way], environment(engine)
    library = loaded(folder / "cases" / f"{case}.p", variables)
    if way == "our header, static":
        assert library == [] and imports_of(folder / "cases" / f"{case}.p") == []
    else:
        assert [path.parent for path in library] == [BUILD]
    ran = run_case(folder, case, variables)
    if ran.returncode == 0:
        assert outcome(ran) == "PASSED", ran.stdout + ran.stderr
    else:
        on_original = run_case(harness[ORIGINAL], case, dict(os.environ))
        assert (ran.returncode, ran.stdout) == (on_original.returncode, on_original.stdout), (
            "fails on ours alone:\n" + ran.stdout + ran.stderr
        )
        assert case in KNOWN_FAILURES, "fails on Debian's too, but why?\n" + ran.stdout
    results.setdefault((way, engine), {})[case] = outcome(ran)


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


@pytest.mark.parametrize("way", WAYS)
def test_every_case_was_run(harness, engine, way, matrix):
    names = {int(path.stem) for path in (harness[way] / "cases").glob("*.t")}
    assert names == set(CASES)
    ran = results.get((way, engine), {})
    assert set(ran) == names, f"cases without a result: {names - set(ran)}"
    failed = {case: said for case, said in ran.items() if said != "PASSED"}
    said = f"{len(ran) - len(failed)} of {len(ran)} cases pass"
    for case in failed:
        said += f"; case {case} fails as on Debian's library: {KNOWN_FAILURES[case]}"
    imports = sorted(
        {name for p in (harness[ORIGINAL] / "cases").glob("*.p") for name in imports_of(p)}
    )
    matrix.row("libaio's harness", package_version("libaio-dev"), imports, way, said, "harness")
