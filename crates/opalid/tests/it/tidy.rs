//! How Opalid is written, held by machine: lengths, `//!` lines, floors, names, and that documents name what exists.
//!
//! Each rule is a function from a text to complaints, so that it can be shown a text that breaks it.
//! Not here: what clippy counts (function length, arguments, banned calls).

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 400;

/// A crate, and the crates of ours that it may use.
const FLOORS: &[(&str, &[&str])] = &[
    ("opalid-core", &[]),
    ("opalid-store", &["opalid-core"]),
    ("opalid-verifier", &["opalid-core"]),
    ("opalid", &["opalid-core", "opalid-store", "opalid-verifier"]),
    ("opalid-bench", &["opalid-core"]),
];
/// Measures floors with the drivers themselves.
const BENCH: &str = "opalid-bench";
/// Folders of the binary that hold endpoints: the routes name them, they do not name one another, and nothing below
/// names them.
const ENDPOINTS: &[&str] = &["oauth", "feed", "login", "account", "console", "demo"];
const ROUTES: &str = "http/routes.rs";
/// Who may name the demo besides: what brings it into the store, and what tells people of it.
const BRINGS_THE_DEMO: &[&str] = &["start.rs", "serve.rs", "home.rs"];
const DRIVERS: &[&str] = &["rusqlite", "tokio_postgres", "deadpool_postgres"];
const ENGINES: &str = "crates/opalid-store/src/engine/";
const SIDECAR: &str = "crates/opalid/src/cli/verifier.rs";

#[test]
fn every_source_file_keeps_to_the_style() {
    let files: Vec<_> = tree().into_iter().filter(|path| path.ends_with(".rs")).collect();
    assert!(files.iter().any(|path| path == "crates/opalid/src/main.rs"), "the tree was not found: {files:?}");
    let complaints = files.iter().flat_map(|path| source_complaints(path, &read(path))).collect();
    assert_none(complaints);
}

#[test]
fn every_crate_stands_on_its_floor_and_takes_the_lints_of_the_workspace() {
    let complaints = tree()
        .iter()
        .filter_map(|path| Some((path, path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?)))
        .flat_map(|(path, name)| manifest_complaints(name, &read(path)))
        .collect();
    assert_none(complaints);
}

#[test]
fn no_file_is_called_by_what_it_is_not() {
    assert_none(tree().iter().filter_map(|path| name_complaint(path)).collect());
}

#[test]
fn documents_name_only_what_exists() {
    let tree = tree();
    let complaints = tree
        .iter()
        .filter(|path| path.ends_with(".md") && (path.starts_with("docs/") || !path.contains('/')))
        .flat_map(|path| document_complaints(path, &read(path), &tree))
        .collect();
    assert_none(complaints);
}

#[test]
fn both_licences_are_here_in_full() {
    assert!(read("LICENSE-APACHE").contains("END OF TERMS AND CONDITIONS"));
    assert!(read("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(read("Cargo.toml").contains("license = \"Apache-2.0 OR MIT\""));
}

// ---- the rules ----

fn source_complaints(path: &str, text: &str) -> Vec<String> {
    let code = without_tests(path, text);
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}: opens with a `//!` block that says what it takes, gives and holds"));
    }
    let length = code.lines().count();
    if length > LONGEST_FILE {
        found.push(format!("{path}: {length} lines without its tests, {LONGEST_FILE} is the limit"));
    }
    found.extend(lint_exception_complaints(path, text));
    for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        found.extend(floor_complaint(path, line).map(|why| format!("{path}:{}: {why}", number + 1)));
    }
    found
}

/// `text` up to its test module. A file in a tests folder, or one that a `mod tests;` names, is all tests.
fn without_tests<'a>(path: &str, text: &'a str) -> &'a str {
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return "";
    }
    let module = text.match_indices("\n#[cfg(test)]\nmod ").find(|(at, mark)| {
        let rest = &text[at + mark.len()..];
        rest.lines().next().is_some_and(|line| line.ends_with('{'))
    });
    module.map_or(text, |(at, _)| &text[..at + 1])
}

/// An exception to a lint is an `expect` with a reason; only a test binary may `allow`, since which of the
/// lints it breaks changes with every test.
fn lint_exception_complaints(path: &str, text: &str) -> Vec<String> {
    let attribute = |at: usize| &text[at..text[at..].find(")]").map_or(text.len(), |end| at + end)];
    let starts = |mark: &'static str| {
        text.match_indices(mark)
            .map(|(at, _)| at)
            .filter(|at| text[text[..*at].rfind('\n').map_or(0, |end| end + 1)..*at].trim().is_empty())
            .collect::<Vec<_>>()
    };
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let allowed = starts(concat!("#", "[allow(")).into_iter().chain(starts(concat!("#", "![allow(")));
    let unreasoned = starts(concat!("#", "[expect(")).into_iter().chain(starts(concat!("#", "![expect(")));
    let mut found: Vec<_> = allowed
        .filter(|at| !(path.ends_with("/tests/it/main.rs") && attribute(*at).contains("reason = ")))
        .map(|at| format!("{path}:{}: `expect` with a reason, not `allow`", line(at)))
        .collect();
    let unreasoned = unreasoned.filter(|at| !attribute(*at).contains("reason = "));
    found.extend(unreasoned.map(|at| format!("{path}:{}: an `expect` has a reason", line(at))));
    found
}

fn floor_complaint(path: &str, line: &str) -> Option<String> {
    if let Some(driver) = DRIVERS.iter().find(|driver| names(line, driver))
        && !path.starts_with(ENGINES)
        && !path.starts_with("crates/opalid-bench/")
        && !path.starts_with("crates/opalid-store/src/conformance")
    {
        return Some(format!("`{driver}` is used only in {ENGINES}"));
    }
    if names(line, "opalid_verifier") && path.starts_with("crates/opalid/src/") && path != SIDECAR {
        return Some(format!("the binary meets the verifier only in tests and in {SIDECAR}"));
    }
    if path.starts_with("crates/opalid-core/") {
        let world = [
            "std::fs",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "std::env",
            "std::process",
            "SystemTime",
            "Instant",
            "tokio",
        ];
        let met = world.iter().find(|name| names(line, name))?;
        return Some(format!("core does no I/O and reads no clock: `{met}`"));
    }
    let inside = path.strip_prefix("crates/opalid/src/").filter(|inside| *inside != ROUTES)?;
    let named =
        |folder: &str| names(line, &format!("crate::{folder}")) || line.contains("crate::{") && names(line, folder);
    let may = |folder: &str| within(inside, folder) || folder == "demo" && BRINGS_THE_DEMO.contains(&inside);
    if let Some(other) = ENDPOINTS.iter().find(|folder| named(folder) && !may(folder)) {
        return Some(format!("folders of endpoints are named by the routes alone: `crate::{other}`"));
    }
    (inside == "app.rs" && named("cli")).then(|| "app.rs is below the commands".into())
}

fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// Whether `line` has `name` as a whole word.
fn names(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(word) && !line[at + name.len()..].starts_with(word))
}

fn manifest_complaints(name: &str, text: &str) -> Vec<String> {
    let Some((_, below)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
        return vec![format!("crates/{name}: FLOORS in tidy.rs does not say what it may use")];
    };
    let mut found = Vec::new();
    if !text.contains("[lints]\nworkspace = true") {
        found.push(format!("crates/{name}/Cargo.toml: takes the lints of the workspace"));
    }
    let mut section = "";
    for line in text.lines() {
        section = if line.starts_with('[') { line } else { section };
        let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
        let ours = FLOORS.iter().any(|(floor, _)| *floor == dependency);
        if section == "[dependencies]" && ours && !below.contains(&dependency) {
            found.push(format!("crates/{name}/Cargo.toml: {dependency} is not below it"));
        }
        if name != "opalid-store"
            && name != BENCH
            && section == "[dependencies]"
            && DRIVERS.contains(&&*dependency.replace('-', "_"))
        {
            found.push(format!("crates/{name}/Cargo.toml: {dependency} is the store's"));
        }
    }
    found
}

fn name_complaint(path: &str) -> Option<String> {
    let banned = ["util", "utils", "helper", "helpers", "common", "misc"];
    let mut parts = path.split('/').map(|part| part.split('.').next().unwrap_or_default());
    let part = parts.find(|part| banned.contains(part))?;
    Some(format!("{path}: say what it holds, not `{part}`"))
}

/// Paths that `text` names and that are not in `tree`; for `path::test`, also tests that are not in that file.
fn document_complaints(document: &str, text: &str, tree: &[String]) -> Vec<String> {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for name in paths_named(text) {
        let (path, test) = name.split_once("::").map_or((name.as_str(), None), |(path, test)| (path, Some(test)));
        match (resolve(path, folder, tree), test) {
            (None, _) => found.push(format!("{document}: there is no {path}")),
            (Some(file), Some(test)) if !read(&file).contains(&format!("fn {test}(")) => {
                found.push(format!("{document}: {file} has no {test}"));
            }
            _ => {}
        }
    }
    found
}

/// What stands between backticks, in a link, or in a `text` block (a map), and looks like a path of ours.
fn paths_named(text: &str) -> Vec<String> {
    let mut words: Vec<&str> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.trim()) };
        } else if fence == Some("text") {
            words.extend(line.split_whitespace());
        } else if fence.is_none() {
            words.extend(line.split('`').skip(1).step_by(2));
            words.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
        }
    }
    words.into_iter().map(|word| word.trim_end_matches([',', ';', ':'])).filter_map(path_of_ours).collect()
}

fn path_of_ours(word: &str) -> Option<String> {
    let word = word.strip_prefix("./").unwrap_or(word);
    let word = word.split('#').next().unwrap_or_default();
    let path = word.split("::").next().unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    if path.is_empty() || !path.chars().all(plain) || path.starts_with('/') || path.starts_with("opalid-data") {
        return None;
    }
    let ends =
        |endings: &[&str]| path.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && endings.contains(&end));
    let starts = ["crates/", "docs/", "tests/", "src/", ".ci/"].iter().any(|folder| path.starts_with(folder));
    (starts || ends(&["rs", "md"]) || path.contains('/') && ends(&["sql", "html", "py", "mjs"]))
        .then(|| word.to_owned())
}

/// The file or folder that a document means: from the root, from its own folder, or inside a crate.
fn resolve(path: &str, folder: &str, tree: &[String]) -> Option<String> {
    let mut beside: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => beside.truncate(beside.len().saturating_sub(1)),
            _ => beside.push(part),
        }
    }
    let beside = beside.join("/");
    let path = path.trim_end_matches('/');
    let is = |file: &str, wanted: &str| {
        file == wanted || file.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
    };
    let in_crate = |file: &str| {
        let inside = file.strip_prefix("crates/").and_then(|rest| rest.split_once('/')).map(|(_, inside)| inside);
        inside.is_some_and(|inside| is(inside, path) || inside.strip_prefix("src/").is_some_and(|rest| is(rest, path)))
    };
    let bare = |file: &str| !path.contains('/') && file.rsplit('/').next() == Some(path);
    let means = |file: &&String| is(file, path) || is(file, &beside) || in_crate(file) || bare(file);
    tree.iter().find(means).cloned()
}

// ---- the tree ----

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

/// Every file of ours, from the root.
fn tree() -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if ["target", ".git", "node_modules", ".venv", "__pycache__", "opalid-data"].contains(&name.as_str()) {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().unwrap().is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

// ---- the rules, shown what they are against ----

#[test]
fn a_source_file_without_an_opening_block_is_refused() {
    assert_eq!(source_complaints("crates/opalid/src/a.rs", "//! A.\nfn a() {}\n"), Vec::<String>::new());
    assert_eq!(source_complaints("crates/opalid/src/a.rs", "fn a() {}\n").len(), 1);
}

#[test]
fn a_long_file_is_refused_and_its_tests_do_not_count() {
    let lines = |count| format!("//! A.\n{}", "// line\n".repeat(count));
    let tests = "#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(source_complaints("crates/opalid/src/a.rs", &(lines(399) + tests)), Vec::<String>::new());
    assert_eq!(source_complaints("crates/opalid/src/a.rs", &(lines(400) + tests)).len(), 1);
    let declared_early = format!("//! A.\n#[cfg(test)]\nmod tests;\n{}", lines(400));
    assert_eq!(source_complaints("crates/opalid/src/a.rs", &declared_early).len(), 1);
    assert_eq!(source_complaints("crates/opalid/tests/it/a.rs", &lines(900)), Vec::<String>::new());
}

#[test]
fn an_exception_to_a_lint_needs_an_expect_and_a_reason() {
    let refused = |path: &str, line: &str| source_complaints(path, &format!("//! A.\n{line}\n")).len();
    assert_eq!(refused("crates/opalid/src/a.rs", concat!("#", "[allow(dead_code)]")), 1);
    assert_eq!(refused("crates/opalid/src/a.rs", concat!("#", "[expect(dead_code)]")), 1);
    assert_eq!(refused("crates/opalid/src/a.rs", concat!("#", "![allow(dead_code, reason = \"r\")]")), 1);
    assert_eq!(refused("crates/opalid/src/a.rs", concat!("#", "[expect(\n    dead_code,\n    reason = \"r\"\n)]")), 0);
    assert_eq!(refused("crates/opalid/tests/it/main.rs", concat!("#", "![allow(dead_code, reason = \"r\")]")), 0);
}

#[test]
fn code_that_leaves_its_floor_is_refused() {
    let refused = |path: &str, line: &str| floor_complaint(path, line).is_some();
    assert!(refused("crates/opalid-store/src/memory.rs", "use rusqlite::Connection;"));
    assert!(!refused("crates/opalid-store/src/engine/sqlite.rs", "use rusqlite::Connection;"));
    assert!(refused("crates/opalid/src/app.rs", "use opalid_verifier::Mirror;"));
    assert!(!refused("crates/opalid/src/cli/verifier.rs", "use opalid_verifier::Mirror;"));
    assert!(refused("crates/opalid-core/src/alive.rs", "let now = std::time::Instant::now();"));
    assert!(!refused("crates/opalid-core/src/alive.rs", "let kind = InstantKind::New;"));
    assert!(refused("crates/opalid/src/oauth/authorize.rs", "use crate::login::consent;"));
    assert!(!refused("crates/opalid/src/oauth/authorize.rs", "use crate::oauth::token; use crate::login_hint;"));
    assert!(!refused("crates/opalid/src/http/routes.rs", "use crate::login::consent;"));
    assert!(refused("crates/opalid/src/app.rs", "use crate::oauth::token;"));
    assert!(refused("crates/opalid/src/app.rs", "use crate::login::sign_in;"));
    assert!(refused("crates/opalid/src/app.rs", "use crate::demo::seed;"));
    assert!(refused("crates/opalid/src/app.rs", "use crate::cli::serve;"));
    assert!(refused("crates/opalid/src/http/page.rs", "use crate::login::consent;"));
    assert!(refused("crates/opalid/src/manage/users.rs", "use crate::login::set_password;"));
    assert!(refused("crates/opalid/src/login/sign_in.rs", "use crate::{oauth, random};"));
    assert!(!refused("crates/opalid/src/http/routes.rs", "use crate::{demo, home, login, oauth, pages};"));
    assert!(!refused("crates/opalid/src/start.rs", "use crate::demo;"));
    assert!(!refused("crates/opalid/src/login/sign_in.rs", "use crate::passwords::password::Password;"));
}

#[test]
fn a_manifest_that_leaves_its_floor_is_refused() {
    let manifest = |lines: &str| format!("[dependencies]\n{lines}\n\n[lints]\nworkspace = true\n");
    assert_eq!(manifest_complaints("opalid-store", &manifest("opalid-core.workspace = true")), Vec::<String>::new());
    assert_eq!(manifest_complaints("opalid-core", &manifest("opalid-store.workspace = true")).len(), 1);
    assert_eq!(manifest_complaints("opalid-core", &manifest("opalid = { path = \"..\" }")).len(), 1);
    assert_eq!(manifest_complaints("opalid", &manifest("rusqlite.workspace = true")).len(), 1);
    assert_eq!(manifest_complaints("opalid-store", "[dependencies]\n").len(), 1);
    assert_eq!(manifest_complaints("opalid-unheard-of", &manifest("")).len(), 1);
}

#[test]
fn a_file_called_utils_is_refused() {
    assert!(name_complaint("crates/opalid/src/utils.rs").is_some());
    assert!(name_complaint("crates/opalid/src/common/time.rs").is_some());
    assert!(name_complaint("crates/opalid/src/commons_gate.rs").is_none());
}

#[test]
fn a_document_that_names_a_missing_path_or_test_is_refused() {
    let tree = ["crates/a/src/oauth/revoke.rs", "crates/a/src/main.rs", "docs/run.md", "README.md"].map(String::from);
    let refused = |text: &str| document_complaints("docs/index.md", text, &tree);
    for good in [
        "`crates/a/src/oauth/`",
        "`oauth/revoke.rs`",
        "`src/main.rs`",
        "`main.rs`",
        "[run](run.md#start)",
        "[up](../README.md)",
    ] {
        assert_eq!(refused(good), Vec::<String>::new(), "{good}");
    }
    for good in [
        "`https://a/b.rs`",
        "`/token`",
        "`application/json`",
        "`opalid.toml`",
        "```sh\ncat src/x.rs\n```",
        "`<name>.rs`",
    ] {
        assert_eq!(refused(good), Vec::<String>::new(), "{good}");
    }
    for bad in
        ["`crates/a/src/token.rs`", "`oauth/token.rs`", "[x](gone.md)", "```text\n  src/gone.rs   what it holds\n```"]
    {
        assert_eq!(refused(bad).len(), 1, "{bad}");
    }
    let own = tree_with_this_file();
    let here = "crates/opalid/tests/it/tidy.rs";
    assert_eq!(
        document_complaints("docs/specs.md", &format!("`{here}::a_file_called_utils_is_refused`"), &own),
        [""; 0]
    );
    assert_eq!(document_complaints("docs/specs.md", &format!("`{here}::a_test_nobody_wrote`"), &own).len(), 1);
}

fn tree_with_this_file() -> Vec<String> {
    vec!["crates/opalid/tests/it/tidy.rs".to_owned()]
}
