//! Calls and their lives, from the queue to the price.
//!
//! A call is one line between Twilio and somebody outside ([`Far`]); two that talk to each other are two calls. What
//! it is doing while somebody is on the line is its [`Doing`], as TwiML says ([`script`]). The one idea: whenever a
//! call turns to something else it gets a new turn; whatever was planned or asked for an earlier one comes too late
//! and is passed over. So nothing has to be called off, and no answer can come to the wrong verb.

mod detection;
mod dial;
mod endpoint;
mod gather;
mod hooks;
mod life;
mod phone;
mod record;
mod script;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::CallStatus;

pub(crate) use detection::Detection;
pub(crate) use endpoint::Endpoint;
pub(crate) use hooks::{Callbacks, Events};
pub(crate) use life::{NewCall, Redirected, cancel, hang_up, place, redirect, set_callbacks, set_time_limit};
pub(crate) use phone::{
    Line, LineKind, WaitsFor, on_phone, pick_up, press, put_down, receive, say_into, speak,
};

use super::World;
use super::webhooks::{Ended, Target};
use crate::settings::PhoneBehaviour;
use crate::table::{Row, Table};

/// All calls.
#[derive(Debug)]
pub(crate) struct Calls {
    rows: Table<Call>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { rows: Table::by_account() }
    }
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    /// The call whose `Dial` made this one.
    pub(crate) parent: Option<Sid>,
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    pub(crate) direction: Direction,
    /// The account's own number at its end.
    pub(crate) number: Option<Sid>,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) state: State,
    /// `human`, `machine_start`…, where detection was asked for and is done.
    pub(crate) answered_by: Option<&'static str>,
    /// What it cost, positive, once that is known.
    pub(crate) price_micros: Option<i64>,
    /// The same, from the end of the call on.
    cost_micros: Option<i64>,
    /// On the phone, and not among the account's calls: a code of Verify.
    pub(crate) hidden: bool,
    /// What was said and pressed.
    pub(crate) lines: Vec<Line>,
    pub(crate) orders: Orders,
    far: Far,
    turn: u64,
    /// Events of its progress so far, told or not.
    events: u32,
    /// What was asked last, for relative URLs and for the fallback.
    asked: Option<Asked>,
    /// What was recorded of it, or is.
    pub(super) recordings: Vec<Sid>,
    documents: hooks::Documents,
    /// The call that began the chain of calls that this one is part of; itself for most.
    root: Sid,
    /// Calls made so far by the chain that began with this one.
    chain: u32,
}

/// Which way a call goes, and what made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    OutboundApi,
    OutboundDial,
}

/// Who is at the other end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Far {
    /// A phone outside: the one that is called, or the one that calls.
    Outside,
    /// A number of the sandbox's own: the call that was made of it there.
    Call(Sid),
}

/// Where a call stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Queued,
    Ringing { dialled: Timestamp },
    InProgress(Talk),
    Ended { how: End, dialled: Option<Timestamp>, answered: Option<Timestamp>, at: Timestamp },
}

/// A call that somebody answered.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    dialled: Timestamp,
    pub(crate) answered: Timestamp,
    /// Picked up on the phone page, so that nobody else decides when it ends.
    by_hand: bool,
    /// A machine answered: it presses no key.
    machine: bool,
    script: script::Script,
    doing: Doing,
}

/// What a call does just now.
#[derive(Debug, Clone)]
enum Doing {
    /// It listens who answered, or sends keys, before its first document.
    Preparing,
    /// It waits for a document.
    Asking,
    /// Something is said or played, or it pauses.
    Saying,
    Gathering(gather::Gathering),
    Recording(record::Recording),
    Dialling(dial::Dialling),
    /// It is connected with the call whose `Dial` made it.
    Connected,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Busy,
    NoAnswer,
    Failed,
    Canceled,
}

/// What a call was told at its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) entry: Entry,
    /// Asked where a document cannot be had or read.
    pub(crate) fallback: Option<Target>,
    pub(crate) callbacks: Option<Callbacks>,
    /// How long it rings.
    pub(crate) timeout_s: u64,
    /// How long it lasts at most.
    pub(crate) time_limit_s: u64,
    /// Keys to press once somebody answered; `w` and `W` are pauses.
    pub(crate) send_digits: String,
    pub(crate) detection: Option<Detection>,
    pub(crate) record: Option<super::recordings::Orders>,
}

/// Where a call begins once somebody answered.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// With what this URL answers.
    Document(Target),
    /// With this TwiML.
    Twiml(String),
    /// With the call whose `Dial` made it.
    Connect,
    /// Nowhere: nobody said what to do with calls to this number.
    Nothing,
}

#[derive(Debug, Clone)]
struct Asked {
    url: String,
    is_fallback: bool,
}

/// What happens to a call next. The number is the turn that it was planned in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It leaves the queue.
    Initiate,
    /// The phone rings.
    Ring,
    /// The phone does what it does when it has rung for a while.
    Behave(u64, PhoneBehaviour),
    /// It has rung long enough.
    StopRinging(u64),
    /// Who answered is known and keys are sent: the first document's turn.
    Begin(u64),
    /// Who answered is known, beside the first document.
    Detected,
    /// What was said, played or waited for is over.
    Next(u64),
    /// The called hang up.
    HangUp(u64),
    /// It may have lasted as long as it may.
    TimeLimit,
    /// What it cost is known.
    Price,
}

impl Row for Call {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Calls {
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.rows.set_cap(cap);
    }

    /// A call, hidden or not, whoever owns it.
    pub(crate) fn find(&self, sid: Sid) -> Option<&Call> {
        self.rows.find(sid)
    }

    pub(super) fn find_mut(&mut self, sid: Sid) -> Option<&mut Call> {
        self.rows.find_mut(sid)
    }

    /// A call of this account, as its API shows it.
    pub(crate) fn find_of(&self, account: Sid, sid: Sid) -> Option<&Call> {
        self.rows.find_of(account, sid).filter(|call| !call.hidden)
    }

    /// The account's calls, newest first, without hidden ones.
    pub(crate) fn of(&self, account: Sid) -> impl DoubleEndedIterator<Item = &Call> {
        self.rows.of(account).filter(|call| !call.hidden)
    }

    /// All calls, newest first, hidden ones too.
    pub(crate) fn newest_first(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.rows.newest_first()
    }

    /// Forgets a call. Only for one that is over.
    pub(crate) fn remove(&mut self, account: Sid, sid: Sid) {
        self.rows.remove_of(account, sid);
    }
}

/// The call's next step is due.
pub(super) fn advance(world: &mut World, sid: Sid, step: Step) {
    let Some(call) = world.calls.find(sid) else { return };
    let in_turn = |turn: u64| call.turn == turn;
    match step {
        Step::Initiate => life::initiate(world, sid),
        Step::Ring => life::ring(world, sid),
        Step::Behave(turn, behaviour) if in_turn(turn) => life::behave(world, sid, behaviour),
        Step::StopRinging(turn) if in_turn(turn) => life::stop_ringing(world, sid),
        Step::Begin(turn) if in_turn(turn) => life::begin(world, sid),
        Step::Detected => detection::tell(world, sid),
        Step::Next(turn) if in_turn(turn) => script::next(world, sid),
        Step::HangUp(turn) if in_turn(turn) => life::end(world, sid, End::Completed),
        Step::TimeLimit => life::check_time_limit(world, sid),
        Step::Price => life::price(world, sid),
        Step::Behave(..) | Step::StopRinging(_) | Step::Begin(_) | Step::Next(_) | Step::HangUp(_) => {}
    }
}

/// The application answered with what the call does next.
pub(super) fn answered(world: &mut World, sid: Sid, turn: u64, ended: Ended) {
    let Some(call) = world.calls.find(sid) else { return };
    if call.turn != turn || call.is_over() {
        return;
    }
    match ended {
        Ended::Answer { content_type, body, moved_to } => {
            if let (Some(moved_to), Some(call)) = (moved_to, world.calls.find_mut(sid))
                && let Some(asked) = &mut call.asked
            {
                asked.url = moved_to.url;
            }
            script::read(world, sid, &content_type, &body);
        }
        Ended::Failed { code } => script::trouble(world, sid, code, "the application could not be asked"),
    }
}

impl Call {
    pub(crate) fn status(&self) -> CallStatus {
        match &self.state {
            State::Queued => CallStatus::Queued,
            State::Ringing { .. } => CallStatus::Ringing,
            State::InProgress(_) => CallStatus::InProgress,
            State::Ended { how, .. } => how.status(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// When it was answered, else when it was dialled.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        match &self.state {
            State::Queued => None,
            State::Ringing { dialled } => Some(*dialled),
            State::InProgress(talk) => Some(talk.answered),
            State::Ended { dialled, answered, .. } => answered.or(*dialled),
        }
    }

    pub(crate) fn ended(&self) -> Option<Timestamp> {
        match &self.state {
            State::Ended { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Seconds of talk, begun ones counted, once it is over.
    pub(crate) fn duration_s(&self) -> Option<u64> {
        match &self.state {
            State::Ended { answered: Some(answered), at, .. } => Some(seconds_between(*answered, *at)),
            State::Ended { answered: None, .. } => Some(0),
            _ => None,
        }
    }

    /// How long it stood in the queue; so far none, where it still does.
    pub(crate) fn queue_ms(&self) -> u64 {
        let dialled = match &self.state {
            State::Queued => None,
            State::Ringing { dialled } => Some(*dialled),
            State::InProgress(talk) => Some(talk.dialled),
            State::Ended { dialled, .. } => *dialled,
        };
        let waited_ms = dialled.map_or(0, |dialled| dialled.duration_since(self.created).as_millis());
        u64::try_from(waited_ms).unwrap_or(0)
    }

    fn talk(&self) -> Option<&Talk> {
        match &self.state {
            State::InProgress(talk) => Some(talk),
            _ => None,
        }
    }

    fn talk_mut(&mut self) -> Option<&mut Talk> {
        match &mut self.state {
            State::InProgress(talk) => Some(talk),
            _ => None,
        }
    }

    /// The phone outside, where one is at the other end.
    pub(crate) fn phone(&self) -> Option<PhoneNumber> {
        match (self.far, self.direction) {
            (Far::Call(_), _) => None,
            (Far::Outside, Direction::Inbound) => self.from.phone(),
            (Far::Outside, _) => self.to.phone(),
        }
    }

    /// What it does next is in a new turn.
    fn turn_to(&mut self, doing: Doing) -> u64 {
        self.turn += 1;
        if let Some(talk) = self.talk_mut() {
            talk.doing = doing;
        }
        self.turn
    }
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

impl End {
    pub(crate) fn status(self) -> CallStatus {
        match self {
            Self::Completed => CallStatus::Completed,
            Self::Busy => CallStatus::Busy,
            Self::NoAnswer => CallStatus::NoAnswer,
            Self::Failed => CallStatus::Failed,
            Self::Canceled => CallStatus::Canceled,
        }
    }

    /// What SIP says of such an end, as Twilio's status callbacks repeat it.
    fn sip_code(self) -> u16 {
        match self {
            Self::Completed => 200,
            Self::Busy => 486,
            Self::NoAnswer | Self::Canceled => 487,
            Self::Failed => 503,
        }
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            entry: Entry::Nothing,
            fallback: None,
            callbacks: None,
            timeout_s: 60,
            time_limit_s: TIME_LIMIT_S,
            send_digits: String::new(),
            detection: None,
            record: None,
        }
    }
}

/// Whether the account may show this number as who calls: one that it owns, or a verified one.
pub(crate) fn may_call_from(world: &World, account: Sid, number: PhoneNumber) -> bool {
    super::numbers::owns(world, account, number) || super::caller_ids::is_proven(world, account, number)
}

/// How long a call lasts at most unless it was told otherwise: four hours.
pub(crate) const TIME_LIMIT_S: u64 = 4 * 3600;

/// Begun seconds between two times.
fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    ms_between(from, to).div_ceil(1000)
}

fn ms_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}
