//! One request through the real gate, and what is seen of it: the status that the caller gets, what reached the application,
//! and the reason, which only the operator is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::World;
use super::application::Received;
use super::client::{Outgoing, get, send};
use super::twilio::Delivery;

/// What should come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// This status, and the application sees it.
    Admitted(u16),
    /// 200, and the application does not see it again.
    AnsweredAgain,
    /// This status, for this reason, and the application never sees it.
    Refused(u16, &'static str),
}

/// Who sends it.
#[derive(Debug)]
pub(super) enum Act {
    /// We do, byte for byte.
    Send(Outgoing),
    /// The sandbox: a phone texts the parent's number.
    Text(&'static str),
    /// The sandbox: a phone calls the tenant's number.
    CallTenant,
    /// The sandbox sends an earlier webhook once more.
    Replay(Delivery),
    /// The sandbox sends a genuine webhook with these parameters in the query.
    Get,
    /// The sandbox sends a genuine message webhook with these parameters.
    Genuine(Value),
    /// The sandbox forges an inbound message, in the way that its control API names so; with these parameters, if any.
    Forge(&'static str, Value),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// As it left.
    pub(super) request: Outgoing,
    /// The sandbox's own, where it sent it.
    pub(super) delivery: Option<Delivery>,
    pub(super) status: u16,
    /// Whether the answer says nothing but its status; where the sandbox sent it, nobody knows.
    pub(super) is_silent: bool,
    /// How often the application saw it, and as what.
    pub(super) reached: u64,
    pub(super) received: Option<Received>,
    /// Why the gate refused it.
    pub(super) reason: Option<String>,
}

impl Seen {
    /// Whether this is what should come of it.
    pub(super) fn is(&self, told: Told) -> bool {
        match told {
            Told::Admitted(status) => self.status == status && self.reached == 1 && self.reason.is_none(),
            Told::AnsweredAgain => self.status == 200 && self.reached == 0 && self.reason.is_none(),
            Told::Refused(status, told) => {
                self.status == status
                    && self.reached == 0
                    && self.reason.as_deref() == Some(told)
                    && self.is_silent
            }
        }
    }

    /// In a few words.
    pub(super) fn shown(&self) -> String {
        match (&self.reason, self.reached) {
            (Some(reason), _) => format!("{} refused: {reason}", self.status),
            (None, 0) => format!("{} answered from memory, the application did not see it", self.status),
            (None, _) => format!("{} admitted", self.status),
        }
    }
}

/// Sends a request and watches what comes of it.
pub(super) async fn watch(world: &World, act: &Act) -> anyhow::Result<Seen> {
    // Counters tell of one request only as long as nobody else sends any.
    let _turn = world.turn.lock().await;
    let (before, reasons) = (world.application.seen(), refusals(world).await?);
    let (request, delivery, status, is_silent) = match act {
        Act::Send(outgoing) => {
            let reply = send(world.gate, outgoing).await?;
            (outgoing.clone(), None, reply.status, reply.body.is_empty())
        }
        act => {
            let delivery = sent_by_sandbox(world, act).await?;
            (delivery.request.clone(), Some(delivery.clone()), delivery.status, true)
        }
    };
    Ok(Seen {
        request,
        delivery,
        status,
        is_silent,
        reached: world.application.seen() - before,
        received: world.application.last_after(before),
        reason: newest(&reasons, &refusals(world).await?),
    })
}

async fn sent_by_sandbox(world: &World, act: &Act) -> anyhow::Result<Delivery> {
    let twilio = &world.twilio;
    let url = |path: &str| format!("http://{}/twilio/{path}", world.gate);
    match act {
        Act::Send(_) => anyhow::bail!("the sandbox does not send this"),
        Act::Text(body) => twilio.text(&twilio.parent, body).await,
        Act::CallTenant => twilio.call(&twilio.tenant).await,
        Act::Replay(earlier) => twilio.replay(earlier).await,
        Act::Get => {
            let params = json!({ "MessageSid": format!("SM{:032x}", 7), "MessageStatus": "delivered" });
            twilio.webhook(&url("status"), "GET", params).await
        }
        Act::Genuine(params) => twilio.webhook(&url("sms"), "POST", params.clone()).await,
        Act::Forge(how, params) => twilio.forge(how, &url("sms"), params).await,
    }
}

/// Refusals so far, by reason, as the metrics tell them.
async fn refusals(world: &World) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for line in get(world.admin, "/metrics").await?.lines() {
        if !(line.starts_with("ringfence_requests_total{") && line.contains("verdict=\"refuse\"")) {
            continue;
        }
        let reason = line.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next());
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        if let (Some(reason), Some(count)) = (reason, count) {
            *counts.entry(reason.to_owned()).or_default() += count;
        }
    }
    Ok(counts)
}

fn newest(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Option<String> {
    after
        .iter()
        .find(|(reason, count)| before.get(*reason).unwrap_or(&0) < count)
        .map(|(reason, _)| reason.clone())
}
