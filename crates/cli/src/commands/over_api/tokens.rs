//! `ringfence token` at a running node: it is asked for one step after the other, as long as there is something to wait for.

use std::time::{Duration, Instant};

use ringfence_control::views::{EndName, TokenState, TokenView, Tokens, TurnName, TurnView, WaitName};
use ringfence_model::Sid;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Api;
use super::acts::find;
use crate::commands::act::{REASON, with_name};
use crate::commands::paper;
use crate::commands::with_store::block_on;
use crate::exit::{Answer, Failure};

/// How often it asks whether it can go on.
const LOOK: Duration = Duration::from_secs(1);

/// What a node had begun to ask with the old token, when it said that it asks with the new one, has left by then.
const SETTLE: Duration = Duration::from_secs(5);

/// How long nodes are waited for that have to forget.
const FORGET: Duration = Duration::from_secs(10);

/// What is wanted of a rotation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// The account, as it was typed.
    pub(crate) account: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) wait: Duration,
    pub(crate) hold: bool,
    pub(crate) unconfirmed: bool,
    pub(crate) replace_second: bool,
    pub(crate) again: bool,
    pub(crate) json: bool,
}

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rotate,
    Undo,
}

/// `ringfence token rotate`.
pub(crate) fn rotate(api: &Api, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    block_on(go_on(api, wanted, Way::Rotate))
}

/// `ringfence token undo`.
pub(crate) fn undo(api: &Api, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    block_on(go_on(api, wanted, Way::Undo))
}

/// The tokens that are being replaced, and those that were; of one account, or of all.
pub(crate) fn list(api: &Api, account: Option<&str>) -> Result<Vec<TokenView>, Failure> {
    block_on(async {
        let only = match account {
            Some(text) => Some(find(&api.accounts().await?, text, api)?.sid),
            None => None,
        };
        let mut tokens = tokens(api).await?;
        tokens.retain(|token| only.is_none_or(|only| only == token.account.sid));
        Ok(tokens)
    })
}

async fn tokens(api: &Api) -> Result<Vec<TokenView>, Failure> {
    let all: Tokens = api.get("/v1/tokens", &[]).await?;
    Ok(all.tokens)
}

async fn go_on(api: &Api, wanted: &Wanted<'_>, way: Way) -> Result<Answer, Failure> {
    let account = find(&api.accounts().await?, wanted.account, api)?;
    let (sid, name) = (account.sid, with_name(account.sid, &account.friendly_name));
    let until = Instant::now() + wanted.wait;
    let (mut again, mut has_begun, mut has_settled, mut told) =
        (wanted.again, false, false, None::<&'static str>);
    loop {
        if has_begun && let Some(end) = ended_elsewhere(api, sid, way).await? {
            return ended(api, sid, &name, end, wanted.json).await;
        }
        let holds = wanted.hold || !has_settled;
        let done: Result<TurnView, Failure> = match way {
            Way::Rotate => {
                let body = json!({
                    "reason": wanted.reason,
                    "hold": holds,
                    "unconfirmed": wanted.unconfirmed && !holds,
                    "replace_second": wanted.replace_second,
                    "again": again,
                });
                api.post(&format!("/v1/accounts/{sid}/token/rotate"), &body).await
            }
            Way::Undo => {
                let body = json!({ "reason": wanted.reason });
                api.post(&format!("/v1/accounts/{sid}/token/undo"), &body).await
            }
        };
        let turn = match done {
            Ok(turn) => turn,
            // Twilio or the node may be there again in a moment; what was asked for and not answered is found out then.
            Err(failure) if has_begun && failure.is_unavailable() && Instant::now() < until => {
                paper::note(&format!("{}; it is tried again", failure.message()));
                sleep(LOOK).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        (again, has_begun) = (false, true);
        match (turn.turn, turn.waits_for) {
            (TurnName::Ended, _) => {
                let end = turn.end.unwrap_or(EndName::Unconfirmed);
                return ended(api, sid, &name, end, wanted.json).await;
            }
            (_, Some(WaitName::Operator)) if !wanted.hold => {
                // Every node is ready; what was begun with the old token leaves.
                sleep(SETTLE).await;
                has_settled = true;
            }
            // It was promoted or is waited for after that: nothing of the old token is on its way to be waited for.
            (TurnName::Promoted, _) | (_, Some(WaitName::Request | WaitName::OldToken))
                if !has_settled && wanted.unconfirmed =>
            {
                has_settled = true;
            }
            (_, Some(waits)) => {
                if waits == WaitName::Operator || Instant::now() >= until {
                    return Ok(waiting(api, sid, &name, waits, &turn.late_nodes, wanted.json));
                }
                tell(&mut told, waits_text(waits), &turn.late_nodes);
                sleep(LOOK).await;
            }
            (turn, None) => tell(&mut told, turn_text(turn), &[]),
        }
    }
}

/// How it ended, if a node has ended meanwhile what this command carried on.
async fn ended_elsewhere(api: &Api, account: Sid, way: Way) -> Result<Option<EndName>, Failure> {
    let token = tokens(api).await?.into_iter().find(|token| token.account.sid == account);
    Ok(match (token.map(|token| (token.state, token.confirmed)), way) {
        (Some((TokenState::Replaced, true)), Way::Rotate) => Some(EndName::Confirmed),
        (Some((TokenState::Replaced, false)), Way::Rotate) => Some(EndName::Unconfirmed),
        (None, _) | (Some((TokenState::Replaced, _)), Way::Undo) => Some(EndName::Undone),
        (Some(_), _) => None,
    })
}

async fn ended(api: &Api, sid: Sid, name: &str, end: EndName, as_json: bool) -> Result<Answer, Failure> {
    let until = Instant::now() + FORGET;
    let late = loop {
        let token = tokens(api).await?.into_iter().find(|token| token.account.sid == sid);
        let late = token.map(|token| token.late_nodes).unwrap_or_default();
        if late.is_empty() || Instant::now() >= until {
            break late;
        }
        sleep(LOOK).await;
    };
    let (word, text) = match end {
        EndName::Confirmed => (
            "confirmed",
            format!("the auth token of {name} is replaced, and a request came that the new one signed"),
        ),
        EndName::Unconfirmed => (
            "unconfirmed",
            format!("the auth token of {name} is replaced; no request came yet that the new one signed"),
        ),
        EndName::Undone => ("undone", format!("{name} has its old auth token, and no second one")),
        EndName::SecondLeft => (
            "second-left",
            format!("{name} has its old auth token, and perhaps a second one that Ringfence did not make"),
        ),
        EndName::Superseded => (
            "superseded",
            format!("somebody else has replaced the auth token of {name}: the rotation is given up"),
        ),
    };
    let is_no = !late.is_empty();
    if as_json {
        let json = json!({ "account": sid, "state": word, "late_nodes": late });
        return Ok(Answer { output: format!("{json}\n").into_bytes(), is_no, ..Answer::default() });
    }
    let late = if is_no {
        format!("  these nodes have not said that they use this alone: {}\n", late.join(", "))
    } else {
        String::new()
    };
    let output = format!("{text}\n{late}");
    Ok(Answer { output: output.into_bytes(), is_no, ..Answer::default() })
}

fn waiting(api: &Api, sid: Sid, name: &str, waits: WaitName, late: &[String], as_json: bool) -> Answer {
    let output = if as_json {
        let json: Value = json!({ "account": sid, "state": "waiting", "for": waits, "late_nodes": late });
        format!("{json}\n")
    } else {
        let late = if late.is_empty() { String::new() } else { format!(": {}", late.join(", ")) };
        let again = api.typed.command(&format!("token rotate {sid} {REASON}"));
        format!(
            "the auth token of {name} is being replaced, and that waits\n  {}{late}\n  to go on: {again}\n",
            waits_text(waits)
        )
    };
    // To be held before the promotion is what was asked for.
    let is_no = waits != WaitName::Operator;
    Answer { output: output.into_bytes(), is_no, ..Answer::default() }
}

/// Says what is new, on standard error.
fn tell(told: &mut Option<&'static str>, text: &'static str, late: &[String]) {
    if *told != Some(text) {
        let late = if late.is_empty() { String::new() } else { format!(": {}", late.join(", ")) };
        paper::note(&format!("{text}{late}"));
        *told = Some(text);
    }
}

const fn turn_text(turn: TurnName) -> &'static str {
    match turn {
        TurnName::Made => "a second token is there; nodes take it over",
        TurnName::Lost => "somebody deleted the second token; another one is made",
        TurnName::Promoted => "the new token is the only one at Twilio",
        TurnName::Undoing => "nodes go back to the old token",
        TurnName::Waits => "waits",
        TurnName::Ended => "ended",
    }
}

const fn waits_text(waits: WaitName) -> &'static str {
    match waits {
        WaitName::Nodes => "waits until these nodes use it",
        WaitName::Operator => "every node is ready; it is held before the promotion",
        WaitName::Request => "waits for a request that the new token signed",
        WaitName::OldToken => "waits until no request comes any more that the old token signed",
    }
}
