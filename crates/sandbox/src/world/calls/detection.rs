//! Answering machine detection: <https://www.twilio.com/docs/voice/answering-machine-detection>.

use ringfence_model::Sid;

use super::{Step, hooks, seconds_between};
use crate::world::webhooks::Target;
use crate::world::{Due, World};

/// That a call shall find out who answers it.
#[derive(Debug, Clone)]
pub(crate) struct Detection {
    /// `DetectMessageEnd`: wait until a machine's greeting is over.
    pub(crate) message_end: bool,
    /// Beside the first document rather than before it.
    pub(crate) is_async: bool,
    /// Told what was found, with `is_async`.
    pub(crate) callback: Option<Target>,
}

/// How long it takes to know a person by their short greeting.
const PERSON_MS: u64 = 1000;
/// How long it takes to know a machine by its long one.
const MACHINE_MS: u64 = 3000;

/// Begins to listen. Returns how long the first document has to wait for it.
pub(super) fn begin(world: &mut World, sid: Sid) -> u64 {
    let Some((detection, machine)) = asked(world, sid) else { return 0 };
    let takes_ms = match (machine, detection.message_end) {
        (false, _) => PERSON_MS,
        (true, false) => MACHINE_MS,
        (true, true) => MACHINE_MS + u64::from(world.settings.calls.talk_s) * 1000,
    };
    if detection.is_async {
        world.plan_in_ms(takes_ms, Due::Call(sid, Step::Detected));
        return 0;
    }
    takes_ms
}

/// The first document's turn has come: unless it goes on beside it, the detection is done.
pub(super) fn decide(world: &mut World, sid: Sid) {
    if asked(world, sid).is_some_and(|(detection, _)| !detection.is_async) {
        find_out(world, sid);
    }
}

/// The detection that went on beside the first document is done.
pub(super) fn tell(world: &mut World, sid: Sid) {
    let Some((detection, _)) = asked(world, sid) else { return };
    find_out(world, sid);
    let now = world.now;
    let Some(call) = world.calls.find(sid) else { return };
    let (Some(target), Some(answered_by)) = (detection.callback, call.answered_by) else { return };
    let took_ms = call.started().map_or(0, |started| seconds_between(started, now) * 1000);
    let params = vec![
        ("CallSid", sid.to_string()),
        ("AccountSid", call.account.to_string()),
        ("AnsweredBy", answered_by.to_owned()),
        ("MachineDetectionDuration", took_ms.to_string()),
    ];
    let account = call.account;
    hooks::tell(world, account, "amd-status", target, params);
}

/// Whether it was asked for on a call in progress, and whether a machine answered.
fn asked(world: &World, sid: Sid) -> Option<(Detection, bool)> {
    let call = world.calls.find(sid)?;
    Some((call.orders.detection.clone()?, call.talk()?.machine))
}

fn find_out(world: &mut World, sid: Sid) {
    let Some((detection, machine)) = asked(world, sid) else { return };
    let found = match (machine, detection.message_end) {
        (false, _) => "human",
        (true, false) => "machine_start",
        (true, true) => "machine_end_beep",
    };
    book(world, sid);
    if let Some(call) = world.calls.find_mut(sid) {
        call.answered_by = Some(found);
    }
    world.touch();
}

/// Twilio charges for each detection (its price list of 2026).
fn book(world: &mut World, sid: Sid) {
    let Some(account) = world.calls.find(sid).map(|call| call.account) else { return };
    let categories = &["answering-machine-detection"];
    let used = crate::world::usage::Use { account, categories, count: 1, usage: 1, price_micros: 7_500 };
    crate::world::usage::book(world, used);
}
