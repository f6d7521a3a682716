//! Writes the tables of `docs/metrics.md` from the code.
//!
//!     cargo run -p ringfence-gateway --example metrics
#![expect(clippy::format_push_string, reason = "it is run now and then, by hand")]

use std::path::{Path, PathBuf};

use ringfence_gateway::{METRICS, MetricDescription, MetricKind};

/// Between these two lines stands what is generated.
const BEGIN: &str = "<!-- Written by `cargo run -p ringfence-gateway --example metrics`; do not edit. -->\n";
const END: &str = "<!-- End of what is written. -->\n";

fn main() {
    let page = std::fs::read_to_string(path()).expect("docs/metrics.md is there");
    std::fs::write(path(), rewritten(&page)).expect("docs/metrics.md can be written");
}

/// The page with its tables as the code has them now.
pub(crate) fn rewritten(page: &str) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("the page says where the tables begin");
    let (_, after) = rest.split_once(END).expect("the page says where the tables end");
    format!("{before}{BEGIN}\n{}\n{}\n{END}{after}", metrics(), labels())
}

/// Where the page is.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md")
}

/// One row for each metric.
fn metrics() -> String {
    let mut text = String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for it in METRICS {
        let labels: Vec<_> = it.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        let advice = if it.advice.is_empty() { String::new() } else { format!(" {}", it.advice) };
        text += &format!(
            "| `{}` | {} | {} | {}.{advice} |\n",
            it.exposed(),
            kind(it),
            labels.join(", "),
            it.help
        );
    }
    text
}

fn kind(metric: &MetricDescription) -> &'static str {
    match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Seconds => "histogram, seconds",
    }
}

/// One row for each label of each metric; what is the same for several stands once.
fn labels() -> String {
    let mut text = String::from("| label | of | what stands in it | values |\n| --- | --- | --- | --- |\n");
    let mut seen = Vec::new();
    for label in METRICS.iter().flat_map(|it| it.labels) {
        let key = (label.name, label.meaning);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let has = |it: &&MetricDescription| it.labels.iter().any(|other| (other.name, other.meaning) == key);
        let of: Vec<_> = METRICS.iter().filter(has).map(|it| format!("`{}`", it.exposed())).collect();
        let values: Vec<_> = label.values.iter().map(|value| format!("`{value}`")).collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            label.name,
            of.join(", "),
            label.meaning,
            values.join(", ")
        );
    }
    text
}
