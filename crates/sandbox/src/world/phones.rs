//! The phones of the world outside: what was texted to and from them, and how they behave when they ring.
//!
//! Every text that reaches or leaves a phone is shown here, whichever product sent it. Calls are found among the
//! calls.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};
use serde::{Deserialize, Serialize};

use super::World;
use crate::settings::PhoneBehaviour;
use crate::table::{Row, Table};

/// What phones have been told to do, and what they show.
#[derive(Debug, Default)]
pub(crate) struct Phones {
    pub(crate) texts: Table<Text>,
    behaviours: HashMap<PhoneNumber, PhoneBehaviour>,
    deliveries: HashMap<PhoneNumber, Delivery>,
    /// Phones that are on the page although nothing has happened on them.
    added: BTreeSet<PhoneNumber>,
}

/// What becomes of texts to a phone. The codes are those that a message then ends with:
/// <https://www.twilio.com/docs/messaging/guides/debugging-tools#error-codes>.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Delivery {
    /// They arrive.
    #[default]
    Delivered,
    /// They arrive, and the carrier does not say so: the message stays `sent`.
    NoReceipt,
    /// Switched off, or out of reach: 30003.
    Unreachable,
    /// Blocked by the carrier: 30004.
    Blocked,
    /// The number is not in service: 30005.
    Unknown,
    /// A landline: 30006.
    Landline,
    /// Taken for spam by the carrier: 30007.
    Filtered,
    /// Nobody knows why: 30008.
    Lost,
}

/// A text on a phone.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) sid: Sid,
    pub(crate) at: Timestamp,
    /// The account at the other end.
    pub(crate) account: Sid,
    /// The phone.
    pub(crate) phone: PhoneNumber,
    /// Who is at the other end: a number, a short code, a name.
    pub(crate) other: String,
    /// From the phone to the account, or the other way.
    pub(crate) outgoing: bool,
    pub(crate) body: String,
    /// URLs of pictures.
    pub(crate) media: Vec<String>,
    /// The message that it is, if it is one of the Messages API.
    pub(crate) message: Option<Sid>,
}

impl Row for Text {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

impl Phones {
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.texts.set_cap(cap);
    }

    /// Puts a phone onto the page.
    pub(crate) fn add(&mut self, phone: PhoneNumber) {
        self.added.insert(phone);
    }

    /// Takes a phone that was added off the page. `false`: it was not added.
    pub(crate) fn remove(&mut self, phone: PhoneNumber) -> bool {
        self.added.remove(&phone)
    }

    /// The phones that were added, by number.
    pub(crate) fn added(&self) -> impl Iterator<Item = PhoneNumber> {
        self.added.iter().copied()
    }

    /// What this phone was told to do when it rings, if it was told.
    pub(crate) fn behaviour(&self, phone: PhoneNumber) -> Option<PhoneBehaviour> {
        self.behaviours.get(&phone).copied()
    }

    /// Tells a phone what to do when it rings; `None`: what the settings say.
    pub(crate) fn set_behaviour(&mut self, phone: PhoneNumber, behaviour: Option<PhoneBehaviour>) {
        match behaviour {
            Some(behaviour) => self.behaviours.insert(phone, behaviour),
            None => self.behaviours.remove(&phone),
        };
    }

    /// What becomes of texts to this phone.
    pub(crate) fn delivery(&self, phone: PhoneNumber) -> Delivery {
        self.deliveries.get(&phone).copied().unwrap_or_default()
    }

    /// Decides what becomes of texts to this phone; `None`: they arrive, as at first.
    pub(crate) fn set_delivery(&mut self, phone: PhoneNumber, delivery: Option<Delivery>) {
        match delivery {
            Some(delivery) => self.deliveries.insert(phone, delivery),
            None => self.deliveries.remove(&phone),
        };
    }
}

/// A text on its way to or from a phone.
#[derive(Debug, Clone)]
pub(crate) struct NewText {
    pub(crate) account: Sid,
    pub(crate) phone: PhoneNumber,
    pub(crate) other: String,
    pub(crate) outgoing: bool,
    pub(crate) body: String,
    pub(crate) media: Vec<String>,
    pub(crate) message: Option<Sid>,
}

/// Shows a text on its phone.
pub(crate) fn show(world: &mut World, text: NewText) -> Sid {
    let sid = world.ids.sid(*b"TX");
    let NewText { account, phone, other, outgoing, body, media, message } = text;
    let at = world.now;
    world.phones.texts.insert(Text { sid, at, account, phone, other, outgoing, body, media, message });
    world.touch();
    sid
}

/// A text on a phone became this message of an account.
pub(super) fn is_message(world: &mut World, text: Sid, message: Sid) {
    if let Some(text) = world.phones.texts.find_mut(text) {
        text.message = Some(message);
    }
}
