//! Which countries may be texted: <https://www.twilio.com/docs/messaging/guides/sms-geo-permissions>.

use serde_json::json;

use super::super::base::Product::Accounts;
use super::super::operation::Operation;
use super::super::{Client, Error};
use crate::wire::{Form, GeoPermission, GeoPermissions};

/// Which countries the account may text whose credentials these are: `client.sms_geo_permissions()`.
#[derive(Debug, Clone, Copy)]
pub struct SmsGeoPermissions<'c> {
    client: &'c Client,
}

/// Whether one country is to be texted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsGeoChange {
    /// ISO 3166: `US`.
    pub country_code: String,
    /// Whether it may be.
    pub enabled: bool,
}

impl Client {
    /// Which countries the account may text whose credentials these are.
    pub fn sms_geo_permissions(&self) -> SmsGeoPermissions<'_> {
        SmsGeoPermissions { client: self }
    }
}

impl SmsGeoPermissions<'_> {
    /// Those of some countries, or of all where none is named.
    pub async fn list(&self, country_codes: &[&str]) -> Result<Vec<GeoPermission>, Error> {
        let mut query = Form::new();
        query.push_some("CountryCode", (!country_codes.is_empty()).then(|| country_codes.join(",")));
        let operation = Operation::get("sms_geo_permissions.list", Accounts, PATH, &query);
        Ok(self.client.json::<GeoPermissions>(operation).await?.permissions)
    }

    /// Changes some; the others stay. Read the answer: an entry with an `error_code` that is not 0 was refused (30649,
    /// a country of high risk), while the others were changed.
    pub async fn update(&self, changes: &[SmsGeoChange]) -> Result<Vec<GeoPermission>, Error> {
        let mut form = Form::new();
        for change in changes {
            let permission =
                json!({ "country_code": change.country_code, "type": "country", "enabled": change.enabled });
            form.push("Permissions", permission.to_string());
        }
        let operation = Operation::patch("sms_geo_permissions.update", Accounts, PATH.to_owned(), form);
        Ok(self.client.json::<GeoPermissions>(operation).await?.permissions)
    }
}

const PATH: &str = "/v1/Messaging/GeoPermissions";
