//! What things cost: a table of realistic prices as data with its date, and the questions that are asked of it.
//!
//! A text costs what its country's network asks, a call what the longest matching prefix asks. Which network a mobile
//! number belongs to follows from its digits, so it is the same at every question.

mod table;

use ringfence_model::PhoneNumber;

use crate::ids::mix;
use crate::world::numbering::{self, Country, LineKind};

pub(crate) use table::{CountryPrices, Network, Prices};

/// A prefix of numbers that cost the same to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VoicePrefix {
    /// With the country code, as `4477`.
    pub(crate) prefix: String,
    pub(crate) class: VoiceClass,
}

/// What kind of numbers a prefix holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VoiceClass {
    Fixed,
    Mobile,
    /// Services, and ranges that are known from fraud.
    Special,
}

impl VoiceClass {
    pub(crate) const ALL: [Self; 3] = [Self::Fixed, Self::Mobile, Self::Special];
}

impl Prices {
    /// One segment out to this number, in millionths of a dollar.
    pub(crate) fn message_out_micros(&self, to: PhoneNumber) -> i64 {
        let country = self.of_number(to);
        self.network(to).map_or(country.message_out, |network| network.message_out)
    }

    /// One segment in to this number of ours.
    pub(crate) fn message_in_micros(&self, to: PhoneNumber) -> i64 {
        self.of_number(to).message_in
    }

    /// One message with media out to this number.
    pub(crate) fn media_out_micros(&self, to: PhoneNumber) -> i64 {
        // Twilio's list has media at two and a half times a segment in North America, and nowhere else.
        self.message_out_micros(to).saturating_mul(5) / 2
    }

    /// A started minute of a call out to this number.
    pub(crate) fn call_out_micros(&self, to: PhoneNumber) -> i64 {
        self.of_number(to).call_out(self.voice_class(to))
    }

    /// A started minute of a call in to this number of ours.
    pub(crate) fn call_in_micros(&self, to: PhoneNumber) -> i64 {
        if numbering::line_kind(to) == LineKind::TollFree { self.call_in_toll_free } else { self.call_in }
    }

    /// What the longest prefix of this country says of a number.
    pub(crate) fn voice_class(&self, number: PhoneNumber) -> VoiceClass {
        let digits = number.digits().to_string();
        let Some(country) = numbering::country_of(number) else { return VoiceClass::Fixed };
        self.voice_prefixes(country.iso)
            .into_iter()
            .filter(|it| digits.starts_with(&it.prefix))
            .max_by_key(|it| it.prefix.len())
            .map_or(VoiceClass::Fixed, |it| it.class)
    }

    /// All prefixes of a country, the plain country code among them.
    pub(crate) fn voice_prefixes(&self, iso: &str) -> Vec<VoicePrefix> {
        let prices = self.of_country(iso);
        let mut prefixes = Vec::new();
        for country in numbering::countries().filter(|country| country.iso == iso) {
            let mut add = |rest: &str, class| {
                prefixes.push(VoicePrefix { prefix: format!("{}{rest}", country.prefix), class });
            };
            add("", VoiceClass::Fixed);
            for rest in numbering::mobile_beginnings(iso) {
                add(rest, VoiceClass::Mobile);
            }
            // Area codes of North America have no room for another one in them; `1900` is nobody's own.
            if country.calling_code() == country.prefix {
                for rest in prices.special.iter().chain(&prices.toll_fraud) {
                    add(rest, VoiceClass::Special);
                }
            }
        }
        prefixes
    }

    /// The network of a mobile number, where the table knows the country's networks.
    pub(crate) fn network(&self, number: PhoneNumber) -> Option<&Network> {
        let networks = &self.of_number(number).networks;
        let count = u64::try_from(networks.len()).ok().filter(|count| *count > 0)?;
        let is_mobile = matches!(numbering::line_kind(number), LineKind::Mobile);
        usize::try_from(mix(number.digits()) % count)
            .ok()
            .filter(|_| is_mobile)
            .and_then(|position| networks.get(position))
    }

    /// Whether a country is one that pumping and toll fraud come from.
    pub(crate) fn is_high_risk(&self, iso: &str) -> bool {
        self.of_country(iso).high_risk
    }

    /// Whether calls to this number are of a range that is known from toll fraud.
    pub(crate) fn is_toll_fraud(&self, number: PhoneNumber) -> bool {
        let Some(country) = numbering::country_of(number) else { return false };
        let digits = number.digits().to_string();
        let national = digits.strip_prefix(&country.prefix.to_string()).unwrap_or("");
        self.of_country(country.iso).toll_fraud.iter().any(|range| national.starts_with(range.as_str()))
    }

    fn of_number(&self, number: PhoneNumber) -> &CountryPrices {
        self.of_country(numbering::country_of(number).map_or("", |country: &Country| country.iso))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::parse(text).unwrap()
    }

    #[test]
    fn the_longest_prefix_decides_what_a_call_costs() {
        let prices = Prices::load();
        for (to, micros) in [
            ("+14155550100", 14_000),   // the United States
            ("+19005550100", 14_000),   // a service there
            ("+18765550100", 89_000),   // Jamaica, by its area code
            ("+442079460000", 15_800),  // London
            ("+447700900000", 31_000),  // a mobile phone
            ("+447911123456", 270_000), // a range known from fraud within the mobile phones
            ("+449000000000", 270_000),
            ("+37167000000", 524_000),
            ("+37125921234", 1_350_000),
        ] {
            assert_eq!(prices.call_out_micros(number(to)), micros, "{to}");
        }
    }

    #[test]
    fn a_text_costs_what_its_network_asks() {
        let prices = Prices::load();
        assert_eq!(prices.message_out_micros(number("+14155550100")), 7_900);
        let asked: std::collections::BTreeSet<_> =
            (0..50).map(|it| prices.message_out_micros(number(&format!("+3712{it:07}")))).collect();
        assert_eq!(asked.into_iter().collect::<Vec<_>>(), [98_900, 103_600]);
    }

    #[test]
    fn a_country_without_a_row_costs_what_the_last_row_says() {
        let prices = Prices::load();
        assert_eq!(prices.message_out_micros(number("+29912345678")), 95_000);
        assert_eq!(prices.call_out_micros(number("+29912345678")), 350_000);
    }
}
