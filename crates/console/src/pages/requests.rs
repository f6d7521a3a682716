//! Requests at the gate, and of applications to Twilio, each with what was said of it and why: those that are kept in the
//! store, or the newest in this node's memory.

use std::time::Duration;

use askama::Template;
use bytes::Bytes;
use http::Response;
use ringfence_control::virtual_credentials;
use ringfence_model::Sid;
use ringfence_store::{KeptRequest, RequestFilter, RequestVerdict, Role, SeenRequest};

use super::act::{self, Act};
use super::shown;
use crate::console::Requests;
use crate::failed::Failed;
use crate::frame::{Frame, Section};
use crate::routes::Call;
use crate::words;

/// So many are on a page.
const SIZE: usize = 50;

#[derive(Template)]
#[template(path = "requests.html")]
struct View {
    frame: Frame,
    rows: Vec<Row>,
    found: Found,
    /// How many are in the store, in words.
    kept: String,
    /// Which verdicts are shown.
    shown: String,
    /// Which way those go that are shown.
    direction: String,
    /// What is searched for in route, path, account, message or call, client and reason.
    search: String,
    is_filtered: bool,
    may_purge: bool,
    older: Option<String>,
    newest: Option<String>,
}

/// Where they were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nowhere,
    InMemory,
    InStore,
}

#[derive(Debug)]
struct Row {
    at: String,
    exactly: String,
    method: &'static str,
    path: String,
    /// Who sent it, to which route; to Twilio as which operation.
    from: String,
    class: &'static str,
    /// `admitted`, or the reason.
    verdict: String,
    /// Whose it is, and how it was signed or what limits said.
    beside: Vec<String>,
    /// How it was answered.
    answered: String,
    explanation: Option<String>,
    /// What more is known.
    facts: Vec<(&'static str, String)>,
    parameters: Option<Parameters>,
}

/// Of a form or of JSON, redacted.
#[derive(Debug)]
struct Parameters {
    count: String,
    all: Vec<(String, String)>,
}

impl Row {
    /// Of a request that the filter let through.
    fn of(request: KeptRequest, filter: &RequestFilter) -> Self {
        let KeptRequest { node, mut seen, .. } = request;
        if let Some(outgoing) = seen.outgoing.as_mut().filter(|it| !filter.may_tell(it.credential)) {
            (outgoing.credential, outgoing.credential_name) = (None, None);
        }
        let answered = answered(&seen);
        let facts = facts(&seen, node);
        let limits = limits(&seen);
        let is_to_twilio = seen.outgoing.is_some();
        let of = seen.account.map(|account| account.to_string()).unwrap_or_default();
        let (class, verdict, beside, explanation) = match seen.verdict {
            RequestVerdict::PassedOn { failed: None } => ("good", "passed on".to_owned(), of, None),
            RequestVerdict::PassedOn { failed: Some(why) } => {
                ("near", format!("passed on, no answer: {}", why.replace('_', " ")), of, None)
            }
            RequestVerdict::Refused { reason, explanation } if is_to_twilio => {
                ("bad", reason.replace('_', " "), of, explanation)
            }
            RequestVerdict::Admitted { candidate, finding } => {
                let mut beside = match seen.account {
                    Some(account) if seen.is_proven => account.to_string(),
                    _ => "by its password".to_owned(),
                };
                if candidate != "as-received" {
                    beside = format!(
                        "{beside}, signed for another form of the URL: {}",
                        candidate.replace('-', " ")
                    );
                }
                if let Some(finding) = finding {
                    beside = format!("{beside}; strict mode would refuse it: {}", finding.replace('_', " "));
                }
                ("good", "admitted".to_owned(), beside, None)
            }
            RequestVerdict::Refused { reason, explanation } => {
                let says = seen.account.map(|account| format!("says that it is of {account}"));
                ("bad", reason.replace('_', " "), says.unwrap_or_default(), explanation)
            }
        };
        let from = match (seen.route.as_str(), is_to_twilio) {
            ("", false) => format!("from {}", seen.client),
            (route, false) => format!("from {}, route {route}", seen.client),
            ("", true) => format!("to Twilio, from {}", seen.client),
            (operation, true) => format!("to Twilio: {operation}, from {}", seen.client),
        };
        Self {
            at: seen.at.to_string(),
            exactly: words::exactly(&seen.at),
            method: seen.method,
            path: if seen.path.is_empty() { "no path that could be read".to_owned() } else { seen.path },
            from,
            class,
            verdict,
            beside: [beside].into_iter().filter(|beside| !beside.is_empty()).chain(limits).collect(),
            answered,
            explanation,
            facts,
            parameters: seen
                .parameters
                .map(|all| Parameters { count: words::many(all.len(), "parameter", "parameters"), all }),
        }
    }
}

/// What limits said of a request to Twilio.
fn limits(seen: &SeenRequest) -> Vec<String> {
    let Some(outgoing) = &seen.outgoing else { return Vec::new() };
    let by = outgoing.limit.iter().map(|limit| format!("by the limit \u{201c}{limit}\u{201d}"));
    let would = outgoing.would_refuse.iter();
    by.chain(would.map(|limit| format!("\u{201c}{limit}\u{201d} would have refused it"))).collect()
}

/// `answered with 200 after 12 ms`.
fn answered(seen: &SeenRequest) -> String {
    let code = seen.outgoing.as_ref().and_then(|outgoing| outgoing.code);
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    match seen.status {
        Some(status) => format!("answered with {status}{code} after {}", took(seen.took)),
        None => format!("the caller hung up after {}", took(seen.took)),
    }
}

fn took(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        micros => format!("{} ms", micros / 1_000),
    }
}

/// What is too much for the row itself.
fn facts(seen: &SeenRequest, node: String) -> Vec<(&'static str, String)> {
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| format!("{} bytes", words::count(bytes)));
    let outgoing = seen.outgoing.as_deref();
    let facts = [
        ("About", seen.resource.map(|sid| sid.to_string())),
        ("Credential", outgoing.and_then(|it| it.credential_name.clone())),
        ("Its SID", outgoing.and_then(|it| it.credential).map(|sid| sid.to_string())),
        ("Set aside", outgoing.and_then(|it| it.worst).map(|worst| worst.to_string())),
        ("Idempotency token", seen.token.clone()),
        ("Body", bytes(seen.request_bytes)),
        ("Answer", bytes(seen.answer_bytes)),
        (
            "TwiML",
            seen.answer.clone().map(|verbs| if verbs.is_empty() { "no verb".to_owned() } else { verbs }),
        ),
        ("Node", Some(node).filter(|node| !node.is_empty())),
        ("Asked by", (seen.part == "forward-auth").then(|| "another proxy, by forward-auth".to_owned())),
    ];
    facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect()
}

/// The credentials that whoever looks at one account may be told of: one that opens others, too, is not there for them.
async fn own_credentials(call: &Call<'_>) -> Result<Option<Vec<Sid>>, Failed> {
    let Some(only) = call.signed_in.only_account() else { return Ok(None) };
    let all = virtual_credentials::list(call.engine.store()).await?;
    let own = all.iter().filter(|credential| credential.is_for_only(only));
    Ok(Some(own.map(|credential| credential.credential.sid).collect()))
}

pub(crate) async fn show(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let text = |name: &str| call.query.filled(name).unwrap_or_default().to_owned();
    let (only, direction, search) = (text("verdict"), text("direction"), text("search"));
    // Older than this one. Ids count up, so a page stays what it is while requests come in.
    let before: Option<i64> = call.query.filled("before").and_then(|before| before.parse().ok());
    let filter = RequestFilter {
        account: call.signed_in.only_account(),
        admitted: match &*only {
            "admitted" => Some(true),
            "refused" => Some(false),
            _ => None,
        },
        would_refuse: only == "watched",
        to_twilio: match &*direction {
            "to-twilio" => Some(true),
            "from-twilio" => Some(false),
            _ => None,
        },
        search: Some(search.clone()).filter(|search| !search.is_empty()),
        credentials: own_credentials(&call).await?,
        ..RequestFilter::default()
    };
    let store = call.engine.store();
    let (found, mut requests) = match &call.console.requests {
        Requests::Nowhere => (Found::Nowhere, Vec::new()),
        Requests::InMemory(newest) => {
            let is_wanted = |request: &KeptRequest| {
                before.is_none_or(|before| request.id < before) && filter.has(&request.seen)
            };
            (Found::InMemory, newest().into_iter().filter(is_wanted).take(SIZE + 1).collect())
        }
        Requests::InStore => (Found::InStore, store.requests(&filter, before, SIZE + 1).await?),
    };
    let [of_verdict, of_direction, of_search] =
        [&only, &direction, &search].map(|text| words::query_value(text));
    let link = format!("/requests?verdict={of_verdict}&direction={of_direction}&search={of_search}");
    let has_older = requests.len() > SIZE;
    requests.truncate(SIZE);
    let last = requests.last().map(|request| request.id).filter(|_| has_older);
    let kept = store.count_requests(filter.account).await?;
    let view = View {
        older: last.map(|id| format!("{link}&before={id}")),
        newest: before.map(|_| link.clone()),
        is_filtered: [&only, &direction, &search].iter().any(|text| !text.is_empty()) || before.is_some(),
        rows: requests.into_iter().map(|request| Row::of(request, &filter)).collect(),
        may_purge: kept > 0 && filter.account.is_none() && call.signed_in.role() == Some(Role::Owner),
        kept: match kept {
            1 => "1 request is kept".to_owned(),
            kept => format!("{} requests are kept", words::count(kept)),
        },
        found,
        shown: only,
        direction,
        search,
        frame: Frame::new(&call, Section::Requests),
    };
    shown(&view)
}

pub(crate) async fn ask_purge(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let act = purge_of(&call).await?;
    act::ask(&call, act)
}

pub(crate) async fn purge(call: Call<'_>) -> Result<Response<Bytes>, Failed> {
    let reason = match act::reason(&call.form) {
        Ok(reason) => reason.to_owned(),
        Err(wrong) => {
            let act = purge_of(&call).await?;
            return act::ask_again(&call, act, wrong);
        }
    };
    call.engine.store().purge_requests(&call.signed_in.actor(), None, &reason, call.now).await?;
    Ok(words::redirect("/requests"))
}

async fn purge_of(call: &Call<'_>) -> Result<Act, Failed> {
    let kept = call.engine.store().count_requests(None).await?;
    Ok(Act {
        section: Section::Requests,
        title: "Delete what is kept of requests".to_owned(),
        effects: vec![
            format!(
                "All that is kept of {} is deleted from the store, of every node and account, and cannot be had back.",
                words::many(usize::try_from(kept).unwrap_or(usize::MAX), "request", "requests")
            ),
            "Copies of the store that were made before have it still. That it was deleted, by whom and why, stands in \
             the audit log."
                .to_owned(),
        ],
        path: "/requests/purge".to_owned(),
        button: "Delete",
        is_dangerous: true,
        hidden: Vec::new(),
        allow: None,
        wants_reason: true,
        back: "/requests".to_owned(),
    })
}
