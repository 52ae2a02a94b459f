"""The header and the library on other architectures than this machine's.

The header by Debian's cross compilers: the layout asserted (`c-tests/header/layout.c`), and what
its inline functions write compared with the kernel's own header while running, under QEMU's user
emulation. The library by Debian 13's Rust 1.85, the oldest that the package promises to build with:
for this machine, and for aarch64, where it is linked, loaded and asked under the emulation.

What this cannot show. The emulation has none of the AIO system calls, so on aarch64 the library
only ever meets ENOSYS here: the reaping is not run there. For 32 bits and for big endian there is
no Rust core library to be had from the mirrors that we can rely on, so there the header is compiled
and run, and the Rust sources are not compiled.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, WORK, run
from debian import Archive


@dataclass(frozen=True)
class Architecture:
    """By GNU's name and QEMU's."""

    gnu: str
    qemu: str
    kind: str


ARCHITECTURES = [
    Architecture("aarch64-linux-gnu", "aarch64", "64 bits, little endian"),
    Architecture("i686-linux-gnu", "i386", "32 bits, little endian"),
    Architecture("powerpc-linux-gnu", "ppc", "32 bits, big endian"),
    Architecture("s390x-linux-gnu", "s390x", "64 bits, big endian"),
]
AARCH64 = ARCHITECTURES[0]
named = pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: a.gnu)

WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]


@named
def test_layout(architecture):
    header = ["-I", PROJECT / "include", PROJECT / "c-tests/header/layout.c"]
    run(f"{architecture.gnu}-gcc", *WARNINGS, "-fsyntax-only", *header)


def compiled(architecture: Architecture, source: str, to: Path, *options: str | Path) -> Path:
    """A program of this folder for another architecture."""
    file = PROJECT / "conformance" / source
    include = ["-I", PROJECT / "include"]
    run(f"{architecture.gnu}-gcc", *WARNINGS, *include, "-o", to, file, *options)
    return to


@named
def test_inline_functions_write_what_the_kernel_reads(architecture, folder):
    program = compiled(architecture, "prepared.c", folder / "prepared", "-static")
    run(f"qemu-{architecture.qemu}", program)
    damaged = compiled(architecture, "prepared.c", folder / "damaged", "-static", "-DDAMAGED")
    ran = run(f"qemu-{architecture.qemu}", damaged, check=False)
    assert ran.returncode == 1 and "aio_fildes" in ran.stdout, ran.stdout


# rustc of Debian 13 and the libraries that it is linked with.
RUST_SUITE = "trixie"
CROSS_TOOLS = {"CC": "gcc", "AR": "gcc-ar", "OBJCOPY": "objcopy"}
RUST_PACKAGES = (
    "rustc libstd-rust-1.85 libllvm19 libc6 libgcc-s1 libstdc++6 zlib1g libzstd1 libffi8 libedit2"
    " libtinfo6 libxml2 libbsd0 libmd0 liblzma5 libicu76 libstd-rust-dev"
).split()


@pytest.fixture(scope="session")
def old_rustc() -> Path:
    """rustc 1.85 with the core libraries of x86-64 and aarch64, in a folder of its own."""
    folder = WORK / "rust-1.85"
    if not folder.exists():
        archive = Archive("deb", RUST_SUITE, ("arm64",))
        fetched = folder.with_name("rust-1.85.fetched")
        archive.fetch("download", *RUST_PACKAGES, "libstd-rust-dev:arm64", into=fetched)
        part = folder.with_name("rust-1.85.part")
        shutil.rmtree(part, ignore_errors=True)
        for package in fetched.glob("*.deb"):
            run("dpkg-deb", "-x", package, part)
        shutil.rmtree(fetched)
        part.rename(folder)
    # It is linked with a newer C library than this machine may have, so it brings its own loader.
    (loader,) = {path.resolve() for path in folder.glob("**/ld-linux-x86-64.so.2")}
    libraries = folder / "usr/lib/x86_64-linux-gnu"
    rustc = folder / "rustc"
    rustc.write_text(
        "#!/bin/sh\n"
        f"exec '{loader}' --library-path '{libraries}' '{folder}/usr/bin/rustc'"
        f" --sysroot '{folder}/usr' \"$@\"\n"
    )
    rustc.chmod(0o755)
    assert run(rustc, "--version").stdout.startswith("rustc 1.85.")
    return rustc


def built(rustc: Path, to: Path, *variables: str) -> Path:
    """The library as `make` builds it, by that compiler."""
    environment = dict(os.environ, RUSTC=str(rustc))
    run("make", "-C", PROJECT, "all", f"BUILD={to}", *variables, env=environment, timeout=600)
    return to


def exported(library: Path) -> set[str]:
    """The defined dynamic symbols with their versions."""
    lines = run("readelf", "--wide", "--dyn-syms", library).stdout.splitlines()
    rows = [line.split() for line in lines if " GLOBAL " in line and " UND " not in line]
    return {row[7] for row in rows if row[6] != "ABS"}


def test_the_oldest_promised_rust_builds_the_same_interface(old_rustc):
    promised = next(
        line.split('"')[1]
        for line in (PROJECT / "Cargo.toml").read_text().splitlines()
        if line.startswith("rust-version")
    )
    assert promised == "1.85"
    build = built(old_rustc, WORK / "built-by-1.85")
    assert exported(build / "libaio.so.1") == exported(BUILD / "libaio.so.1")


def test_on_aarch64_the_library_builds_loads_and_answers(old_rustc, folder):
    tools = [f"{name}={AARCH64.gnu}-{tool}" for name, tool in CROSS_TOOLS.items()]
    target = "TARGET=aarch64-unknown-linux-gnu"
    build = built(old_rustc, WORK / "built-for-aarch64", target, *tools)
    assert exported(build / "libaio.so.1") == exported(BUILD / "libaio.so.1")
    emulator = [f"qemu-{AARCH64.qemu}", "-L", f"/usr/{AARCH64.gnu}"]
    for linked in (["-L", build, "-laio"], [build / "libaio.a"]):
        program = compiled(AARCH64, "answers.c", folder / "answers", *linked)
        ran = run(*emulator, "-E", f"LD_LIBRARY_PATH={build}", program)
        # 7 answers, and ENOSYS (38): the emulator has no AIO to offer.
        assert ran.stdout.count(": -38, errno 38") == 7, ran.stdout
