//! `POST /_sandbox/forge`: what an attacker would send, to see that the application refuses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use ringfence_model::Sid;
use serde::Deserialize;
use serde_json::Value;

use super::webhooks::{outcome, params, target};
use super::{Json, Problem, account, sid};
use crate::edge;
use crate::edge::deliveries::Shown;
use crate::world::World;
use crate::world::webhooks::{ByHand, DeliveryState, Forgery, deliver_by_hand, send_again};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    method: Option<String>,
    /// The account that it pretends to come from; absent: the main one.
    #[serde(default)]
    account: Option<String>,
    how: How,
    /// What it looks like where there are no `params`.
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    params: Option<BTreeMap<String, Value>>,
    /// Which delivery to replay; absent: the last one that was answered well, of `url` if there is one.
    #[serde(default)]
    delivery: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    NoSignature,
    WrongToken,
    ChangedBody,
    OtherAccount,
    Replay,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Message,
    MessageStatus,
    Voice,
    CallStatus,
    UsageTrigger,
}

pub(super) async fn send(
    State(state): State<Arc<edge::State>>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Shown>, Problem> {
    let delivery = state.engine.with(|world| match wanted.how {
        How::Replay => replay(world, &wanted),
        _ => forge(world, wanted),
    })?;
    outcome(&state, delivery).await
}

fn forge(world: &mut World, wanted: Wanted) -> Result<Sid, Problem> {
    let url = wanted
        .url
        .as_deref()
        .ok_or_else(|| Problem::bad_request("`url` is missing").hint("like http://localhost:3000/sms"))?;
    let target = target(url, wanted.method.as_deref())?;
    let account = account(world, wanted.account.as_deref())?;
    let forgery = match wanted.how {
        How::NoSignature => Forgery::NoSignature,
        How::WrongToken => Forgery::WrongToken,
        How::ChangedBody => Forgery::ChangedBody,
        How::OtherAccount | How::Replay => Forgery::OtherAccount(neighbour(world, account)?),
    };
    let params = match wanted.params {
        Some(given) => params(given)?,
        None => usual(world, account, wanted.kind),
    };
    Ok(deliver_by_hand(world, ByHand { account, kind: "forged", target, params, forgery: Some(forgery) }))
}

fn neighbour(world: &World, account: Sid) -> Result<Sid, Problem> {
    let other = world.accounts.newest_first().find(|other| other.sid != account);
    other.map(|other| other.sid).ok_or_else(|| {
        Problem::conflict("there is no other account whose key could sign")
            .hint("make a subaccount first: POST /2010-04-01/Accounts.json")
    })
}

fn replay(world: &mut World, wanted: &Wanted) -> Result<Sid, Problem> {
    let earlier = match wanted.delivery.as_deref() {
        Some(text) => Some(sid("delivery", text)?),
        None => world
            .webhooks
            .log
            .newest_first()
            .filter(|it| it.state == DeliveryState::Done && it.forgery.is_none())
            .find(|it| wanted.url.as_ref().is_none_or(|url| it.webhook.target.url == *url))
            .map(|it| it.sid),
    };
    earlier.and_then(|earlier| send_again(world, earlier)).ok_or_else(|| {
        Problem::conflict("there is no earlier webhook to send again")
            .hint("`delivery` is one of GET /_sandbox/deliveries that has left; without it, one to `url` that was answered well")
    })
}

/// What a genuine one of this kind would say.
fn usual(world: &World, account: Sid, kind: Kind) -> Vec<(String, String)> {
    const STRANGER: &str = "+12025550143";
    let number = world.numbers.of(account).next().or_else(|| world.numbers.newest_first().next());
    let number = number.map_or_else(|| "+15005550006".to_owned(), |number| number.phone_number.to_string());
    let sid = |prefix: &str| format!("{prefix}{}", &account.to_string()[2..]);
    let mut params: Vec<(&str, String)> = match kind {
        Kind::Message => vec![
            ("MessageSid", sid("SM")),
            ("From", STRANGER.to_owned()),
            ("To", number),
            ("NumMedia", "0".to_owned()),
            ("NumSegments", "1".to_owned()),
            ("SmsStatus", "received".to_owned()),
            ("Body", "A message that nobody sent".to_owned()),
        ],
        Kind::MessageStatus => vec![
            ("MessageSid", sid("SM")),
            ("From", number),
            ("To", STRANGER.to_owned()),
            ("MessageStatus", "delivered".to_owned()),
        ],
        Kind::Voice => vec![
            ("CallSid", sid("CA")),
            ("From", STRANGER.to_owned()),
            ("To", number),
            ("Direction", "inbound".to_owned()),
            ("CallStatus", "ringing".to_owned()),
        ],
        Kind::CallStatus => vec![
            ("CallSid", sid("CA")),
            ("From", number),
            ("To", STRANGER.to_owned()),
            ("Direction", "outbound-api".to_owned()),
            ("CallStatus", "completed".to_owned()),
            ("CallDuration", "14400".to_owned()),
        ],
        Kind::UsageTrigger => vec![
            ("UsageTriggerSid", sid("UT")),
            ("UsageCategory", "totalprice".to_owned()),
            ("TriggerBy", "price".to_owned()),
            ("TriggerValue", "0.01".to_owned()),
            ("CurrentValue", "1000.00".to_owned()),
            ("Recurring", "daily".to_owned()),
        ],
    };
    params.insert(0, ("AccountSid", account.to_string()));
    params.insert(1, ("ApiVersion", "2010-04-01".to_owned()));
    params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
