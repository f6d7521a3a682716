//! Why there is no answer: problem documents (RFC 9457).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::status;

/// Each problem is explained there, on a page, under its code.
const EXPLAINED: &str = "https://github.com/ringfence/ringfence/blob/main/docs/";

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Document {
    /// Where it is explained.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What it is, in general.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// A word for programs, which never changes.
    pub(crate) code: String,
    /// What it is, in this case.
    pub(crate) detail: String,
    /// The parts of the request that are wrong, where they can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<WrongPart>,
}

/// A part of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct WrongPart {
    /// Where in the body, as a JSON pointer in a URI fragment (`#/limit`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// What is wrong with it.
    pub(crate) detail: String,
}

/// The problems there are. Codes never change: programs compare them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
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
    NotRotated,
    NoSharedKeys,
    /// No SharedKey of the account signs yet, and none is held.
    NoKeySigns,
    NotReplaced,
    TwilioAway,
    NoCredential,
    WrongCredential,
    MayNotManage,
    WrongCode,
    InvalidUser,
    NoSignIn,
    SignInOver,
    NoDevice,
    NoTotp,
    NoHost,
    NoPasskey,
    TooManyPasskeys,
    WrongPasskey,
    NotThisFactor,
    NoCode,
    NoPhone,
    NoChannel,
    CountryNotAllowed,
    LineNotAllowed,
    LookupAway,
    PrefixStopped,
    FactorDisabled,
    TooManyFailures,
    TooManySends,
    SpendingLimit,
    SpendingStopped,
    NoPrice,
    TooSoon,
    TooLarge,
    NotJson,
    InvalidBody,
    Fault,
    NotReady,
    StoreAway,
}

impl Kind {
    /// Status, code and title.
    pub(crate) const fn row(self) -> (u16, &'static str, &'static str) {
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
            Self::NotRotated => (409, "not-rotated", "The auth token cannot be replaced so"),
            Self::NoSharedKeys => (409, "no-shared-keys", "The configuration wants no SharedKeys"),
            Self::NoKeySigns => (409, "no-key-signs", "No SharedKey of the account signs yet"),
            Self::NotReplaced => (409, "not-replaced", "The SharedKey cannot be replaced so"),
            Self::TwilioAway => (503, "twilio-away", "Twilio did not do it, or did not say so"),
            Self::NoCredential => (401, "no-credential", "A credential is needed"),
            Self::WrongCredential => (401, "wrong-credential", "The credential opens nothing"),
            Self::MayNotManage => (403, "may-not-manage", "The credential may not change users"),
            Self::WrongCode => (403, "wrong-code", "The code is wrong"),
            Self::InvalidUser => (400, "invalid-user", "This cannot be what a user is called"),
            Self::NoSignIn => (404, "no-sign-in", "There is no such sign-in of this user"),
            Self::SignInOver => (409, "sign-in-over", "The sign-in is over"),
            Self::NoDevice => (404, "no-device", "There is no such trusted browser"),
            Self::NoTotp => (409, "no-totp", "Nothing waits to be confirmed"),
            Self::NoHost => (409, "no-host", "Passkeys are not for this place"),
            Self::NoPasskey => (404, "no-passkey", "There is no such passkey"),
            Self::TooManyPasskeys => {
                (409, "too-many-passkeys", "The user has as many passkeys as one may have")
            }
            Self::WrongPasskey => (403, "wrong-passkey", "The passkey is not taken"),
            Self::NotThisFactor => (409, "not-this-factor", "The sign-in takes no code of this factor"),
            Self::NoCode => (409, "no-code", "No code waits to be entered"),
            Self::NoPhone => (409, "no-phone", "The sign-in has no phone"),
            Self::NoChannel => (409, "no-channel", "Codes do not go out this way"),
            Self::CountryNotAllowed => (403, "country-not-allowed", "Codes do not go to this number"),
            Self::LineNotAllowed => (403, "line-not-allowed", "Codes do not go to this kind of line"),
            Self::LookupAway => (503, "lookup-away", "The number cannot be looked up"),
            Self::PrefixStopped => (403, "prefix-stopped", "Codes that go there are not entered"),
            Self::FactorDisabled => (403, "factor-disabled", "The factor must be bound anew"),
            Self::TooManyFailures => (429, "too-many-failures", "Too many codes were wrong"),
            Self::TooManySends => (429, "too-many-sends", "Too many codes were sent"),
            Self::SpendingLimit => (429, "spending-limit", "A limit on spending has no room"),
            Self::SpendingStopped => (403, "spending-stopped", "A limit on spending has tripped"),
            Self::NoPrice => (403, "no-price", "Nobody knows what the code would cost"),
            Self::TooSoon => (429, "too-soon", "A code was sent a moment ago"),
            Self::TooLarge => (413, "too-large", "The body is too large"),
            Self::NotJson => (415, "not-json", "The body must be JSON"),
            Self::InvalidBody => (422, "invalid-body", "The body is not what is expected"),
            Self::Fault => (500, "fault", "Ringfence failed"),
            Self::NotReady => (503, "not-ready", "This node does not answer now"),
            Self::StoreAway => (503, "store-away", "The store is away"),
        }
    }
}

impl Kind {
    /// The page that explains it.
    const fn page(self) -> &'static str {
        match self {
            Self::NoCredential
            | Self::WrongCredential
            | Self::MayNotManage
            | Self::WrongCode
            | Self::InvalidUser
            | Self::NoSignIn
            | Self::SignInOver
            | Self::NoDevice
            | Self::NoTotp
            | Self::NoHost
            | Self::NoPasskey
            | Self::TooManyPasskeys
            | Self::WrongPasskey
            | Self::NotThisFactor
            | Self::NoCode
            | Self::NoPhone
            | Self::NoChannel
            | Self::CountryNotAllowed
            | Self::LineNotAllowed
            | Self::LookupAway
            | Self::PrefixStopped
            | Self::FactorDisabled
            | Self::TooManyFailures
            | Self::TooManySends
            | Self::SpendingLimit
            | Self::SpendingStopped
            | Self::NoPrice
            | Self::TooSoon => "second-factor.md",
            _ => "api.md",
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<WrongPart>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn with_errors(self, errors: Vec<WrongPart>) -> Self {
        Self { errors, ..self }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        // Values are texts of ours; one that is no header value would only be missed.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn response(self) -> Response<Bytes> {
        let (code, word, title) = self.kind.row();
        let document = Document {
            kind: format!("{EXPLAINED}{}#{word}", self.kind.page()),
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
