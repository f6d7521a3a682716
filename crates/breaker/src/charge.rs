//! The worst price of one request, known before it is sent.
//!
//! A request is told in typed values ([`Message`], [`Call`], [`Verification`], …), each of which a [`PriceBook`] makes a
//! [`Charge`] of: lines that name every usage category in which Twilio may count them. What the request does not say is
//! taken at its dearest. Nothing overflows: what cannot be counted costs [`Amount::MAX`].

mod assignment;
mod call;
pub mod categories;
mod lookup;
mod message;
mod number;
mod recipient;
mod twiml;
mod verify;

use ringfence_model::{Amount, Country};
use thiserror::Error;

pub use assignment::AssignedCall;
pub use call::{Call, TimeLimit, Timed, minutes};
pub use lookup::{Lookup, LookupVersion};
pub use message::{Body, Message};
pub use number::Purchase;
pub use recipient::{Channel, Recipient, Sender};
pub use twiml::{Dial, Media, Noun, Verb};
pub use verify::{Approval, Verification, VerificationChannel};

use crate::limit::Measure;
use crate::price_book::Fee;

/// The worst price of one request, never less than what Twilio can bill for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Charge {
    /// Its parts. All of them are billed together.
    pub lines: Vec<Line>,
}

/// One part of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Every usage category in which Twilio may count it: leaves and ancestors, `totalprice` too.
    pub categories: &'static [&'static str],
    /// Money.
    pub price: Amount,
    /// In the unit of its categories: segments, minutes.
    pub usage: Amount,
    /// How often: messages, calls.
    pub count: Amount,
}

/// Why a request has no price. It is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unpriced {
    /// No price of messages to this country is known; none where the number is no country's.
    #[error("no price is known of messages to {}", place(*.0))]
    Segment(Option<Country>),
    /// No price of calls to this country is known.
    #[error("no price is known of calls to {}", place(*.0))]
    Minute(Option<Country>),
    /// No price of numbers of this country is known.
    #[error("no price is known of phone numbers of {0}")]
    Number(Country),
    /// A fee in a currency of which this program knows none.
    #[error("no price is known of `{0}` in this currency: set it in `prices` of [egress]")]
    Fee(Fee),
    /// A recipient that is neither a phone number nor an address of a channel that has a price.
    #[error(
        "no price is known for this kind of recipient: write phone numbers in E.164, as +14155550100; in a form the + is %2B"
    )]
    Recipient,
    /// A part of a lookup that is not known.
    #[error("no price is known of the lookup `{0}`")]
    Lookup(String),
    /// A channel of Verify that is not known.
    #[error("no price is known of verifications over `{0}`")]
    VerificationChannel(String),
    /// A media service of TwiML that is not known.
    #[error("no price is known of this TwiML")]
    Twiml,
}

fn place(country: Option<Country>) -> String {
    country.map_or_else(|| "numbers of no country".to_owned(), |it| it.to_string())
}

impl Charge {
    /// How much of a category it may use. The usage of `totalprice` is money, as at Twilio.
    pub fn amount(&self, measure: Measure, category: &str) -> Amount {
        sum(&self.lines, measure, category)
    }

    /// The worst price.
    pub fn price(&self) -> Amount {
        self.amount(Measure::Price, categories::TOTAL_PRICE)
    }

    /// The part of [`amount`](Self::amount) that Twilio's lists of messages and calls tell the true price of: the message or
    /// the call itself, which is the first line. What is billed beside it (carrier fees, recordings, checks) only usage
    /// records tell.
    pub fn told(&self, measure: Measure, category: &str) -> Amount {
        sum(self.lines.first(), measure, category)
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self
    }

    /// A charge of one line that is counted once.
    fn once(categories: &'static [&'static str], price: Amount) -> Self {
        Self { lines: vec![Line::once(categories, price)] }
    }
}

fn sum<'l>(lines: impl IntoIterator<Item = &'l Line>, measure: Measure, category: &str) -> Amount {
    let lines = lines.into_iter().filter(|line| line.categories.contains(&category));
    let amounts = lines.map(|line| match measure {
        Measure::Usage if category == categories::TOTAL_PRICE => line.price,
        Measure::Price => line.price,
        Measure::Usage => line.usage,
        Measure::Count => line.count,
        // A limit of a share takes nothing of what is sent.
        Measure::Delivery | Measure::Conversion => Amount::ZERO,
    });
    amounts.fold(Amount::ZERO, Amount::saturating_add)
}

impl Line {
    /// Something that is counted once, in units that are single things.
    fn once(categories: &'static [&'static str], price: Amount) -> Self {
        Self::of(categories, price, 1, 1)
    }

    /// So many units, each at a price.
    fn each(categories: &'static [&'static str], price: Amount, units: u64) -> Self {
        Self::of(categories, price.saturating_mul(units), units, 1)
    }

    fn of(categories: &'static [&'static str], price: Amount, usage: u64, count: u64) -> Self {
        let one = Amount::from_units(1);
        Self { categories, price, usage: one.saturating_mul(usage), count: one.saturating_mul(count) }
    }
}
