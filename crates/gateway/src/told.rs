//! What is told of a verdict: a counter, where it is a refusal a line in the log, and a place among the newest requests.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, StatusCode};

use crate::admission::VerifiedWebhook;
use crate::reason::Reason;
use crate::recent::{Explanation, Noted, Said};
use crate::server::Shared;
use crate::settings::Remember;
use crate::snapshot::ActiveRoute;

/// Why a request is refused, and what is known of it beside that.
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) explanation: Option<Explanation>,
    /// Its form, where it was read.
    pub(crate) form: Option<Bytes>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, explanation: None, form: None }
    }
}

/// The body, if it is a form.
pub(crate) fn form<'a>(headers: &HeaderMap, body: &'a Bytes) -> Option<&'a Bytes> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let kind = headers.get(CONTENT_TYPE)?.as_bytes();
    let is_form = kind.get(..FORM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM));
    (is_form && !body.is_empty()).then_some(body)
}

/// Remembers a request that was let in.
pub(crate) fn note_admitted(
    shared: &Shared,
    remember: Remember,
    noted: &Noted<'_>,
    webhook: &VerifiedWebhook,
) {
    // On the way of every webhook: where nobody looks, nothing is made.
    if remember == Remember::Nothing {
        return;
    }
    let allowed = webhook.allowed();
    let said = Said::Admitted {
        account: webhook.account().map(ToString::to_string),
        candidate: allowed.map_or("as-received", |allowed| allowed.candidate.as_str()),
        finding: allowed.and_then(|allowed| allowed.finding.as_ref()).map(|finding| finding.as_str()),
    };
    shared.recent.note(remember, shared.clock.unix_seconds(), noted, said);
}

/// Writes a refusal into the log, and remembers it.
pub(crate) fn note_refused(
    shared: &Shared,
    remember: Remember,
    noted: &Noted<'_>,
    reason: Reason,
    status: StatusCode,
    explanation: Option<Explanation>,
) {
    log_refusal(noted.route, reason, status, noted.method, noted.client);
    let said = Said::Refused { reason: reason.as_str(), status: status.as_u16(), explanation };
    shared.recent.note(remember, shared.clock.unix_seconds(), noted, said);
}

/// Counts what the check of an admitted request found.
pub(crate) fn count_admitted(active: &ActiveRoute, webhook: &VerifiedWebhook) {
    match webhook.allowed() {
        Some(allowed) => {
            active.metrics.allowed(allowed.candidate.as_str());
            if let Some(finding) = &allowed.finding {
                active.metrics.finding(finding.as_str());
                tracing::info!(
                    route = &*active.route.label,
                    finding = finding.as_str(),
                    "strict mode would refuse this request"
                );
            }
        }
        None => active.metrics.allowed("as-received"),
    }
}

/// One line for each refusal, with nothing in it that a caller could have made personal or long.
fn log_refusal(route: &str, reason: Reason, status: StatusCode, method: &'static str, client: IpAddr) {
    tracing::info!(
        route,
        reason = reason.as_str(),
        status = status.as_u16(),
        method,
        client = %client,
        "request refused"
    );
}

/// A method that HTTP knows; any other is the caller's text, of any length.
pub(crate) fn known_method(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 9] = [
        (Method::POST, "POST"),
        (Method::GET, "GET"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
        (Method::PATCH, "PATCH"),
        (Method::CONNECT, "CONNECT"),
        (Method::TRACE, "TRACE"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("other", |(_, name)| name)
}
