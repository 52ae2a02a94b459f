//! Real programs from Debian's packages, unchanged, on the library by `LD_LIBRARY_PATH`: they run
//! without an error, and it is our library that they run on.

mod common;

use std::process::Command;

use common::{AioLock, Place, build, must};

/// Which `libaio.so.1` the loader takes for `program` under our `LD_LIBRARY_PATH`.
fn loads_ours(program: &str) {
    let path = must(Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program])).stdout;
    let ldd = must(Command::new("ldd").arg(path.trim()).env("LD_LIBRARY_PATH", build())).stdout;
    let line = ldd.lines().find(|l| l.contains("libaio.so.1")).expect("the program needs libaio");
    assert!(line.contains(build().to_str().expect("UTF-8")), "{line}");
}

fn fio(place: &Place, arguments: &[&str]) -> common::Ran {
    let mut fio = place.limited("fio");
    fio.args(["--name=t", "--ioengine=libaio", "--size=16m", "--bs=4k", "--filename=fio.data"]);
    fio.args(["--verify=crc32c", "--verify_fatal=1", "--rw=randwrite", "--minimal"]);
    must(fio.args(arguments).env("LD_LIBRARY_PATH", build()))
}

#[test]
fn fio_verifies_what_it_wrote() {
    let _lock = AioLock::shared();
    loads_ours("fio");
    for (place, direct) in [(Place::ext4(), "--direct=1"), (Place::tmpfs(), "--direct=0")] {
        for depth in ["--iodepth=1", "--iodepth=32"] {
            let ran = fio(&place, &[direct, depth]);
            assert_eq!(ran.stderr, "", "{direct} {depth}");
        }
    }
}

#[test]
fn fio_finds_what_was_damaged() {
    // The twin: one byte changed in what was written, and verification over the same path fails.
    let _lock = AioLock::shared();
    let place = Place::ext4();
    fio(&place, &["--direct=1"]);
    let script = "printf X | dd of=fio.data bs=1 seek=1000000 conv=notrunc status=none";
    must(place.limited("sh").args(["-c", script]));
    let mut again = place.limited("fio");
    again.args(["--name=t", "--ioengine=libaio", "--size=16m", "--bs=4k", "--filename=fio.data"]);
    again.args(["--verify=crc32c", "--verify_fatal=1", "--rw=read", "--direct=1"]);
    let ran = common::run(again.env("LD_LIBRARY_PATH", build()));
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("verify"), "{}", ran.stderr);
}

#[test]
fn qemu_img_bench_runs_on_native_aio() {
    let _lock = AioLock::shared();
    loads_ours("qemu-img");
    let place = Place::ext4();
    must(place.limited("qemu-img").args(["create", "-q", "-f", "raw", "disk.raw", "64M"]));
    for write in [&[][..], &["-w"]] {
        // -n: native AIO; -t none: O_DIRECT, without which QEMU refuses it.
        let mut bench = place.limited("qemu-img");
        bench.args(["bench", "-t", "none", "-n", "-c", "4096", "-d", "32", "-f", "raw"]);
        let ran = must(bench.args(write).arg("disk.raw").env("LD_LIBRARY_PATH", build()));
        assert!(ran.stdout.contains("Run completed"), "{}", ran.stdout);
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn the_loader_has_nothing_to_say() {
    // A missing version node would make it print a warning for every program.
    let ran = must(Command::new("fio").arg("--version").env("LD_LIBRARY_PATH", build()));
    assert_eq!(ran.stderr, "");
}
