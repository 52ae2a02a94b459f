"""abidiff: no symbol, version or type of Debian's library is gone or changed in ours.

Symbols and versions are compared between the two libraries themselves. Types are compared between
two shared objects that a C compiler makes of `types.c`, with either header: what a C program sees.
(The debug information of our library describes Rust's types, which no C program was compiled with;
that they are the header's is what `tests/header.rs` proves.)
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, original_library, run

# The bits of abidiff's exit status (abidiff(1)).
USAGE, CHANGED, INCOMPATIBLE = 1 | 2, 4, 8


def abidiff(before: Path, after: Path, *options: str) -> subprocess.CompletedProcess[str]:
    ran = run("abidiff", *options, before, after, check=False)
    assert ran.returncode & USAGE == 0, ran.stderr
    return ran


def test_no_symbol_is_removed_or_changed():
    # Ours may have more.
    ran = abidiff(original_library(), BUILD / "libaio.so.1", "--no-added-syms")
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    "before, after",
    [(b"\0io_cancel\0", b"\0io_cancem\0"), (b"\0LIBAIO_0.4\0", b"\0LIBAIO_0.5\0")],
)
def test_a_symbol_removed_or_changed_is_noticed(folder, before, after):
    damaged = folder / "libaio.so.1"
    data = (BUILD / "libaio.so.1").read_bytes()
    assert before in data
    damaged.write_bytes(data.replace(before, after))
    ran = abidiff(original_library(), damaged, "--no-added-syms")
    assert ran.returncode & CHANGED, ran.stdout


def with_types(to: Path, *include: Path) -> Path:
    """`types.c` as a shared object; with Debian's header where no other folder is named."""
    source = PROJECT / "conformance" / "types.c"
    flags = [word for path in include for word in ("-I", path)]
    run("cc", "-std=gnu11", "-g", "-shared", "-fPIC", "-Wall", "-Wextra", *flags, "-o", to, source)
    return to


def test_no_type_is_changed(folder):
    original = with_types(folder / "original.so")
    ours = with_types(folder / "ours.so", PROJECT / "include")
    ran = abidiff(original, ours)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    "before, after",
    [
        ("long min_nr", "int min_nr"),
        ("IO_CMD_POLL = 5", "IO_CMD_POLL = 9"),
        ("struct iocb *obj", "long *obj"),
    ],
)
def test_a_type_changed_is_noticed(folder, before, after):
    text = (PROJECT / "include" / "libaio.h").read_text()
    assert before in text
    (folder / "include").mkdir()
    (folder / "include" / "libaio.h").write_text(text.replace(before, after))
    original = with_types(folder / "original.so")
    ran = abidiff(original, with_types(folder / "damaged.so", folder / "include"))
    assert ran.returncode & CHANGED, ran.stdout
