//! Recordings of an account and of a call: <https://www.twilio.com/docs/voice/api/recording>.
//!
//! One path has both: with `.json` what is known of a recording; with `.wav`, `.mp3` or neither the sound, which
//! anybody may fetch unless the settings want credentials for it.

use ringfence_model::Sid;
use ringfence_twilio::wire::{self, Price, RecordingSource, RecordingStatus, Rfc2822};

use super::call_orders as read;
use super::dates::Dates;
use super::operation::{Access, Operation, Product, Verb};
use super::{Refusal, Reply, Request, list_2010, params};
use crate::world::World;
use crate::world::calls;
use crate::world::recordings::{self, Recording, Source};

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Recordings.json", list),
    Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Recordings/{Sid}.json", fetch)
        .only(Access::OpenFile),
    Operation::new(
        Product::Api,
        Verb::Delete,
        "/2010-04-01/Accounts/{AccountSid}/Recordings/{Sid}.json",
        delete,
    ),
    Operation::new(
        Product::Api,
        Verb::Post,
        "/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings.json",
        start,
    )
    .creates(),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings.json",
        list_of_call,
    ),
    Operation::new(
        Product::Api,
        Verb::Get,
        "/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings/{Sid}.json",
        fetch_of_call,
    ),
    Operation::new(
        Product::Api,
        Verb::Post,
        "/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings/{Sid}.json",
        update,
    ),
    Operation::new(
        Product::Api,
        Verb::Delete,
        "/2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}/Recordings/{Sid}.json",
        delete,
    ),
];

fn list(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let created = Dates::of(request, "DateCreated")?;
    let call = params::some(&request.query, "CallSid");
    // There are no conferences here, so none has a recording.
    let of_conference = params::some(&request.query, "ConferenceSid").is_some();
    let rows = world
        .recordings
        .of(request.account)
        .filter(|recording| !of_conference && created.contain(Some(recording.started)))
        .filter(|recording| call.is_none_or(|call| recording.call.to_string() == call));
    list_2010(
        request,
        "recordings",
        rows,
        |recording| recording.sid,
        |recording| wire_recording(world, recording),
    )
}

fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let text = request.param("Sid");
    let (name, kind) = text.rsplit_once('.').unwrap_or((text, ""));
    let sid = Sid::parse(name).map_err(|_| request.not_found())?;
    let recording = world.recordings.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    match kind {
        "" if super::names_json(&request.path) => Ok(Reply::ok(&wire_recording(world, recording))),
        // There is no file while it is recorded.
        _ if recording.is_running() => Err(request.not_found()),
        "" | "wav" => Ok(Reply::file("audio/x-wav", recording.wav())),
        "mp3" => Ok(Reply::file("audio/mpeg", recording.mp3())),
        _ => Err(request.not_found()),
    }
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = find(world, request)?.sid;
    world.recordings.remove_of(request.account, sid);
    world.touch();
    Ok(Reply::deleted())
}

/// Begins to record a call in progress.
fn start(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let call = request.sid("CallSid")?;
    let found = world.calls.find_of(request.account, call).ok_or_else(|| request.not_found())?;
    if !matches!(found.state, calls::State::InProgress(_)) {
        let message = "Requested resource is not eligible for recording";
        return Err(Refusal::bad_request(21220, message));
    }
    let orders = read::recording(&request.form)?;
    recordings::start(world, call, Source::StartCallRecordingApi, orders)
        .and_then(|sid| world.recordings.find(sid))
        .map(|recording| Reply::created(&wire_of_call(world, recording)))
        .ok_or_else(|| request.not_found())
}

fn list_of_call(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let call = request.sid("CallSid")?;
    world.calls.find_of(request.account, call).ok_or_else(|| request.not_found())?;
    let created = Dates::of(request, "DateCreated")?;
    let rows = world
        .recordings
        .of(request.account)
        .filter(|recording| recording.call == call && created.contain(Some(recording.started)));
    list_2010(
        request,
        "recordings",
        rows,
        |recording| recording.sid,
        |recording| wire_of_call(world, recording),
    )
}

fn fetch_of_call(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    find(world, request).map(|recording| Reply::ok(&wire_of_call(world, recording)))
}

/// Holds a recording, goes on with it, or stops it. `Twilio.CURRENT` stands for the one that goes on.
fn update(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let sid = find(world, request)?.sid;
    match params::needed(&request.form, "Status")? {
        "stopped" => recordings::stop(world, sid, None),
        status @ ("paused" | "in-progress") => {
            if !recordings::pause(world, sid, status == "paused") {
                return Err(Refusal::bad_request(21220, "The recording is over"));
            }
        }
        other => return Err(Refusal::invalid("Status", other)),
    }
    let recording = world.recordings.find_of(request.account, sid).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&wire_of_call(world, recording)))
}

/// The recording of the path, of its call where that stands there too.
fn find<'a>(world: &'a World, request: &Request) -> Result<&'a Recording, Refusal> {
    let call = match request.param("CallSid") {
        "" => None,
        _ => Some(request.sid("CallSid")?),
    };
    let of_call = |recording: &&Recording| call.is_none_or(|call| recording.call == call);
    let found = if request.param("Sid") == "Twilio.CURRENT" && call.is_some() {
        world.recordings.of(request.account).filter(of_call).find(|recording| recording.is_running())
    } else {
        world.recordings.find_of(request.account, request.sid("Sid")?).filter(of_call)
    };
    found.ok_or_else(|| request.not_found())
}

/// As the account's list has it.
fn wire_recording(world: &World, recording: &Recording) -> wire::Recording {
    let uri = format!("/2010-04-01/Accounts/{}/Recordings/{}", recording.account, recording.sid);
    let sub = |name: &str, path: &str| (name.to_owned(), format!("{uri}/{path}.json"));
    wire::Recording {
        uri: format!("{uri}.json"),
        track: None,
        media_url: Some(recordings::media_url(world, recording)),
        subresource_uris: [sub("add_on_results", "AddOnResults"), sub("transcriptions", "Transcriptions")]
            .into(),
        ..wire_of_call(world, recording)
    }
}

/// As the call's list has it.
pub(super) fn wire_of_call(world: &World, recording: &Recording) -> wire::Recording {
    let Recording { sid, account, call, .. } = recording;
    let price_micros = recording.price_micros(world.now);
    wire::Recording {
        sid: sid.to_string(),
        account_sid: account.to_string(),
        call_sid: Some(call.to_string()),
        conference_sid: None,
        status: RecordingStatus::from(recording.status()),
        source: RecordingSource::from(recording.source.as_str()),
        channels: u32::from(recording.channels),
        duration: (!recording.is_running()).then(|| recording.duration_s(recording.updated).to_string()),
        start_time: Some(Rfc2822(recording.started)),
        price: price_micros.map(|micros| Price::micros(micros.saturating_neg())),
        price_unit: price_micros.map(|_| "USD".to_owned()),
        error_code: None,
        encryption_details: None,
        api_version: Some("2010-04-01".to_owned()),
        date_created: Some(Rfc2822(recording.started)),
        date_updated: Some(Rfc2822(recording.updated)),
        uri: format!("/2010-04-01/Accounts/{account}/Calls/{call}/Recordings/{sid}.json"),
        track: Some(recording.track.to_owned()),
        media_url: None,
        subresource_uris: std::collections::BTreeMap::new(),
    }
}
