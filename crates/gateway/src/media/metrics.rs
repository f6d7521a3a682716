//! What the media guard counts. Labels are outcomes; never an account or a file.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::{MEDIA_LINKS, MEDIA_REQUESTS};

/// The metrics of the media guard.
#[derive(Debug, Clone)]
pub(crate) struct MediaMetrics {
    requests: Family<Labels, Counter>,
    links: Family<Labels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// What people want to hear of at the first time.
const ALARMING: [&str; 4] = ["link_forged", "sign_in_forged", "credentials_refused", "redirect_refused"];

impl MediaMetrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self { requests: Family::default(), links: Family::default() };
        MEDIA_REQUESTS.register(registry, metrics.requests.clone());
        MEDIA_LINKS.register(registry, metrics.links.clone());
        // An alert on the first needs the zero before it.
        for outcome in ALARMING {
            drop(metrics.requests.get_or_create(&Labels { outcome }));
        }
        metrics
    }

    /// Counts a request for a file: `served`, or the name of a refusal.
    pub(crate) fn request(&self, outcome: &'static str) {
        self.requests.get_or_create(&Labels { outcome }).inc();
    }

    /// Counts a link that was asked for: `made`, or why not.
    pub(crate) fn link(&self, outcome: &'static str) {
        self.links.get_or_create(&Labels { outcome }).inc();
    }
}
