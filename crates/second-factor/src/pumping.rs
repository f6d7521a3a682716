//! Protection against pumping: what must be true before a code is sent at all.
//!
//! Whoever earns from the numbers that codes go to has every reason to ask for many. So a code is sent only to a country
//! that is allowed (none is by itself), within budgets (per number, per address, per user, per prefix, per country and in
//! total), and not to numbers beside which nobody ever enters a code. All is decided before anything is sent.
//!
//! A budget is a count in a window of the clock, such as the hour from 14:00 to 15:00: one row with one number, so that
//! "never past the cap" is exact on any number of nodes. Each application has budgets of its own, but for a number, which
//! is a person's and is spared by all of them together. The console's are apart from all others: whatever strangers do at
//! a public form, its people get their codes. Nor does who pumps an application take all from its people: a part of each
//! cap that they share is [kept](standing) for those whose codes are entered.

pub mod standing;

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::PhoneNumber;

use crate::country::Country;
use crate::tag::TagKey;

/// So many sends within a window of so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Sends.
    pub most: u32,
    /// The length of the window in seconds; not 0.
    pub seconds: u32,
}

/// What is allowed to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Where to. Empty: nowhere.
    pub countries: BTreeSet<Country>,
    /// To one number.
    pub number: Vec<Cap>,
    /// For one address of the network, where it is known: of IPv6 the first 64 bits.
    pub address: Vec<Cap>,
    /// For one user, where one is known.
    pub user: Vec<Cap>,
    /// To numbers that differ in their last four digits only.
    pub prefix: Vec<Cap>,
    /// To one country.
    pub country: Vec<Cap>,
    /// To all.
    pub total: Vec<Cap>,
    /// What of the caps for a prefix, a country and all is [kept](standing) for those whose codes are entered, in percent.
    pub kept_percent: u32,
}

const TEN_MINUTES: u32 = 600;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

impl Limits {
    /// As they are shipped, for these countries.
    pub fn shipped(countries: BTreeSet<Country>) -> Self {
        let cap = |most, seconds| Cap { most, seconds };
        Self {
            countries,
            number: vec![cap(5, TEN_MINUTES), cap(10, HOUR), cap(20, DAY)],
            address: vec![cap(10, HOUR)],
            user: vec![cap(10, HOUR)],
            prefix: vec![cap(30, HOUR)],
            country: vec![cap(200, HOUR)],
            total: vec![cap(500, HOUR)],
            kept_percent: standing::KEPT_PERCENT,
        }
    }
}

/// Whose users are asked for codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The people of Ringfence's own console.
    Console,
    /// An application, by its id.
    Application(&'a str),
}

/// What is known of whoever wants a code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asker {
    /// From where.
    pub address: Option<IpAddr>,
    /// Who, in the words of the application.
    pub user: Option<String>,
}

/// What a budget is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// One number.
    Number,
    /// One address of the network.
    Address,
    /// One user.
    User,
    /// Numbers that differ in their last four digits only.
    Prefix,
    /// One country.
    Country,
    /// All.
    Total,
    /// A limit that the application made itself.
    Own,
}

impl Of {
    /// The word for it in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Address => "address",
            Self::User => "user",
            Self::Prefix => "prefix",
            Self::Country => "country",
            Self::Total => "total",
            Self::Own => "own",
        }
    }
}

/// One budget in its present window.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Budget {
    /// What it is counted under. It holds no number and no address in clear.
    pub key: String,
    /// When its window ends.
    pub ends_at: Timestamp,
    /// So many and no more.
    pub most: u32,
    /// What it is of.
    pub of: Of,
}

impl Budget {
    /// A budget in the window that `now` is in. The key says the length too, so that each window has a count of its own.
    pub fn new(of: Of, name: &str, cap: Cap, now: Timestamp) -> Self {
        let seconds = i64::from(cap.seconds.max(1));
        let end = (now.as_second().div_euclid(seconds) + 1).saturating_mul(seconds);
        let ends_at = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
        Self { key: format!("{}/{name}/{seconds}", of.as_str()), ends_at, most: cap.most, of }
    }
}

/// The country of a number, if codes may go there.
pub fn allowed_country(limits: &Limits, number: PhoneNumber) -> Option<Country> {
    Country::of(number).filter(|country| limits.countries.contains(country))
}

/// A number without its last four digits, which is what pumping varies: `+1415555`.
pub fn prefix(number: PhoneNumber) -> String {
    match number.digits() / 10_000 {
        0 => "+".to_owned(),
        prefix => format!("+{prefix}"),
    }
}

/// All budgets that one send counts in, sorted by their keys.
pub fn budgets(
    limits: &Limits,
    scope: Scope<'_>,
    number: PhoneNumber,
    country: Country,
    asker: &Asker,
    tags: &TagKey,
    now: Timestamp,
) -> Vec<Budget> {
    let (own, shared) = match scope {
        Scope::Console => ("console", "console"),
        Scope::Application(id) => (id, "applications"),
    };
    let mut budgets = Vec::new();
    let mut count = |of: Of, name: &str, caps: &[Cap]| {
        budgets.extend(caps.iter().map(|cap| Budget::new(of, name, *cap, now)));
    };
    let tag = tags.tag("number", &number.to_string());
    count(Of::Number, &format!("{shared}/{tag}"), &limits.number);
    if let Some(address) = asker.address {
        let tag = tags.tag("address", &network(address));
        count(Of::Address, &format!("{own}/{tag}"), &limits.address);
    }
    if let Some(user) = &asker.user {
        count(Of::User, &format!("{own}/{}", tags.tag("user", user)), &limits.user);
    }
    count(Of::Prefix, &format!("{own}/{}", prefix(number)), &limits.prefix);
    count(Of::Country, &format!("{own}/{country}"), &limits.country);
    count(Of::Total, own, &limits.total);
    budgets.sort();
    budgets
}

/// What one household or server has: an IPv4 address, or the first 64 bits of an IPv6 one.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            std::net::Ipv6Addr::from(network).to_string()
        }
    }
}

/// A prefix is stopped when so many more codes were sent than entered.
pub const STOPPED_AFTER: u32 = 50;

/// How long a prefix is stopped.
pub const STOPPED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What an entered code takes off the balance: a prefix where one code in four is entered is never stopped, one where
/// none is after [`STOPPED_AFTER`] sends.
const WORTH: u32 = 4;

/// How many codes to one prefix were sent and not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conversion {
    /// Sends without an entered code, less what entered codes are worth.
    pub balance: u32,
    /// Nothing is sent there before this time.
    pub stopped_until: Option<Timestamp>,
}

/// The prefix is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Until when.
    pub until: Timestamp,
}

impl Conversion {
    /// With one more send, or that there must be none. The one that makes it too many stops the prefix: from then on it
    /// [is stopped](Self::stopped_until). After its time it begins anew.
    pub fn sent(self, now: Timestamp) -> Result<Self, Stopped> {
        let balance = match self.stopped_until {
            Some(until) if now < until => return Err(Stopped { until }),
            Some(_) => 0,
            None => self.balance,
        };
        let balance = balance.saturating_add(1);
        let stopped_until =
            (balance >= STOPPED_AFTER).then(|| now.saturating_add(STOPPED_FOR).unwrap_or(Timestamp::MAX));
        Ok(Self { balance, stopped_until })
    }

    /// With one code that was entered. It does not open a prefix that is stopped.
    #[must_use]
    pub fn converted(self) -> Self {
        Self { balance: self.balance.saturating_sub(WORTH), ..self }
    }

    /// Without one send that was asked for at that time and never left: nobody could enter its code. A prefix that was
    /// stopped with it among the others is open again.
    #[must_use]
    pub fn taken_back(self, asked_at: Timestamp, now: Timestamp) -> Self {
        let is_counted = self.stopped_until.is_none_or(|until| {
            // Of what goes to known numbers of a stopped prefix nothing is counted, and after its time all begins anew.
            now < until && until.duration_since(asked_at) >= STOPPED_FOR
        });
        if !is_counted {
            return self;
        }
        Self { balance: self.balance.saturating_sub(1), stopped_until: None }
    }
}

#[cfg(test)]
mod tests;
