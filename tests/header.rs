//! `include/libaio.h`: that it and the Rust ABI agree, compiles everywhere without a warning, has
//! the kernel's layout on other architectures, and takes what the original's header takes.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Ran, bare_c_compiler, must, root, run};

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// A header made by cbindgen from the Rust sources.
fn generate(to: &Path, configure: impl FnOnce(&mut cbindgen::Config)) {
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        style: cbindgen::Style::Tag,
        documentation: false,
        no_includes: true,
        ..Default::default()
    };
    let big = ("target_endian = big".to_owned(), "LIBAIO_BIG_ENDIAN".to_owned());
    let little = ("target_endian = little".to_owned(), "LIBAIO_LITTLE_ENDIAN".to_owned());
    let hidden = ("libaio_symver".to_owned(), "LIBAIO_HIDDEN_VERSIONS".to_owned());
    config.defines.extend([big, little, hidden]);
    configure(&mut config);
    let sources = ["src/abi.rs", "src/capi.rs", "src/prep.rs"];
    let builder = sources.iter().fold(cbindgen::Builder::new(), |b, s| b.with_src(root().join(s)));
    let bindings = builder.with_config(config).generate().expect("cbindgen reads the Rust ABI");
    assert!(bindings.write_to_file(to));
}

/// Both generated headers: the types under names of their own, and the prototypes on the types of
/// the C header, where the C compiler takes them as redeclarations.
fn generate_both(folder: &Path) {
    generate(&folder.join("rust_types.h"), |config| {
        config.export.item_types = vec![cbindgen::ItemType::Structs, cbindgen::ItemType::Enums];
        config.export.include = ["iocb", "io_event", "io_iocb_cmd"].map(str::to_owned).to_vec();
        config.export.prefix = Some("rust_".into());
        config.enumeration.rename_variants = cbindgen::RenameRule::Prefix("RUST_".into());
    });
    generate(&folder.join("rust_functions.h"), |config| {
        config.export.item_types =
            vec![cbindgen::ItemType::Functions, cbindgen::ItemType::Typedefs];
        // Under names of their own, so that the prototypes compare them with the C header's.
        for name in ["io_callback_t", "io_context_t"] {
            config.export.rename.insert(name.into(), format!("rust_{name}"));
        }
        for name in ["iocb", "io_event", "io_context", "timespec", "iovec"] {
            config.export.exclude.push(name.into());
            config.export.rename.insert(name.into(), format!("struct {name}"));
        }
    });
}

/// Compiles `c-tests/agreement.c` against the generated headers in `folder`.
fn compile_agreement(folder: &Path) -> Ran {
    let mut cc = bare_c_compiler();
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", "include", "-I"]);
    run(cc.arg(folder).arg("c-tests/agreement.c").current_dir(root()))
}

#[test]
fn the_rust_abi_and_the_c_header_agree() {
    let folder = scratch();
    generate_both(folder.path());
    // All of them: ten functions and fourteen helpers.
    let functions = fs::read_to_string(folder.path().join("rust_functions.h")).expect("generated");
    let names = functions.lines().filter(|l| l.starts_with("int io_") || l.starts_with("void io_"));
    assert_eq!(names.count(), 10 + 14, "{functions}");
    let ran = compile_agreement(folder.path());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}

#[test]
fn a_drift_between_rust_and_c_does_not_compile() {
    let drifts = [
        ("rust_types.h", "int16_t aio_reqprio;", "int32_t aio_reqprio;"),
        ("rust_types.h", "RUST_IO_CMD_POLL = 5", "RUST_IO_CMD_POLL = 4"),
        ("rust_functions.h", "long min_nr", "int min_nr"),
        ("rust_functions.h", "int io_destroy(", "long io_destroy("),
        ("rust_functions.h", "long long offset", "long offset"),
        ("rust_functions.h", "long res2);", "int res2);"),
        ("rust_functions.h", "typedef struct io_context *", "typedef void *"),
    ];
    for (file, from, to) in drifts {
        let folder = scratch();
        generate_both(folder.path());
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).expect("generated");
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        fs::write(&path, text.replace(from, to)).expect("written");
        let ran = compile_agreement(folder.path());
        let told = ran.stderr.contains("differs between C and Rust")
            || ran.stderr.contains("static assertion failed")
            || ran.stderr.contains("conflicting types");
        assert!(ran.status != 0 && told, "{from:?} became {to:?}, and: {}", ran.stderr);
    }
}

const C_STANDARDS: &[&[&str]] = &[
    &["-std=gnu89"],
    &["-std=c99", "-pedantic"],
    &["-std=c11", "-pedantic"],
    &["-std=gnu17"],
    &["-std=c2x"],
];
const CXX_STANDARDS: &[&[&str]] =
    &[&["-std=c++11"], &["-std=c++14"], &["-std=c++17"], &["-std=c++20"], &["-std=c++2b"]];

/// Compiles a file of `c-tests/header/` in every language mode, and returns what was said.
fn compile_everywhere(file: &str, warnings: &[&str], include: &str) -> Vec<(String, Ran)> {
    let mut answers = Vec::new();
    let languages = [("gcc", "c", C_STANDARDS), ("clang", "c", C_STANDARDS)]
        .into_iter()
        .chain([("g++", "c++", CXX_STANDARDS), ("clang++", "c++", CXX_STANDARDS)]);
    for (compiler, language, standards) in languages {
        for standard in standards {
            let mut cc = Command::new(compiler);
            cc.current_dir(root()).args(*standard).args(warnings).args(["-x", language]);
            cc.args(["-fsyntax-only", "-I", include]).arg(format!("c-tests/header/{file}"));
            answers.push((format!("{compiler} {standard:?}"), run(&mut cc)));
        }
    }
    answers
}

#[test]
fn the_header_alone_gives_no_warning_in_any_language_mode() {
    for (mode, ran) in compile_everywhere("alone.c", &["-Wall", "-Wextra", "-Werror"], "include") {
        assert!(ran.status == 0 && ran.stderr.is_empty(), "{mode}:\n{}", ran.stderr);
    }
}

#[test]
fn the_header_works_beside_the_headers_that_programs_use_with_it() {
    for (mode, ran) in compile_everywhere("beside.c", &["-Wall", "-Wextra", "-Werror"], "include") {
        assert!(ran.status == 0 && ran.stderr.is_empty(), "{mode}:\n{}", ran.stderr);
    }
}

#[test]
fn initialisers_that_the_original_takes_compile() {
    // An empty folder for the original's header, which the compilers find by themselves.
    let nothing = scratch();
    let nothing = nothing.path().to_str().expect("a path in UTF-8");
    for include in ["include", nothing] {
        for (mode, ran) in compile_everywhere("initialisers.c", &[], include) {
            // The original's header compiles in no strict C mode: it has no sigset_t there.
            if include == nothing && !mode.contains("gnu") && !mode.contains("c++") {
                continue;
            }
            assert!(ran.status == 0, "{include}, {mode}:\n{}", ran.stderr);
        }
    }
}

/// Architectures with Debian's C headers for each: 32 and 64 bits, either byte order.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("i686-linux-gnu", "32 bits, little endian"),
    ("powerpc-linux-gnu", "32 bits, big endian"),
    ("s390x-linux-gnu", "64 bits, big endian"),
];

#[test]
fn the_layout_is_the_kernels_on_every_kind_of_architecture() {
    for &(target, kind) in ARCHITECTURES {
        let system = format!("/usr/{target}/include");
        assert!(Path::new(&system).is_dir(), "{system} (make check installs it)");
        let mut clang = Command::new("clang");
        clang.current_dir(root()).arg(format!("--target={target}")).arg("-nostdlibinc");
        clang.args(["-isystem", &system, "-std=c11", "-Wall", "-Wextra", "-Werror"]);
        let ran = run(clang.args(["-fsyntax-only", "-I", "include", "c-tests/header/layout.c"]));
        assert_eq!(ran.status, 0, "{target} ({kind}):\n{}", ran.stderr);
    }
    let mut cc = bare_c_compiler();
    cc.current_dir(root()).args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]);
    must(cc.args(["-I", "include", "c-tests/header/layout.c"]));
}

#[test]
fn a_32_bit_program_with_64_bit_time_is_refused() {
    // The library's timespec is the kernel's old one there; compiling would misread each timeout.
    for (target, bits, accepted) in [
        ("i686-linux-gnu", "64", false),
        ("i686-linux-gnu", "32", true),
        ("s390x-linux-gnu", "64", true),
    ] {
        let mut clang = Command::new("clang");
        clang.current_dir(root()).arg(format!("--target={target}")).arg("-nostdlibinc");
        clang.arg("-isystem").arg(format!("/usr/{target}/include"));
        clang.args(["-D_FILE_OFFSET_BITS=64", &format!("-D_TIME_BITS={bits}"), "-fsyntax-only"]);
        let ran = run(clang.args(["-I", "include", "c-tests/header/alone.c"]));
        assert_eq!(ran.status == 0, accepted, "{target}, {bits}: {}", ran.stderr);
        assert!(accepted || ran.stderr.contains("_TIME_BITS"), "{}", ran.stderr);
    }
}

#[test]
fn the_layout_test_holds_for_the_original_header_too() {
    // So that layout.c, not our header, is what says where libaio's names lie.
    let mut cc = bare_c_compiler();
    cc.current_dir(root()).args(["-std=gnu11", "-DLIBAIO_NAMES_ONLY", "-fsyntax-only"]);
    must(cc.arg("c-tests/header/layout.c"));
}
