//! Calls and their lives.

use ringfence_model::{PhoneNumber, Sid};

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

/// Somebody calls a number from a phone. `None`: no account owns it.
pub(crate) fn receive(_world: &mut World, _from: PhoneNumber, _to: PhoneNumber) -> Option<Sid> {
    None
}

/// A product of Twilio's own calls a phone and carries out this TwiML: a code of Verify. It is on the phone, and not
/// among the account's calls.
pub(crate) fn speak(
    _world: &mut World,
    _account: Sid,
    _from: &str,
    _to: PhoneNumber,
    _twiml: &str,
) -> Option<Sid> {
    None
}

/// Somebody presses keys on the phone. `false`: there is no such call in progress.
pub(crate) fn press(_world: &mut World, _call: Sid, _digits: &str) -> bool {
    false
}

/// Somebody answers a ringing phone. `false`: it does not ring.
pub(crate) fn pick_up(_world: &mut World, _call: Sid) -> bool {
    false
}

/// Somebody declines a ringing call, or hangs up. `false`: there is nothing to end.
pub(crate) fn put_down(_world: &mut World, _call: Sid) -> bool {
    false
}
