//! Webhooks that a person or a test sends on purpose, genuine or forged, to see what the application makes of them.

use ringfence_model::Sid;

use super::{Delivery, Target, Then, Webhook, log, send};
use crate::world::World;

/// What is wrong with a forged webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// It carries no signature at all.
    NoSignature,
    /// Signed with a key that is nobody's.
    WrongToken,
    /// Signed for what it was before its last parameter was changed.
    ChangedBody,
    /// Signed, correctly, with the key of another account than the one that it names.
    OtherAccount(Sid),
}

/// A webhook made by hand.
#[derive(Debug, Clone)]
pub(crate) struct ByHand {
    /// The account that it names and whose key signs it.
    pub(crate) account: Sid,
    /// What the log calls it.
    pub(crate) kind: &'static str,
    pub(crate) target: Target,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) forgery: Option<Forgery>,
}

/// Sends it at once. Faults on demand do not touch it; nobody waits for its answer but whoever reads the log.
pub(crate) fn deliver_by_hand(world: &mut World, by_hand: ByHand) -> Sid {
    let ByHand { account, kind, target, params, forgery } = by_hand;
    let webhook = Webhook { account, kind, target, params: Vec::new(), then: Then::Nothing };
    let sid = log(world, webhook, forgery);
    if let Some(delivery) = world.webhooks.log.find_mut(sid) {
        delivery.by_hand = true;
        delivery.extra_params = params;
    }
    send(world, sid);
    sid
}

/// Sends what an earlier delivery sent, byte for byte, signature and idempotency token included: what somebody can
/// do who has seen it. `None` where there is no such delivery, or it never left.
pub(crate) fn send_again(world: &mut World, earlier: Sid) -> Option<Sid> {
    let Delivery { webhook, extra_params, request: Some(request), .. } =
        world.webhooks.log.find(earlier)?.clone()
    else {
        return None;
    };
    let webhook = Webhook { kind: "replay", then: Then::Nothing, ..webhook };
    let sid = log(world, webhook, None);
    if let Some(delivery) = world.webhooks.log.find_mut(sid) {
        delivery.by_hand = true;
        delivery.extra_params = extra_params;
        delivery.replayed = Some(request);
    }
    send(world, sid);
    Some(sid)
}
