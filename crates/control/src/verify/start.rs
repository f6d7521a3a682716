//! What a start may say.

use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::pumping::{Asker, Budget, Cap, Of};
use ringfence_twilio::wire::Form;
use serde_json::Value;

use super::refusal::Refusal;
use super::{Call, params};
use crate::second_factor::{ApplicationSettings, SecondFactor, Start, check_name};

/// Numbers are shorter nowhere, with their country.
const NUMBER_DIGITS_MIN: u64 = 1_000_000;

/// The longest value of a limit that counts as itself.
const VALUE_MAX: usize = 256;

/// Reads a start.
pub(super) async fn read(call: &Call<'_>) -> Result<Start, Refusal> {
    let form = &call.form;
    let application = call.application()?;
    let to = params::needed(form, "To")?;
    let channel = channel(params::needed(form, "Channel")?)?;
    let number = PhoneNumber::parse(to).ok().filter(|number| number.digits() >= NUMBER_DIGITS_MIN);
    let number = number.ok_or_else(|| Refusal::invalid("To", to))?;
    if !call.factor.settings().has_channel(channel) {
        return Err(disabled(channel.as_str()));
    }
    // Codes that are bound to a payment are not; silence about it would be false security.
    for name in ["Amount", "Payee"] {
        if let Some(value) = params::some(form, name) {
            return Err(Refusal::invalid(name, value));
        }
    }
    Ok(Start {
        to: number,
        channel,
        custom_code: custom_code(form, &application.settings)?,
        name: name(form)?,
        locale: params::some(form, "Locale").map(|locale| locale.chars().take(16).collect()),
        app_hash: of_form(form, "AppHash", |it| it.len() == 11 && it.bytes().all(is_of_base64))?,
        send_digits: of_form(form, "SendDigits", |it| {
            it.len() <= 32 && it.chars().all(|key| matches!(key, '0'..='9' | 'w' | 'W' | '#' | '*'))
        })?,
        asker: Asker { address: address(form)?, user: None },
        own_budgets: own_budgets(call, application.sid, form).await?,
    })
}

/// How the code shall travel. There is no mail here, and no way past the phone.
fn channel(text: &str) -> Result<Channel, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "sms" | "auto" => Ok(Channel::Sms),
        "call" => Ok(Channel::Call),
        "email" | "whatsapp" | "sna" | "rbm" => Err(disabled(text)),
        _ => Err(Refusal::invalid("Channel", text)),
    }
}

fn disabled(channel: &str) -> Refusal {
    Refusal::new(403, 60223, format!("Delivery channel disabled: {}", channel.to_ascii_uppercase()))
}

fn custom_code(form: &Form, settings: &ApplicationSettings) -> Result<Option<Secret>, Refusal> {
    let Some(code) = params::some(form, "CustomCode") else { return Ok(None) };
    if !settings.custom_codes {
        return Err(Refusal::new(403, 60204, "Custom code not allowed"));
    }
    let is_code = (4..=10).contains(&code.len()) && code.bytes().all(|it| it.is_ascii_alphanumeric());
    if !is_code {
        return Err(Refusal::bad_request(
            60200,
            "Invalid parameter `CustomCode`: 4 to 10 letters and digits",
        ));
    }
    Ok(Some(Secret::new(code)))
}

fn name(form: &Form) -> Result<Option<String>, Refusal> {
    let Some(name) = params::some(form, "CustomFriendlyName") else { return Ok(None) };
    check_name(name).map_err(|_| Refusal::invalid("CustomFriendlyName", name))?;
    Ok(Some(name.to_owned()))
}

fn of_form(form: &Form, name: &str, is_good: impl Fn(&str) -> bool) -> Result<Option<String>, Refusal> {
    match params::some(form, name) {
        Some(text) if !is_good(text) => Err(Refusal::invalid(name, text)),
        text => Ok(text.map(str::to_owned)),
    }
}

fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where the user is, as the application says.
fn address(form: &Form) -> Result<Option<std::net::IpAddr>, Refusal> {
    let Some(text) = params::some(form, "DeviceIp") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Refusal::invalid("DeviceIp", text))
}

/// The application's own limits that the start names, with their values.
async fn own_budgets(
    call: &Call<'_>,
    application: ringfence_model::Sid,
    form: &Form,
) -> Result<Vec<Budget>, Refusal> {
    let Some(text) = params::some(form, "RateLimits") else { return Ok(Vec::new()) };
    let Ok(Value::Object(named)) = serde_json::from_str(text) else {
        return Err(Refusal::invalid("RateLimits", text));
    };
    let factor: SecondFactor<'_> = call.factor;
    let (store, now) = (factor.store(), factor.now());
    let keys = store.factor_keys().await?;
    let limits = store.verify_limits(application).await?;
    let mut budgets = Vec::new();
    for limit in limits {
        let Some(value) = named.get(&limit.unique_name) else { continue };
        let value = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let value: String = value.chars().take(VALUE_MAX).collect();
        let tag = keys.tags.tag("own", &value);
        for bucket in store.verify_buckets(limit.sid).await? {
            let cap = Cap { most: bucket.most, seconds: bucket.seconds };
            budgets.push(Budget::new(Of::Own, &format!("{}/{tag}", bucket.sid), cap, now));
        }
    }
    Ok(budgets)
}
