//! Phones as they are shown: texts and calls in the order in which they came.

use std::collections::BTreeSet;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use serde::Serialize;

use crate::settings::PhoneBehaviour;
use crate::world::World;
use crate::world::phones::Text;

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
    /// It stands here because somebody wanted it to, and can be taken away.
    pub(super) added: bool,
    pub(super) texts: Vec<Bubble>,
}

/// A text on a phone.
#[derive(Debug, Serialize)]
pub(super) struct Bubble {
    pub(super) at: Timestamp,
    /// From the phone, or to it.
    pub(super) from_phone: bool,
    pub(super) other: String,
    pub(super) body: String,
    pub(super) media: Vec<String>,
    pub(super) message: Option<String>,
    pub(super) status: Option<String>,
    pub(super) error_code: Option<u32>,
}

impl Bubble {
    pub(super) fn failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "undelivered"))
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

/// The phones that are in use, by number, and those for which there is no room.
pub(super) fn phones(world: &World) -> (Vec<Phone>, Vec<PhoneNumber>) {
    let mut numbers: Vec<PhoneNumber> = Vec::new();
    let mut seen = BTreeSet::new();
    let added: BTreeSet<PhoneNumber> = world.phones.added().collect();
    let texts = world.phones.texts.newest_first().take(LOOKED_AT).map(|text| text.phone);
    for number in added.iter().copied().chain(texts) {
        if seen.insert(number) {
            numbers.push(number);
        }
    }
    let more = numbers.split_off(numbers.len().min(PHONES));
    numbers.sort_unstable();
    (numbers.into_iter().map(|number| phone(world, number)).collect(), more)
}

/// One phone, whether or not anything has happened on it.
pub(super) fn phone(world: &World, number: PhoneNumber) -> Phone {
    let mut texts: Vec<Bubble> = world
        .phones
        .texts
        .newest_first()
        .filter(|text| text.phone == number)
        .take(ENTRIES)
        .map(|text| bubble(world, text))
        .collect();
    texts.reverse();
    Phone {
        number: number.to_string(),
        digits: number.digits(),
        behaviour: world.phones.behaviour(number).map_or("", behaviour_name),
        added: world.phones.added().any(|added| added == number),
        texts,
    }
}

fn bubble(world: &World, text: &Text) -> Bubble {
    let (status, error_code) = text.message.map_or((None, None), |sid| status_of(world, text.account, sid));
    Bubble {
        at: text.at,
        from_phone: text.outgoing,
        other: text.other.clone(),
        body: text.body.clone(),
        media: text.media.iter().filter(|url| is_web(url)).cloned().collect(),
        message: text.message.map(|sid| sid.to_string()),
        status,
        error_code,
    }
}

fn status_of(_world: &World, _account: Sid, _message: Sid) -> (Option<String>, Option<u32>) {
    (None, None)
}

/// What a browser may load as a picture: never a script in the clothes of a URL.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

pub(super) fn behaviour_name(behaviour: PhoneBehaviour) -> &'static str {
    match behaviour {
        PhoneBehaviour::Answer => "answer",
        PhoneBehaviour::Voicemail => "voicemail",
        PhoneBehaviour::Busy => "busy",
        PhoneBehaviour::NoAnswer => "no-answer",
        PhoneBehaviour::Fail => "fail",
        PhoneBehaviour::ByHand => "by-hand",
    }
}
