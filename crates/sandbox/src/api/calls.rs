//! Calls: <https://www.twilio.com/docs/voice/api/call-resource>.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, CallDirection, CallStatus, Price, Rfc2822};

use super::call_orders as read;
use super::dates::Dates;
use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::world::World;
use crate::world::calls::{self, Call, Direction, Endpoint, Entry, NewCall, Redirected};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{AccountSid}/Calls.json", create)
        .creates(),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Calls.json", list),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json", fetch),
    Operation::new(Product::Api, Verb::Post, "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json", update),
    Operation::new(Product::Api, Verb::Delete, "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json", delete),
];

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let to = read::to(&request.form)?;
    let from = read::from(world, request, &to)?;
    read::may_call(world, request.account, &to)?;
    let orders = read::orders(world, request)?;
    let new = NewCall { account: request.account, parent: None, from, to, orders, hidden: false };
    let sid = calls::place(world, new);
    shown(world, request, sid).map(|call| Reply::created(&call))
}

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let query = &request.query;
    // What is no number finds nothing, rather than everything.
    let endpoint = |name| {
        params::some(query, name)
            .map(|text| Endpoint::parse(text).map_or_else(|| text.to_owned(), |it| it.to_string()))
    };
    let (to, from) = (endpoint("To"), endpoint("From"));
    let parent = params::some(query, "ParentCallSid");
    let status = params::some(query, "Status").map(CallStatus::from);
    let (started, ended) = (Dates::of(request, "StartTime")?, Dates::of(request, "EndTime")?);
    let same = |wanted: Option<&String>, found: &Endpoint| wanted.is_none_or(|it| *it == found.to_string());
    let rows = world
        .calls
        .of(request.account)
        .filter(|call| same(to.as_ref(), &call.to) && same(from.as_ref(), &call.from))
        .filter(|call| parent.is_none_or(|wanted| call.parent.is_some_and(|it| it.to_string() == wanted)))
        .filter(|call| status.as_ref().is_none_or(|status| call.status() == *status))
        .filter(|call| started.contain(call.started()) && ended.contain(call.ended()));
    list_2010(request, "calls", rows, |call| call.sid, |call| wire_call(call))
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    shown(world, request, request.sid("Sid")?).map(|call| Reply::ok(&call))
}

/// Ends a call, or sends a live one elsewhere.
fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let call = world.calls.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    let (is_over, is_live) = (call.is_over(), matches!(call.state, calls::State::InProgress(_)));
    let form = &request.form;
    let status = match params::some(form, "Status") {
        None => None,
        Some(word @ ("canceled" | "completed")) => Some(word),
        Some(other) => return Err(Refusal::invalid("Status", other)),
    };
    let time_limit_s = read::time_limit(form)?;
    let callbacks = read::callbacks(form)?;
    let entry = match (read::url(form, "Url")?, params::some(form, "Twiml")) {
        (Some(url), _) => Some(Entry::Document(read::target(form, url, "Method")?)),
        (None, Some(text)) => Some(Entry::Twiml(read::twiml(text)?)),
        (None, None) => None,
    };
    let fallback = read::fallback(form)?;
    if is_over && (status.is_some() || entry.is_some()) || entry.is_some() && !is_live && status.is_none() {
        return Err(Refusal::bad_request(21220, "Call is not in-progress. Cannot redirect."));
    }
    if let Some(time_limit_s) = time_limit_s {
        calls::set_time_limit(world, sid, time_limit_s);
    }
    if let Some(callbacks) = callbacks {
        calls::set_callbacks(world, sid, callbacks);
    }
    match (status, entry) {
        (Some("completed"), _) => {
            calls::hang_up(world, sid);
        }
        // A call in progress is left alone by it, as Twilio's document says.
        (Some(_), _) => {
            calls::cancel(world, sid);
        }
        (None, Some(entry)) => {
            calls::redirect(world, sid, Redirected { entry, fallback });
        }
        (None, None) => {}
    }
    shown(world, request, sid).map(|call| Reply::ok(&call))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = request.sid("Sid")?;
    let call = world.calls.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    if !call.is_over() {
        return Err(Refusal::new(409, 20009, "Cannot delete this resource before it is complete"));
    }
    world.calls.remove(request.account, sid);
    world.touch();
    Ok(Reply::deleted())
}

fn shown(world: &World, request: &Request, sid: Sid) -> Result<wire::Call, Refusal> {
    world.calls.find_of(request.account, sid).map(wire_call).ok_or_else(|| request.not_found())
}

pub(super) fn wire_call(call: &Call) -> wire::Call {
    let uri = format!("/2010-04-01/Accounts/{}/Calls/{}", call.account, call.sid);
    wire::Call {
        sid: call.sid.to_string(),
        account_sid: call.account.to_string(),
        parent_call_sid: call.parent.map(|parent| parent.to_string()),
        to: Some(call.to.to_string()),
        to_formatted: Some(call.to.formatted()),
        from: Some(call.from.to_string()),
        from_formatted: Some(call.from.formatted()),
        phone_number_sid: call.number.map(|number| number.to_string()),
        status: call.status(),
        start_time: call.started().map(Rfc2822),
        end_time: call.ended().map(Rfc2822),
        duration: call.duration_s().map(|seconds| seconds.to_string()),
        price: call.price_micros.map(|micros| Price::micros(micros.saturating_neg())),
        price_unit: Some("USD".to_owned()),
        direction: match call.direction {
            Direction::Inbound => CallDirection::Inbound,
            Direction::OutboundApi => CallDirection::OutboundApi,
            Direction::OutboundDial => CallDirection::OutboundDial,
        },
        answered_by: call.answered_by.map(str::to_owned),
        api_version: Some("2010-04-01".to_owned()),
        forwarded_from: None,
        group_sid: None,
        caller_name: None,
        queue_time: Some(call.queue_ms().to_string()),
        trunk_sid: None,
        date_created: Some(Rfc2822(call.created)),
        date_updated: Some(Rfc2822(call.updated)),
        subresource_uris: SUBRESOURCES
            .iter()
            .map(|(name, path)| ((*name).to_owned(), format!("{uri}/{path}.json")))
            .collect(),
        uri: format!("{uri}.json"),
    }
}

/// What a call leads to, as Twilio lists it.
const SUBRESOURCES: &[(&str, &str)] = &[
    ("events", "Events"),
    ("notifications", "Notifications"),
    ("payments", "Payments"),
    ("recordings", "Recordings"),
    ("siprec", "Siprec"),
    ("streams", "Streams"),
    ("transcriptions", "Transcriptions"),
    ("user_defined_message_subscriptions", "UserDefinedMessageSubscriptions"),
    ("user_defined_messages", "UserDefinedMessages"),
];
