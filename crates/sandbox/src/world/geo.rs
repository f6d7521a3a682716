//! Which countries an account may text and call.

use ringfence_model::{PhoneNumber, Sid};

use super::World;

/// The permissions that differ from the defaults.
#[derive(Debug, Default)]
pub(crate) struct Geo {}

/// Whether the account may text this number.
pub(crate) fn may_text(_world: &World, _account: Sid, _to: PhoneNumber) -> bool {
    true
}

/// Whether the account may call this number.
pub(crate) fn may_call(_world: &World, _account: Sid, _to: PhoneNumber) -> bool {
    true
}
