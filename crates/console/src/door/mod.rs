//! The door: the pages before somebody is inside, and where they show the second factor again.
//!
//! Each takes a [`Door`]: a request whose origin was checked, and the session of its cookie however far that has come. What
//! the browser keeps is set here and nowhere else.

mod bind;
mod forgot;
mod go_to;
mod hand_over;
pub(crate) mod kept;
mod lock;
mod passkey;
mod second_factor;
mod sign_in;

use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use ringfence_breaker::Why;
use ringfence_control::engine::{Engine, NotSetAside};
use ringfence_control::people::{Known, People, Refused, Step, Visitor};
use ringfence_model::Secret;
use ringfence_store::Session;

use crate::console::{Caller, ConsoleSetup};
use crate::cookies;
use crate::failed::Failed;
use crate::form::Fields;
use crate::pages::refused_in_words as said;
use crate::signed_in;
use crate::words;

pub(crate) use bind::{add_phone, ask_bind, bind, codes, confirm, confirm_phone, factors, finish};
pub(crate) use forgot::{ask_forgot, ask_reset, forgot, reset};
pub(crate) use go_to::go_to;
pub(crate) use hand_over::hand_over;
pub(crate) use lock::{ask_lock, lock};
pub(crate) use passkey::{ask_for_passkey, ask_to_make_passkey, bind_passkey};
pub(crate) use second_factor::{ask_second_factor, second_factor, send_code};
pub(crate) use sign_in::{ask_sign_in, sign_in};

/// A request at the door.
pub(crate) struct Door<'a> {
    pub(crate) console: &'a ConsoleSetup,
    pub(crate) people: People,
    pub(crate) engine: Arc<Engine>,
    pub(crate) caller: Caller,
    pub(crate) headers: &'a HeaderMap,
    /// The session of the cookie, with its token.
    pub(crate) session: Option<(Secret, Session)>,
    pub(crate) query: Fields,
    pub(crate) form: Fields,
    pub(crate) now: Timestamp,
}

impl Door<'_> {
    /// Who asks, for the owner of what they ask for.
    fn visitor(&self) -> Visitor {
        visitor(self.headers, &self.caller)
    }

    /// What the browser has from before.
    fn known(&self) -> Known {
        let is_https = self.caller.is_https;
        Known {
            session: cookies::session(self.headers, is_https),
            devices: kept::devices(self.headers, is_https),
            marks: kept::marks(self.headers, is_https),
        }
    }

    /// Where somebody was going: a page of this console, and nothing else.
    fn to(&self) -> String {
        let to = self.form.filled("to").or_else(|| self.query.filled("to")).unwrap_or("/");
        if is_own_page(to) { to.to_owned() } else { "/".to_owned() }
    }

    /// Refuses a form that no page of this session made.
    fn check_csrf(&self) -> Result<(), Failed> {
        match &self.session {
            Some((token, _)) if signed_in::is_csrf_of(token, &self.form) => Ok(()),
            _ => Err(Failed::StaleForm),
        }
    }

    fn csrf(&self) -> String {
        self.session.as_ref().map(|(token, _)| signed_in::csrf_of(token)).unwrap_or_default()
    }

    /// Where a step leads, with what the browser keeps from now on.
    fn go(&self, step: &Step, to: &str) -> Response<Bytes> {
        let (token, target) = match step {
            Step::Ask { token, .. } => (token, with_to("/second-factor", to)),
            Step::Bind { token } => (token, with_to("/bind/factors", to)),
            Step::Inside { token, .. } => (token, to.to_owned()),
        };
        let mut response = words::redirect(&target);
        let is_https = self.caller.is_https;
        let mut keep = |cookie: Option<HeaderValue>| {
            if let Some(cookie) = cookie {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        };
        keep(cookies::set(token, is_https));
        if let Step::Inside { device, mark, .. } = step {
            let trust_for = self.people.rules().trust_for;
            keep(device.as_ref().and_then(|device| kept::set(device, trust_for, is_https)));
            keep(kept::set(mark, kept::MARKED_FOR, is_https));
        }
        response
    }
}

/// Who asks, for the owner of what they ask for.
pub(crate) fn visitor(headers: &HeaderMap, caller: &Caller) -> Visitor {
    let agent = headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok());
    Visitor {
        address: caller.address.to_string(),
        agent: words::browser(agent.unwrap_or_default()),
        marks: kept::marks(headers, caller.is_https),
    }
}

/// A page of the door, with what is wrong.
fn shown(page: &impl Template, refused: Option<&Refused>) -> Result<Response<Bytes>, Failed> {
    let mut response = words::html(page.render()?);
    match refused {
        None => {}
        Some(Refused::NotSetAside(why)) => {
            *response.status_mut() = match why {
                NotSetAside::NotReady(_) | NotSetAside::Limit { why: Why::NotReadBack, .. } => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
                NotSetAside::Limit { why: Why::OpenOnly, .. } | NotSetAside::Limit { until: Some(_), .. } => {
                    StatusCode::TOO_MANY_REQUESTS
                }
                NotSetAside::Limit { until: None, .. } => StatusCode::FORBIDDEN,
                NotSetAside::Unpriced(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
        }
        Some(Refused::Later(_) | Refused::NoCodeBefore(_)) => {
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        }
        Some(Refused::Busy(_)) => {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        Some(_) => *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY,
    }
    Ok(response)
}

/// The same, with the time at which it may be tried again.
fn shown_until(
    page: &impl Template,
    refused: Option<&Refused>,
    now: Timestamp,
) -> Result<Response<Bytes>, Failed> {
    let mut response = shown(page, refused)?;
    let until = match refused {
        Some(Refused::Later(at) | Refused::NoCodeBefore(at)) => Some(*at),
        Some(Refused::NotSetAside(why)) => why.again(now),
        _ => None,
    };
    if let Some(until) = until {
        let wait = until.duration_since(now);
        // The second in which it ends is waited for too.
        let seconds = (wait.as_secs() + i64::from(wait.subsec_nanos() > 0)).max(1);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

/// Whether it is a path on this host: `//host` and `/\host` lead elsewhere, as does whatever has a control character.
pub(crate) fn is_own_page(to: &str) -> bool {
    let second = to.as_bytes().get(1).copied();
    to.starts_with('/')
        && !matches!(second, Some(b'/' | b'\\'))
        && to.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'\\')
}

fn with_to(path: &str, to: &str) -> String {
    if to == "/" { path.to_owned() } else { format!("{path}?to={}", words::query_value(to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_another_host_is_no_page_of_ours() {
        for to in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "javascript:alert(1)",
            "accounts",
            "/a\r\nSet-Cookie: x=y",
            "/a\\b",
            "/ä",
        ] {
            assert!(!is_own_page(to), "{to:?}");
        }
        for to in ["/", "/accounts?q=a&page=2", "/accounts/AC1", "/a//b"] {
            assert!(is_own_page(to), "{to}");
        }
    }
}
