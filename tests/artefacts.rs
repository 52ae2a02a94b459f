//! The built files, read as a distribution's maintainer would read them: symbols and versions,
//! SONAME, what is needed, how it is linked, size, and who can link it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{build, c_compiler, cargo_cdylib, limited, make, must, original, root};
use object::elf;
use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};

/// What libaio 0.3.113 exports: name, version, and whether that is the name's default version.
const LIBAIO: &[(&str, &str, bool)] = &[
    ("io_queue_init", "LIBAIO_0.1", true),
    ("io_queue_run", "LIBAIO_0.1", true),
    ("io_queue_release", "LIBAIO_0.1", true),
    ("io_submit", "LIBAIO_0.1", true),
    ("io_cancel", "LIBAIO_0.1", false),
    ("io_getevents", "LIBAIO_0.1", false),
    ("io_queue_wait", "LIBAIO_0.1", false),
    ("io_setup", "LIBAIO_0.4", true),
    ("io_destroy", "LIBAIO_0.4", true),
    ("io_cancel", "LIBAIO_0.4", true),
    ("io_getevents", "LIBAIO_0.4", true),
    ("io_queue_wait", "LIBAIO_0.4", true),
    ("io_pgetevents", "LIBAIO_0.5", true),
];

/// What this project exports beyond: the header's inline helpers, out of line.
const HELPERS: &[&str] = &[
    "io_set_callback",
    "io_prep_pread",
    "io_prep_pwrite",
    "io_prep_preadv",
    "io_prep_pwritev",
    "io_prep_preadv2",
    "io_prep_pwritev2",
    "io_prep_poll",
    "io_prep_fsync",
    "io_prep_fdsync",
    "io_set_eventfd",
    "io_poll",
    "io_fsync",
    "io_fdsync",
];

const OWN_NODE: &str = "LIBAIO_RS_1.1";
const LARGEST_STRIPPED: u64 = 64 * 1024;

/// A defined dynamic symbol.
type Symbol = (String, String, bool);

/// The shared library's facts, as its dynamic section and headers tell them.
struct Shared {
    symbols: BTreeSet<Symbol>,
    undefined: BTreeSet<String>,
    soname: Option<String>,
    needed: Vec<String>,
    bind_now: bool,
    text_relocations: bool,
    relro: bool,
    executable_stack: bool,
    writable_code: bool,
    /// Inheritance of the version nodes: (node, parent).
    nodes: BTreeSet<(String, String)>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("a name in ASCII")
}

fn read(path: &Path) -> Shared {
    let data = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = ElfFile64::<Endianness>::parse(&*data).expect("an ELF file");
    let endian = file.endian();
    let sections = file.elf_section_table();
    let versions = sections.versions(endian, &*data).expect("readable versions");

    let mut symbols = BTreeSet::new();
    let mut undefined = BTreeSet::new();
    for symbol in file.dynamic_symbols() {
        let name = symbol.name().expect("a name").to_owned();
        if symbol.is_undefined() {
            undefined.insert(name);
            continue;
        }
        // A version node is an absolute symbol of its own name.
        let Some(versions) = versions.as_ref() else {
            symbols.insert((name, String::new(), true));
            continue;
        };
        let index = versions.version_index(endian, symbol.index());
        let version = versions.version(index).expect("a version").map(|v| text(v.name()));
        let version = version.unwrap_or_default();
        if name != version {
            symbols.insert((name, version, !index.is_hidden()));
        }
    }

    let mut nodes = BTreeSet::new();
    if let Some((mut definitions, link)) =
        sections.gnu_verdef(endian, &*data).expect("readable version definitions")
    {
        let strings = sections.strings(endian, &*data, link).expect("strings");
        while let Some((definition, mut names)) = definitions.next().expect("a definition") {
            let mut of = Vec::new();
            while let Some(name) = names.next().expect("a name") {
                of.push(text(name.name(endian, strings).expect("a name")));
            }
            if definition.vd_flags.get(endian) & elf::VER_FLG_BASE == 0 {
                nodes.insert((of[0].clone(), of.get(1).cloned().unwrap_or_default()));
            }
        }
    }

    let mut shared = Shared {
        symbols,
        undefined,
        soname: None,
        needed: Vec::new(),
        bind_now: false,
        text_relocations: false,
        relro: false,
        executable_stack: true,
        writable_code: false,
        nodes,
    };
    let header = file.elf_header();
    for segment in header.program_headers(endian, &*data).expect("segments") {
        let executable = segment.p_flags(endian) & elf::PF_X != 0;
        match segment.p_type(endian) {
            elf::PT_GNU_RELRO => shared.relro = true,
            elf::PT_GNU_STACK => shared.executable_stack = executable,
            elf::PT_LOAD if executable && segment.p_flags(endian) & elf::PF_W != 0 => {
                shared.writable_code = true;
            }
            _ => {}
        }
    }
    let (dynamic, link) =
        sections.dynamic(endian, &*data).expect("readable").expect("a dynamic section");
    let strings = sections.strings(endian, &*data, link).expect("strings");
    for entry in dynamic {
        let value = entry.d_val(endian);
        let tag = u32::try_from(entry.d_tag(endian)).unwrap_or(u32::MAX);
        let string = || text(entry.string(endian, strings).expect("a string"));
        match tag {
            elf::DT_SONAME => shared.soname = Some(string()),
            elf::DT_NEEDED => shared.needed.push(string()),
            elf::DT_TEXTREL => shared.text_relocations = true,
            elf::DT_FLAGS => {
                shared.bind_now |= value & u64::from(elf::DF_BIND_NOW) != 0;
                shared.text_relocations |= value & u64::from(elf::DF_TEXTREL) != 0;
            }
            _ => {}
        }
    }
    shared
}

fn expected_symbols() -> BTreeSet<Symbol> {
    let of_libaio = LIBAIO.iter().map(|&(n, v, d)| (n.to_owned(), v.to_owned(), d));
    let own = HELPERS.iter().map(|&n| (n.to_owned(), OWN_NODE.to_owned(), true));
    of_libaio.chain(own).collect()
}

#[test]
fn exports_exactly_the_versioned_symbols() {
    assert_eq!(read(&build().join("libaio.so")).symbols, expected_symbols());
}

#[test]
fn exports_every_symbol_of_debians_library_at_its_version() {
    let original = read(original());
    let expected: BTreeSet<Symbol> =
        LIBAIO.iter().map(|&(n, v, d)| (n.to_owned(), v.to_owned(), d)).collect();
    assert_eq!(original.symbols, expected, "design facts about libaio 0.3.113");
    let ours = read(&build().join("libaio.so"));
    assert!(ours.symbols.is_superset(&original.symbols));
    assert!(ours.nodes.is_superset(&original.nodes), "{:?}", ours.nodes);
    assert_eq!(ours.soname, original.soname);
}

#[test]
fn the_shared_library_is_linked_as_a_system_library_should_be() {
    let shared = read(&build().join("libaio.so"));
    assert_eq!(shared.soname.as_deref(), Some("libaio.so.1"));
    assert_eq!(shared.needed, ["libc.so.6"]);
    assert!(shared.bind_now && shared.relro, "full RELRO");
    assert!(!shared.text_relocations && !shared.executable_stack && !shared.writable_code);
}

#[test]
fn the_links_lead_to_the_versioned_file() {
    let name = format!("libaio.so.{}", env!("CARGO_PKG_VERSION"));
    for link in ["libaio.so", "libaio.so.1"] {
        assert_eq!(fs::read_link(build().join(link)).expect("a link"), Path::new(&name));
    }
    assert!(fs::symlink_metadata(build().join(name)).expect("the file").is_file());
}

#[test]
fn the_stripped_library_is_small() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let stripped = folder.path().join("libaio.so");
    must(
        Command::new("strip")
            .args(["--strip-unneeded", "-o"])
            .arg(&stripped)
            .arg(build().join("libaio.so")),
    );
    let size = fs::metadata(stripped).expect("the stripped file").len();
    println!("{size} bytes stripped");
    assert!(size <= LARGEST_STRIPPED, "{size} bytes stripped");
}

#[test]
fn no_panic_no_unwinder_and_no_path_of_the_build_machine_is_left() {
    let home = std::env::var("HOME").unwrap_or_default();
    let home = if home.len() > 1 { home } else { "/root".to_owned() };
    for file in ["libaio.so", "libaio.a"] {
        let data = fs::read(build().join(file)).expect("a built file");
        for trace in ["panick", "rust_begin_unwind", "_Unwind", &home, "/rustc/", ".cargo/"] {
            let found = data.windows(trace.len()).any(|w| w == trace.as_bytes());
            assert!(!found, "{file} has {trace:?} in it");
        }
        let top = root().to_str().expect("a path in UTF-8").as_bytes();
        assert!(!data.windows(top.len()).any(|w| w == top), "{file} names its build folder");
    }
}

#[test]
fn soname_is_a_variable_of_the_make_command_line() {
    let folder = "build/soname-test";
    must(make(&["SONAME=libaio.so.1t64", &format!("BUILD={folder}"), "all"]));
    let folder = root().join(folder);
    let file = format!("libaio.so.1t64.{}", &env!("CARGO_PKG_VERSION")[2..]);
    let shared = read(&folder.join(&file));
    assert_eq!(shared.soname.as_deref(), Some("libaio.so.1t64"));
    assert_eq!(shared.symbols, expected_symbols());
    for link in ["libaio.so", "libaio.so.1t64"] {
        assert_eq!(fs::read_link(folder.join(link)).expect("a link"), Path::new(&file));
    }
}

#[test]
fn other_linkers_make_the_same_symbols() {
    // gold comes with binutils as GNU ld does; LDFLAGS is how a distribution asks for another.
    let folder = "build/linker-test";
    must(make(&["LDFLAGS=-fuse-ld=gold", &format!("BUILD={folder}"), "all"]));
    let shared = read(&root().join(folder).join("libaio.so"));
    assert_eq!(shared.symbols, expected_symbols());
    assert_eq!(shared.needed, ["libc.so.6"]);
}

#[test]
fn cargos_own_cdylib_exports_the_public_names_alone() {
    let shared = read(cargo_cdylib());
    let names: BTreeSet<String> = shared.symbols.into_iter().map(|(name, ..)| name).collect();
    let public: BTreeSet<String> = expected_symbols().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, public);
    assert_eq!(shared.needed, ["libc.so.6"]);
    // A SONAME without version nodes would make the loader complain on stderr.
    assert_eq!(shared.soname, None);
}

/// The symbols of the static library's objects: (global and defined, undefined).
fn archive_symbols() -> (BTreeSet<String>, BTreeSet<String>) {
    let data = fs::read(build().join("libaio.a")).expect("libaio.a");
    let archive = object::read::archive::ArchiveFile::parse(&*data).expect("an archive");
    let (mut defined, mut undefined) = (BTreeSet::new(), BTreeSet::new());
    for member in archive.members() {
        let bytes = member.expect("a member").data(&*data).expect("its bytes");
        let object = object::File::parse(bytes).expect("an object file");
        for symbol in object.symbols().filter(|s| s.is_global()) {
            let name = symbol.name().expect("a name").to_owned();
            if symbol.is_undefined() { &mut undefined } else { &mut defined }.insert(name);
        }
    }
    (defined, undefined)
}

#[test]
fn the_static_library_has_the_public_globals_alone() {
    let (defined, mut undefined) = archive_symbols();
    let public: BTreeSet<String> = expected_symbols().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(defined, public);
    // What the shared library takes from libc.so.6; what the compiler's start files define, by which the
    // object is told that it is linked into; and nothing else.
    let shared = read(&build().join("libaio.so"));
    assert!(undefined.remove("__dso_handle") && !shared.undefined.contains("__dso_handle"));
    assert!(undefined.is_subset(&shared.undefined), "{undefined:?} not in {:?}", shared.undefined);
}

/// A C program that uses the library and, where it is linked in, a second Rust library.
const TWO_LIBRARIES: &str = r#"
#include <libaio.h>
#include <stdio.h>
extern unsigned long second_sum(const unsigned char *bytes, unsigned long n);
int main(void)
{
	io_context_t ctx = NULL;
	if (io_setup(1, &ctx) < 0 || io_destroy(ctx) < 0) {
		perror("io_setup");
		return 1;
	}
	printf("%lu\n", second_sum((const unsigned char *)"abc", 3));
	return 0;
}
"#;

/// Another Rust static library, with std and its runtime in it, as Rust users build them.
const SECOND: &str = r#"
#[unsafe(no_mangle)]
pub unsafe extern "C" fn second_sum(bytes: *const u8, n: usize) -> usize {
    let bytes = unsafe { std::slice::from_raw_parts(bytes, n) };
    let numbers: Vec<usize> = bytes.iter().map(|&b| b.into()).collect();
    std::panic::catch_unwind(|| numbers.iter().sum()).unwrap_or(0)
}
"#;

#[test]
fn the_static_library_links_beside_another_rust_library() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    fs::write(at("main.c"), TWO_LIBRARIES).expect("a source");
    fs::write(at("second.rs"), SECOND).expect("a source");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--crate-type=staticlib", "-O", "-o"]);
    must(rustc.arg(at("libsecond.a")).arg(at("second.rs")));
    for (program, fixed) in [("dynamic", false), ("static", true)] {
        let mut cc = c_compiler();
        cc.arg("-I").arg(root().join("include")).arg("-o").arg(at(program)).arg(at("main.c"));
        cc.arg(build().join("libaio.a")).arg(at("libsecond.a"));
        if fixed {
            cc.arg("-static");
        }
        must(cc.args(["-lm", "-ldl"]));
        assert_eq!(must(limited(at(program))).stdout, "294\n", "{program}");
    }
}

#[test]
fn the_static_library_is_position_independent() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut cc = c_compiler();
    cc.args(["-shared", "-Wl,-z,text", "-Wl,-z,defs", "-Wl,--whole-archive"]);
    cc.arg(build().join("libaio.a")).arg("-Wl,--no-whole-archive");
    must(cc.arg("-o").arg(folder.path().join("libuser.so")));
}
