//! What a price book is made of, as it is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_model::{Amount, Country, Sid};
use serde::{Deserialize, Serialize};

use super::Fee;
use crate::scope::DialPrefix;

/// The part of a price book that is learnt and kept: one document for each account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// Counts up with each change, so that a charge can say by which prices it was made.
    pub version: u64,
    /// What all prices are in: `USD`.
    pub currency: String,
    /// Messages, by the country of ISO 3166 that Twilio lists them under.
    #[serde(default)]
    pub messages: BTreeMap<String, Learnt<Vec<NetworkPrices>>>,
    /// Calls, by the country that Twilio lists them under.
    #[serde(default)]
    pub calls: BTreeMap<String, Learnt<Vec<PrefixPrice>>>,
    /// Rent of numbers a month, by country.
    #[serde(default)]
    pub numbers: BTreeMap<String, Learnt<Vec<NumberTypePrice>>>,
}

/// Something that was learnt from somebody at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt<T> {
    /// From whom.
    pub from: Source,
    /// When.
    pub at: Timestamp,
    /// What.
    pub is: T,
}

/// From whom a price is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// From Twilio's Pricing API, with this account's own credentials.
    Account(Sid),
    /// From the operator.
    Operator,
    /// From this program: a guess upwards.
    BuiltIn,
}

/// What a segment to one network costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkPrices {
    /// The network; none where Twilio names none.
    #[serde(default)]
    pub network: Option<Network>,
    /// By the kind of number that it is sent from.
    pub prices: Vec<NumberTypePrice>,
}

/// A mobile network: its country code and its own (ITU-T E.212).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Mobile country code: `262`.
    pub mcc: String,
    /// Mobile network code: `01`.
    pub mnc: String,
}

/// A price for one kind of number; none where Twilio tells none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberTypePrice {
    /// Of which kind.
    pub number_type: NumberType,
    /// How much.
    pub price: Option<Amount>,
}

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberType {
    /// A number of a place.
    Local,
    /// A number of a mobile network.
    Mobile,
    /// A number of a country.
    National,
    /// A number that the caller does not pay for.
    TollFree,
    /// Three to eight digits.
    ShortCode,
    /// One that Twilio names and this program does not know: it may be any.
    Other,
}

/// What a minute to some prefixes costs; no price where Twilio tells none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixPrice {
    /// Who is called: the beginnings of their numbers.
    pub to: Vec<DialPrefix>,
    /// Who calls; empty for everybody.
    #[serde(default)]
    pub from: Vec<DialPrefix>,
    /// How much.
    pub price: Option<Amount>,
}

/// Why prices are not taken into a book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrices {
    /// A price below nothing.
    #[error("a price is below 0: {0}")]
    Negative(Amount),
    /// What nobody knows the price of is never free.
    #[error("an unknown price must be more than 0")]
    UnknownIsFree,
    /// Amounts of two currencies cannot be compared.
    #[error("the prices are in {learnt}, and the book is in {book}")]
    OtherCurrency {
        /// What was learnt.
        learnt: String,
        /// What the book has.
        book: String,
    },
    /// Without a prefix the next shorter one would win, which may be cheaper.
    #[error("{0:?} is not the beginning of a phone number: 1 to 15 digits, of which the first is not 0")]
    Prefix(String),
}

/// Prices that the operator has set. They win over whatever was learnt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Prices by destination.
    #[serde(default)]
    pub destinations: Vec<Override>,
    /// Prices that do not depend on it.
    #[serde(default)]
    pub fees: BTreeMap<Fee, Amount>,
}

/// A price that the operator has set for some destinations. The longest prefix wins over a shorter one, a prefix over a
/// country, and a country over everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Of what.
    pub kind: Kind,
    /// Where.
    pub place: Place,
    /// How much.
    pub price: Amount,
}

/// What has a price by destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A segment of a text message, all but carrier fees.
    Segment,
    /// A message with media, all but carrier fees.
    Mms,
    /// What carriers take for a segment or a message with media.
    CarrierFee,
    /// A message of WhatsApp, with what Meta takes.
    Whatsapp,
    /// A message of RCS.
    Rcs,
    /// A minute of a call.
    Minute,
    /// A month of a number.
    Number,
}

/// Some destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Numbers with this beginning.
    Prefix(DialPrefix),
    /// Numbers of this country.
    Country(Country),
    /// All numbers.
    Everywhere,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Segment, Self::Mms, Self::CarrierFee, Self::Whatsapp, Self::Rcs, Self::Minute, Self::Number];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Mms => "mms",
            Self::CarrierFee => "carrier-fee",
            Self::Whatsapp => "whatsapp",
            Self::Rcs => "rcs",
            Self::Minute => "minute",
            Self::Number => "number",
        }
    }
}

impl NumberType {
    /// Reads what Twilio writes: `local`, `toll free`, `shortcode`.
    pub fn of(name: Option<&str>) -> Self {
        let letters = name.unwrap_or_default().chars().filter(char::is_ascii_alphabetic);
        match letters.map(|it| it.to_ascii_lowercase()).collect::<String>().as_str() {
            "local" | "longcode" => Self::Local,
            "mobile" => Self::Mobile,
            "national" => Self::National,
            "tollfree" => Self::TollFree,
            "shortcode" => Self::ShortCode,
            _ => Self::Other,
        }
    }
}

impl Prices {
    /// None yet.
    pub fn new(currency: &str) -> Self {
        Self {
            version: 0,
            currency: currency.to_ascii_uppercase(),
            messages: BTreeMap::new(),
            calls: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// Takes in what messages to a country cost. The country's old prices are replaced.
    pub fn learn_messages(
        &mut self,
        country: &str,
        currency: &str,
        rows: Learnt<Vec<NetworkPrices>>,
    ) -> Result<(), InvalidPrices> {
        self.is_own_currency(currency)?;
        not_negative(rows.is.iter().flat_map(|row| &row.prices).filter_map(|it| it.price))?;
        self.messages.insert(country.to_owned(), rows);
        Ok(())
    }

    /// Takes in what calls to a country cost. The country's old prices are replaced.
    pub fn learn_calls(
        &mut self,
        country: &str,
        currency: &str,
        rows: Learnt<Vec<PrefixPrice>>,
    ) -> Result<(), InvalidPrices> {
        self.is_own_currency(currency)?;
        not_negative(rows.is.iter().filter_map(|row| row.price))?;
        self.calls.insert(country.to_owned(), rows);
        Ok(())
    }

    /// Takes in what numbers of a country cost a month. The country's old prices are replaced.
    pub fn learn_numbers(
        &mut self,
        country: &str,
        currency: &str,
        rows: Learnt<Vec<NumberTypePrice>>,
    ) -> Result<(), InvalidPrices> {
        self.is_own_currency(currency)?;
        not_negative(rows.is.iter().filter_map(|row| row.price))?;
        self.numbers.insert(country.to_owned(), rows);
        Ok(())
    }

    /// Whether no price is below nothing: what was kept may have been changed by hand.
    pub(super) fn check_all(&self) -> Result<(), InvalidPrices> {
        let messages =
            self.messages.values().flat_map(|it| &it.is).flat_map(|it| &it.prices).map(|it| it.price);
        let calls = self.calls.values().flat_map(|it| &it.is).map(|it| it.price);
        let numbers = self.numbers.values().flat_map(|it| &it.is).map(|it| it.price);
        not_negative(messages.chain(calls).chain(numbers).flatten())
    }

    fn is_own_currency(&self, learnt: &str) -> Result<(), InvalidPrices> {
        if self.currency.eq_ignore_ascii_case(learnt) {
            return Ok(());
        }
        Err(InvalidPrices::OtherCurrency { learnt: learnt.to_owned(), book: self.currency.clone() })
    }
}

fn not_negative(mut prices: impl Iterator<Item = Amount>) -> Result<(), InvalidPrices> {
    prices
        .find(|price| *price < Amount::ZERO)
        .map_or(Ok(()), |negative| Err(InvalidPrices::Negative(negative)))
}
