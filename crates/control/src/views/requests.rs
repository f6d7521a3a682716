//! What is kept of requests, newest first: already redacted where it was written down, so nothing is taken out here.

use std::time::Duration;

use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_store::{KeptRequest, RequestFilter, RequestVerdict, SeenOutgoing, SeenRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::audit::read_cursor;
use super::{NotSeen, Page, Views, schema};

/// A page of requests, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Those of the page.
    pub requests: Vec<RequestView>,
    /// The cursor of the next page, which is older, if there is one.
    pub next: Option<String>,
}

/// One request, of Twilio at the gate or of an application to Twilio. Numbers and texts are told by kind and length alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Request")]
pub struct RequestView {
    /// Counts up.
    pub id: i64,
    /// When it came.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// The node that had it.
    pub node: String,
    /// Who took it: `gate`, `forward-auth` or `egress`.
    pub part: String,
    /// Which way it went.
    pub direction: DirectionName,
    /// The route, as logs and metrics call it; of a request to Twilio the operation. Empty for what reached none.
    pub route: String,
    /// The method; `other` where it is none that is known, empty for what was no HTTP.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The address that it came from.
    pub client: String,
    /// The account whose key signed, or for which the credential is, or else the one that the request names.
    #[schemars(schema_with = "schema::maybe_account_sid")]
    pub account: Option<Sid>,
    /// Whether a key of the account signed, or the credential was good.
    pub signed: bool,
    /// The message, the call or what else it is about.
    #[schemars(schema_with = "schema::maybe_sid")]
    pub resource: Option<Sid>,
    /// What Twilio gives every repeat of the same webhook.
    pub idempotency_token: Option<String>,
    /// What was said of it.
    pub verdict: RequestVerdictName,
    /// Why it was refused, or why no answer came; as logs and metrics call it.
    pub reason: Option<String>,
    /// Which form of the URL had been signed; null where none was.
    pub candidate: Option<String>,
    /// What strict mode noticed.
    pub finding: Option<String>,
    /// What was probably wrong, and what to change.
    pub explanation: Option<String>,
    /// What it was answered with; null where the caller did not wait for an answer.
    pub status: Option<u16>,
    /// The length of its body.
    pub request_bytes: Option<u64>,
    /// The length of the answer's body.
    pub answer_bytes: Option<u64>,
    /// From its head to the head of its answer, in milliseconds.
    pub took_ms: f64,
    /// Its parameters, redacted; null where they are not kept.
    pub parameters: Option<Vec<RequestParameter>>,
    /// The verbs of the answer's TwiML; null where they are not kept, or it was none.
    pub answer: Option<String>,
    /// The credential of a request to Twilio; null where none was good.
    #[schemars(schema_with = "schema::maybe_sid")]
    pub credential: Option<Sid>,
    /// What people call that.
    pub credential_name: Option<String>,
    /// What was set aside for it before it was sent.
    #[schemars(schema_with = "schema::maybe_decimal")]
    pub worst: Option<String>,
    /// The limit that refused it.
    pub limit: Option<String>,
    /// The limits that would have refused it, had they not only watched; null of a request that is not to Twilio.
    pub would_refuse: Option<Vec<String>>,
    /// The code of the error that it was answered with.
    pub code: Option<u32>,
}

/// One parameter. A name may be there several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestParameter {
    /// Its name; of JSON the way to the value.
    pub name: String,
    /// What is kept of its value.
    pub value: String,
}

/// Which way a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Direction")]
pub enum DirectionName {
    /// A webhook, at the gate.
    FromTwilio,
    /// Of an application, through the egress.
    ToTwilio,
}

/// What was said of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RequestVerdict")]
pub enum RequestVerdictName {
    /// It was let in.
    Admitted,
    /// It was passed on to Twilio.
    PassedOn,
    /// It was not.
    Refused,
}

impl Views<'_> {
    /// A page of the requests that the store keeps and the filter lets through.
    pub async fn requests(&self, filter: &RequestFilter, page: &Page) -> Result<Requests, NotSeen> {
        let before = read_cursor(page)?;
        let size = page.size.max(1);
        let mut found = self.store.requests(filter, before, size.saturating_add(1)).await?;
        let has_more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| has_more).map(|request| request.id.to_string());
        Ok(Requests { requests: found.into_iter().map(RequestView::of).collect(), next })
    }
}

impl RequestView {
    fn of(request: KeptRequest) -> Self {
        let KeptRequest { id, node, seen } = request;
        let SeenRequest { part, method, client, took, .. } = seen;
        let is_to_twilio = seen.outgoing.is_some();
        let (verdict, reason, candidate, finding, explanation) = match seen.verdict {
            RequestVerdict::Admitted { candidate, finding } => {
                (RequestVerdictName::Admitted, None, Some(candidate), finding, None)
            }
            RequestVerdict::PassedOn { failed } => (RequestVerdictName::PassedOn, failed, None, None, None),
            RequestVerdict::Refused { reason, explanation } => {
                (RequestVerdictName::Refused, Some(reason), None, None, explanation)
            }
        };
        let outgoing = seen.outgoing.map(|outgoing| *outgoing).unwrap_or_default();
        let SeenOutgoing { credential, credential_name, worst, limit, would_refuse, code } = outgoing;
        let parameters = seen.parameters.map(|all| {
            all.into_iter().map(|(name, value)| RequestParameter { name, value }).collect::<Vec<_>>()
        });
        Self {
            id,
            at: seen.at,
            node,
            part: part.to_owned(),
            direction: if is_to_twilio { DirectionName::ToTwilio } else { DirectionName::FromTwilio },
            route: seen.route,
            method: method.to_owned(),
            path: seen.path,
            client: client.to_string(),
            account: seen.account,
            signed: seen.is_proven,
            resource: seen.resource,
            idempotency_token: seen.token,
            verdict,
            reason,
            candidate,
            finding,
            explanation,
            status: seen.status,
            request_bytes: seen.request_bytes,
            answer_bytes: seen.answer_bytes,
            took_ms: milliseconds(took),
            parameters,
            answer: seen.answer,
            credential,
            credential_name,
            worst: worst.map(|worst| worst.to_string()),
            limit,
            would_refuse: is_to_twilio.then_some(would_refuse),
            code,
        }
    }
}

/// A time in milliseconds, to the microsecond that is stored.
///
/// Divided from whole microseconds, so that it is the number nearest to at most three decimals: it is printed with
/// these alone, and read from JSON as what it was.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_printed_with_three_decimals_at_most_and_read_from_json_as_it_was() {
        let whole_minutes = (1..=60).map(|minutes| minutes * 60_000_000 + 1);
        for micros in (0..200_000).chain(whole_minutes) {
            let told = milliseconds(Duration::from_micros(micros));
            let text = serde_json::to_string(&told).unwrap();
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 3, "{text}");
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), told.to_bits(), "{text}");
        }
    }
}
