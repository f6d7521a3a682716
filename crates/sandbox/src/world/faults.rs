//! What goes wrong on demand: slow answers, 5xx, 429, dropped connections, lost and doubled webhooks, usage data that
//! is late.
//!
//! A fault names what it hits and how often; it is used up and then gone. Faults are tried in the order in which
//! they were added; the first that fits is the one that happens.

use ringfence_twilio::wire::Iso8601;
use serde::{Deserialize, Serialize};

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) api: Vec<ApiFault>,
    pub(crate) webhooks: Vec<WebhookFault>,
    /// Changed by [`usage::set_delay`](super::usage::set_delay) alone.
    pub(crate) usage: UsageDelay,
}

/// How usage data is later than the settings say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UsageDelay {
    /// Added to the lag of the settings.
    pub(crate) extra_lag_s: u64,
    /// Until this time usage records and triggers see nothing new at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frozen_until: Option<Iso8601>,
}

/// What happens to a request of the API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApiFault {
    /// Only this method; empty: any.
    pub(crate) method: String,
    /// Only paths that contain this; empty: any.
    pub(crate) path: String,
    /// Answered this much later.
    pub(crate) latency_ms: u64,
    /// Answered with this status instead: 429 and 503, say. The request is not carried out. 0: carried out.
    pub(crate) status: u16,
    /// The error code in the answer; 0: 20429 for a 429, else 20500.
    pub(crate) code: u32,
    /// Seconds in a `Retry-After` header; 0: no header.
    pub(crate) retry_after_s: u32,
    /// The connection is closed without an answer.
    pub(crate) drop: Dropped,
    /// How many requests it hits; absent: all until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
}

/// When a connection is dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dropped {
    /// It is not.
    #[default]
    No,
    /// Before the request is carried out.
    Before,
    /// After it: the sender cannot know that it was done.
    After,
}

/// What happens to a webhook.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhookFault {
    /// Only this kind, as the log of deliveries names it (`usage-trigger`, `message-status`, …); empty: any.
    pub(crate) kind: String,
    /// Only URLs that contain this; empty: any.
    pub(crate) url: String,
    /// It never leaves, and nobody is told.
    pub(crate) lose: bool,
    /// It is sent twice.
    pub(crate) double: bool,
    /// It leaves this much later.
    pub(crate) delay_ms: u64,
    /// Its signature is made with a wrong key.
    pub(crate) forge: bool,
    /// How many webhooks it hits; absent: all until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
}

impl Faults {
    /// The fault that hits this request, if any; it counts as used.
    pub(crate) fn take_api(&mut self, method: &str, path: &str) -> Option<ApiFault> {
        take(
            &mut self.api,
            |fault| {
                (fault.method.is_empty() || fault.method.eq_ignore_ascii_case(method))
                    && path.contains(fault.path.as_str())
            },
            |fault| &mut fault.times,
        )
    }

    /// The fault that hits this webhook, if any; it counts as used.
    pub(crate) fn take_webhook(&mut self, kind: &str, url: &str) -> Option<WebhookFault> {
        take(
            &mut self.webhooks,
            |fault| (fault.kind.is_empty() || fault.kind == kind) && url.contains(fault.url.as_str()),
            |fault| &mut fault.times,
        )
    }
}

fn take<F: Clone>(
    faults: &mut Vec<F>,
    fits: impl Fn(&F) -> bool,
    times: impl Fn(&mut F) -> &mut Option<u32>,
) -> Option<F> {
    let position = faults.iter().position(fits)?;
    let fault = faults[position].clone();
    if let Some(left) = times(&mut faults[position]) {
        *left = left.saturating_sub(1);
        if *left == 0 {
            faults.remove(position);
        }
    }
    Some(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_names_as_often_as_it_says() {
        let fault =
            ApiFault { path: "/Messages".to_owned(), status: 503, times: Some(2), ..ApiFault::default() };
        let mut faults = Faults { api: vec![fault], ..Faults::default() };
        assert!(faults.take_api("GET", "/2010-04-01/Accounts.json").is_none());
        for _ in 0..2 {
            assert_eq!(faults.take_api("POST", "/Messages.json").map(|fault| fault.status), Some(503));
        }
        assert!(faults.take_api("POST", "/Messages.json").is_none(), "it is used up");
    }

    #[test]
    fn a_fault_without_a_number_stays() {
        let mut faults = Faults {
            webhooks: vec![WebhookFault { lose: true, ..WebhookFault::default() }],
            ..Faults::default()
        };
        for _ in 0..10 {
            assert!(faults.take_webhook("usage-trigger", "http://app.example/").is_some());
        }
    }
}
