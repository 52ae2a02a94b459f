//! The USDT probes: what the notes of the built files say, and, where the kernel lets a uprobe be made,
//! that each is hit as often as the program comes by.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{AioLock, build, cargo_cdylib, compile, limited, must, run, scratch};
use object::{Object as _, ObjectSection as _, ObjectSegment as _};

/// What docs/probes.md lists: name, arguments, and how often `hits_probes.c` comes by.
const PROBES: &[(&str, usize, u64)] = &[
    ("cancel", 3, 2),
    ("destroy", 2, 1),
    ("reap_kernel", 2, 3),
    ("reap_ring", 2, 9),
    ("reap_spin", 2, 0),
    ("setup", 3, 2),
    ("submit_entry", 2, 10),
    ("submit_return", 2, 10),
    ("wait_end", 2, 3),
    ("wait_start", 3, 3),
];

#[derive(Debug)]
struct Probe {
    name: String,
    arguments: usize,
    /// Where it is in the file.
    offset: u64,
}

/// The probes of a shared library or a program for x86-64 or another 64-bit machine.
fn probes(path: &Path) -> Vec<Probe> {
    let data = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = object::File::parse(&*data).expect("an ELF file");
    let notes = file.section_by_name(".note.stapsdt").expect("notes").data().expect("their bytes");
    let base = file.section_by_name(".stapsdt.base").expect("a base").address();
    let word = |at: usize| u32::from_le_bytes(notes[at..at + 4].try_into().unwrap()) as usize;
    let long = |at: usize| u64::from_le_bytes(notes[at..at + 8].try_into().unwrap());
    let mut found = Vec::new();
    let mut at = 0;
    while at < notes.len() {
        // The sizes of owner and descriptor, the type; the two, each up to a multiple of 4.
        let (size, kind) = (word(at + 4), word(at + 8));
        assert_eq!((&notes[at + 12..at + 20], kind), (&b"stapsdt\0"[..], 3));
        let description = at + 20;
        // A tool moves the addresses of a file that was prelinked by how far the base has moved.
        assert_eq!(long(description + 8), base);
        assert_eq!(long(description + 16), 0, "a semaphore");
        let texts = &notes[description + 24..description + size];
        let texts: Vec<_> = texts.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        assert_eq!(texts[0], "libaio");
        let address = long(description);
        let segment =
            file.segments().find(|s| (s.address()..s.address() + s.size()).contains(&address));
        let segment = segment.expect("a segment with the probe in it");
        let offset = address - segment.address() + segment.file_range().0;
        assert_eq!(data[offset as usize], 0x90, "no nop at {offset:#x}");
        let arguments = texts[2].split_whitespace().count();
        assert!(texts[2].split_whitespace().all(|a| a.starts_with("-8@")), "{}", texts[2]);
        found.push(Probe { name: texts[1].clone().into_owned(), arguments, offset });
        at = (description + size).next_multiple_of(4);
    }
    found
}

/// Checks that a file has the probes that are documented, and no others.
fn has_all(path: &Path) {
    let mut found: Vec<_> = probes(path).into_iter().map(|p| (p.name, p.arguments)).collect();
    found.sort();
    found.dedup();
    let expected: Vec<_> = PROBES.iter().map(|&(name, n, _)| (name.to_owned(), n)).collect();
    assert_eq!(found, expected, "{}", path.display());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_built_file_has_them() {
    let folder = scratch();
    let stripped = folder.path().join("libaio.so");
    must(Command::new("strip").arg("-o").arg(&stripped).arg(build().join("libaio.so")));
    has_all(&build().join("libaio.so"));
    has_all(&stripped);
    has_all(cargo_cdylib());
    has_all(&compile(folder.path(), "c-tests/stats/hits_probes.c", &["-static"]));
}

#[test]
fn they_are_documented() {
    let page = fs::read_to_string(common::root().join("docs/probes.md")).expect("docs/probes.md");
    let manual = fs::read_to_string(common::root().join("man/libaio.3")).expect("man/libaio.3");
    let row = |line: &str| line.strip_prefix("| `")?.split('`').next().map(str::to_owned);
    let mut listed: Vec<_> = page.lines().filter_map(row).collect();
    listed.sort();
    assert_eq!(listed, PROBES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    for (name, ..) in PROBES {
        assert!(manual.contains(&format!(".It Fa {name} ")), "{name} in the manual");
    }
}

/// Where the kernel takes and shows uprobes; None where it does not.
fn tracing() -> Option<PathBuf> {
    let folders = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].map(PathBuf::from);
    folders.into_iter().find(|folder| {
        fs::OpenOptions::new().append(true).open(folder.join("uprobe_events")).is_ok()
    })
}

/// Uprobes at places of a file, until this is dropped.
struct Attached {
    tracing: PathBuf,
    group: String,
    names: Vec<String>,
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new().append(true).open(path)?.write_all(line.as_bytes())
}

impl Attached {
    fn to(tracing: PathBuf, file: &Path, probes: &[Probe]) -> std::io::Result<Attached> {
        let group = format!("libaio_{}", std::process::id());
        let mut attached = Attached { tracing, group, names: Vec::new() };
        for (n, probe) in probes.iter().enumerate() {
            let name = format!("{}__{n}", probe.name);
            let line =
                format!("p:{}/{name} {}:{:#x}\n", attached.group, file.display(), probe.offset);
            append(&attached.tracing.join("uprobe_events"), &line)?;
            attached.names.push(name);
        }
        fs::write(attached.enable(), "1")?;
        Ok(attached)
    }

    fn enable(&self) -> PathBuf {
        self.tracing.join("events").join(&self.group).join("enable")
    }

    /// How often each probe was hit, wherever it is.
    fn hits(&self) -> BTreeMap<String, u64> {
        let profile = fs::read_to_string(self.tracing.join("uprobe_profile")).expect("the profile");
        let mut hits = BTreeMap::new();
        for line in profile.lines() {
            // The file, which may have spaces in its name; the event; the hits.
            let mut words = line.rsplit(char::is_whitespace).filter(|word| !word.is_empty());
            let (Some(count), Some(name)) = (words.next(), words.next()) else { continue };
            if !self.names.iter().any(|own| own == name) {
                continue;
            }
            if let Some((probe, _)) = name.split_once("__") {
                *hits.entry(probe.to_owned()).or_default() += count.parse::<u64>().expect(line);
            }
        }
        hits
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let _ = fs::write(self.enable(), "0");
        for name in &self.names {
            let line = format!("-:{}/{name}\n", self.group);
            let _ = append(&self.tracing.join("uprobe_events"), &line);
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn each_is_hit_as_often_as_the_program_comes_by() {
    let Some(tracing) = tracing() else {
        println!("this kernel or user cannot make uprobes: nothing was attached");
        return;
    };
    let _lock = AioLock::shared();
    let folder = scratch();
    // A copy, so that no other test's program comes by.
    let library = folder.path().join("libaio.so.1");
    fs::copy(build().join("libaio.so"), &library).expect("a copy");
    let binary = compile(folder.path(), "c-tests/stats/hits_probes.c", &[]);
    for (engine, variables) in
        [("kernel", &[][..]), ("io_uring", &[]), ("kernel", &[("LIBAIO_STATS", "stats")])]
    {
        let attached = match Attached::to(tracing.clone(), &library, &probes(&library)) {
            Ok(attached) => attached,
            Err(error) => {
                println!("the kernel takes no uprobe ({error}): nothing was attached");
                return;
            }
        };
        let before = attached.hits();
        assert!(before.len() == PROBES.len() && before.values().all(|&n| n == 0), "{before:?}");
        let mut program = limited(&binary);
        program.current_dir(folder.path()).env("LD_LIBRARY_PATH", folder.path());
        let ran = run(program.env("LIBAIO_ENGINE", engine).envs(variables.iter().copied()));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{engine}");
        let expected: BTreeMap<_, _> =
            PROBES.iter().map(|&(name, _, hits)| (name.to_owned(), hits)).collect();
        assert_eq!(attached.hits(), expected, "{engine} {variables:?}");
    }
}
