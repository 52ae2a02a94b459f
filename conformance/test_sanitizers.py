"""The C tests, and the library under them, while sanitizers watch.

- *ASan and UBSan* over the C programs, and once more with ASan in the library itself.
- *TSan* over the crews of `c-tests/stress.c`, with the library instrumented. What it can judge: all
  that threads of the program do to each other, in the library and through it; its own view of
  `gate.rs` and `ring.rs` beside the model checker's. What it cannot: the kernel, whose writes to
  the ring and to buffers it does not see (no race with them is reported, and no order that they
  make is known). So a program that hands memory from the thread that submits to the one that
  reaps, with nothing but the event between them, is right and would be reported; the crews use
  atomics of their own for that. Helgrind, which is of Valgrind's, cannot judge the reaping: under
  Valgrind the library leaves all of it to the kernel.
- *memcheck* over the C programs, with no suppression: it says nothing of any of them that it does
  not say with Debian's library. It looks at the calls alone, for the same reason; so not at
  `c-tests/beyond/`, which is about bad pointers.
- *Under io_uring* the same, but for memcheck, under which the kernel engine serves, and for C tests
  that are about the kernel's contexts; and TSan over the thread that serves eventfds. It does not
  see the kernel's side of the queues either.
- *The library's own checks*: built with debug assertions and overflow checks, under everything.

The library's instrumentation is an unstable option of rustc; RUSTC_BOOTSTRAP lets the stable one
take it. The Rust core library stays as it is; what the library uses of it is generic or inlined,
and so is compiled along with it.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, WORK, environment, original_library, run

C_TESTS = PROJECT / "c-tests"
COMPILE = ["-std=gnu11", "-g", "-O1", "-pthread", "-I", C_TESTS, "-I", PROJECT / "include"]
BEHAVIOUR, BEYOND = C_TESTS / "behaviour", C_TESTS / "beyond"
SOURCES = sorted(BEHAVIOUR.glob("*.c")) + sorted(BEYOND.glob("*.c"))
CREWS = {
    "crews": "crew 2 3 0 0 0 0 60000 64",
    "a handler reaps": "crew 2 2 1 200 0 0 30000 64",
    "forks": "crew 2 2 2 0 1 0 20000 64",
    "contexts come and go": "crew 2 2 3 0 0 1 30000 64",
    "destroyed while in use": "destroy 200",
}


def library_with(name: str, rustflags: str = "", **profile: str) -> Path:
    """A build of the library in a folder of its own."""
    folder = WORK / "libraries" / name
    env = dict(os.environ, RUSTFLAGS=rustflags)
    env.update({f"CARGO_PROFILE_RELEASE_{key}": value for key, value in profile.items()})
    if rustflags:
        env.update(RUSTC_BOOTSTRAP="1")
    run("make", "-C", PROJECT, f"BUILD={folder.relative_to(PROJECT)}", env=env, timeout=600)
    return folder


def instrumented(sanitizer: str) -> Path:
    """The static library with a sanitizer's calls in it, which the program brings."""
    folder = WORK / "libraries" / sanitizer
    flags = f"-Zsanitizer={sanitizer} -Cunsafe-allow-abi-mismatch=sanitizer"
    env = dict(os.environ, RUSTFLAGS=flags, RUSTC_BOOTSTRAP="1")
    host = re.search(r"(?m)^host: (.*)$", run("rustc", "-vV").stdout)[1]
    command = "cargo rustc --release --locked --lib --crate-type staticlib".split()
    command += ["--manifest-path", PROJECT / "Cargo.toml", "--target-dir", folder]
    run(*command, "--target", host, env=env, timeout=600)
    return folder / host / "release/libaio.a"


@pytest.fixture(scope="session")
def binaries(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sanitizers")


def can_be_static(source: Path) -> bool:
    return "/* forms: shared */" not in source.read_text()


@lru_cache
def build_all(kind: str, folder: Path, *options: str | Path) -> dict[Path, Path]:
    """All C tests, compiled two at a time; without those that want symbol versions where static."""

    def build(source: Path) -> Path:
        binary = folder / f"{source.stem}-{kind}"
        run("cc", *COMPILE, "-o", binary, source, *options)
        return binary

    static = "-laio" not in options
    sources = [source for source in SOURCES if can_be_static(source) or not static]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(sources, pool.map(build, sources)))


def run_all(binaries: dict[Path, Path], folder: Path, env: dict[str, str], *before: str):
    """All of them, each in a folder of its own; what those said that failed."""

    def one(source: Path):
        place = folder / f"{binaries[source].name}"
        place.mkdir()
        return run(*before, binaries[source], cwd=place, env=env, check=False, timeout=100)

    # Mostly they wait for the kernel.
    with ThreadPoolExecutor(6) as pool:
        ran = dict(zip(binaries, pool.map(one, binaries)))
    return {source: done for source, done in ran.items() if done.returncode != 0}


def on(engine: str, binaries: dict[Path, Path]) -> dict[Path, Path]:
    """Those that are about what the engine's contexts can do."""
    about_kernel = "/* engines: kernel */"
    return {
        source: program
        for source, program in binaries.items()
        if engine == "kernel" or about_kernel not in source.read_text()
    }


def all_well(failed: dict) -> bool:
    for source, ran in failed.items():
        print(f"{source.stem}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return not failed


SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_address_and_undefined(binaries, folder, engine):
    built = build_all("asan", binaries, *SANITIZE, "-L", BUILD, "-laio")
    assert all_well(run_all(on(engine, built), folder, environment(engine)))


def test_address_in_the_library_too(binaries, folder, engine):
    library = instrumented("address")
    built = build_all("asan-static", binaries, *SANITIZE, library)
    assert all_well(run_all(on(engine, built), folder, environment(engine)))


def test_assertions_and_overflow(binaries, folder, engine):
    library = library_with("checked", DEBUG_ASSERTIONS="true", OVERFLOW_CHECKS="true")
    built = build_all("checked", binaries, "-L", library, "-laio")
    env = dict(environment(engine), LD_LIBRARY_PATH=str(library))
    # Its size, which one of them measures, is another.
    assert all_well(run_all(on(engine, built), folder, env))
    stress = compile_stress(binaries / "stress-checked", "-L", library, "-laio")
    for arguments in CREWS.values():
        run(stress, *arguments.split(), env=env)


def compile_stress(to: Path, *options: str | Path) -> Path:
    run("cc", *COMPILE, "-o", to, C_TESTS / "stress.c", *options)
    return to


@pytest.mark.parametrize(
    "sanitizer, fault, said",
    [
        ("address", "overrun", "heap-buffer-overflow"),
        ("thread", "race", "data race"),
    ],
)
def test_a_program_that_is_wrong_is_told(binaries, sanitizer, fault, said):
    """The twin of the instrumented library: it does see what happens in there."""
    source = PROJECT / "conformance/broken.c"
    broken = with_instrumented_library(sanitizer, source, binaries / f"broken-{sanitizer}")
    ran = run(broken, fault, check=False)
    assert ran.returncode != 0 and said in ran.stderr, ran.stderr


def with_instrumented_library(sanitizer: str, source: Path, to: Path) -> Path:
    """A program with a sanitizer in it and in the library; the runtime is rustc's, for GCC's of
    the same name may be older than the calls that rustc makes."""
    host = Path(run("rustc", "--print", "target-libdir").stdout.strip())
    (runtime,) = host.glob(f"librustc-*_rt.{sanitizer[0]}san.a")
    program = to.with_suffix(".o")
    run("cc", *COMPILE, f"-fsanitize={sanitizer}", "-c", "-o", program, source)
    whole = ["-Wl,--whole-archive", runtime, "-Wl,--no-whole-archive", "-Wl,--export-dynamic"]
    run("cc", "-o", to, program, instrumented(sanitizer), *whole, "-pthread", "-ldl", "-lm")
    return to


@lru_cache
def stress_under_tsan(folder: Path) -> Path:
    return with_instrumented_library("thread", C_TESTS / "stress.c", folder / "stress-thread")


@pytest.mark.parametrize("crew", CREWS)
def test_threads(binaries, engine, crew):
    env = environment(engine, TSAN_OPTIONS="halt_on_error=1:die_after_fork=0")
    ran = run(stress_under_tsan(binaries), *CREWS[crew].split(), env=env)
    assert "ThreadSanitizer" not in ran.stderr


def test_the_thread_that_serves_eventfds(binaries, folder):
    """Beside a program that takes events from the ring into which it puts them."""
    load = PROJECT / "conformance/load.c"
    program = with_instrumented_library("thread", load, binaries / "load-thread")
    env = environment("io_uring", TSAN_OPTIONS="halt_on_error=1")
    for how in ("block", "poll", "timeout"):
        ran = run(program, "-e", "-n", "4096", "-w", how, folder / "file", env=env)
        assert "reads whole 4096" in ran.stdout and ran.stderr == ""


def memcheck_reports(binaries: dict[Path, Path], folder: Path, env: dict[str, str]):
    """What memcheck says of each program that fails: its lines without indentation and numbers."""
    memcheck = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--fair-sched=yes"]
    # What is "possibly lost" is the C library's memory of threads that end with the program.
    memcheck += [f"--{what}-leak-kinds=definite,indirect" for what in ("show", "errors-for")]
    folder.mkdir()
    failed = run_all(binaries, folder, env, *memcheck)
    lines = {
        source: re.findall(r"(?m)^==\d+== (\S.*)$", ran.stderr) for source, ran in failed.items()
    }
    return {source: {re.sub(r"\d", "", line) for line in lines[source]} for source in failed}


def test_memcheck(binaries, folder):
    built = build_all("memcheck", binaries, "-L", BUILD, "-laio")
    built = {source: program for source, program in built.items() if source.parent == BEHAVIOUR}
    ours = memcheck_reports(built, folder / "ours", environment())
    # Those that hand out what is not there, to see what is answered; and those that want
    # io_pgetevents, which this Valgrind may not have.
    same = {source: built[source] for source in ours}
    env = dict(os.environ, LD_LIBRARY_PATH=str(original_library().parent))
    original = memcheck_reports(same, folder / "original", env)
    for source, reports in ours.items():
        assert source in original, f"{source.stem} fails on ours alone: {reports}"
        assert reports <= original[source], source.stem
    assert len(ours) < len(built) / 4
