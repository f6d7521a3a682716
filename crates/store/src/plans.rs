//! How SQLite looks for what statements name. Its one writer waits while a statement reads a table that has grown large, and
//! everybody waits with it. So all statements in these sources are asked for their plan.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::sql::values;
use crate::{Keys, Location, MasterKey, Store};

/// Tables that have a row for each message, code, event, sign-in or user.
const LARGE: [&str; 17] = [
    "audit",
    "audit_chain",
    "challenges",
    "code_sends",
    "failures",
    "known_numbers",
    "line_types",
    "observations",
    "outbox",
    "requests",
    "reservations",
    "sign_ins",
    "user_codes",
    "user_devices",
    "user_factors",
    "user_sign_ins",
    "users",
];

/// Statements that may do so, and why.
const EXPLAINED: [(&str, &str); 3] = [
    (
        "SELECT seq, audit_id, hash FROM audit_chain ORDER BY seq DESC LIMIT 1",
        "one row, in the order of the table",
    ),
    ("SELECT * FROM code_sends", "a piece: what follows names the application"),
    ("SELECT count(*) AS total, count(converted_at) AS converted FROM code_sends", "the same"),
];

#[tokio::test]
async fn no_statement_reads_or_sorts_all_of_a_large_table() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::Given { current: MasterKey::from_bytes([5; 32]), previous: Vec::new() };
    let location = Location::Sqlite(folder.path().join("ringfence.db"));
    let store = Store::open(&location, &keys, Timestamp::UNIX_EPOCH).await.unwrap();
    let mut statements = BTreeSet::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut statements);
    let mut asked = 0;
    let mut slow = Vec::new();
    for statement in statements {
        // Pieces of statements, and what is for PostgreSQL alone.
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        let Ok(rows) = store.fetch(explain.leak(), values![]).await else { continue };
        asked += 1;
        let plan: Vec<String> = rows.iter().map(|row| row.text("detail").unwrap()).collect();
        let reads_all = |step: &&String| LARGE.iter().any(|table| **step == format!("SCAN {table}"));
        let is_explained = EXPLAINED.iter().any(|(explained, _)| statement == *explained);
        if let (Some(step), false) = (plan.iter().find(reads_all), is_explained) {
            slow.push(format!("{step}: {statement}"));
        }
    }
    assert!(asked > 300, "only {asked} statements were found");
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

/// All string literals in the sources that are statements by how they begin, tests left out.
fn collect(folder: &Path, statements: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, statements);
        } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            statements.extend(literals(text).into_iter().filter(|it| is_statement(it)));
        }
    }
}

fn is_statement(text: &str) -> bool {
    ["SELECT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|begin| text.starts_with(begin))
}

/// The string literals of a source, where a backslash at the end of a line joins it with the next.
fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let from = &rest[at..];
        rest = if from.starts_with("//") {
            from.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(after) = from.strip_prefix("'\"'") {
            after
        } else if let Some(literal) = from.strip_prefix('"') {
            let is_end = |(at, _): &(usize, &str)| !literal[..*at].ends_with('\\');
            let end = literal.match_indices('"').find(is_end).map_or(literal.len(), |(at, _)| at);
            found.push(literal[..end].split("\\\n").map(str::trim_start).collect());
            literal.get(end + 1..).unwrap_or_default()
        } else {
            &from[1..]
        };
    }
    found
}
