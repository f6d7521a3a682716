//! Twilio's price lists as rows of a price book. Pure.
//!
//! A list that cannot be understood whole is refused whole: a row that was left out could be the dearer one.

use ringfence_breaker::DialPrefix;
use ringfence_breaker::price_book::{
    InvalidPrices, Network, NetworkPrices, NumberType, NumberTypePrice, PrefixPrice,
};
use ringfence_model::Amount;
use ringfence_twilio::wire;

/// What messages to a country cost, by network.
pub fn messages(country: &wire::MessagingCountry) -> Vec<NetworkPrices> {
    let networks = country.outbound_sms_prices.iter().map(|carrier| NetworkPrices {
        network: carrier
            .mcc
            .as_ref()
            .zip(carrier.mnc.as_ref())
            .map(|(mcc, mnc)| Network { mcc: mcc.clone(), mnc: mnc.clone() }),
        prices: number_types(&carrier.prices),
    });
    networks.collect()
}

/// What a minute to a country costs, by prefix.
pub fn calls(country: &wire::VoiceCountry) -> Result<Vec<PrefixPrice>, InvalidPrices> {
    let rows = country.outbound_prefix_prices.iter().map(|row| {
        let all = |prefixes: &[String]| prefixes.iter().map(|it| prefix(it)).collect();
        let is_for_everybody = row.origination_prefixes.iter().any(|it| it.eq_ignore_ascii_case("ALL"));
        let from = if is_for_everybody { Ok(Vec::new()) } else { all(&row.origination_prefixes) };
        Ok(PrefixPrice {
            to: all(&row.destination_prefixes)?,
            from: from?,
            price: own(row.current_price, row.base_price),
        })
    });
    rows.collect()
}

/// What a number of a country costs a month.
pub fn numbers(country: &wire::PhoneNumberCountry) -> Vec<NumberTypePrice> {
    number_types(&country.phone_number_prices)
}

fn number_types(prices: &[wire::NumberTypePrice]) -> Vec<NumberTypePrice> {
    let rows = prices.iter().map(|row| NumberTypePrice {
        number_type: NumberType::of(row.number_type.as_deref()),
        price: own(row.current_price, row.base_price),
    });
    rows.collect()
}

fn prefix(text: &str) -> Result<DialPrefix, InvalidPrices> {
    DialPrefix::of_digits(text).map_err(|_| InvalidPrices::Prefix(text.to_owned()))
}

/// What this account pays; the list price, where that is all that is told.
fn own(current: Option<wire::Price>, base: Option<wire::Price>) -> Option<Amount> {
    current.or(base).map(|price| Amount::from_micros(price.micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(rows: &serde_json::Value) -> wire::VoiceCountry {
        let country = serde_json::json!({
            "country": "France", "iso_country": "FR", "url": "", "price_unit": "USD",
            "inbound_call_prices": [], "outbound_prefix_prices": rows,
        });
        serde_json::from_value(country).expect("the shape of the API")
    }

    #[test]
    fn a_row_that_cannot_be_understood_spoils_its_country() {
        for (from, to) in [("ALL", "+33"), ("ALL", "33x"), ("EEA", "33"), ("", "33")] {
            let rows = serde_json::json!([
                { "origination_prefixes": ["ALL"], "destination_prefixes": ["33"], "base_price": "0.1", "current_price": "0.1" },
                { "origination_prefixes": [from], "destination_prefixes": [to], "base_price": "1", "current_price": "1" },
            ]);
            assert!(matches!(calls(&voice(&rows)), Err(InvalidPrices::Prefix(_))), "{from} {to}");
        }
    }

    #[test]
    fn the_accounts_own_price_counts_and_else_the_list_price() {
        let rows = serde_json::json!([
            { "origination_prefixes": ["ALL"], "destination_prefixes": ["33", "331"], "base_price": "0.1", "current_price": "0.09" },
            { "origination_prefixes": ["33"], "destination_prefixes": ["336"], "base_price": "0.2", "current_price": null },
            { "destination_prefixes": ["337"], "base_price": null, "current_price": null },
        ]);
        let prefix = |text| prefix(text).expect("a prefix");
        let price = |text: &str| Some(text.parse::<Amount>().expect("an amount"));
        let wanted = [
            PrefixPrice { to: vec![prefix("33"), prefix("331")], from: vec![], price: price("0.09") },
            PrefixPrice { to: vec![prefix("336")], from: vec![prefix("33")], price: price("0.2") },
            PrefixPrice { to: vec![prefix("337")], from: vec![], price: None },
        ];
        assert_eq!(calls(&voice(&rows)), Ok(wanted.into()));
    }

    #[test]
    fn a_network_is_one_with_both_codes() {
        let country = serde_json::json!({
            "country": "Germany", "iso_country": "DE", "url": "", "price_unit": "USD", "inbound_sms_prices": [],
            "outbound_sms_prices": [
                { "carrier": "T-Mobile", "mcc": "262", "mnc": "01",
                  "prices": [{ "number_type": "toll free", "base_price": "0.1", "current_price": "0.07" }] },
                { "carrier": "Other", "mcc": null, "mnc": null, "prices": [] },
            ],
        });
        let country: wire::MessagingCountry = serde_json::from_value(country).expect("the shape of the API");
        let network = Some(Network { mcc: "262".to_owned(), mnc: "01".to_owned() });
        let price = "0.07".parse().ok();
        let toll_free = NumberTypePrice { number_type: NumberType::TollFree, price };
        let wanted = [
            NetworkPrices { network, prices: vec![toll_free] },
            NetworkPrices { network: None, prices: vec![] },
        ];
        assert_eq!(messages(&country), wanted);
    }
}
