//! What things cost: <https://www.twilio.com/docs/messaging/api/pricing> and
//! <https://www.twilio.com/docs/voice/pricing>. The account's price is the list price.

use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::{
    BasePrice, CallPrice, CarrierPrices, MessagingCountry, NumberTypePrice, PhoneNumberCountry, PrefixPrice,
    PrefixPriceV1, Price, PricedCountry, VoiceCountry, VoiceCountryV1, VoiceNumber, VoiceNumberV1,
};

use super::geo_permissions::by_iso;
use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::prices::VoiceClass;
use crate::world::numbering::{self, Country, LineKind};
use crate::world::{World, numbers};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Pricing, Verb::Get, "/v1/Messaging/Countries", countries),
    Operation::new(Product::Pricing, Verb::Get, "/v1/Messaging/Countries/{IsoCountry}", messaging),
    Operation::new(Product::Pricing, Verb::Get, "/v1/PhoneNumbers/Countries", countries),
    Operation::new(Product::Pricing, Verb::Get, "/v1/PhoneNumbers/Countries/{IsoCountry}", phone_numbers),
    Operation::new(Product::Pricing, Verb::Get, "/v1/Voice/Countries", countries),
    Operation::new(Product::Pricing, Verb::Get, "/v1/Voice/Countries/{IsoCountry}", voice_v1),
    Operation::new(Product::Pricing, Verb::Get, "/v1/Voice/Numbers/{Number}", voice_number_v1),
    Operation::new(Product::Pricing, Verb::Get, "/v2/Voice/Countries", countries),
    Operation::new(Product::Pricing, Verb::Get, "/v2/Voice/Countries/{IsoCountry}", voice),
    Operation::new(Product::Pricing, Verb::Get, "/v2/Voice/Numbers/{DestinationNumber}", voice_number),
];

const PRICE_UNIT: &str = "USD";

/// The same list under each product's path.
fn countries(_world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let rows = by_iso().into_values();
    list_v1(
        request,
        "countries",
        rows,
        |country| country.iso.to_owned(),
        |country| PricedCountry {
            country: Some(country.name.to_owned()),
            iso_country: country.iso.to_owned(),
            url: request.url(&format!("{}/{}", request.path, country.iso)),
        },
    )
}

fn messaging(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    let prices = world.prices.of_country(country.iso);
    let from_each = |micros| number_types(&["local", "mobile", "shortcode", "toll free"], micros);
    let mut networks: Vec<_> = prices
        .networks
        .iter()
        .map(|network| CarrierPrices {
            carrier: Some(network.name.to_owned()),
            mcc: Some(network.mcc.to_owned()),
            mnc: Some(network.mnc.to_owned()),
            prices: from_each(network.message_out),
        })
        .collect();
    // What is not on one of these networks, or where none is known.
    networks.push(CarrierPrices {
        carrier: Some("Other".to_owned()),
        mcc: None,
        mnc: None,
        prices: from_each(prices.message_out),
    });
    Ok(Reply::ok(&MessagingCountry {
        country: Some(country.name.to_owned()),
        iso_country: country.iso.to_owned(),
        outbound_sms_prices: networks,
        inbound_sms_prices: from_each(prices.message_in),
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

fn phone_numbers(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    let prices = world.prices.of_country(country.iso);
    let mut phone_number_prices = number_types(&["local", "mobile"], prices.rent_local);
    phone_number_prices.extend(number_types(&["toll free"], prices.rent_toll_free));
    Ok(Reply::ok(&PhoneNumberCountry {
        country: Some(country.name.to_owned()),
        iso_country: country.iso.to_owned(),
        phone_number_prices,
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

fn voice(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    let outbound_prefix_prices = prefix_prices(world, country)
        .map(|it| PrefixPrice {
            origination_prefixes: vec!["ALL".to_owned()],
            destination_prefixes: it.prefixes,
            base_price: it.base_price,
            current_price: it.current_price,
            friendly_name: it.friendly_name,
        })
        .collect();
    Ok(Reply::ok(&VoiceCountry {
        country: Some(country.name.to_owned()),
        iso_country: country.iso.to_owned(),
        outbound_prefix_prices,
        inbound_call_prices: number_types(&["local", "mobile"], world.prices.call_in),
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

fn voice_v1(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    Ok(Reply::ok(&VoiceCountryV1 {
        country: Some(country.name.to_owned()),
        iso_country: country.iso.to_owned(),
        outbound_prefix_prices: prefix_prices(world, country).collect(),
        inbound_call_prices: number_types(&["local", "mobile"], world.prices.call_in),
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

fn voice_number(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let number = number(request, "DestinationNumber")?;
    let country = numbering::country_of(number).ok_or_else(|| request.not_found())?;
    let price = Some(Price::micros(world.prices.call_out_micros(number)));
    let from = params::some(&request.query, "OriginationNumber");
    if let Some(text) = from {
        numbering::read(text, None).map_err(|_| Refusal::invalid("OriginationNumber", text))?;
    }
    Ok(Reply::ok(&VoiceNumber {
        destination_number: number.to_string(),
        origination_number: from.map(str::to_owned),
        country: Some(country.name.to_owned()),
        iso_country: Some(country.iso.to_owned()),
        outbound_call_prices: vec![CallPrice {
            origination_prefixes: vec!["ALL".to_owned()],
            base_price: price,
            current_price: price,
        }],
        inbound_call_price: inbound_price(world, number),
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

fn voice_number_v1(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let number = number(request, "Number")?;
    let country = numbering::country_of(number).ok_or_else(|| request.not_found())?;
    let price = Some(Price::micros(world.prices.call_out_micros(number)));
    Ok(Reply::ok(&VoiceNumberV1 {
        number: number.to_string(),
        country: Some(country.name.to_owned()),
        iso_country: Some(country.iso.to_owned()),
        outbound_call_price: Some(BasePrice { base_price: price, current_price: price }),
        inbound_call_price: inbound_price(world, number),
        price_unit: PRICE_UNIT.to_owned(),
        url: request.url(&request.path),
    }))
}

/// One row for each class of numbers that the country has.
fn prefix_prices(world: &World, country: &Country) -> impl Iterator<Item = PrefixPriceV1> {
    let (prices, name) = (world.prices.of_country(country.iso), country.name);
    let all = world.prices.voice_prefixes(country.iso);
    VoiceClass::ALL.into_iter().filter_map(move |class| {
        let of_class = all.iter().filter(|it| it.class == class);
        let prefixes: Vec<String> = of_class.map(|it| it.prefix.clone()).collect();
        let price = Some(Price::micros(prices.call_out(class)));
        let ending = match class {
            VoiceClass::Fixed => "",
            VoiceClass::Mobile => " - Mobile",
            VoiceClass::Special => " - Special Services",
        };
        (!prefixes.is_empty()).then(|| PrefixPriceV1 {
            prefixes,
            base_price: price,
            current_price: price,
            friendly_name: Some(format!("Programmable Outbound Minute - {name}{ending}")),
        })
    })
}

/// What a call to one of the sandbox's own numbers costs its owner.
fn inbound_price(world: &World, number: PhoneNumber) -> Option<NumberTypePrice> {
    numbers::find_by_number(world, number)?;
    let kind = if numbering::line_kind(number) == LineKind::TollFree { "toll free" } else { "local" };
    number_types(&[kind], world.prices.call_in_micros(number)).pop()
}

fn number_types(types: &[&str], micros: i64) -> Vec<NumberTypePrice> {
    let price = Some(Price::micros(micros));
    let row = |kind: &&str| NumberTypePrice {
        number_type: Some((*kind).to_owned()),
        base_price: price,
        current_price: price,
    };
    types.iter().map(row).collect()
}

fn country(request: &Request) -> Result<&'static Country, Refusal> {
    numbering::country_by_iso(request.param("IsoCountry")).ok_or_else(|| request.not_found())
}

fn number(request: &Request, name: &str) -> Result<PhoneNumber, Refusal> {
    numbering::read(request.param(name), None).map_err(|_| request.not_found())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::{Api, error};

    fn api() -> Api {
        let mut api = Api::new();
        api.of(Product::Pricing);
        api
    }

    #[test]
    fn what_has_no_price_is_not_found() {
        let mut api = api();
        for path in [
            "/v1/Messaging/Countries/XX",
            "/v1/PhoneNumbers/Countries/XX",
            "/v1/Voice/Countries/XX",
            "/v2/Voice/Countries/XX",
            "/v1/Voice/Numbers/nobody",
            "/v2/Voice/Numbers/+1",
        ] {
            assert_eq!(error(api.get(path)), (404, 20404), "{path}");
        }
        let path = "/v2/Voice/Numbers/+14155550100?OriginationNumber=me";
        assert_eq!(error(api.get(path)), (400, 20001));
    }

    #[test]
    fn a_country_tells_what_its_networks_cost() {
        let (status, shown) = api().get("/v1/Messaging/Countries/LV");
        assert_eq!(status, 200);
        let of_tele2 = &shown["outbound_sms_prices"][1];
        assert_eq!((&of_tele2["carrier"], &of_tele2["mnc"]), (&json!("Tele2 Latvia"), &json!("02")));
        assert_eq!(of_tele2["prices"][0]["current_price"], "0.1036");
        assert_eq!(shown["inbound_sms_prices"][0]["base_price"], "0.01");
    }

    #[test]
    fn what_a_number_costs_is_what_a_call_to_it_is_billed() {
        let mut api = api();
        let price = |api: &mut Api, number: &str| {
            api.get(&format!("/v2/Voice/Numbers/{number}")).1["outbound_call_prices"][0]["current_price"]
                .clone()
        };
        assert_eq!(price(&mut api, "+37125921234"), "1.35");
        assert_eq!(price(&mut api, "+447700900000"), "0.031");
        let own = api.number();
        let (_, shown) = api.get(&format!("/v1/Voice/Numbers/{own}"));
        assert_eq!(shown["inbound_call_price"]["current_price"], "0.0085");
        assert_eq!(shown["outbound_call_price"]["base_price"], "0.014");
    }

    #[test]
    fn prefixes_of_a_country_have_their_rates() {
        let (_, shown) = api().get("/v2/Voice/Countries/GB");
        let rows = shown["outbound_prefix_prices"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1]["destination_prefixes"], json!(["447"]));
        assert_eq!(rows[1]["friendly_name"], "Programmable Outbound Minute - United Kingdom - Mobile");
        let (_, shown) = api().get("/v1/Voice/Countries/CA");
        assert!(shown["outbound_prefix_prices"][0]["prefixes"].as_array().unwrap().contains(&json!("1604")));
    }

    #[test]
    fn countries_are_listed_page_by_page() {
        let mut api = api();
        let (_, first) = api.get("/v1/Messaging/Countries?PageSize=20");
        assert_eq!(first["countries"].as_array().unwrap().len(), 20);
        let next = first["meta"]["next_page_url"].as_str().unwrap();
        let (_, second) = api.get(next.strip_prefix("https://pricing.twilio.com").unwrap());
        assert_ne!(first["countries"][19], second["countries"][0]);
        assert_eq!(second["meta"]["page"], 1);
    }
}
