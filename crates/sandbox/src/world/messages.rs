//! Messages and their lives.

use ringfence_model::Sid;

use super::World;
use super::webhooks::Ended;

/// All messages.
#[derive(Debug, Default)]
pub(crate) struct Messages {}

/// What happens to a message next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Send,
}

impl Messages {
    pub(super) fn set_cap(&mut self, _cap: usize) {}
}

/// The message's next step is due.
pub(super) fn advance(_world: &mut World, _sid: Sid, _step: Step) {}

/// The application answered an inbound message.
pub(super) fn answered(_world: &mut World, _sid: Sid, _ended: Ended) {}
