"""Fetches packages and sources from the Debian archive, without touching the machine's own setup.

Where the archive is, the machine's own sources say; a private copy of them, in the work folder,
asks for what they leave out: the sources, another suite, another architecture.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import tempfile
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


# ---- a tree of its own -------------------------------------------------------------------------


def mirror() -> str:
    """Where the machine's own apt takes this release from."""
    targets = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)").stdout
    found = [line.split() for line in targets.splitlines()]
    places = [place for release, place in found if release == codename()]
    assert places, f"apt's sources have nothing of {codename()}"
    return places[0]


def apt_setting(name: str) -> str:
    return run("apt-config", "dump", "--format", "%v", name).stdout


def downloads_like_apt() -> str:
    """For wget, by which debootstrap downloads: apt's proxies and certificates."""
    settings = {
        "http_proxy": "Acquire::http::Proxy",
        "https_proxy": "Acquire::https::Proxy",
        "ca_certificate": "Acquire::https::CaInfo",
        "certificate": "Acquire::https::SslCert",
        "private_key": "Acquire::https::SslKey",
    }
    values = {name: apt_setting(key) for name, key in settings.items()}
    return "".join(f"{name} = {value}\n" for name, value in values.items() if value)


def trusted_keys() -> bytes:
    """The keys that apt trusts, in one keyring."""
    sources = [ETC / "sources.list", *sorted((ETC / "sources.list.d").glob("*"))]
    texts = [file.read_text() for file in sources if file.is_file()]
    named = {Path(at) for text in texts for at in re.findall(r"(?i)signed-by[:=]\s*(/\S+)", text)}
    files = named | set((ETC / "trusted.gpg.d").glob("*")) | {ETC / "trusted.gpg"}
    keys = b""
    for file in sorted(file for file in files if file.is_file()):
        key = file.read_bytes()
        for armoured in re.findall(rb"-----BEGIN PGP.*?\n\r?\n(.*?)\n=.*?-----END", key, re.DOTALL):
            keys += base64.b64decode(armoured)
        if not key.startswith(b"-----BEGIN"):
            keys += key
    return keys


def clean_tree(*packages: str, then: str) -> Path:
    """A tar file of this release at its smallest with some packages; made once.

    It is made in memory, in a mount namespace with which it goes. `then` is run in it, by a shell,
    at the end; apt finds there the packages of the archive that were installed.
    """
    architecture = run("dpkg", "--print-architecture").stdout.strip()
    tree = WORK / "trees" / f"{codename()}-{architecture}.tar"
    what = tree.with_suffix(".txt")
    recipe = "\n".join([TREE, *packages, then])
    if tree.exists() and what.exists() and what.read_text() == recipe:
        return tree
    tree.parent.mkdir(parents=True, exist_ok=True)
    what.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as name:
        folder = Path(name)
        (folder / "wgetrc").write_text(downloads_like_apt())
        (folder / "keys").write_bytes(trusted_keys())
        env = dict(os.environ, WGETRC=str(folder / "wgetrc"), DEBIAN_FRONTEND="noninteractive")
        places = [folder, ",".join(packages), codename(), mirror(), tree, then]
        run(*OWN_NAMESPACES, "--mount-proc", "sh", "-c", TREE, "sh", *places, env=env, timeout=900)
    what.write_text(recipe)
    return tree


# What they mount, and what runs in them, ends with the command.
OWN_NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
TREE = """
set -e
mkdir "$1/tree"
mount -t tmpfs tree "$1/tree"
debootstrap --variant=minbase --keyring="$1/keys" --include="$2" "$3" "$1/tree" "$4"
cd "$1/tree"
echo force-unsafe-io > etc/dpkg/dpkg.cfg.d/unsafe
chroot . sh -ec "$6"
tar -cf "$5" .
"""
