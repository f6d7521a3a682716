//! What there is to tell.
//!
//! The one idea: a notice holds facts and no text, so that it can wait in the outbox across releases, and so that the
//! same fact, found out twice, has the same [`Notice::key`].

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ringfence_breaker::{Action, DialPrefix, Measure, Window};
use ringfence_model::{Amount, Sid};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When it came about, or was found out.
    pub at: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub event: Event,
}

/// What came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A warning level of a limit was reached.
    Warning {
        /// Whose.
        who: Who,
        /// The limit's name.
        limit: String,
        /// How much was used.
        usage: Usage,
        /// The level, in per cent of the limit.
        level: u8,
    },
    /// A limit was reached, or an operator stopped spending, and actions were ordered.
    Tripped {
        /// Whose.
        who: Who,
        /// The limit's name.
        limit: String,
        /// Why.
        cause: Cause,
        /// What was ordered, [`Action::Notify`] aside.
        ordered: Vec<Action>,
        /// When the next window lifts it; nothing where an operator must.
        #[serde(default)]
        lifts: Option<Timestamp>,
    },
    /// A limit that only watches was reached: nothing was done.
    WouldTrip {
        /// Whose.
        who: Who,
        /// The limit's name.
        limit: String,
        /// How much was used.
        usage: Usage,
        /// What would have been done.
        would: Vec<Action>,
    },
    /// What was ordered is so: it was read back from Twilio.
    InForce {
        /// Where.
        account: Account,
        /// The limit's name.
        limit: String,
        /// What is in force.
        actions: Vec<Action>,
        /// When the limit tripped.
        tripped: Timestamp,
    },
    /// What was ordered could not be done so far. It is tried again.
    ActionFails {
        /// Where.
        account: Account,
        /// The limit's name.
        limit: String,
        /// What should be done.
        action: Action,
        /// When the limit tripped.
        tripped: Timestamp,
        /// What went wrong the last time.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// Somebody made an account active again that must be suspended.
    ActiveAgain {
        /// Which.
        account: Account,
        /// The limit that is tripped.
        limit: String,
        /// When it was changed at Twilio (`date_updated`). It tells one act from the next.
        changed: Timestamp,
    },
    /// A usage trigger of ours was deleted or changed by somebody else, and put back.
    TriggerRestored {
        /// Where.
        account: Account,
        /// The limit that it belongs to.
        limit: String,
        /// The one that was deleted or changed: `UT…`.
        trigger: Sid,
        /// What happened to it.
        change: TriggerChange,
    },
    /// A rule of ours, by which Twilio has a SharedKey sign, was given other URLs by somebody else, and made again.
    RuleRestored {
        /// Where.
        account: Account,
        /// The URLs that it was made for.
        url: String,
        /// The one that was edited.
        rule: String,
        /// The URLs that it was given.
        is_for: String,
    },
    /// An operator lifted a trip.
    Reset {
        /// Whose.
        who: Who,
        /// The limit's name.
        limit: String,
        /// Who, and why.
        operator: Operator,
        /// How much more may be used in this window.
        #[serde(default)]
        allowed: Option<Allowance>,
    },
    /// The next window lifted a trip.
    Lifted {
        /// Whose.
        who: Who,
        /// The limit's name.
        limit: String,
        /// Its window.
        window: Window,
        /// When the window began that lifted it.
        since: Timestamp,
    },
    /// A limit was taken out of the configuration while it held accounts. They stay as they are.
    LimitGone {
        /// The limit's name.
        limit: String,
        /// What it held, and nothing else does.
        accounts: Vec<Account>,
        /// Who took it out: who typed it, or the job that took over a configuration.
        by: String,
    },
    /// Twilio itself suspended an account. Only Twilio can lift that.
    SuspendedByTwilio {
        /// Which.
        account: Account,
        /// When it was changed at Twilio (`date_updated`).
        changed: Timestamp,
    },
    /// Codes of an application to one prefix of numbers are stopped, since nobody enters them.
    PrefixStopped {
        /// The application's SID: `VA…`.
        application: Sid,
        /// What its users know it by.
        name: String,
        /// `+1415555`: numbers that begin so and have four more digits.
        prefix: String,
        /// So many codes were sent there and not entered.
        unconverted: u32,
        /// Nothing is sent there before.
        until: Timestamp,
    },
    /// The daily examination found something that is not as it should be, for the first time.
    Found {
        /// By which check: `webhook-https`.
        check: String,
        /// How much the gravest of it matters.
        severity: Severity,
        /// The first few, in sentences.
        findings: Vec<String>,
        /// How many more there are.
        more: usize,
        /// Why the first one matters.
        why: String,
        /// What mends the first one.
        mend: String,
    },
    /// What an examination had found is mended.
    Mended {
        /// By which check.
        check: String,
        /// The first few: where it was.
        places: Vec<String>,
        /// How many more there were.
        more: usize,
    },
    /// An account's auth token is being replaced, so whatever else holds it needs the new one.
    TokenRotates {
        /// Whose.
        account: Account,
        /// How far it is.
        stage: TokenStage,
        /// Who, and why.
        operator: Operator,
    },
    /// Somebody wants to see whether notices arrive.
    Test {
        /// Who.
        by: String,
    },
}

/// Whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// One account.
    Account(Account),
    /// All accounts of the limit's scope together.
    Together,
    /// What goes to numbers that begin so, whichever account sends it.
    Numbers(DialPrefix),
}

/// An account, as people know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// `AC…`.
    pub sid: Sid,
    /// Its friendly name at Twilio. Whoever owns the account chose it, so it may hold anything.
    pub name: String,
}

/// How much was used of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// What is counted.
    pub measure: Measure,
    /// The usage category: `totalprice`.
    pub category: String,
    /// The currency (`USD`), or the unit of the category (`minutes`).
    pub unit: String,
    /// The limit's window.
    pub window: Window,
    /// When this run of it began.
    pub since: Timestamp,
    /// What was used in it.
    pub used: Amount,
    /// At which amount the limit trips; of a share, below how many hundredths.
    pub trips_at: Amount,
    /// Of how many it is a share, where it is one: then what was used is what share was good, in hundredths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<u64>,
    /// What a request would have used beside it that did not fit and was not sent, where that is why it tripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Amount>,
}

/// Why a limit tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// It was reached.
    Usage(Usage),
    /// Somebody stopped spending.
    Operator(Operator),
}

/// Somebody who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Who, as the audit log names them.
    pub by: String,
    /// The reason that they gave.
    pub reason: String,
}

/// How much more may be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// So much.
    pub amount: Amount,
    /// What is counted.
    pub measure: Measure,
    /// The currency, or the unit.
    pub unit: String,
}

/// What somebody did to a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerChange {
    /// It was not there any more.
    Deleted,
    /// It was another one.
    Changed {
        /// What was different, in words: `the callback URL`.
        what: String,
        /// When it was changed at Twilio (`date_updated`).
        changed: Timestamp,
    },
}

/// How far the replacing of an auth token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenStage {
    /// A second one is good for requests; the first one still signs.
    Made,
    /// The second one is the only one.
    Promoted,
    /// The second one was taken back.
    Undone,
}

/// How much it matters. A channel takes what matters at least so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

/// The text names no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a severity is \"info\", \"warning\" or \"critical\"")]
pub struct UnknownSeverity;

impl Notice {
    /// What tells this event from all others: the same one gives the same key, whichever node found it out and how
    /// often. Text of printable ASCII without spaces, of any length.
    pub fn key(&self) -> String {
        let parts: Vec<String> = match &self.event {
            Event::Warning { who, limit, usage, level } => {
                vec![limit.clone(), who.key(), usage.since.to_string(), level.to_string()]
            }
            Event::Tripped { who, limit, .. } | Event::Reset { who, limit, .. } => {
                vec![limit.clone(), who.key(), self.at.to_string()]
            }
            Event::WouldTrip { who, limit, usage, .. } => {
                vec![limit.clone(), who.key(), usage.since.to_string()]
            }
            Event::InForce { account, limit, actions, tripped } => {
                let actions: Vec<_> = actions.iter().map(|action| action.name()).collect();
                vec![limit.clone(), account.sid.to_string(), tripped.to_string(), actions.join("+")]
            }
            Event::ActionFails { account, limit, action, tripped, tries, .. } => vec![
                limit.clone(),
                account.sid.to_string(),
                tripped.to_string(),
                action.to_string(),
                tries.to_string(),
            ],
            Event::ActiveAgain { account, limit, changed } => {
                vec![limit.clone(), account.sid.to_string(), changed.to_string()]
            }
            Event::TriggerRestored { account, trigger, change, .. } => {
                let when = match change {
                    TriggerChange::Deleted => "deleted".to_owned(),
                    TriggerChange::Changed { changed, .. } => changed.to_string(),
                };
                vec![account.sid.to_string(), trigger.to_string(), when]
            }
            Event::RuleRestored { account, rule, .. } => {
                vec![account.sid.to_string(), rule.clone(), self.at.to_string()]
            }
            Event::Lifted { who, limit, since, .. } => vec![limit.clone(), who.key(), since.to_string()],
            Event::LimitGone { limit, .. } => vec![limit.clone(), self.at.to_string()],
            Event::SuspendedByTwilio { account, changed } => {
                vec![account.sid.to_string(), changed.to_string()]
            }
            Event::PrefixStopped { application, prefix, until, .. } => {
                vec![application.to_string(), prefix.clone(), until.to_string()]
            }
            Event::Found { check, .. } | Event::Mended { check, .. } => {
                vec![check.clone(), self.at.to_string()]
            }
            Event::TokenRotates { account, stage, .. } => {
                vec![account.sid.to_string(), stage.name().to_owned(), self.at.to_string()]
            }
            Event::Test { .. } => vec![self.at.to_string()],
        };
        let encoded = parts.iter().map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
        std::iter::once(self.event.kind().to_owned()).chain(encoded).collect::<Vec<_>>().join("/")
    }

    /// A short name for the key: 32 hexadecimal digits. A message's `Message-ID` and a webhook's `webhook-id` are made
    /// of it, so that a receiver can tell a repetition.
    pub fn id(&self) -> String {
        short_hash(&self.key())
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        match &self.event {
            Event::Tripped { .. }
            | Event::ActionFails { .. }
            | Event::ActiveAgain { .. }
            | Event::SuspendedByTwilio { .. } => Severity::Critical,
            Event::Warning { .. }
            | Event::WouldTrip { .. }
            | Event::InForce { .. }
            | Event::PrefixStopped { .. }
            | Event::TriggerRestored { .. }
            | Event::RuleRestored { .. }
            | Event::LimitGone { .. }
            | Event::TokenRotates { stage: TokenStage::Made | TokenStage::Promoted, .. } => Severity::Warning,
            Event::Found { severity, .. } => *severity,
            Event::Reset { .. }
            | Event::Lifted { .. }
            | Event::Mended { .. }
            | Event::TokenRotates { .. }
            | Event::Test { .. } => Severity::Info,
        }
    }

    /// The beginning of the numbers that it concerns, under a limit of each beginning.
    pub const fn numbers(&self) -> Option<DialPrefix> {
        match &self.event {
            Event::Warning { who: Who::Numbers(beginning), .. }
            | Event::Tripped { who: Who::Numbers(beginning), .. }
            | Event::WouldTrip { who: Who::Numbers(beginning), .. }
            | Event::Reset { who: Who::Numbers(beginning), .. }
            | Event::Lifted { who: Who::Numbers(beginning), .. } => Some(*beginning),
            _ => None,
        }
    }

    /// Whom it concerns, where it concerns somebody.
    pub fn account(&self) -> Option<&Account> {
        match &self.event {
            Event::Warning { who, .. }
            | Event::Tripped { who, .. }
            | Event::WouldTrip { who, .. }
            | Event::Reset { who, .. }
            | Event::Lifted { who, .. } => who.account(),
            Event::InForce { account, .. }
            | Event::ActionFails { account, .. }
            | Event::ActiveAgain { account, .. }
            | Event::TriggerRestored { account, .. }
            | Event::RuleRestored { account, .. }
            | Event::TokenRotates { account, .. }
            | Event::SuspendedByTwilio { account, .. } => Some(account),
            Event::LimitGone { .. }
            | Event::PrefixStopped { .. }
            | Event::Found { .. }
            | Event::Mended { .. }
            | Event::Test { .. } => None,
        }
    }

    /// The limit's name, where it is about one.
    pub fn limit(&self) -> Option<&str> {
        match &self.event {
            Event::Warning { limit, .. }
            | Event::Tripped { limit, .. }
            | Event::WouldTrip { limit, .. }
            | Event::Reset { limit, .. }
            | Event::Lifted { limit, .. }
            | Event::InForce { limit, .. }
            | Event::ActionFails { limit, .. }
            | Event::ActiveAgain { limit, .. }
            | Event::LimitGone { limit, .. }
            | Event::TriggerRestored { limit, .. } => Some(limit),
            Event::SuspendedByTwilio { .. }
            | Event::RuleRestored { .. }
            | Event::PrefixStopped { .. }
            | Event::Found { .. }
            | Event::Mended { .. }
            | Event::TokenRotates { .. }
            | Event::Test { .. } => None,
        }
    }

    /// How much was used, where it is about that.
    pub fn usage(&self) -> Option<&Usage> {
        match &self.event {
            Event::Warning { usage, .. }
            | Event::WouldTrip { usage, .. }
            | Event::Tripped { cause: Cause::Usage(usage), .. } => Some(usage),
            _ => None,
        }
    }
}

impl Event {
    /// Its name, which never changes: people's programs depend on it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Warning { .. } => "warning",
            Self::Tripped { .. } => "tripped",
            Self::WouldTrip { .. } => "would-trip",
            Self::InForce { .. } => "in-force",
            Self::ActionFails { .. } => "action-fails",
            Self::ActiveAgain { .. } => "active-again",
            Self::TriggerRestored { .. } => "trigger-restored",
            Self::RuleRestored { .. } => "rule-restored",
            Self::Reset { .. } => "reset",
            Self::Lifted { .. } => "lifted",
            Self::LimitGone { .. } => "limit-gone",
            Self::SuspendedByTwilio { .. } => "suspended-by-twilio",
            Self::PrefixStopped { .. } => "prefix-stopped",
            Self::Found { .. } => "found",
            Self::Mended { .. } => "mended",
            Self::TokenRotates { .. } => "token-rotates",
            Self::Test { .. } => "test",
        }
    }
}

impl Who {
    /// The account, if it is one.
    pub const fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(account),
            Self::Together | Self::Numbers(_) => None,
        }
    }

    /// As it is typed in commands, and as the breaker names it.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Account(account) => account.sid.to_string(),
            Self::Together => "together".to_owned(),
            Self::Numbers(beginning) => beginning.to_string(),
        }
    }
}

impl TokenStage {
    /// Its name, which never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Promoted => "promoted",
            Self::Undone => "undone",
        }
    }
}

impl Severity {
    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        [Self::Info, Self::Warning, Self::Critical]
            .into_iter()
            .find(|it| it.name() == text)
            .ok_or(UnknownSeverity)
    }
}

/// The first 16 bytes of SHA-256, in hexadecimal.
pub(super) fn short_hash(text: &str) -> String {
    use fmt::Write as _;
    let mut hex = String::with_capacity(32);
    for byte in &Sha256::digest(text.as_bytes())[..16] {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
