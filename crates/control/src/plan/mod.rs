//! The usage triggers that the limits want, against those at Twilio.
//!
//! Pure: what is wanted and what is there go in, the changes come out. Carrying them out twice changes nothing.
//! A trigger is ours by its friendly name, which begins with [`Mark`]; all others are left alone.

use std::collections::BTreeMap;

use ringfence_breaker::{Limit, Measure, Window};
use ringfence_model::{Amount, Sid};
use ringfence_twilio::client::{NewUsageTrigger, UsageTriggerChange, WebhookMethod};
use ringfence_twilio::wire::{Price, Recurring, TriggerBy, UsageTrigger};
use serde::Serialize;

/// Twilio's limit: <https://www.twilio.com/docs/usage/api/usage-trigger>.
const FRIENDLY_NAME_MAX: usize = 64;

/// Whose triggers and SharedKeys these are: one installation of Ringfence, among others on the same account perhaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    prefix: String,
}

impl Mark {
    /// The mark of an installation. `installation` is a short name of letters and digits.
    pub fn new(installation: &str) -> Self {
        Self { prefix: format!("ringfence {installation} ") }
    }

    /// The name of the trigger of a limit: the mark, a fingerprint of the limit's name, and as much of the name as
    /// fits.
    fn friendly_name(&self, limit: &str) -> String {
        let mut name = format!("{}{:08x} {limit}", self.prefix, fingerprint(limit));
        while name.chars().count() > FRIENDLY_NAME_MAX {
            name.pop();
        }
        name
    }

    /// The name of something else of this installation at Twilio.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}{what}", self.prefix)
    }

    /// What something of this installation is, by its name; none where it is not ours.
    pub(crate) fn what_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(&self.prefix)
    }

    /// The fingerprint of the limit that a trigger of ours belongs to; none where it is not ours.
    fn limit_of(&self, trigger: &UsageTrigger) -> Option<u32> {
        let rest = trigger.friendly_name.as_deref()?.strip_prefix(&self.prefix)?;
        u32::from_str_radix(rest.get(..8)?, 16).ok()
    }
}

/// FNV-1a: it only has to tell an installation's few limits and URLs apart, and to be the same in every version.
pub(crate) fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A trigger that a limit wants on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The account that it watches.
    pub account: Sid,
    /// The limit's name.
    pub limit: String,
    /// The category that it watches.
    pub category: String,
    /// The field that it compares.
    pub by: TriggerBy,
    /// How often it begins anew.
    pub recurring: Recurring,
    /// Where it fires.
    pub value: Amount,
}

impl Wanted {
    /// The trigger that a limit wants on one account of its scope. `baseline` is what was used at the first look.
    ///
    /// None where Twilio cannot watch it: windows of our own, and a limit from now on before its first look. Where
    /// all accounts have the amount together, each has a trigger of the whole amount: of the account that alone
    /// reaches it the records are read at once, the sum is watched by the poller.
    pub fn of(limit: &Limit, account: Sid, baseline: Option<Amount>) -> Option<Self> {
        let recurring = match limit.window {
            Window::Daily => Recurring::Daily,
            Window::Monthly => Recurring::Monthly,
            Window::Yearly => Recurring::Yearly,
            Window::Alltime => Recurring::Alltime,
            Window::Minute | Window::Hour | Window::Rolling { .. } | Window::Gcra { .. } => return None,
        };
        let by = match limit.measure {
            Measure::Price => TriggerBy::Price,
            Measure::Usage => TriggerBy::Usage,
            Measure::Count => TriggerBy::Count,
            Measure::Delivery | Measure::Conversion => return None,
        };
        let value = limit.threshold(baseline)?;
        let (limit, category) = (limit.name.clone(), limit.category.clone());
        Some(Self { account, limit, category, by, recurring, value })
    }

    /// As Twilio wants it.
    pub fn request(&self, mark: &Mark, callback_url: &str) -> NewUsageTrigger {
        NewUsageTrigger {
            callback_url: callback_url.to_owned(),
            trigger_value: self.value.to_string(),
            usage_category: self.category.clone(),
            callback_method: Some(WebhookMethod::Post),
            friendly_name: Some(mark.friendly_name(&self.limit)),
            recurring: Some(self.recurring.clone()),
            trigger_by: Some(self.by.clone()),
        }
    }

    /// Whether a trigger watches just this. Neither category nor value of one can be changed, so another is made.
    fn is_watched_by(&self, trigger: &UsageTrigger) -> bool {
        let recurring = trigger.recurring.as_ref().unwrap_or(&Recurring::Alltime);
        let value = trigger.trigger_value.parse().ok().map(|Price { micros }| Amount::from_micros(micros));
        self.category == trigger.usage_category
            && self.by == trigger.trigger_by
            && self.recurring == *recurring
            && value == Some(self.value)
    }
}

/// What must change at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A trigger is missing.
    Create(Wanted),
    /// A trigger of ours watches something else than its limit wants now. The new one is made before the old one goes.
    Replace {
        /// What is wanted.
        wanted: Wanted,
        /// What is there.
        old: Sid,
    },
    /// A trigger of ours calls somewhere else.
    Redirect {
        /// What is wanted.
        wanted: Wanted,
        /// What is there.
        trigger: Sid,
    },
    /// No limit wants this trigger of ours any more, or there is another one for the same.
    Delete {
        /// Its account.
        account: Sid,
        /// The trigger.
        trigger: Sid,
        /// Its friendly name.
        name: String,
    },
}

impl Change {
    /// The account that it happens to.
    pub const fn account(&self) -> Sid {
        match self {
            Self::Create(wanted) | Self::Replace { wanted, .. } | Self::Redirect { wanted, .. } => {
                wanted.account
            }
            Self::Delete { account, .. } => *account,
        }
    }
}

/// Where a trigger of ours should call.
pub fn redirected(callback_url: &str) -> UsageTriggerChange {
    UsageTriggerChange {
        callback_url: Some(callback_url.to_owned()),
        callback_method: Some(WebhookMethod::Post),
        friendly_name: None,
    }
}

/// What is wanted against what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// In the order in which they are carried out: account by account, what is missing before what goes.
    pub changes: Vec<Change>,
    /// Which trigger serves which limit already.
    pub kept: Vec<Kept>,
    /// How many triggers are not ours.
    pub foreign: usize,
}

/// A trigger of ours that is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its account.
    pub account: Sid,
    /// Its limit.
    pub limit: String,
    /// The trigger.
    pub trigger: Sid,
}

/// Compares what is wanted with what is there, for the accounts whose triggers are given.
///
/// `existing` are all triggers of each account that could be read; what is wanted on another account is left out,
/// since it may be there.
pub fn plan(
    wanted: &[Wanted],
    existing: &BTreeMap<Sid, Vec<UsageTrigger>>,
    mark: &Mark,
    callback_url: &str,
) -> Plan {
    let mut plan = Plan::default();
    let mut of_account: BTreeMap<Sid, Vec<&Wanted>> = BTreeMap::new();
    for it in wanted {
        of_account.entry(it.account).or_default().push(it);
    }
    for (account, triggers) in existing {
        let wanted = of_account.remove(account).unwrap_or_default();
        of_one_account(*account, &wanted, triggers, mark, callback_url, &mut plan);
    }
    plan
}

fn of_one_account(
    account: Sid,
    wanted: &[&Wanted],
    triggers: &[UsageTrigger],
    mark: &Mark,
    callback_url: &str,
    plan: &mut Plan,
) {
    let mut ours: Vec<(u32, Sid, &UsageTrigger)> = Vec::new();
    for trigger in triggers {
        match (mark.limit_of(trigger), Sid::parse(&trigger.sid)) {
            (Some(limit), Ok(sid)) => ours.push((limit, sid, trigger)),
            _ => plan.foreign += 1,
        }
    }
    let mut superfluous: Vec<(Sid, &UsageTrigger)> = Vec::new();
    for it in wanted {
        let limit = fingerprint(&it.limit);
        let (mut of_limit, rest): (Vec<_>, Vec<_>) = ours.into_iter().partition(|(of, ..)| *of == limit);
        ours = rest;
        // The best of them stays: one that watches the right thing, and calls the right place.
        of_limit.sort_by_key(|(_, sid, trigger)| {
            (!it.is_watched_by(trigger), !calls(trigger, callback_url), *sid)
        });
        let mut of_limit = of_limit.into_iter().map(|(_, sid, trigger)| (sid, trigger));
        let wanted = (*it).clone();
        match of_limit.next() {
            None => plan.changes.push(Change::Create(wanted)),
            Some((old, trigger)) if !it.is_watched_by(trigger) => {
                plan.changes.push(Change::Replace { wanted, old });
            }
            Some((trigger, at_twilio)) if !calls(at_twilio, callback_url) => {
                plan.changes.push(Change::Redirect { wanted, trigger });
            }
            Some((trigger, _)) => plan.kept.push(Kept { account, limit: wanted.limit, trigger }),
        }
        superfluous.extend(of_limit);
    }
    superfluous.extend(ours.into_iter().map(|(_, sid, trigger)| (sid, trigger)));
    plan.changes.extend(superfluous.into_iter().map(|(sid, trigger)| Change::Delete {
        account,
        trigger: sid,
        name: trigger.friendly_name.clone().unwrap_or_default(),
    }));
}

fn calls(trigger: &UsageTrigger, url: &str) -> bool {
    trigger.callback_url.as_deref() == Some(url) && trigger.callback_method.as_deref() == Some("POST")
}

#[cfg(test)]
mod tests;
