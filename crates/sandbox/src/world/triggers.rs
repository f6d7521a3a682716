//! Usage triggers: evaluated every so often over usage that lags, fired once a period.

use ringfence_model::Sid;

use super::World;
use super::webhooks::Ended;

/// All usage triggers.
#[derive(Debug, Default)]
pub(crate) struct Triggers {}

/// Starts the evaluation that goes on for ever.
pub(super) fn begin(_world: &mut World) {}

/// Compares every trigger with what has been used.
pub(super) fn evaluate(_world: &mut World) {}

/// The webhook of a trigger came to its end.
pub(super) fn answered(_world: &mut World, _trigger: Sid, _ended: &Ended) {}
