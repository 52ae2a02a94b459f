"""What fio reads and writes: devices and files, made for a measurement and taken away after it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .libraries import ROOT, output

FOLDER = Path(os.environ.get("BENCH_FOLDER", ROOT / "target"))
MIB = 1 << 20
SIZE_MIB = 256
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Skip(Exception):
    """This device cannot be had here."""


@contextlib.contextmanager
def held(signals):
    """Signals are delivered after this, not during it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fill(path, mib=SIZE_MIB):
    """Writes data that no compression makes smaller: reads of holes would not reach the storage."""
    with open(path, "r+b") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def zram():
    device, control = Path("/dev/zram0"), Path("/sys/block/zram0")
    if not device.is_block_device():
        raise Skip("no /dev/zram0 (modprobe zram makes one)")
    if (control / "disksize").read_text().strip() != "0":
        raise Skip("/dev/zram0 is in use")
    with contextlib.ExitStack() as cleanup:
        with held(ENDINGS):
            try:
                (control / "disksize").write_text(f"{SIZE_MIB}M")
            except OSError as error:
                raise Skip(f"/dev/zram0: {error.strerror}") from error
            cleanup.callback(give_back_zram, control)
        fill(device)
        yield "zram", device


def give_back_zram(control):
    for _ in range(100):
        try:
            (control / "reset").write_text("1")
            return
        except OSError:  # somebody (udev) has it open
            time.sleep(0.1)
    remedy = "echo 1 > /sys/block/zram0/reset"
    print(f"error: /dev/zram0 could not be reset; try: {remedy}", file=sys.stderr)


@contextlib.contextmanager
def loop():
    with loop_device(fill) as device:
        yield "loop over tmpfs", device


@contextlib.contextmanager
def loop_device(prepare):
    """A loop device over a file of a tmpfs that was prepared so."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="libaio-rs-") as backing:
        prepare(backing.name)
        try:
            try:
                device = output(
                    "losetup", "--direct-io=off", "--find", "--show", backing.name
                ).strip()
            except subprocess.CalledProcessError as error:
                raise Skip("losetup failed") from error
            yield device
        finally:
            # Found by the file, which is ours alone: an interruption may have come before its name.
            listed = output("losetup", "--noheadings", "--output", "NAME", "-j", backing.name)
            for device in listed.split():
                subprocess.run(["losetup", "--detach", device], check=False)


@contextlib.contextmanager
def ext4(mib=SIZE_MIB):
    """A file, with a folder around it that may take more."""
    FOLDER.mkdir(exist_ok=True)
    found = output("findmnt", "-n", "-o", "FSTYPE,MAJ:MIN", "--target", str(FOLDER)).split()
    if found[0] != "ext4":
        raise Skip(f"the folder is on {found[0]} (BENCH_FOLDER=... names one on ext4)")
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="libaio-rs-") as folder:
        file = Path(folder, "data")
        file.touch()
        fill(file, mib)
        yield f"ext4 on {driver(found[1])}", file


@contextlib.contextmanager
def ext4_on_loop(mib):
    """A file on an ext4 of its own, on a loop device: a disk whose requests take no time."""
    own = mib + mib // 8  # what ext4 needs for itself
    free = shutil.disk_usage("/dev/shm").free // MIB
    if free < own:
        raise Skip(f"/dev/shm has {free} MiB free, and {own} are needed")
    with contextlib.ExitStack() as cleanup:
        device = cleanup.enter_context(loop_device(lambda at: os.truncate(at, own * MIB)))
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="libaio-rs-")))
        with held(ENDINGS):
            subprocess.run(["mkfs.ext4", "-q", device], check=True)
            subprocess.run(["mount", device, folder], check=True)
            cleanup.callback(subprocess.run, ["umount", folder], check=True)
        file = folder / "data"
        file.touch()
        fill(file, mib)
        yield "ext4-on-loop over tmpfs", file


@contextlib.contextmanager
def served_by(processor):
    """Threads of the kernel that serve devices, among others, run on one processor."""
    mask = Path("/sys/devices/virtual/workqueue/cpumask")
    before = mask.read_text()
    with contextlib.ExitStack() as cleanup:
        with held(ENDINGS):
            cleanup.callback(mask.write_text, before)
            mask.write_text(f"{1 << processor:x}")
        yield


def driver(number):
    """The driver of a block device, or of the one that it is a partition of."""
    device = Path("/sys/dev/block", number).resolve()
    for folder in (device, device.parent):
        link = folder / "device" / "driver"
        if link.exists():
            return link.resolve().name
    return device.name.rstrip("0123456789")


# ---- the page cache ---------------------------------------------------------------------------


def cached_bytes(path):
    return int(output("fincore", "--bytes", "--noheadings", "--output", "RES", str(path)))


def evict(path):
    """Has nothing of a file stay in the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for _ in range(100):
            os.fsync(descriptor)  # dirty pages stay otherwise
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            if cached_bytes(path) == 0:
                return
            time.sleep(0.05)  # a page that somebody still holds
    finally:
        os.close(descriptor)
    sys.exit(f"error: the page cache does not let go of {path}")


def cache(path, mib):
    """Has the start of a file lie in the page cache."""
    with open(path, "rb") as file:
        for _ in range(mib):
            file.read(MIB)
    if cached_bytes(path) < mib * MIB:
        sys.exit(f"error: no memory for {mib} MiB of page cache")
