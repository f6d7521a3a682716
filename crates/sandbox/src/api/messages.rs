//! Messages: <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Price, Rfc2822};

use super::dates::Dates;
use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010_from, page_token, params};
use crate::world::World;
use crate::world::messages::{self, Direction, Draft, Message, Unsendable, parse_phone};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{AccountSid}/Messages.json", create)
        .creates(),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Messages.json", list),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json", fetch),
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json", update),
    Operation::new(
        Product::Api,
        Verb::Delete,
        "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json",
        delete,
    ),
    Operation::new(
        Product::Api,
        Verb::Post,
        "/2010-04-01/Accounts/{AccountSid}/Messages/{MessageSid}/Feedback.json",
        create_feedback,
    ),
];

/// The shortest and the longest time until a scheduled message: <https://www.twilio.com/docs/api/errors/35114>.
const SCHEDULE_S: std::ops::RangeInclusive<i64> = 300..=35 * 24 * 3600;

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let draft = draft(world, request)?;
    let sid = messages::send(world, draft).map_err(refusal)?;
    shown(world, request, sid).map(|message| Reply::created(&message))
}

fn draft(world: &World, request: &Request) -> Result<Draft, Refusal> {
    let form = &request.form;
    if params::some(form, "To").is_none() {
        return Err(Refusal::bad_request(21604, "A 'To' phone number is required."));
    }
    let (from, service) = senders(world, request)?;
    if let Some(content) = params::some(form, "ContentSid") {
        let message = format!("The ContentSid is Invalid: {}", super::shortened(content));
        return Err(Refusal::bad_request(21655, message));
    }
    for (name, words) in WORDS {
        match params::some(form, name) {
            Some(word) if !words.contains(&word) => return Err(Refusal::invalid(name, word)),
            _ => {}
        }
    }
    for name in ["ForceDelivery", "ProvideFeedback", "ShortenUrls"] {
        params::flag(form, name)?;
    }
    let media: Vec<String> = form.all("MediaUrl").filter(|url| !url.is_empty()).map(str::to_owned).collect();
    if let Some(url) = media.iter().find(|url| !params::is_web_url(url)) {
        let message = format!("Invalid media URL(s): {}", super::shortened(url));
        return Err(Refusal::bad_request(21620, message));
    }
    Ok(Draft {
        from,
        service,
        body: form.get("Body").unwrap_or_default().to_owned(),
        media,
        as_mms: params::flag(form, "SendAsMms")?.unwrap_or(false),
        status_callback: status_callback(world, request)?,
        smart_encoded: params::flag(form, "SmartEncoded")?,
        validity_s: validity(request)?,
        send_at: send_at(world, request, service)?,
        ..Draft::new(request.account, Direction::OutboundApi, form.get("To").unwrap_or_default())
    })
}

/// Parameters that are one of a few words.
const WORDS: &[(&str, &[&str])] = &[
    ("AddressRetention", &["retain", "obfuscate"]),
    ("ContentRetention", &["retain", "discard"]),
    ("RiskCheck", &["enable", "disable"]),
    ("ScheduleType", &["fixed"]),
    ("TrafficType", &["free"]),
];

/// `From` may name a Messaging Service too, as Twilio's documents of error 35118 say.
fn senders(world: &World, request: &Request) -> Result<(Option<String>, Option<Sid>), Refusal> {
    let from = params::some(&request.form, "From");
    let is_service = from.is_some_and(|from| Sid::parse(from).is_ok_and(|sid| sid.is("MG")));
    let service = params::some(&request.form, "MessagingServiceSid").or(from.filter(|_| is_service));
    let service = match service {
        None => None,
        Some(text) => match Sid::parse(text) {
            Ok(sid) if sid.is("MG") => Some(sid),
            _ => {
                let message = format!("The Messaging Service Sid {} is invalid.", super::shortened(text));
                return Err(Refusal::bad_request(21705, message));
            }
        },
    };
    if service.is_some_and(|sid| world.messaging_services.find_of(request.account, sid).is_none()) {
        return Err(Refusal::bad_request(21701, "The Messaging Service does not exist"));
    }
    Ok((from.filter(|_| !is_service).map(str::to_owned), service))
}

/// `StatusCallback` comes before the one of the application.
fn status_callback(world: &World, request: &Request) -> Result<Option<String>, Refusal> {
    if let Some(url) = params::some(&request.form, "StatusCallback") {
        if !params::is_web_url(url) {
            let message = format!("The 'StatusCallback' URL {} is not a valid URL.", super::shortened(url));
            return Err(Refusal::bad_request(21609, message));
        }
        return Ok(Some(url.to_owned()));
    }
    let Some(application) = params::sid(&request.form, "ApplicationSid", "AP")? else { return Ok(None) };
    match world.applications.find_of(request.account, application) {
        Some(application) => Ok(application.hooks.sms_status_callback.clone()),
        None => Err(Refusal::bad_request(21420, format!("ApplicationSid {application} is not accessible"))),
    }
}

fn validity(request: &Request) -> Result<Option<u16>, Refusal> {
    match params::some(&request.form, "ValidityPeriod") {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(seconds @ 1..=36_000) => Ok(Some(seconds)),
            _ => Err(Refusal::bad_request(21624, "Invalid validity period value")),
        },
    }
}

fn send_at(world: &World, request: &Request, service: Option<Sid>) -> Result<Option<Timestamp>, Refusal> {
    let form = &request.form;
    match (params::some(form, "ScheduleType"), params::some(form, "SendAt")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Refusal::missing("ScheduleType")),
        (Some(_), None) => {
            Err(Refusal::bad_request(35111, "SendAt cannot be empty for ScheduleType 'fixed'"))
        }
        (Some(_), Some(_)) if service.is_none() => {
            Err(Refusal::bad_request(35118, "MessagingServiceSid is required to schedule a message"))
        }
        (Some(_), Some(at)) => {
            let at: Option<Timestamp> = at.parse().ok();
            at.filter(|at| SCHEDULE_S.contains(&at.duration_since(world.now).as_secs())).map(Some).ok_or_else(|| {
                let message =
                    "SendAt time must be between 300 seconds and 35 days (3024000 seconds) in the future, inclusive";
                Refusal::bad_request(35114, message)
            })
        }
    }
}

fn refusal(unsendable: Unsendable) -> Refusal {
    Refusal::bad_request(unsendable.code.into(), unsendable.message)
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let query = &request.query;
    let to = params::some(query, "To").map(|to| parse_phone(to).ok_or(()));
    let from = params::some(query, "From")
        .map(|from| parse_phone(from).map_or_else(|| from.to_owned(), |number| number.to_string()));
    let dates = Dates::to_the_end_of(request, "DateSent")?;
    let rows = world
        .messages
        .of(request.account, page_token(request))
        .filter(|message| to.is_none_or(|to| to == Ok(message.to)))
        .filter(|message| {
            from.as_deref().is_none_or(|from| message.from.as_ref().is_some_and(|it| it == from))
        })
        .filter(|message| dates.contain(message.sent()));
    list_2010_from(request, "messages", rows, |message| message.sid, |message| wire_message(message))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    shown(world, request, sid).map(|message| Reply::ok(&message))
}

fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    shown(world, request, sid)?;
    match (request.form.get("Body"), params::some(&request.form, "Status")) {
        (Some(""), None) => {
            if !messages::redact(world, request.account, sid) {
                return Err(Refusal::new(409, 20009, "Cannot update this resource before it is complete"));
            }
        }
        (None | Some(""), Some("canceled")) if request.form.get("Body").is_none() => {
            if !messages::cancel(world, request.account, sid) {
                return Err(Refusal::new(409, 30409, "This message cannot be canceled"));
            }
        }
        _ => return Err(Refusal::bad_request(30400, "Parameters are not valid")),
    }
    shown(world, request, sid).map(|message| Reply::ok(&message))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    world.messages.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    if messages::delete(world, request.account, sid) {
        Ok(Reply::deleted())
    } else {
        Err(Refusal::new(409, 20009, "Cannot delete this resource before it is complete"))
    }
}

fn create_feedback(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("MessageSid")?;
    world.messages.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let outcome = params::some(&request.form, "Outcome").unwrap_or("confirmed");
    if !["confirmed", "unconfirmed"].contains(&outcome) {
        return Err(Refusal::invalid("Outcome", outcome));
    }
    let now = Some(Rfc2822(world.now));
    Ok(Reply::ok(&wire::MessageFeedback {
        account_sid: request.account.to_string(),
        message_sid: sid.to_string(),
        outcome: outcome.to_owned(),
        date_created: now,
        date_updated: now,
        uri: format!("/2010-04-01/Accounts/{}/Messages/{sid}/Feedback.json", request.account),
    }))
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::Message, Refusal> {
    world.messages.find_of(request.account, sid).map(wire_message).ok_or_else(|| request.not_found())
}

pub(super) fn wire_message(message: &Message) -> wire::Message {
    let uri = format!("/2010-04-01/Accounts/{}/Messages/{}", message.account, message.sid);
    let mut subresource_uris = BTreeMap::from([("media".to_owned(), format!("{uri}/Media.json"))]);
    if message.direction != Direction::Inbound {
        subresource_uris.insert("feedback".to_owned(), format!("{uri}/Feedback.json"));
    }
    let code = message.error.map(std::num::NonZero::get);
    wire::Message {
        sid: message.sid.to_string(),
        account_sid: message.account.to_string(),
        messaging_service_sid: message.service.map(|sid| sid.to_string()),
        from: message.from.as_ref().map(ToString::to_string),
        to: Some(message.to.to_string()),
        body: Some(message.body.to_string()),
        status: message.status.to_wire(),
        num_segments: Some(message.counted_segments().to_string()),
        num_media: Some(message.media.len().to_string()),
        direction: message.direction.to_wire(),
        price: message.price_micros().map(|micros| Price::micros(-micros)),
        price_unit: Some("USD".to_owned()),
        error_code: code.map(u32::from),
        error_message: code.map(|code| messages::description(code).to_owned()),
        date_created: Some(Rfc2822(message.created())),
        date_sent: message.sent().map(Rfc2822),
        date_updated: Some(Rfc2822(message.updated())),
        api_version: Some("2010-04-01".to_owned()),
        uri: format!("{uri}.json"),
        subresource_uris,
    }
}
