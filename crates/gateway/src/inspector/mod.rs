//! What is kept of requests, one by one, for people to look at.
//!
//! A request is noted when it is judged, and complete when its answer has passed: then it goes into memory or into the line
//! before the store, as the configuration says. Neither makes it wait: what finds the line full is dropped and counted.
//! Everything personal is gone before, by [`redact`].

mod keeper;
pub(crate) mod outgoing;
mod recent;
pub(crate) mod redact;
mod tail;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Response};
use jiff::Timestamp;
use ringfence_model::Sid;
use ringfence_signature::fields;
use ringfence_store::{KeptRequest, RequestVerdict, SeenRequest};

pub(crate) use keeper::Dropped;
pub use keeper::Keeper;
pub(crate) use tail::Tail;

use self::keeper::Line;
use self::recent::Recent;
use crate::admission::VerifiedWebhook;
use crate::explain::Explanation;
use crate::reason::Reason;
use crate::respond::GateBody;
use crate::server::Shared;
use crate::settings::{Detail, Inspect};
use crate::told::known_method;
use crate::twiml::IDEMPOTENCY_TOKEN;

/// Where what is kept goes.
#[derive(Debug, Default)]
pub(crate) struct Inspector {
    recent: Recent,
    line: Line,
}

impl Inspector {
    /// What is in memory, newest first.
    pub(crate) fn newest_first(&self) -> Vec<KeptRequest> {
        self.recent.newest_first()
    }

    /// What is in memory goes where it is not to be there any more.
    pub(crate) fn reloaded(&self, inspect: Inspect) {
        if !matches!(inspect, Inspect::InMemory(_)) {
            self.recent.forget();
        }
    }

    /// The other end of the line before the store, for the one who writes.
    pub(crate) fn keeper(&self, shared: &Arc<Shared>) -> Option<Keeper> {
        self.line.keeper(shared)
    }

    /// Takes a request that was answered.
    fn take(&self, shared: &Shared, inspect: Inspect, answered: Answered) {
        match inspect {
            Inspect::Nothing => {}
            Inspect::InMemory(_) => self.recent.note(answered),
            Inspect::InStore { .. } => self.line.queue(answered, &shared.metrics),
        }
    }
}

/// A request that was answered, with an explanation that may still be in the making.
#[derive(Debug)]
struct Answered {
    seen: SeenRequest,
    explanation: Option<Explanation>,
}

impl Answered {
    /// What is known of it by now.
    fn as_of_now(&self) -> SeenRequest {
        let mut seen = self.seen.clone();
        if let (RequestVerdict::Refused { explanation, .. }, Some(text)) =
            (&mut seen.verdict, &self.explanation)
        {
            *explanation = text.get().cloned();
        }
        seen
    }

    fn is_explained_soon(&self) -> bool {
        self.explanation.as_ref().is_some_and(|text| text.get().is_none())
    }
}

/// A request, as far as it is known when it is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) route: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    pub(crate) client: IpAddr,
    pub(crate) headers: &'a HeaderMap,
    /// Where it was read.
    pub(crate) body: Option<&'a Bytes>,
}

/// One request from its head to its answer. Where it is dropped before it is answered, it is kept without an answer: its
/// caller did not wait.
#[derive(Debug)]
pub(crate) struct Note<'a> {
    shared: &'a Arc<Shared>,
    inspect: Inspect,
    part: &'static str,
    began: Instant,
    judged: OnceLock<Box<Answered>>,
}

impl<'a> Note<'a> {
    /// Begins with a request's head.
    pub(crate) fn begin(
        shared: &'a Arc<Shared>,
        inspect: Inspect,
        part: &'static str,
        began: Instant,
    ) -> Self {
        Self { shared, inspect, part, began, judged: OnceLock::new() }
    }

    /// It was let in.
    pub(crate) fn admitted(&self, about: &About<'_>, webhook: &VerifiedWebhook) {
        // On the way of every webhook: where nobody looks, nothing is made.
        let Some(detail) = self.inspect.detail() else { return };
        let allowed = webhook.allowed();
        let verdict = RequestVerdict::Admitted {
            candidate: allowed.map_or("as-received", |allowed| allowed.candidate.as_str()).to_owned(),
            finding: allowed
                .and_then(|allowed| allowed.finding.as_ref())
                .map(|finding| finding.as_str().to_owned()),
        };
        let account = webhook.account().and_then(|account| Sid::parse(account.as_str()).ok());
        let seen = seen(self.shared, self.part, about, detail, account, verdict);
        // It is judged once.
        let _first = self.judged.set(Box::new(Answered { seen, explanation: None }));
    }

    /// It was not.
    pub(crate) fn refused(&self, about: &About<'_>, reason: Reason, explanation: Option<Explanation>) {
        let Some(detail) = self.inspect.detail() else { return };
        let verdict = RequestVerdict::Refused { reason: reason.as_str().to_owned(), explanation: None };
        let seen = seen(self.shared, self.part, about, detail, None, verdict);
        let _first = self.judged.set(Box::new(Answered { seen, explanation }));
    }

    /// It is answered. What streams is kept when it has ended.
    pub(crate) fn answered(mut self, response: Response<GateBody>) -> Response<GateBody> {
        let Some(mut answered) = self.judged.take() else { return response };
        let seen = &mut answered.seen;
        seen.took = self.shared.clock.monotonic().saturating_duration_since(self.began);
        seen.status = Some(response.status().as_u16());
        let is_told = self.inspect.detail() == Some(Detail::Redacted) && is(response.headers(), "xml");
        if let Some(whole) = response.body().as_whole() {
            seen.answer_bytes = Some(whole.len() as u64);
            seen.answer = Some(whole).filter(|_| is_told).and_then(|whole| redact::verbs(whole));
            self.shared.inspector.take(self.shared, self.inspect, *answered);
            return response;
        }
        let tail = Tail::new(self.shared, self.inspect, *answered, is_told);
        response.map(|body| body.with_tail(tail))
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Some(mut answered) = self.judged.take() {
            answered.seen.took = self.shared.clock.monotonic().saturating_duration_since(self.began);
            self.shared.inspector.take(self.shared, self.inspect, *answered);
        }
    }
}

/// All that is known when a request is judged.
fn seen(
    shared: &Shared,
    part: &'static str,
    about: &About<'_>,
    detail: Detail,
    signed_by: Option<Sid>,
    verdict: RequestVerdict,
) -> SeenRequest {
    let now = i64::try_from(shared.clock.unix_micros()).unwrap_or(i64::MAX);
    let body = about.body.map_or(&b""[..], |body| body);
    let query = about.target.split_once('?').map_or("", |(_, query)| query).as_bytes();
    let is_form = is(about.headers, "application/x-www-form-urlencoded");
    let form = match body {
        body if !body.is_empty() && is_form => Some(body),
        [] if !query.is_empty() => Some(query),
        _ => None,
    };
    let (named, resource) = form.map(named).unwrap_or_default();
    let parameters = match form {
        _ if detail == Detail::Metadata => None,
        Some(form) => redact::form(form),
        None if is(about.headers, "json") => redact::json(body),
        None => None,
    };
    SeenRequest {
        at: Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX),
        part,
        route: about.route.to_owned(),
        method: if about.target.is_empty() { "" } else { known_method(about.method) },
        path: redact::path(about.target),
        client: about.client,
        account: signed_by.or(named),
        is_proven: signed_by.is_some(),
        resource,
        token: token(about.headers),
        verdict,
        status: None,
        request_bytes: about.body.map(|body| body.len() as u64),
        answer_bytes: None,
        took: Duration::ZERO,
        parameters,
        answer: None,
        outgoing: None,
    }
}

/// The names under which a webhook has what it is about, the likeliest first.
const RESOURCES: [&str; 9] = [
    "CallSid",
    "MessageSid",
    "SmsSid",
    "RecordingSid",
    "ConferenceSid",
    "UsageTriggerSid",
    "VerificationSid",
    "ConversationSid",
    "ExecutionSid",
];

/// The account that the parameters name, and what they are about.
fn named(form: &[u8]) -> (Option<Sid>, Option<Sid>) {
    let (mut account, mut resource) = (None, None);
    for (name, value) in fields(form).take(redact::PARAMETERS_MAX) {
        let Ok(name) = str::from_utf8(&name) else { continue };
        if !name.ends_with("Sid") {
            continue;
        }
        let Some(sid) = str::from_utf8(&value).ok().and_then(|value| Sid::parse(value).ok()) else {
            continue;
        };
        if name == "AccountSid" && sid.is("AC") {
            account = account.or(Some(sid));
        } else if let Some(rank) = RESOURCES.iter().position(|resource| *resource == name)
            && resource.is_none_or(|(found, _)| rank < found)
        {
            resource = Some((rank, sid));
        }
    }
    (account, resource.map(|(_, sid)| sid))
}

/// A token as Twilio makes them: hex digits and hyphens.
fn token(headers: &HeaderMap) -> Option<String> {
    let token = headers.get(IDEMPOTENCY_TOKEN)?.to_str().ok()?;
    let is_token = token.len() == 36 && token.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_token.then(|| token.to_owned())
}

/// Whether the type of the content has this in it.
fn is(headers: &HeaderMap, what: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind);
    kind.to_ascii_lowercase().contains(what)
}

/// What is no HTTP is refused by hyper, over its connection: there is no more to tell of it than who sent it.
pub(crate) fn not_http(shared: &Shared, part: &'static str, client: IpAddr, reason: Reason, status: u16) {
    let inspect = shared.snapshot.load().inspect;
    let Some(detail) = inspect.detail() else { return };
    let about =
        About { route: "", method: &Method::GET, target: "", client, headers: &HeaderMap::new(), body: None };
    let verdict = RequestVerdict::Refused { reason: reason.as_str().to_owned(), explanation: None };
    let mut seen = seen(shared, part, &about, detail, None, verdict);
    seen.status = Some(status);
    shared.inspector.take(shared, inspect, Answered { seen, explanation: None });
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn answered(verdict: RequestVerdict, explanation: Option<Explanation>) -> Answered {
        let seen = SeenRequest {
            at: Timestamp::UNIX_EPOCH,
            part: "gate",
            route: "/x".to_owned(),
            method: "POST",
            path: "/x".to_owned(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            account: None,
            is_proven: false,
            resource: None,
            token: None,
            verdict,
            status: Some(200),
            request_bytes: None,
            answer_bytes: None,
            took: Duration::ZERO,
            parameters: None,
            answer: None,
            outgoing: None,
        };
        Answered { seen, explanation }
    }

    pub(super) fn admitted() -> Answered {
        let candidate = "as-received".to_owned();
        answered(RequestVerdict::Admitted { candidate, finding: None }, None)
    }

    pub(super) fn refused(explanation: Option<Explanation>) -> Answered {
        let reason = "signature_mismatch".to_owned();
        answered(RequestVerdict::Refused { reason, explanation: None }, explanation)
    }

    #[test]
    fn what_a_request_is_about_is_told_by_the_likeliest_name() {
        let account = Sid::new(*b"AC", 1);
        let (call, message) = (Sid::new(*b"CA", 2), Sid::new(*b"SM", 3));
        let form =
            format!("SmsSid={message}&AccountSid={account}&CallSid={call}&AccountSid={message}&MessageSid=x");
        assert_eq!(named(form.as_bytes()), (Some(account), Some(call)));
        assert_eq!(named(format!("AccountSid={message}&Body={call}").as_bytes()), (None, None));
    }

    #[test]
    fn a_token_is_kept_only_where_it_looks_like_one() {
        let told = |text: &'static str| {
            token(&HeaderMap::from_iter([(
                http::HeaderName::from_static(IDEMPOTENCY_TOKEN),
                http::HeaderValue::from_static(text),
            )]))
        };
        let right = "be47c5cf-0de2-4ea2-8f8a-d6d25a4e3bd6";
        assert_eq!(told(right).as_deref(), Some(right));
        for wrong in
            ["", "anna", "be47c5cf-0de2-4ea2-8f8a-d6d25a4e3bdz", "+49-151-1234567-+49-151-1234567-1234"]
        {
            assert_eq!(told(wrong), None, "{wrong}");
        }
    }
}
