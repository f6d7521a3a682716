//! The operator's rule, and what is wrong with one that cannot work.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Amount;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Rate, Scope, Sign, Window};

/// A limit, as the operator wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its name, unique among the limits. Breakers, triggers at Twilio and audit rows refer to it.
    pub name: String,
    /// Whom it holds for.
    pub scope: Scope,
    /// Whether each account has the amount, or all have it together.
    pub per: Per,
    /// What is counted.
    pub measure: Measure,
    /// Of which usage: one of Twilio's usage categories.
    pub category: String,
    /// How long it counts before it begins anew.
    pub window: Window,
    /// At which amount it trips.
    pub at: Threshold,
    /// How much of it may pass at once, in an even flow ([`Window::Gcra`]); half of the amount where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Amount>,
    /// Holds only for beginnings of numbers that are not known; for all where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
    /// At how many hundredths of the amount a warning is given, ascending.
    pub warn: Vec<u8>,
    /// What is done when it trips.
    pub then: Vec<Action>,
    /// How much more may be spent in the same window after a reset.
    pub probe: Probe,
    /// Who lifts a trip.
    pub reset: Reset,
    /// Whether it acts, or only watches and reports.
    pub enforce: bool,
}

/// Whether a limit holds for each account or for their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each account may spend the amount.
    Account,
    /// All accounts of the scope may spend it between them.
    Together,
    /// Each beginning of a telephone number may take it, of what goes through the egress.
    Prefix,
}

/// What is counted: what Twilio counts (`TriggerBy`), or a share of what was sent, of which only Ringfence knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Money, in the account's currency.
    Price,
    /// The unit of the category: minutes, segments, bytes.
    Usage,
    /// How often: messages, calls.
    Count,
    /// Which share of the messages is delivered.
    Delivery,
    /// Which share of the codes that are sent is entered.
    Conversion,
}

/// At which amount a limit trips: when the amount is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// At this amount in a window.
    At(Amount),
    /// When so much more was used than at the moment of the first look. For [`Window::Alltime`] alone.
    More(Amount),
    /// When less than a share of what was sent is good. For [`Measure::Delivery`] and [`Measure::Conversion`].
    Share(Sign),
}

/// What is done when a limit trips. Each is read back until it is so, and can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The account is suspended at Twilio. Twilio suspends subaccounts only.
    Suspend,
    /// The people of `[notify]` are told.
    Notify,
    /// Calls that are queued, ringing or in progress are ended: a suspension leaves them running.
    EndCalls,
    /// Messages that are queued or scheduled are cancelled, where Twilio allows it.
    CancelQueued,
    /// The permissions to call and to text other countries are taken away.
    CloseGeo,
    /// The account's API keys are deleted. New ones must be made by hand afterwards.
    RevokeKeys,
}

/// When a beginning of a number is known to an account: something was settled there within so long, and some of it so long
/// ago. What was never seen, or long not, and what began just now is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Unseen {
    /// In seconds.
    pub within: u32,
    /// How old some of it must be, in seconds.
    pub known_after: u32,
}

impl Unseen {
    /// Of which full hours traffic makes it known: none that may be younger, or older, than it says.
    pub fn hours(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let ago =
            |seconds: i64| now.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        (ago(i64::from(self.within)), ago(i64::from(self.known_after) + 3_600))
    }
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// What is counted.
    pub measure: Measure,
    /// Of which usage.
    pub category: String,
    /// How long.
    pub window: Window,
}

impl Counts {
    /// Whether the limit counts this.
    pub fn are_of(&self, limit: &Limit) -> bool {
        self.measure == limit.measure && self.window == limit.window && self.category == limit.category
    }
}

/// How much more may be spent in the same window after a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// So many hundredths of the limit.
    Percent(u32),
    /// So much.
    Amount(Amount),
}

/// Who lifts a trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// An operator.
    Manual,
    /// The next window, or an operator before.
    NextWindow,
}

impl Action {
    /// All of them, in the order in which they are carried out.
    pub const ALL: [Self; 6] =
        [Self::Suspend, Self::EndCalls, Self::CancelQueued, Self::CloseGeo, Self::RevokeKeys, Self::Notify];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Notify => "notify",
            Self::EndCalls => "end-calls",
            Self::CancelQueued => "cancel-queued",
            Self::CloseGeo => "close-geo",
            Self::RevokeKeys => "revoke-keys",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why a limit cannot work. `key` is where in the configuration it is put right.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct LimitProblem {
    /// The key of the limit's section.
    pub key: &'static str,
    /// What is wrong, and what to type instead.
    pub what: String,
}

impl Limit {
    /// Everything that keeps it from working; empty where it is right.
    pub fn problems(&self) -> Vec<LimitProblem> {
        let mut problems = Vec::new();
        let mut wrong = |key, what: String| problems.push(LimitProblem { key, what });
        if self.sign().is_some() || self.measure.is_a_sign() {
            return self.problems_of_a_sign();
        }
        match (self.at, self.window) {
            (Threshold::At(amount) | Threshold::More(amount), _) if amount <= Amount::ZERO => {
                wrong("at", format!("the limit must be more than 0, not {amount}"));
            }
            (Threshold::More(amount), window) if window != Window::Alltime => wrong(
                "at",
                format!(
                    "\"+{amount}\" counts from the first look on and never begins anew: it needs window = \"alltime\"; write \"{amount}\" for a limit of each window"
                ),
            ),
            _ => {}
        }
        if self.then.contains(&Action::Suspend) && self.may_contain_a_parent() {
            wrong(
                "then",
                "Twilio cannot suspend a parent account, and this scope has one: use scope = \"subaccounts\", or other actions (end-calls, cancel-queued, close-geo, revoke-keys, notify)".to_owned(),
            );
        }
        if self.then.is_empty() && self.enforce && !self.is_the_egress_alone() {
            wrong("then", "nothing is done when it trips: name an action, such as \"suspend\" or \"notify\", or set enforce = false".to_owned());
        }
        if self.warn.iter().any(|level| !(1..=99).contains(level)) {
            wrong("warn", "a warning is given at 1 to 99 per cent".to_owned());
        }
        if matches!(self.probe, Probe::Percent(0))
            || matches!(self.probe, Probe::Amount(it) if it <= Amount::ZERO)
        {
            wrong(
                "probe",
                "a reset must allow something to be spent, or the limit would trip again at once".to_owned(),
            );
        }
        if self.reset == Reset::NextWindow && self.window == Window::Alltime {
            wrong("reset", "window = \"alltime\" has no next window: only an operator can lift it, so write reset = \"manual\"".to_owned());
        }
        if matches!(self.window, Window::Rolling { .. }) && !self.then.is_empty() {
            wrong(
                "then",
                "a rolling window has no end at which a trip could be judged: it refuses until there is room; write then = []"
                    .to_owned(),
            );
        }
        if self.unseen.is_some_and(|unseen| unseen.known_after >= unseen.within) {
            wrong(
                "known_after",
                "what must be older than `unseen` is forgotten before it is known; write less than that"
                    .to_owned(),
            );
        }
        match (self.window, self.burst) {
            (Window::Gcra { seconds: 0 }, _) => {
                wrong("window", "an even flow must be at least a second long".to_owned());
            }
            (Window::Gcra { .. }, Some(burst)) if burst <= Amount::ZERO || burst >= self.amount() => wrong(
                "burst",
                format!(
                    "what passes at once must be more than 0 and less than the whole amount, or nothing would flow in afterwards: less than {}",
                    self.amount()
                ),
            ),
            (Window::Gcra { .. }, _) | (_, None) => {}
            (_, Some(_)) => {
                wrong("burst", "only an even flow has a burst: write window = \"gcra 1h\"".to_owned());
            }
        }
        if matches!(self.at, Threshold::More(_)) && self.is_the_egress_alone() {
            wrong(
                "at",
                format!(
                    "\"+{}\" counts from Twilio's figure on, and Twilio has none of this; write \"{0}\"",
                    self.amount()
                ),
            );
        }
        if matches!(self.window, Window::Rolling { seconds: 0 }) {
            wrong("window", "a rolling window must be at least a second long".to_owned());
        }
        problems
    }

    /// A share is judged for each beginning of a number, over a stretch of time, and closes what goes there: most of what
    /// an amount may say means nothing for it.
    fn problems_of_a_sign(&self) -> Vec<LimitProblem> {
        let mut problems = Vec::new();
        let mut wrong = |key, what: &str| problems.push(LimitProblem { key, what: what.to_owned() });
        match self.sign() {
            None => {
                wrong("at", "delivery and conversion are shares: write at = \"20%\", below which it trips");
            }
            Some(_) if !self.measure.is_a_sign() => wrong(
                "at",
                "only a share is in per cent: write measure = \"delivery\" or \"conversion\", or an amount such as \"50\"",
            ),
            Some(sign) if !(1..=99).contains(&sign.percent) => {
                wrong("at", "a share of which less is too little is 1% to 99%");
            }
            Some(sign) if sign.least == 0 => wrong("least", "of nothing there is no share: write 1 at least"),
            Some(_) => {}
        }
        if self.per != Per::Prefix {
            wrong("per", "a share is judged for each beginning of a number: write per = \"prefix\"");
        }
        if !matches!(self.window, Window::Rolling { seconds: seconds @ 60..=86_400 } if seconds % 60 == 0) {
            wrong(
                "window",
                "a share is one of a stretch of time: write window = \"rolling 1h\", from a minute to a day, in whole minutes",
            );
        }
        if !crate::is_of_accounts(&self.scope) {
            wrong(
                "scope",
                "what came of traffic is counted by account: write \"all\", or the accounts that are meant",
            );
        }
        if self.then.iter().any(|action| *action != Action::Notify) {
            wrong(
                "then",
                "it closes the beginning of the numbers and tells people, and nothing else: write then = [\"notify\"], or leave it out",
            );
        }
        if !self.warn.is_empty() {
            wrong("warn", "a share is not watched on its way: remove `warn`, or write an empty list");
        }
        if self.burst.is_some() {
            wrong("burst", "only an even flow has a burst: write window = \"gcra 1h\"");
        }
        if self.unseen.is_some() {
            wrong(
                "unseen",
                "what was never sent to has no share yet: a limit of unknown places is one of money",
            );
        }
        problems
    }

    /// Whether the scope holds parents, as far as it can be told without knowing the accounts.
    pub const fn may_contain_a_parent(&self) -> bool {
        matches!(self.scope, Scope::Parent | Scope::All)
    }

    /// Whether only the egress can hold it, since Twilio counts nothing of the kind.
    pub const fn is_the_egress_alone(&self) -> bool {
        !self.window.is_twilios()
            || !crate::is_of_accounts(&self.scope)
            || matches!(self.per, Per::Prefix)
            || self.measure.is_a_sign()
            || self.unseen.is_some()
    }

    /// How much may be spent; of a share, the least that is good, in hundredths.
    pub fn amount(&self) -> Amount {
        match self.at {
            Threshold::At(amount) | Threshold::More(amount) => amount,
            Threshold::Share(sign) => Amount::from_units(i64::from(sign.percent)),
        }
    }

    /// How it flows, where its window is an even flow: the burst at once, and the rest of the amount within the window, so
    /// that in no stretch of that length more than the amount passes.
    pub fn rate(&self) -> Option<Rate> {
        let Window::Gcra { seconds } = self.window else { return None };
        let amount = self.amount();
        let burst = self.burst.unwrap_or_else(|| amount.percent(50));
        let flow = Amount::from_micros(amount.micros().saturating_sub(burst.micros()).max(1));
        Some(Rate { burst, flow, seconds })
    }

    /// What must have been used for so many hundredths of the limit to be reached. `baseline` is what was used at the
    /// first look; a limit that counts from there on has no such amount before it.
    pub fn reached_at(&self, percent: u32, baseline: Option<Amount>) -> Option<Amount> {
        let part = self.amount().percent(percent);
        match self.at {
            Threshold::At(_) => Some(part),
            Threshold::More(_) => baseline.map(|it| it.saturating_add(part)),
            // No amount reaches a share.
            Threshold::Share(_) => None,
        }
    }

    /// The amount at which it trips.
    pub fn threshold(&self, baseline: Option<Amount>) -> Option<Amount> {
        self.reached_at(100, baseline)
    }

    /// What a reset allows; nothing is allowed of a share, which is judged anew.
    pub fn probe_amount(&self) -> Amount {
        match self.probe {
            _ if self.sign().is_some() => Amount::ZERO,
            Probe::Percent(percent) => self.amount().percent(percent),
            Probe::Amount(amount) => amount,
        }
    }

    /// What it counts. A breaker whose limit begins to count something else begins anew.
    pub fn counts(&self) -> Counts {
        Counts { measure: self.measure, category: self.category.clone(), window: self.window }
    }
}
