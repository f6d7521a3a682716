//! What a start may say.

use ringfence_model::{PhoneNumber, Secret};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::pumping::{Asker, Budget, Cap, Of};
use ringfence_twilio::wire::Form;
use serde_json::Value;

use super::refusal::Refusal;
use super::{Call, params};
use crate::second_factor::{ApplicationSettings, SecondFactor, Start, check_name};

/// The longest value of a limit that counts as itself.
const VALUE_MAX: usize = 256;

/// Reads a start.
pub(super) async fn read(call: &Call<'_>) -> Result<Start, Refusal> {
    let form = &call.form;
    let application = call.application()?;
    let to = params::needed(form, "To")?;
    let channel = channel(params::needed(form, "Channel")?)?;
    let number = PhoneNumber::parse(to).ok().filter(PhoneNumber::is_possible);
    let number = number.ok_or_else(|| Refusal::invalid("To", to, params::NUMBER))?;
    if !call.factor.settings().has_channel(channel) {
        return Err(disabled(channel.as_str()));
    }
    params::without_payment(form)?;
    Ok(Start {
        to: number,
        channel,
        custom_code: custom_code(form, &application.settings)?,
        name: name(form)?,
        locale: params::some(form, "Locale").map(|locale| locale.chars().take(16).collect()),
        app_hash: of_form(form, "AppHash", "11 letters, digits, + and /", |it| {
            it.len() == 11 && it.bytes().all(is_of_base64)
        })?,
        send_digits: of_form(form, "SendDigits", "at most 32 of 0 to 9, w, W, # and *", |it| {
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
        _ => Err(Refusal::invalid("Channel", text, "sms, call or auto")),
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
        return Err(Refusal::invalid("CustomCode", "this one", "4 to 10 letters and digits"));
    }
    Ok(Some(Secret::new(code)))
}

fn name(form: &Form) -> Result<Option<String>, Refusal> {
    let Some(name) = params::some(form, "CustomFriendlyName") else { return Ok(None) };
    check_name(name).map_err(|problem| Refusal::invalid("CustomFriendlyName", name, &problem.to_string()))?;
    Ok(Some(name.to_owned()))
}

fn of_form(
    form: &Form,
    name: &str,
    wanted: &str,
    is_good: impl Fn(&str) -> bool,
) -> Result<Option<String>, Refusal> {
    match params::some(form, name) {
        Some(text) if !is_good(text) => Err(Refusal::invalid(name, text, wanted)),
        text => Ok(text.map(str::to_owned)),
    }
}

fn is_of_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where the user is, as the application says.
fn address(form: &Form) -> Result<Option<std::net::IpAddr>, Refusal> {
    let Some(text) = params::some(form, "DeviceIp") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Refusal::invalid("DeviceIp", text, "an address of IPv4 or IPv6"))
}

/// The application's own limits that the start names, with their values.
async fn own_budgets(
    call: &Call<'_>,
    application: ringfence_model::Sid,
    form: &Form,
) -> Result<Vec<Budget>, Refusal> {
    let Some(text) = params::some(form, "RateLimits") else { return Ok(Vec::new()) };
    let invalid = |wanted: &str| Refusal::invalid("RateLimits", text, wanted);
    let Ok(Value::Object(named)) = serde_json::from_str(text) else {
        return Err(invalid(r#"a JSON object of names and values, such as {"end_user_ip": "203.0.113.7"}"#));
    };
    let factor: SecondFactor<'_> = call.factor;
    let (store, now) = (factor.store(), factor.now());
    let keys = store.factor_keys().await?;
    let limits = store.verify_limits(application).await?;
    let mut budgets = Vec::new();
    for (name, value) in &named {
        // A limit that is spelled wrong would hold nobody, and nobody would hear of it.
        let Some(limit) = limits.iter().find(|limit| limit.unique_name == *name) else {
            return Err(invalid("this service has no rate limit of that UniqueName"));
        };
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            // All that have none would share one.
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(invalid("the value of a rate limit is a text"));
            }
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
