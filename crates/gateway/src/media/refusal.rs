//! Why no file is served.
//!
//! The one idea: whoever has not shown that he may see a file gets one and the same answer, whatever is the matter and
//! whether there is such a file or not. What happened is in the log and the metrics. Who may see it is told in plain words
//! what is wrong at Twilio.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::link::LinkError;
use super::redirect::NotFollowed;
use crate::reason::Reason;

/// Why a request for a file is answered without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It could be read in two ways; the rule that it breaks.
    BadRequest(&'static str),
    /// Neither `GET` nor `HEAD`.
    MethodNotAllowed,
    /// Neither under TLS nor from a proxy that ends it.
    InTheClear,
    /// The path is not that of a file.
    NoFilePath,
    /// Neither a link nor a sign-in.
    NoProof,
    /// The query is not that of a link.
    LinkMalformed,
    /// The link was not made here, or not for this file, or not until then.
    LinkForged,
    /// The link has ended.
    LinkExpired,
    /// What says who is signed in does not come from the console, or not now.
    SignInForged,
    /// Whoever is signed in sees files of another account.
    OtherAccount,
    /// There is no auth token of this account here.
    UnknownAccount,
    /// Too many files are on their way.
    Overloaded,
    /// The store does not answer, and the key of links is not known yet.
    StoreAway,
    /// The running process has no way to Twilio.
    NotReady,
    /// Twilio has no such file.
    NotFound,
    /// Twilio is asked too often.
    Throttled,
    /// Twilio, or where its files are, answers with an error of its own.
    Failed,
    /// Twilio does not take the account's credentials.
    CredentialsRefused,
    /// No connection, or one that broke.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// A redirect that is not followed.
    Redirect(NotFollowed),
    /// The file is larger than what is passed on.
    TooLarge,
    /// An answer that is no file.
    Unusable,
}

impl Refusal {
    /// Its name in the log and in metrics, which never changes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::InTheClear => "in_the_clear",
            Self::NoFilePath => "no_file_path",
            Self::NoProof => "no_proof",
            Self::LinkMalformed => "link_malformed",
            Self::LinkForged => "link_forged",
            Self::LinkExpired => "link_expired",
            Self::SignInForged => "sign_in_forged",
            Self::OtherAccount => "other_account",
            Self::UnknownAccount => "unknown_account",
            Self::Overloaded => "overloaded",
            Self::StoreAway => "store_away",
            Self::NotReady => "not_ready",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::CredentialsRefused => "credentials_refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Redirect(_) => "redirect_refused",
            Self::TooLarge => "too_large",
            Self::Unusable => "unusable_answer",
        }
    }

    /// What is wrong more closely, for the log.
    pub(crate) fn detail(self) -> Option<String> {
        match self {
            Self::BadRequest(rule) => Some(rule.to_owned()),
            Self::Redirect(why) => Some(why.to_string()),
            _ => None,
        }
    }

    /// Whether the operator has to do something about it.
    pub(crate) fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::StoreAway
                | Self::NotReady
                | Self::CredentialsRefused
                | Self::Failed
                | Self::Unreachable
                | Self::TimedOut
                | Self::Redirect(_)
                | Self::TooLarge
                | Self::Unusable
        )
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::InTheClear
            | Self::NoFilePath
            | Self::NoProof
            | Self::LinkMalformed
            | Self::LinkForged
            | Self::LinkExpired
            | Self::SignInForged
            | Self::OtherAccount
            | Self::UnknownAccount => StatusCode::FORBIDDEN,
            Self::Overloaded | Self::StoreAway | Self::NotReady | Self::Throttled => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::CredentialsRefused
            | Self::Failed
            | Self::Unreachable
            | Self::Redirect(_)
            | Self::TooLarge
            | Self::Unusable => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What the caller reads.
    fn words(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "this request can be read in two ways\n",
            Self::MethodNotAllowed => "files are only read here\n",
            Self::Overloaded => "too many files are on their way; try again in a moment\n",
            Self::StoreAway | Self::NotReady => "this is not ready yet; try again in a moment\n",
            Self::NotFound => "Twilio has no such file, or not any more\n",
            Self::Throttled => "Twilio is asked too often at the moment; try again soon\n",
            Self::CredentialsRefused => {
                "Twilio does not give this file out to its account; the log of Ringfence says more\n"
            }
            Self::Failed => "Twilio answered with an error of its own; try again in a moment\n",
            Self::Unreachable => "Twilio could not be reached, or broke off\n",
            Self::TimedOut => "Twilio did not answer in time\n",
            Self::Redirect(_) => "Twilio sends on to where Ringfence does not follow; its log says more\n",
            Self::TooLarge => "this file is larger than Ringfence passes on\n",
            Self::Unusable => "Twilio's answer is no file\n",
            _ => NOT_YOURS,
        }
    }

    /// The answer.
    pub(crate) fn answer(self) -> Response<Bytes> {
        let words = self.words();
        let mut response = Response::new(Bytes::from_static(words.as_bytes()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(words.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        headers
            .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        match self {
            Self::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Overloaded | Self::StoreAway | Self::NotReady | Self::Throttled => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

/// The one answer to who has not shown that he may see a file.
const NOT_YOURS: &str = "this link is not good, or not any more, and nobody is signed in who may see this\n";

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Malformed => Self::LinkMalformed,
            LinkError::Forged => Self::LinkForged,
            LinkError::Expired => Self::LinkExpired,
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::BadRequest(rule) => Self::BadRequest(rule),
            _ => Self::BadRequest("malformed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_see_a_file_gets_one_answer_whatever_is_the_matter() {
        let shown = |refusal: Refusal| {
            let answer = refusal.answer();
            (answer.status(), answer.headers().clone(), answer.into_body())
        };
        let one = shown(Refusal::NoProof);
        assert_eq!(one.0, StatusCode::FORBIDDEN);
        for refusal in [
            Refusal::InTheClear,
            Refusal::NoFilePath,
            Refusal::LinkMalformed,
            Refusal::LinkForged,
            Refusal::LinkExpired,
            Refusal::SignInForged,
            Refusal::OtherAccount,
            Refusal::UnknownAccount,
        ] {
            assert_eq!(shown(refusal), one, "{refusal:?}");
        }
    }
}
