//! What the documents say of the tree is there: links, `make` targets and their variables, files,
//! names of functions and tests, and the `LIBAIO_*` variables, each of which has its place in README.md
//! and in libaio(3).
//!
//! Looked at is what stands in code: `like this`, in a fenced block, or indented by four spaces.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{make, root, run};

/// What documents may name.
struct Tree {
    targets: BTreeSet<String>,
    makefile: String,
    /// Every word of letters, digits and underscores in the sources, and the names of their files, with
    /// and without the ending.
    names: BTreeSet<String>,
    /// The variables that the library reads, and the nodes of `libaio.map`, which begin like them.
    read: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

const SOURCES: &[&str] = &[
    "src",
    "tests",
    "c-tests",
    "conformance",
    "benches",
    "scripts",
    "include",
    "man",
    "debian",
    ".ci",
];

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Tree {
    fn read() -> Tree {
        let mut names = BTreeSet::new();
        let mut read = BTreeSet::new();
        let mut all: Vec<_> = SOURCES.iter().flat_map(|f| files(&root().join(f))).collect();
        all.extend(["Makefile", "Cargo.toml", "build.rs", "libaio.map"].map(|f| root().join(f)));
        for path in all {
            for part in [path.file_name(), path.file_stem()] {
                names.insert(part.expect("a name").to_string_lossy().into_owned());
            }
            // Python leaves its own beside the sources; and this file names what is not there.
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if path.ends_with("tests/docs.rs") {
                continue;
            }
            names.extend(words(&text).map(|w| w.trim_start_matches("__NR_").to_owned()));
            if path.starts_with(root().join("src")) {
                let names = text.split("c\"LIBAIO_").skip(1);
                read.extend(names.map(|n| format!("LIBAIO_{}", words(n).next().unwrap_or(""))));
            }
        }
        // What make knows, without making anything.
        let mut database = make(&["--print-data-base", "--question", "clean"]);
        let known = run(database.env("LC_ALL", "C")).stdout;
        let blocks = known.split("\n\n").filter(|block| !block.starts_with("# Not a target"));
        let targets = blocks.filter_map(|block| block.lines().next()?.split_once(':'));
        Tree {
            targets: targets.map(|(target, _)| target.to_owned()).collect(),
            makefile: text_of(&root().join("Makefile")),
            names,
            read,
            nodes: variables(&text_of(&root().join("libaio.map"))),
        }
    }
}

/// What begins like a variable of the library's.
fn variables(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"_.".contains(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.len() > "LIBAIO_".len() && word.starts_with("LIBAIO_"))
        .map(str::to_owned)
        .collect()
}

/// The lines of a document that are code, and the rest of it as one text.
fn parts(document: &str) -> (Vec<&str>, String) {
    let (mut code, mut rest) = (Vec::new(), String::new());
    let (mut fenced, mut may_be_code) = (false, true);
    for line in document.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || may_be_code && line.starts_with("    ") {
            code.push(line);
            continue;
        } else {
            rest += line;
        }
        rest.push('\n');
        may_be_code = line.is_empty();
    }
    (code, rest)
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Why a link in a document that lies in `folder` leads nowhere.
fn broken(link: &str, folder: &Path, document: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let path = folder.join(file);
    if !path.exists() {
        return Some(format!("the link {link} leads to no file"));
    }
    let linked = if file.is_empty() { document.to_owned() } else { text_of(&path) };
    let (_, rest) = parts(&linked);
    let mut headings = rest.lines().filter(|l| l.starts_with('#')).map(anchor);
    (!heading.is_empty() && !headings.any(|h| h == heading))
        .then(|| format!("the link {link} leads to no heading"))
}

/// What a line of code asks of make that make does not know.
fn unknown_to_make(line: &str, tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for command in line.split(['&', ';', '|']) {
        let command = command.split(" #").next().unwrap_or("");
        let mut words = command.split_whitespace().skip_while(|w| *w == "sudo" || w.contains('='));
        if words.next() != Some("make") {
            continue;
        }
        for word in words.filter(|w| !w.starts_with('-')) {
            // conformance-NAME stands for all that begin so.
            let open = word.trim_end_matches(|c: char| c.is_ascii_uppercase());
            let known = match word.split_once('=') {
                Some((variable, _)) => self::words(&tree.makefile).any(|w| w == variable),
                None if open.len() < word.len() => {
                    tree.targets.iter().any(|t| t.len() > open.len() && t.starts_with(open))
                }
                None => tree.targets.contains(word),
            };
            if !known {
                found.push(format!("make does not know {word}"));
            }
        }
    }
    found
}

/// What is said in a piece of code of the tree, and is not there.
fn unknown_name(span: &str, tree: &Tree) -> Option<String> {
    let all = |of: &str| span.chars().all(|c| c.is_ascii_alphanumeric() || of.contains(c));
    let first = span.split('/').next().unwrap_or("");
    if span.contains('/') && SOURCES.contains(&first) || span.starts_with("docs/") {
        return (all("._-/") && !root().join(span).exists()).then(|| format!("no file {span}"));
    }
    let ending = span.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_name = all("_") && span.contains('_') && !span.starts_with(char::is_uppercase)
        || all("_-.") && ["rs", "py"].contains(&ending);
    // `io_prep_` stands for all that begin so.
    (is_name && !span.ends_with('_') && !tree.names.contains(span))
        .then(|| format!("nothing is called {span}"))
}

/// Everything in a document that lies in `folder` and is not so.
fn complaints(document: &str, folder: &Path, tree: &Tree) -> Vec<String> {
    let (code, rest) = parts(document);
    let mut found: Vec<String> = code.iter().flat_map(|l| unknown_to_make(l, tree)).collect();
    let words = code.iter().flat_map(|line| line.split_whitespace());
    let files = words.map(|word| word.trim_end_matches(',')).filter(|word| word.contains('/'));
    found.extend(files.filter_map(|file| unknown_name(file, tree)));
    for (i, part) in rest.split('`').enumerate() {
        if i % 2 == 1 {
            let span = part.replace('\n', " ");
            found.extend(unknown_to_make(&span, tree));
            found.extend(unknown_name(&span, tree));
        } else {
            let links = part.split("](").skip(1).filter_map(|link| link.split_once(')'));
            found.extend(links.filter_map(|(link, _)| broken(link, folder, document)));
        }
    }
    let known = |name: &String| tree.read.contains(name) || tree.nodes.contains(name);
    let strangers = variables(document).into_iter().filter(|name| !known(name));
    found.extend(strangers.map(|name| format!("the library does not read {name}")));
    found
}

fn documents() -> Vec<PathBuf> {
    let mut all = files(&root().join("docs"));
    let others = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "conformance/README.md"];
    all.extend(others.map(|name| root().join(name)));
    all.retain(|path| path.extension().is_some_and(|e| e == "md"));
    all
}

#[test]
fn what_the_documents_name_is_there() {
    let tree = Tree::read();
    let mut all = Vec::new();
    for path in documents() {
        let folder = path.parent().expect("a folder");
        for complaint in complaints(&text_of(&path), folder, &tree) {
            all.push(format!("{}: {complaint}", path.display()));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_variable_has_its_place_in_the_documents() {
    let tree = Tree::read();
    assert!(tree.read.len() > 2, "{:?}", tree.read);
    for document in ["README.md", "man/libaio.3"] {
        let said = variables(&text_of(&root().join(document)));
        let missing: Vec<_> = tree.read.difference(&said).collect();
        assert!(missing.is_empty(), "{document} does not tell of {missing:?}");
    }
}

/// The rooms of the library of which a document says nothing; of those in a folder of their own, the
/// folder is enough.
fn rooms_missing(document: &str) -> Vec<String> {
    let mut rooms: BTreeSet<String> = BTreeSet::new();
    for path in files(&root().join("src")) {
        let name = path.strip_prefix(root()).expect("a source").to_string_lossy().into_owned();
        match name.strip_prefix("src/stats/") {
            Some(_) => rooms.insert("src/stats/".to_owned()),
            None => rooms.insert(name),
        };
    }
    rooms.retain(|name| !document.contains(&format!("`{name}`")) && !name.ends_with("/mod.rs"));
    rooms.into_iter().filter(|name| name != "src/lib.rs").collect()
}

#[test]
fn every_room_is_in_the_architecture() {
    let document = text_of(&root().join("docs/architecture.md"));
    assert_eq!(rooms_missing(&document), [""; 0]);
    let other = document.replace("`src/gate.rs`", "gate").replace("`src/uring/pump.rs`", "pump");
    assert_eq!(rooms_missing(&other), ["src/gate.rs", "src/uring/pump.rs"]);
}

/// The twin: a document that is wrong in every way, and right in every way beside it.
#[test]
fn what_is_not_there_is_found() {
    let document = "\
# A heading of `code`, and more

[a file](Makefile) [none](Makefile.am) [a heading](#a-heading-of-code-and-more) [none](#a-heading)
[another's](README.md#limits) [none](README.md#no-such-limit) [the web](https://example.com/none)
`make test`, `make tests`, `make conformance-NAME`, `make conformation-NAME`, `src/ring.rs`,
`src/rings.rs`, `gate.rs`, `gates.rs`, `io_getevents`, `io_gotevents`, `io_prep_`, LIBAIO_ENGINE,
LIBAIO_ENGINES, LIBAIO_0.4 and LIBAIO_RS_1.1.

    make && sudo make install PREFIX=/usr && make instal PREFIXES=/usr    # make nothing
    scripts/need and scripts/nerd
";
    let found = complaints(document, root(), &Tree::read());
    let expected = [
        "make does not know instal",
        "make does not know PREFIXES=/usr",
        "no file scripts/nerd",
        "the link Makefile.am leads to no file",
        "the link #a-heading leads to no heading",
        "the link README.md#no-such-limit leads to no heading",
        "make does not know tests",
        "make does not know conformation-NAME",
        "no file src/rings.rs",
        "nothing is called gates.rs",
        "nothing is called io_gotevents",
        "the library does not read LIBAIO_ENGINES",
    ];
    assert_eq!(found, expected);
}
