//! What the application is told of a call, and what it is asked.
//!
//! Parameters as in <https://www.twilio.com/docs/voice/twiml#request-parameters> and
//! <https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent>; their names were checked against
//! requests of Twilio's that people have published.

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_twilio::wire::Rfc2822;

use super::{Asked, Call, Direction, Doing, Endpoint, State, script, seconds_between};
use crate::world::World;
use crate::world::messages::place_of;
use crate::world::recordings;
use crate::world::webhooks::{self, Method, Target, Then, Webhook};

/// Who is told of a call's progress.
#[derive(Debug, Clone)]
pub(crate) struct Callbacks {
    pub(crate) target: Target,
    pub(crate) events: Events,
}

/// Which events of a call's progress are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) initiated: bool,
    pub(crate) ringing: bool,
    pub(crate) answered: bool,
    pub(crate) completed: bool,
}

impl Events {
    /// What Twilio tells unless it was told otherwise.
    pub(crate) const COMPLETED: Self =
        Self { initiated: false, ringing: false, answered: false, completed: true };
    /// Those that these words name; the end alone where they name none. Twilio takes words that it does not know
    /// without a word (and warns with 21626).
    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let none = Self { completed: false, ..Self::COMPLETED };
        let named = words.fold(none, |events, word| match word {
            "initiated" => Self { initiated: true, ..events },
            "ringing" => Self { ringing: true, ..events },
            "answered" => Self { answered: true, ..events },
            "completed" => Self { completed: true, ..events },
            _ => events,
        });
        if named == none { Self::COMPLETED } else { named }
    }

    fn has(self, event: Event) -> bool {
        match event {
            Event::Initiated => self.initiated,
            Event::Ringing => self.ringing,
            Event::Answered => self.answered,
            Event::Completed => self.completed,
        }
    }
}

/// A step of a call's progress. `Completed` stands for every end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Initiated,
    Ringing,
    Answered,
    Completed,
}

/// The call made progress: it is counted, and told to whoever wants to know.
pub(super) fn progress(world: &mut World, sid: Sid, event: Event) {
    let now = world.now;
    world.touch();
    let Some(call) = world.calls.find_mut(sid) else { return };
    let number = call.events;
    call.events += 1;
    call.updated = now;
    let Some(callbacks) = call.orders.callbacks.clone().filter(|callbacks| callbacks.events.has(event))
    else {
        return;
    };
    let Some(call) = world.calls.find(sid) else { return };
    let mut params = params(call);
    if event == Event::Initiated {
        set(&mut params, "CallStatus", "initiated".to_owned());
    }
    params.push(("Timestamp", Rfc2822(now).to_string()));
    params.push(("SequenceNumber", number.to_string()));
    params.push(("CallbackSource", "call-progress-events".to_owned()));
    if let State::Ended { how, .. } = &call.state {
        let seconds = call.duration_s().unwrap_or(0);
        params.push(("CallDuration", seconds.to_string()));
        params.push(("Duration", seconds.div_ceil(60).to_string()));
        params.push(("SipResponseCode", how.sip_code().to_string()));
        if let Some(recording) = recordings::of_whole_call(world, sid) {
            params.push(("RecordingUrl", recordings::media_url(world, recording)));
            params.push(("RecordingSid", recording.sid.to_string()));
            params.push(("RecordingDuration", recording.duration_s(now).to_string()));
        }
    }
    let account = call.account;
    tell(world, account, "call-status", callbacks.target, params);
}

/// Sends something that needs no answer.
pub(super) fn tell(
    world: &mut World,
    account: Sid,
    kind: &'static str,
    target: Target,
    params: Vec<(&'static str, String)>,
) {
    webhooks::deliver(world, Webhook { account, kind, target, params, then: Then::Nothing });
}

/// Asks what the call does next. What it did until now is over.
pub(super) fn ask(
    world: &mut World,
    sid: Sid,
    kind: &'static str,
    target: Target,
    extra: Vec<(&'static str, String)>,
) {
    ask_at(world, sid, kind, target, extra, false);
}

/// Asks the fallback URL, after `code` at the URL that was asked before.
pub(super) fn ask_fallback(world: &mut World, sid: Sid, target: Target, code: u32) {
    let failed = world.calls.find(sid).and_then(|call| call.asked.as_ref()).map(|asked| asked.url.clone());
    let extra = vec![("ErrorCode", code.to_string()), ("ErrorUrl", failed.unwrap_or_default())];
    ask_at(world, sid, "voice", target, extra, true);
}

fn ask_at(
    world: &mut World,
    sid: Sid,
    kind: &'static str,
    target: Target,
    extra: Vec<(&'static str, String)>,
    is_fallback: bool,
) {
    let now = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    if !call.documents.count(now) {
        return script::give_up(world, sid, "the call asked for too many documents");
    }
    call.asked = Some(Asked { url: target.url.clone(), is_fallback });
    let turn = call.turn_to(Doing::Asking);
    let account = call.account;
    let mut params = params(call);
    params.extend(extra);
    let then = Then::Call(sid, turn);
    webhooks::deliver(world, Webhook { account, kind, target, params, then });
}

/// How many documents a call has asked for.
///
/// A document that redirects to itself would keep a call busy for ever, since an answer takes no time of the virtual
/// clock; one that says a word in between would keep it busy for as long as a call may last. No conversation needs
/// so many: a caller who waits for four hours and hears something new every five seconds has heard 2,880.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Documents {
    all: u32,
    /// When the present span began, and how many there were in it.
    span: Option<(Timestamp, u32)>,
}

impl Documents {
    const MOST: u32 = 10_000;
    const MOST_IN_A_SPAN: u32 = 200;
    const SPAN_S: u64 = 10;

    /// Counts one more; `false`: it is too many.
    fn count(&mut self, now: Timestamp) -> bool {
        let (since, in_span) =
            self.span.filter(|(since, _)| seconds_between(*since, now) <= Self::SPAN_S).unwrap_or((now, 0));
        self.span = Some((since, in_span + 1));
        self.all += 1;
        self.all <= Self::MOST && in_span < Self::MOST_IN_A_SPAN
    }
}

/// What every request about a call says.
pub(super) fn params(call: &Call) -> Vec<(&'static str, String)> {
    let mut params = vec![
        ("CallSid", call.sid.to_string()),
        ("AccountSid", call.account.to_string()),
        ("From", call.from.to_string()),
        ("To", call.to.to_string()),
        ("Caller", call.from.to_string()),
        ("Called", call.to.to_string()),
        ("CallStatus", call.status().as_str().to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("Direction", call.direction.as_str().to_owned()),
    ];
    // A leg of `Dial` is told under the name that Twilio gives it.
    if call.direction == Direction::OutboundDial
        && let Some(parent) = call.parent
    {
        params.push(("ParentCallSid", parent.to_string()));
    }
    if let Some(answered_by) = call.answered_by {
        params.push(("AnsweredBy", answered_by.to_owned()));
    }
    place(&mut params, &call.from, ["FromCity", "FromState", "FromZip", "FromCountry"]);
    place(&mut params, &call.from, ["CallerCity", "CallerState", "CallerZip", "CallerCountry"]);
    place(&mut params, &call.to, ["ToCity", "ToState", "ToZip", "ToCountry"]);
    place(&mut params, &call.to, ["CalledCity", "CalledState", "CalledZip", "CalledCountry"]);
    params
}

/// Where a number belongs, as far as it is known.
fn place(params: &mut Vec<(&'static str, String)>, endpoint: &Endpoint, names: [&'static str; 4]) {
    let Some(number) = endpoint.phone() else { return };
    let place = place_of(number);
    let values = [place.city, place.state, place.zip, place.country];
    params.extend(names.into_iter().zip(values.map(str::to_owned)));
}

/// Replaces the value of a parameter.
fn set(params: &mut [(&'static str, String)], name: &str, value: String) {
    if let Some((_, old)) = params.iter_mut().find(|(it, _)| *it == name) {
        *old = value;
    }
}

/// A method of TwiML as one of a webhook.
pub(super) fn method(method: ringfence_twilio::twiml::Method) -> Method {
    match method {
        ringfence_twilio::twiml::Method::Get => Method::Get,
        ringfence_twilio::twiml::Method::Post => Method::Post,
    }
}
