//! Runs the C tests of `c-tests/`: every program in `behaviour/` on libaio-rs and on the original
//! in all the ways in which a program can meet the library, and every program in `beyond/`, which
//! asserts what the original gets wrong, on libaio-rs alone.
//!
//! `cargo test --test c_tests NAME` runs those whose name has NAME in it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{
    AioLock, Place, Ran, build, c_compiler, cargo_cdylib, difference, must, original, run,
};
use libtest_mimic::{Arguments, Failed, Trial};

/// A way in which a program meets the library.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Compiled with our header, linked with our `libaio.so`.
    Shared,
    /// The same, with `LIBAIO_REAP=syscall`.
    SharedBySyscall,
    /// The same, with `LIBAIO_ENGINE=io_uring`.
    SharedOnUring,
    /// The kernel's engine and io_uring's, with `LIBAIO_STATS`.
    SharedCounted,
    SharedOnUringCounted,
    /// Compiled with our header, linked with our `libaio.a` into a static program.
    Static,
    /// The same, with `LIBAIO_ENGINE=io_uring`.
    StaticOnUring,
    /// Compiled and linked with Debian's, and running on Debian's: the reference.
    Original,
    /// That same binary on our library by `LD_LIBRARY_PATH`.
    OriginalByPath,
    /// That same binary on our library by `LD_PRELOAD`.
    OriginalByPreload,
    /// That same binary on cargo's own `cdylib` by `LD_PRELOAD`.
    OriginalByPlainPreload,
}

/// A C test, and what its first lines say of where it can run.
struct Source {
    path: PathBuf,
    name: String,
    shared_only: bool,
    ext4_only: bool,
    /// Whether it is about what contexts of the kernel's alone can do.
    kernel_only: bool,
    /// Whether it is about pointers at which the counting faults, as it reads requests too.
    uncounted: bool,
}

fn main() {
    let mut arguments = Arguments::from_args();
    // Mostly they wait: for the kernel, which takes its time to end a process with a context.
    arguments.test_threads.get_or_insert(8);
    let binaries = Arc::new(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder"));
    let mut trials = Vec::new();
    for source in sources("behaviour") {
        let binaries = Arc::clone(&binaries);
        trials.push(Trial::test(format!("behaviour::{}", source.name), move || {
            same_on_both(&source, binaries.path())
        }));
    }
    for source in sources("beyond") {
        let binaries = Arc::clone(&binaries);
        trials.push(Trial::test(format!("beyond::{}", source.name), move || {
            holds_on_ours(&source, binaries.path())
        }));
    }
    assert!(trials.len() > 2, "no C tests found");
    libtest_mimic::run(&arguments, trials).exit();
}

fn sources(folder: &str) -> Vec<Source> {
    let folder = common::root().join("c-tests").join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a readable C test");
            Source {
                name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                shared_only: text.contains("/* forms: shared */"),
                ext4_only: text.contains("/* file systems: ext4 */"),
                kernel_only: text.contains("/* engines: kernel */"),
                uncounted: text.contains("/* statistics: off */"),
                path,
            }
        })
        .collect()
}

impl Source {
    fn places(&self) -> Vec<Place> {
        let mut places = vec![Place::ext4()];
        if !self.ext4_only {
            places.push(Place::tmpfs());
        }
        places
    }

    fn forms(&self, all: &[Form]) -> Vec<Form> {
        let fits = |form: &Form| match form {
            Form::Static => !self.shared_only,
            Form::SharedOnUring => !self.kernel_only,
            Form::SharedCounted => !self.uncounted,
            Form::SharedOnUringCounted => !self.uncounted && !self.kernel_only,
            Form::StaticOnUring => !self.shared_only && !self.kernel_only,
            // The cdylib has no symbol versions, so no LIBAIO_0.1 forms (README, Limits).
            Form::OriginalByPlainPreload => !self.shared_only,
            _ => true,
        };
        all.iter().copied().filter(fits).collect()
    }

    /// Compiles for `form`; the forms that run Debian's binary share one.
    fn compile(&self, form: Form, binaries: &Path) -> PathBuf {
        let kind = match form {
            Form::Shared
            | Form::SharedBySyscall
            | Form::SharedOnUring
            | Form::SharedCounted
            | Form::SharedOnUringCounted => "shared",
            Form::Static | Form::StaticOnUring => "static",
            _ => "original",
        };
        let binary = binaries.join(format!("{}-{kind}", self.name));
        if binary.exists() {
            return binary;
        }
        let c_tests = common::root().join("c-tests");
        let mut cc = c_compiler();
        cc.arg("-I").arg(c_tests).arg("-o").arg(&binary).arg(&self.path);
        if kind != "original" {
            cc.arg("-I").arg(common::root().join("include"));
            cc.arg("-L").arg(build());
        }
        if kind == "static" {
            cc.arg("-static");
        }
        must(cc.arg("-laio"));
        binary
    }

    fn run(&self, form: Form, binaries: &Path, place: &Place) -> Ran {
        let binary = self.compile(form, binaries);
        let mut command = place.limited(binary);
        environment(&mut command, form);
        run(&mut command)
    }
}

fn environment(command: &mut Command, form: Form) {
    match form {
        Form::Static | Form::Original => command,
        Form::Shared | Form::OriginalByPath => command.env("LD_LIBRARY_PATH", build()),
        Form::SharedBySyscall => {
            command.env("LD_LIBRARY_PATH", build()).env("LIBAIO_REAP", "syscall")
        }
        Form::SharedOnUring => {
            command.env("LD_LIBRARY_PATH", build()).env("LIBAIO_ENGINE", "io_uring")
        }
        // Into the place's folder, which goes with the test.
        Form::SharedCounted => command.env("LD_LIBRARY_PATH", build()).env("LIBAIO_STATS", "stats"),
        Form::SharedOnUringCounted => {
            command.env("LIBAIO_ENGINE", "io_uring").env("LIBAIO_STATS", "stats");
            command.env("LD_LIBRARY_PATH", build())
        }
        Form::StaticOnUring => command.env("LIBAIO_ENGINE", "io_uring"),
        // Under this SONAME the loader takes it for the program's own libaio.so.1.
        Form::OriginalByPreload => command.env("LD_PRELOAD", build().join("libaio.so.1")),
        Form::OriginalByPlainPreload => command.env("LD_PRELOAD", cargo_cdylib()),
    };
}

impl Form {
    /// Those of a program that is built with our library.
    const WITH_OURS: &[Form] = &[
        Form::Shared,
        Form::SharedBySyscall,
        Form::SharedOnUring,
        Form::SharedCounted,
        Form::SharedOnUringCounted,
        Form::Static,
        Form::StaticOnUring,
    ];
    /// Those of one that is built with Debian's, and runs on ours.
    const WITH_THE_ORIGINAL: &[Form] =
        &[Form::OriginalByPath, Form::OriginalByPreload, Form::OriginalByPlainPreload];

    fn name(self) -> &'static str {
        match self {
            Form::Shared => "linked with ours",
            Form::SharedBySyscall => "linked with ours, LIBAIO_REAP=syscall",
            Form::SharedOnUring => "linked with ours, LIBAIO_ENGINE=io_uring",
            Form::SharedCounted => "linked with ours, LIBAIO_STATS",
            Form::SharedOnUringCounted => "linked with ours, LIBAIO_ENGINE=io_uring, LIBAIO_STATS",
            Form::Static => "statically linked with ours",
            Form::StaticOnUring => "statically linked with ours, LIBAIO_ENGINE=io_uring",
            Form::Original => "on the original",
            Form::OriginalByPath => "linked with the original, on ours by LD_LIBRARY_PATH",
            Form::OriginalByPreload => "linked with the original, on ours by LD_PRELOAD",
            Form::OriginalByPlainPreload => "linked with the original, on cargo's cdylib",
        }
    }
}

/// The same exit status 0 and the same output, in every form and on every file system.
fn same_on_both(source: &Source, binaries: &Path) -> Result<(), Failed> {
    let _lock = AioLock::shared();
    let ours = source.forms(&[Form::WITH_OURS, Form::WITH_THE_ORIGINAL].concat());
    original();
    for place in source.places() {
        let reference = source.run(Form::Original, binaries, &place);
        succeeded(&reference, Form::Original, &place)?;
        for &form in &ours {
            let ran = source.run(form, binaries, &place);
            succeeded(&ran, form, &place)?;
            if ran.stdout != reference.stdout {
                let (a, b) = (Form::Original.name(), form.name());
                return Err(difference(a, &reference.stdout, b, &ran.stdout).into());
            }
        }
    }
    Ok(())
}

fn holds_on_ours(source: &Source, binaries: &Path) -> Result<(), Failed> {
    let _lock = AioLock::shared();
    for place in source.places() {
        for form in source.forms(Form::WITH_OURS) {
            succeeded(&source.run(form, binaries, &place), form, &place)?;
        }
    }
    Ok(())
}

fn succeeded(ran: &Ran, form: Form, place: &Place) -> Result<(), Failed> {
    if ran.status == 0 {
        return Ok(());
    }
    let (form, place) = (form.name(), place.name);
    Err(format!("{form}, on {place}: exit status {}\n{}{}", ran.status, ran.stdout, ran.stderr)
        .into())
}
