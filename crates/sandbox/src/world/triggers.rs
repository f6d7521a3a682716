//! Usage triggers: evaluated every so often over usage that lags, fired once a period.
//!
//! The one idea: a trigger compares what its `usage_record_uri` shows at that moment. So what was used in the last
//! minute of a day, and is seen in the next, fires nothing; and a firing that got lost is not repeated before the next
//! period begins.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use ringfence_model::Sid;
use ringfence_twilio::wire::{AccountStatus, Price, Recurring, Rfc2822, TriggerBy};

use super::usage::{self, Amounts};
use super::webhooks::{self, Ended, Target, Then, Webhook};
use super::{Due, World};
use crate::settings::SignedBy;
use crate::table::{Row, Table};

/// All usage triggers.
#[derive(Debug)]
pub(crate) struct Triggers {
    pub(crate) table: Table<Trigger>,
    /// When they are compared next. A `Due` that comes before was planned for another interval and means nothing.
    next: Option<Timestamp>,
    /// The day on which they were compared last, and whether parents' included subaccounts then. While both stay,
    /// only those need a look that are new or whose account has used something, so that a year of a virtual clock
    /// passes quickly.
    compared: Option<(Date, bool)>,
    /// The accounts that have got a trigger since.
    renewed: BTreeSet<Sid>,
}

/// A usage trigger.
#[derive(Debug, Clone)]
pub(crate) struct Trigger {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) friendly_name: String,
    pub(crate) category: String,
    pub(crate) by: TriggerBy,
    /// In millionths of what it compares: of a dollar, a message, a minute.
    pub(crate) value_micros: i64,
    /// How often it begins anew; `None`: never.
    pub(crate) recurring: Option<Period>,
    pub(crate) callback: Target,
    /// When it fired last.
    pub(crate) fired: Option<Timestamp>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A span of GMT after which a trigger may fire again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Day,
    Month,
    Year,
}

impl Default for Triggers {
    fn default() -> Self {
        Self { table: Table::by_account(), next: None, compared: None, renewed: BTreeSet::new() }
    }
}

impl Row for Trigger {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Period {
    pub(crate) fn parse(word: &Recurring) -> Option<Self> {
        match word {
            Recurring::Daily => Some(Self::Day),
            Recurring::Monthly => Some(Self::Month),
            Recurring::Yearly => Some(Self::Year),
            Recurring::Alltime | Recurring::Other(_) => None,
        }
    }

    pub(crate) fn word(self) -> Recurring {
        match self {
            Self::Day => Recurring::Daily,
            Self::Month => Recurring::Monthly,
            Self::Year => Recurring::Yearly,
        }
    }

    /// The first day of the period in which a day lies.
    fn start(self, day: Date) -> Date {
        match self {
            Self::Day => day,
            Self::Month => day.first_of_month(),
            Self::Year => day.first_of_year(),
        }
    }
}

impl Trigger {
    /// The records that it watches, relative to the host.
    pub(crate) fn usage_record_uri(&self) -> String {
        let records = match self.recurring {
            None => "Records",
            Some(Period::Day) => "Records/Today",
            Some(Period::Month) => "Records/ThisMonth",
            Some(Period::Year) => "Records/Yearly",
        };
        let category = usage::categories::encoded(&self.category);
        format!("/2010-04-01/Accounts/{}/Usage/{records}.json?Category={category}", self.account)
    }

    /// Whether it has fired in the period in which this day lies.
    fn has_fired(&self, today: Date) -> bool {
        let fired = self.fired.map(usage::day);
        match (self.recurring, fired) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(period), Some(fired)) => period.start(fired) >= period.start(today),
        }
    }
}

/// The value of a trigger as Twilio writes it: `1000.000000`.
pub(crate) fn value_text(micros: i64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// Where the usage stands that a trigger watches, in millionths.
pub(crate) fn current_micros(world: &World, trigger: &Trigger) -> i64 {
    measure(world, trigger.account, &trigger.category, &trigger.by, trigger.recurring)
}

/// What is known to have been used in the present period, in millionths.
pub(crate) fn measure(
    world: &World,
    account: Sid,
    category: &str,
    by: &TriggerBy,
    period: Option<Period>,
) -> i64 {
    let whose = usage::whose(world, account, world.settings.trigger_includes_subaccounts);
    let today = usage::today(world);
    let Amounts { count, usage, price_micros } = match period {
        None => usage::ever(world, whose, category),
        Some(period) => usage::between(world, whose, category, period.start(today), today),
    };
    let millionths = |number| i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    match by {
        TriggerBy::Count => millionths(count),
        // The usage of the total price is its price.
        TriggerBy::Usage if category == usage::categories::TOTAL_PRICE => price_micros,
        TriggerBy::Usage => millionths(usage),
        TriggerBy::Price | TriggerBy::Other(_) => price_micros,
    }
}

/// Starts the evaluation that goes on for ever.
pub(super) fn begin(world: &mut World) {
    keep_interval(world);
}

/// The interval may have become shorter: the next evaluation is no further away than it.
pub(super) fn keep_interval(world: &mut World) {
    let interval_ms = world.settings.trigger_interval_s.max(1).saturating_mul(1000);
    let interval = jiff::SignedDuration::from_millis(i64::try_from(interval_ms).unwrap_or(i64::MAX));
    let next = world.now.checked_add(interval).unwrap_or(Timestamp::MAX);
    if world.triggers.next.is_none_or(|planned| planned <= world.now || next < planned) {
        world.triggers.next = Some(next);
        world.plan_in_ms(interval_ms, Due::Triggers);
    }
}

/// Begins to watch. A trigger that is reached already fires when triggers are compared next.
pub(crate) fn add(world: &mut World, trigger: Trigger) {
    world.triggers.renewed.insert(trigger.account);
    world.triggers.table.insert(trigger);
    world.touch();
}

/// Compares triggers with what has been used.
pub(super) fn evaluate(world: &mut World) {
    if world.triggers.next.is_some_and(|next| world.now < next) {
        return;
    }
    world.triggers.next = None;
    keep_interval(world);
    usage::catch_up(world);
    let today = usage::today(world);
    let present = (today, world.settings.trigger_includes_subaccounts);
    let all_again = world.triggers.compared.replace(present) != Some(present);
    let mut concerned = std::mem::take(&mut world.triggers.renewed);
    concerned.append(&mut usage::take_grown(world));
    let reached = |trigger: &&Trigger| {
        !trigger.has_fired(today)
            && world.accounts.find(trigger.account).is_some_and(|it| it.status != AccountStatus::Closed)
            && current_micros(world, trigger) >= trigger.value_micros
    };
    // Oldest first, so that of several thresholds the lower one, which is usually made first, is told first.
    let table = &world.triggers.table;
    let fires: Vec<Sid> = if all_again {
        table.newest_first().rev().filter(reached).map(Row::sid).collect()
    } else {
        let of_them = concerned.iter().flat_map(|account| table.of(*account).rev());
        of_them.filter(reached).map(Row::sid).collect()
    };
    for sid in fires {
        fire(world, sid);
    }
}

/// Sends the webhook of a trigger, with the parameters of
/// <https://www.twilio.com/docs/usage/api/usage-trigger#usagetrigger-callbacks>.
fn fire(world: &mut World, sid: Sid) {
    let now = world.now;
    let Some(trigger) = world.triggers.table.find_mut(sid) else { return };
    trigger.fired = Some(now);
    let trigger = trigger.clone();
    let account = match world.settings.trigger_signed_by {
        SignedBy::Account => trigger.account,
        SignedBy::Parent => world.accounts.owner(trigger.account),
    };
    let current = Price::micros(current_micros(world, &trigger)).to_plain_string();
    let recurring = trigger.recurring.map(Period::word);
    let params = vec![
        ("AccountSid", trigger.account.to_string()),
        ("UsageTriggerSid", sid.to_string()),
        ("DateFired", Rfc2822(now).to_string()),
        ("Recurring", recurring.as_ref().map_or("", Recurring::as_str).to_owned()),
        ("UsageCategory", trigger.category.clone()),
        ("TriggerBy", trigger.by.as_str().to_owned()),
        ("TriggerValue", value_text(trigger.value_micros)),
        ("CurrentValue", current),
        ("UsageRecordUri", trigger.usage_record_uri()),
        ("IdempotencyToken", format!("{}-FIRES-{sid}-{}", trigger.account, usage::today(world))),
    ];
    let then = Then::Trigger(sid);
    webhooks::deliver(
        world,
        Webhook { account, kind: "usage-trigger", target: trigger.callback, params, then },
    );
    world.touch();
}

/// The webhook of a trigger came to its end. Whether it arrived or not, the trigger has fired: what was lost is not
/// sent again in this period.
pub(super) fn answered(world: &mut World, _trigger: Sid, _ended: &Ended) {
    world.touch();
}

#[cfg(test)]
mod tests;
