//! Caller IDs: numbers of the world outside that an account may call from, since it proved that they are its own.
//!
//! The proof is a call in which a person types a code. The sandbox shortens it: a phone that answers has typed the
//! code some seconds later.

use std::collections::HashMap;

use jiff::Timestamp;
use ringfence_model::{PhoneNumber, Sid};

use super::webhooks::{self, Target, Then, Webhook};
use super::{Due, World, calls, events, numbering};
use crate::settings::PhoneBehaviour;
use crate::table::{Row, Table};

/// Proven numbers, and proofs under way.
#[derive(Debug, Default)]
pub(crate) struct CallerIds {
    pub(crate) proven: Table<CallerId>,
    /// By the call that proves them.
    pending: HashMap<Sid, Proof>,
}

/// A number that an account may call from.
#[derive(Debug, Clone)]
pub(crate) struct CallerId {
    pub(crate) sid: Sid,
    pub(crate) account: Sid,
    pub(crate) phone_number: PhoneNumber,
    pub(crate) friendly_name: String,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// A proof under way.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    pub(crate) account: Sid,
    pub(crate) phone_number: PhoneNumber,
    pub(crate) friendly_name: String,
    pub(crate) status_callback: Option<Target>,
    /// Seconds before the call.
    pub(crate) delay_s: u64,
}

impl Row for CallerId {
    fn sid(&self) -> Sid {
        self.sid
    }
    fn account(&self) -> Sid {
        self.account
    }
}

/// Whether the account has proven that this number is its own.
pub(crate) fn is_proven(world: &World, account: Sid, number: PhoneNumber) -> bool {
    world.caller_ids.proven.of(account).any(|row| row.phone_number == number)
}

/// Begins a proof: the phone is called, and the code that the person must type is told. Returns the call and the
/// code.
pub(crate) fn begin(world: &mut World, proof: Proof) -> (Sid, String) {
    let code = world.ids.digits(6);
    let twiml = "<Response><Gather numDigits=\"6\"><Say>Please enter the code shown on your screen.</Say></Gather>\
                 </Response>";
    let call = calls::speak(world, proof.account, VALIDATION_CALLER, proof.phone_number, twiml);
    let seconds = proof.delay_s + world.settings.calls.ringing_ms / 1000 + TYPING_S;
    world.caller_ids.pending.insert(call, proof);
    world.plan_in_ms(seconds * 1000, Due::CallerId(call));
    (call, code)
}

/// The number that Twilio's validation calls come from.
const VALIDATION_CALLER: &str = "+14157234000";
/// How long a person takes to type a code.
const TYPING_S: u64 = 5;

/// The call is over. Somebody who answered has typed the code.
pub(super) fn conclude(world: &mut World, call: Sid) {
    let Some(proof) = world.caller_ids.pending.remove(&call) else { return };
    let behaviour = world.phones.behaviour(proof.phone_number).unwrap_or(world.settings.calls.phones);
    let answered = matches!(behaviour, PhoneBehaviour::Answer | PhoneBehaviour::ByHand);
    let proven = answered.then(|| add(world, &proof));
    let Some(target) = proof.status_callback else { return };
    let status = if proven.is_some() { "success" } else { "failed" };
    let mut params = vec![
        ("AccountSid", proof.account.to_string()),
        ("CallSid", call.to_string()),
        ("VerificationStatus", status.to_owned()),
        ("To", proof.phone_number.to_string()),
    ];
    params.extend(proven.map(|sid| ("OutgoingCallerIdSid", sid.to_string())));
    webhooks::deliver(
        world,
        Webhook { account: proof.account, kind: "caller-id", target, params, then: Then::Nothing },
    );
}

fn add(world: &mut World, proof: &Proof) -> Sid {
    let already =
        world.caller_ids.proven.of(proof.account).find(|row| row.phone_number == proof.phone_number);
    if let Some(row) = already {
        return row.sid;
    }
    let sid = world.ids.sid(*b"PN");
    let now = world.now;
    let friendly_name = Some(proof.friendly_name.clone()).filter(|name| !name.is_empty());
    world.caller_ids.proven.insert(CallerId {
        sid,
        account: proof.account,
        phone_number: proof.phone_number,
        friendly_name: friendly_name.unwrap_or_else(|| numbering::friendly(proof.phone_number)),
        created: now,
        updated: now,
    });
    events::record(world, proof.account, "outgoing-caller-id.created", sid);
    world.touch();
    sid
}
