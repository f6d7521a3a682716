//! `Dial`: calls others and connects the first that answers: <https://www.twilio.com/docs/voice/twiml/dial>.
//!
//! Each of those called is a call of its own, a leg, whose parent is the call with the `Dial`. A leg may hear a
//! document first (`url` of `Number`); it is connected when that is over.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::twiml::{self, DialNoun, DialTarget};

use super::life::{self, NewCall};
use super::script::{self, Lasts};
use super::{
    Call, Callbacks, Doing, End, Endpoint, Entry, Events, LineKind, Orders, State, Step, TIME_LIMIT_S, hooks,
    phone, record, seconds_between,
};
use crate::world::webhooks::Target;
use crate::world::{Due, World, geo, recordings};

/// A `Dial` under way.
#[derive(Debug, Clone)]
pub(super) struct Dialling {
    legs: Vec<Sid>,
    /// Who is connected, and since when.
    connected: Option<(Sid, Timestamp)>,
    pub(super) hangup_on_star: bool,
    action: Option<Target>,
    record: Option<recordings::Orders>,
    recording: Option<Sid>,
}

/// Twilio takes ten nouns in one `Dial`.
const LEGS_MAX: usize = 10;

pub(super) fn begin(world: &mut World, sid: Sid, dial: &twiml::Dial) {
    let action = dial.action.as_deref().and_then(|url| script::target(world, sid, Some(url), dial.method));
    let record = recording(world, sid, dial);
    let mut dialling = Dialling {
        legs: Vec::new(),
        connected: None,
        hangup_on_star: dial.hangup_on_star,
        action,
        record,
        recording: None,
    };
    match caller_id(world, sid, dial.caller_id.as_deref()) {
        Ok(from) => {
            for target in dial.targets.iter().take(LEGS_MAX) {
                match leg(world, sid, dial, &from, target) {
                    Ok(leg) => dialling.legs.push(leg),
                    Err(undialled) => undialled.tell(world, sid),
                }
            }
        }
        Err(undialled) => undialled.tell(world, sid),
    }
    let Some(call) = world.calls.find_mut(sid) else { return };
    call.turn_to(Doing::Dialling(dialling.clone()));
    if !dialling.legs.is_empty() {
        return;
    }
    match dialling.action.clone() {
        Some(action) => {
            let params = result(world, &dialling, None);
            hooks::ask(world, sid, "dial-action", action, params);
        }
        // Over the agenda, since a document may hold thousands of `Dial`s that call nobody.
        None => script::wait(world, sid, Lasts::Ms(0), Doing::Preparing),
    }
}

/// How it is recorded, if it is.
fn recording(world: &World, sid: Sid, dial: &twiml::Dial) -> Option<recordings::Orders> {
    let word = dial.record.as_deref().filter(|word| *word != "do-not-record" && *word != "false")?;
    let channels = if word.ends_with("-dual") { 2 } else { 1 };
    let callback =
        dial.recording_callback.as_ref().and_then(|callback| record::callback(world, sid, callback));
    Some(recordings::Orders { channels, callback, ..recordings::Orders::default() })
}

/// Why somebody is not called. What has a code of Twilio's is told to the debugger too.
struct Undialled {
    code: Option<u32>,
    why: String,
}

impl Undialled {
    fn error(code: u32, why: String) -> Self {
        Self { code: Some(code), why }
    }

    fn note(why: String) -> Self {
        Self { code: None, why }
    }

    fn tell(self, world: &mut World, sid: Sid) {
        match self.code {
            Some(code) => script::complain(world, sid, code, &self.why),
            None => phone::note(world, sid, &self.why),
        }
    }
}

/// What the called see: a number of the account's, or one of the two in this call.
fn caller_id(world: &World, sid: Sid, wanted: Option<&str>) -> Result<Endpoint, Undialled> {
    let call = world.calls.find(sid).ok_or_else(gone)?;
    let Some(wanted) = wanted else { return Ok(call.from.clone()) };
    let endpoint = Endpoint::parse(wanted);
    match endpoint {
        Some(Endpoint::Phone(number)) if !may_show(world, call, number) => {}
        Some(endpoint) => return Ok(endpoint),
        None => {}
    }
    Err(Undialled::error(13214, format!("{wanted} is no caller ID that the account may show")))
}

fn gone() -> Undialled {
    Undialled::note("The call is no longer there.".to_owned())
}

fn may_show(world: &World, call: &Call, number: PhoneNumber) -> bool {
    call.from.phone() == Some(number)
        || call.to.phone() == Some(number)
        || super::may_call_from(world, call.account, number)
}

/// Makes the call of one noun.
fn leg(
    world: &mut World,
    sid: Sid,
    dial: &twiml::Dial,
    from: &Endpoint,
    target: &DialTarget,
) -> Result<Sid, Undialled> {
    let call = world.calls.find(sid).ok_or_else(gone)?;
    let (account, root, hidden) = (call.account, call.root, call.hidden);
    let to = match &target.noun {
        DialNoun::Number(number) => Endpoint::parse(number)
            .filter(|endpoint| endpoint.phone().is_some())
            .ok_or_else(|| Undialled::error(13223, format!("{number} is no phone number")))?,
        DialNoun::Client(name) => Endpoint::Client(name.clone()),
        DialNoun::Sip(address) => Endpoint::Sip(address.clone()),
        DialNoun::Other(element) => {
            let why = format!("<{}> is passed over: the sandbox does not dial it.", element.name);
            return Err(Undialled::note(why));
        }
    };
    let whisper = target.url.as_deref().and_then(|url| script::target(world, sid, Some(url), target.method));
    let callbacks = target.status_callback.as_ref().and_then(|callback| {
        let target = script::target(world, sid, Some(&callback.url), callback.method)?;
        Some(Callbacks { target, events: Events::of(callback.events.iter().map(String::as_str)) })
    });
    let orders = Orders {
        entry: whisper.map_or(Entry::Connect, Entry::Document),
        callbacks,
        send_digits: target.send_digits.clone().unwrap_or_default(),
        timeout_s: u64::from(dial.timeout_s).min(600),
        time_limit_s: dial.time_limit_s.map_or(TIME_LIMIT_S, u64::from),
        ..Orders::default()
    };
    if !world.accounts.is_active(account) {
        let why = "the account is not active, so it makes no new calls".to_owned();
        return Err(Undialled::error(10001, why));
    }
    if to.phone().is_some_and(|number| !geo::may_call(world, account, number)) {
        return Err(Undialled::error(13227, format!("the account may not call {to}")));
    }
    if !life::may_go_on(world, root) {
        return Err(Undialled::note("Too many calls come of one.".to_owned()));
    }
    phone::line(world, sid, LineKind::Dialled, to.to_string());
    Ok(life::place(world, NewCall { account, parent: Some(sid), from: from.clone(), to, orders, hidden }))
}

/// Whether the call is a leg of a `Dial` that still waits for it.
pub(super) fn belongs_to_a_dial(world: &World, leg: Sid) -> bool {
    let parent = world.calls.find(leg).and_then(|call| call.parent);
    parent.and_then(|parent| dialling(world, parent)).is_some_and(|dialling| {
        dialling.legs.contains(&leg) && dialling.connected.is_none_or(|(connected, _)| connected == leg)
    })
}

/// A leg was answered and has heard what it should: it is connected with the caller, and the others ring no more.
pub(super) fn connect(world: &mut World, leg: Sid) {
    let now = world.now;
    let Some(parent) = world.calls.find(leg).and_then(|call| call.parent) else { return };
    if !belongs_to_a_dial(world, leg) {
        return life::end(world, leg, End::Completed);
    }
    let Some(Dialling { legs, record: orders, .. }) = dialling(world, parent) else { return };
    change(world, parent, |dialling| dialling.connected = Some((leg, now)));
    for other in legs.into_iter().filter(|other| *other != leg) {
        life::end(world, other, End::Canceled);
    }
    if let Some(orders) = orders {
        let recording = recordings::start(world, parent, recordings::Source::DialVerb, orders);
        change(world, parent, |dialling| dialling.recording = recording);
    }
    phone::note(world, parent, "The two are connected.");
    phone::note(world, leg, "The two are connected.");
    let Some(call) = world.calls.find_mut(leg) else { return };
    let turn = call.turn_to(Doing::Connected);
    // A phone that answered by itself also hangs up by itself.
    if call.talk().is_some_and(|talk| !talk.by_hand) {
        let talk_ms = u64::from(world.settings.calls.talk_s) * 1000;
        world.plan_in_ms(talk_ms, Due::Call(leg, Step::HangUp(turn)));
    }
}

/// A leg ended, or was sent elsewhere. The `Dial` is over when the one connected has left, or all have.
pub(super) fn leg_left(world: &mut World, parent: Sid, leg: Sid) {
    let Some(dialling) = dialling(world, parent) else { return };
    if !dialling.legs.contains(&leg) {
        return;
    }
    let has_left = |sid: &Sid| *sid == leg || world.calls.find(*sid).is_none_or(Call::is_over);
    let is_over = match dialling.connected {
        Some((connected, _)) => connected == leg,
        None => dialling.legs.iter().all(has_left),
    };
    if is_over {
        over(world, parent, &dialling, leg);
    } else {
        change(world, parent, |dialling| dialling.legs.retain(|it| *it != leg));
    }
}

/// The caller's star ends the connection, where that was asked for.
pub(super) fn press_star(world: &mut World, sid: Sid) {
    if let Some(Dialling { hangup_on_star: true, connected: Some((leg, _)), .. }) = dialling(world, sid) {
        life::end(world, leg, End::Completed);
    }
}

/// The leg that is connected with this call.
pub(super) fn connected_leg(world: &World, sid: Sid) -> Option<Sid> {
    dialling(world, sid)?.connected.map(|(leg, _)| leg)
}

/// The `Dial` is over: its action says how to go on, else the next verb.
fn over(world: &mut World, sid: Sid, dialling: &Dialling, last: Sid) {
    let Some(call) = world.calls.find_mut(sid) else { return };
    call.turn_to(Doing::Preparing);
    let params = result(world, dialling, Some(last));
    script::to_action(world, sid, "dial-action", dialling.action.clone(), params);
}

/// The call with the `Dial` ended, or was sent elsewhere: its legs end, and the action is told.
pub(super) fn cut_off(world: &mut World, sid: Sid, dialling: &Dialling) {
    for leg in &dialling.legs {
        let talks = world.calls.find(*leg).is_some_and(|call| call.talk().is_some());
        life::end(world, *leg, if talks { End::Completed } else { End::Canceled });
    }
    let Some(action) = dialling.action.clone() else { return };
    let extra = result(world, dialling, dialling.legs.last().copied());
    let Some(call) = world.calls.find(sid) else { return };
    let (account, params) = (call.account, hooks::params(call));
    hooks::tell(world, account, "dial-action", action, params.into_iter().chain(extra).collect());
}

/// What the action is told: <https://www.twilio.com/docs/voice/twiml/dial#request-parameters>.
fn result(world: &mut World, dialling: &Dialling, last: Option<Sid>) -> Vec<(&'static str, String)> {
    let now = world.now;
    let leg = dialling.connected.map(|(leg, _)| leg).or(last);
    let status = match leg.and_then(|leg| world.calls.find(leg)).map(|call| &call.state) {
        _ if dialling.connected.is_some() => "completed",
        Some(State::Ended { how, .. }) => match how {
            End::Completed => "completed",
            End::Busy => "busy",
            End::NoAnswer => "no-answer",
            End::Canceled => "canceled",
            End::Failed => "failed",
        },
        Some(_) => "answered",
        None => "failed",
    };
    let mut params = vec![
        ("DialCallStatus", status.to_owned()),
        ("DialBridged", dialling.connected.is_some().to_string()),
    ];
    if let Some(leg) = leg {
        params.push(("DialCallSid", leg.to_string()));
    }
    if let Some((_, since)) = dialling.connected {
        params.push(("DialCallDuration", seconds_between(since, now).to_string()));
    }
    if let Some(recording) = dialling.recording {
        recordings::stop(world, recording, None);
        if let Some(recording) = world.recordings.find(recording) {
            params.push(("RecordingUrl", recordings::media_url(world, recording)));
            params.push(("RecordingSid", recording.sid.to_string()));
            params.push(("RecordingDuration", recording.duration_s(now).to_string()));
        }
    }
    params
}

fn dialling(world: &World, sid: Sid) -> Option<Dialling> {
    match &world.calls.find(sid).and_then(Call::talk)?.doing {
        Doing::Dialling(dialling) => Some(dialling.clone()),
        _ => None,
    }
}

fn change(world: &mut World, sid: Sid, change: impl FnOnce(&mut Dialling)) {
    if let Some(Doing::Dialling(dialling)) =
        world.calls.find_mut(sid).and_then(Call::talk_mut).map(|talk| &mut talk.doing)
    {
        change(dialling);
    }
}
