//! Calls and their lives.

use ringfence_model::Sid;

use super::World;
use super::webhooks::Ended;

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {}

/// What happens to a call next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Ring,
}

impl Calls {
    pub(super) fn set_cap(&mut self, _cap: usize) {}
}

/// The call's next step is due.
pub(super) fn advance(_world: &mut World, _sid: Sid, _step: Step) {}

/// The application answered with what the call does next.
pub(super) fn answered(_world: &mut World, _sid: Sid, _turn: u64, _ended: Ended) {}
