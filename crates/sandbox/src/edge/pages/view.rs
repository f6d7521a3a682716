//! Phones as they are shown: texts and calls in the order in which they came.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use ringfence_twilio::wire::MessageStatus;
use serde::Serialize;

use super::call::{self, CallCard};
use crate::edge::control::messages::is_web;
use crate::settings::PhoneBehaviour;
use crate::world::messages::{self, Direction, Message};
use crate::world::phones::{Delivery, Text};
use crate::world::{World, calls, numbers, verify};

/// How many phones fit side by side before the page is no longer looked at but searched.
const PHONES: usize = 12;
/// How far back a phone shows.
const ENTRIES: usize = 40;
/// How far back phones are looked for.
const LOOKED_AT: usize = 2_000;

/// A phone of the world outside.
#[derive(Debug, Serialize)]
pub(super) struct Phone {
    pub(super) number: String,
    /// As part of an `id`: its digits.
    #[serde(skip)]
    pub(super) digits: u64,
    /// What it was told to do when it rings; empty: what the settings say.
    pub(super) behaviour: &'static str,
    /// What becomes of texts to it.
    pub(super) delivery: &'static str,
    /// It stands here because somebody wanted it to, and can be taken away.
    pub(super) added: bool,
    /// Oldest first.
    pub(super) thread: Vec<Entry>,
    /// Calls that are not over: they ring, or somebody talks.
    pub(super) live: Vec<CallCard>,
    /// Who was at the other end last, where that is a number that can be texted.
    #[serde(skip)]
    pub(super) reply_to: String,
}

/// One thing that happened on a phone.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Entry {
    Text(Bubble),
    Call(CallCard),
}

/// A text on a phone, or on its way to one.
#[derive(Debug, Serialize)]
pub(super) struct Bubble {
    pub(super) at: Timestamp,
    /// As an `id` on the page: the same from its way to its arrival.
    #[serde(skip)]
    pub(super) id: String,
    /// From the phone, or to it.
    pub(super) from_phone: bool,
    pub(super) other: String,
    /// Somebody else than in the entry before.
    #[serde(skip)]
    pub(super) names_other: bool,
    pub(super) body: String,
    pub(super) media: Vec<String>,
    pub(super) message: Option<String>,
    pub(super) status: Option<String>,
    pub(super) error_code: Option<u16>,
    /// What the code means.
    pub(super) error_message: Option<&'static str>,
    /// It is on the phone; not, where it is still under way or got lost.
    pub(super) arrived: bool,
    /// A code of Verify that is in it and still waits to be checked.
    pub(super) code: Option<String>,
}

impl Bubble {
    pub(super) fn failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "undelivered" | "canceled"))
    }
}

impl Phone {
    /// What the ear is told: calls that are not over.
    pub(super) fn heard(&self) -> String {
        let heard: Vec<String> = self
            .live
            .iter()
            .map(|call| format!("Call with {}: {}. {}", call.other(), call.call.status, call.asks()))
            .collect();
        heard.join(" ")
    }

    pub(super) fn rings(&self) -> bool {
        self.live.iter().any(CallCard::rings)
    }
}

impl Entry {
    /// Twilio's times of messages are whole seconds, so within one what is on its way comes after what was there before.
    fn order(&self) -> (i64, bool, Timestamp) {
        let (at, is_on_its_way) = match self {
            Self::Text(bubble) => (bubble.at, !bubble.arrived),
            Self::Call(call) => (call.call.created, false),
        };
        (at.as_second(), is_on_its_way, at)
    }

    fn other(&self) -> &str {
        match self {
            Self::Text(bubble) => &bubble.other,
            Self::Call(call) => call.other(),
        }
    }
}

/// Every behaviour, with what people call it.
pub(super) const BEHAVIOURS: [(&str, &str); 7] = [
    ("", "As the settings say"),
    ("answer", "Answers"),
    ("voicemail", "Voicemail"),
    ("busy", "Busy"),
    ("no-answer", "No answer"),
    ("fail", "Fails"),
    ("by-hand", "Rings until I act"),
];

/// What may become of a text, with what people call it.
pub(super) const DELIVERIES: [(&str, &str); 8] = [
    ("delivered", "Arrive"),
    ("no-receipt", "Arrive without a receipt"),
    ("unreachable", "Phone unreachable (30003)"),
    ("blocked", "Blocked by the carrier (30004)"),
    ("unknown", "Number not in service (30005)"),
    ("landline", "Landline (30006)"),
    ("filtered", "Filtered as spam (30007)"),
    ("lost", "Lost (30008)"),
];

/// What is looked up for all phones at once.
struct Looked<'a> {
    world: &'a World,
    /// Messages of the API that have not come to their phone, newest first.
    under_way: HashMap<PhoneNumber, Vec<&'a Message>>,
    /// Codes of Verify that wait to be checked, by recipient.
    codes: HashMap<&'a str, Vec<&'a str>>,
}

/// The phones that are in use, by number, and those for which there is no room.
pub(super) fn phones(world: &World) -> (Vec<Phone>, Vec<PhoneNumber>) {
    let looked = Looked::new(world);
    let texts = world.phones.texts.newest_first().take(LOOKED_AT).map(|text| (text.phone, text.at));
    let calls = world.calls.newest_first().take(LOOKED_AT);
    let calls = calls.filter_map(|call| call.phone().map(|phone| (phone, call.created)));
    let under_way = looked.under_way.iter();
    let under_way =
        under_way.filter_map(|(phone, messages)| messages.first().map(|it| (*phone, it.created())));
    let mut last_used: BTreeMap<PhoneNumber, Timestamp> = BTreeMap::new();
    for (phone, at) in texts.chain(calls).chain(under_way) {
        let last = last_used.entry(phone).or_insert(at);
        *last = at.max(*last);
    }
    let added: BTreeSet<PhoneNumber> = world.phones.added().collect();
    let mut others: Vec<_> = last_used.into_iter().filter(|(phone, _)| !added.contains(phone)).collect();
    others.sort_by_key(|(_, at)| std::cmp::Reverse(*at));
    let mut numbers: Vec<PhoneNumber> =
        added.into_iter().chain(others.into_iter().map(|(phone, _)| phone)).collect();
    let more = numbers.split_off(numbers.len().min(PHONES));
    numbers.sort_unstable();
    (numbers.into_iter().map(|number| looked.phone(number)).collect(), more)
}

/// One phone, whether or not anything has happened on it.
pub(super) fn phone(world: &World, number: PhoneNumber) -> Phone {
    Looked::new(world).phone(number)
}

impl<'a> Looked<'a> {
    fn new(world: &'a World) -> Self {
        let there: HashSet<Sid> =
            world.phones.texts.newest_first().take(2 * LOOKED_AT).filter_map(|text| text.message).collect();
        let mut under_way: HashMap<PhoneNumber, Vec<&Message>> = HashMap::new();
        for message in world.messages.newest_first().take(LOOKED_AT) {
            let is_elsewhere = message.direction == Direction::Inbound
                || message.status.to_wire() == MessageStatus::Delivered
                || there.contains(&message.sid)
                || numbers::find_by_number(world, message.to).is_some();
            if !is_elsewhere {
                under_way.entry(message.to).or_default().push(message);
            }
        }
        let mut codes: HashMap<&str, Vec<&str>> = HashMap::new();
        for verification in world.verify.verifications.newest_first().take(LOOKED_AT) {
            if let Some(code) = verify::code(world, verification.sid) {
                codes.entry(&verification.to).or_default().push(code);
            }
        }
        Self { world, under_way, codes }
    }

    fn phone(&self, number: PhoneNumber) -> Phone {
        let world = self.world;
        let texts = world.phones.texts.newest_first().filter(|text| text.phone == number).take(ENTRIES);
        let under_way = self.under_way.get(&number).into_iter().flatten().take(ENTRIES);
        let calls: Vec<CallCard> = calls::on_phone(world, number).take(ENTRIES).map(call::card).collect();
        let (over, mut live): (Vec<_>, Vec<_>) = calls.into_iter().partition(CallCard::is_over);
        live.reverse();
        let mut thread: Vec<Entry> = texts
            .map(|text| Entry::Text(self.arrived(text)))
            .chain(under_way.map(|message| Entry::Text(on_its_way(world, message))))
            .chain(over.into_iter().map(Entry::Call))
            .collect();
        // The newest come first from each, so what is equally old is turned around with the rest.
        thread.reverse();
        thread.sort_by_key(Entry::order);
        thread.drain(..thread.len().saturating_sub(ENTRIES));
        name_others(&mut thread);
        let owned = |entry: &&Entry| {
            let other = PhoneNumber::parse(entry.other()).ok();
            other.is_some_and(|other| numbers::find_by_number(world, other).is_some())
        };
        Phone {
            number: number.to_string(),
            digits: number.digits(),
            behaviour: world.phones.behaviour(number).map_or("", behaviour_name),
            delivery: delivery_name(world.phones.delivery(number)),
            added: world.phones.added().any(|added| added == number),
            reply_to: thread.iter().rev().find(owned).map_or_else(String::new, |it| it.other().to_owned()),
            thread,
            live,
        }
    }

    fn arrived(&self, text: &Text) -> Bubble {
        let message = text.message.and_then(|sid| self.world.messages.find_of(text.account, sid));
        let phone = text.phone.to_string();
        let code = self
            .codes
            .get(phone.as_str())
            .filter(|_| text.message.is_none() && !text.outgoing)
            .and_then(|codes| codes.iter().find(|code| text.body.contains(**code)))
            .map(|code| (*code).to_owned());
        let error = message.and_then(|message| message.error).map(std::num::NonZero::get);
        Bubble {
            at: text.at,
            id: text.message.unwrap_or(text.sid).to_string(),
            from_phone: text.outgoing,
            other: text.other.clone(),
            names_other: false,
            body: text.body.clone(),
            media: text.media.iter().filter(|url| is_web(url)).cloned().collect(),
            message: text.message.map(|sid| sid.to_string()),
            status: message.map(|message| message.status.to_wire().as_str().to_owned()),
            error_code: error,
            error_message: error.map(messages::description),
            arrived: true,
            code,
        }
    }
}

/// A message that has not come to its phone, or never will.
fn on_its_way(world: &World, message: &Message) -> Bubble {
    let error = message.error.map(std::num::NonZero::get);
    let media = message.media.iter().filter_map(|sid| world.media.find(*sid));
    Bubble {
        at: message.created(),
        id: message.sid.to_string(),
        from_phone: false,
        other: message.from.as_ref().map_or_else(|| "a Messaging Service".to_owned(), ToString::to_string),
        names_other: false,
        body: message.body.to_string(),
        media: media.map(|media| format!("{}{}", world.base, media.path())).collect(),
        message: Some(message.sid.to_string()),
        status: Some(message.status.to_wire().as_str().to_owned()),
        error_code: error,
        error_message: error.map(messages::description),
        arrived: false,
        code: None,
    }
}

/// The other end is named where it is not the one of the entry before.
fn name_others(thread: &mut [Entry]) {
    let mut before = String::new();
    for entry in thread {
        let other = entry.other().to_owned();
        if let Entry::Text(bubble) = entry {
            bubble.names_other = other != before;
        }
        before = other;
    }
}

fn behaviour_name(behaviour: PhoneBehaviour) -> &'static str {
    match behaviour {
        PhoneBehaviour::Answer => "answer",
        PhoneBehaviour::Voicemail => "voicemail",
        PhoneBehaviour::Busy => "busy",
        PhoneBehaviour::NoAnswer => "no-answer",
        PhoneBehaviour::Fail => "fail",
        PhoneBehaviour::ByHand => "by-hand",
    }
}

fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Delivered => "delivered",
        Delivery::NoReceipt => "no-receipt",
        Delivery::Unreachable => "unreachable",
        Delivery::Blocked => "blocked",
        Delivery::Unknown => "unknown",
        Delivery::Landline => "landline",
        Delivery::Filtered => "filtered",
        Delivery::Lost => "lost",
    }
}
