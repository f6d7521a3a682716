//! A call from the queue over the ringing to its end and its price.
//!
//! Statuses: <https://www.twilio.com/docs/voice/api/call-resource#call-status-values>.

use ringfence_model::Sid;

use super::hooks::{self, Event};
use super::{
    Call, Callbacks, Direction, Doing, End, Endpoint, Entry, Far, Line, LineKind, Orders, State, Step, Talk,
    detection, dial, ms_between, phone, record, script,
};
use crate::settings::PhoneBehaviour;
use crate::world::usage::{self, Use};
use crate::world::webhooks::Target;
use crate::world::{Due, World, numbers, recordings};

/// A call that is to be made.
#[derive(Debug)]
pub(crate) struct NewCall {
    pub(crate) account: Sid,
    /// The call whose `Dial` makes it.
    pub(crate) parent: Option<Sid>,
    pub(crate) from: Endpoint,
    pub(crate) to: Endpoint,
    pub(crate) orders: Orders,
    pub(crate) hidden: bool,
}

/// Calls that one call may lead to, over `Dial` and over numbers of the sandbox's own that call on. Without a bound
/// a number that dials itself would go on for ever.
const CHAIN_MAX: u32 = 50;

/// Puts a call into the queue.
pub(crate) fn place(world: &mut World, new: NewCall) -> Sid {
    let direction = if new.parent.is_some() { Direction::OutboundDial } else { Direction::OutboundApi };
    let number = new.from.phone().and_then(|number| {
        numbers::find_by_number(world, number).filter(|row| row.account == new.account).map(|row| row.sid)
    });
    let root = new.parent.and_then(|parent| world.calls.find(parent)).map(|parent| parent.root);
    let sid = insert(world, new, direction, State::Queued, number, root);
    let queued_ms = world.settings.calls.queued_ms;
    world.plan_in_ms(queued_ms / 2, Due::Call(sid, Step::Initiate));
    world.plan_in_ms(queued_ms, Due::Call(sid, Step::Ring));
    sid
}

/// A new row, of the chain that `root` began or of one of its own.
pub(super) fn insert(
    world: &mut World,
    new: NewCall,
    direction: Direction,
    state: State,
    number: Option<Sid>,
    root: Option<Sid>,
) -> Sid {
    let NewCall { account, parent, from, to, orders, hidden } = new;
    let sid = world.ids.sid(*b"CA");
    let now = world.now;
    world.calls.rows.insert(Call {
        sid,
        account,
        parent,
        from,
        to,
        direction,
        number,
        created: now,
        updated: now,
        state,
        answered_by: None,
        price_micros: None,
        cost_micros: None,
        hidden,
        lines: Vec::new(),
        orders,
        far: Far::Outside,
        turn: 0,
        events: 0,
        asked: None,
        recordings: Vec::new(),
        documents: hooks::Documents::default(),
        root: root.unwrap_or(sid),
        chain: 0,
    });
    world.touch();
    sid
}

/// Whether the chain of this call may grow by one more; counts it.
pub(super) fn may_go_on(world: &mut World, root: Sid) -> bool {
    world.calls.find_mut(root).is_some_and(|call| {
        call.chain += 1;
        call.chain <= CHAIN_MAX
    })
}

pub(super) fn initiate(world: &mut World, sid: Sid) {
    if world.calls.find(sid).is_some_and(|call| matches!(call.state, State::Queued)) {
        hooks::progress(world, sid, Event::Initiated);
    }
}

/// The call leaves the queue, and the phone at the other end rings: one outside behaves as it was told, a number of
/// the sandbox's own asks its application.
pub(super) fn ring(world: &mut World, sid: Sid) {
    let dialled = world.now;
    let Some(call) = world.calls.find(sid).filter(|call| matches!(call.state, State::Queued)) else { return };
    if !world.accounts.is_active(call.account) {
        phone::note(world, sid, "Error 10001: the account is not active, so its queue is not worked off.");
        return end(world, sid, End::Failed);
    }
    let Some(call) = world.calls.find_mut(sid) else { return };
    call.state = State::Ringing { dialled };
    call.turn += 1;
    let (turn, to, timeout_ms) = (call.turn, call.to.phone(), call.orders.timeout_s.saturating_mul(1000));
    hooks::progress(world, sid, Event::Ringing);
    world.plan_in_ms(timeout_ms, Due::Call(sid, Step::StopRinging(turn)));
    if to.is_some_and(|number| numbers::find_by_number(world, number).is_some()) {
        return phone::ring_number(world, sid);
    }
    let told = to.and_then(|number| world.phones.behaviour(number));
    let behaviour = told.unwrap_or(world.settings.calls.phones);
    let ringing_ms = world.settings.calls.ringing_ms;
    if ringing_ms < timeout_ms {
        world.plan_in_ms(ringing_ms, Due::Call(sid, Step::Behave(turn, behaviour)));
    }
}

/// The phone has rung for a while.
pub(super) fn behave(world: &mut World, sid: Sid, behaviour: PhoneBehaviour) {
    match behaviour {
        PhoneBehaviour::Answer => answer(world, sid, AnsweredBy::Person),
        PhoneBehaviour::Voicemail => answer(world, sid, AnsweredBy::Machine),
        PhoneBehaviour::Busy => end(world, sid, End::Busy),
        PhoneBehaviour::Fail => end(world, sid, End::Failed),
        PhoneBehaviour::NoAnswer | PhoneBehaviour::ByHand => {}
    }
}

pub(super) fn stop_ringing(world: &mut World, sid: Sid) {
    if world.calls.find(sid).is_some_and(|call| matches!(call.state, State::Ringing { .. })) {
        end(world, sid, End::NoAnswer);
    }
}

/// Who answers a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnsweredBy {
    Person,
    Machine,
    /// Somebody on the phone page.
    Hand,
    /// The call at a number of the sandbox's own.
    Call,
}

/// Somebody answers. For an outbound call its first document comes next, once it is known who answered, where that
/// was asked; an inbound one has its document already.
pub(super) fn answer(world: &mut World, sid: Sid, by: AnsweredBy) {
    let now = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    let State::Ringing { dialled } = call.state else { return };
    call.state = State::InProgress(Talk {
        dialled,
        answered: now,
        by_hand: matches!(by, AnsweredBy::Hand | AnsweredBy::Call),
        machine: by == AnsweredBy::Machine,
        script: script::Script::default(),
        doing: Doing::Preparing,
    });
    call.turn += 1;
    let (turn, time_limit_s, record) = (call.turn, call.orders.time_limit_s, call.orders.record.clone());
    world.plan_in_ms(time_limit_s.saturating_mul(1000), Due::Call(sid, Step::TimeLimit));
    // An inbound call's callback is told of its end alone, as number 0.
    if world.calls.find(sid).is_some_and(|call| call.direction != Direction::Inbound) {
        hooks::progress(world, sid, Event::Answered);
    }
    if let Some(orders) = record {
        recordings::start(world, sid, recordings::Source::OutboundApi, orders);
    }
    let Some(call) = world.calls.find(sid) else { return };
    if call.direction == Direction::Inbound {
        return;
    }
    let wait_ms = detection::begin(world, sid) + script::keys_ms(&call_digits(world, sid));
    if wait_ms == 0 {
        begin(world, sid);
    } else {
        world.plan_in_ms(wait_ms, Due::Call(sid, Step::Begin(turn)));
    }
}

fn call_digits(world: &World, sid: Sid) -> String {
    world.calls.find(sid).map(|call| call.orders.send_digits.clone()).unwrap_or_default()
}

/// The first document's turn.
pub(super) fn begin(world: &mut World, sid: Sid) {
    detection::decide(world, sid);
    let digits = call_digits(world, sid);
    if !digits.is_empty() {
        phone::send_keys(world, sid, &digits);
    }
    let Some(call) = world.calls.find(sid) else { return };
    if call.is_over() {
        return;
    }
    enter(world, sid, call.orders.entry.clone());
}

fn enter(world: &mut World, sid: Sid, entry: Entry) {
    match entry {
        Entry::Document(target) => hooks::ask(world, sid, "voice", target, Vec::new()),
        Entry::Twiml(text) => {
            if let Some(call) = world.calls.find_mut(sid) {
                call.asked = None;
            }
            script::read(world, sid, "text/xml", text.as_bytes());
        }
        Entry::Connect => dial::connect(world, sid),
        Entry::Nothing => script::give_up(world, sid, "nobody said what to do with this call"),
    }
}

/// What a live call goes on with instead.
#[derive(Debug)]
pub(crate) struct Redirected {
    pub(crate) entry: Entry,
    pub(crate) fallback: Option<Target>,
}

/// A call in progress leaves what it does and goes on elsewhere. `false`: it is not in progress.
///
/// A `Dial` that is left this way still tells its action, and does nothing with the answer; that is what Twilio was
/// seen to do.
pub(crate) fn redirect(world: &mut World, sid: Sid, to: Redirected) -> bool {
    let Some(call) = world.calls.find(sid).filter(|call| call.talk().is_some()) else { return false };
    let parent = call.parent;
    leave(world, sid);
    if let Some(parent) = parent {
        dial::leg_left(world, parent, sid);
    }
    if let Some(call) = world.calls.find_mut(sid) {
        // It belongs to nobody's `Dial` any more: at the end of its document it ends.
        call.orders.entry = to.entry.clone();
        if to.fallback.is_some() {
            call.orders.fallback = to.fallback;
        }
    }
    enter(world, sid, to.entry);
    true
}

/// What the call is doing comes to its end, because somebody hung up or sent it elsewhere.
fn leave(world: &mut World, sid: Sid) {
    let Some(call) = world.calls.find_mut(sid) else { return };
    let Some(talk) = call.talk_mut() else { return };
    let doing = std::mem::replace(&mut talk.doing, Doing::Preparing);
    call.turn += 1;
    wind_up(world, sid, doing);
}

fn wind_up(world: &mut World, sid: Sid, doing: Doing) {
    match doing {
        Doing::Recording(recording) => record::cut_off(world, sid, &recording),
        Doing::Dialling(dialling) => dial::cut_off(world, sid, &dialling),
        Doing::Preparing | Doing::Asking | Doing::Saying | Doing::Gathering(_) | Doing::Connected => {}
    }
}

/// Ends a call that is queued or rings. `false`: it does neither.
pub(crate) fn cancel(world: &mut World, sid: Sid) -> bool {
    let waits = |call: &Call| matches!(call.state, State::Queued | State::Ringing { .. });
    let found = world.calls.find(sid).is_some_and(waits);
    if found {
        end(world, sid, End::Canceled);
    }
    found
}

/// Ends a call in progress, or one that never was. `false`: it is over.
pub(crate) fn hang_up(world: &mut World, sid: Sid) -> bool {
    match world.calls.find(sid).map(|call| &call.state) {
        None | Some(State::Ended { .. }) => false,
        Some(State::InProgress(_)) => {
            end(world, sid, End::Completed);
            true
        }
        Some(State::Queued | State::Ringing { .. }) => cancel(world, sid),
    }
}

/// Changes how long a call may last, counted from its answer.
pub(crate) fn set_time_limit(world: &mut World, sid: Sid, time_limit_s: u64) {
    let now = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    call.orders.time_limit_s = time_limit_s;
    if let Some(talk) = call.talk() {
        let left_ms = time_limit_s.saturating_mul(1000).saturating_sub(ms_between(talk.answered, now));
        world.plan_in_ms(left_ms, Due::Call(sid, Step::TimeLimit));
    }
}

/// Changes who is told of a call's progress. What is told stays.
pub(crate) fn set_callbacks(world: &mut World, sid: Sid, callbacks: Callbacks) {
    if let Some(call) = world.calls.find_mut(sid) {
        let events = call.orders.callbacks.as_ref().map_or(callbacks.events, |old| old.events);
        call.orders.callbacks = Some(Callbacks { events, ..callbacks });
    }
}

pub(super) fn check_time_limit(world: &mut World, sid: Sid) {
    let now = world.now;
    let is_up = world.calls.find(sid).is_some_and(|call| {
        let limit_ms = call.orders.time_limit_s.saturating_mul(1000);
        call.talk().is_some_and(|talk| ms_between(talk.answered, now) >= limit_ms)
    });
    if is_up {
        phone::note(world, sid, "The call lasted as long as it may.");
        end(world, sid, End::Completed);
    }
}

/// The call is over. Whoever was connected with it learns of it, the application is told, and if somebody had
/// answered, it is booked.
pub(super) fn end(world: &mut World, sid: Sid, how: End) {
    let at = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    let (dialled, talk) = match std::mem::replace(&mut call.state, State::Queued) {
        over @ State::Ended { .. } => {
            call.state = over;
            return;
        }
        State::Queued => (None, None),
        State::Ringing { dialled } => (Some(dialled), None),
        State::InProgress(talk) => (Some(talk.dialled), Some(talk)),
    };
    call.turn += 1;
    call.updated = at;
    call.state = State::Ended { how, dialled, answered: talk.as_ref().map(|talk| talk.answered), at };
    call.lines.push(Line { at, kind: LineKind::Note, text: how.sentence().to_owned() });
    let (far, parent) = (call.far, call.parent);
    let answered = talk.is_some();
    if let Some(talk) = talk {
        wind_up(world, sid, talk.doing);
    }
    recordings::stop_all(world, sid);
    if let Far::Call(other) = far {
        end_other(world, sid, other, how);
    }
    hooks::progress(world, sid, Event::Completed);
    if answered {
        book(world, sid);
    }
    if let Some(parent) = parent {
        dial::leg_left(world, parent, sid);
    }
}

/// The call at the other end of a line between two numbers of the sandbox's own.
fn end_other(world: &mut World, sid: Sid, other: Sid, how: End) {
    let Some(call) = world.calls.find(other).filter(|call| call.far == Far::Call(sid)) else { return };
    let other_how = match (&call.state, how) {
        (State::InProgress(_), _) => End::Completed,
        // The caller gave up, was called off, or its time to ring was over.
        (_, _) if call.direction == Direction::Inbound => End::NoAnswer,
        // The called number's application declined.
        (_, End::Completed) => End::NoAnswer,
        (_, how) => how,
    };
    end(world, other, other_how);
}

/// Books a call by begun minutes. Calls that nobody answered cost nothing.
fn book(world: &mut World, sid: Sid) {
    let Some(call) = world.calls.find(sid).filter(|call| !call.hidden) else { return };
    let minutes = call.duration_s().unwrap_or(0).div_ceil(60).max(1);
    let (categories, a_minute_micros): (&'static [&'static str], i64) =
        match (call.direction, &call.to, &call.from) {
            (Direction::Inbound, Endpoint::Phone(number), Endpoint::Phone(_)) => (
                if is_toll_free(number.digits()) {
                    &["calls", "calls-inbound", "calls-inbound-tollfree"]
                } else {
                    &["calls", "calls-inbound", "calls-inbound-local"]
                },
                world.prices.call_in_micros(*number),
            ),
            (Direction::Inbound, _, _) => (&["calls", "calls-inbound"], APP_MINUTE_MICROS),
            (_, Endpoint::Phone(number), _) => {
                (&["calls", "calls-outbound"], world.prices.call_out_micros(*number))
            }
            (_, Endpoint::Client(_), _) => (&["calls", "calls-client"], APP_MINUTE_MICROS),
            (_, Endpoint::Sip(_) | Endpoint::Name(_), _) => {
                (&["calls", "calls-sip", "calls-sip-outbound"], APP_MINUTE_MICROS)
            }
        };
    let price_micros = a_minute_micros.saturating_mul(i64::try_from(minutes).unwrap_or(i64::MAX));
    let account = call.account;
    usage::book(world, Use { account, categories, count: 1, usage: minutes, price_micros });
    if let Some(call) = world.calls.find_mut(sid) {
        call.cost_micros = Some(price_micros);
    }
    let delay_ms = world.settings.calls.price_ms;
    world.plan_in_ms(delay_ms, Due::Call(sid, Step::Price));
}

/// A minute to a client or a SIP address (Twilio's price list of 2026).
const APP_MINUTE_MICROS: i64 = 4_000;

/// Toll-free numbers of North America.
fn is_toll_free(digits: u64) -> bool {
    matches!(digits / 10_000_000, 1800 | 1833 | 1844 | 1855 | 1866 | 1877 | 1888)
}

/// What the call cost is shown from now on.
pub(super) fn price(world: &mut World, sid: Sid) {
    let now = world.now;
    let Some(call) = world.calls.find_mut(sid) else { return };
    call.price_micros = call.cost_micros;
    call.updated = now;
    world.touch();
}

impl End {
    fn sentence(self) -> &'static str {
        match self {
            Self::Completed => "The call is over.",
            Self::Busy => "The line is busy.",
            Self::NoAnswer => "Nobody answered.",
            Self::Failed => "The call could not be put through.",
            Self::Canceled => "The call was canceled.",
        }
    }
}
