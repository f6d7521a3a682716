//! How long what is over is kept.

use std::time::Duration;

/// How long what is over is kept; what has no time stays for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Sealed rows of the audit log.
    pub audit: Option<Duration>,
    /// Usage triggers' webhooks that were dealt with.
    pub observations: Option<Duration>,
    /// Orders and notices that are done.
    pub effects: Option<Duration>,
    /// Accounts that Twilio's list no longer has.
    pub accounts: Option<Duration>,
    /// API tokens that open nothing any more.
    pub tokens: Option<Duration>,
    /// Challenges of the second factor that are over, and what they counted in.
    pub challenges: Option<Duration>,
    /// What breakers had seen on each day.
    pub readings: Option<Duration>,
    /// People's sign-ins, and what they leave behind.
    pub sign_ins: Option<Duration>,
    /// What is kept of requests.
    pub requests: Option<Duration>,
    /// Of how many requests there is something; the oldest go.
    pub requests_at_most: Option<u32>,
}

impl Keep {
    /// Those that have a time in `[store]`, with their names.
    pub const fn all(&self) -> [(&'static str, Option<Duration>); 8] {
        [
            ("audit", self.audit),
            ("observations", self.observations),
            ("effects", self.effects),
            ("accounts", self.accounts),
            ("tokens", self.tokens),
            ("challenges", self.challenges),
            ("readings", self.readings),
            ("sign_ins", self.sign_ins),
        ]
    }
}
