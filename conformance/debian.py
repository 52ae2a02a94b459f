"""Fetches packages and sources from the Debian archive, without touching the machine's own setup.

Where the archive is, the machine's own sources say; a private copy of them, in the work folder,
asks for what they leave out: the sources, another suite, another architecture.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from conftest import WORK, run

ETC = Path("/etc/apt")


def codename() -> str:
    """The name of the machine's release, which is the name of a suite."""
    return re.search(r"(?m)^VERSION_CODENAME=(.*)$", Path("/etc/os-release").read_text())[1]


def derived(text: str, deb822: bool, kind: str, suite: str) -> str:
    """A file of apt's sources, as far as it is about this release, for another kind and suite."""
    here = codename()
    if deb822:
        stanzas = [s for s in re.split(r"\n\s*\n", text) if here in suites_of(s)]
        for key, value in (("Types", kind), ("Suites", suite), ("Architectures", None)):
            line = f"{key}: {value}" if value else ""
            stanzas = [re.sub(rf"(?m)^{key}:.*$", line, s) for s in stanzas]
        stanzas = ["\n".join(line for line in s.splitlines() if line) for s in stanzas]
        return "".join(s + "\n\n" for s in stanzas)
    lines = [line.split() for line in text.splitlines()]
    lines = [line for line in lines if line[:1] == ["deb"] and here in line]
    for line in lines:
        line[0] = kind
        line[line.index(here)] = suite
    return "".join(" ".join(line) + "\n" for line in lines)


def suites_of(stanza: str) -> list[str]:
    found = re.search(r"(?m)^Suites:(.*)$", stanza)
    enabled = not re.search(r"(?mi)^Enabled:\s*no\s*$", stanza)
    return found[1].split() if found and enabled else []


class Archive:
    """One suite of the archive: its binary packages (`deb`) or its sources (`deb-src`)."""

    def __init__(self, kind: str, suite: str | None = None, architectures: tuple[str, ...] = ()):
        suite = suite or codename()
        self.folder = WORK / "archive" / f"{suite}-{kind}"
        self.parts, self.lists = self.folder / "sources", self.folder / "lists"
        shutil.rmtree(self.parts, ignore_errors=True)
        for made in (self.parts, self.lists / "partial"):
            made.mkdir(parents=True, exist_ok=True)
        files = [ETC / "sources.list", *sorted((ETC / "sources.list.d").glob("*"))]
        for file in filter(Path.is_file, files):
            text = derived(file.read_text(), file.suffix == ".sources", kind, suite)
            if text and file.suffix in (".list", ".sources"):
                (self.parts / file.name).write_text(text)
        settings = {
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self.parts,
            "Dir::State::lists": self.lists,
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "APT::Get::List-Cleanup": "0",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        }
        self.options = [word for item in settings.items() for word in ("-o", "%s=%s" % item)]
        if architectures:
            native = run("dpkg", "--print-architecture").stdout.strip()
            every = ",".join((native, *architectures))
            self.options += ["-o", f"APT::Architectures={every}"]
        run("apt-get", "--quiet", *self.options, "update")

    def fetch(self, what: str, *packages: str, into: Path):
        """`apt-get download` or `apt-get source --download-only` of packages, into a folder."""
        into.mkdir(parents=True, exist_ok=True)
        run("apt-get", "--quiet", *self.options, *what.split(), *packages, cwd=into, timeout=600)


def source_of(package: str) -> Path:
    """The unpacked source of an installed package, as Debian builds it; fetched once."""
    version = run("dpkg-query", "-W", "-f", "${source:Version}", package).stdout
    name = run("dpkg-query", "-W", "-f", "${source:Package}", package).stdout
    folder = WORK / "sources" / f"{name}-{version}"
    if not folder.exists():
        fetched = folder.with_name(folder.name + ".fetched")
        Archive("deb-src").fetch("source --download-only", f"{name}={version}", into=fetched)
        (description,) = fetched.glob("*.dsc")
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        run("dpkg-source", "--no-check", "-x", description, part)
        part.rename(folder)
    return folder
