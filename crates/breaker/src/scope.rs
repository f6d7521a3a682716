//! Whom a limit holds for.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use ringfence_model::{Country, PhoneNumber, Sid};
use serde::{Deserialize, Serialize};

/// The accounts that a limit holds for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One account.
    Account(Sid),
    /// The parent accounts themselves, without their subaccounts.
    Parent,
    /// Every subaccount.
    Subaccounts,
    /// Subaccounts that are created after the limit was applied first.
    NewSubaccounts,
    /// Subaccounts whose friendly name matches.
    Name(NamePattern),
    /// Parents and subaccounts.
    All,
    /// What goes through the egress for this tenant, as the credential names it.
    Tenant(String),
    /// What goes through the egress with this virtual credential.
    Credential(Sid),
    /// What goes through the egress to numbers that begin so.
    Destination(Vec<DialPrefix>),
}

/// What a scope is asked about.
#[derive(Debug, Clone, Copy)]
pub struct ScopedAccount<'a> {
    /// The account.
    pub sid: Sid,
    /// Its parent; none where it is one itself.
    pub parent: Option<Sid>,
    /// Its name at Twilio.
    pub friendly_name: &'a str,
    /// When it was created at Twilio.
    pub created: Timestamp,
}

impl Scope {
    /// Whether the account is in it. `since` is when the limit was applied first.
    pub fn contains(&self, account: &ScopedAccount<'_>, since: Timestamp) -> bool {
        match self {
            Self::Account(sid) => *sid == account.sid,
            Self::Parent => account.parent.is_none(),
            Self::Subaccounts => account.parent.is_some(),
            Self::NewSubaccounts => account.parent.is_some() && account.created >= since,
            Self::Name(pattern) => account.parent.is_some() && pattern.matches(account.friendly_name),
            Self::All => true,
            // Requests are in these, and no account as such is.
            Self::Tenant(_) | Self::Credential(_) | Self::Destination(_) => false,
        }
    }
}

/// How a telephone number begins: `+`, the country code and more digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DialPrefix(u64);

/// The text is not `+` and 1 to 15 digits of which the first is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a prefix is + and the digits that a number begins with, such as +44 or +4479")]
pub struct InvalidDialPrefix;

impl DialPrefix {
    /// The beginning that a number is counted under where each has an amount of its own: the country code and the digit
    /// after it, which mostly tells mobile numbers from others; in North America the area code, since islands whose
    /// numbers cost a hundred times as much share the country code (ITU-T E.164, annex A).
    pub fn of(number: PhoneNumber) -> Self {
        let digits = number.digits();
        let length = digits.checked_ilog10().unwrap_or(0) + 1;
        let first = |count: u32| digits / 10_u64.pow(length.saturating_sub(count));
        let counted = match number.calling_code() {
            code @ 2..=99 => code.ilog10() + 2,
            // North America, and codes of three digits.
            _ => 4,
        };
        Self(first(counted))
    }

    /// The place by which it is known whether anything was sent there before: the beginning itself, but the United States and
    /// Canada are one place. There area codes tell states and not prices, and who sends to one sends to all.
    #[must_use]
    pub fn place(self) -> Self {
        // Any number of the area code: whose it is, the area code says.
        let digits = self.0.saturating_mul(10_000_000).saturating_add(5_550_100);
        let number = PhoneNumber::parse(&format!("+{digits}"));
        let is_north_american = self.0 / 1_000 == 1
            && number.ok().and_then(Country::of_plan).is_some_and(|it| matches!(it.as_str(), "US" | "CA"));
        if is_north_american { Self(1) } else { self }
    }

    /// The beginning under which every number that begins so is counted: of `+4479` it is `+447`, of `+447` itself; none
    /// where they are counted under several, as those of `+44` are.
    pub fn counted(self) -> Option<Self> {
        // Numbers have fifteen digits at most, and what a number is counted under are four at most.
        let longest = |digit: u64| {
            let digits = (self.digits()..15).fold(self.0, |digits, _| digits * 10 + digit);
            PhoneNumber::parse(&format!("+{digits}")).ok().map(Self::of)
        };
        let (first, last) = (longest(0)?, longest(9)?);
        (first == last).then_some(first)
    }

    /// Reads its digits, without a `+`.
    pub fn of_digits(digits: &str) -> Result<Self, InvalidDialPrefix> {
        let well_formed = (1..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !well_formed {
            return Err(InvalidDialPrefix);
        }
        digits.parse().map(Self).map_err(|_| InvalidDialPrefix)
    }

    /// All beginnings of a number, from the longest on.
    pub fn all_of(number: PhoneNumber) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(number.digits()), |digits| Some(digits / 10).filter(|it| *it > 0))
            .map(Self)
    }

    /// How many digits it has.
    pub fn digits(self) -> u32 {
        self.0.checked_ilog10().map_or(0, |log| log + 1)
    }

    /// Whether the number begins so.
    pub fn begins(self, number: PhoneNumber) -> bool {
        let mut digits = number.digits();
        while digits > self.0 {
            digits /= 10;
        }
        digits == self.0
    }
}

impl FromStr for DialPrefix {
    type Err = InvalidDialPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidDialPrefix> {
        Self::of_digits(text.strip_prefix('+').ok_or(InvalidDialPrefix)?)
    }
}

impl TryFrom<String> for DialPrefix {
    type Error = InvalidDialPrefix;

    fn try_from(text: String) -> Result<Self, InvalidDialPrefix> {
        text.parse()
    }
}

impl From<DialPrefix> for String {
    fn from(prefix: DialPrefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for DialPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "+{}", self.0)
    }
}

/// A friendly name in which `*` stands for any characters and `?` for one. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamePattern(String);

impl NamePattern {
    /// A pattern. Every text is one; an empty one matches only an empty name.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether the whole name matches. The time is at most the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let name: Vec<char> = name.chars().collect();
        let (mut at_pattern, mut at_name) = (0, 0);
        // Where the last star was, and how much of the name it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while at_name < name.len() {
            match pattern.get(at_pattern) {
                Some('*') => {
                    star = Some((at_pattern, at_name));
                    at_pattern += 1;
                }
                Some(wanted) if *wanted == '?' || *wanted == name[at_name] => {
                    at_pattern += 1;
                    at_name += 1;
                }
                _ => match &mut star {
                    // The star takes one more, and what stands behind it is tried from there.
                    Some((star_at, taken)) => {
                        *taken += 1;
                        (at_pattern, at_name) = (*star_at, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern[at_pattern..].iter().all(|it| *it == '*')
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What one breaker watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One account of the limit's scope.
    Account(Sid),
    /// All of them together.
    Together,
    /// All of them, to numbers that begin so.
    Prefix(DialPrefix),
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(sid) => sid.fmt(formatter),
            Self::Together => formatter.write_str("together"),
            Self::Prefix(prefix) => prefix.fmt(formatter),
        }
    }
}

impl FromStr for Subject {
    type Err = ringfence_model::InvalidSid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "together" {
            Ok(Self::Together)
        } else if let Ok(prefix) = text.parse() {
            Ok(Self::Prefix(prefix))
        } else {
            Sid::parse(text).map(Self::Account)
        }
    }
}
