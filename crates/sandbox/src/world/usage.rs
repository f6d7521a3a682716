//! What accounts have used: by category and day, seen with a lag.
//!
//! The one idea: what is booked stays young, to the second, until the lag has passed; then it is folded into sums by
//! account, category and day, which are all that usage records and triggers see. So memory grows with categories and
//! days, not with messages. A parent has a second set of sums, of its whole family, so that asking about thousands of
//! subaccounts takes no longer than asking about one. What has been seen stays seen: a longer lag, or a freeze on demand, makes the data stand
//! still until time has caught up.

pub(crate) mod categories;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;

use super::World;
use super::accounts::Accounts;
use super::faults::UsageDelay;
use categories::TOTAL_PRICE;

/// Everything used.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    names: Names,
    /// What nobody sees yet, by the second in which it was used.
    young: BTreeMap<i64, HashMap<Key, Amounts>>,
    sums: HashMap<Whose, HashMap<usize, Sums>>,
    /// Everything used up to this time is in the sums.
    as_of: Option<Timestamp>,
    /// The accounts whose sums, or whose family's, have grown since somebody last took them from here.
    grown: BTreeSet<Sid>,
    /// What each account has spent, without any lag: its parent's balance is less by it at once.
    spent: HashMap<Sid, i64>,
}

/// Something used just now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) account: Sid,
    /// Every category that counts it, from `sms` to `sms-outbound-longcode`; `totalprice` is added by itself.
    pub(crate) categories: &'static [&'static str],
    /// Messages, calls, lookups.
    pub(crate) count: u64,
    /// Segments, minutes, and what else the categories measure.
    pub(crate) usage: u64,
    /// What it cost, positive, in millionths of a dollar.
    pub(crate) price_micros: i64,
}

/// How many, how much and at what price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) count: u64,
    pub(crate) usage: u64,
    pub(crate) price_micros: i64,
}

/// An account and a category of its usage.
type Key = (Sid, usize);

/// Whose usage is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// That of an account alone.
    Account(Sid),
    /// That of a parent and of all its subaccounts.
    Family(Sid),
}

#[derive(Debug, Default)]
struct Sums {
    ever: Amounts,
    days: BTreeMap<Date, Amounts>,
}

/// Books what was used. Usage records and triggers see it after the lag.
pub(crate) fn book(world: &mut World, used: Use) {
    let at = world.now.as_second();
    let amounts = Amounts { count: used.count, usage: used.usage, price_micros: used.price_micros };
    for category in used.categories {
        world.usage.add(&world.accounts, at, used.account, category, amounts);
    }
    world.usage.add_price(&world.accounts, at, used.account, used.price_micros);
}

/// Books anything, as a test wants it: also into the categories that lie above, and into `totalprice`. `at` may lie
/// in the past, which is seen at once, and in the future.
pub(crate) fn book_by_hand(
    world: &mut World,
    account: Sid,
    category: &str,
    count: u64,
    usage: u64,
    price_micros: i64,
    at: Option<Timestamp>,
) {
    catch_up(world);
    let at = at.unwrap_or(world.now).as_second();
    let amounts = Amounts { count, usage, price_micros };
    if category != TOTAL_PRICE {
        world.usage.add(&world.accounts, at, account, category, amounts);
    }
    for category in categories::above(category) {
        world.usage.add(&world.accounts, at, account, category, amounts);
    }
    world.usage.add_price(&world.accounts, at, account, price_micros);
    world.touch();
}

/// Makes usage data later than the settings say, or stand still. What was seen until now stays seen.
pub(crate) fn set_delay(world: &mut World, delay: UsageDelay) {
    catch_up(world);
    world.faults.usage = delay;
    world.touch();
}

/// Folds what has become old enough. Whoever reads usage calls it first.
pub(crate) fn catch_up(world: &mut World) {
    let delay = &world.faults.usage;
    if delay.frozen_until.is_some_and(|until| world.now < until.0) {
        return;
    }
    let lag_s = world.settings.usage_lag_s.saturating_add(delay.extra_lag_s);
    let lag = SignedDuration::from_secs(i64::try_from(lag_s).unwrap_or(i64::MAX));
    let as_of = world.now.checked_sub(lag).unwrap_or(Timestamp::MIN);
    world.usage.fold(&world.accounts, as_of);
}

/// The accounts whose usage records show more than when this was asked last.
pub(crate) fn take_grown(world: &mut World) -> BTreeSet<Sid> {
    std::mem::take(&mut world.usage.grown)
}

/// Up to when usage data is complete.
pub(crate) fn as_of(world: &World) -> Timestamp {
    world.usage.as_of.unwrap_or(world.now)
}

/// The day it is, in GMT.
pub(crate) fn today(world: &World) -> Date {
    day(world.now)
}

/// The day of a time, in GMT.
pub(crate) fn day(at: Timestamp) -> Date {
    Offset::UTC.to_datetime(at).date()
}

/// Whose usage counts as an account's: its own and, for a parent, that of its subaccounts.
pub(crate) fn whose(world: &World, account: Sid, include_subaccounts: bool) -> Whose {
    if include_subaccounts && world.accounts.owner(account) == account {
        Whose::Family(account)
    } else {
        Whose::Account(account)
    }
}

/// What is known to have been used of a category from one day to another, both included.
pub(crate) fn between(world: &World, whose: Whose, category: &str, from: Date, to: Date) -> Amounts {
    let mut total = Amounts::default();
    if from <= to
        && let Some(sums) = world.usage.sums_of(whose, category)
    {
        sums.days.range(from..=to).for_each(|(_, amounts)| total.add(*amounts));
    }
    total
}

/// What is known to have been used of a category since there are accounts.
pub(crate) fn ever(world: &World, whose: Whose, category: &str) -> Amounts {
    world.usage.sums_of(whose, category).map(|sums| sums.ever).unwrap_or_default()
}

/// The categories of which something is known to have been used.
pub(crate) fn used_categories(world: &World, whose: Whose) -> BTreeSet<&str> {
    let names = &world.usage.names.names;
    let used = world.usage.sums.get(&whose).into_iter().flat_map(HashMap::keys);
    used.filter_map(|name| names.get(*name)).map(String::as_str).collect()
}

/// The first day on which something is known to have been used.
pub(crate) fn first_day(world: &World, whose: Whose) -> Option<Date> {
    let sums = world.usage.sums.get(&whose).into_iter().flat_map(HashMap::values);
    sums.filter_map(|sums| sums.days.keys().next()).min().copied()
}

/// What an account has spent until now, whether its usage records show it or not.
pub(crate) fn spent_micros(world: &World, account: Sid) -> i64 {
    world.usage.spent.get(&account).copied().unwrap_or_default()
}

impl Usage {
    fn add(&mut self, accounts: &Accounts, at: i64, account: Sid, category: &str, amounts: Amounts) {
        let key = (account, self.names.number(category));
        if self.as_of.is_some_and(|as_of| at <= as_of.as_second()) {
            self.sum(accounts, key, day_of(at), amounts);
        } else {
            self.young.entry(at).or_default().entry(key).or_default().add(amounts);
        }
    }

    /// The price of everything; neither counted nor measured.
    fn add_price(&mut self, accounts: &Accounts, at: i64, account: Sid, price_micros: i64) {
        self.add(accounts, at, account, TOTAL_PRICE, Amounts { count: 0, usage: 0, price_micros });
        let spent = self.spent.entry(account).or_default();
        *spent = spent.saturating_add(price_micros);
    }

    fn fold(&mut self, accounts: &Accounts, as_of: Timestamp) {
        if self.as_of.is_some_and(|seen| as_of <= seen) {
            return;
        }
        self.as_of = Some(as_of);
        while let Some(entry) = self.young.first_entry().filter(|entry| *entry.key() <= as_of.as_second()) {
            let (second, used) = entry.remove_entry();
            for (key, amounts) in used {
                self.sum(accounts, key, day_of(second), amounts);
            }
        }
    }

    /// Adds to the sums of the account and to those of its family.
    fn sum(&mut self, accounts: &Accounts, (account, category): Key, day: Date, amounts: Amounts) {
        let owner = accounts.owner(account);
        for whose in [Whose::Account(account), Whose::Family(owner)] {
            self.sums.entry(whose).or_default().entry(category).or_default().add(day, amounts);
        }
        self.grown.extend([account, owner]);
    }

    fn sums_of(&self, whose: Whose, category: &str) -> Option<&Sums> {
        self.sums.get(&whose)?.get(self.names.numbers.get(category)?)
    }
}

impl Sums {
    fn add(&mut self, day: Date, amounts: Amounts) {
        self.ever.add(amounts);
        self.days.entry(day).or_default().add(amounts);
    }
}

impl Amounts {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.usage = self.usage.saturating_add(other.usage);
        self.price_micros = self.price_micros.saturating_add(other.price_micros);
    }
}

/// Category names as numbers, so that a key is small and is made without an allocation.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

/// The day of a second, in GMT.
fn day_of(second: i64) -> Date {
    day(Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests;
