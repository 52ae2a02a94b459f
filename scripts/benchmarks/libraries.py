"""The libraries that are compared, and the machine they run on."""

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"


def output(*command, env=None):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout


def environment(library, variables):
    """That of the caller, with nothing in it that would choose another library or another mode."""
    chosen = ("LD_LIBRARY_PATH", "LD_PRELOAD", "LIBAIO_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(chosen)}
    if library == "ours":
        env["LD_LIBRARY_PATH"] = str(BUILD)
    return env | variables


def libaio_of_fio(library):
    """The libaio that fio is loaded with, which must be the right one."""
    lines = output("ldd", shutil.which("fio"), env=environment(library, {})).splitlines()
    found = next((line.split()[2] for line in lines if "libaio.so" in line), None)
    if found is None:
        sys.exit("error: this fio is not linked with libaio")
    is_ours = b"LIBAIO_SPIN_US" in Path(found).read_bytes()
    if is_ours != (library == "ours"):
        sys.exit(
            f"error: for '{library}', fio would run on {found}; the original must be the system's "
            f"libaio, and ours must have the name that fio asks for (make SONAME=...)"
        )
    return Path(found).resolve()


def package_version(path):
    """The name and version of the Debian package that a file is of."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        # dpkg may know the file by its path before /lib became a link.
        for candidate in (path, Path("/", *path.parts[2:])):
            query = ["dpkg", "-S", str(candidate)]
            found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
            if found:
                package = found.split(": ")[0]
                return output("dpkg-query", "-W", "-f", "${Package} ${Version}", package)
    return "libaio"


def machine():
    fields = dict(
        line.split(":", 1)
        for line in output("lscpu", env=os.environ | {"LC_ALL": "C"}).splitlines()
        if ":" in line
    )
    return {
        "cpu": fields.get("Model name", platform.machine()).strip(),
        "cores": os.cpu_count(),
        "hypervisor": fields.get("Hypervisor vendor", "").strip(),
        "kernel": f"{platform.system()} {platform.release()}",
    }
