//! The phones of the world outside: what was texted to and from them, and how they behave when they ring.
//!
//! Every text that reaches or leaves a phone is shown here, whichever product sent it. Calls are found among the
//! calls.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};

use super::World;
use crate::settings::PhoneBehaviour;
use crate::table::{Row, Table};

/// What phones have been told to do, and what they show.
#[derive(Debug, Default)]
pub(crate) struct Phones {
    pub(crate) texts: Table<Text>,
    behaviours: HashMap<PhoneNumber, PhoneBehaviour>,
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
