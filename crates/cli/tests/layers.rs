//! Which crate may use which: the table of ARCHITECTURE.md, held against `cargo metadata`.
//!
//! The compiler stops cycles, not wrong directions. A pure crate that learns to reach the store, or two
//! planes that import each other, would compile. The table also names crates that do not exist yet, so that
//! the first manifest of such a crate is judged like every later one.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Where to change the table, when a border has turned out wrong.
const WHERE: &str = "crates/cli/tests/layers.rs (and say why in ARCHITECTURE.md)";

/// A crate by its folder, and the folders of the crates it may use. The order is from the bottom up.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("signature", &[]),
    ("breaker", &["model"]),
    ("second-factor", &["model"]),
    ("twilio", &["model"]),
    ("store", &["model", "breaker", "second-factor"]),
    ("gateway", &["model", "signature", "breaker", "store", "twilio"]),
    ("control", &["model", "breaker", "second-factor", "twilio", "store"]),
    ("console", &["model", "signature", "breaker", "second-factor", "control", "store", "twilio"]),
    ("sandbox", &["model", "signature", "twilio"]),
    (
        "cli",
        &[
            "model",
            "signature",
            "breaker",
            "second-factor",
            "twilio",
            "store",
            "gateway",
            "control",
            "console",
            "sandbox",
        ],
    ),
    // Only for tests: it stands beside the layers, so it may use what the tests of every crate may use.
    ("testkit", &["model", "signature", "twilio"]),
    // Measures whatever there is to measure; nothing is built on it.
    (
        "bench",
        &[
            "model",
            "signature",
            "breaker",
            "second-factor",
            "twilio",
            "store",
            "gateway",
            // Both planes in one process, as in `serve`: how long a trigger takes from one to the end of the other.
            "control",
            "console",
            "sandbox",
            "testkit",
        ],
    ),
];

/// Crates that take only the wire shapes of `twilio`, never its client: `(user, feature)`.
const ONLY_WITH_FEATURE: &[(&str, &str)] = &[("gateway", "wire"), ("console", "wire"), ("sandbox", "wire")];

/// Libraries that a pure crate must not reach, since they do I/O or read a clock by themselves. They may be
/// behind a feature that is off by default only where the table of exceptions says so.
const NOT_IN_PURE_CRATES: &[&str] =
    &["tokio", "hyper", "hyper-util", "reqwest", "sqlx", "rusqlite", "rustls", "tracing", "rand", "axum"];
const PURE: &[&str] = &["model", "signature", "breaker", "second-factor"];

#[test]
fn every_crate_uses_only_what_its_layer_allows() {
    let wrong = wrong_edges(&edges(&metadata()));
    assert!(wrong.is_empty(), "\n{}\nThe table is in {WHERE}.\n", wrong.join("\n"));
}

#[test]
fn nobody_uses_cli_or_bench() {
    for (user, used) in edges(&metadata()) {
        assert!(
            used != "cli" && used != "bench",
            "`{user}` uses `{used}`, which is an end and not a library"
        );
    }
}

#[test]
fn testkit_is_a_dependency_of_tests_alone() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let user = folder(package.name.as_ref());
        for dependency in &package.dependencies {
            let is_testkit = folder(&dependency.name) == "testkit";
            let in_tests = dependency.kind == DependencyKind::Development;
            assert!(
                !is_testkit || in_tests || user == "bench",
                "`{user}` uses `testkit` outside its tests: move it to [dev-dependencies] of {}",
                package.manifest_path
            );
        }
    }
}

#[test]
fn pure_crates_reach_no_library_that_does_io() {
    for package in metadata().workspace_packages() {
        let user = folder(package.name.as_ref());
        for dependency in &package.dependencies {
            let counts = dependency.kind == DependencyKind::Normal && PURE.contains(&user.as_str());
            assert!(
                !(counts && NOT_IN_PURE_CRATES.contains(&dependency.name.as_str())),
                "the pure crate `{user}` depends on `{}`, which does I/O: take what it gives as an argument \
                 instead. The list is in {WHERE}",
                dependency.name
            );
        }
    }
}

#[test]
fn crates_that_need_only_wire_shapes_take_only_those() {
    for package in metadata().workspace_packages() {
        let user = folder(package.name.as_ref());
        let Some((_, feature)) = ONLY_WITH_FEATURE.iter().find(|(name, _)| *name == user) else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| {
            folder(&dependency.name) == "twilio" && dependency.kind == DependencyKind::Normal
        }) {
            assert!(
                !dependency.uses_default_features && dependency.features == [*feature],
                "`{user}` must take `twilio` with default-features = false and features = [\"{feature}\"] in {}",
                package.manifest_path
            );
        }
    }
}

#[test]
fn the_table_itself_points_only_downwards() {
    let mut below = BTreeSet::new();
    for (user, may_use) in MAY_USE {
        for used in *may_use {
            assert!(below.contains(used), "the table lets `{user}` use `{used}`, which is not below it");
        }
        below.insert(*user);
    }
}

#[test]
fn an_edge_that_the_table_lacks_is_found() {
    let found = |user: &str, used: &str| !wrong_edges(&[(user.to_owned(), used.to_owned())]).is_empty();
    assert!(found("signature", "model"), "signature uses nothing of ours");
    assert!(found("model", "signature"), "model uses nothing of ours");
    assert!(found("control", "gateway"), "the planes never import each other");
    assert!(found("gateway", "control"), "the planes never import each other");
    assert!(found("gateway", "cli"), "nobody uses cli");
    assert!(found("helpers", "model"), "a crate that the table does not know is not allowed");
    assert!(!found("gateway", "signature"));
}

/// One sentence for each edge that the table does not allow.
fn wrong_edges(edges: &[(String, String)]) -> Vec<String> {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    edges
        .iter()
        .filter_map(|(user, used)| match table.get(user.as_str()) {
            None => Some(format!("`{user}` is not in the table: add it with what it may use")),
            Some(may_use) if may_use.contains(&used.as_str()) => None,
            Some([]) => Some(format!("`{user}` uses `{used}`, but may use nothing of ours")),
            Some(may_use) => Some(format!("`{user}` uses `{used}`, but may use only {}", may_use.join(", "))),
        })
        .collect()
}

/// Who uses whom among the crates of this workspace, tests aside.
fn edges(metadata: &Metadata) -> Vec<(String, String)> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.to_string()).collect();
    let mut edges = Vec::new();
    for package in packages {
        let user = folder(package.name.as_ref());
        assert!(
            MAY_USE.iter().any(|(name, _)| *name == user),
            "the crate `{user}` is not in the table: add it, with what it may use, in {WHERE}"
        );
        for dependency in &package.dependencies {
            if dependency.kind != DependencyKind::Development && ours.contains(&dependency.name) {
                edges.push((user.clone(), folder(&dependency.name)));
            }
        }
    }
    edges
}

/// `ringfence-gateway` lives in `gateway`; the binary's package `ringfence` lives in `cli`.
fn folder(package: &str) -> String {
    match package {
        "ringfence" => "cli".to_owned(),
        _ => package.strip_prefix("ringfence-").unwrap_or(package).to_owned(),
    }
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo, which runs this test, can describe its workspace")
}
