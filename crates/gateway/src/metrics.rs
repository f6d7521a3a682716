//! What the data plane counts. Names follow the Prometheus conventions; labels hold routes and reasons, never a
//! number, an account or a token.
//!
//! The counters of a route are looked up once, when a configuration takes effect, so that a request only adds. What
//! each metric is called and means stands in `described`, from which the documentation is written.

mod described;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::egress::EgressMetrics;
use crate::inspector::Dropped;
use crate::intake::Outcome;
use crate::media::MediaMetrics;
use crate::reason::Reason;
use crate::replay::ReplayCache;
use crate::snapshot::Snapshot;
use crate::upstream::UpstreamError;
use crate::verdicts::VerdictCount;

pub(crate) use described::{
    EGRESS_ADMISSION_DURATION, EGRESS_IN_DOUBT, EGRESS_REQUESTS, EGRESS_WOULD_REFUSE, MEDIA_LINKS,
    MEDIA_REQUESTS,
};
pub use described::{LabelDescription, METRICS, MetricDescription, MetricKind};

/// Every metric of the data plane, for as long as the process lives; reloads keep the counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    verdicts: Family<VerdictLabels, Counter>,
    /// The same counters, which a family does not list.
    counted: Mutex<BTreeMap<VerdictLabels, Counter>>,
    matched: Family<MatchedLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    upstream_errors: Family<UpstreamLabels, Counter>,
    durations: Durations,
    triggers: Family<TriggerLabels, Counter>,
    twiml: Family<TwimlLabels, Counter>,
    accounts: Family<SourceLabels, Gauge>,
    inspector_kept: Counter,
    inspector_dropped: Family<DroppedLabels, Counter>,
    /// Connections open on the gate.
    pub(crate) connections: Gauge,
    /// TLS handshakes and PROXY protocol headers that failed.
    pub(crate) handshakes_failed: Counter,
    /// Reloads that took effect.
    pub(crate) reloads: Counter,
    /// Reloads whose configuration was wrong, so that the old one stayed.
    pub(crate) reloads_refused: Counter,
    in_flight: Arc<AtomicU64>,
    /// Those of the egress.
    pub(crate) egress: EgressMetrics,
    /// Those of the media guard.
    pub(crate) media: MediaMetrics,
}

/// A function pointer, so that the type can be named.
type Durations = Family<RouteLabels, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct VerdictLabels {
    route: Arc<str>,
    verdict: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MatchedLabels {
    route: Arc<str>,
    candidate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    route: Arc<str>,
    finding: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    route: Arc<str>,
    error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TriggerLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TwimlLabels {
    route: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DroppedLabels {
    why: &'static str,
}

/// The metrics of one route, ready to add to.
#[derive(Debug, Clone)]
pub(crate) struct RouteMetrics {
    route: Arc<str>,
    allowed: Counter,
    durations: Histogram,
    metrics: Arc<Metrics>,
}

impl Metrics {
    /// All metrics at zero. `replay` is asked for its own counts at each scrape.
    pub(crate) fn new(replay: &ReplayCache) -> Arc<Self> {
        let mut registry = Registry::with_prefix(described::PREFIX);
        let verdicts = Family::default();
        described::REQUESTS.register(&mut registry, verdicts.clone());
        let matched = Family::default();
        described::MATCHED.register(&mut registry, matched.clone());
        let findings = Family::default();
        described::STRICT_FINDINGS.register(&mut registry, findings.clone());
        let upstream_errors = Family::default();
        described::UPSTREAM_ERRORS.register(&mut registry, upstream_errors.clone());
        let durations = Durations::new_with_constructor(|| Histogram::new(DURATION_BUCKETS));
        described::REQUEST_DURATION.register(&mut registry, durations.clone());
        let triggers = Family::default();
        described::TRIGGER_DELIVERIES.register(&mut registry, triggers.clone());
        // An alert on the first that was not kept needs the zero before it.
        for outcome in Outcome::ALL {
            drop(triggers.get_or_create(&TriggerLabels { outcome: outcome.as_str() }));
        }
        let twiml = Family::default();
        described::TWIML_ANSWERS.register(&mut registry, twiml.clone());
        let accounts = Family::default();
        described::ACCOUNTS.register(&mut registry, accounts.clone());
        let inspector_kept = Counter::default();
        described::INSPECTOR_KEPT.register(&mut registry, inspector_kept.clone());
        let inspector_dropped = Family::default();
        described::INSPECTOR_DROPPED.register(&mut registry, inspector_dropped.clone());
        // An alert on the first that is dropped needs the zero before it.
        for why in Dropped::ALL {
            drop(inspector_dropped.get_or_create(&DroppedLabels { why: why.as_str() }));
        }
        let connections = Gauge::default();
        described::CONNECTIONS.register(&mut registry, connections.clone());
        let handshakes_failed = Counter::default();
        described::HANDSHAKES_FAILED.register(&mut registry, handshakes_failed.clone());
        let reloads = Counter::default();
        described::RELOADS.register(&mut registry, reloads.clone());
        let reloads_refused = Counter::default();
        described::RELOADS_REFUSED.register(&mut registry, reloads_refused.clone());
        let egress = EgressMetrics::new(&mut registry);
        let media = MediaMetrics::new(&mut registry);
        let in_flight = Arc::new(AtomicU64::new(0));
        registry.register_collector(Box::new(Scraped {
            replay: replay.clone(),
            in_flight: Arc::clone(&in_flight),
        }));
        Arc::new(Self {
            registry,
            verdicts,
            counted: Mutex::default(),
            matched,
            findings,
            upstream_errors,
            durations,
            triggers,
            twiml,
            accounts,
            inspector_kept,
            inspector_dropped,
            connections,
            handshakes_failed,
            reloads,
            reloads_refused,
            in_flight,
            egress,
            media,
        })
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn exposition(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }

    /// The counters of one route.
    pub(crate) fn route(self: &Arc<Self>, label: &Arc<str>) -> RouteMetrics {
        let verdict = VerdictLabels { route: Arc::clone(label), verdict: "allow", reason: "" };
        // An alert on the first that was turned away needs the zero before it.
        let reason = Reason::Overloaded.as_str();
        drop(self.verdicts.get_or_create_owned(&VerdictLabels {
            route: Arc::clone(label),
            verdict: "refuse",
            reason,
        }));
        RouteMetrics {
            route: Arc::clone(label),
            allowed: self.first_of(&verdict),
            durations: self.durations.get_or_create_owned(&RouteLabels { route: Arc::clone(label) }),
            metrics: Arc::clone(self),
        }
    }

    /// Takes a place among the requests in work, if fewer than `max` are.
    pub(crate) fn enter(self: &Arc<Self>, max: usize) -> Option<InFlight> {
        let guard = InFlight(Arc::clone(&self.in_flight));
        (self.in_flight.fetch_add(1, Ordering::Relaxed) < max as u64).then_some(guard)
    }

    /// Counts a verified usage trigger.
    pub(crate) fn trigger(&self, outcome: Outcome) {
        self.triggers.get_or_create(&TriggerLabels { outcome: outcome.as_str() }).inc();
    }

    /// Notes whose webhooks can be verified from now on. An account that is configured and learnt is configured.
    pub(crate) fn accounts(&self, snapshot: &Snapshot) {
        let configured = snapshot.configured.accounts().count();
        let learnt = snapshot.keyring.accounts().count().saturating_sub(configured);
        for (source, count) in [("configured", configured), ("learnt", learnt)] {
            let gauge = self.accounts.get_or_create(&SourceLabels { source });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Counts requests that were kept in the store.
    pub(crate) fn inspector_kept(&self, requests: usize) {
        self.inspector_kept.inc_by(requests as u64);
    }

    /// Counts requests that were to be kept, and were not.
    pub(crate) fn inspector_dropped(&self, why: Dropped, requests: usize) {
        self.inspector_dropped.get_or_create(&DroppedLabels { why: why.as_str() }).inc_by(requests as u64);
    }

    /// Counts a refusal that no route made.
    pub(crate) fn refused_without_route(&self, reason: Reason) {
        self.count_refusal(&Arc::from(""), reason);
    }

    fn count_refusal(&self, route: &Arc<str>, reason: Reason) {
        let labels = VerdictLabels { route: Arc::clone(route), verdict: "refuse", reason: reason.as_str() };
        // All but the first of its kind only add.
        if let Some(counter) = self.verdicts.get(&labels) {
            counter.inc();
            return;
        }
        self.first_of(&labels).inc();
    }

    /// The counter of a verdict, which is listed from now on.
    fn first_of(&self, labels: &VerdictLabels) -> Counter {
        let counter = self.verdicts.get_or_create_owned(labels);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.insert(labels.clone(), counter.clone());
        counter
    }

    /// How often each verdict was given.
    pub(crate) fn verdicts(&self) -> Vec<VerdictCount> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |(labels, counter): (&VerdictLabels, &Counter)| VerdictCount {
            route: Arc::clone(&labels.route),
            refused_for: (labels.verdict == "refuse").then_some(labels.reason),
            count: counter.get(),
        };
        counted.iter().map(count).collect()
    }
}

impl RouteMetrics {
    /// Counts an admitted request and the form of its URL.
    pub(crate) fn allowed(&self, candidate: &'static str) {
        self.allowed.inc();
        // As received is what nearly every request is; the total less the others says how many.
        if candidate != "as-received" {
            let labels = MatchedLabels { route: Arc::clone(&self.route), candidate };
            self.metrics.matched.get_or_create(&labels).inc();
        }
    }

    /// Counts a refused request.
    pub(crate) fn refused(&self, reason: Reason) {
        self.metrics.count_refusal(&self.route, reason);
    }

    /// Counts what strict mode found where it only reports.
    pub(crate) fn finding(&self, finding: &'static str) {
        let labels = FindingLabels { route: Arc::clone(&self.route), finding };
        self.metrics.findings.get_or_create(&labels).inc();
    }

    /// Counts an answer that was held to the limits.
    pub(crate) fn twiml(&self, outcome: &'static str) {
        let labels = TwimlLabels { route: Arc::clone(&self.route), outcome };
        self.metrics.twiml.get_or_create(&labels).inc();
    }

    /// Counts a failure of the upstream.
    pub(crate) fn upstream_error(&self, error: &'static str) {
        let labels = UpstreamLabels { route: Arc::clone(&self.route), error };
        self.metrics.upstream_errors.get_or_create(&labels).inc();
    }

    /// Counts and logs an answer that broke off after its head was passed on.
    pub(crate) fn broke_off(&self, error: &UpstreamError) {
        self.upstream_error(error.kind());
        tracing::error!(route = &*self.route, error = %error, "upstream failed within its answer");
    }

    /// Notes how long a request took to its answer's head.
    pub(crate) fn duration(&self, seconds: f64) {
        self.durations.observe(seconds);
    }
}

/// From well under a loopback exchange to Twilio's limit of 15 s.
const DURATION_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// A place among the requests in work, given back when dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicU64>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is read off at each scrape.
#[derive(Debug)]
struct Scraped {
    replay: ReplayCache,
    in_flight: Arc<AtomicU64>,
}

impl prometheus_client::collector::Collector for Scraped {
    fn encode(
        &self,
        mut encoder: prometheus_client::encoding::DescriptorEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeMetric;
        let counts = self.replay.figures();
        let gauges = [
            (described::IN_FLIGHT, self.in_flight.load(Ordering::Relaxed)),
            (described::REPLAY_KEPT_BYTES, counts.kept_bytes),
            (described::REPLAY_ENTRIES, counts.entries),
        ];
        for (it, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(it.name, it.help, None, gauge.metric_type())?)?;
        }
        let counters = [
            (described::REPLAY_ANSWERED, counts.answered),
            (described::REPLAY_REFUSED, counts.refused),
            (described::REPLAY_PUSHED_OUT, counts.pushed_out),
            (described::REPLAY_EXPIRED, counts.expired),
        ];
        for (it, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(it.name, it.help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
