//! The other end of the line: numbers that are called, keys that are pressed, and what a phone shows of a call.

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::twiml::{self, GatherInput};
use serde::Serialize;

use super::life::{self, AnsweredBy, NewCall};
use super::{
    Call, Callbacks, Direction, Doing, End, Endpoint, Entry, Events, Far, Orders, State, dial, gather, hooks,
    record, script,
};
use crate::world::World;
use crate::world::messages::{self, Draft};
use crate::world::numbers::{self, IncomingNumber};
use crate::world::webhooks;

/// A line of what was said and pressed, as the phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) kind: LineKind,
    pub(crate) text: String,
}

/// What kind of line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineKind {
    /// By the application, to the person.
    Said,
    /// A file or keys, to the person.
    Played,
    /// Keys, by the person.
    Pressed,
    /// Words, by the person.
    Spoken,
    /// What was recorded.
    Recorded,
    /// Somebody else is called.
    Dialled,
    /// What happened to the call.
    Note,
}

/// What a call wants of the person with the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WaitsFor {
    Nothing,
    /// The phone rings.
    PickUp,
    Keys,
    Words,
    KeysOrWords,
    /// It records what is said, until a key is pressed.
    Speech,
}

/// A conversation of which more is kept has gone wrong.
const LINES_MAX: usize = 500;

impl Call {
    /// What it wants of the person with the phone.
    pub(crate) fn waits_for(&self) -> WaitsFor {
        match (&self.state, self.direction) {
            (State::Ringing { .. }, Direction::OutboundApi | Direction::OutboundDial) => WaitsFor::PickUp,
            (State::InProgress(talk), _) => match &talk.doing {
                Doing::Gathering(gathering) => match gathering.gather.input {
                    GatherInput::Dtmf => WaitsFor::Keys,
                    GatherInput::Speech => WaitsFor::Words,
                    GatherInput::DtmfSpeech => WaitsFor::KeysOrWords,
                },
                Doing::Recording(_) => WaitsFor::Speech,
                _ => WaitsFor::Nothing,
            },
            _ => WaitsFor::Nothing,
        }
    }
}

/// The calls of one phone outside, newest first, hidden ones too.
pub(crate) fn on_phone(world: &World, phone: PhoneNumber) -> impl Iterator<Item = &Call> {
    world.calls.newest_first().filter(move |call| call.phone() == Some(phone))
}

/// Somebody calls a number from a phone. `None`: no account owns it. The call of an account that is not active is
/// rejected before the application is asked (10003), and is no call of its list.
pub(crate) fn receive(world: &mut World, from: PhoneNumber, to: PhoneNumber) -> Option<Sid> {
    let number = numbers::find_by_number(world, to)?.clone();
    let sid = inbound(world, &number, Endpoint::Phone(from), None);
    if world.accounts.is_active(number.account) {
        begin_inbound(world, sid);
    } else {
        let text = "The account is not active, so the call is rejected";
        note(world, sid, &format!("Error 10003: {text}."));
        webhooks::alert(world, number.account, 10003, sid, text);
        life::end(world, sid, End::Failed);
    }
    Some(sid)
}

/// The number that a call of the sandbox calls is one of the sandbox's own: a call comes in there.
pub(super) fn ring_number(world: &mut World, caller: Sid) {
    let Some(call) = world.calls.find(caller) else { return };
    let (from, to, root) = (call.from.clone(), call.to.phone(), call.root);
    let number = to.and_then(|number| numbers::find_by_number(world, number)).cloned();
    let Some(number) = number.filter(|number| world.accounts.is_active(number.account)) else {
        note(world, caller, "Error 10003: the account of that number is not active.");
        return life::end(world, caller, End::Failed);
    };
    if !life::may_go_on(world, root) {
        note(world, caller, "Too many calls come of one.");
        return life::end(world, caller, End::Failed);
    }
    let sid = inbound(world, &number, from, Some((caller, root)));
    if let Some(call) = world.calls.find_mut(caller) {
        call.far = Far::Call(sid);
    }
    begin_inbound(world, sid);
}

/// A call that comes in at a number. `caller`: the call of the sandbox that makes it, and the first of its chain.
fn inbound(world: &mut World, number: &IncomingNumber, from: Endpoint, caller: Option<(Sid, Sid)>) -> Sid {
    let application = number.hooks.voice_application.and_then(|sid| world.applications.find(sid));
    let hooks = application.map_or(&number.hooks, |application| &application.hooks);
    let orders = Orders {
        entry: hooks.voice.clone().map_or(Entry::Nothing, Entry::Document),
        fallback: hooks.voice_fallback.clone(),
        callbacks: hooks
            .status_callback
            .clone()
            .map(|target| Callbacks { target, events: Events::COMPLETED }),
        ..Orders::default()
    };
    let new = NewCall {
        account: number.account,
        parent: None,
        from,
        to: Endpoint::Phone(number.phone_number),
        orders,
        hidden: !world.accounts.is_active(number.account),
    };
    let state = State::Ringing { dialled: world.now };
    let root = caller.map(|(_, root)| root);
    let sid = life::insert(world, new, Direction::Inbound, state, Some(number.sid), root);
    if let (Some((caller, _)), Some(call)) = (caller, world.calls.find_mut(sid)) {
        call.far = Far::Call(caller);
    }
    sid
}

fn begin_inbound(world: &mut World, sid: Sid) {
    match world.calls.find(sid).map(|call| call.orders.entry.clone()) {
        Some(Entry::Document(target)) => hooks::ask(world, sid, "voice", target, Vec::new()),
        Some(_) => {
            note(world, sid, "The number has no voice URL.");
            life::end(world, sid, End::Failed);
        }
        None => {}
    }
}

/// An inbound call is answered, since there is something to say to it.
pub(super) fn answer_inbound(world: &mut World, sid: Sid) {
    let Some(call) = world.calls.find(sid).filter(|call| call.direction == Direction::Inbound) else {
        return;
    };
    let far = call.far;
    life::answer(world, sid, AnsweredBy::Person);
    if let Far::Call(caller) = far {
        life::answer(world, caller, AnsweredBy::Call);
    }
}

/// A product of Twilio's own calls a phone and carries out this TwiML: a code of Verify. It is on the phone, and not
/// among the account's calls; it costs what that product books.
pub(crate) fn speak(world: &mut World, account: Sid, from: &str, to: PhoneNumber, twiml: &str) -> Sid {
    let from = Endpoint::parse(from).unwrap_or_else(|| Endpoint::Name(from.to_owned()));
    let orders = Orders { entry: Entry::Twiml(twiml.to_owned()), ..Orders::default() };
    let to = Endpoint::Phone(to);
    life::place(world, NewCall { account, parent: None, from, to, orders, hidden: true })
}

/// Somebody presses keys on the phone. `false`: there is no such call in progress.
pub(crate) fn press(world: &mut World, call: Sid, digits: &str) -> bool {
    if world.calls.find(call).and_then(Call::talk).is_none() {
        return false;
    }
    let keys: String = digits.chars().filter(|key| is_key(*key)).collect();
    if !keys.is_empty() {
        line(world, call, LineKind::Pressed, keys.clone());
        hear_keys(world, call, &keys);
    }
    true
}

/// Somebody says something into the phone. `false`: the call does not listen for words.
pub(crate) fn say_into(world: &mut World, call: Sid, words: &str) -> bool {
    let listens = world
        .calls
        .find(call)
        .is_some_and(|call| matches!(call.waits_for(), WaitsFor::Words | WaitsFor::KeysOrWords));
    if listens {
        line(world, call, LineKind::Spoken, words.trim().chars().take(1000).collect());
    }
    listens && gather::hear(world, call, words)
}

/// Somebody answers a ringing phone. `false`: it does not ring.
pub(crate) fn pick_up(world: &mut World, call: Sid) -> bool {
    let rings = world
        .calls
        .find(call)
        .is_some_and(|call| call.waits_for() == WaitsFor::PickUp && call.far == Far::Outside);
    if rings {
        life::answer(world, call, AnsweredBy::Hand);
    }
    rings
}

/// Somebody declines a ringing call, or hangs up. `false`: there is nothing to end.
pub(crate) fn put_down(world: &mut World, call: Sid) -> bool {
    let Some(found) = world.calls.find(call) else { return false };
    let how = match (&found.state, found.direction) {
        (State::Queued | State::Ended { .. }, _) => return false,
        (State::Ringing { .. }, Direction::Inbound) => End::NoAnswer,
        (State::Ringing { .. }, _) => End::Busy,
        (State::InProgress(_), _) => End::Completed,
    };
    life::end(world, call, how);
    true
}

fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '#' | '*' | 'A'..='D' | 'a'..='d')
}

/// Keys come in from the other end. Only what listens for keys takes them.
fn hear_keys(world: &mut World, sid: Sid, keys: &str) {
    let Some(call) = world.calls.find(sid) else { return };
    let parent = call.parent;
    match call.talk().map(|talk| &talk.doing) {
        Some(Doing::Gathering(_)) => gather::press(world, sid, keys),
        Some(Doing::Recording(_)) => record::press(world, sid, keys),
        Some(Doing::Dialling(dialling)) if dialling.hangup_on_star && keys.contains('*') => {
            dial::press_star(world, sid);
        }
        Some(Doing::Dialling(_)) => {
            if let Some(leg) = dial::connected_leg(world, sid) {
                send_keys(world, leg, keys);
            }
        }
        Some(Doing::Connected) => {
            if let Some(parent) = parent {
                send_keys(world, parent, keys);
            }
        }
        Some(Doing::Preparing | Doing::Asking | Doing::Saying) | None => {}
    }
}

/// Keys are played to the other end, where a call of the sandbox may listen for them.
pub(super) fn send_keys(world: &mut World, sid: Sid, keys: &str) {
    let keys: String = keys.chars().filter(|key| is_key(*key)).collect();
    if let Some(Far::Call(other)) = world.calls.find(sid).map(|call| call.far)
        && !keys.is_empty()
    {
        line(world, other, LineKind::Pressed, keys.clone());
        hear_keys(world, other, &keys);
    }
}

/// `<Message>` in a call: <https://www.twilio.com/docs/voice/twiml/message>.
pub(super) fn send_message(world: &mut World, sid: Sid, message: &twiml::Message) {
    let Some(call) = world.calls.find(sid) else { return };
    let (ours, theirs) = match call.direction {
        Direction::Inbound => (&call.to, &call.from),
        Direction::OutboundApi | Direction::OutboundDial => (&call.from, &call.to),
    };
    let url = |url: &str| {
        call.asked.as_ref().map_or_else(|| url.to_owned(), |asked| twiml::resolve(&asked.url, url))
    };
    let draft = Draft {
        from: Some(message.from.clone().unwrap_or_else(|| ours.to_string())),
        body: message.body.clone(),
        media: message.media.iter().map(|it| url(it)).collect(),
        status_callback: message.status_callback.as_deref().map(url),
        ..Draft::new(
            call.account,
            messages::Direction::OutboundCall,
            message.to.clone().unwrap_or_else(|| theirs.to_string()),
        )
    };
    if !world.accounts.is_active(call.account) {
        return script::complain(world, sid, 30002, "the account is not active, so the message is not sent");
    }
    match messages::send(world, draft) {
        Ok(message) => note(world, sid, &format!("A message is sent: {message}.")),
        Err(unsendable) => {
            let text = format!("the message is not sent. {}", unsendable.message);
            script::complain(world, sid, unsendable.code.into(), &text);
        }
    }
}

/// What happened to a call.
pub(super) fn note(world: &mut World, sid: Sid, text: &str) {
    line(world, sid, LineKind::Note, text.to_owned());
}

/// A line more on the phone.
pub(super) fn line(world: &mut World, sid: Sid, kind: LineKind, text: String) {
    let at = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    if call.lines.len() < LINES_MAX {
        call.lines.push(Line { at, kind, text });
    }
    world.touch();
}
