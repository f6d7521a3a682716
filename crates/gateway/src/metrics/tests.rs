//! What is described is what is scraped: no metric, label or value more, and none less.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::StatusCode;

use super::*;

/// For each family its kind and its labels, read from the exposition of metrics that were all touched once.
fn scraped() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metrics = Metrics::new(&ReplayCache::new(1 << 20, Duration::from_hours(24)));
    let route = metrics.route(&Arc::from("/twilio/"));
    route.allowed("port-removed");
    route.refused(Reason::NoRoute);
    route.finding("missing");
    route.twiml("free");
    route.upstream_error("connect");
    route.duration(0.1);
    metrics.accounts.get_or_create(&SourceLabels { source: "configured" }).set(1);
    metrics.egress.answered("messages.create", StatusCode::CREATED);
    metrics.egress.would_refuse("fifty a day");
    metrics.egress.admission(Duration::from_millis(1));
    metrics.media.request("served");
    metrics.media.link("made");

    let mut families = BTreeMap::new();
    for line in metrics.exposition().lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|it| it.split_once(' ')) {
            families.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
    }
    for line in metrics.exposition().lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).expect("a sample has a name and a value");
        let ends = ["", "_total", "_bucket", "_sum", "_count"];
        let bare = ends.iter().filter_map(|end| name.strip_suffix(end)).find(|it| families.contains_key(*it));
        let family = bare.unwrap_or_else(|| panic!("{name} is of no family"));
        let (_, labels) = families.get_mut(family).expect("it is there");
        if let Some((inside, _)) = rest.rsplit_once('}') {
            labels.extend(inside.split("\",").filter_map(|it| it.split_once('=')).map(|it| it.0.to_owned()));
        }
    }
    families
}

#[test]
fn what_is_scraped_is_described_with_its_kind_and_labels_and_nothing_else_is() {
    let described = METRICS.iter().map(|it| {
        let exposed = it.exposed();
        let family = exposed.strip_suffix("_total").unwrap_or(&exposed).to_owned();
        let mut labels: BTreeSet<_> = it.labels.iter().map(|label| label.name.to_owned()).collect();
        if it.kind == MetricKind::Seconds {
            labels.insert("le".to_owned());
        }
        (family, (it.kind.as_str().to_owned(), labels))
    });
    assert_eq!(described.collect::<BTreeMap<_, _>>(), scraped());
}

#[test]
fn no_name_is_there_twice() {
    let names: BTreeSet<_> = METRICS.iter().map(MetricDescription::exposed).collect();
    assert_eq!(names.len(), METRICS.len());
}

#[test]
fn the_values_of_labels_are_those_that_the_code_has() {
    let outcomes: Vec<_> = Outcome::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(values("ringfence_trigger_deliveries_total", "outcome"), outcomes);
    let dropped: Vec<_> = Dropped::ALL.iter().map(|it| it.as_str()).collect();
    assert_eq!(values("ringfence_inspector_dropped_total", "why"), dropped);
    let errors = quoted(include_str!("../upstream/error.rs"), "pub fn kind(");
    assert_eq!(values("ringfence_upstream_errors_total", "error"), errors);
    let findings = quoted(include_str!("../../../signature/src/strict.rs"), "pub const fn as_str(");
    assert_eq!(values("ringfence_strict_findings_total", "finding"), findings);
    let answered = quoted(include_str!("../egress/metrics.rs"), "fn answered(");
    let refused = quoted(include_str!("../egress/refusal.rs"), "pub(crate) fn as_str(");
    assert_eq!(values("ringfence_egress_requests_total", "outcome"), [answered, refused].concat());
    let served = quoted(include_str!("../media/refusal.rs"), "pub(crate) fn as_str(");
    assert_eq!(values("ringfence_media_requests_total", "outcome"), [vec!["served"], served].concat());
    let source = include_str!("../egress/operation/mod.rs");
    let operations = [quoted(source, "const fn name("), quoted(source, "pub(crate) fn name(")].concat();
    let described = values("ringfence_egress_requests_total", "operation");
    assert_eq!(described, [operations, vec!["none", "connect"]].concat());
}

/// The values that are described of a label.
fn values(metric: &str, label: &str) -> Vec<&'static str> {
    let metric = METRICS.iter().find(|it| it.exposed() == metric).expect("the metric is described");
    metric.labels.iter().find(|it| it.name == label).expect("the label is described").values.to_vec()
}

/// The texts that the arms of a function's `match` give.
fn quoted<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
    let (_, body) = source.split_once(function).unwrap_or_else(|| panic!("no {function}"));
    let body = body.split("\n    }\n").next().unwrap_or_default();
    let arms = body.lines().filter_map(|line| line.split_once("=> \"")?.1.split_once('"'));
    let found: Vec<_> = arms.map(|(value, _)| value).collect();
    assert!(!found.is_empty(), "{function} gives no texts");
    found
}
