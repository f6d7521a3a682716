//! What the gate has said so far, counted, and of the newest requests one by one: for whoever shows it to people.
//! Monitoring reads the same numbers as metrics.

use std::sync::Arc;

use ringfence_store::KeptRequest;

use crate::server::Shared;
use crate::settings::Inspect;

/// Tells how often a running gate has said what.
#[derive(Debug, Clone)]
pub struct Verdicts(Arc<Shared>);

/// How often one verdict was given on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictCount {
    /// The route, as logs and metrics call it; empty for what reached none.
    pub route: Arc<str>,
    /// Why the requests were refused, as logs and metrics call it; none for those that were let in.
    pub refused_for: Option<&'static str>,
    /// How many.
    pub count: u64,
}

impl Verdicts {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// Since the start of the process, by route.
    pub fn counts(&self) -> Vec<VerdictCount> {
        self.0.metrics.verdicts()
    }

    /// The newest requests, newest first; none where the configuration has none in memory.
    pub fn recent(&self) -> Option<Vec<KeptRequest>> {
        let is_kept = matches!(self.0.snapshot.load().inspect, Inspect::InMemory(_));
        is_kept.then(|| self.0.inspector.newest_first())
    }
}
