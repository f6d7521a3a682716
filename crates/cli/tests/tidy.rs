//! The repository is tidy: what a reviewer would otherwise have to look for in every change.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The longest a Rust file may be, in lines. A second room is nearly always better than a longer one.
const LINES_MAX: usize = 600;

/// Files that are longer, each with the reason why they stay whole. A path that is no longer too long must go.
const LONG_FILES: &[(&str, &str)] = &[];

/// The files that give names to reasons for refusing a request.
const REASONS_ARE_IN: &[&str] = &[
    "crates/signature/src/verify.rs",
    "crates/gateway/src/reason.rs",
    "crates/gateway/src/http_rules.rs",
    "crates/gateway/src/forwarded.rs",
    "crates/gateway/src/forward_auth.rs",
];

#[test]
fn every_workspace_member_has_a_reason_beside_it() {
    let manifest = read(&root().join("Cargo.toml"));
    let members = section(&manifest, "members = [", "]");
    let lines: Vec<_> = members.lines().filter(|line| line.trim_start().starts_with('"')).collect();
    assert!(!lines.is_empty(), "the list of members in Cargo.toml was not found");
    for line in lines {
        assert!(has_comment(line), "Cargo.toml: the member {} needs a comment with its reason", line.trim());
    }
}

#[test]
fn every_dependency_has_a_reason_beside_it_or_above_its_group() {
    let manifest = read(&root().join("Cargo.toml"));
    let without = dependencies_without_reason(section(&manifest, "[workspace.dependencies]", "\n["));
    assert!(
        without.is_empty(),
        "Cargo.toml: no reason beside these dependencies or above their group: {}",
        without.join(", ")
    );
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let text = "\n# The runtime.\ntokio = \"1\"\nhyper = \"1\"\n\nserde = \"1\"\nclap = \"4\" # arguments\n";
    assert_eq!(dependencies_without_reason(text), ["serde"]);
}

#[test]
fn every_crate_takes_its_versions_and_lints_from_the_workspace() {
    for manifest in files(&root(), "Cargo.toml") {
        let text = read(&manifest);
        // A manifest with a workspace of its own (the root, the fuzz targets) inherits from nobody.
        if text.lines().any(|line| line.trim() == "[workspace]") {
            continue;
        }
        let shown = show(&manifest);
        assert!(
            text.contains("[lints]\nworkspace = true"),
            "{shown}: add\n[lints]\nworkspace = true\nso that no crate escapes the lints"
        );
        for line in dependency_lines(&text) {
            assert!(
                line.contains("workspace = true"),
                "{shown}: `{line}` names a version of its own; put it, with its reason, into the root manifest"
            );
        }
    }
}

#[test]
fn no_file_is_too_long() {
    let mut listed: BTreeSet<_> = LONG_FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
    let mut wrong = Vec::new();
    for file in rust_files() {
        let lines = read(&file).lines().count();
        let known = listed.remove(&show(&file));
        match (lines > LINES_MAX, known) {
            (true, false) => wrong.push(format!("{}: {lines} lines", show(&file))),
            (false, true) => wrong.push(format!("{}: no longer too long; take it off the list", show(&file))),
            _ => {}
        }
    }
    wrong.extend(listed.into_iter().map(|path| format!("{path}: listed, but it does not exist")));
    assert!(
        wrong.is_empty(),
        "files over {LINES_MAX} lines need a second room, or a reason in LONG_FILES of {}:\n{}",
        file!(),
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    // Put together here so that this file does not find itself.
    let marks =
        [["to", "do!("], ["unimple", "mented!("], ["#[ig", "nore"], ["db", "g!("]].map(|part| part.concat());
    for file in rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            for mark in &marks {
                assert!(!line.contains(mark), "{}:{}: `{mark}` must not land", show(&file), number + 1);
            }
        }
    }
}

#[test]
fn every_exception_from_a_lint_says_why() {
    let openings = [["#[all", "ow("], ["#![all", "ow("]].map(|part| part.concat());
    for file in rust_files() {
        for (number, line) in read(&file).lines().enumerate() {
            assert!(
                !openings.iter().any(|opening| line.trim_start().starts_with(opening)),
                "{}:{}: write #[expect(lint, reason = \"…\")], which complains when it is no longer needed",
                show(&file),
                number + 1
            );
        }
    }
}

#[test]
fn every_reason_for_refusing_is_in_the_documentation() {
    let page = read(&root().join("docs/running.md"));
    let listed = section(&page, "## Reasons", "\n## ");
    let mut found = 0;
    for file in REASONS_ARE_IN {
        let text = read(&root().join(file));
        for reason in reasons(text.split("#[cfg(test)]").next().unwrap_or_default()) {
            assert!(listed.contains(&format!("`{reason}`")), "docs/running.md lacks `{reason}` of {file}");
            found += 1;
        }
    }
    assert!(found > 40, "the reasons were not found in the code: {found}");
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut wrong = Vec::new();
    for page in files_ending(&root(), "md") {
        let text = read(&page);
        for target in links(&text) {
            if let Some(problem) = problem_with_link(&page, &target) {
                wrong.push(format!("{}: ({target}) {problem}", show(&page)));
            }
        }
    }
    assert!(wrong.is_empty(), "broken links:\n{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = root().join("README.md");
    assert!(problem_with_link(&page, "docs/no-such-page.md").is_some());
    assert!(problem_with_link(&page, "README.md#no-such-heading").is_some());
    assert!(problem_with_link(&page, "README.md#licence").is_none());
    assert!(problem_with_link(&page, "https://example.com/").is_none());
    assert_eq!(links("see [a](b.md), `[no](code)` and [c](d.md#e)"), ["b.md", "d.md#e"]);
}

/// The names of reasons in a source file: what a `match` arm, a rule of HTTP or the table of fields gives.
fn reasons(text: &str) -> Vec<&str> {
    let before = ["=> \"", "BadRequest(\"", ", \"repeated_"];
    let quoted = |line| Some(section(line, "\"", "\"")).filter(|name: &&str| !name.is_empty());
    text.lines().filter(|line| before.iter().any(|mark| line.contains(mark))).filter_map(quoted).collect()
}

/// The names in the dependency table that have neither a comment on their line nor one above their group; a
/// group is the lines up to an empty one.
fn dependencies_without_reason(table: &str) -> Vec<String> {
    let mut group_has_reason = false;
    let mut without = Vec::new();
    for line in table.lines() {
        let line = line.trim();
        if line.is_empty() {
            group_has_reason = false;
        } else if line.starts_with('#') {
            group_has_reason = true;
        } else if let Some((name, _)) = line.split_once('=') {
            let ours = name.trim().starts_with("ringfence-");
            if !(group_has_reason || has_comment(line) || ours) {
                without.push(name.trim().to_owned());
            }
        }
    }
    without
}

/// The lines of a manifest that name a dependency, in any of its dependency tables.
fn dependency_lines(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.trim_end_matches(']').ends_with("dependencies");
        } else if inside && line.contains('=') && !line.starts_with('#') {
            lines.push(line);
        }
    }
    lines
}

/// The targets of the inline links of a Markdown text, code left out.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second part between backquotes is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for part in prose.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                targets.push(target.to_owned());
            }
        }
    }
    targets
}

/// Why a link does not lead anywhere; other sites are not asked, since no test needs the internet.
fn problem_with_link(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = match file {
        "" => page.to_owned(),
        _ => page.parent().expect("a page lies in a folder").join(file),
    };
    if !path.exists() {
        return Some("does not exist".to_owned());
    }
    if !clean(&path).starts_with(root()) {
        return Some("leads out of the repository".to_owned());
    }
    let heading = heading?;
    let found = read(&path).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
    (!found).then(|| "has no such heading".to_owned())
}

/// The anchor that Markdown renderers give a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

fn has_comment(line: &str) -> bool {
    line.rsplit_once('#').is_some_and(|(_, comment)| comment.trim().len() > 3 && !comment.contains('"'))
}

/// The text between two marks; empty where the first is missing.
fn section<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(from) else { return "" };
    rest.split_once(to).map_or(rest, |(inside, _)| inside)
}

fn rust_files() -> Vec<PathBuf> {
    files_ending(&root(), "rs")
}

fn files(folder: &Path, name: &str) -> Vec<PathBuf> {
    walk(folder).into_iter().filter(|path| path.file_name().is_some_and(|found| found == name)).collect()
}

fn files_ending(folder: &Path, extension: &str) -> Vec<PathBuf> {
    walk(folder).into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Every file of the repository, without what is built or installed.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("a folder of the repository can be read");
    for path in entries.map(|entry| entry.expect("an entry of a folder can be read").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !path.is_dir() {
            found.push(path);
        } else if !is_made_by_tools(&name) {
            found.extend(walk(&path));
        }
    }
    found
}

fn is_made_by_tools(folder: &str) -> bool {
    let hidden = folder.starts_with('.') && folder != ".ci";
    hidden || matches!(folder, "target" | "node_modules" | "corpus" | "artifacts" | "__pycache__")
}

fn read(path: &Path) -> String {
    let text = fs::read_to_string(path);
    assert!(text.is_ok(), "{}: {text:?}", path.display());
    text.unwrap_or_default()
}

fn show(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn root() -> PathBuf {
    clean(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

/// The path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(cleaned.pop()),
            Component::CurDir => {}
            part => cleaned.push(part),
        }
    }
    cleaned
}
