//! What a virtual credential may do, as the words that its row has in `scopes`.
//!
//! The one idea: what is not written is not allowed, and a word that is not understood makes the whole credential
//! worthless. So a node of an older version never reads a restriction that it does not know as none at all.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ringfence_model::{PhoneNumber, Sid};
use thiserror::Error;

/// The kind of a credential that opens the egress.
pub const EGRESS: &str = "egress";

/// What a virtual credential may do at Twilio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressScopes {
    /// For which accounts.
    pub accounts: EgressAccounts,
    /// Which kinds of operations.
    pub operations: BTreeSet<EgressArea>,
    /// Whom it may reach; empty: everybody.
    pub destinations: Vec<EgressDestination>,
    /// As whom it may send: numbers, sender IDs, Messaging Services (`MG…`), Verify services (`VA…`), as Twilio's `From`,
    /// `MessagingServiceSid` and paths have them; empty: as whomever the account has.
    pub senders: Vec<String>,
    /// For whom of the application's own customers, where limits hold for each of them.
    pub tenant: Option<String>,
}

/// The accounts that a virtual credential is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressAccounts {
    /// Every account that has an auth token here.
    All,
    /// These alone; never none.
    Listed(BTreeSet<Sid>),
}

/// A kind of operations, as a credential is given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EgressArea {
    /// Sending messages, and all that concerns a message: its status, its media.
    Messages,
    /// Making calls, and all that concerns one: conferences, queues, recordings.
    Calls,
    /// Codes of Twilio Verify.
    Verifications,
    /// Looking up numbers.
    Lookups,
    /// Buying, configuring and releasing numbers.
    Numbers,
    /// Reading what belongs to nothing above: usage, prices, alerts, the account itself.
    Reads,
    /// Changing how the account is set up: applications, services, SIP, permissions.
    Settings,
    /// Changing and listing accounts.
    Accounts,
    /// What this version does not know, where the configuration passes it at all.
    Unknown,
}

/// Whom a virtual credential may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressDestination {
    /// Numbers of a country, by its two letters (ISO 3166-1).
    Country([u8; 2]),
    /// Destinations that begin with this: `+1415`, `whatsapp:+44`, `client:`.
    Prefix(String),
}

/// A word of a credential's scopes that is not understood; nothing of it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{word}\" is no scope of a virtual credential: {why}")]
pub struct UnknownScope {
    /// The word.
    pub word: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl EgressArea {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Messages,
        Self::Calls,
        Self::Verifications,
        Self::Lookups,
        Self::Numbers,
        Self::Reads,
        Self::Settings,
        Self::Accounts,
        Self::Unknown,
    ];
    /// What a credential may do where nobody says anything else.
    pub const DEFAULT: [Self; 4] = [Self::Messages, Self::Calls, Self::Verifications, Self::Lookups];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Calls => "calls",
            Self::Verifications => "verifications",
            Self::Lookups => "lookups",
            Self::Numbers => "numbers",
            Self::Reads => "reads",
            Self::Settings => "settings",
            Self::Accounts => "accounts",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for EgressArea {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for EgressArea {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|area| area.name() == text);
        known.ok_or(
            "is none of messages, calls, verifications, lookups, numbers, reads, settings, accounts, unknown",
        )
    }
}

impl EgressAccounts {
    /// Whether it is for this account.
    pub fn contains(&self, account: Sid) -> bool {
        match self {
            Self::All => true,
            Self::Listed(listed) => listed.contains(&account),
        }
    }

    /// The accounts that it names; nothing where it is for all.
    pub fn listed(&self) -> Option<&BTreeSet<Sid>> {
        match self {
            Self::All => None,
            Self::Listed(listed) => Some(listed),
        }
    }

    /// The account, where it is for exactly one.
    pub fn the_one(&self) -> Option<Sid> {
        match self {
            Self::Listed(listed) if listed.len() == 1 => listed.first().copied(),
            _ => None,
        }
    }
}

impl FromStr for EgressDestination {
    type Err = &'static str;

    /// Reads `US`, `+1415`, or a prefix with a channel, such as `whatsapp:+44` and `client:`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if let [first, second] = bytes
            && first.is_ascii_uppercase()
            && second.is_ascii_uppercase()
        {
            return Ok(Self::Country([*first, *second]));
        }
        let (channel, number) = text.split_once(':').map_or((None, text), |(name, rest)| (Some(name), rest));
        let is_channel = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let digits = number.strip_prefix('+');
        let is_number = digits
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match channel {
            None if is_number => Ok(Self::Prefix(text.to_owned())),
            Some(name) if is_channel(name) && number.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(Self::Prefix(text.to_owned()))
            }
            _ => Err(
                "a destination is a country's two capital letters, or a beginning such as +1415 or client:",
            ),
        }
    }
}

/// No number that sends has fewer than seven digits.
const NUMBER_MIN: u64 = 1_000_000;

/// Reads a sender that a credential shows, as it is written where one is made: a number, a Messaging Service (`MG…`), a Verify
/// service (`VA…`), an address with a channel, or a sender ID. Half a number or SID would match nothing that is ever sent.
pub fn parse_sender(text: &str) -> Result<String, &'static str> {
    let is_fine = match text.get(..2) {
        // A sender ID has eleven letters at most.
        Some(kind @ ("MG" | "VA")) if text.len() > 11 => Sid::parse(text).is_ok_and(|sid| sid.is(kind)),
        _ if text.starts_with('+') => {
            PhoneNumber::parse(text).is_ok_and(|number| number.digits() >= NUMBER_MIN)
        }
        _ => !text.is_empty(),
    };
    if is_fine {
        Ok(text.to_owned())
    } else {
        Err(
            "a sender is a whole number such as +14155550101, a whole SID that begins with MG or VA, or a sender ID",
        )
    }
}

impl fmt::Display for EgressDestination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country([first, second]) => {
                write!(formatter, "{}{}", char::from(*first), char::from(*second))
            }
            Self::Prefix(prefix) => formatter.write_str(prefix),
        }
    }
}

impl EgressScopes {
    /// For these accounts, with the operations of the default, to everybody, as anybody.
    pub fn for_accounts(accounts: EgressAccounts) -> Self {
        Self {
            accounts,
            operations: EgressArea::DEFAULT.into_iter().collect(),
            destinations: Vec::new(),
            senders: Vec::new(),
            tenant: None,
        }
    }

    /// As [`NewCredential`](crate::NewCredential) takes them.
    pub fn to_words(&self) -> Vec<String> {
        let mut words = match &self.accounts {
            EgressAccounts::All => vec!["account=*".to_owned()],
            EgressAccounts::Listed(listed) => listed.iter().map(|sid| format!("account={sid}")).collect(),
        };
        words.extend(self.operations.iter().map(|area| format!("operation={area}")));
        words.extend(self.destinations.iter().map(|destination| format!("destination={destination}")));
        words.extend(self.senders.iter().map(|sender| format!("sender={sender}")));
        words.extend(self.tenant.iter().map(|tenant| format!("tenant={tenant}")));
        words
    }

    /// Reads what a row has.
    pub fn parse<W: AsRef<str>>(words: &[W]) -> Result<Self, UnknownScope> {
        let (mut all, mut listed) = (false, BTreeSet::new());
        let mut scopes = Self::for_accounts(EgressAccounts::All);
        scopes.operations.clear();
        for word in words.iter().map(AsRef::as_ref) {
            let wrong = |why| UnknownScope { word: word.to_owned(), why };
            match word.split_once('=').ok_or_else(|| wrong("it has no `=`"))? {
                ("account", "*") => all = true,
                ("account", sid) => {
                    let sid = Sid::parse(sid).ok().filter(|sid| sid.is("AC"));
                    listed.insert(sid.ok_or_else(|| wrong("it names no account"))?);
                }
                ("operation", area) => {
                    scopes.operations.insert(area.parse().map_err(wrong)?);
                }
                ("destination", text) => scopes.destinations.push(text.parse().map_err(wrong)?),
                ("sender", "") => return Err(wrong("it names no sender")),
                ("sender", sender) => scopes.senders.push(sender.to_owned()),
                ("tenant", tenant) if !tenant.is_empty() && scopes.tenant.is_none() => {
                    scopes.tenant = Some(tenant.to_owned());
                }
                ("tenant", _) => return Err(wrong("a credential has one tenant, or none")),
                _ => return Err(wrong("this version does not know it")),
            }
        }
        match (all, listed.is_empty()) {
            (true, true) => {}
            (false, false) => scopes.accounts = EgressAccounts::Listed(listed),
            (true, false) => {
                return Err(UnknownScope {
                    word: "account=*".to_owned(),
                    why: "accounts are listed beside it",
                });
            }
            (false, true) => {
                return Err(UnknownScope { word: "account".to_owned(), why: "no account is named" });
            }
        }
        Ok(scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "account=AC00000000000000000000000000000001";

    #[test]
    fn a_sender_is_whole_or_an_id_of_letters() {
        let service = "MG00000000000000000000000000000001";
        for text in ["+14155550101", service, "VALVE", "MGM", "Owl Bank", "whatsapp:+14155550101", "12345"] {
            assert_eq!(parse_sender(text).as_deref(), Ok(text));
        }
        for text in ["", "+", "+1415", "+0415555010", "+1415555010x", &service[..33], "VA00000000000000zz"] {
            assert!(parse_sender(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_makes_all_of_it_worthless() {
        for word in [
            "account",
            "account=",
            "account=SK00000000000000000000000000000001",
            "operation=everything",
            "operation=",
            "destination=",
            "destination=us",
            "destination=USA",
            "destination=+",
            "destination=1415",
            "destination=:+1",
            "sender=",
            "tenant=",
            "weekdays=monday",
            "",
        ] {
            assert!(EgressScopes::parse(&[ACCOUNT, word]).is_err(), "{word}");
        }
        assert!(EgressScopes::parse(&[ACCOUNT, "account=*"]).is_err(), "one of them was a mistake");
        assert!(EgressScopes::parse(&[ACCOUNT, "tenant=a", "tenant=b"]).is_err());
        assert!(EgressScopes::parse::<&str>(&[]).is_err(), "for no account");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let account = Sid::new(*b"AC", 1);
        let scopes = EgressScopes {
            operations: EgressArea::ALL.into_iter().collect(),
            destinations: ["US", "+1415", "whatsapp:+44", "client:"].map(|it| it.parse().unwrap()).to_vec(),
            senders: vec!["+15550006789".to_owned(), "ACME".to_owned()],
            tenant: Some("customer=7".to_owned()),
            ..EgressScopes::for_accounts(EgressAccounts::Listed([account].into()))
        };
        assert_eq!(EgressScopes::parse(&scopes.to_words()), Ok(scopes.clone()));
        assert_eq!(scopes.accounts.the_one(), Some(account));
        let all = EgressScopes::for_accounts(EgressAccounts::All);
        assert_eq!(EgressScopes::parse(&all.to_words()), Ok(all.clone()));
        assert_eq!(all.accounts.the_one(), None);
    }

    #[test]
    fn without_an_operation_nothing_is_allowed() {
        assert_eq!(EgressScopes::parse(&[ACCOUNT]).unwrap().operations, BTreeSet::new());
    }
}
