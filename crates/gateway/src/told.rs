//! What is told of a verdict: a counter, and where it is a refusal a line in the log.

use std::net::IpAddr;

use bytes::Bytes;
use http::{Method, StatusCode};

use crate::admission::VerifiedWebhook;
use crate::explain::Explanation;
use crate::reason::Reason;
use crate::snapshot::ActiveRoute;

/// Why a request is refused, and what is known of it beside that.
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) explanation: Option<Explanation>,
    /// Its body, where it was read.
    pub(crate) body: Option<Bytes>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, explanation: None, body: None }
    }
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
pub(crate) fn log_refusal(
    route: &str,
    reason: Reason,
    status: StatusCode,
    method: &'static str,
    client: IpAddr,
) {
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
