//! Which countries may be called: <https://www.twilio.com/docs/voice/api/dialingpermissions-country-resource>.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::base::Product::Voice;
use super::super::operation::{Operation, segment};
use super::super::{Client, Error, Pages};
use crate::wire::{self, Form};

/// Which countries the account may call whose credentials these are: `client.dialing_permissions()`.
#[derive(Debug, Clone, Copy)]
pub struct DialingPermissions<'c> {
    client: &'c Client,
}

/// Which countries a list has.
#[derive(Debug, Clone, Default)]
pub struct DialingFilter {
    /// Those of this continent: `EUROPE`.
    pub continent: Option<String>,
    /// Those with this prefix: `+44`.
    pub country_code: Option<String>,
    /// Those whose ordinary numbers may be called, or those whose may not.
    pub low_risk_numbers_enabled: Option<bool>,
    /// The same of their special services.
    pub high_risk_special_numbers_enabled: Option<bool>,
    /// The same of their numbers known from toll fraud.
    pub high_risk_tollfraud_numbers_enabled: Option<bool>,
}

/// Which numbers of one country are to be called. All three are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialingChange {
    /// ISO 3166: `US`.
    pub iso_code: String,
    /// Ordinary numbers.
    pub low_risk_numbers_enabled: bool,
    /// Special services: dear, and sometimes used for fraud.
    pub high_risk_special_numbers_enabled: bool,
    /// Numbers known from toll fraud.
    pub high_risk_tollfraud_numbers_enabled: bool,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DialingUpdate {
    /// How many countries were changed.
    pub update_count: u32,
    /// What was asked for.
    pub update_request: Option<String>,
}

/// Whether a subaccount has its parent's permissions rather than its own.
#[derive(Debug, Deserialize)]
struct DialingSettings {
    dialing_permissions_inheritance: bool,
}

impl Client {
    /// Which countries the account may call whose credentials these are.
    pub fn dialing_permissions(&self) -> DialingPermissions<'_> {
        DialingPermissions { client: self }
    }
}

impl DialingPermissions<'_> {
    /// Those of all countries.
    pub fn list(&self, filter: &DialingFilter) -> Pages<wire::DialingPermissions> {
        let mut query = Form::new();
        query.push_some("Continent", filter.continent.as_deref());
        query.push_some("CountryCode", filter.country_code.as_deref());
        for (name, wanted) in [
            ("LowRiskNumbersEnabled", filter.low_risk_numbers_enabled),
            ("HighRiskSpecialNumbersEnabled", filter.high_risk_special_numbers_enabled),
            ("HighRiskTollfraudNumbersEnabled", filter.high_risk_tollfraud_numbers_enabled),
        ] {
            query.push_some(name, wanted.map(|it| it.to_string()));
        }
        let path = "/v1/DialingPermissions/Countries".to_owned();
        Pages::new(self.client, "dialing_permissions.list", Voice, path, query, "content")
    }

    /// Those of one country, by its two letters of ISO 3166.
    pub async fn fetch(&self, country: &str) -> Result<wire::DialingPermissions, Error> {
        let path = format!("/v1/DialingPermissions/Countries/{}", segment(country));
        self.client.json(Operation::get("dialing_permissions.fetch", Voice, &path, &Form::new())).await
    }

    /// Changes some; the others stay. A subaccount that inherits its parent's must be told not to first.
    pub async fn update(&self, changes: &[DialingChange]) -> Result<DialingUpdate, Error> {
        let request = Value::Array(changes.iter().map(DialingChange::json).collect());
        let form = [("UpdateRequest", request.to_string())].into_iter().collect();
        let path = "/v1/DialingPermissions/BulkCountryUpdates".to_owned();
        self.client.json(Operation::set("dialing_permissions.update", Voice, path, form)).await
    }

    /// Whether this subaccount has its parent's permissions rather than its own.
    pub async fn inheritance(&self) -> Result<bool, Error> {
        let operation =
            Operation::get("dialing_permissions.inheritance", Voice, "/v1/Settings", &Form::new());
        Ok(self.client.json::<DialingSettings>(operation).await?.dialing_permissions_inheritance)
    }

    /// Gives a subaccount its parent's permissions, or its own. Returns which it has now.
    pub async fn set_inheritance(&self, inherit: bool) -> Result<bool, Error> {
        let form = [("DialingPermissionsInheritance", inherit.to_string())].into_iter().collect();
        let path = "/v1/Settings".to_owned();
        let operation = Operation::set("dialing_permissions.set_inheritance", Voice, path, form);
        Ok(self.client.json::<DialingSettings>(operation).await?.dialing_permissions_inheritance)
    }
}

impl DialingChange {
    /// Twilio's example has the truth values as texts.
    fn json(&self) -> Value {
        json!({
            "iso_code": self.iso_code,
            "low_risk_numbers_enabled": self.low_risk_numbers_enabled.to_string(),
            "high_risk_special_numbers_enabled": self.high_risk_special_numbers_enabled.to_string(),
            "high_risk_tollfraud_numbers_enabled": self.high_risk_tollfraud_numbers_enabled.to_string(),
        })
    }
}
