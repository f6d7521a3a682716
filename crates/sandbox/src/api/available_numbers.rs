//! Numbers for sale: <https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource>.
//!
//! The stock is endless and made up: the seed and the question decide what is found, so the same search finds the
//! same numbers until somebody buys one of them.
#![expect(clippy::unnecessary_wraps, reason = "handlers have one signature, whether they can refuse or not")]

mod places;

use std::collections::BTreeMap;

use ringfence_model::PhoneNumber;
use ringfence_twilio::wire::{AvailableCountry, AvailableNumber, Capabilities, Form};
use serde_json::json;

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, numbers::capabilities, params, shortened};
use crate::world::World;
use crate::world::numbering::{self, Country};
use crate::world::numbers;
use places::{OFFERS, Offer, Place};

const LIST: &str = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers.json";
const COUNTRY: &str = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}.json";
const LOCAL: &str = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}/Local.json";
const MOBILE: &str = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}/Mobile.json";
const TOLL_FREE: &str = "/2010-04-01/Accounts/{AccountSid}/AvailablePhoneNumbers/{CountryCode}/TollFree.json";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Get, LIST, list),
    Operation::new(Product::Api, Verb::Get, COUNTRY, fetch),
    Operation::new(Product::Api, Verb::Get, LOCAL, local),
    Operation::new(Product::Api, Verb::Get, MOBILE, mobile),
    Operation::new(Product::Api, Verb::Get, TOLL_FREE, toll_free),
];

/// Whether a number can do something.
type Has = fn(Capabilities) -> bool;

fn list(_world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let countries: Vec<_> = OFFERS.iter().filter_map(|offer| wire_country(request, offer)).collect();
    Ok(Reply::ok(&json!({ "countries": countries, "uri": with_json(&request.path) })))
}

fn fetch(_world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let (offer, _) = offer(request)?;
    wire_country(request, offer).map(|country| Reply::ok(&country)).ok_or_else(|| request.not_found())
}

fn local(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    search(world, request, |offer| offer.local)
}

fn mobile(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    search(world, request, |offer| offer.mobile)
}

fn toll_free(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    search(world, request, |offer| offer.toll_free)
}

/// What is for sale in the country that the path names.
fn offer(request: &Request) -> Result<(&'static Offer, &'static Country), Refusal> {
    let iso = request.param("CountryCode");
    let offer = OFFERS.iter().find(|offer| offer.iso.eq_ignore_ascii_case(iso));
    offer
        .and_then(|offer| Some((offer, numbering::country_by_iso(offer.iso)?)))
        .ok_or_else(|| request.not_found())
}

fn search(
    world: &World,
    request: &Request,
    beginnings: fn(&Offer) -> &'static [&'static str],
) -> Result<Reply, Refusal> {
    let (offer, country) = offer(request)?;
    let beginnings = beginnings(offer);
    if beginnings.is_empty() {
        return Err(request.not_found());
    }
    let query = &request.query;
    let wanted = Wanted::read(query, country, beginnings)?;
    let most = params::number(query, "PageSize", 1, 1000)?.unwrap_or(SHOWN_DEFAULT);
    // No number is new to Twilio here, so there is nothing to leave out.
    params::flag(query, "Beta")?;
    let found = wanted.find(world, usize::try_from(most).unwrap_or(usize::MAX));
    let found: Vec<_> = found.into_iter().map(|number| wire_number(number, country)).collect();
    Ok(Reply::ok(&json!({ "available_phone_numbers": found, "uri": with_json(&request.path) })))
}

/// How many numbers Twilio shows where nobody says otherwise.
const SHOWN_DEFAULT: u64 = 30;

/// What is looked for.
struct Wanted<'a> {
    country: &'static Country,
    /// What the national number may begin with.
    beginnings: Vec<String>,
    /// Digits, and `*` for any digit, at the end of the number; with a `+` or ten of them the whole number.
    pattern: &'a [u8],
    capabilities: Vec<fn(Capabilities) -> bool>,
}

impl<'a> Wanted<'a> {
    fn read(query: &'a Form, country: &'static Country, offered: &[&str]) -> Result<Self, Refusal> {
        let beginnings = places::beginnings(query, country, offered)?;
        let contains = params::some(query, "Contains").unwrap_or_default();
        let pattern = contains.trim_start_matches('+');
        let is_pattern = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'*';
        if !pattern.bytes().all(is_pattern) || pattern.len() > 15 || pattern.len() == 1 {
            return Err(Refusal::bad_request(
                21401,
                format!("Contains is not valid: {}", shortened(contains)),
            ));
        }
        let asks: [(&str, Has); 4] = [
            ("SmsEnabled", |it| it.sms),
            ("MmsEnabled", |it| it.mms),
            ("VoiceEnabled", |it| it.voice),
            ("FaxEnabled", |it| it.fax),
        ];
        let mut capabilities = Vec::new();
        for (name, has) in asks {
            if params::flag(query, name)? == Some(true) {
                capabilities.push(has);
            }
        }
        Ok(Self { country, beginnings, pattern: pattern.as_bytes(), capabilities })
    }

    /// Draws numbers until there are enough, or until it is clear that there are none.
    fn find(&self, world: &World, most: usize) -> Vec<PhoneNumber> {
        const TRIES_FOR_EACH: usize = 20;
        let mut found = Vec::new();
        if self.beginnings.is_empty() {
            return found;
        }
        for draw in 0..most.saturating_mul(TRIES_FOR_EACH) {
            if found.len() == most {
                break;
            }
            let Some(number) = self.draw(world, draw) else { continue };
            let is_free = numbers::find_by_number(world, number).is_none() && !found.contains(&number);
            if is_free && self.capabilities.iter().all(|has| has(capabilities(number))) {
                found.push(number);
            }
        }
        found
    }

    fn draw(&self, world: &World, draw: usize) -> Option<PhoneNumber> {
        let beginning = &self.beginnings[draw % self.beginnings.len()];
        let random = world.ids.fixed(draw as u64 ^ (u64::from(self.country.prefix) << 32));
        let length = numbering::usual_length(self.country);
        let tail = format!("{random:020}");
        let national = format!("{beginning}{}", &tail[tail.len() - length.checked_sub(beginning.len())?..]);
        let code = self.country.calling_code().to_string();
        let mut digits = format!("{code}{national}").into_bytes();
        let is_whole = self.pattern.len() >= digits.len();
        let start = if is_whole { 0 } else { digits.len() - self.pattern.len() };
        for (digit, wanted) in digits.iter_mut().skip(start).zip(self.pattern) {
            if *wanted != b'*' {
                *digit = on_keypad(*wanted);
            }
        }
        let text = String::from_utf8(digits).ok()?;
        let number = PhoneNumber::parse(&format!("+{text}")).ok()?;
        let keeps_place = text.get(code.len()..).is_some_and(|rest| rest.starts_with(beginning.as_str()));
        // Toll-free numbers of North America belong to no one country of it.
        let code_of = |number| numbering::country_of(number).map(Country::calling_code);
        let known = code_of(number) == Some(self.country.calling_code());
        (keeps_place && known && numbering::check(number).is_ok()).then_some(number)
    }
}

/// A letter is the digit that it shares a key with.
fn on_keypad(letter: u8) -> u8 {
    match letter.to_ascii_lowercase() {
        b'a'..=b'c' => b'2',
        b'd'..=b'f' => b'3',
        b'g'..=b'i' => b'4',
        b'j'..=b'l' => b'5',
        b'm'..=b'o' => b'6',
        b'p'..=b's' => b'7',
        b't'..=b'v' => b'8',
        b'w'..=b'z' => b'9',
        digit => digit,
    }
}

fn wire_country(request: &Request, offer: &Offer) -> Option<AvailableCountry> {
    let country = numbering::country_by_iso(offer.iso)?;
    let uri = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers/{}", request.account, offer.iso);
    let kinds = [
        ("local", "Local", offer.local),
        ("mobile", "Mobile", offer.mobile),
        ("toll_free", "TollFree", offer.toll_free),
    ];
    let subresource_uris: BTreeMap<_, _> = kinds
        .into_iter()
        .filter(|(_, _, beginnings)| !beginnings.is_empty())
        .map(|(name, path, _)| (name.to_owned(), format!("{uri}/{path}.json")))
        .collect();
    Some(AvailableCountry {
        country_code: offer.iso.to_owned(),
        country: country.name.to_owned(),
        beta: false,
        uri: format!("{uri}.json"),
        subresource_uris,
    })
}

fn wire_number(number: PhoneNumber, country: &Country) -> AvailableNumber {
    let place = places::of(number).filter(|place| place.iso == country.iso);
    let words = |text: fn(&Place) -> &'static str| place.map(|place| text(place).to_owned());
    AvailableNumber {
        friendly_name: numbering::friendly(number),
        phone_number: number.to_string(),
        lata: words(|place| place.lata),
        locality: words(|place| place.locality),
        rate_center: place.map(Place::rate_center),
        latitude: place.map(|place| format!("{:.6}", place.latitude)),
        longitude: place.map(|place| format!("{:.6}", place.longitude)),
        region: words(|place| place.region),
        postal_code: words(|place| place.postal_code),
        iso_country: country.iso.to_owned(),
        address_requirements: "none".to_owned(),
        beta: false,
        capabilities: capabilities(number),
    }
}

fn with_json(path: &str) -> String {
    format!("{}.json", path.strip_suffix(".json").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::api::testing::{Api, error};

    fn search(api: &mut Api, rest: &str) -> Vec<String> {
        let path = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers/{rest}", api.main);
        let (status, body) = api.get(&path);
        assert_eq!(status, 200, "{body}");
        let numbers = body["available_phone_numbers"].as_array().unwrap();
        numbers.iter().map(|number: &Value| number["phone_number"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let mut api = Api::new();
        let path = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers", api.main);
        for (rest, expected) in [
            ("XX", (404, 20404)),
            ("US/Mobile", (404, 20404)),
            ("US/Local?AreaCode=12", (400, 21451)),
            ("GB/Local?AreaCode=212", (400, 21451)),
            ("US/Local?Contains=%25%25", (400, 21401)),
            ("US/Local?PageSize=0", (400, 20001)),
            ("US/Local?SmsEnabled=maybe", (400, 20001)),
            ("US/Local?Beta=maybe", (400, 20001)),
            ("US/Local?NearNumber=abc", (400, 20001)),
            ("US/Local?NearLatLong=91,0", (400, 20001)),
            ("US/Local?NearLatLong=37.8", (400, 20001)),
            ("US/Local?NearLatLong=37.8,-122.2&Distance=501", (400, 20001)),
        ] {
            assert_eq!(error(api.get(&format!("{path}/{rest}"))), expected, "{rest}");
        }
        assert!(search(&mut api, "US/Local?FaxEnabled=true").is_empty());
        assert!(search(&mut api, "US/Local?InRegion=ZZ").is_empty());
        assert!(search(&mut api, "US/Local?AreaCode=212&Contains=4155550100").is_empty());
        assert!(search(&mut api, "US/Local?AreaCode=800").is_empty(), "that is toll-free");
        assert!(search(&mut api, "US/TollFree?AreaCode=212").is_empty(), "that is not");
        assert!(search(&mut api, "US/TollFree?InRegion=CA").is_empty());
        assert!(search(&mut api, "US/Local?NearLatLong=0,0").is_empty(), "there is the sea");
        assert!(search(&mut api, "GB/Local?NearNumber=%2B442071234567").is_empty());
    }

    #[test]
    fn what_is_near_is_found_by_a_number_or_a_point() {
        let mut api = Api::new();
        let areas = |api: &mut Api, query: &str| {
            let found = search(api, &format!("US/Local?{query}"));
            found.iter().map(|number| number[2..5].to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        // San Francisco and Oakland are eight miles from each other, Seattle is 680.
        let bay = ["415", "510"].map(str::to_owned).into();
        assert_eq!(areas(&mut api, "NearLatLong=37.8,-122.3"), bay);
        assert_eq!(areas(&mut api, "NearNumber=%2B14155550100"), bay);
        assert_eq!(areas(&mut api, "NearNumber=%2B14155550100&Distance=5"), ["415".to_owned()].into());
        assert!(areas(&mut api, "NearNumber=%2B14155550100&Distance=500").contains("213"));
        assert_eq!(areas(&mut api, "NearNumber=%2B19075550100"), ["907".to_owned()].into(), "at least there");
        assert_eq!(
            areas(&mut api, "InRegion=%2B12135550100"),
            ["213", "415", "510"].map(str::to_owned).into()
        );
        assert_eq!(areas(&mut api, "InLata=722&InRateCenter=OAKLAND"), ["510".to_owned()].into());
        assert_eq!(areas(&mut api, "InPostalCode=%2B12065550100"), ["206".to_owned()].into());
    }

    #[test]
    fn a_place_is_written_as_in_twilios_examples() {
        let mut api = Api::new();
        let path = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers/US/Local?AreaCode=808", api.main);
        let (_, body) = api.get(&path);
        let number = &body["available_phone_numbers"][0];
        assert_eq!(number["latitude"], "19.720000");
        assert_eq!(number["longitude"], "-155.090000");
        assert_eq!(number["rate_center"], "HILO");
    }

    #[test]
    fn what_is_found_fits_what_was_asked() {
        let mut api = Api::new();
        assert!(search(&mut api, "US/Local?AreaCode=212").iter().all(|it| it.starts_with("+1212")));
        assert!(search(&mut api, "US/Local?Contains=STORM").iter().all(|it| it.ends_with("78676")));
        assert!(search(&mut api, "US/Local?Contains=510555****").iter().all(|it| it.starts_with("+1510555")));
        assert!(search(&mut api, "US/Local?InRegion=HI").iter().all(|it| it.starts_with("+1808")));
        assert!(search(&mut api, "US/TollFree?AreaCode=888").iter().all(|it| it.starts_with("+1888")));
        assert_eq!(search(&mut api, "US/Local?Beta=true"), search(&mut api, "US/Local"));
        assert!(search(&mut api, "US/TollFree").iter().all(|it| it.starts_with("+18")));
        assert!(search(&mut api, "GB/Mobile").iter().all(|it| it.starts_with("+447") && it.len() == 13));
        assert_eq!(search(&mut api, "US/Local?PageSize=7").len(), 7);
    }

    #[test]
    fn one_search_finds_the_same_until_a_number_is_bought() {
        let mut api = Api::new();
        let found = search(&mut api, "US/Local?AreaCode=415");
        assert_eq!(search(&mut api, "US/Local?AreaCode=415"), found);
        let buy = format!("/2010-04-01/Accounts/{}/IncomingPhoneNumbers/Local", api.main);
        assert_eq!(api.post(&buy, &[("PhoneNumber", &found[0])]).0, 201);
        assert!(!search(&mut api, "US/Local?AreaCode=415").contains(&found[0]));
    }

    #[test]
    fn every_country_that_is_listed_has_what_it_promises() {
        let mut api = Api::new();
        let path = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers", api.main);
        let (_, body) = api.get(&path);
        for country in body["countries"].as_array().unwrap() {
            for uri in country["subresource_uris"].as_object().unwrap().values() {
                let (status, found) = api.get(uri.as_str().unwrap());
                let count = found["available_phone_numbers"].as_array().unwrap().len();
                assert_eq!((status, count), (200, 30), "{uri}");
            }
        }
    }
}
