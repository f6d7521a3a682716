//! `POST /_sandbox/webhooks`: a webhook with any parameters, signed as Twilio would sign it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use ringfence_model::Sid;
use serde::Deserialize;
use serde_json::Value;

use super::{Json, Problem, WEBHOOK_TIME, account};
use crate::api::shortened;
use crate::edge;
use crate::edge::deliveries::{Shown, show};
use crate::world::webhooks::{ByHand, Method, Target, deliver_by_hand};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    url: String,
    #[serde(default)]
    method: Option<String>,
    /// Whose key signs; absent: the main account's.
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

pub(super) async fn send(
    State(state): State<Arc<edge::State>>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Shown>, Problem> {
    let target = target(&wanted.url, wanted.method.as_deref())?;
    let params = params(wanted.params)?;
    let delivery = state.engine.with(|world| {
        let account = account(world, wanted.account.as_deref())?;
        Ok::<_, Problem>(deliver_by_hand(
            world,
            ByHand { account, kind: "by-hand", target, params, forgery: None },
        ))
    })?;
    outcome(&state, delivery).await
}

/// Waits for the answer to the first try.
pub(super) async fn outcome(state: &edge::State, delivery: Sid) -> Result<Json<Shown>, Problem> {
    let tried = state.engine.wait_until(|world| {
        world.webhooks.log.find(delivery).is_none_or(|delivery| !delivery.tries.is_empty())
    });
    // Where it takes longer, the log will tell.
    let _too_late = tokio::time::timeout(WEBHOOK_TIME, tried).await;
    let found = state.engine.with(|world| world.webhooks.log.find(delivery).map(show));
    found.map(Json).ok_or_else(|| Problem::conflict("the sandbox was reset before the answer came"))
}

pub(super) fn target(url: &str, method: Option<&str>) -> Result<Target, Problem> {
    let is_url =
        ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
    if !is_url {
        return Err(Problem::bad_request(format!(
            "`url` is {:?}, which is no URL of the web",
            shortened(url)
        ))
        .hint("like http://localhost:3000/sms"));
    }
    if let Some(method) =
        method.filter(|it| !["GET", "POST"].iter().any(|known| known.eq_ignore_ascii_case(it)))
    {
        return Err(Problem::bad_request(format!("`method` is {:?}", shortened(method))).hint("GET or POST"));
    }
    Ok(Target { url: url.to_owned(), method: Method::parse(method) })
}

/// Numbers and truth values are written as they would be in a form; of a list each value is sent.
pub(super) fn params(params: BTreeMap<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs = Vec::new();
    for (name, value) in params {
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let text = match value {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(is_so) => is_so.to_string(),
                Value::Null => String::new(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(Problem::bad_request(format!("`params.{}` is no text", shortened(&name)))
                        .hint("a text, a number, true or false, or a list of these"));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}
