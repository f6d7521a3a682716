//! Why there is no answer: problem documents (RFC 9457).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::status;
use crate::engine::ActRefused;
use crate::views::NotSeen;

/// Each problem is explained there, under its code.
const EXPLAINED: &str = "https://github.com/ringfence/ringfence/blob/main/docs/api.md#";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document {
    /// Where it is explained.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What it is, in general.
    pub(super) title: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// A word for programs, which never changes.
    pub(super) code: String,
    /// What it is, in this case.
    pub(super) detail: String,
    /// The parts of the request that are wrong, where they can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<WrongPart>,
}

/// A part of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct WrongPart {
    /// Where in the body, as a JSON pointer in a URI fragment (`#/limit`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// What is wrong with it.
    pub(super) detail: String,
}

/// The problems there are. Codes never change: programs compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Malformed,
    InvalidQuery,
    TwoTokens,
    NoToken,
    InvalidToken,
    InsufficientScope,
    NotFound,
    NoLimit,
    NoAccount,
    MethodNotAllowed,
    OutOfScope,
    ParentAccount,
    NotTripped,
    Held,
    TooLarge,
    NotJson,
    InvalidBody,
    Fault,
    NotReady,
    StoreAway,
}

impl Kind {
    /// Status, code and title.
    pub(super) const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed => (400, "malformed-json", "The body is not JSON"),
            Self::InvalidQuery => (400, "invalid-query", "The query is wrong"),
            Self::TwoTokens => (400, "two-tokens", "There is more than one token"),
            Self::NoToken => (401, "no-token", "A token is needed"),
            Self::InvalidToken => (401, "invalid-token", "The token opens nothing"),
            Self::InsufficientScope => (403, "insufficient-scope", "The token may not do this"),
            Self::NotFound => (404, "not-found", "There is nothing here"),
            Self::NoLimit => (404, "no-limit", "There is no such limit"),
            Self::NoAccount => (404, "no-account", "There is no such account"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "The method is not possible here"),
            Self::OutOfScope => (409, "out-of-scope", "The limit does not hold for it"),
            Self::ParentAccount => (409, "parent-account", "Twilio suspends only subaccounts"),
            Self::NotTripped => (409, "not-tripped", "There is nothing to lift"),
            Self::Held => (409, "held", "Breakers hold the account"),
            Self::TooLarge => (413, "too-large", "The body is too large"),
            Self::NotJson => (415, "not-json", "The body must be JSON"),
            Self::InvalidBody => (422, "invalid-body", "The body is not what is expected"),
            Self::Fault => (500, "fault", "Ringfence failed"),
            Self::NotReady => (503, "not-ready", "This node does not answer now"),
            Self::StoreAway => (503, "store-away", "The store is away"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<WrongPart>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub(super) fn with_errors(self, errors: Vec<WrongPart>) -> Self {
        Self { errors, ..self }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        // Values are texts of ours; one that is no header value would only be missed.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(super) fn response(self) -> Response<Bytes> {
        let (code, word, title) = self.kind.row();
        let document = Document {
            kind: format!("{EXPLAINED}{word}"),
            title: title.to_owned(),
            status: code,
            code: word.to_owned(),
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status(code);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if code == 503 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        headers.extend(self.headers);
        response
    }
}

impl From<ringfence_store::Error> for Problem {
    fn from(error: ringfence_store::Error) -> Self {
        use ringfence_store::Error;
        match &error {
            Error::Away { .. } | Error::Conflict { .. } | Error::Buried { .. } => {
                Self::new(Kind::StoreAway, error.to_string())
            }
            _ => {
                tracing::error!(%error, "the API could not answer");
                // What is wrong inside is for the log.
                Self::new(Kind::Fault, "Ringfence failed to do this; its log says why")
            }
        }
    }
}

impl From<NotSeen> for Problem {
    fn from(error: NotSeen) -> Self {
        let kind = match error {
            NotSeen::NoLimit(_) => Kind::NoLimit,
            NotSeen::NoAccount(_) => Kind::NoAccount,
            NotSeen::Cursor => {
                let detail = error.to_string();
                let wrong =
                    WrongPart { pointer: None, parameter: Some("cursor".to_owned()), detail: detail.clone() };
                return Self::new(Kind::InvalidQuery, detail).with_errors(vec![wrong]);
            }
            NotSeen::Store(error) => return error.into(),
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ActRefused> for Problem {
    fn from(error: ActRefused) -> Self {
        let (kind, pointer) = match error {
            ActRefused::NoLimit(_) => (Kind::NoLimit, None),
            ActRefused::NoAccount(_) => (Kind::NoAccount, None),
            ActRefused::OutOfScope { .. } => (Kind::OutOfScope, None),
            ActRefused::Parent(_) => (Kind::ParentAccount, None),
            ActRefused::NotTripped { .. } => (Kind::NotTripped, None),
            ActRefused::Held { .. } => (Kind::Held, None),
            ActRefused::AllowsNothing => (Kind::InvalidBody, Some("#/allow")),
            ActRefused::NoReason => (Kind::InvalidBody, Some("#/reason")),
            ActRefused::Store(error) => return error.into(),
        };
        let detail = error.to_string();
        let wrong = pointer.map(|pointer| WrongPart {
            pointer: Some(pointer.to_owned()),
            parameter: None,
            detail: detail.clone(),
        });
        Self::new(kind, detail).with_errors(wrong.into_iter().collect())
    }
}
