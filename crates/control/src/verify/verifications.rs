//! Verifications and their checks: <https://www.twilio.com/docs/verify/api/verification> and
//! <https://www.twilio.com/docs/verify/api/verification-check>.
//!
//! No answer ever has the code in it. A verification that is approved, canceled, expired or used up is not there any
//! more, as at Twilio.

use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::State;
use ringfence_second_factor::pumping::{Budget, Cap, Of};
use ringfence_store::{Challenge, Checked, End, Which};
use ringfence_twilio::wire::{self, Iso8601, SendCodeAttempt, VerificationChannel, VerificationStatus};
use serde_json::json;

use super::access::MAY_APPROVE;
use super::refusal::Refusal;
use super::{Call, Reply, params, start};
use crate::second_factor::Started;

/// How often one verification may be looked at: <https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts>.
const FETCHES: [Cap; 3] =
    [Cap { most: 60, seconds: 60 }, Cap { most: 180, seconds: 3_600 }, Cap { most: 250, seconds: 86_400 }];

pub(super) async fn start(call: &Call<'_>) -> Result<Reply, Refusal> {
    let application = call.application()?;
    let start = start::read(call).await?;
    match call.factor.start(&call.actor(), application, start).await? {
        Started::Sent { challenge, .. } => Ok(Reply::created(&wire(call, &challenge).await?)),
        Started::Not(not) => Err(Refusal::not_sent(not, &call.path, call.factor.now())),
        Started::NotSetAside(why) => Err(Refusal::not_set_aside(&why, call.factor.now())),
    }
}

pub(super) async fn fetch(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (application, which) = (call.application()?.sid, named(call)?);
    let found = call.factor.find(application, which).await?;
    let now = call.factor.now();
    let waits = found.filter(|it| matches!(it.course.at(now).state, State::Pending(_)));
    let challenge = waits.ok_or_else(|| call.not_found())?;
    let name = format!("fetch/{}", challenge.sid);
    let budgets = FETCHES.iter().map(|cap| Budget::new(Of::Own, &name, *cap, now)).collect();
    if let Some(used_up) = call.factor.store().take_budgets(budgets).await? {
        return Err(Refusal::too_many_requests(used_up.ends_at, now));
    }
    Ok(Reply::ok(&wire(call, &challenge).await?))
}

pub(super) async fn update(call: &Call<'_>) -> Result<Reply, Refusal> {
    let (application, which) = (call.application()?.sid, named(call)?);
    let end = match params::needed(&call.form, "Status")? {
        "canceled" => End::Canceled,
        "approved" if call.caller.may(MAY_APPROVE) => End::Approved,
        "approved" => {
            return Err(Refusal::forbidden(
                "This credential may not approve a verification without its code: make one with --may-approve",
            ));
        }
        other => return Err(Refusal::invalid("Status", other, "canceled or approved")),
    };
    let ended = call.factor.end(&call.actor(), application, which, end).await?;
    let challenge = ended.ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(&wire(call, &challenge).await?))
}

pub(super) async fn check(call: &Call<'_>) -> Result<Reply, Refusal> {
    let form = &call.form;
    let application = call.application()?.sid;
    let code = params::some(form, "Code").ok_or_else(|| {
        Refusal::bad_request(60200, "Invalid parameter `Code`: it is missing (the code that was entered)")
    })?;
    // What can be no code uses up no attempt (https://www.twilio.com/docs/api/errors/60200).
    let length = code.chars().filter(|it| !it.is_whitespace() && *it != '-').count();
    if !(4..=10).contains(&length) {
        return Err(Refusal::invalid("Code", "this one", "the 4 to 10 characters that were entered"));
    }
    params::without_payment(form)?;
    let which = checked_one(call, application).await?;
    let checked = call.factor.check(&call.actor(), application, which, Secret::new(code)).await?;
    let (challenge, status) = match checked {
        Checked::Approved(challenge) => (challenge, VerificationStatus::Approved),
        Checked::Wrong(challenge) => (challenge, VerificationStatus::Pending),
        Checked::Not(not) => return Err(Refusal::not_checked(not, &call.path, call.factor.now())),
    };
    Ok(Reply::ok(&wire::VerificationCheck {
        sid: challenge.sid.to_string(),
        service_sid: challenge.expected.application.clone(),
        account_sid: call.account(),
        to: challenge.number.to_string(),
        channel: VerificationChannel::from(challenge.channel.as_str()),
        valid: status == VerificationStatus::Approved,
        status,
        amount: None,
        payee: None,
        sna_attempts_error_codes: Vec::new(),
        date_created: Some(Iso8601(challenge.course.created_at)),
        date_updated: Some(Iso8601(challenge.updated_at)),
    }))
}

/// The verification that a check means.
async fn checked_one(call: &Call<'_>, application: Sid) -> Result<Which, Refusal> {
    let (sid, to) = match (params::some(&call.form, "VerificationSid"), params::some(&call.form, "To")) {
        (None, None) => return Err(Refusal::bad_request(60221, "No target verification specified")),
        (None, Some(to)) => {
            let number = PhoneNumber::parse(to).map(Which::Number);
            return number.map_err(|_| Refusal::invalid("To", to, params::NUMBER));
        }
        (Some(sid), to) => (sid, to),
    };
    let which = Sid::parse(sid).ok().filter(|sid| sid.is("VE")).map(Which::Sid);
    let which =
        which.ok_or_else(|| Refusal::invalid("VerificationSid", sid, "VE and 32 hexadecimal digits"))?;
    // The code of one must not approve what the application takes for another.
    if let Some(to) = to {
        let (to, found) = (PhoneNumber::parse(to).ok(), call.factor.find(application, which).await?);
        found.filter(|found| Some(found.number) == to).ok_or_else(|| call.not_found())?;
    }
    Ok(which)
}

/// The verification in the path, by its SID or by its recipient.
fn named(call: &Call<'_>) -> Result<Which, Refusal> {
    let text = call.param("Sid");
    if let Ok(sid) = Sid::parse(text) {
        return Ok(Which::Sid(sid));
    }
    PhoneNumber::parse(text).map(Which::Number).map_err(|_| call.not_found())
}

async fn wire(call: &Call<'_>, challenge: &Challenge) -> Result<wire::Verification, Refusal> {
    let sends = call.factor.store().sends_of_challenge(challenge.sid).await?;
    let sends = sends.iter().map(|send| SendCodeAttempt {
        time: Iso8601(send.asked_at),
        channel: send.channel.as_str().to_ascii_uppercase(),
        attempt_sid: send.sid.to_string(),
    });
    let status = VerificationStatus::from(challenge.course.state.as_str());
    let service = &challenge.expected.application;
    Ok(wire::Verification {
        sid: challenge.sid.to_string(),
        service_sid: service.clone(),
        account_sid: call.account(),
        to: challenge.number.to_string(),
        channel: VerificationChannel::from(challenge.channel.as_str()),
        valid: status == VerificationStatus::Approved,
        status,
        lookup: json!({}),
        amount: None,
        payee: None,
        send_code_attempts: sends.collect(),
        sna: None,
        date_created: Some(Iso8601(challenge.course.created_at)),
        date_updated: Some(Iso8601(challenge.updated_at)),
        url: call.url(&format!("/v2/Services/{service}/Verifications/{}", challenge.sid)),
    })
}
