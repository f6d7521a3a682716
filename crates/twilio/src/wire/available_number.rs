//! Numbers for sale: <https://www.twilio.com/docs/phone-numbers/api/availablephonenumber-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Capabilities;

/// A country in which numbers are for sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailableCountry {
    /// ISO 3166: `US`.
    pub country_code: String,
    /// For people.
    pub country: String,
    /// Whether all its numbers are new to Twilio.
    pub beta: bool,
    /// Where it is, relative to the host.
    pub uri: String,
    /// `local`, `mobile` and `toll_free`, where it has them.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
}

/// A number for sale. Where it is known only in North America.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailableNumber {
    /// As people of its country write it.
    pub friendly_name: String,
    /// E.164.
    pub phone_number: String,
    /// Local access and transport area.
    pub lata: Option<String>,
    /// Its city.
    pub locality: Option<String>,
    /// Its rate center.
    pub rate_center: Option<String>,
    /// Degrees: `19.720000`. The document's schema says a number, its examples show text; clients take both.
    pub latitude: Option<String>,
    /// Degrees: `-155.090000`.
    pub longitude: Option<String>,
    /// Its state or province: `HI`.
    pub region: Option<String>,
    /// Its postal code.
    pub postal_code: Option<String>,
    /// ISO 3166: `US`.
    pub iso_country: String,
    /// `none`, `any`, `local` or `foreign`.
    pub address_requirements: String,
    /// Whether it is new to Twilio.
    pub beta: bool,
    /// What it can do.
    pub capabilities: Capabilities,
}
