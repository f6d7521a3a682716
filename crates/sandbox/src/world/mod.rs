//! Everything the sandbox knows, and how it changes: no I/O, no clock, no randomness of its own.
//!
//! The one idea: the world changes only while somebody holds it, in two ways. A request of the API changes it at
//! once. What comes later (a message is delivered, a phone is answered, triggers are evaluated) stands on the
//! agenda as a [`Due`] and happens in order when time reaches it. What has to leave the process (a webhook) is
//! put into `outgoing`; the engine performs it and brings the answer back to [`webhooks::answered`].

pub(crate) mod accounts;
pub(crate) mod applications;
pub(crate) mod caller_ids;
pub(crate) mod calls;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod geo;
pub(crate) mod keys;
pub(crate) mod lookups;
pub(crate) mod media;
pub(crate) mod messages;
pub(crate) mod messaging_services;
pub(crate) mod numbering;
pub(crate) mod numbers;
pub(crate) mod phones;
pub(crate) mod recordings;
pub(crate) mod shared_keys;
pub(crate) mod sip;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod triggers;
pub(crate) mod usage;
pub(crate) mod verify;
pub(crate) mod webhooks;

use jiff::{SignedDuration, Timestamp};
use ringfence_model::Sid;

use crate::agenda::Agenda;
use crate::ids::Ids;
use crate::prices::Prices;
use crate::settings::Settings;
use crate::table::Table;

/// All state. One field for each module, which alone changes it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) prices: &'static Prices,
    pub(crate) now: Timestamp,
    pub(crate) ids: Ids,
    agenda: Agenda<Due>,
    /// What must be sent, in order; the engine takes it.
    pub(crate) outgoing: Vec<webhooks::Outgoing>,
    /// How the sandbox's own URLs begin in what it sends: where applications reach it.
    pub(crate) base: String,
    /// Grows with each change that a person could see.
    revision: u64,

    pub(crate) accounts: accounts::Accounts,
    pub(crate) keys: Table<keys::Key>,
    pub(crate) numbers: numbers::Numbers,
    pub(crate) caller_ids: caller_ids::CallerIds,
    pub(crate) applications: Table<applications::Application>,
    pub(crate) messages: messages::Messages,
    pub(crate) messaging_services: Table<messaging_services::MessagingService>,
    pub(crate) media: Table<media::Media>,
    pub(crate) calls: calls::Calls,
    pub(crate) recordings: Table<recordings::Recording>,
    pub(crate) usage: usage::Usage,
    pub(crate) triggers: triggers::Triggers,
    pub(crate) verify: verify::Verify,
    pub(crate) geo: geo::Geo,
    pub(crate) shared_keys: shared_keys::SharedKeys,
    pub(crate) sip: sip::Sip,
    pub(crate) events: Table<events::Event>,
    pub(crate) alerts: events::Alerts,
    /// Who acts now, for the audit trail.
    pub(crate) acting: events::Acting,
    pub(crate) phones: phones::Phones,
    pub(crate) webhooks: webhooks::Webhooks,
    pub(crate) faults: faults::Faults,
}

/// What happens when its time has come.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// A step in the life of a message.
    Message(Sid, messages::Step),
    /// A step in the life of a call. Old steps of a call that went another way carry an old turn.
    Call(Sid, calls::Step),
    /// A webhook leaves, for the first time or again.
    Webhook(Sid),
    /// Usage triggers are compared with the usage records.
    Triggers,
    /// Another month of a number's rent.
    NumberRent(Sid),
    /// The call that validates a caller ID is over.
    CallerId(Sid),
}

/// How a world begins.
#[derive(Debug, Clone)]
pub(crate) struct Beginning {
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) settings: Settings,
    pub(crate) account_sid: Option<Sid>,
    pub(crate) auth_token: Option<String>,
    /// Where the sandbox itself is reached, for URLs of media: `http://127.0.0.1:4010`.
    pub(crate) base: String,
}

impl World {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let mut ids = Ids::new(beginning.seed);
        let sid = beginning.account_sid.unwrap_or_else(|| ids.sid(*b"AC"));
        let token = beginning.auth_token.unwrap_or_else(|| ids.token());
        let now = beginning.now;
        let mut world = Self {
            settings: beginning.settings,
            prices: Prices::load(),
            now,
            ids,
            agenda: Agenda::default(),
            outgoing: Vec::new(),
            base: beginning.base,
            revision: 0,
            accounts: accounts::Accounts::new(sid, token, now),
            keys: Table::default(),
            numbers: numbers::Numbers::default(),
            caller_ids: caller_ids::CallerIds::default(),
            applications: Table::default(),
            messages: messages::Messages::default(),
            messaging_services: Table::default(),
            media: Table::by_account(),
            calls: calls::Calls::default(),
            recordings: Table::default(),
            usage: usage::Usage::default(),
            triggers: triggers::Triggers::default(),
            verify: verify::Verify::default(),
            geo: geo::Geo::default(),
            shared_keys: shared_keys::SharedKeys::default(),
            sip: sip::Sip::default(),
            events: Table::default(),
            alerts: events::Alerts::default(),
            acting: events::Acting::default(),
            phones: phones::Phones::default(),
            webhooks: webhooks::Webhooks::default(),
            faults: faults::Faults::default(),
        };
        world.apply_caps();
        numbers::furnish(&mut world);
        triggers::begin(&mut world);
        world
    }

    /// Time has come this far: everything due until then happens, each at its own time.
    ///
    /// Returns early, before `until`, when webhooks have to leave first and `pause_for_webhooks` is set: a virtual
    /// clock waits for answers, a real one does not.
    pub(crate) fn pass_time(&mut self, until: Timestamp, pause_for_webhooks: bool) {
        while let Some((at, due)) = self.agenda.pop_due(until) {
            self.now = self.now.max(at);
            self.happen(&due);
            if pause_for_webhooks && !self.outgoing.is_empty() {
                return;
            }
        }
        self.now = self.now.max(until);
    }

    /// When the next thing happens by itself.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.agenda.next_at()
    }

    /// How much stands on the agenda.
    pub(crate) fn planned(&self) -> usize {
        self.agenda.len()
    }

    /// Plans something for later. A time beyond what a calendar holds is never reached.
    pub(crate) fn plan_in_ms(&mut self, delay_ms: u64, due: Due) {
        let delay = SignedDuration::from_millis(i64::try_from(delay_ms).unwrap_or(i64::MAX));
        if let Ok(at) = self.now.checked_add(delay) {
            self.agenda.plan(at, due);
        }
    }

    /// Something changed that a person could see.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Other settings from now on.
    pub(crate) fn change_settings(&mut self, settings: Settings) {
        self.settings = settings;
        self.apply_caps();
        self.touch();
    }

    /// Makes the tables keep what the settings say.
    pub(crate) fn apply_caps(&mut self) {
        let keep = self.settings.keep.clone();
        self.messages.set_cap(keep.messages);
        self.media.set_cap(keep.messages);
        self.phones.set_cap(keep.texts);
        self.calls.set_cap(keep.calls);
        self.recordings.set_cap(keep.calls);
        self.events.set_cap(keep.events);
        self.alerts.set_cap(keep.events);
        self.verify.set_cap(keep.verifications);
        self.webhooks.set_cap(keep.deliveries);
        triggers::keep_interval(self);
    }

    fn happen(&mut self, due: &Due) {
        match *due {
            Due::Message(sid, step) => messages::advance(self, sid, step),
            Due::Call(sid, step) => calls::advance(self, sid, step),
            Due::Webhook(delivery) => webhooks::send(self, delivery),
            Due::Triggers => triggers::evaluate(self),
            Due::NumberRent(sid) => numbers::rent_is_due(self, sid),
            Due::CallerId(sid) => caller_ids::conclude(self, sid),
        }
    }
}
