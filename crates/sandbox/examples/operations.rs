//! Writes the list of operations in `docs/sandbox.md`: which of Twilio's the sandbox has, and which not.
//!
//!     cargo run -p ringfence-sandbox --example operations
#![expect(clippy::format_push_string, reason = "it is run now and then, by hand")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ringfence_sandbox::OperationName;
use ringfence_testkit::openapi::Document;

/// Between these two lines stands what is generated.
const BEGIN: &str =
    "<!-- Written by `cargo run -p ringfence-sandbox --example operations`; do not edit. -->\n";
const END: &str = "<!-- End of what is written. -->\n";

fn main() {
    let page = std::fs::read_to_string(path()).expect("docs/sandbox.md is there");
    std::fs::write(path(), rewritten(&page)).expect("docs/sandbox.md can be written");
}

/// The page with its list as the code has it now.
pub(crate) fn rewritten(page: &str) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("the page says where the list begins");
    let (_, after) = rest.split_once(END).expect("the page says where the list ends");
    format!("{before}{BEGIN}\n{}\n{END}{after}", list())
}

/// Where the page is.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sandbox.md")
}

/// One section for each document of Twilio's: a table of paths that the sandbox has, then those that it has not.
fn list() -> String {
    let has: BTreeSet<OperationName> = ringfence_sandbox::operations().collect();
    let mut left = has.clone();
    let mut text = String::new();
    let mut summary = String::from("| product | document | has | of |\n| --- | --- | --- | --- |\n");
    for document in Document::all() {
        let product = document.host().split('.').next().unwrap_or_default().to_owned();
        let (mut there, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for operation in document.operations() {
            let (method, path) = (operation.method(), operation.template);
            let found = has.iter().find(|it| it.product == product && it.method == method && it.path == path);
            if let Some(name) = found {
                left.remove(name);
            }
            let side = if found.is_some() { &mut there } else { &mut missing };
            side.entry(path.to_owned()).or_insert_with(Vec::new).push(method);
        }
        let count = |side: &BTreeMap<String, Vec<String>>| side.values().map(Vec::len).sum::<usize>();
        let (have, all) = (count(&there), count(&there) + count(&missing));
        summary += &format!("| {product} | `{}` | {have} | {all} |\n", document.name());
        text += &format!("\n#### {}\n\n", document.name());
        if have > 0 {
            text += &table(&there);
        }
        if all > have {
            let folded = format!("Not implemented ({})", all - have);
            text += &format!("\n<details><summary>{folded}</summary>\n\n{}\n</details>\n", table(&missing));
        }
    }
    if !left.is_empty() {
        text += "\n#### In none of the documents\n\n";
        let mut rows = BTreeMap::new();
        for name in left {
            let path = format!("{}.twilio.com{}", name.product, name.path);
            rows.entry(path).or_insert_with(Vec::new).push(name.method.to_owned());
        }
        text += &table(&rows);
    }
    format!("{summary}{text}")
}

fn table(rows: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = String::from("| path | methods |\n| --- | --- |\n");
    for (path, methods) in rows {
        text += &format!("| `{path}` | {} |\n", methods.join(", "));
    }
    text
}
