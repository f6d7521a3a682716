//! What codes were sent and what came of them, one by one and in sum:
//! <https://www.twilio.com/docs/verify/api/list-verification-attempts> and
//! <https://www.twilio.com/docs/verify/api/get-verification-attempts-summary>. An application sees its own.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_second_factor::challenge::{Channel, State};
use ringfence_second_factor::country::Country;
use ringfence_second_factor::words;
use ringfence_store::{CodeSend, SendFilter, SendOutcome};
use ringfence_twilio::wire::{AttemptsSummary, Iso8601, VerificationAttempt, VerificationChannel};
use serde_json::{Value, json};

use super::page::Page;
use super::refusal::Refusal;
use super::{Call, Reply, params};

/// Where the sum is.
const SUMMARY: &str = "/v2/Attempts/Summary";

pub(super) async fn list(call: &Call<'_>) -> Result<Reply, Refusal> {
    let page = Page::of(call)?;
    let sends = match filter(call)? {
        Some(filter) => call.factor.store().code_sends(&filter, page.offset(), page.size + 1).await?,
        None => Vec::new(),
    };
    let mut rows = Vec::with_capacity(sends.len());
    for send in &sends {
        rows.push(json!(wire(call, send).await?));
    }
    Ok(page.reply(call, "attempts", rows))
}

pub(super) async fn fetch(call: &Call<'_>) -> Result<Reply, Refusal> {
    let found = call.factor.store().find_code_send(call.sid("Sid")?).await?;
    let own = call.caller.application.sid.to_string();
    let send = found.filter(|send| send.application == own).ok_or_else(|| call.not_found())?;
    Ok(Reply::ok(&wire(call, &send).await?))
}

pub(super) async fn summary(call: &Call<'_>) -> Result<Reply, Refusal> {
    let summary = match filter(call)? {
        Some(filter) => call.factor.store().summarise_code_sends(&filter).await?,
        None => ringfence_store::Summary::default(),
    };
    Ok(Reply::ok(&AttemptsSummary {
        total_attempts: summary.total,
        total_converted: summary.converted,
        total_unconverted: summary.total.saturating_sub(summary.converted),
        conversion_rate_percentage: percentage(summary.converted, summary.total),
        url: call.url(SUMMARY),
    }))
}

/// As Twilio writes it, `81.818181818`: nine digits behind the point, and none that say nothing.
fn percentage(part: u64, whole: u64) -> String {
    const BILLION: u128 = 1_000_000_000;
    let billionths = u128::from(part) * 100 * BILLION / u128::from(whole.max(1));
    let text = format!("{}.{:09}", billionths / BILLION, billionths % BILLION);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Which attempts are asked for; `None` where there can be none.
fn filter(call: &Call<'_>) -> Result<Option<SendFilter>, Refusal> {
    let query = &call.query;
    let instant = |name: &str| match params::some(query, name) {
        None => Ok(None),
        Some(text) => text
            .parse::<Timestamp>()
            .map(Some)
            .map_err(|_| Refusal::invalid(name, text, "a time such as 2026-01-31T00:00:00Z")),
    };
    let sid = |name: &str, prefix: &str| match params::some(query, name) {
        None => Ok(None),
        Some(text) => match Sid::parse(text) {
            Ok(sid) if sid.is(prefix) => Ok(Some(sid)),
            _ => Err(Refusal::invalid(name, text, &format!("{prefix} and 32 hexadecimal digits"))),
        },
    };
    // Numbers are kept so that only whole ones are found.
    if let Some(text) = params::some(query, "DestinationPrefix") {
        let wanted = "numbers are kept sealed: ask for a whole one with ChannelData.To";
        return Err(Refusal::invalid("DestinationPrefix", text, wanted));
    }
    let own = call.caller.application.sid;
    let (service, challenge) = (sid("VerifyServiceSid", "VA")?, sid("VerificationSid", "VE")?);
    let converted = match params::some(query, "Status").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("converted") => Some(true),
        Some("unconverted") => Some(false),
        Some(other) => return Err(Refusal::invalid("Status", other, "converted or unconverted")),
    };
    let mut is_possible = service.is_none_or(|service| service == own);
    let channel = match params::some(query, "Channel").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("email" | "whatsapp" | "rbm") => {
            is_possible = false;
            None
        }
        Some(word) => Some(
            Channel::from_word(word)
                .ok_or_else(|| Refusal::invalid("Channel", word, "sms, call, email or whatsapp"))?,
        ),
    };
    let country = match params::some(query, "Country") {
        None => None,
        Some(text) => {
            let country = Country::parse(&text.to_ascii_uppercase());
            Some(
                country
                    .map_err(|_| Refusal::invalid("Country", text, "a country of ISO 3166, such as US"))?,
            )
        }
    };
    let number = match params::some(query, "ChannelData.To") {
        None => None,
        Some(text) => Some(
            PhoneNumber::parse(text).map_err(|_| Refusal::invalid("ChannelData.To", text, params::NUMBER))?,
        ),
    };
    Ok(is_possible.then_some(SendFilter {
        application: own.to_string(),
        challenge,
        number,
        channel,
        country,
        converted,
        since: instant("DateCreatedAfter")?,
        until: instant("DateCreatedBefore")?,
    }))
}

async fn wire(call: &Call<'_>, send: &CodeSend) -> Result<VerificationAttempt, Refusal> {
    Ok(VerificationAttempt {
        sid: send.sid.to_string(),
        account_sid: call.account(),
        service_sid: send.application.clone(),
        verification_sid: send.challenge.to_string(),
        date_created: Some(Iso8601(send.asked_at)),
        date_updated: Some(Iso8601(send.updated_at)),
        conversion_status: if send.converted_at.is_some() { "converted" } else { "unconverted" }.to_owned(),
        channel: VerificationChannel::from(send.channel.as_str()),
        // Twilio tells what a message cost only later, and to the account.
        price: json!({}),
        channel_data: channel_data(call, send).await?,
        url: call.url(&format!("/v2/Attempts/{}", send.sid)),
    })
}

/// Where it went and how.
async fn channel_data(call: &Call<'_>, send: &CodeSend) -> Result<Value, Refusal> {
    let challenge = call.factor.store().challenge_of_send(send).await?;
    let now = call.factor.now();
    let status = match challenge.as_ref().map(|it| it.course.at(now).state) {
        _ if send.converted_at.is_some() => "confirmed",
        Some(State::Expired) | None => "expired",
        Some(_) => "unconfirmed",
    };
    let locale = challenge.as_ref().and_then(|it| it.details["locale"].as_str().map(words::locale));
    let mut data = json!({
        "verification_sid": send.challenge.to_string(),
        "to": challenge.as_ref().map(|it| it.number.to_string()),
        "status": status,
        "error_code": null,
        "country": send.country.as_str(),
        "code_length": challenge.as_ref().map(ringfence_store::Challenge::code_length),
        "locale": locale,
        "mcc": null,
        "mnc": null,
        "carrier": null,
    });
    let (key, word) = match (send.channel, send.outcome) {
        (Channel::Sms, SendOutcome::Waiting) => ("message_status", "queued"),
        (Channel::Sms, SendOutcome::Sent(_)) => ("message_status", "sent"),
        (Channel::Sms, SendOutcome::Failed) => ("message_status", "failed"),
        (Channel::Call, SendOutcome::Waiting) => ("call_status", "queued"),
        // Whether somebody answered is not asked; whoever has entered the code has heard it.
        (Channel::Call, SendOutcome::Sent(_)) if send.converted_at.is_some() => ("call_status", "completed"),
        (Channel::Call, SendOutcome::Sent(_)) => ("call_status", "queued"),
        (Channel::Call, SendOutcome::Failed) => ("call_status", "failed"),
    };
    data[key] = json!(word);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn a_percentage_is_written_as_twilio_writes_it() {
        for (part, whole, text) in
            [(0, 0, "0"), (0, 3, "0"), (9, 11, "81.818181818"), (1, 2, "50"), (7, 7, "100")]
        {
            assert_eq!(percentage(part, whole), text);
        }
    }
}
