//! What is kept of one request of an application to Twilio, by the same rules as of a webhook.
//!
//! The one idea: whoever works on the request holds a note of it, the task too that goes on when its caller has hung up. What
//! is known by then is kept when the last of them lets go. A request that nothing was said of is not kept.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use ringfence_model::{Amount, Sid};
use ringfence_store::{RequestVerdict, SeenOutgoing, SeenRequest, Watched};
use serde::Deserialize;

use super::{Answered, Tail, redact};
use crate::respond::GateBody;
use crate::server::Shared;
use crate::settings::{Detail, Inspect};
use crate::told::known_method;

/// The note of one request; nothing where nobody looks.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingNote(Option<Arc<Noted>>);

/// What is known of a request by its head. `host` is Twilio's, where the target does not begin with it; without a method it was
/// no HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: Option<&'a Method>,
    pub(crate) host: Option<&'a str>,
    pub(crate) target: &'a str,
    pub(crate) client: IpAddr,
}

/// Who asks for what, as far as that is known.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    /// As metrics call it; empty where it is not known.
    pub(crate) operation: &'static str,
    /// The credential that was good, and its name.
    pub(crate) credential: Option<(Sid, &'a str)>,
    /// The account that it is for.
    pub(crate) account: Option<Sid>,
}

/// Why a request was not answered by Twilio.
#[derive(Debug, Clone)]
pub(crate) struct Why<'a> {
    /// As logs and metrics call it.
    pub(crate) reason: &'static str,
    pub(crate) limit: Option<&'a str>,
    /// In words, without anything that the caller has written.
    pub(crate) words: String,
}

#[derive(Debug)]
struct Noted {
    shared: Arc<Shared>,
    inspect: Inspect,
    detail: Detail,
    began: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// None once it was given away.
    seen: Option<SeenRequest>,
    outgoing: SeenOutgoing,
    is_judged: bool,
    is_answered: bool,
}

impl OutgoingNote {
    /// Begins with a request's head.
    pub(crate) fn begin(shared: &Arc<Shared>, inspect: Inspect, head: &Head<'_>) -> Self {
        let Some(detail) = inspect.detail() else { return Self(None) };
        let now = i64::try_from(shared.clock.unix_micros()).unwrap_or(i64::MAX);
        let host = head.host.map(|host| format!("/{host}")).unwrap_or_default();
        let path = format!("{host}{}", head.target.split('?').next().unwrap_or_default());
        let seen = SeenRequest {
            at: Timestamp::from_microsecond(now).unwrap_or(Timestamp::MAX),
            part: "egress",
            route: String::new(),
            method: head.method.map_or("", known_method),
            path: redact::api_path(&path),
            client: head.client,
            account: None,
            is_proven: false,
            resource: about(&path),
            token: None,
            verdict: RequestVerdict::PassedOn { failed: None },
            status: None,
            request_bytes: None,
            answer_bytes: None,
            took: Duration::ZERO,
            parameters: None,
            answer: None,
            outgoing: None,
        };
        let outgoing = SeenOutgoing::default();
        let kept = Mutex::new(Kept { seen: Some(seen), outgoing, is_judged: false, is_answered: false });
        let (shared, began) = (Arc::clone(shared), shared.clock.monotonic());
        Self(Some(Arc::new(Noted { shared, inspect, detail, began, kept })))
    }

    /// Its body was read. Where there is none, its query has the parameters.
    pub(crate) fn read(&self, headers: &HeaderMap, query: Option<&str>, body: &Bytes) {
        let Some(noted) = &self.0 else { return };
        let parameters = match body {
            _ if noted.detail == Detail::Metadata => None,
            body if body.is_empty() => query.and_then(|query| redact::sent_form(query.as_bytes())),
            body if super::is(headers, "application/x-www-form-urlencoded") => redact::sent_form(body),
            body if super::is(headers, "json") => redact::sent_json(body),
            _ => None,
        };
        noted.with(|seen, _| {
            seen.request_bytes = Some(body.len() as u64);
            seen.parameters = parameters;
        });
    }

    /// It goes to Twilio now, with so much set aside for it under limits of which some only watch.
    pub(crate) fn passes(&self, asked: &Asked<'_>, worst: Option<Amount>, watched: &[Watched]) {
        let Some(noted) = &self.0 else { return };
        noted.judge(asked, |_, outgoing| {
            outgoing.worst = worst;
            outgoing.would_refuse = watched.iter().map(|watched| watched.limit.clone()).collect();
        });
    }

    /// Twilio answered with this status, and made this.
    pub(crate) fn answered_by_twilio(&self, status: StatusCode, made: Option<Sid>) {
        let Some(noted) = &self.0 else { return };
        noted.with(|seen, _| {
            seen.status = Some(status.as_u16());
            seen.resource = made.or(seen.resource);
        });
    }

    /// It goes no further, or no answer of Twilio's comes back.
    pub(crate) fn failed(&self, asked: &Asked<'_>, why: Why<'_>) {
        let Some(noted) = &self.0 else { return };
        if noted.lock().is_judged {
            noted.with(|seen, _| {
                seen.verdict = RequestVerdict::PassedOn { failed: Some(why.reason.to_owned()) };
            });
            return;
        }
        noted.judge(asked, |seen, outgoing| {
            let explanation = Some(why.words);
            seen.verdict = RequestVerdict::Refused { reason: why.reason.to_owned(), explanation };
            outgoing.limit = why.limit.map(str::to_owned);
        });
    }

    /// The caller gets this. What streams is kept when it has ended.
    pub(crate) fn answered(&self, response: Response<GateBody>) -> Response<GateBody> {
        let Some(noted) = &self.0 else { return response };
        let took = noted.shared.clock.monotonic().saturating_duration_since(noted.began);
        let status = response.status();
        let is_error = status.is_client_error() || status.is_server_error();
        let whole = response.body().as_whole().cloned();
        noted.with(|seen, outgoing| {
            seen.status = Some(status.as_u16());
            seen.took = took;
            seen.answer_bytes = whole.as_ref().map(|whole| whole.len() as u64);
            outgoing.code = whole.as_ref().filter(|_| is_error).and_then(code);
        });
        let mut kept = noted.lock();
        kept.is_answered = true;
        if whole.is_some() {
            return response;
        }
        let Some(seen) = kept.take() else { return response };
        drop(kept);
        let tail = Tail::new(&noted.shared, noted.inspect, seen, false);
        response.map(|body| body.with_tail(tail))
    }
}

impl Noted {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut SeenRequest, &mut SeenOutgoing)) {
        let mut kept = self.lock();
        let Kept { seen, outgoing, .. } = &mut *kept;
        if let Some(seen) = seen {
            change(seen, outgoing);
        }
    }

    fn judge(&self, asked: &Asked<'_>, change: impl FnOnce(&mut SeenRequest, &mut SeenOutgoing)) {
        self.with(|seen, outgoing| {
            asked.operation.clone_into(&mut seen.route);
            seen.account = asked.account;
            seen.is_proven = asked.credential.is_some();
            outgoing.credential = asked.credential.map(|(sid, _)| sid);
            outgoing.credential_name = asked.credential.map(|(_, name)| name.to_owned());
            change(seen, outgoing);
        });
        self.lock().is_judged = true;
    }
}

impl Kept {
    /// What is to be kept, once.
    fn take(&mut self) -> Option<Answered> {
        let mut seen = self.seen.take().filter(|_| self.is_judged)?;
        seen.outgoing = Some(Box::new(std::mem::take(&mut self.outgoing)));
        Some(Answered { seen, explanation: None })
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let took = self.shared.clock.monotonic().saturating_duration_since(self.began);
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_answered = kept.is_answered;
        let Some(mut answered) = kept.take() else { return };
        if !is_answered {
            answered.seen.took = took;
        }
        self.shared.inspector.take(&self.shared, self.inspect, answered);
    }
}

/// What a path is about: the last SID in it that is no account's.
fn about(path: &str) -> Option<Sid> {
    let sids = path.rsplit('/').filter_map(|piece| Sid::parse(piece.split('.').next().unwrap_or(piece)).ok());
    sids.into_iter().find(|sid| !sid.is("AC"))
}

/// The code of an error of Twilio's, which has the same shape as one of ours.
fn code(body: &Bytes) -> Option<u32> {
    #[derive(Deserialize)]
    struct Told {
        code: u32,
    }
    const ERROR_BYTES_MAX: usize = 16 * 1024;
    let body = Some(body).filter(|body| body.len() <= ERROR_BYTES_MAX)?;
    serde_json::from_slice::<Told>(body).ok().map(|told| told.code).filter(|code| *code < 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_is_about_is_its_last_sid_that_is_no_account() {
        let (account, message, media) = (Sid::new(*b"AC", 1), Sid::new(*b"MM", 2), Sid::new(*b"ME", 3));
        for (path, expected) in [
            (format!("/api.twilio.com/2010-04-01/Accounts/{account}/Messages.json"), None),
            (format!("/2010-04-01/Accounts/{account}/Messages/{message}.json"), Some(message)),
            (format!("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}"), Some(media)),
            ("/lookups.twilio.com/v2/PhoneNumbers/+14155550123".to_owned(), None),
        ] {
            assert_eq!(about(&path), expected, "{path}");
        }
    }

    #[test]
    fn the_code_of_an_error_is_a_number_of_a_few_digits() {
        for (body, expected) in [
            ("{\"code\":21211,\"message\":\"x\",\"status\":400}", Some(21_211)),
            ("{\"code\":4915112345,\"status\":400}", None),
            ("{\"code\":\"21211\"}", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(code(&Bytes::from_static(body.as_bytes())), expected, "{body}");
        }
    }
}
