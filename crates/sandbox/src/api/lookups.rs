//! Lookup, versions 1 and 2: <https://www.twilio.com/docs/lookup/v2-api> and
//! <https://www.twilio.com/docs/lookup/v1-api>. What is found follows from the number's digits.

use ringfence_model::PhoneNumber;
use serde_json::{Map, Value, json};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, params};
use crate::world::World;
use crate::world::lookups::{self, Line};
use crate::world::numbering::{self, Country, LineKind};
use crate::world::usage::{self, Use};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Lookups, Verb::Get, "/v1/PhoneNumbers/{PhoneNumber}", fetch_v1),
    Operation::new(Product::Lookups, Verb::Get, "/v2/PhoneNumbers/{PhoneNumber}", fetch),
];

/// What version 2 can be asked for beside the number itself, in the order in which it is told.
const FIELDS: &[&str] = &[
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
];

/// A number that cannot be is an answer here, and no error.
fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let text = request.param("PhoneNumber");
    let country = country(request)?;
    let wanted: Vec<&str> = params::some(&request.query, "Fields")
        .map(|text| text.split(',').map(str::trim).collect())
        .unwrap_or_default();
    if let Some(unknown) = wanted.iter().find(|field| !FIELDS.contains(field) && **field != "validation") {
        return Err(Refusal::invalid("Fields", unknown));
    }
    let number = numbering::read(text, country);
    let found = number.ok().and_then(|number| Some((number, numbering::country_of(number)?)));
    if wanted.is_empty() {
        book(world, request, FORMAT, 0);
    }
    let mut body = Map::new();
    body.insert("calling_country_code".to_owned(), json!(found.map(|(_, it)| it.calling_code().to_string())));
    body.insert("country_code".to_owned(), json!(found.map(|(_, it)| it.iso)));
    body.insert(
        "phone_number".to_owned(),
        json!(found.map_or_else(|| text.to_owned(), |(it, _)| it.to_string())),
    );
    body.insert("national_format".to_owned(), json!(found.map(|(it, _)| numbering::national(it))));
    body.insert("valid".to_owned(), json!(found.is_some()));
    body.insert("validation_errors".to_owned(), json!(number.err().map(|why| [why.as_str()])));
    for field in FIELDS {
        let value = found.filter(|_| wanted.contains(field)).map(|(it, _)| told(world, request, it, field));
        body.insert((*field).to_owned(), json!(value));
    }
    body.insert("url".to_owned(), json!(request.url(&request.path)));
    Ok(Reply::ok(&body))
}

/// One package. Those that need other people's data (the carriers', a credit bureau's) are not enabled, as Twilio
/// says of them until an account has asked for them: <https://www.twilio.com/docs/api/errors/60606>.
fn told(world: &mut World, request: &Request, number: PhoneNumber, field: &str) -> Value {
    match field {
        "caller_name" => {
            book(world, request, CALLER_NAME, 10_000);
            let (name, kind) = lookups::caller_name(number).unzip();
            json!({ "caller_name": name, "caller_type": kind, "error_code": null })
        }
        "line_type_intelligence" => {
            book(world, request, LINE_TYPE, 8_000);
            let Line { kind, carrier } = lookups::line(world, number);
            json!({
                "mobile_country_code": carrier.and_then(|it| it.mobile_country_code),
                "mobile_network_code": carrier.and_then(|it| it.mobile_network_code),
                "carrier_name": carrier.map(|it| it.name),
                "type": kind.as_str(),
                "error_code": null,
            })
        }
        "sms_pumping_risk" => {
            book(world, request, PUMPING_RISK, 25_000);
            let risk = lookups::pumping_risk(world, number);
            json!({
                "carrier_risk_category": risk.carrier_risk,
                "number_blocked": risk.blocked,
                "number_blocked_date": null,
                "number_blocked_last_3_months": risk.blocked,
                "sms_pumping_risk_score": risk.score,
                "error_code": null,
            })
        }
        // The only package whose code Twilio writes as text.
        "reassigned_number" => {
            json!({ "last_verified_date": null, "is_number_reassigned": null, "error_code": "60606" })
        }
        _ => json!({ "error_code": 60_606 }),
    }
}

/// Version 1 has no answer for a number that cannot be.
fn fetch_v1(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    let number = numbering::read(request.param("PhoneNumber"), country).map_err(|_| request.not_found())?;
    let found = numbering::country_of(number).ok_or_else(|| request.not_found())?;
    let types: Vec<&str> = request.query.all("Type").collect();
    if let Some(unknown) = types.iter().find(|it| !matches!(**it, "carrier" | "caller-name")) {
        return Err(Refusal::invalid("Type", unknown));
    }
    if types.is_empty() {
        book(world, request, FORMAT, 0);
    }
    let carrier = types.contains(&"carrier").then(|| {
        book(world, request, CARRIER, 5_000);
        carrier_v1(&lookups::line(world, number))
    });
    let caller_name = types.contains(&"caller-name").then(|| {
        book(world, request, CALLER_NAME, 10_000);
        let (name, kind) = lookups::caller_name(number).unzip();
        json!({ "caller_name": name, "caller_type": kind, "error_code": null })
    });
    Ok(Reply::ok(&json!({
        "caller_name": caller_name,
        "carrier": carrier,
        "add_ons": null,
        "country_code": found.iso,
        "national_format": numbering::national(number),
        "phone_number": number.to_string(),
        "url": request.url(&request.path),
    })))
}

/// A carrier as version 1 tells it, and Verify with it.
pub(super) fn carrier_v1(line: &Line) -> Value {
    let carrier = line.carrier;
    json!({
        "mobile_country_code": carrier.and_then(|it| it.mobile_country_code),
        "mobile_network_code": carrier.and_then(|it| it.mobile_network_code),
        "name": carrier.map(|it| it.name),
        "type": match line.kind {
            LineKind::Mobile => "mobile",
            LineKind::FixedVoip | LineKind::NonFixedVoip => "voip",
            LineKind::Landline | LineKind::TollFree | LineKind::Premium | LineKind::Personal => "landline",
        },
        "error_code": null,
    })
}

fn country(request: &Request) -> Result<Option<&'static Country>, Refusal> {
    let Some(iso) = params::some(&request.query, "CountryCode") else { return Ok(None) };
    numbering::country_by_iso(iso).map(Some).ok_or_else(|| Refusal::invalid("CountryCode", iso))
}

/// The categories that count a lookup: <https://www.twilio.com/docs/usage/api/usage-record#usage-categories>.
type Categories = &'static [&'static str];
const FORMAT: Categories = &["lookups", "number-format-lookups"];
const CALLER_NAME: Categories = &["lookups", "calleridlookups"];
const CARRIER: Categories = &["lookups", "carrier-lookups"];
const LINE_TYPE: Categories = &["lookups", "enhanced-line-type-lookups"];
const PUMPING_RISK: Categories = &["lookups", "sms-pumping-risk"];

fn book(world: &mut World, request: &Request, categories: Categories, price_micros: i64) {
    usage::book(world, Use { account: request.account, categories, count: 1, usage: 1, price_micros });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Api, error};

    fn api() -> Api {
        let mut api = Api::new();
        api.of(Product::Lookups);
        api
    }

    /// How many lookups of a category the usage records know, once their lag is over.
    fn counted(api: &mut Api, category: &str) -> u64 {
        api.pass_s(120);
        usage::catch_up(&mut api.world);
        assert!(usage::categories::find(category).is_some(), "{category}");
        usage::ever(&api.world, usage::Whose::Account(api.main), category).count
    }

    #[test]
    fn what_others_must_be_asked_for_is_not_enabled_and_costs_nothing() {
        let mut api = api();
        let (status, shown) = api.get("/v2/PhoneNumbers/+14155550100?Fields=sim_swap,reassigned_number");
        assert_eq!((status, &shown["sim_swap"]["error_code"]), (200, &json!(60606)));
        assert_eq!(shown["reassigned_number"]["error_code"], "60606");
        assert_eq!(usage::spent_micros(&api.world, api.main), 0);
    }

    #[test]
    fn what_cannot_be_looked_up_is_refused() {
        let mut api = api();
        for path in [
            "/v2/PhoneNumbers/+14155550100?Fields=shoe_size",
            "/v2/PhoneNumbers/4155550100?CountryCode=XX",
            "/v1/PhoneNumbers/+14155550100?Type=shoe-size",
        ] {
            assert_eq!(error(api.get(path)), (400, 20001), "{path}");
        }
        for path in ["/v1/PhoneNumbers/nobody", "/v1/PhoneNumbers/+1415", "/v1/PhoneNumbers/+999123456789"] {
            assert_eq!(error(api.get(path)), (404, 20404), "{path}");
        }
    }

    #[test]
    fn a_number_that_cannot_be_is_told_with_its_reason() {
        let mut api = api();
        for (number, why) in [
            ("+1415", "TOO_SHORT"),
            ("+141555501000000", "TOO_LONG"),
            ("nobody", "NOT_A_NUMBER"),
            ("+999123456789", "INVALID_COUNTRY_CODE"),
        ] {
            let (status, shown) = api.get(&format!("/v2/PhoneNumbers/{number}?Fields=caller_name"));
            assert_eq!(
                (status, &shown["valid"], &shown["validation_errors"]),
                (200, &json!(false), &json!([why]))
            );
            assert_eq!((&shown["phone_number"], &shown["caller_name"]), (&json!(number), &Value::Null));
        }
    }

    #[test]
    fn what_is_asked_for_is_told_and_booked_and_nothing_else() {
        let mut api = api();
        let (_, shown) = api.get("/v2/PhoneNumbers/(415)%20555-0100?CountryCode=US");
        assert_eq!((&shown["phone_number"], &shown["valid"]), (&json!("+14155550100"), &json!(true)));
        assert_eq!(shown["national_format"], "(415) 555-0100");
        assert_eq!(shown["line_type_intelligence"], Value::Null);
        assert_eq!(counted(&mut api, "number-format-lookups"), 1);
        assert_eq!(usage::spent_micros(&api.world, api.main), 0);
        let (_, shown) =
            api.get("/v2/PhoneNumbers/+14155550100?Fields=line_type_intelligence,sms_pumping_risk");
        assert_eq!(shown["line_type_intelligence"]["type"], "mobile");
        assert_eq!(shown["sms_pumping_risk"]["carrier_risk_category"], "low");
        assert_eq!(usage::spent_micros(&api.world, api.main), 33_000);
        let categories =
            ["enhanced-line-type-lookups", "sms-pumping-risk", "number-format-lookups", "lookups"];
        assert_eq!(categories.map(|it| counted(&mut api, it)), [1, 1, 1, 3]);
        let (_, shown) = api.get("/v2/PhoneNumbers/+14155550196?Fields=sms_pumping_risk");
        assert_eq!(shown["sms_pumping_risk"]["number_blocked"], true);
    }

    #[test]
    fn version_1_tells_the_carrier_and_the_name() {
        let mut api = api();
        let (_, shown) = api.get("/v1/PhoneNumbers/+14155550199?Type=carrier&Type=caller-name");
        assert_eq!(shown["carrier"]["type"], "landline");
        assert_eq!(shown["caller_name"]["caller_type"], "CONSUMER");
        assert_eq!(shown["country_code"], "US");
    }
}
