#!/usr/bin/env python3
"""Makes docs/compatibility.md of compatibility.md here and of the rows that the parts have left.

  make conformance compatibility
"""

import json
import os
import platform
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROWS = ROOT / "build/conformance/matrix"
NOTE = "<!-- Made by make compatibility from conformance/compatibility.md: do not edit. -->\n"

# In this order; a run that left one out is no run to make the page of.
PROGRAMS = [
    "fio",
    "qemu-img",
    "mariadbd",
    "sysbench",
    "stressapptest",
    "lvm",
    "libaio (PyPI)",
    "libaio's own harness",
]
# The columns: values of LIBAIO_ENGINE, and what they are called.
ENGINES = {"kernel": "kernel AIO", "io_uring": "io_uring"}


def rows() -> dict[str, list[dict]]:
    """The rows of each program, in the order in which they were written."""
    found = defaultdict(list)
    for file in sorted(ROWS.glob("*.json"), key=lambda file: file.stat().st_mtime_ns):
        row = json.loads(file.read_text())
        found[row["program"]].append(row)
    missing = [program for program in PROGRAMS if program not in found]
    if missing:
        sys.exit(f"error: nothing was run of {', '.join(missing)}; run make conformance")
    unknown = set(found) - set(PROGRAMS)
    assert not unknown, f"programs without a place in the page: {unknown}"
    return found


def engines(found: dict[str, list[dict]]) -> list[str]:
    seen = {row["engine"] for program in found.values() for row in program}
    return [engine for engine in ENGINES if engine in seen]


def table(heads: list[str], lines: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *lines])


def programs(found: dict[str, list[dict]]) -> str:
    lines = []
    for program in PROGRAMS:
        runs = found[program]
        (version,) = {row["version"] for row in runs}
        names = sorted({name for row in runs for name in row["imports"]})
        count = len({row["what"] for row in runs})
        (part,) = {row["command"].split()[1] for row in runs}
        imports = ", ".join(f"`{name}`" for name in names)
        lines.append([program, version, imports, str(count), f"`make {part}`"])
    return table(["program", "version", "takes from libaio", "runs", "again"], lines)


def runs_of(found: dict[str, list[dict]]) -> str:
    """A table for each program: a line for each run, a column for each engine."""
    columns, sections = engines(found), []
    for program in PROGRAMS:
        results, commands = defaultdict(dict), {}
        for row in found[program]:
            results[row["what"]][row["engine"]] = row["result"]
            commands[row["what"]] = row["command"]
        lines = [
            [what, *(by.get(engine, "not run") for engine in columns), f"`{commands[what]}`"]
            for what, by in results.items()
        ]
        heads = ["what was run", *(f"on {ENGINES[engine]}" for engine in columns), "again"]
        sections.append(f"### {program}\n\n{table(heads, lines)}")
    return "\n\n".join(sections)


def machine() -> str:
    release = platform.freedesktop_os_release()["PRETTY_NAME"]
    kernel = f"{platform.system()} {platform.release()}"
    return f"{release}, {kernel}, {platform.machine()}, {os.cpu_count()} processors"


def main():
    found = rows()
    text = (HERE / "compatibility.md").read_text()
    parts = {"MACHINE": machine(), "PROGRAMS": programs(found), "RUNS": runs_of(found)}
    for name, part in parts.items():
        assert text.count(f"@{name}@") == 1, name
        text = text.replace(f"@{name}@", part)
    (ROOT / "docs/compatibility.md").write_text(NOTE + text)


main()
