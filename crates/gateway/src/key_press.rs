//! A key that somebody pressed in a call that carries a code (`upstream = "second-factor"`): who pressed it is read from
//! Twilio's request, and whoever knows the code says what is spoken now.
//!
//! The gate knows no code: it hands over which call and which send it is about, and passes the TwiML on.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use ringfence_model::Sid;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::hooks::OnKey;
use crate::respond::{self, GateBody};

/// For the store, within the 15 s that Twilio waits.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A key that was pressed, as Twilio tells it (`Gather`, <https://www.twilio.com/docs/voice/twiml/gather>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPress {
    /// The account that signed.
    pub account: Sid,
    /// The call in which it was pressed.
    pub call: Sid,
    /// What the call was made for: `send` in the URL that was given to Twilio.
    pub send: Sid,
}

/// Why a signed request tells of no key. The sentences name parameters and never their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is there twice, with different values")]
    Torn(&'static str),
    #[error("{name} is not the SID of {what}")]
    NoSid { name: &'static str, what: &'static str },
}

impl KeyPress {
    /// Reads the query and the parameters of a request that `account` signed.
    pub(crate) fn read<'a>(
        account: Sid,
        query: impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)>,
        parameters: impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)>,
    ) -> Result<Self, Malformed> {
        let send = sid(query, "send", "VL", "a code that was sent")?;
        let (mut call, mut digits) = (Vec::new(), Vec::new());
        for field in parameters {
            match &*field.0 {
                b"CallSid" => call.push(field),
                b"Digits" => digits.push(field),
                _ => {}
            }
        }
        if digits.iter().all(|(_, value)| value.is_empty()) {
            return Err(Malformed::Missing("Digits"));
        }
        Ok(Self { account, call: sid(call.into_iter(), "CallSid", "CA", "a call")?, send })
    }
}

/// The one value of this name.
fn sid<'a>(
    fields: impl Iterator<Item = (Cow<'a, [u8]>, Cow<'a, [u8]>)>,
    name: &'static str,
    prefix: &str,
    what: &'static str,
) -> Result<Sid, Malformed> {
    let mut found: Option<Cow<'a, [u8]>> = None;
    for (_, value) in fields.filter(|(key, _)| **key == *name.as_bytes()) {
        match &found {
            Some(other) if *other != value => return Err(Malformed::Torn(name)),
            _ => found = Some(value),
        }
    }
    let value = found.ok_or(Malformed::Missing(name))?;
    let sid = str::from_utf8(&value).ok().and_then(|value| Sid::parse(value).ok());
    sid.filter(|sid| sid.is(prefix)).ok_or(Malformed::NoSid { name, what })
}

/// What is spoken now: TwiML with 200, or 503 where nobody can say.
pub(crate) async fn answer(
    route: &str,
    on_key: Option<&OnKey>,
    press: KeyPress,
    deadline: Instant,
) -> Response<GateBody> {
    let spoken = match on_key {
        None => Err("there is no second factor here to say the code".to_owned()),
        Some(on_key) => {
            // In a task of its own, so that it is on no thread's way if it should panic.
            let asked = tokio::spawn(Arc::clone(on_key)(press));
            match timeout_at(deadline.min(Instant::now() + ANSWER_MAX), asked).await {
                Err(_) => Err("the store did not answer in time".to_owned()),
                Ok(Err(_)) => Err("saying it broke off".to_owned()),
                Ok(Ok(spoken)) => spoken,
            }
        }
    };
    match spoken {
        Ok(twiml) => {
            let mut response = Response::new(GateBody::full(twiml.into()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
            response
        }
        Err(why) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            tracing::error!(route, why, status = status.as_u16(), "a key was pressed and no code was spoken");
            let mut response = respond::empty(status);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

/// 400, with the reason: whoever signed this is the account itself, and its log at Twilio shows the answer.
pub(crate) fn malformed(route: &str, why: Malformed) -> Response<GateBody> {
    let status = StatusCode::BAD_REQUEST;
    tracing::warn!(route, %why, status = status.as_u16(), "a verified request tells of no key in a call with a code");
    let mut response = Response::new(GateBody::full(format!("{why}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use ringfence_signature::fields;

    use super::*;

    const CALL: &str = "CA0000000000000000000000000000000a";
    const SEND: &str = "VL0000000000000000000000000000000b";

    fn read(query: &str, body: &str) -> Result<KeyPress, Malformed> {
        let account = Sid::new(*b"AC", 1);
        KeyPress::read(account, fields(query.as_bytes()), fields(body.as_bytes()))
    }

    #[test]
    fn what_does_not_tell_the_send_the_call_and_a_key_is_refused() {
        let (query, body) = (format!("send={SEND}"), format!("CallSid={CALL}&Digits=1"));
        for (query, body, why) in [
            ("", &*body, "send is missing"),
            (&*format!("send={CALL}"), &*body, "send is not the SID of a code that was sent"),
            (
                &*format!("{query}&send={}", SEND.replace('b', "c")),
                &*body,
                "send is there twice, with different values",
            ),
            (&*query, "Digits=1", "CallSid is missing"),
            (&*query, &*format!("CallSid={SEND}&Digits=1"), "CallSid is not the SID of a call"),
            (&*query, "CallSid=%FF&Digits=1", "CallSid is not the SID of a call"),
            (
                &*query,
                &*format!("CallSid={CALL}&CallSid=CA1&Digits=1"),
                "CallSid is there twice, with different values",
            ),
            (&*query, &*format!("CallSid={CALL}"), "Digits is missing"),
            (&*query, &*format!("CallSid={CALL}&Digits="), "Digits is missing"),
        ] {
            assert_eq!(
                read(query, body).map_err(|why| why.to_string()),
                Err(why.to_owned()),
                "{query} {body}"
            );
        }
        let press = read(&query, &format!("{body}&From=%2B15550006789")).unwrap();
        assert_eq!((press.call.to_string(), press.send.to_string()), (CALL.to_owned(), SEND.to_owned()));
    }
}
