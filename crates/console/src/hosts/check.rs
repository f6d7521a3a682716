//! A proxy asks: may this request pass?
//!
//! 200 with the name of whoever is signed in, or no. It is one answer of three reads of the store, and a write once a minute, since it is
//! asked for every picture of every page.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use ringfence_control::people::ProtectedHost;
use ringfence_model::Secret;
use ringfence_store::HostSession;

use super::own::not_signed_in;
use super::{NotOurs, OWN, Visit, bare, cookies, start};
use crate::failed::Failed;
use crate::words;

/// The name of whoever is signed in.
const USER: HeaderName = HeaderName::from_static("ringfence-user");
/// The stamp by which an application knows that this name is ours.
const ASSERTION: HeaderName = HeaderName::from_static("ringfence-assertion");

/// What the proxy can do with a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Nothing but a 401: nginx, which makes a 500 of a redirect.
    Bare,
    /// It hands the answer to its client: Caddy, Traefik, Envoy.
    Handed,
}

/// How is asked, and the target that the question carries in its own path: Envoy puts its prefix before it.
pub(super) fn question(request: &Request<Bytes>) -> Result<(Manner, &str), NotOurs> {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    for (prefix, manner) in [("/auth/check", Manner::Bare), ("/auth/forward", Manner::Handed)] {
        match target.strip_prefix(prefix) {
            Some(rest) if rest.starts_with('/') => return Ok((manner, rest)),
            // Caddy puts the query of the client's own target behind ours.
            Some(rest) if rest.is_empty() || rest.starts_with('?') => return Ok((manner, "")),
            _ => {}
        }
    }
    Err(NotOurs::NoSuchQuestion)
}

pub(super) async fn answer(visit: &Visit<'_>, manner: Manner) -> Response<Bytes> {
    // Were this let through, the application would be asked for what belongs to us.
    if visit.target.starts_with(OWN) {
        tracing::info!(reason = %NotOurs::OwnPath, hint = NotOurs::OwnPath.hint(), "a question is refused");
        return bare(StatusCode::FORBIDDEN);
    }
    match signed_in(visit).await {
        Ok(Some(session)) => passes(visit, &session),
        Ok(None) if manner == Manner::Handed && visit.is_for_a_page() => {
            words::redirect(&visit.url(&start(&visit.target)))
        }
        Ok(None) => not_signed_in(visit),
        Err(failed) => {
            tracing::warn!(error = %failed, host = visit.host.host, "a protected host is closed");
            bare(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// The session of the host that the browser sends the token of, if its person may enter now.
pub(super) async fn signed_in(visit: &Visit<'_>) -> Result<Option<HostSession>, Failed> {
    let people = visit.people()?;
    let Some(token) = cookies::SESSION.sent(visit.headers()) else { return Ok(None) };
    session_of(visit, &people, &token).await
}

async fn session_of(
    visit: &Visit<'_>,
    people: &ringfence_control::people::People,
    token: &Secret,
) -> Result<Option<HostSession>, Failed> {
    people.host_session(visit.host, token).await.map_err(Failed::of_people)
}

/// 200, with what the proxy copies into the request.
fn passes(visit: &Visit<'_>, session: &HostSession) -> Response<Bytes> {
    let name = ProtectedHost::name_of(&session.person);
    let Ok(user) = HeaderValue::from_str(&name) else { return bare(StatusCode::FORBIDDEN) };
    let mut response = bare(StatusCode::OK);
    response.headers_mut().insert(USER, user);
    let stamp = visit.host.stamp(&name, visit.console.unix_seconds());
    if let Some(stamp) = stamp.and_then(|stamp| HeaderValue::from_bytes(stamp.as_bytes()).ok()) {
        response.headers_mut().insert(ASSERTION, stamp);
    }
    response
}
