//! The parameters of a new call: who, whom, and what is to happen, each wrong one with Twilio's code for it.
//!
//! Codes are those of <https://www.twilio.com/docs/api/errors>; the magic numbers are those of
//! <https://www.twilio.com/docs/iam/test-credentials#test-voice-calls>.

use ringfence_model::Sid;
use ringfence_twilio::wire::Form;

use super::{Refusal, Request, params};
use crate::world::calls::{self, Callbacks, Detection, Endpoint, Entry, Events, Orders, TIME_LIMIT_S};
use crate::world::webhooks::{Method, Target};
use crate::world::{World, geo, recordings};

/// The area code and exchange of Twilio's magic numbers; the last four digits say what happens.
const MAGIC: u64 = 15_005_550_000;

/// Whom to call.
pub(super) fn to(form: &Form) -> Result<Endpoint, Refusal> {
    let text =
        params::some(form, "To").ok_or_else(|| Refusal::bad_request(21201, "No 'To' number is specified"))?;
    let shown = super::shortened(text);
    let to = Endpoint::parse(text).ok_or_else(|| {
        Refusal::bad_request(
            21211,
            format!("The phone number you are attempting to call, {shown}, is not valid."),
        )
    })?;
    match to.phone().and_then(|number| number.digits().checked_sub(MAGIC)) {
        Some(1) => Err(Refusal::bad_request(21217, format!("Phone number {to} does not appear to be valid"))),
        Some(2) => Err(Refusal::bad_request(21214, format!("'To' phone number {to} cannot be reached"))),
        Some(3) => Err(no_permission(&to)),
        Some(4) => Err(Refusal::bad_request(21216, format!("Account not allowed to call {to}"))),
        _ => Ok(to),
    }
}

/// Who calls: a number of the account's, or a client or SIP address that calls one of its kind.
pub(super) fn from(world: &World, request: &Request, to: &Endpoint) -> Result<Endpoint, Refusal> {
    let text = params::some(&request.form, "From")
        .or_else(|| params::some(&request.form, "CallerId"))
        .ok_or_else(|| Refusal::bad_request(21213, "No 'From' number is specified"))?;
    let invalid = || {
        let shown = super::shortened(text);
        Refusal::bad_request(21212, format!("From is not a valid phone number: {shown}"))
    };
    let from = Endpoint::parse(text).ok_or_else(invalid)?;
    let Some(number) = from.phone() else {
        return if to.phone().is_some() { Err(invalid()) } else { Ok(from) };
    };
    if number.digits() == MAGIC + 1 {
        return Err(invalid());
    }
    if !calls::may_call_from(world, request.account, number) {
        let message = format!(
            "The source phone number provided, {number}, is not yet verified for your account. You may only make \
             calls from phone numbers that you've verified or purchased from Twilio."
        );
        return Err(Refusal::bad_request(21210, message));
    }
    Ok(from)
}

/// Voice dialing permissions.
pub(super) fn may_call(world: &World, account: Sid, to: &Endpoint) -> Result<(), Refusal> {
    match to.phone() {
        Some(number) if !geo::may_call(world, account, number) => Err(no_permission(to)),
        _ => Ok(()),
    }
}

fn no_permission(to: &Endpoint) -> Refusal {
    let message = format!(
        "Account not authorized to call {to}. Perhaps you need to enable some international permissions: \
         https://www.twilio.com/console/voice/calls/geo-permissions/low-risk"
    );
    Refusal::bad_request(21215, message)
}

/// What is to happen.
pub(super) fn orders(world: &World, request: &Request) -> Result<Orders, Refusal> {
    let form = &request.form;
    let mut orders = source(world, request)?;
    orders.timeout_s = match params::some(form, "Timeout") {
        None => 60,
        Some(text) => text.parse().ok().filter(|seconds| (1..=600).contains(seconds)).ok_or_else(|| {
            Refusal::bad_request(21208, format!("Invalid Timeout: {}", super::shortened(text)))
        })?,
    };
    orders.time_limit_s = time_limit(form)?.unwrap_or(TIME_LIMIT_S);
    orders.send_digits = send_digits(form)?;
    orders.detection = detection(form)?;
    orders.record = match params::flag(form, "Record")? {
        Some(true) => Some(recording(form)?),
        _ => None,
    };
    Ok(orders)
}

/// Where the call begins: an application's URL, a URL, or TwiML itself.
fn source(world: &World, request: &Request) -> Result<Orders, Refusal> {
    let form = &request.form;
    if let Some(text) = params::some(form, "ApplicationSid") {
        let application = Sid::parse(text)
            .ok()
            .and_then(|sid| world.applications.find_of(request.account, sid))
            .ok_or_else(|| {
                Refusal::bad_request(21218, format!("Invalid ApplicationSid: {}", super::shortened(text)))
            })?;
        let hooks = &application.hooks;
        let callbacks = hooks.status_callback.clone();
        return Ok(Orders {
            entry: hooks.voice.clone().map_or(Entry::Nothing, Entry::Document),
            fallback: hooks.voice_fallback.clone(),
            callbacks: callbacks.map(|target| Callbacks { target, events: Events::COMPLETED }),
            ..Orders::default()
        });
    }
    let entry = match (url(form, "Url")?, params::some(form, "Twiml")) {
        (Some(url), _) => Entry::Document(target(form, url, "Method")?),
        (None, Some(text)) => Entry::Twiml(twiml(text)?),
        (None, None) => {
            let message =
                "Url parameter is required. For more information, see http://www.twilio.com/docs/api/twiml";
            return Err(Refusal::bad_request(21205, message));
        }
    };
    Ok(Orders { entry, fallback: fallback(form)?, callbacks: callbacks(form)?, ..Orders::default() })
}

/// TwiML in a parameter: at most 4,000 characters.
pub(super) fn twiml(text: &str) -> Result<String, Refusal> {
    const CHARACTERS_MAX: usize = 4000;
    if text.chars().count() > CHARACTERS_MAX {
        return Err(Refusal::bad_request(20001, "Invalid parameter: Twiml has more than 4000 characters"));
    }
    Ok(text.to_owned())
}

/// A URL of a call.
pub(super) fn url(form: &Form, name: &str) -> Result<Option<String>, Refusal> {
    let code = if name == "StatusCallback" { 21609 } else { 21205 };
    params::url(form, name).map_err(|_| {
        let text = super::shortened(form.get(name).unwrap_or_default());
        Refusal::bad_request(code, format!("{name} is not a valid URL: {text}"))
    })
}

/// A URL with its method.
pub(super) fn target(form: &Form, url: String, method: &str) -> Result<Target, Refusal> {
    match params::some(form, method) {
        Some(text) if !text.eq_ignore_ascii_case("GET") && !text.eq_ignore_ascii_case("POST") => {
            Err(Refusal::bad_request(21209, format!("Invalid {method}: {}", super::shortened(text))))
        }
        text => Ok(Target { url, method: Method::parse(text) }),
    }
}

/// Who answers where the first URL does not.
pub(super) fn fallback(form: &Form) -> Result<Option<Target>, Refusal> {
    url(form, "FallbackUrl")?.map(|url| target(form, url, "FallbackMethod")).transpose()
}

/// Who is told of the progress.
pub(super) fn callbacks(form: &Form) -> Result<Option<Callbacks>, Refusal> {
    let Some(url) = url(form, "StatusCallback")? else { return Ok(None) };
    let target = target(form, url, "StatusCallbackMethod")?;
    Ok(Some(Callbacks { target, events: Events::of(words(form, "StatusCallbackEvent")) }))
}

/// The words of a parameter that may come more than once, or hold several with spaces between them.
fn words<'a>(form: &'a Form, name: &'a str) -> impl Iterator<Item = &'a str> {
    form.all(name).flat_map(|value| value.split([' ', ',']))
}

/// The most seconds of a call.
pub(super) fn time_limit(form: &Form) -> Result<Option<u64>, Refusal> {
    const DAY_S: u64 = 24 * 3600;
    params::number(form, "TimeLimit", 1, DAY_S)
}

fn send_digits(form: &Form) -> Result<String, Refusal> {
    const DIGITS_MAX: usize = 32;
    let Some(text) = params::some(form, "SendDigits") else { return Ok(String::new()) };
    let is_key = |key| matches!(key, '0'..='9' | 'A'..='D' | 'a'..='d' | '#' | '*' | 'w' | 'W');
    if !text.chars().all(is_key) || text.len() > DIGITS_MAX {
        return Err(Refusal::bad_request(21206, format!("Invalid SendDigits: {}", super::shortened(text))));
    }
    Ok(text.to_owned())
}

fn detection(form: &Form) -> Result<Option<Detection>, Refusal> {
    for (name, least, most) in [
        ("MachineDetectionTimeout", 3, 59),
        ("MachineDetectionSpeechThreshold", 1000, 6000),
        ("MachineDetectionSpeechEndThreshold", 500, 5000),
        ("MachineDetectionSilenceTimeout", 2000, 10_000),
    ] {
        params::number(form, name, least, most)?;
    }
    let message_end = match params::some(form, "MachineDetection") {
        None => return Ok(None),
        Some("Enable") => false,
        Some("DetectMessageEnd") => true,
        Some(other) => return Err(Refusal::invalid("MachineDetection", other)),
    };
    let callback = url(form, "AsyncAmdStatusCallback")?
        .map(|url| target(form, url, "AsyncAmdStatusCallbackMethod"))
        .transpose()?;
    let is_async = params::flag(form, "AsyncAmd")?.unwrap_or(false);
    Ok(Some(Detection { message_end, is_async, callback }))
}

/// How to record, of a new call and of one in progress.
pub(super) fn recording(form: &Form) -> Result<recordings::Orders, Refusal> {
    let channels = match params::some(form, "RecordingChannels") {
        None | Some("mono" | "1") => 1,
        Some("dual" | "2") => 2,
        Some(other) => return Err(Refusal::invalid("RecordingChannels", other)),
    };
    let track = match params::some(form, "RecordingTrack") {
        None | Some("both") => "both",
        Some("inbound") => "inbound",
        Some("outbound") => "outbound",
        Some(other) => return Err(Refusal::invalid("RecordingTrack", other)),
    };
    let events = recordings::Events::of(words(form, "RecordingStatusCallbackEvent"));
    let callback = url(form, "RecordingStatusCallback")?
        .map(|url| target(form, url, "RecordingStatusCallbackMethod"))
        .transpose()?
        .map(|target| recordings::Callback { target, events });
    Ok(recordings::Orders { channels, track, callback })
}
