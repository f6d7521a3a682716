//! What things cost: the account's own prices as Twilio's Pricing API tells them, and what the operator says.
//!
//! A [`PriceBook`] never answers less than what Twilio can take. Where several prices are possible (networks, kinds of
//! sender, countries that share a numbering plan) the dearest is the answer; where none is known, the answer is
//! [`Unpriced`] or the operator's worst price, never nothing.
//!
//! [`Prices`] is what is learnt and kept, [`Rules`] what the operator has configured; a book is made of both and does not
//! change: other prices are another book, and what was set aside by the old one stays as it was.

mod fee;
mod rows;

use std::collections::HashMap;

use ringfence_model::{Amount, Country, PhoneNumber};
use serde::{Deserialize, Serialize};

pub use fee::Fee;
pub use rows::{
    InvalidPrices, Kind, Learnt, Network, NetworkPrices, NumberType, NumberTypePrice, Override, Overrides,
    Place, PrefixPrice, Prices, Source,
};

use crate::charge::{Sender, Unpriced};
use crate::scope::DialPrefix;

/// What things cost one account.
#[derive(Debug, Clone)]
pub struct PriceBook {
    prices: Prices,
    rules: Rules,
    /// The rows of all countries by the prefix that is called: the longest prefix wins, whoever lists it.
    minutes: HashMap<DialPrefix, Vec<Minute>>,
}

/// What the operator has configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Prices that win over what was learnt.
    pub overrides: Overrides,
    /// What holds where no price is known.
    pub unknown: Unknown,
    /// What is assumed of requests that do not say it.
    pub assumed: Assumptions,
}

/// What holds where no price is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The request is refused.
    #[default]
    Refuse,
    /// Each segment, minute, lookup or month costs so much.
    Costs(Amount),
}

/// What is assumed of requests that do not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumptions {
    /// Segments of a body that is not in the request (`ContentSid`). Twilio takes 1600 UTF-16 units at most, which are 25
    /// segments of UCS-2 when pairs are not torn.
    pub unknown_body_segments: u32,
    /// Segments of a code that Verify sends, in the longest language.
    pub verification_segments: u32,
    /// Whether a Verify service may look up each number first (`LookupEnabled`).
    pub verify_looks_up: bool,
    /// Seconds of a call in which Verify speaks a code.
    pub verification_call_seconds: u32,
    /// The `TimeLimit` in seconds of a call that has none. Twilio's own is four hours.
    pub call_seconds: u32,
    /// The largest `TimeLimit` in seconds that is let through.
    pub call_seconds_at_most: u32,
    /// Whether a Messaging Service may have a sender of RCS.
    pub services_use_rcs: bool,
    /// Whether the account may have switched on Voice Insights for all its calls.
    pub voice_insights: bool,
}

impl Assumptions {
    /// How long, in seconds, what nobody has bound may go on: Twilio ends a call after four hours where nothing else is said
    /// (<https://www.twilio.com/docs/voice/api/call-resource#create-a-call-resource>), and one of the egress may be longer.
    pub fn longest(&self) -> u32 {
        self.call_seconds_at_most.max(TWILIOS_LONGEST)
    }
}

/// Twilio's own limit of a call, in seconds.
const TWILIOS_LONGEST: u32 = 14_400;

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            unknown_body_segments: 25,
            verification_segments: 3,
            verify_looks_up: true,
            verification_call_seconds: 120,
            call_seconds: 600,
            call_seconds_at_most: 14_400,
            services_use_rcs: true,
            voice_insights: true,
        }
    }
}

/// What a minute to some prefix costs those who call from one of `from`; everybody, where it is empty.
#[derive(Debug, Clone)]
struct Minute {
    from: Vec<DialPrefix>,
    price: Option<Amount>,
}

/// Countries whose numbers cannot be told apart by the prefixes that this program knows: islands in the mobile ranges of
/// their neighbour. The dearest of them is the price for all.
const SHARED: [&[&str]; 9] = [
    &["GB", "GG", "IM", "JE"],
    &["AU", "CC", "CX"],
    &["BQ", "CW"],
    &["AX", "FI"],
    &["BL", "GP", "MF"],
    &["EH", "MA"],
    &["IT", "VA"],
    &["NO", "SJ"],
    &["RE", "YT"],
];

impl PriceBook {
    /// A book of what was learnt and what was configured. A price below nothing, or an unknown one that is free, makes
    /// none.
    pub fn new(prices: Prices, rules: Rules) -> Result<Self, InvalidPrices> {
        prices.check_all()?;
        let set = rules.overrides.destinations.iter().map(|it| it.price);
        let set = set.chain(rules.overrides.fees.values().copied());
        if let Some(negative) = set.into_iter().find(|price| *price < Amount::ZERO) {
            return Err(InvalidPrices::Negative(negative));
        }
        if matches!(rules.unknown, Unknown::Costs(price) if price <= Amount::ZERO) {
            return Err(InvalidPrices::UnknownIsFree);
        }
        let mut minutes: HashMap<DialPrefix, Vec<Minute>> = HashMap::new();
        for row in prices.calls.values().flat_map(|country| &country.is) {
            for to in &row.to {
                minutes.entry(*to).or_default().push(Minute { from: row.from.clone(), price: row.price });
            }
        }
        Ok(Self { prices, rules, minutes })
    }

    /// What was learnt.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What is assumed of requests that do not say it.
    pub fn assumed(&self) -> &Assumptions {
        &self.rules.assumed
    }

    /// What a segment to a number costs without carrier fees: the dearest of what the sender and the network may be.
    pub fn segment(
        &self,
        to: PhoneNumber,
        sender: Sender,
        network: Option<&Network>,
    ) -> Result<Amount, Unpriced> {
        let known = self.set_by_operator(Kind::Segment, to).or_else(|| {
            let country = Country::of(to)?;
            let rows = sharing(country.as_str()).filter_map(|it| self.prices.messages.get(it));
            dearest(rows.filter_map(|rows| dearest_segment(&rows.is, sender, network)))
        });
        self.or_unknown(known, || Unpriced::Segment(Country::of(to)))
    }

    /// What a message with media to a number costs; none where Twilio sends a link to the media instead.
    pub fn mms(&self, to: PhoneNumber) -> Result<Option<Amount>, Unpriced> {
        if let Some(price) = self.set_by_operator(Kind::Mms, to) {
            return Ok(Some(price));
        }
        let fee = match Country::of(to).as_ref().map(Country::as_str) {
            Some("US" | "PR" | "VI" | "GU" | "AS" | "MP") => Fee::MmsUs,
            Some("CA") => Fee::MmsCa,
            Some("AU" | "CC" | "CX") => Fee::MmsAu,
            _ => return Ok(None),
        };
        self.fee(fee).map(Some)
    }

    /// What carriers take: for a segment, and for a message with media.
    pub fn carrier_fees(&self, to: PhoneNumber) -> Result<(Amount, Amount), Unpriced> {
        if let Some(price) = self.set_by_operator(Kind::CarrierFee, to) {
            return Ok((price, price));
        }
        match Country::of_plan(to).as_ref().map(Country::as_str) {
            Some("US" | "PR" | "VI" | "GU" | "AS" | "MP") => {
                Ok((self.fee(Fee::CarrierSmsUs)?, self.fee(Fee::CarrierMmsUs)?))
            }
            Some("CA") => Ok((self.fee(Fee::CarrierSmsCa)?, self.fee(Fee::CarrierMmsCa)?)),
            _ => Ok((Amount::ZERO, Amount::ZERO)),
        }
    }

    /// What a message of WhatsApp costs, a template of the dearest kind.
    pub fn whatsapp(&self, to: Option<PhoneNumber>) -> Result<Amount, Unpriced> {
        match to.and_then(|to| self.set_by_operator(Kind::Whatsapp, to)) {
            Some(price) => Ok(price),
            None => Ok(self.fee(Fee::WhatsappMessage)?.saturating_add(self.fee(Fee::WhatsappTemplate)?)),
        }
    }

    /// What a message of RCS costs: no less than a segment, where that is known.
    pub fn rcs(&self, to: PhoneNumber) -> Result<Amount, Unpriced> {
        match self.set_by_operator(Kind::Rcs, to) {
            Some(price) => Ok(price),
            None => self.fee(Fee::RcsMessage),
        }
    }

    /// What a minute of a call to a number costs, from one number or from the dearest.
    pub fn minute(&self, to: PhoneNumber, from: Option<PhoneNumber>) -> Result<Amount, Unpriced> {
        let known = self.set_by_operator(Kind::Minute, to).or_else(|| self.learnt_minute(to, from));
        self.or_unknown(known, || Unpriced::Minute(Country::of_plan(to)))
    }

    /// What a number costs a month; of the dearest kind, if the kind is not known.
    pub fn number(&self, country: Country, kind: Option<NumberType>) -> Result<Amount, Unpriced> {
        let set = self.rules.overrides.destinations.iter().filter(|it| it.kind == Kind::Number);
        let set = set.filter(|it| it.place == Place::Country(country) || it.place == Place::Everywhere);
        let set = set.max_by_key(|it| it.place != Place::Everywhere).map(|it| it.price);
        let known = set.or_else(|| {
            let rows = &self.prices.numbers.get(country.as_str())?.is;
            let of_kind = rows.iter().filter(|row| kind.is_none_or(|it| row.number_type == it));
            dearest(of_kind.filter_map(|row| row.price))
                .or_else(|| dearest(rows.iter().filter_map(|row| row.price)))
        });
        self.or_unknown(known, || Unpriced::Number(country))
    }

    /// A price that does not depend on the destination. What this program knows by itself is in US dollars.
    pub fn fee(&self, fee: Fee) -> Result<Amount, Unpriced> {
        let built_in = (self.prices.currency == "USD").then(|| fee.built_in());
        let known = self.rules.overrides.fees.get(&fee).copied().or(built_in);
        self.or_unknown(known, || Unpriced::Fee(fee))
    }

    /// The price, or what holds where none is known.
    pub(crate) fn or_unknown(
        &self,
        known: Option<Amount>,
        what: impl FnOnce() -> Unpriced,
    ) -> Result<Amount, Unpriced> {
        match (known, self.rules.unknown) {
            (Some(price), _) | (None, Unknown::Costs(price)) => Ok(price),
            (None, Unknown::Refuse) => Err(what()),
        }
    }

    /// The operator's price with the longest prefix, else that of the country, else that of everywhere.
    fn set_by_operator(&self, kind: Kind, to: PhoneNumber) -> Option<Amount> {
        let of_kind = self.rules.overrides.destinations.iter().filter(|it| it.kind == kind);
        let matching = of_kind.filter_map(|it| match it.place {
            Place::Prefix(prefix) => prefix.begins(to).then(|| (1 + prefix.digits(), it.price)),
            Place::Country(of) => (Country::of_plan(to) == Some(of)).then_some((1, it.price)),
            Place::Everywhere => Some((0, it.price)),
        });
        matching.max().map(|(_, price)| price)
    }

    /// The price of the longest prefix that has one for who calls. A country whose prices were not learnt has none: the
    /// prefix of a neighbour with the same calling code would fit its numbers.
    fn learnt_minute(&self, to: PhoneNumber, from: Option<PhoneNumber>) -> Option<Amount> {
        if let Some(country) = Country::of_plan(to)
            && !sharing(country.as_str()).any(|it| self.prices.calls.contains_key(it))
        {
            return None;
        }
        let mut rows = DialPrefix::all_of(to).filter_map(|prefix| self.minutes.get(&prefix));
        if let Some(from) = from {
            return rows.find_map(|rows| Minute::for_caller(rows, from))?.price;
        }
        // From the longest prefix on, until one has a price for everybody: any of these may hold.
        let mut worst = None;
        for rows in rows {
            worst = worst.max(dearest(rows.iter().filter_map(|row| row.price)));
            if rows.iter().any(|row| row.from.is_empty()) {
                break;
            }
        }
        worst
    }
}

impl Minute {
    /// The row that names a caller's number most exactly; none where no row is for him. Of two such rows it is the dearer
    /// one, and one without a price is dearer than any.
    fn for_caller(rows: &[Self], from: PhoneNumber) -> Option<&Self> {
        let fitting = rows.iter().filter_map(|row| Some((row.origin_digits(from)?, row)));
        fitting.max_by_key(|(digits, row)| (*digits, row.price.is_none(), row.price)).map(|(_, row)| row)
    }

    /// How many digits of the caller's number it is for: 0 where it is for everybody, none where it is not for him.
    fn origin_digits(&self, from: PhoneNumber) -> Option<u32> {
        if self.from.is_empty() {
            return Some(0);
        }
        self.from.iter().filter(|prefix| prefix.begins(from)).map(|prefix| prefix.digits()).max()
    }
}

/// The country and those whose numbers cannot be told from its own: who has learnt the prices of one must have those of all.
pub fn sharing(country: &str) -> impl Iterator<Item = &str> {
    let others = SHARED.iter().find(|group| group.contains(&country)).copied().unwrap_or_default();
    std::iter::once(country).chain(others.iter().copied().filter(move |it| *it != country))
}

/// The dearest of the rows that the network may be: a known one's own, else all.
fn dearest_segment(rows: &[NetworkPrices], sender: Sender, network: Option<&Network>) -> Option<Amount> {
    let is_own = |row: &&NetworkPrices| network.is_some() && row.network.as_ref() == network;
    let has_own = rows.iter().any(|row| is_own(&row));
    let may_be = rows.iter().filter(|row| !has_own || is_own(row));
    dearest(may_be.filter_map(|row| {
        let priced = row.prices.iter().filter_map(|it| it.price.map(|price| (it.number_type, price)));
        let of_sender = priced.clone().filter(|(number_type, _)| sender.may_be(*number_type));
        // A network that tells no price for this kind of sender may take any of its prices.
        dearest(of_sender.map(|(_, price)| price)).or_else(|| dearest(priced.map(|(_, price)| price)))
    }))
}

fn dearest(prices: impl Iterator<Item = Amount>) -> Option<Amount> {
    prices.max()
}
