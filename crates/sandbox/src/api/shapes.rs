//! Resources as Twilio's API writes them, for the control API: whoever compares a snapshot with an answer of the API
//! finds the same shapes.

use ringfence_twilio::wire;

use super::{applications, calls, messages, numbers, outgoing_caller_ids, recordings, usage_triggers};
use crate::world::World;
use crate::world::applications::Application;
use crate::world::caller_ids::CallerId;
use crate::world::calls::Call;
use crate::world::messages::Message;
use crate::world::numbers::IncomingNumber;
use crate::world::recordings::Recording;
use crate::world::triggers::Trigger;

pub(crate) fn message(message: &Message) -> wire::Message {
    messages::wire_message(message)
}

pub(crate) fn call(call: &Call) -> wire::Call {
    calls::wire_call(call)
}

/// Its price is null until it is known, as the API shows it at that moment.
pub(crate) fn recording(world: &World, recording: &Recording) -> wire::Recording {
    recordings::wire_of_call(world, recording)
}

pub(crate) fn number(number: &IncomingNumber) -> wire::IncomingPhoneNumber {
    numbers::wire_number(number)
}

pub(crate) fn application(application: &Application) -> wire::Application {
    applications::wire_application(application)
}

pub(crate) fn caller_id(caller_id: &CallerId) -> wire::OutgoingCallerId {
    outgoing_caller_ids::wire_caller_id(caller_id)
}

/// With what it has counted so far, as far as that is seen.
pub(crate) fn trigger(world: &World, trigger: &Trigger) -> wire::UsageTrigger {
    usage_triggers::wire_trigger(world, trigger)
}
