//! The permissions to text and to call other countries are taken away, and given back.

use ringfence_twilio::client::{Client, DialingChange, DialingFilter, SmsGeoChange};
use serde::{Deserialize, Serialize};

use super::NotDone;

/// What was open, so that it can be opened again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClosedGeo {
    /// Countries that could be texted, ISO 3166.
    pub sms: Vec<String>,
    /// Countries that could be called, with the kinds of numbers.
    pub voice: Vec<OpenVoice>,
    /// Whether the account had its parent's permissions for calls rather than its own.
    pub inherited_voice: bool,
}

/// Which numbers of a country could be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenVoice {
    /// ISO 3166.
    pub country: String,
    /// Ordinary numbers.
    pub low_risk: bool,
    /// Special services.
    pub high_risk_special: bool,
    /// Numbers known from toll fraud.
    pub high_risk_tollfraud: bool,
}

/// So many countries fit into one request.
const AT_ONCE: usize = 100;

/// What is open now. Keep it before anything is closed: afterwards nobody can tell what was.
///
/// `client` has the account's own credentials: Twilio keeps these permissions by who asks.
pub async fn find_open_geo(client: &Client) -> Result<ClosedGeo, NotDone> {
    let permissions = client.sms_geo_permissions().list(&[]).await?;
    let sms: Vec<String> =
        permissions.into_iter().filter(|it| it.enabled).map(|it| it.country_code).collect();
    let countries = client.dialing_permissions().list(&DialingFilter::default()).all().await?;
    let voice: Vec<OpenVoice> = countries
        .into_iter()
        .map(|it| OpenVoice {
            country: it.iso_code,
            low_risk: it.low_risk_numbers_enabled,
            high_risk_special: it.high_risk_special_numbers_enabled,
            high_risk_tollfraud: it.high_risk_tollfraud_numbers_enabled,
        })
        .filter(|it| it.low_risk || it.high_risk_special || it.high_risk_tollfraud)
        .collect();
    let inherited_voice = client.dialing_permissions().inheritance().await?;
    Ok(ClosedGeo { sms, voice, inherited_voice })
}

/// Closes what [`find_open_geo`] has found, for texts and for calls.
pub async fn close_geo(client: &Client, open: &ClosedGeo) -> Result<(), NotDone> {
    if open.inherited_voice {
        client.dialing_permissions().set_inheritance(false).await?;
    }
    set(client, open, false).await?;
    match open_countries(client).await? {
        0 => Ok(()),
        left => Err(NotDone::NotInForce(format!("{left} countries are still open"))),
    }
}

/// Opens what [`close_geo`] has closed.
pub async fn open_geo(client: &Client, closed: &ClosedGeo) -> Result<(), NotDone> {
    set(client, closed, true).await?;
    if closed.inherited_voice {
        client.dialing_permissions().set_inheritance(true).await?;
    }
    Ok(())
}

async fn set(client: &Client, countries: &ClosedGeo, open: bool) -> Result<(), NotDone> {
    for some in countries.sms.chunks(AT_ONCE) {
        let changes: Vec<_> = some
            .iter()
            .map(|country| SmsGeoChange { country_code: country.clone(), enabled: open })
            .collect();
        client.sms_geo_permissions().update(&changes).await?;
    }
    for some in countries.voice.chunks(AT_ONCE) {
        let changes: Vec<_> = some
            .iter()
            .map(|it| DialingChange {
                iso_code: it.country.clone(),
                low_risk_numbers_enabled: open && it.low_risk,
                high_risk_special_numbers_enabled: open && it.high_risk_special,
                high_risk_tollfraud_numbers_enabled: open && it.high_risk_tollfraud,
            })
            .collect();
        client.dialing_permissions().update(&changes).await?;
    }
    Ok(())
}

async fn open_countries(client: &Client) -> Result<usize, NotDone> {
    let sms = client.sms_geo_permissions().list(&[]).await?;
    let voice = client.dialing_permissions().list(&DialingFilter::default()).all().await?;
    let open_voice = voice.iter().filter(|it| {
        it.low_risk_numbers_enabled
            || it.high_risk_special_numbers_enabled
            || it.high_risk_tollfraud_numbers_enabled
    });
    Ok(sms.iter().filter(|it| it.enabled).count() + open_voice.count())
}
