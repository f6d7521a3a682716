//! What the egress counts. Labels are operations, outcomes and limits; never an account, a number or a credential.

use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::operation::Priced;
use crate::metrics::{EGRESS_ADMISSION_DURATION, EGRESS_IN_DOUBT, EGRESS_REQUESTS, EGRESS_WOULD_REFUSE};

/// The metrics of the egress.
#[derive(Debug, Clone)]
pub(crate) struct EgressMetrics {
    requests: Family<RequestLabels, Counter>,
    admissions: Histogram,
    would_refuse: Family<LimitLabels, Counter>,
    in_doubt: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: String,
}

/// Refusals that people want to hear of at once: a limit, or that nothing can be sent.
const ALARMING: [&str; 5] = ["does_not_fit", "tripped", "store_away", "not_ready", "not_read_back"];

/// An admission is a commit, alone or with others: from a fraction of a millisecond to what a slow disk takes.
const ADMISSION_BUCKETS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

impl EgressMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            admissions: Histogram::new(ADMISSION_BUCKETS),
            would_refuse: Family::default(),
            in_doubt: Counter::default(),
        };
        EGRESS_REQUESTS.register(registry, metrics.requests.clone());
        // An alert on the first that was stopped needs the zero before it.
        for operation in Priced::ALL.map(Priced::name) {
            for outcome in ALARMING {
                drop(metrics.requests.get_or_create(&RequestLabels { operation, outcome }));
            }
        }
        EGRESS_ADMISSION_DURATION.register(registry, metrics.admissions.clone());
        EGRESS_WOULD_REFUSE.register(registry, metrics.would_refuse.clone());
        EGRESS_IN_DOUBT.register(registry, metrics.in_doubt.clone());
        metrics
    }

    /// Counts what Twilio answered.
    pub(crate) fn answered(&self, operation: &'static str, status: StatusCode) {
        let outcome = match status.as_u16() {
            200..=299 => "answered_2xx",
            300..=399 => "answered_3xx",
            400..=499 => "answered_4xx",
            _ => "answered_5xx",
        };
        self.requests.get_or_create(&RequestLabels { operation, outcome }).inc();
    }

    /// Counts a refusal of ours.
    pub(crate) fn refused(&self, operation: &'static str, outcome: &'static str) {
        self.requests.get_or_create(&RequestLabels { operation, outcome }).inc();
    }

    pub(crate) fn admission(&self, took: Duration) {
        self.admissions.observe(took.as_secs_f64());
    }

    pub(crate) fn would_refuse(&self, limit: &str) {
        self.would_refuse.get_or_create(&LimitLabels { limit: limit.to_owned() }).inc();
    }

    pub(crate) fn in_doubt(&self) {
        self.in_doubt.inc();
    }
}
