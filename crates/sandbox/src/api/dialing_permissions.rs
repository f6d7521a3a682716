//! Voice dialing permissions: <https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource>.
#![expect(clippy::unnecessary_wraps, reason = "handlers have one signature, whether they can refuse or not")]

use std::collections::BTreeMap;

use ringfence_twilio::wire::{BulkCountryUpdate, DialingPermissions, HighRiskSpecialPrefix, VoiceSettings};
use serde::{Deserialize, Deserializer};

use super::geo_permissions::by_iso;
use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_v1, params};
use crate::prices::VoiceClass;
use crate::world::geo::{self, Dialing};
use crate::world::numbering::{self, Country};
use crate::world::{World, events};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Voice, Verb::Get, "/v1/DialingPermissions/Countries", list),
    Operation::new(Product::Voice, Verb::Get, "/v1/DialingPermissions/Countries/{IsoCode}", fetch),
    Operation::new(
        Product::Voice,
        Verb::Get,
        "/v1/DialingPermissions/Countries/{IsoCode}/HighRiskSpecialPrefixes",
        special_prefixes,
    ),
    Operation::new(Product::Voice, Verb::Post, "/v1/DialingPermissions/BulkCountryUpdates", update),
    Operation::new(Product::Voice, Verb::Get, "/v1/Settings", settings),
    Operation::new(Product::Voice, Verb::Post, "/v1/Settings", update_settings),
];

/// What an update asks for one country. What is absent stays.
#[derive(Debug, Deserialize)]
struct Wanted {
    iso_code: String,
    #[serde(default, deserialize_with = "flag")]
    low_risk_numbers_enabled: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    high_risk_special_numbers_enabled: Option<bool>,
    #[serde(default, deserialize_with = "flag")]
    high_risk_tollfraud_numbers_enabled: Option<bool>,
}

/// Twilio's own examples have truth values as text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Flag(bool),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Flag(flag) => Ok(Some(flag)),
        Either::Text(text) => text.to_ascii_lowercase().parse().map(Some).map_err(serde::de::Error::custom),
    }
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let query = &request.query;
    let iso = params::some(query, "IsoCode");
    let continent = params::some(query, "Continent").map(|text| text.replace(' ', "_"));
    let code = params::some(query, "CountryCode").map(|text| text.trim_start_matches(['+', ' ']));
    let low_risk = params::flag(query, "LowRiskNumbersEnabled")?;
    let special = params::flag(query, "HighRiskSpecialNumbersEnabled")?;
    let toll_fraud = params::flag(query, "HighRiskTollfraudNumbersEnabled")?;
    let rows = by_iso().into_values().filter(|country| {
        let dialing = geo::dialing(world, request.account, country.iso);
        iso.is_none_or(|iso| country.iso.eq_ignore_ascii_case(iso))
            && continent.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(numbering::continent(country.iso)))
            && code.is_none_or(|code| country.calling_code().to_string() == code)
            && low_risk.is_none_or(|wanted| wanted == dialing.low_risk)
            && special.is_none_or(|wanted| wanted == dialing.special)
            && toll_fraud.is_none_or(|wanted| wanted == dialing.toll_fraud)
    });
    list_v1(
        request,
        "content",
        rows,
        |country| country.iso.to_owned(),
        |country| shown(world, request, country),
    )
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    Ok(Reply::ok(&shown(world, request, country)))
}

fn special_prefixes(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let country = country(request)?;
    let prefixes = world.prices.voice_prefixes(country.iso);
    let rows = prefixes.into_iter().filter(|it| it.class == VoiceClass::Special);
    list_v1(
        request,
        "content",
        rows,
        |row| row.prefix.clone(),
        |row| HighRiskSpecialPrefix { prefix: format!("+{}", row.prefix) },
    )
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let text = params::needed(&request.form, "UpdateRequest")?;
    let invalid = || Refusal::invalid("UpdateRequest", text);
    let wanted: Vec<Wanted> = serde_json::from_str(text).map_err(|_| invalid())?;
    let mut changes = Vec::new();
    for wanted in wanted {
        let country = numbering::country_by_iso(&wanted.iso_code).ok_or_else(invalid)?;
        let before = geo::dialing(world, request.account, country.iso);
        let dialing = Dialing {
            low_risk: wanted.low_risk_numbers_enabled.unwrap_or(before.low_risk),
            special: wanted.high_risk_special_numbers_enabled.unwrap_or(before.special),
            toll_fraud: wanted.high_risk_tollfraud_numbers_enabled.unwrap_or(before.toll_fraud),
        };
        changes.push((country.iso, dialing));
    }
    let update_count = u32::try_from(changes.len()).unwrap_or(u32::MAX);
    for (iso, dialing) in changes {
        geo::set_dialing(world, request.account, iso, dialing);
    }
    events::record(world, request.account, "voice-dialing-permissions.updated", request.account);
    Ok(Reply::created(&BulkCountryUpdate { update_count, update_request: Some("accepted".to_owned()) }))
}

fn settings(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    Ok(Reply::ok(&shown_settings(world, request)))
}

fn update_settings(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if let Some(inherits) = params::flag(&request.form, "DialingPermissionsInheritance")? {
        geo::set_inherits(world, request.account, inherits);
    }
    Ok(Reply::accepted(&shown_settings(world, request)))
}

fn shown_settings(world: &World, request: &Request) -> VoiceSettings {
    VoiceSettings {
        dialing_permissions_inheritance: geo::inherits(world, request.account),
        url: request.url(&request.path),
    }
}

fn country(request: &Request) -> Result<&'static Country, Refusal> {
    numbering::country_by_iso(request.param("IsoCode")).ok_or_else(|| request.not_found())
}

fn shown(world: &World, request: &Request, country: &Country) -> DialingPermissions {
    let dialing = geo::dialing(world, request.account, country.iso);
    let url = request.url(&format!("/v1/DialingPermissions/Countries/{}", country.iso));
    DialingPermissions {
        iso_code: country.iso.to_owned(),
        name: Some(country.name.to_owned()),
        continent: Some(numbering::continent(country.iso).to_owned()),
        country_codes: vec![format!("+{}", country.calling_code())],
        low_risk_numbers_enabled: dialing.low_risk,
        high_risk_special_numbers_enabled: dialing.special,
        high_risk_tollfraud_numbers_enabled: dialing.toll_fraud,
        links: BTreeMap::from([(
            "highrisk_special_prefixes".to_owned(),
            format!("{url}/HighRiskSpecialPrefixes"),
        )]),
        url,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::{Api, error};

    const BULK: &str = "/v1/DialingPermissions/BulkCountryUpdates";

    #[test]
    fn what_is_no_update_is_refused_and_changes_nothing() {
        let mut api = Api::new();
        api.of(Product::Voice);
        for wrong in [
            "",
            "no",
            "{}",
            r#"[{"iso_code": "XX"}]"#,
            r#"[{"iso_code": "DE", "low_risk_numbers_enabled": false}, {"iso_code": "XX"}]"#,
            r#"[{"iso_code": "DE", "low_risk_numbers_enabled": "perhaps"}]"#,
        ] {
            assert_eq!(error(api.post(BULK, &[("UpdateRequest", wrong)])), (400, 20001), "{wrong}");
        }
        assert!(geo::dialing(&api.world, api.main, "DE").low_risk);
        assert_eq!(error(api.get("/v1/DialingPermissions/Countries/XX")), (404, 20404));
        assert_eq!(error(api.get("/v1/DialingPermissions/Countries?LowRiskNumbersEnabled=so")), (400, 20001));
    }

    #[test]
    fn special_numbers_are_closed_at_first_and_can_be_opened() {
        let mut api = Api::new();
        let from = api.number();
        let path = format!("/2010-04-01/Accounts/{}/Calls.json", api.main);
        let call = [("From", from.as_str()), ("To", "+37125921234"), ("Twiml", "<Response/>")];
        assert_eq!(error(api.of(Product::Api).post(&path, &call)), (400, 21215));
        let update = r#"[{"iso_code": "LV", "high_risk_tollfraud_numbers_enabled": "true"}]"#;
        let (status, body) = api.of(Product::Voice).post(BULK, &[("UpdateRequest", update)]);
        assert_eq!((status, body), (201, json!({ "update_count": 1, "update_request": "accepted" })));
        assert_eq!(api.of(Product::Api).post(&path, &call).0, 201);
    }

    #[test]
    fn a_subaccount_inherits_until_it_is_told_otherwise() {
        let mut api = Api::new();
        let sub = api.subaccount("tenant");
        let close = r#"[{"iso_code": "DE", "low_risk_numbers_enabled": false}]"#;
        api.of(Product::Voice).post(BULK, &[("UpdateRequest", close)]);
        api.as_account(&sub);
        let is_open = |api: &mut Api| {
            api.get("/v1/DialingPermissions/Countries/DE").1["low_risk_numbers_enabled"].as_bool().unwrap()
        };
        assert!(!is_open(&mut api));
        let (status, _) = api.post("/v1/Settings", &[("DialingPermissionsInheritance", "false")]);
        assert_eq!(status, 202);
        assert_eq!(api.get("/v1/Settings").1["dialing_permissions_inheritance"], false);
        assert!(is_open(&mut api));
    }

    #[test]
    fn countries_are_filtered_and_shown_as_twilio_shows_them() {
        let mut api = Api::new();
        api.of(Product::Voice);
        let (_, page) = api.get("/v1/DialingPermissions/Countries?CountryCode=%2B1&PageSize=1000");
        assert!(page["content"].as_array().unwrap().iter().any(|it| it["iso_code"] == "JM"));
        let (_, page) = api.get("/v1/DialingPermissions/Countries?Continent=Africa&PageSize=1000");
        let codes = page["content"].as_array().unwrap().iter().map(|it| it["iso_code"].as_str().unwrap());
        let codes: Vec<_> = codes.collect();
        assert!(codes.contains(&"ZW") && codes.contains(&"ZA") && !codes.contains(&"FR"), "{codes:?}");
        let (_, page) = api.get("/v1/DialingPermissions/Countries?IsoCode=LV");
        assert_eq!(page["meta"]["key"], "content");
        assert_eq!(
            page["content"],
            json!([{
                "iso_code": "LV",
                "name": "Latvia",
                "continent": "EUROPE",
                "country_codes": ["+371"],
                "low_risk_numbers_enabled": true,
                "high_risk_special_numbers_enabled": false,
                "high_risk_tollfraud_numbers_enabled": false,
                "url": "https://voice.twilio.com/v1/DialingPermissions/Countries/LV",
                "links": { "highrisk_special_prefixes":
                    "https://voice.twilio.com/v1/DialingPermissions/Countries/LV/HighRiskSpecialPrefixes" },
            }])
        );
        let (_, page) = api.get("/v1/DialingPermissions/Countries/LV/HighRiskSpecialPrefixes");
        assert!(page["content"].as_array().unwrap().contains(&json!({ "prefix": "+37190" })));
    }
}
