"""The Debian packages of `make deb`: what is in them, and what they do to a machine.

They are installed into a clean tree of the machine's own release (debootstrap), which has fio and
qemu-utils from the archive, in namespaces of its own; apt there needs no network, for what may come
back is in its cache. Which library a program there runs on is seen by the line that ours writes of
a wrong LIBAIO_REAP, and by where the loader's name for it leads.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import BUILD, PROJECT, WORK, package_version, run
from debian import OWN_NAMESPACES, clean_tree

VERSION = re.search(r'(?m)^version = "(.*)"$', (PROJECT / "Cargo.toml").read_text())[1]
TRIPLET = run("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH").stdout.strip()
ARCHITECTURE = run("dpkg", "--print-architecture").stdout.strip()
LIBDIR = f"usr/lib/{TRIPLET}"
REAL = f"libaio.so.{VERSION}"
PROVIDED = f"0.3.113-0+rs{VERSION}"


def make(*words: str, at: Path = PROJECT, check: bool = True, before=(), **env: str):
    """Runs make on its own, not as a part of one that may run these tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return run(*before, "make", *words, cwd=at, env=dict(clean, **env), check=check)


def files_of_source() -> dict[str, int]:
    """The files of the source tree, and when each was changed."""
    found = {}
    for folder, below, files in os.walk(PROJECT):
        if Path(folder) == PROJECT:
            below[:] = [name for name in below if name not in ("build", "target", ".git")]
        below[:] = [name for name in below if name != "__pycache__"]
        for name in files:
            file = Path(folder, name)
            found[str(file)] = file.lstat().st_mtime_ns
    return found


def copy_of_source(to: Path) -> Path:
    def left_out(folder, names):
        return {"build", "target", ".git"} & set(names) if Path(folder) == PROJECT else ()

    return shutil.copytree(PROJECT, to, symlinks=True, ignore=left_out)


@pytest.fixture(scope="session")
def built():
    """What `make deb` says, and the files of the source before and after."""
    before = files_of_source()
    ran = make("deb")
    return ran.stdout, before, files_of_source()


@pytest.fixture(scope="session")
def packages(built) -> dict[str, Path]:
    """The packages by their names."""
    files = [PROJECT / line for line in built[0].splitlines() if re.fullmatch(r"\S+\.deb", line)]
    return {field(file, "Package"): file for file in files}


def field(package: Path, name: str) -> str:
    return run("dpkg-deb", "--field", package, name).stdout.strip()


def control(package: Path, name: str) -> str:
    return run("dpkg-deb", "--info", package, name).stdout


def contents(package: Path) -> dict[str, str]:
    """Mode, owner and, of a link, the target of each file in a package; folders are left out."""
    found = {}
    for line in run("dpkg-deb", "--contents", package).stdout.splitlines():
        mode, owner, _, _, _, path, *link = line.split()
        if mode[0] != "d":
            found[path.removeprefix("./")] = " ".join([mode, owner, *link])
        else:
            assert (mode, owner) == ("drwxr-xr-x", "root/root"), line
    return found


# ---- building ----------------------------------------------------------------------------------


def test_build_leaves_the_source_as_it_was(built, packages):
    _, before, after = built
    assert before == after
    names = {"libaio-rs1", "libaio-rs1-dbgsym", "libaio-rs-dev", "with-libaio-rs"}
    assert set(packages) == names
    assert {file.parent for file in packages.values()} == {BUILD / "deb"}
    (PROJECT / "debian/stray").touch()
    try:
        assert files_of_source() != before
    finally:
        (PROJECT / "debian/stray").unlink()


def test_another_user_in_another_folder_builds_the_same_bytes(packages, folder):
    copy = copy_of_source(folder / "elsewhere")
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    make("deb", at=copy, before=[*user, "sh", "-c", 'umask 027 && exec "$@"', "sh"])
    for file in packages.values():
        assert (copy / "build/deb" / file.name).read_bytes() == file.read_bytes(), file.name


def test_lintian_stops_a_package_with_a_fault(folder):
    """The twin of all that build: the same command, and a package without its licence."""
    copy = copy_of_source(folder / "source")
    (copy / "debian/copyright").unlink()
    ran = make("deb", at=copy, check=False)
    assert ran.returncode != 0
    assert "E: libaio-rs1: no-copyright-file" in ran.stdout, ran.stdout + ran.stderr


def test_versions_must_agree(folder):
    copy = copy_of_source(folder / "source")
    changelog = copy / "debian/changelog"
    changelog.write_text(changelog.read_text().replace(f"({VERSION}-", "(9.8.7-", 1))
    ran = run("debian/rules", "execute_before_dh_auto_build", cwd=copy, check=False)
    assert ran.returncode != 0
    assert "debian/changelog and Cargo.toml have different versions" in ran.stderr
    run("debian/rules", "execute_before_dh_auto_build", cwd=PROJECT)


def commands_but(folder: Path, *left_out: str) -> Path:
    """A folder with all commands of the system but some, for PATH."""
    folder.mkdir()
    for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for command in Path(place).iterdir():
            if command.name not in left_out and not (folder / command.name).is_symlink():
                (folder / command.name).symlink_to(command)
    return folder


def test_without_cargo_it_says_where_to_read(folder):
    path = commands_but(folder / "bin", "cargo")
    env = dict(os.environ, PATH=str(path))
    rules = ["debian/rules", "execute_before_dh_auto_build"]
    ran = run(*rules, cwd=PROJECT, env=env, check=False)
    assert ran.returncode != 0
    assert "no cargo on PATH; see debian/README.source" in ran.stderr
    assert "cargo" in (PROJECT / "debian/README.source").read_text()


def test_without_debhelper_it_installs_it(folder):
    copy = copy_of_source(folder / "source")
    path = commands_but(folder / "bin", "dh", "lintian", "apt-get")
    apt = path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$*" >> {folder}/asked\n[ "$1" = update ]\n')
    apt.chmod(0o755)
    ran = make("deb", at=copy, check=False, PATH=str(path))
    assert ran.returncode != 0
    assert "Missing here, installing from Debian's packages: debhelper lintian\n" in ran.stdout
    asked = (folder / "asked").read_text().splitlines()[-1]
    assert asked.startswith("install ") and asked.endswith(" debhelper lintian")
    assert not (copy / "build/deb").exists()


# ---- what is in them ---------------------------------------------------------------------------

FILE, LINK = "-rw-r--r-- root/root", "lrwxrwxrwx root/root ->"
NAMES = ["libaio.so", "libaio.so.1", "libaio.so.1t64"]


def documents(package: str) -> dict[str, str]:
    names = ["changelog.Debian.gz", "changelog.gz", "copyright"]
    return {f"usr/share/doc/{package}/{name}": FILE for name in names} | {
        f"usr/share/lintian/overrides/{package}": FILE
    }


def test_contents_of_the_library(packages):
    assert contents(packages["libaio-rs1"]) == documents("libaio-rs1") | {
        f"{LIBDIR}/{REAL}": FILE,
        f"{LIBDIR}/libaio.so.1": f"{LINK} {REAL}",
        f"{LIBDIR}/libaio.so.1t64": f"{LINK} {REAL}",
    }


def test_contents_of_the_launcher(packages):
    assert contents(packages["with-libaio-rs"]) == documents("with-libaio-rs") | {
        "usr/bin/with-libaio-rs": "-rwxr-xr-x root/root",
        "usr/share/man/man1/with-libaio-rs.1.gz": FILE,
        f"{LIBDIR}/libaio-rs/{REAL}": FILE,
        **{f"{LIBDIR}/libaio-rs/{name}": f"{LINK} {REAL}" for name in NAMES},
    }


def test_contents_for_development(packages):
    pages = [page.name for page in (PROJECT / "man").glob("*.3")]
    assert len(pages) > 20
    expected = documents("libaio-rs-dev")
    expected |= {f"usr/share/man/man3/{page}.gz": FILE for page in pages}
    expected |= {f"{LIBDIR}/{name}": FILE for name in ("libaio.a", "pkgconfig/libaio.pc")}
    expected |= {"usr/include/libaio.h": FILE, f"{LIBDIR}/libaio.so": f"{LINK} {REAL}"}
    assert contents(packages["libaio-rs-dev"]) == expected


def test_fields(packages):
    library, development = packages["libaio-rs1"], packages["libaio-rs-dev"]
    full = field(library, "Version")
    assert full.startswith(f"{VERSION}-")
    provides = f"libaio1 (= {PROVIDED}), libaio1t64 (= {PROVIDED})"
    assert field(library, "Provides") == provides
    originals = f"libaio1:{ARCHITECTURE}, libaio1t64:{ARCHITECTURE}"
    assert field(library, "Conflicts") == field(library, "Replaces") == originals
    assert re.fullmatch(r"libc6 \(>= [\d.]+\)", field(library, "Depends"))
    assert field(development, "Provides") == f"libaio-dev (= {PROVIDED})"
    assert field(development, "Conflicts") == field(development, "Replaces") == "libaio-dev"
    assert field(development, "Depends") == f"libaio-rs1 (= {full})"
    assert field(library, "Multi-Arch") == field(development, "Multi-Arch") == "same"
    # The launcher takes nobody's place, and nobody's call to ldconfig.
    launcher = packages["with-libaio-rs"]
    assert all(field(launcher, name) == "" for name in ("Provides", "Conflicts", "Replaces"))
    assert field(launcher, "Depends") == field(library, "Depends")
    for name in ("triggers", "shlibs", "symbols"):
        ran = run("dpkg-deb", "--info", launcher, name, check=False)
        assert ran.returncode != 0 and "no control component" in ran.stderr


def test_the_version_provided_is_enough_but_not_the_originals():
    """What needs libaio 0.3.113 is content; what belongs to one build of the original is not."""
    original = package_version("libaio1")
    run("dpkg", "--compare-versions", PROVIDED, "ge", original.split("-")[0])
    run("dpkg", "--compare-versions", PROVIDED, "ne", original)
    assert original.startswith("0.3.113-")


def test_triggers_and_shlibs(packages):
    library = packages["libaio-rs1"]
    assert "activate-noawait ldconfig\n" in control(library, "triggers")
    assert control(library, "shlibs") == "libaio 1 libaio1 (>= 0.3.113)\n"


def test_symbols_are_the_originals_and_our_own(packages):
    ours = control(packages["libaio-rs1"], "symbols").splitlines()
    listed = run("dpkg-query", "--control-show", "libaio1", "symbols").stdout.splitlines()
    original = [line for line in listed if line.startswith(" ")]
    assert len(original) == 16 and set(original) <= set(ours)
    assert ours[:2] == ["libaio.so.1 libaio1 #MINVER#", "| libaio-rs1 #MINVER#"]
    more = [line for line in ours if line.startswith(" ") and line not in original]
    assert more and all(re.fullmatch(r" \S+@LIBAIO_RS_1\.1 1\.1\.0 1", line) for line in more)


def test_debug_symbols_are_of_this_library(packages, folder):
    build_id = field(packages["libaio-rs1-dbgsym"], "Build-Ids")
    run("dpkg-deb", "--extract", packages["libaio-rs1"], folder)
    assert build_id in run("readelf", "--notes", folder / LIBDIR / REAL).stdout
    run("dpkg-deb", "--extract", packages["libaio-rs1-dbgsym"], folder)
    debug = folder / f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    sources = run("readelf", "--debug-dump=rawline", "--wide", debug).stdout
    assert re.search(r"\bcapi\.rs\b", sources)
    information = run("readelf", "--debug-dump=info", "--wide", debug).stdout
    for text in (sources, information, run("strings", "--all", folder / LIBDIR / REAL).stdout):
        assert str(PROJECT) not in text and str(Path.home() / ".cargo") not in text


# ---- building against them ---------------------------------------------------------------------


@pytest.fixture
def development(packages, folder):
    """The packages, unpacked with their control files, and a program's flags for them."""
    for name in ("libaio-rs1", "libaio-rs-dev"):
        run("dpkg-deb", "--extract", packages[name], folder / "unpacked")
    run("dpkg-deb", "--control", packages["libaio-rs1"], folder / "unpacked/DEBIAN")
    return folder / "unpacked"


def flags(unpacked: Path, *options: str) -> list[str]:
    env = dict(
        os.environ,
        PKG_CONFIG_LIBDIR=str(unpacked / LIBDIR / "pkgconfig"),
        PKG_CONFIG_SYSROOT_DIR=str(unpacked),
        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
        PKG_CONFIG_ALLOW_SYSTEM_LIBS="1",
    )
    return run("pkg-config", *options, "--cflags", "--libs", "libaio", env=env).stdout.split()


READS = PROJECT / "conformance/reads.c"
WRONG = "libaio-rs: LIBAIO_REAP=wrong is ignored"


@pytest.mark.parametrize("fixed", [[], ["-static"]], ids=["shared", "static"])
def test_a_program_builds_and_runs(development, folder, fixed):
    (folder / "text").write_text("some text\n")
    options = flags(development, *(["--static"] if fixed else []))
    assert any(str(development) in option for option in options)
    run("cc", "-Wall", "-Werror", READS, *fixed, *options, "-o", "reads", cwd=folder)
    libraries = run("ldd", folder / "reads", check=False).stdout
    assert ("libaio.so.1" in libraries) == (not fixed)
    env = dict(os.environ, LD_LIBRARY_PATH=str(development / LIBDIR), LIBAIO_REAP="wrong")
    ran = run(folder / "reads", "text", cwd=folder, env=env)
    assert ran.stdout == "some text\n" and ran.stderr.startswith(WRONG)
    assert run(folder / "reads", "nothing", cwd=folder, env=env, check=False).returncode == 1


def dependencies(unpacked: Path, program: Path, folder: Path) -> set[str]:
    """What a package of a program that was built against ours depends on."""
    (folder / "debian").mkdir(exist_ok=True)
    (folder / "debian/control").write_text("Source: x\n\nPackage: x\nArchitecture: any\n")
    found = run("dpkg-shlibdeps", f"-S{unpacked}", "-O", program, cwd=folder).stdout
    return set(found.strip().removeprefix("shlibs:Depends=").split(", "))


def test_what_is_built_with_it_runs_on_the_original_too(development, folder):
    program = folder / "reads"
    run("cc", READS, *flags(development), "-o", program)
    found = dependencies(development, program, folder)
    assert {name for name in found if "libaio" in name} == {"libaio1 (>= 0.3.93)"}
    (folder / "text").write_text("the same\n")
    for library in (development / LIBDIR, Path("/", LIBDIR)):
        env = dict(os.environ, LD_LIBRARY_PATH=str(library), LIBAIO_REAP="wrong")
        ran = run(program, "text", cwd=folder, env=env)
        assert ran.stdout == "the same\n"
        assert ran.stderr.startswith(WRONG) == (library != Path("/", LIBDIR))


def test_what_takes_our_own_symbols_depends_on_this_library(development, folder):
    """The twin: a helper that the original has in its header alone."""
    (folder / "own.c").write_text("void io_prep_fsync(void *, int); int main(void)\n")
    with open(folder / "own.c", "a") as source:
        source.write("{ char iocb[64]; io_prep_fsync(iocb, 0); return 0; }\n")
    run("cc", folder / "own.c", *flags(development), "-o", folder / "own")
    found = dependencies(development, folder / "own", folder)
    assert "libaio-rs1 (>= 1.1.0)" in found


# ---- in a clean tree ---------------------------------------------------------------------------

# libaio-dev stays in apt's cache beside libaio1: they are what may come back.
PREPARED = """
cd /var/cache/apt/archives
mkdir kept
mv libaio*.deb kept
rm *.deb
mv kept/* .
rmdir kept
apt-get -qq -o Dpkg::Use-Pty=0 purge libaio-dev -y
apt-get -qq check
ldconfig
"""


class Tree:
    def __init__(self, at: Path):
        self.at = at

    def run(self, script: str, check: bool = True) -> subprocess.CompletedProcess:
        """Runs a script of the shell there, which stops where a command fails."""
        env = [
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C",
            "HOME=/root",
        ]
        env += ["DEBIAN_FRONTEND=noninteractive"]
        own = [*OWN_NAMESPACES, f"--root={self.at}", "--mount-proc"]
        return run(*own, *env, "sh", "-ec", f"cd /root\n{script}", check=check)

    def install(self, *packages: str, check: bool = True) -> subprocess.CompletedProcess:
        """`apt-get install` of packages, of the archive or of files in /packages."""
        words = [f"/packages/{name}_*.deb" if "rs" in name else name for name in packages]
        quiet = "-y -o Dpkg::Use-Pty=0 --no-install-recommends"
        return self.run(f"apt-get {quiet} install {' '.join(words)}", check=check)

    def library(self) -> str:
        """The file that the loader's name for libaio leads to, as fio has it."""
        found = self.run("ldd /usr/bin/fio | sed -n 's/.*libaio.* => \\(.*\\) (.*/\\1/p'").stdout
        return os.path.basename(self.run(f"readlink -f {found.strip()}").stdout.strip())

    def installed(self) -> set[str]:
        listed = self.run("dpkg-query -W -f '${db:Status-Abbrev}|${Package}\\n' 'libaio*'").stdout
        return {line.split("|")[1] for line in listed.splitlines() if line.startswith("ii")}

    def everything(self) -> dict[str, str]:
        """Each file with its mode, owner and content; but logs, caches, the order of lists."""
        left_out = {"var/log", "var/cache", "var/lib/apt", "packages", "root", "tmp"}
        lists = re.compile(r"var/lib/dpkg/(status|triggers|available|lock|.*-old$)")
        found = {}
        for folder, below, files in os.walk(self.at):
            here = Path(folder).relative_to(self.at)
            below[:] = [name for name in below if str(here / name) not in left_out]
            for name in below + files:
                file, path = Path(folder, name), str(here / name)
                about = file.lstat()
                said = f"{about.st_mode:o} {about.st_uid} {about.st_gid}"
                if file.is_symlink():
                    said += f" {os.readlink(file)}"
                elif stat.S_ISREG(about.st_mode) and not lists.match(path):
                    said += f" {hashlib.sha256(file.read_bytes()).hexdigest()}"
                found[path] = said
        return found


@pytest.fixture(scope="session")
def unpacked_tree():
    made = clean_tree("fio", "qemu-utils", "libaio-dev", then=PREPARED)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        run("tar", "--numeric-owner", "-xf", made, "-C", name)
        yield Path(name)


@pytest.fixture
def tree(packages, unpacked_tree):
    """The clean tree, for one test; ours are in its /packages, and not installed.

    What is below /usr is linked to the unpacked one: dpkg changes no file there, but puts another
    in its place.
    """
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        at = Path(name)
        at.chmod(0o755)
        rest = [file for file in unpacked_tree.iterdir() if file.name != "usr"]
        run("cp", "-a", *rest, at)
        run("cp", "-al", unpacked_tree / "usr", at)
        (at / "packages").mkdir()
        for file in packages.values():
            shutil.copy(file, at / "packages")
        yield Tree(at)


FIO = """
fio --name=t --ioengine=libaio --size=8m --bs=4k --direct=1 --iodepth=16 --rw=randwrite \\
    --verify=crc32c --verify_fatal=1 --filename=data --output-format=terse >/dev/null
"""
QEMU = """
truncate -s 4M disk
qemu-io -n -f raw --aio=native -c 'write -P 90 0 1M' -c 'read -P 90 0 1M' disk
qemu-img bench -n -i native -t none -f raw -c 500 disk
"""


def lines_of_ours(tree: Tree, script: str, engine: str = "kernel") -> tuple[int, str]:
    """How many processes of a script wrote our library's line; and what was printed."""
    settings = f"export LIBAIO_REAP=wrong LIBAIO_ENGINE={engine}\n"
    ran = tree.run(settings + script)
    told = ran.stderr.splitlines()
    assert all(line.startswith(WRONG) for line in told), ran.stderr
    return len(told), ran.stdout


def runs_on_ours(tree: Tree):
    assert tree.library() == REAL
    assert lines_of_ours(tree, FIO)[0] >= 1
    assert tree.installed() == {"libaio-rs1"}


def runs_on_the_original(tree: Tree):
    assert tree.library() != REAL
    assert lines_of_ours(tree, FIO)[0] == 0
    assert tree.installed() == {"libaio1"}


def test_programs_of_the_archive_run_on_it(tree, engine):
    tree.install("libaio-rs1")
    assert tree.library() == REAL
    assert lines_of_ours(tree, FIO, engine)[0] >= 1
    count, printed = lines_of_ours(tree, QEMU, engine)
    assert count == 2
    assert "read 1048576/1048576 bytes" in printed and "Run completed" in printed
    # The twins: what was written is not what is looked for.
    other = tree.run(QEMU.replace("read -P 90", "read -P 91"), check=False)
    assert other.returncode != 0 and "Pattern verification failed" in other.stdout
    damage = "printf x | dd of=data bs=1 seek=1000000 conv=notrunc status=none\n"
    again = FIO.replace("--rw=randwrite", "--rw=read")
    damaged = tree.run(damage + again, check=False)
    assert damaged.returncode != 0 and "verify" in damaged.stderr


def test_the_launcher_runs_one_program_on_it(tree, engine):
    before = tree.everything()
    tree.install("with-libaio-rs")
    runs_on_the_original(tree)
    launched = FIO.replace("fio ", f"with-libaio-rs --engine={engine} fio ", 1)
    assert lines_of_ours(tree, launched)[0] >= 1
    # The twin: a program that loads no library.
    refused = tree.run("with-libaio-rs /sbin/ldconfig -p", check=False)
    assert refused.returncode == 125 and "statically linked" in refused.stderr
    tree.install("libaio-rs1")
    assert lines_of_ours(tree, launched)[0] >= 1
    tree.install("libaio1")
    tree.run("apt-get -qq -y purge with-libaio-rs")
    assert tree.everything() == before
    runs_on_the_original(tree)


def test_dependencies_stay_satisfied(tree):
    told = tree.install("libaio-rs1").stdout
    assert re.search(r"REMOVED:\n  libaio1\n", told), told
    tree.run("apt-get check")
    fixed = tree.run("apt-get -s -f install").stdout
    assert "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded." in fixed
    assert tree.run("dpkg --audit").stdout == ""
    # The twin: who takes it away without the original coming back loses what needs it.
    taken = tree.run("apt-get -s remove libaio-rs1").stdout
    assert "Remv fio " in taken and "Remv qemu-utils " in taken


def repacked(tree: Tree, *fields: str, changed: tuple[str, str] | None = None):
    """Our library's package without some fields, or with another value of one."""
    at = tree.at / "packages/less"
    (package,) = (tree.at / "packages").glob("libaio-rs1_*.deb")
    run("dpkg-deb", "--raw-extract", package, at)
    text = (at / "DEBIAN/control").read_text()
    for name in fields:
        text, count = re.subn(rf"(?m)^{name}: .*\n", "", text)
        assert count == 1
    if changed:
        text, count = re.subn(rf"(?m)^{changed[0]}: .*$", "%s: %s" % changed, text)
        assert count == 1
    (at / "DEBIAN/control").write_text(text)
    run("dpkg-deb", "--build", "--root-owner-group", at, package)


def test_without_provides_programs_would_go(tree):
    repacked(tree, "Provides")
    told = tree.install("libaio-rs1", check=False)
    assert told.returncode == 0 and "Removing fio " in told.stdout
    tree.run("! command -v fio")


def test_without_replaces_it_is_refused(tree):
    repacked(tree, "Conflicts", "Replaces")
    told = tree.run("dpkg -i /packages/libaio-rs1_*.deb", check=False)
    assert told.returncode != 0
    assert re.search(r"trying to overwrite '.*/libaio\.so\.1', which is also in", told.stderr)
    runs_on_the_original(tree)


def test_the_original_comes_back_and_nothing_stays(tree):
    before = tree.everything()
    runs_on_the_original(tree)
    tree.install("libaio-rs1")
    runs_on_ours(tree)
    during = tree.everything()
    assert f"{LIBDIR}/{REAL}" in during and during != before
    tree.install("libaio1")
    runs_on_the_original(tree)
    tree.install("libaio-rs1")
    runs_on_ours(tree)
    tree.install("libaio1")
    tree.run("dpkg --purge libaio-rs1")
    runs_on_the_original(tree)
    after = tree.everything()
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert changed == set()


# A library for another architecture, as 32-bit programs want it; what it is for does not matter.
FOREIGN = """
dpkg --add-architecture i386
mkdir -p foreign/DEBIAN foreign/usr/lib/i386-linux-gnu
echo i386 > foreign/usr/lib/i386-linux-gnu/libaio.so.1
dpkg-query -f 'Package: ${Package}\\nVersion: ${Version}\\n' -W libaio1 > foreign/DEBIAN/control
cat >> foreign/DEBIAN/control <<END
Architecture: i386
Multi-Arch: same
Maintainer: nobody
Description: stands for the original
END
dpkg-deb --root-owner-group --build foreign foreign.deb
dpkg -i foreign.deb
"""
LISTED = "dpkg-query -W -f '${db:Status-Abbrev}${Package}:${Architecture}\\n' 'libaio*'"


def test_the_original_of_another_architecture_stays(tree):
    def installed() -> set[str]:
        lines = tree.run(LISTED).stdout.splitlines()
        return {line.split()[1] for line in lines if line.startswith("ii ")}

    tree.run(FOREIGN)
    tree.install("libaio-rs1")
    assert installed() == {f"libaio-rs1:{ARCHITECTURE}", "libaio1:i386"}
    tree.run("apt-get check")
    tree.install("libaio1")
    assert installed() == {f"libaio1:{ARCHITECTURE}", "libaio1:i386"}
    # The twin: without the architecture in the field, it is as much in the way.
    repacked(tree, changed=("Conflicts", "libaio1, libaio1t64"))
    tree.install("libaio-rs1")
    assert installed() == {f"libaio-rs1:{ARCHITECTURE}"}


def test_dpkg_installs_it_without_a_moment_without(tree):
    """The original goes when ours is in its place."""
    told = tree.run("dpkg -i /packages/libaio-rs1_*.deb").stdout
    assert told.index("Unpacking libaio-rs1") < told.index("Removing libaio1")
    runs_on_ours(tree)
    tree.run("apt-get check")
    told = tree.run("dpkg -i /var/cache/apt/archives/libaio1_*.deb", check=False)
    assert told.returncode != 0 and "conflicting packages" in told.stderr
    runs_on_ours(tree)


def test_the_development_packages_change_places(tree):
    before = tree.everything()
    tree.install("libaio-dev")
    tree.install("libaio-rs1", "libaio-rs-dev")
    assert tree.installed() == {"libaio-rs1", "libaio-rs-dev"}
    assert "libaio_rs" in (tree.at / "usr/include/libaio.h").read_text().lower().replace("-", "_")
    tree.run("apt-get check")
    tree.install("libaio-dev")
    assert tree.installed() == {"libaio1", "libaio-dev"}
    # Taking libaio-dev away runs no ldconfig.
    tree.run("apt-get -qq -y purge libaio-dev && ldconfig")
    assert tree.everything() == before
    # The twin: half of ours does not go with half of the original.
    told = tree.run("dpkg -i /packages/libaio-rs-dev_*.deb", check=False)
    assert told.returncode != 0 and "libaio-rs1" in told.stderr


def test_a_program_that_asks_for_the_other_name_runs(tree, folder):
    """As it was linked where the library is libaio.so.1t64; with both names it is loaded once."""
    tree.install("libaio-rs1")
    stub = [f"void {name}(void) {{}}" for name in ("io_setup", "io_destroy", "io_submit")]
    (folder / "stub.c").write_text("\n".join([*stub, "void io_getevents(void) {}\n"]))
    link = ["cc", "-shared", "-nostdlib", "-fno-builtin", folder / "stub.c", "-o"]
    link += [folder / "stub.so", f"-Wl,--version-script={PROJECT / 'libaio.map'}"]
    run(*link, "-Wl,-soname,libaio.so.1t64")
    include, program = PROJECT / "include", tree.at / "root/reads"
    run("cc", "-I", include, READS, folder / "stub.so", "-o", program)
    assert "[libaio.so.1t64]" in run("readelf", "--dynamic", program).stdout
    run_it = "echo text > text\n./reads text"
    count, printed = lines_of_ours(tree, run_it)
    assert (count, printed) == (1, "text\n")
    both = f"LD_DEBUG=files LD_PRELOAD=/{LIBDIR}/libaio.so.1 ./reads text 2>&1"
    loaded = re.findall(r"file=(\S+) \[0\];  generating link map", tree.run(both).stdout)
    assert [name for name in loaded if "libaio" in name] == [f"/{LIBDIR}/libaio.so.1"]
    tree.install("libaio1")
    gone = tree.run("./reads text", check=False)
    assert gone.returncode == 127 and "libaio.so.1t64: cannot open" in gone.stderr


# ---- what README.md has a newcomer do ----------------------------------------------------------

README = (PROJECT / "README.md").read_text()
# What fio is asked for there, in a tree that has no library but one.
REPORT = "libaio-rs: statistics of process "
# Debian has no sudo where nobody asked for it, and nobody is there to say yes.
PATIENT = 'APT::Get::Assume-Yes "true";\n'


def part(heading: str) -> str:
    return README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def tried() -> str:
    """The commands of the part Try it."""
    return "".join(re.findall(r"(?m)^    (.*\n)", part("Try it")))


def rolled(row: str) -> tuple[list[str], list[str]]:
    """The commands of a row, for the way out and the way back."""
    (line,) = [x for x in part("Roll out, roll back").splitlines() if x.startswith(f"| {row}")]
    cells = line.split("|")[2:4]
    commands = [re.findall("`([^`]+)`", re.sub(r"\(.*?\)", "", cell)) for cell in cells]
    split = [[part for text in texts for part in text.split(" && ")] for texts in commands]
    return tuple([command.removeprefix("sudo ") for command in cell] for cell in split)


def follow(tree: Tree, commands: list[str]):
    """Runs commands as they stand: make here, with the tree's /usr/local, and the rest there."""
    for command in commands:
        words = command.split()
        if command == "make deb":
            assert list((tree.at / "packages").glob("*.deb"))  # as it has been run already
        elif words[0] == "make":
            mounted = 'mount --bind "$1" /usr/local && shift && exec "$@"'
            before = ["unshare", "--mount", "sh", "-c", mounted, "sh", tree.at / "usr/local"]
            make(*words[1:], before=before)
        else:
            tree.run(command)


def test_the_first_try_works_and_leaves_nothing(folder):
    copy = copy_of_source(folder / "clone")

    def files() -> set[str]:
        found = {path.relative_to(copy) for path in copy.rglob("*")}
        return {str(path) for path in found if path.parts[0] != "build"}

    before = files()
    commands = tried()
    assert commands.startswith("make\n") and "with-libaio-rs --stats fio" in commands
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "LIBAIO", "LD_"))}
    ran = run("sh", "-ec", commands, cwd=copy, env=env)
    assert REPORT in ran.stderr and re.search(r"(?m)^  getevents: ring \d+", ran.stderr), ran.stderr
    assert "read: IOPS=" in ran.stdout
    assert files() == before
    # The twin: without the library.
    without = commands.splitlines()[1].split("--stats ")[1]
    assert REPORT not in run(*without.split(), cwd=copy, env=env).stderr


@pytest.mark.parametrize(
    "row, launched, everybody",
    [
        ("Debian, Ubuntu", False, True),
        ("the launcher alone", True, False),
        ("elsewhere", True, True),
    ],
)
def test_what_is_rolled_out_is_rolled_back(tree, row, launched, everybody):
    (tree.at / "etc/apt/apt.conf.d/yes").write_text(PATIENT)
    (tree.at / "root/build").mkdir()
    (tree.at / "root/build/deb").symlink_to("/packages")
    out, back = rolled(row)
    assert out and back
    alone = tried().splitlines()[1].split("--stats ")[1]
    before = tree.everything()
    follow(tree, out)
    by_launcher = f"with-libaio-rs --stats {alone}"
    if launched:
        assert REPORT in tree.run(by_launcher).stderr
    else:
        tree.run("! command -v with-libaio-rs")
    assert (REPORT in tree.run(f"LIBAIO_STATS=1 {alone}").stderr) == everybody
    follow(tree, back)
    assert REPORT not in tree.run(f"LIBAIO_STATS=1 {alone}").stderr
    if launched:
        assert tree.run(by_launcher, check=False).returncode == 127
    # What dpkg remembers of a package that is gone but not purged is in its own list.
    after = tree.everything()
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()
