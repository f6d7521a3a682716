//! SMS geo permissions: <https://www.twilio.com/docs/messaging/guides/sms-geo-permissions>.

use std::collections::BTreeMap;

use ringfence_twilio::wire::{GeoPermission, GeoPermissions};
use serde::Deserialize;

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, params};
use crate::world::numbering::{self, Country};
use crate::world::{World, events, geo};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Accounts, Verb::Get, PATH, list),
    Operation::new(Product::Accounts, Verb::Patch, PATH, update),
];

const PATH: &str = "/v1/Messaging/GeoPermissions";

/// What an update asks for one country.
#[derive(Debug, Deserialize)]
struct Wanted {
    country_code: String,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    enabled: bool,
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let shown = match params::some(&request.query, "CountryCode") {
        None => by_iso().into_values().collect(),
        Some(text) => text
            .split(',')
            .map(|iso| country(iso.trim()).ok_or_else(|| Refusal::invalid("CountryCode", iso)))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let permissions = shown
        .into_iter()
        .map(|country| GeoPermission {
            enabled: geo::may_text_country(world, request.account, country.iso),
            prefix: Some(format!("+{}", country.prefix)),
            message: Some(high_risk(world, country).to_owned()),
            ..permission(country)
        })
        .collect();
    Ok(Reply::ok(&GeoPermissions { permissions }))
}

/// Countries that pumping comes from cannot be opened, only closed.
fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let mut permissions = Vec::new();
    for wanted in wanted(request)? {
        let country = country(&wanted.country_code)
            .filter(|_| wanted.kind.as_deref().is_none_or(|kind| kind == "country"))
            .ok_or_else(|| Refusal::invalid("Permissions", &wanted.country_code))?;
        permissions.push((country, wanted.enabled));
    }
    let mut shown = Vec::new();
    for (country, enabled) in permissions {
        let is_open = geo::may_text_country(world, request.account, country.iso);
        let refused = enabled && !is_open && world.prices.is_high_risk(country.iso);
        if !refused {
            geo::set_texts(world, request.account, country.iso, enabled);
        }
        let message = "High risk country permission cannot be updated".to_owned();
        shown.push(GeoPermission {
            enabled: enabled && !refused,
            error_code: Some(if refused { 30_649 } else { 0 }),
            error_messages: Some(if refused { vec![message] } else { Vec::new() }),
            ..permission(country)
        });
    }
    events::record(world, request.account, "sms-geographic-permissions.updated", request.account);
    Ok(Reply::ok(&GeoPermissions { permissions: shown }))
}

/// `Permissions` comes once for each country, or once with all of them.
fn wanted(request: &Request) -> Result<Vec<Wanted>, Refusal> {
    params::needed(&request.form, "Permissions")?;
    let mut all = Vec::new();
    for text in request.form.all("Permissions") {
        let invalid = |_| Refusal::invalid("Permissions", text);
        if text.trim_start().starts_with('[') {
            all.extend(serde_json::from_str::<Vec<Wanted>>(text).map_err(invalid)?);
        } else {
            all.push(serde_json::from_str(text).map_err(invalid)?);
        }
    }
    Ok(all)
}

fn permission(country: &Country) -> GeoPermission {
    GeoPermission {
        country_code: country.iso.to_owned(),
        kind: "country".to_owned(),
        enabled: false,
        prefix: None,
        message: None,
        error_code: None,
        error_messages: None,
    }
}

fn high_risk(world: &World, country: &Country) -> &'static str {
    if world.prices.is_high_risk(country.iso) { "High Risk Country" } else { "" }
}

fn country(iso: &str) -> Option<&'static Country> {
    numbering::country_by_iso(iso)
}

/// Each country once, by its code.
pub(super) fn by_iso() -> BTreeMap<&'static str, &'static Country> {
    // Of several prefixes the first stays.
    numbering::countries().fold(BTreeMap::new(), |mut found, country| {
        found.entry(country.iso).or_insert(country);
        found
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::{Api, error};

    fn patch(api: &mut Api, permissions: &[&str]) -> (u16, serde_json::Value) {
        let form: Vec<_> = permissions.iter().map(|it| ("Permissions", *it)).collect();
        api.of(Product::Accounts).patch(PATH, &form)
    }

    #[test]
    fn what_is_no_permission_is_refused_and_changes_nothing() {
        let mut api = Api::new();
        let good = r#"{"country_code": "DE", "type": "country", "enabled": false}"#;
        for wrong in [
            "",
            "no",
            "{}",
            r#"{"country_code": "XX", "type": "country", "enabled": true}"#,
            r#"{"country_code": "DE", "type": "city", "enabled": true}"#,
            r#"{"country_code": "DE", "type": "country", "enabled": "perhaps"}"#,
        ] {
            assert_eq!(error(patch(&mut api, &[wrong])), (400, 20001), "{wrong}");
            if !wrong.is_empty() {
                assert_eq!(error(patch(&mut api, &[good, wrong])), (400, 20001), "{wrong}");
            }
        }
        assert!(geo::may_text_country(&api.world, api.main, "DE"));
        assert_eq!(error(api.get("/v1/Messaging/GeoPermissions?CountryCode=US,XX")), (400, 20001));
    }

    #[test]
    fn a_closed_country_cannot_be_texted() {
        let mut api = Api::new();
        let from = api.number();
        let path = format!("/2010-04-01/Accounts/{}/Messages.json", api.main);
        let message = [("From", from.as_str()), ("To", "+4915112345678"), ("Body", "hi")];
        assert_eq!(api.of(Product::Api).post(&path, &message).0, 201);
        let (status, shown) =
            patch(&mut api, &[r#"[{"country_code": "DE", "type": "country", "enabled": false}]"#]);
        assert_eq!((status, &shown["permissions"][0]["error_code"]), (200, &json!(0)));
        assert_eq!(error(api.of(Product::Api).post(&path, &message)), (400, 21408));
    }

    #[test]
    fn a_country_of_high_risk_can_be_closed_and_not_opened() {
        let mut api = Api::new();
        for (enabled, code) in [(true, 0), (false, 0), (true, 30_649)] {
            let text = json!({ "country_code": "LV", "type": "country", "enabled": enabled }).to_string();
            let (status, shown) = patch(&mut api, &[&text]);
            assert_eq!((status, &shown["permissions"][0]["error_code"]), (200, &json!(code)), "{enabled}");
        }
        let (_, shown) = api.of(Product::Accounts).get("/v1/Messaging/GeoPermissions?CountryCode=LV,us");
        assert_eq!(
            shown["permissions"],
            json!([
                { "country_code": "LV", "type": "country", "enabled": false, "prefix": "+371", "message": "High Risk Country" },
                { "country_code": "US", "type": "country", "enabled": true, "prefix": "+1", "message": "" },
            ])
        );
    }
}
