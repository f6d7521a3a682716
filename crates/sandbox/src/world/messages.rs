//! Messages and their lives.

use ringfence_model::{PhoneNumber, Sid};

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

/// A message that somebody sends from a phone.
#[derive(Debug, Clone)]
pub(crate) struct Inbound {
    pub(crate) from: PhoneNumber,
    pub(crate) to: PhoneNumber,
    pub(crate) body: String,
    /// URLs of pictures.
    pub(crate) media: Vec<String>,
}

impl Messages {
    pub(super) fn set_cap(&mut self, _cap: usize) {}
}

/// The message's next step is due.
pub(super) fn advance(_world: &mut World, _sid: Sid, _step: Step) {}

/// The application answered an inbound message.
pub(super) fn answered(_world: &mut World, _sid: Sid, _ended: Ended) {}

/// Somebody texts a number. `None`: no account owns it, so nothing arrives.
pub(crate) fn receive(_world: &mut World, _inbound: Inbound) -> Option<Sid> {
    None
}
