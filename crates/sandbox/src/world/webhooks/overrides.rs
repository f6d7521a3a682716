//! Connection overrides: what the fragment of a webhook URL asks for, `#ct=2000&rc=2&rp=5xx,ct`.

use std::time::Duration;

use super::{Answer, FailureKind, TryResult};

/// Timeouts and retries of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overrides {
    /// `ct`: until there is a connection.
    pub(crate) connect: Duration,
    /// `rt`: until the answer begins.
    pub(crate) read: Duration,
    /// `tt`: all tries of one request together.
    pub(crate) total: Duration,
    /// `rc`: tries after the first, 0 to 5.
    pub(crate) retry_count: u32,
    /// `rp`: what is worth another try.
    policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    on_4xx: bool,
    on_5xx: bool,
    on_connect: bool,
    on_read: bool,
}

impl Overrides {
    /// Reads the fragment; what is not understood or out of range counts as absent, as at Twilio.
    pub(crate) fn parse(url: &str) -> Self {
        let mut overrides = Self::default();
        let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
        for (name, value) in fragment.split('&').filter_map(|pair| pair.split_once('=')) {
            let milliseconds =
                |most| value.parse().ok().filter(|it| (100..=most).contains(it)).map(Duration::from_millis);
            match name {
                "ct" => overrides.connect = milliseconds(10_000).unwrap_or(overrides.connect),
                "rt" => overrides.read = milliseconds(15_000).unwrap_or(overrides.read),
                "tt" => overrides.total = milliseconds(15_000).unwrap_or(overrides.total),
                "rc" => {
                    overrides.retry_count =
                        value.parse().ok().filter(|it| *it <= 5).unwrap_or(overrides.retry_count);
                }
                "rp" => overrides.policy = Policy::parse(value),
                _ => {}
            }
        }
        overrides
    }

    /// Whether a try that ended so is worth another.
    pub(super) fn retries(&self, result: &TryResult) -> bool {
        match result {
            TryResult::Answered(Answer { status: 400..=499, .. }) => self.policy.on_4xx,
            TryResult::Answered(Answer { status: 500..=599, .. }) => self.policy.on_5xx,
            TryResult::Answered(_) => false,
            TryResult::Failed { kind, .. } => match kind {
                FailureKind::Host | FailureKind::Connect | FailureKind::Certificate | FailureKind::Tls => {
                    self.policy.on_connect
                }
                FailureKind::Timeout | FailureKind::Broken => self.policy.on_read,
                FailureKind::BadUrl => false,
            },
        }
    }
}

impl Policy {
    fn parse(text: &str) -> Self {
        let has = |name| text.split(',').any(|it| it == name || it == "all");
        Self { on_4xx: has("4xx"), on_5xx: has("5xx"), on_connect: has("ct"), on_read: has("rt") }
    }
}

impl Default for Overrides {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(15),
            total: Duration::from_secs(15),
            retry_count: 1,
            policy: Policy::parse("ct"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> TryResult {
        TryResult::Answered(Answer { status, ..Answer::default() })
    }

    fn failed(kind: FailureKind) -> TryResult {
        TryResult::Failed { kind, detail: String::new() }
    }

    #[test]
    fn without_a_fragment_only_a_failed_connection_is_tried_again() {
        let overrides = Overrides::parse("https://app.example/sms");
        assert_eq!(overrides, Overrides::default());
        assert!(overrides.retries(&failed(FailureKind::Connect)));
        assert!(!overrides.retries(&failed(FailureKind::Timeout)));
        assert!(!overrides.retries(&answered(500)));
    }

    #[test]
    fn the_fragment_sets_timeouts_and_policy() {
        let overrides =
            Overrides::parse("https://app.example/sms#ct=2000&rt=3000&tt=4000&rc=5&rp=4xx,5xx&e=ashburn");
        assert_eq!(overrides.connect, Duration::from_secs(2));
        assert_eq!(overrides.read, Duration::from_secs(3));
        assert_eq!(overrides.total, Duration::from_secs(4));
        assert_eq!(overrides.retry_count, 5);
        assert!(overrides.retries(&answered(404)) && overrides.retries(&answered(503)));
        assert!(!overrides.retries(&failed(FailureKind::Connect)));
        assert!(!overrides.retries(&answered(302)));
    }

    #[test]
    fn what_is_out_of_range_counts_as_absent() {
        for fragment in ["rc=6", "rc=-1", "ct=99", "rt=15001", "tt=soon", "rc", ""] {
            assert_eq!(Overrides::parse(&format!("https://app.example/#{fragment}")), Overrides::default());
        }
    }
}
