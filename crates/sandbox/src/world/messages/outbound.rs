//! Out: from a draft to a phone, step by step.

use jiff::SignedDuration;
use ringfence_model::{PhoneNumber, Segments, Sid};

use super::checks::{self, Parties};
use super::inbound::{self, Inbound};
use super::{Address, Draft, Message, Status, Step, Unsendable, callbacks, smart_encoding};
use crate::world::phones::{self, Delivery, NewText};
use crate::world::usage::{self, Use};
use crate::world::{Due, World, media, messaging_services, numbers};

/// How long a message may stand in the queue: <https://www.twilio.com/docs/messaging/api/message-resource>.
const VALIDITY_S: u16 = 36_000;

/// Makes a message. It leaves at its time.
pub(crate) fn send(world: &mut World, draft: Draft) -> Result<Sid, Unsendable> {
    let Parties { from, service, to } = checks::check(world, &draft)?;
    let settings = service.and_then(|service| messaging_services::find(world, draft.account, service));
    let smart = draft.smart_encoded.or(settings.map(|it| it.smart_encoding)).unwrap_or(false);
    let validity_s = draft.validity_s.or(settings.map(|it| it.validity_s)).unwrap_or(VALIDITY_S);
    let callback = draft.status_callback.or_else(|| settings.and_then(|it| it.status_callback.clone()));
    let body = if smart { smart_encoding::encode(&draft.body) } else { draft.body };
    let is_text = draft.media.is_empty() && !draft.as_mms;
    let segments = count_segments(&body, is_text);
    let (status, step, delay_ms) = match (draft.send_at, service, &from) {
        (Some(at), _, _) => {
            let wait = at.duration_since(world.now).as_millis();
            (Status::Scheduled, Step::Queue, u64::try_from(wait).unwrap_or(0))
        }
        (None, None, Some(from)) => {
            let delay_ms = take_turn(world, from, segments).ok_or_else(checks::queue_full)?;
            (Status::Queued, Step::Send, delay_ms)
        }
        (None, _, _) => (Status::Accepted, Step::Queue, world.settings.messages.queued_ms),
    };
    let sid = world.ids.sid(if is_text { *b"SM" } else { *b"MM" });
    let media = media::attach(world, draft.account, sid, draft.media);
    let now = world.now.as_second();
    let status_callback = world.messages.share(callback.as_deref());
    world.messages.rows.insert(Message {
        sid,
        account: draft.account,
        service,
        from,
        to,
        body: body.into(),
        status,
        direction: draft.direction,
        segments,
        media,
        error: None,
        price_micros: 0,
        priced: false,
        answers: draft.answers,
        validity_s,
        status_callback,
        created: now,
        updated: now,
        sent: None,
        conversation: None,
    });
    world.plan_in_ms(delay_ms, Due::Message(sid, step));
    world.touch();
    Ok(sid)
}

/// Calls a scheduled message back. `false`: it was not scheduled, or its time has come.
pub(crate) fn cancel(world: &mut World, account: Sid, sid: Sid) -> bool {
    if world.messages.find_of(account, sid).is_none_or(|message| message.status != Status::Scheduled) {
        return false;
    }
    change(world, sid, |message| message.status = Status::Canceled);
    callbacks::tell(world, sid);
    true
}

/// The message's next step is due. A step that comes too late, because the message was canceled or deleted, finds
/// another status and does nothing.
pub(in crate::world) fn advance(world: &mut World, sid: Sid, step: Step) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    match (step, message.status) {
        (Step::Queue, Status::Accepted | Status::Scheduled) => queue(world, sid),
        (Step::Send, Status::Queued) => start(world, sid),
        (Step::Sent, Status::Sending) => sent(world, sid),
        (Step::Deliver, Status::Sent) => deliver(world, sid),
        (Step::Price, _) => change(world, sid, |message| message.priced = true),
        _ => {}
    }
}

/// The Messaging Service chooses a sender, and the message goes into that one's queue. A scheduled one has waited
/// long enough for things to have changed.
fn queue(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let (account, service, to, segments) = (message.account, message.service, message.to, message.segments);
    let from = match (message.from.clone(), service) {
        (Some(from), _) => Ok(from),
        (None, Some(service)) => messaging_services::take_sender(world, account, service, to),
        (None, None) => Err(21606),
    };
    let from = from.and_then(|from| match checks::may_write(world, Some(&from), service, to) {
        Ok(()) => Ok(from),
        Err(unsendable) => Err(unsendable.code),
    });
    let turn = from.and_then(|from| match take_turn(world, &from, segments) {
        Some(delay_ms) => Ok((from, delay_ms)),
        None => Err(30001),
    });
    match turn {
        Err(code) => fail(world, sid, Status::Failed, code),
        Ok((from, delay_ms)) => {
            change(world, sid, |message| {
                message.from = Some(from);
                message.status = Status::Queued;
            });
            callbacks::tell(world, sid);
            world.plan_in_ms(delay_ms, Due::Message(sid, Step::Send));
        }
    }
}

/// Its turn has come: does its account still exist for Twilio, and is it not too late?
fn start(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let queued_s = world.now.as_second().saturating_sub(message.updated);
    if !world.accounts.is_active(message.account) {
        return fail(world, sid, Status::Failed, 30002);
    }
    if queued_s > i64::from(message.validity_s) {
        return fail(world, sid, Status::Failed, 30036);
    }
    change(world, sid, |message| message.status = Status::Sending);
    world.plan_in_ms(world.settings.messages.sending_ms, Due::Message(sid, Step::Sent));
}

/// From here on it costs, whatever becomes of it.
fn sent(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let (account, segments, is_text) = (message.account, message.segments, message.sid.is("SM"));
    let price_micros = if is_text {
        world.prices.message_out_micros(message.to) * i64::from(segments)
    } else {
        world.prices.media_out_micros(message.to)
    };
    let categories: &'static [&'static str] = match (is_text, &message.from) {
        (true, Some(Address::Name(_))) => &["sms", "sms-outbound"],
        (true, _) => &["sms", "sms-outbound", "sms-outbound-longcode"],
        (false, _) => &["mms", "mms-outbound", "mms-outbound-longcode"],
    };
    let now = world.now.as_second();
    change(world, sid, |message| {
        message.status = Status::Sent;
        message.sent = Some(now);
        message.price_micros = u32::try_from(price_micros).unwrap_or(0);
    });
    usage::book(world, Use { account, categories, count: 1, usage: segments.into(), price_micros });
    callbacks::tell(world, sid);
    let (delivery_ms, price_ms) = (world.settings.messages.delivery_ms, world.settings.messages.price_ms);
    world.plan_in_ms(delivery_ms, Due::Message(sid, Step::Deliver));
    world.plan_in_ms(price_ms, Due::Message(sid, Step::Price));
}

fn deliver(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let (to, from) = (message.to, message.from.clone());
    if numbers::find_by_number(world, to).is_some() {
        return match from.as_ref().and_then(Address::number) {
            Some(from) => hand_over(world, sid, from),
            None => fail(world, sid, Status::Undelivered, 30006),
        };
    }
    match world.phones.delivery(to) {
        Delivery::Delivered | Delivery::NoReceipt => {
            show(world, sid);
            if world.phones.delivery(to) == Delivery::Delivered {
                change(world, sid, |message| message.status = Status::Delivered);
                callbacks::tell(world, sid);
            }
        }
        Delivery::Unreachable => fail(world, sid, Status::Undelivered, 30003),
        Delivery::Blocked => fail(world, sid, Status::Undelivered, 30004),
        Delivery::Unknown => fail(world, sid, Status::Undelivered, 30005),
        Delivery::Landline => fail(world, sid, Status::Undelivered, 30006),
        Delivery::Filtered => fail(world, sid, Status::Undelivered, 30007),
        Delivery::Lost => fail(world, sid, Status::Undelivered, 30008),
    }
}

/// The recipient is a number of the sandbox: the message arrives there as any other.
fn hand_over(world: &mut World, sid: Sid, from: PhoneNumber) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let answers = message.answers;
    let inbound = Inbound {
        from,
        to: message.to,
        body: message.body.clone().into(),
        media: media::sources(world, &message.media),
    };
    match inbound::arrive(world, inbound, answers) {
        inbound::Arrival::Refused => fail(world, sid, Status::Undelivered, 30003),
        inbound::Arrival::Logged(_) | inbound::Arrival::Dropped => {
            change(world, sid, |message| message.status = Status::Delivered);
            callbacks::tell(world, sid);
        }
    }
}

fn show(world: &mut World, sid: Sid) {
    let Some(message) = world.messages.rows.find(sid) else { return };
    let text = NewText {
        account: message.account,
        phone: message.to,
        other: message.from.as_ref().map(ToString::to_string).unwrap_or_default(),
        outgoing: false,
        body: message.body.clone().into(),
        media: media::sources(world, &message.media),
        message: Some(sid),
    };
    phones::show(world, text);
}

fn fail(world: &mut World, sid: Sid, status: Status, code: u16) {
    change(world, sid, |message| message.fail(status, code));
    callbacks::tell(world, sid);
}

fn change(world: &mut World, sid: Sid, change: impl FnOnce(&mut Message)) {
    let now = world.now.as_second();
    if let Some(message) = world.messages.rows.find_mut(sid) {
        change(message);
        message.updated = now;
        world.touch();
    }
}

/// How long until this sender has sent what stands before. `None`: longer than its queue holds.
fn take_turn(world: &mut World, from: &Address, segments: u16) -> Option<u64> {
    let settings = &world.settings.messages;
    let (queued_ms, per_second) = (settings.queued_ms, settings.per_second);
    if per_second == 0 {
        return Some(queued_ms);
    }
    let limit_ms = settings.queue_limit_s.saturating_mul(1000);
    let free = world.messages.busy.get(from).copied().unwrap_or(world.now);
    let wait_ms = u64::try_from(free.duration_since(world.now).as_millis()).unwrap_or(0);
    if wait_ms > limit_ms {
        return None;
    }
    let takes = SignedDuration::from_millis(i64::from(segments) * 1000 / i64::from(per_second));
    if let Ok(busy_until) = free.max(world.now).checked_add(takes) {
        world.messages.busy.insert(from.clone(), busy_until);
    }
    Some(queued_ms.max(wait_ms))
}

/// A message with media goes as one, whatever its text.
pub(super) fn count_segments(body: &str, is_text: bool) -> u16 {
    if is_text { u16::try_from(Segments::of(body).count).unwrap_or(u16::MAX) } else { 1 }
}
