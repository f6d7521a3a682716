//! A call on a phone: who, how it stands, what was said and pressed, and what can be done.

use serde::Serialize;

use crate::edge::control::calls::{Line, Shown, shown};
use crate::world::calls::{Call, LineKind, WaitsFor};

/// A call as a phone shows it.
#[derive(Debug, Serialize)]
pub(super) struct CallCard {
    #[serde(flatten)]
    pub(super) call: Shown,
}

/// The keys of a phone, in rows of three.
pub(super) const KEYS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

/// Longer conversations are folded.
const LINES_OPEN: usize = 8;

pub(super) fn card(call: &Call) -> CallCard {
    CallCard { call: shown(call) }
}

impl CallCard {
    pub(super) fn is_outgoing(&self) -> bool {
        self.call.direction == "inbound"
    }

    /// Who is at the other end.
    pub(super) fn other(&self) -> &str {
        if self.is_outgoing() { &self.call.to } else { &self.call.from }
    }

    pub(super) fn is_over(&self) -> bool {
        self.call.ended.is_some()
    }

    /// Nobody talked.
    pub(super) fn failed(&self) -> bool {
        self.is_over() && self.call.status != "completed"
    }

    pub(super) fn rings(&self) -> bool {
        self.call.waits_for == WaitsFor::PickUp
    }

    pub(super) fn is_talking(&self) -> bool {
        self.call.status == "in-progress"
    }

    pub(super) fn hears_words(&self) -> bool {
        matches!(self.call.waits_for, WaitsFor::Words | WaitsFor::KeysOrWords)
    }

    pub(super) fn is_open(&self) -> bool {
        self.call.lines.len() <= LINES_OPEN
    }

    /// What the person with the phone is to do, in a few words.
    pub(super) fn asks(&self) -> &'static str {
        match self.call.waits_for {
            WaitsFor::Nothing => "",
            WaitsFor::PickUp => "rings",
            WaitsFor::Keys => "waits for keys",
            WaitsFor::Words => "listens",
            WaitsFor::KeysOrWords => "waits for keys or words",
            WaitsFor::Speech => "records; a key ends it",
        }
    }

    /// `12 s`, `3 min 5 s`.
    pub(super) fn length(&self) -> String {
        match self.call.duration_s {
            None | Some(0) => String::new(),
            Some(seconds @ ..60) => format!("{seconds} s"),
            Some(seconds) => format!("{} min {} s", seconds / 60, seconds % 60),
        }
    }
}

impl Line {
    /// Who or what it is from, for those who do not see how it looks.
    pub(super) fn who(&self) -> &'static str {
        match self.kind {
            LineKind::Said => "The call says",
            LineKind::Played => "Played",
            LineKind::Pressed => "Pressed",
            LineKind::Spoken => "You say",
            LineKind::Recorded => "Recorded",
            LineKind::Dialled => "Dialled",
            LineKind::Note => "Note",
        }
    }

    /// What stands before it, and how it looks.
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            LineKind::Said => "said",
            LineKind::Played => "played",
            LineKind::Pressed => "pressed",
            LineKind::Spoken => "spoken",
            LineKind::Recorded => "recorded",
            LineKind::Dialled => "dialled",
            LineKind::Note => "note",
        }
    }
}
