//! What an examination says: of each check whether it was made, and what it found.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ringfence_model::Sid;
use serde::{Deserialize, Serialize};

use crate::notices::Severity;

/// What is looked at. The names are stable: scripts and notices tell findings apart by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// What the store has answered is on disk.
    StoreDurability,
    /// Every URL that Twilio was told is over TLS.
    WebhookHttps,
    /// Every URL that Twilio was told leads to a route of the gate.
    WebhookGate,
    /// An unsigned request from outside is refused, wherever Twilio's go.
    UnsignedRequest,
    /// Every account has a limit, and somebody holds it.
    Limits,
    /// Every limit has its usage triggers at Twilio.
    Triggers,
    /// Webhooks are signed by the keys that the configuration wants.
    SharedKeys,
    /// The gate's certificate is valid as Twilio sees it, and not near its end.
    Certificate,
    /// The certificates of applications are ones that the gate takes, and not near their ends.
    UpstreamTls,
    /// No dead version of TLS is spoken.
    TlsVersions,
    /// Numbers and services that codes and notices go out by are the account's own.
    Sender,
    /// This machine's clock agrees with Twilio's.
    Clock,
    /// The store is there, and of this program's version.
    Store,
    /// The mail server takes mail.
    Mail,
    /// Recordings are not open to everybody who has their URL.
    Media,
    /// No key is old, or unused.
    Keys,
    /// No country may be called or texted without need.
    GeoPermissions,
    /// No account is near its limit.
    NearLimits,
    /// SIP domains take calls from listed addresses only.
    SipDomains,
    /// What somebody made or changed at Twilio lately. It fails never: it is worth knowing.
    Changes,
}

impl Check {
    /// All of them: what protects most money first.
    pub const ALL: [Self; 20] = [
        Self::StoreDurability,
        Self::WebhookHttps,
        Self::WebhookGate,
        Self::UnsignedRequest,
        Self::Limits,
        Self::Triggers,
        Self::SharedKeys,
        Self::Certificate,
        Self::UpstreamTls,
        Self::TlsVersions,
        Self::Sender,
        Self::Clock,
        Self::Store,
        Self::Mail,
        Self::Media,
        Self::Keys,
        Self::GeoPermissions,
        Self::NearLimits,
        Self::SipDomains,
        Self::Changes,
    ];

    /// Its name, as it stands in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StoreDurability => "store-durability",
            Self::WebhookHttps => "webhook-https",
            Self::WebhookGate => "webhook-gate",
            Self::UnsignedRequest => "unsigned-request",
            Self::Limits => "limits",
            Self::Triggers => "triggers",
            Self::SharedKeys => "shared-keys",
            Self::Certificate => "certificate",
            Self::UpstreamTls => "upstream-tls",
            Self::TlsVersions => "tls-versions",
            Self::Sender => "sender",
            Self::Clock => "clock",
            Self::Store => "store",
            Self::Mail => "mail",
            Self::Media => "media",
            Self::Keys => "keys",
            Self::GeoPermissions => "geo-permissions",
            Self::NearLimits => "near-limits",
            Self::SipDomains => "sip-domains",
            Self::Changes => "changes",
        }
    }

    /// What is so where it finds nothing, for people.
    pub const fn promise(self) -> &'static str {
        match self {
            Self::StoreDurability => "what the store has answered is on disk",
            Self::WebhookHttps => "every URL that Twilio was told is over TLS",
            Self::WebhookGate => "every URL that Twilio was told leads to a route",
            Self::UnsignedRequest => "who has no signature is refused, from outside",
            Self::Limits => "every account has a limit that is held",
            Self::Triggers => "every limit has its usage triggers at Twilio",
            Self::SharedKeys => "webhooks are signed by the keys that are wanted",
            Self::Certificate => "the gate's certificate is one that Twilio takes",
            Self::UpstreamTls => "applications show certificates that are taken",
            Self::TlsVersions => "no dead version of TLS is spoken",
            Self::Sender => "whoever sends codes and notices is the account's",
            Self::Clock => "this machine's clock agrees with Twilio's",
            Self::Store => "the store is there, and of this version",
            Self::Mail => "the mail server takes mail",
            Self::Media => "recordings are not open to everybody",
            Self::Keys => "no key is old, or unused",
            Self::GeoPermissions => "no country may be reached without need",
            Self::NearLimits => "no account is near its limit",
            Self::SipDomains => "SIP domains take calls from listed addresses",
            Self::Changes => "what was changed at Twilio lately",
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// By which check.
    pub check: Check,
    /// How much it matters. [`Severity::Info`] is worth knowing, and nothing is wrong with it.
    pub severity: Severity,
    /// Whose, where it is an account's.
    pub account: Option<Sid>,
    /// Where: the thing and its property. One check finds at most one thing in one place, so this tells findings apart.
    pub place: String,
    /// What is so, in a sentence.
    pub what: String,
    /// Why it matters, in a sentence or two.
    pub why: String,
    /// What to do.
    pub mend: Mend,
}

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mend {
    /// In a sentence.
    pub how: String,
    /// What to type, or to write into a file; nothing where only people can do it.
    pub command: Option<String>,
}

impl Mend {
    /// Something to type, or to write into a file.
    pub fn by(how: &str, command: impl Into<String>) -> Self {
        Self { how: how.to_owned(), command: Some(command.into()) }
    }

    /// Something that people do elsewhere.
    pub fn by_hand(how: impl Into<String>) -> Self {
        Self { how: how.into(), command: None }
    }
}

/// A check that could not be made, or not everywhere. It says nothing of what is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotMade {
    /// Which.
    pub check: Check,
    /// Of which account; nothing where it could be made nowhere.
    pub account: Option<Sid>,
    /// Why not, in a sentence.
    pub why: String,
}

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Something is wrong.
    Failed,
    /// Nothing was found wrong, and not everything could be looked at.
    NotMade,
    /// Everything was looked at, and nothing is wrong.
    Passed,
    /// There is nothing of this kind here.
    NothingToCheck,
}

/// What an examination says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When it began.
    pub at: Timestamp,
    /// What is not as it should be: the gravest first, then in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub not_made: Vec<NotMade>,
    /// Accounts whose findings can be mended: those that were read, and those that are closed.
    pub(super) seen: BTreeSet<Sid>,
    /// How many things each check looked at.
    looked: Vec<(Check, usize)>,
}

impl Report {
    pub(super) const fn new(at: Timestamp) -> Self {
        Self { at, findings: Vec::new(), not_made: Vec::new(), seen: BTreeSet::new(), looked: Vec::new() }
    }

    /// A check looked at so many things, and found these.
    pub(super) fn made(&mut self, check: Check, things: usize, findings: Vec<Finding>) {
        debug_assert!(findings.iter().all(|finding| finding.check == check));
        self.looked.push((check, things));
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.check));
    }

    pub(super) fn not_made(&mut self, check: Check, account: Option<Sid>, why: impl Into<String>) {
        let not_made = NotMade { check, account, why: why.into() };
        if !self.not_made.contains(&not_made) {
            self.not_made.push(not_made);
        }
    }

    /// What came of a check. What is only worth knowing fails none.
    pub fn outcome(&self, check: Check) -> Outcome {
        let fails = |finding: &&Finding| finding.check == check && finding.severity > Severity::Info;
        if self.findings.iter().any(|finding| fails(&finding)) {
            Outcome::Failed
        } else if self.not_made.iter().any(|it| it.check == check) {
            Outcome::NotMade
        } else if self.looked.iter().any(|(it, things)| *it == check && *things > 0) {
            Outcome::Passed
        } else {
            Outcome::NothingToCheck
        }
    }

    /// Whether some check failed.
    pub fn has_failed(&self) -> bool {
        Check::ALL.into_iter().any(|check| self.outcome(check) == Outcome::Failed)
    }

    /// Whether every check could be made everywhere.
    pub fn is_whole(&self) -> bool {
        self.not_made.is_empty()
    }
}
