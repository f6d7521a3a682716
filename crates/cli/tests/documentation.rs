//! The book is whole, and what it and the files beside it name is there: pages, files, metrics, labels.
//!
//! Links are judged in `tidy`, commands and blocks of configuration beside the code that reads them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ringfence_gateway::{METRICS, MetricDescription, MetricKind};
use serde_json::Value;

/// What looks like a metric and is none: crates, and variables of other people's configurations.
const NOT_METRICS: &[&str] = &[
    "ringfence_signature",
    "ringfence_breaker",
    "ringfence_twilio",
    "ringfence_shadow",
    "ringfence_account",
    "ringfence_matched",
    "ringfence_proof",
    "ringfence_user",
    "ringfence_assertion",
    "ringfence_says",
];

/// Labels that Prometheus itself adds.
const OF_PROMETHEUS: &[&str] = &["job", "instance", "le"];

#[test]
fn every_page_is_in_the_summary_once() {
    let summary = read("docs/SUMMARY.md");
    let listed: Vec<_> =
        summary.split("](").skip(1).filter_map(|part| part.split(')').next()).map(str::to_owned).collect();
    let there: BTreeSet<_> =
        pages("docs").iter().map(|path| name(path)).filter(|it| it != "SUMMARY.md").collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once, there, "left: what docs/SUMMARY.md lists; right: the pages that there are");
    assert_eq!(listed.len(), once.len(), "a page is in docs/SUMMARY.md twice");
}

#[test]
fn every_metric_that_is_named_exists() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for file in pages("").into_iter().chain(pages("docs")).chain(files("packaging")) {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        seen += text.matches("ringfence_").count();
        wrong.extend(unknown_metrics(&text).into_iter().map(|it| format!("{}: {it}", file.display())));
    }
    assert!(wrong.is_empty(), "metrics that the code does not have:\n{}", wrong.join("\n"));
    assert!(seen > 100, "only {seen} names");
}

#[test]
fn every_expression_of_dashboard_and_alerts_can_match_something() {
    let dashboard: Value = serde_json::from_str(&read("packaging/grafana-dashboard.json")).expect("JSON");
    let mut expressions = Vec::new();
    expressions_of_json(&dashboard, &mut expressions);
    let alerts = expressions_of_yaml(&read("packaging/prometheus-rules.yaml"));
    assert!(expressions.len() > 20 && alerts.len() > 8, "{} and {}", expressions.len(), alerts.len());
    expressions.extend(alerts);
    let wrong: Vec<_> = expressions.iter().flat_map(|it| problems_of_expression(it)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let unseen = METRICS.iter().map(MetricDescription::exposed).filter(|name| {
        !["accounts", "replay", "reloads_total"].iter().any(|it| name.contains(it))
            && !expressions.iter().any(|it| it.contains(name.as_str()))
    });
    assert_eq!(unseen.collect::<Vec<_>>(), [] as [String; 0], "neither dashboard nor alerts show these");
}

#[test]
fn what_no_metric_has_is_found_in_an_expression() {
    let problems = |text: &str| problems_of_expression(text).len();
    assert_eq!(problems("rate(ringfence_request_total[5m])"), 1, "no such metric");
    assert_eq!(problems("ringfence_connections_total"), 1, "a gauge has no _total");
    assert_eq!(problems("ringfence_requests_total{path=\"/\"}"), 1, "no such label");
    assert_eq!(problems("ringfence_requests_total{verdict=\"allowed\"}"), 1, "no such value");
    assert_eq!(problems("ringfence_requests_total{reason=~\"overloaded|overlooked\"}"), 1, "one of two");
    assert_eq!(problems("sum by (account) (ringfence_requests_total)"), 1, "no such label to sum by");
    let sound = "histogram_quantile(0.9, sum by (le, route) (rate(ringfence_request_duration_seconds_bucket{job=~\"$job\"}[5m])))";
    assert_eq!(problems(sound), 0);
    assert_eq!(unknown_metrics("`ringfence_connection` and ringfence_in_flight"), ["ringfence_connection"]);
}

#[test]
fn every_file_of_the_repository_that_is_named_exists() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in pages("").into_iter().chain(pages("docs")) {
        let text = fs::read_to_string(&page).expect("a page is a text");
        for code in inline_code(&text).filter(|code| is_path(code)) {
            seen += 1;
            if !is_there(&page, code) {
                wrong.push(format!("{}: {code}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "files that are not there:\n{}", wrong.join("\n"));
    assert!(seen > 40, "only {seen} paths");
}

#[test]
fn each_part_has_one_address_in_all_examples_and_units() {
    let mut ports: std::collections::BTreeMap<String, BTreeSet<String>> = std::collections::BTreeMap::new();
    let mut note = |part: &str, address: &str| {
        let port = address.rsplit(':').next().unwrap_or_default().to_owned();
        ports.entry(port).or_default().insert(part.to_owned());
    };
    let parts = ["gate", "forward_auth", "admin", "console", "second_factor", "egress", "listen"];
    let examples = files("docs/examples").into_iter().chain(pages("docs")).chain(pages(""));
    for file in examples.chain([root().join("crates/cli/ringfence.example.toml")]) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for line in text.lines() {
            let Some((key, rest)) = line.split_once(" = \"") else { continue };
            let key = key.trim_start_matches([' ', '#']);
            if let Some(part) = parts.iter().find(|part| **part == key) {
                note(
                    if *part == "listen" { "media" } else { part },
                    rest.split('"').next().unwrap_or_default(),
                );
            }
        }
    }
    let mut units = 0;
    for unit in files("packaging").iter().filter(|path| path.extension().is_some_and(|it| it == "socket")) {
        let text = fs::read_to_string(unit).expect("a text");
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        note(value("FileDescriptorName="), value("ListenStream="));
        units += 1;
    }
    assert!(units > 4 && ports.len() > 6, "{units}, {ports:?}");
    let usual = |part: &str| ports.iter().filter(|(_, parts)| parts.contains(part)).count();
    assert!(ports.values().all(|parts| parts.len() == 1), "two parts at one port: {ports:?}");
    for part in ["forward_auth", "admin", "console", "second_factor", "egress", "media"] {
        assert_eq!(usual(part), 1, "{part} is somewhere else elsewhere: {ports:?}");
    }
}

#[test]
fn no_proxy_of_the_examples_keeps_a_connection_for_longer_than_the_gate() {
    let mut blocks = 0;
    for file in files("docs/examples") {
        let text = fs::read_to_string(&file).expect("a text");
        for block in text.split("\n    upstream ").skip(1).filter(|it| !it.starts_with("application")) {
            let block = block.split("\n    }").next().unwrap_or_default();
            assert!(block.contains("keepalive_timeout 15s;"), "{}: {block}", file.display());
            blocks += 1;
        }
        if name(&file).starts_with("Caddyfile") {
            let to_ringfence =
                text.matches("reverse_proxy 127.0.0.1:8").count() + text.matches("forward_auth 127").count();
            assert_eq!(text.matches("keepalive 15s").count(), to_ringfence, "{}", file.display());
        }
    }
    assert!(blocks > 5, "only {blocks}");
}

/// Whether a path leads somewhere from the root, from the page, or from the crate that the sentence is about.
fn is_there(page: &Path, path: &str) -> bool {
    let crates = fs::read_dir(root().join("crates")).expect("a folder of the repository");
    let mut folders: Vec<_> = crates.map(|entry| entry.expect("an entry").path()).collect();
    folders.extend([root(), page.parent().expect("a page lies in a folder").to_owned()]);
    folders.iter().any(|folder| folder.join(path).exists())
}

/// Whether a piece of code is a path of this repository, and one alone.
fn is_path(code: &str) -> bool {
    let begins = ["docs/", "packaging/", "crates/", "tests/", "bench/", "examples/"];
    let odd = |char: char| matches!(char, ' ' | '*' | '…' | '{' | '<' | '$' | '#');
    begins.iter().any(|begin| code.len() > begin.len() && code.starts_with(begin)) && !code.contains(odd)
}

/// What stands between single backquotes, line by line; blocks have none.
fn inline_code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("```"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Names in a text that look like metrics of ours and are none.
fn unknown_metrics(text: &str) -> Vec<String> {
    let begins =
        |word: &&str| word.strip_prefix("ringfence_").is_some_and(|it| it.starts_with(char::is_alphabetic));
    let names = words(text).filter(begins).filter(|word| !NOT_METRICS.contains(word));
    // `ringfence_reloads_…` stands for several.
    names.filter(|name| !name.ends_with('_') && metric(name).is_none()).map(str::to_owned).collect()
}

/// The metric that has samples of this name.
fn metric(sample: &str) -> Option<&'static MetricDescription> {
    METRICS.iter().find(|it| {
        let exposed = it.exposed();
        let ends: &[&str] =
            if it.kind == MetricKind::Seconds { &["", "_bucket", "_sum", "_count"] } else { &[""] };
        ends.iter().any(|end| sample.strip_suffix(end) == Some(&exposed))
    })
}

/// What in an expression of `PromQL` can never match: metrics, labels, values.
fn problems_of_expression(expression: &str) -> Vec<String> {
    let mut problems: Vec<_> = unknown_metrics(expression)
        .into_iter()
        .map(|name| format!("{expression}\n    no metric {name}"))
        .collect();
    let mut labels: BTreeSet<&str> = OF_PROMETHEUS.iter().copied().collect();
    let used = words(expression).filter_map(metric);
    labels.extend(used.flat_map(|it| it.labels).map(|label| label.name));
    for (sample, rest) in words_with_rest(expression) {
        let Some(found) = metric(sample) else { continue };
        let Some((inside, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            continue;
        };
        for matcher in inside.split("\",").filter(|it| !it.is_empty()) {
            problems.extend(problem_of_matcher(found, matcher).map(|it| format!("{expression}\n    {it}")));
        }
    }
    for part in expression.split("by (").skip(1) {
        let inside = part.split(')').next().unwrap_or_default();
        for label in inside.split(',').map(str::trim).filter(|label| !labels.contains(label)) {
            problems.push(format!("{expression}\n    no label {label} to sum by"));
        }
    }
    problems
}

/// Why `label="value"` or `label=~"a|b"` matches nothing of this metric.
fn problem_of_matcher(metric: &MetricDescription, matcher: &str) -> Option<String> {
    let (name, value) = matcher.split_once('=')?;
    let name = name.trim().trim_end_matches('!');
    if OF_PROMETHEUS.contains(&name) {
        return None;
    }
    let Some(label) = metric.labels.iter().find(|label| label.name == name) else {
        return Some(format!("{} has no label {name}", metric.exposed()));
    };
    let reasons = read("docs/running.md");
    let exists = |value: &str| match label.name {
        "reason" => reasons.contains(&format!("`{value}`")),
        _ => label.values.is_empty() || label.values.contains(&value),
    };
    let value = value.trim_start_matches('~').trim_matches('"');
    let unknown = value.split('|').find(|value| !exists(value))?;
    Some(format!("{name} of {} is never {unknown}", metric.exposed()))
}

/// Every `expr` and `query` of a dashboard.
fn expressions_of_json(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner.as_str().filter(|_| key == "expr" || key == "query") {
                    Some(text) if text.contains('_') => found.push(text.to_owned()),
                    _ => expressions_of_json(inner, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| expressions_of_json(inner, found)),
        _ => {}
    }
}

/// Every `expr` of a file of rules: on its line, or in the block below it.
fn expressions_of_yaml(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut block = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("expr:"), block) {
            (Some(expression), _) => {
                found.push(expression.trim().trim_start_matches('|').to_owned());
                block = expression.trim().starts_with('|').then_some(depth);
            }
            (None, Some(outer)) if depth > outer => {
                found.last_mut().expect("one is open").extend([" ", line.trim()]);
            }
            _ => block = None,
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    words_with_rest(text).map(|(word, _)| word)
}

/// Each word of letters, digits and underscores, with what follows it.
fn words_with_rest(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find(is_part)?;
        let after = &rest[start..];
        let end = after.find(|char| !is_part(char)).unwrap_or(after.len());
        let (word, left) = after.split_at(end);
        rest = left;
        Some((word, left))
    })
}

/// The Markdown pages of one folder.
fn pages(folder: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("a folder of the repository");
    entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file has a name").to_string_lossy().into_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
