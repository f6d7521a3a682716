//! Verifications and their checks: <https://www.twilio.com/docs/verify/api/verification> and
//! <https://www.twilio.com/docs/verify/api/verification-check>.
//!
//! No answer ever has the code in it.

use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::{self, Form, Iso8601, SendCodeAttempt, VerificationChannel, VerificationStatus};
use serde_json::{Value, json};

use super::operation::{Operation, Product, Verb};
use super::verify_services::{friendly_name, invalid, meant};
use super::{Refusal, Reply, Request, params};
use crate::world::World;
use crate::world::lookups;
use crate::world::numbering;
use crate::world::verify::{self, Check, Checked, Service, Start, StartRefused, Verification};

const LIST: &str = "/v2/Services/{ServiceSid}/Verifications";
const ONE: &str = "/v2/Services/{ServiceSid}/Verifications/{Sid}";
const CHECK: &str = "/v2/Services/{ServiceSid}/VerificationCheck";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Verify, Verb::Post, LIST, start).creates(),
    Operation::new(Product::Verify, Verb::Get, ONE, fetch),
    Operation::new(Product::Verify, Verb::Post, ONE, update),
    Operation::new(Product::Verify, Verb::Post, CHECK, check),
];

fn start(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let service = meant(world, request)?;
    let start = read_start(request, service)?;
    let sid = verify::start(world, &start).map_err(|refused| refuse(request, refused))?;
    let verification = world.verify.verifications.find(sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::created(&wire_verification(world, request, verification)))
}

fn read_start(request: &Request, service: &Service) -> Result<Start, Refusal> {
    let form = &request.form;
    let to = params::needed(form, "To")?;
    let channel = channel(params::needed(form, "Channel")?)?;
    let number = PhoneNumber::parse(to).ok().filter(|number| numbering::check(*number).is_ok());
    let to = number.ok_or_else(|| invalid("To", to))?;
    let code = params::some(form, "CustomCode");
    if code.is_some() && !service.rules.custom_code_enabled {
        return Err(Refusal::new(403, 60204, "Custom code not allowed"));
    }
    if let Some(code) = code.filter(|code| !is_code(code)) {
        return Err(invalid("CustomCode", code));
    }
    let amount = params::some(form, "Amount").map(str::to_owned);
    let payee = params::some(form, "Payee").map(str::to_owned);
    if service.rules.psd2_enabled && (amount.is_none() || payee.is_none()) {
        return Err(Refusal::bad_request(60206, "'Amount' & 'Payee' params are required"));
    }
    Ok(Start {
        account: service.account,
        service: service.sid,
        to,
        channel,
        custom_code: code.map(str::to_owned),
        name: friendly_name(form, "CustomFriendlyName")?,
        locale: params::some(form, "Locale").map(str::to_owned),
        amount,
        payee,
        app_hash: params::some(form, "AppHash").map(str::to_owned),
        rate_limits: rate_limits(form)?,
    })
}

/// How the code shall travel. Mail takes an integration that the sandbox does not have; silent network
/// authentication takes a network.
fn channel(text: &str) -> Result<VerificationChannel, Refusal> {
    match VerificationChannel::from(text.to_ascii_lowercase().as_str()) {
        VerificationChannel::Auto => Ok(VerificationChannel::Sms),
        VerificationChannel::Email | VerificationChannel::Sna => {
            Err(Refusal::new(403, 60223, format!("Delivery channel disabled: {}", text.to_ascii_uppercase())))
        }
        VerificationChannel::Other(_) => Err(invalid("Channel", text)),
        channel => Ok(channel),
    }
}

fn is_code(code: &str) -> bool {
    (4..=10).contains(&code.chars().count()) && code.chars().all(char::is_alphanumeric)
}

/// `RateLimits` is a map in JSON, from names to values.
fn rate_limits(form: &Form) -> Result<Vec<(String, String)>, Refusal> {
    let Some(text) = params::some(form, "RateLimits") else { return Ok(Vec::new()) };
    let Ok(Value::Object(map)) = serde_json::from_str(text) else { return Err(invalid("RateLimits", text)) };
    let value = |value: Value| match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(invalid("RateLimits", text)),
    };
    map.into_iter().map(|(name, it)| Ok((name, value(it)?))).collect()
}

fn refuse(request: &Request, refused: StartRefused) -> Refusal {
    match refused {
        StartRefused::NoService => request.not_found(),
        StartRefused::TooManyAtOnce => {
            Refusal::new(429, 60212, "Too many concurrent requests for phone number")
        }
        StartRefused::NoSuchLimit => {
            Refusal::bad_request(60200, "Invalid parameter `RateLimits`: no rate limit has that UniqueName")
        }
        StartRefused::RateLimited => Refusal::new(429, 20429, "Too many requests"),
        StartRefused::MaxSends => Refusal::new(429, 60203, "Max send attempts reached"),
        StartRefused::MaxChecks => max_checks(),
        StartRefused::Landline => Refusal::new(403, 60205, "SMS is not supported by landline phone number"),
    }
}

fn max_checks() -> Refusal {
    Refusal::new(429, 60202, "Max check attempts reached")
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = pending(world, request)?;
    if !verify::count_fetch(world, sid) {
        return Err(Refusal::too_many_requests());
    }
    shown(world, request, sid)
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = pending(world, request)?;
    match params::needed(&request.form, "Status")? {
        "approved" => verify::approve(world, sid),
        "canceled" => verify::cancel(world, sid),
        other => return Err(invalid("Status", other)),
    }
    shown(world, request, sid)
}

/// The verification in the path, by its SID or by its recipient. Once it is approved, canceled, expired or used up
/// Twilio has none: <https://www.twilio.com/docs/verify/api/verification>.
fn pending(world: &World, request: &Request) -> Result<Sid, Refusal> {
    let service = meant(world, request)?.sid;
    let text = request.param("Sid");
    let sid = Sid::parse(text).ok().or_else(|| verify::find_live(world, service, text));
    sid.and_then(|sid| world.verify.verifications.find_of(request.account, sid))
        .filter(|it| it.service == service && verify::status_of(world, it) == VerificationStatus::Pending)
        .map(|it| it.sid)
        .ok_or_else(|| request.not_found())
}

fn check(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let form = &request.form;
    let service = meant(world, request)?.sid;
    let code = params::some(form, "Code").unwrap_or_default();
    if !(4..=10).contains(&code.chars().count()) {
        return Err(invalid("Code", code));
    }
    let sid = match (params::some(form, "VerificationSid"), params::some(form, "To")) {
        (Some(text), _) => {
            let sid = Sid::parse(text).map_err(|_| invalid("VerificationSid", text))?;
            let row = world.verify.verifications.find_of(request.account, sid);
            row.filter(|row| row.service == service).map(|row| row.sid)
        }
        (None, Some(to)) if PhoneNumber::parse(to).is_err() => return Err(invalid("To", to)),
        (None, Some(to)) => verify::find_live(world, service, to),
        (None, None) => return Err(Refusal::bad_request(60221, "No target verification specified")),
    };
    let sid = sid.ok_or_else(|| request.not_found())?;
    let amount = params::some(form, "Amount");
    let payee = params::some(form, "Payee");
    match verify::check(world, sid, Check { code, amount, payee }) {
        Checked::Right | Checked::Wrong => {}
        Checked::NotFound => return Err(request.not_found()),
        Checked::MaxChecks => return Err(max_checks()),
    }
    let row = world.verify.verifications.find(sid).ok_or_else(|| request.not_found())?;
    let status = verify::status_of(world, row);
    Ok(Reply::ok(&wire::VerificationCheck {
        sid: row.sid.to_string(),
        service_sid: row.service.to_string(),
        account_sid: row.account.to_string(),
        to: row.to.clone(),
        channel: row.channel.clone(),
        valid: status == VerificationStatus::Approved,
        status,
        amount: row.amount.clone(),
        payee: row.payee.clone(),
        sna_attempts_error_codes: Vec::new(),
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
    }))
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<Reply, Refusal> {
    let row = world.verify.verifications.find(sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&wire_verification(world, request, row)))
}

fn wire_verification(world: &World, request: &Request, row: &Verification) -> wire::Verification {
    let status = verify::status_of(world, row);
    let sends = row.sends.iter().map(|send| SendCodeAttempt {
        time: Iso8601(send.at),
        channel: send.channel.as_str().to_ascii_uppercase(),
        attempt_sid: send.attempt.to_string(),
    });
    wire::Verification {
        sid: row.sid.to_string(),
        service_sid: row.service.to_string(),
        account_sid: row.account.to_string(),
        to: row.to.clone(),
        channel: row.channel.clone(),
        valid: status == VerificationStatus::Approved,
        status,
        lookup: lookup(world, row),
        amount: row.amount.clone(),
        payee: row.payee.clone(),
        send_code_attempts: sends.collect(),
        sna: None,
        date_created: Some(Iso8601(row.created)),
        date_updated: Some(Iso8601(row.updated)),
        url: request.url(&format!("/v2/Services/{}/Verifications/{}", row.service, row.sid)),
    }
}

/// What is known of the number, where the service looks numbers up.
fn lookup(world: &World, row: &Verification) -> Value {
    match PhoneNumber::parse(&row.to) {
        Ok(number) if row.looked_up => {
            json!({ "carrier": super::lookups::carrier_v1(&lookups::line(world, number)) })
        }
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests;
