//! A webhook as it is shown, in JSON and on pages: what was sent, what was signed, what came back, and what is wrong.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::shortened;
use crate::world::webhooks::{
    Answer, Delivery, DeliveryState, FailureKind, Forgery, SignedRequest, Try, TryResult,
};

/// A delivery.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    pub(super) sid: String,
    pub(super) at: Timestamp,
    pub(super) account: String,
    pub(super) kind: &'static str,
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) state: &'static str,
    /// `genuine`, or what is wrong with it on demand.
    pub(super) signature_is: &'static str,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
    pub(super) params: Vec<(String, String)>,
    pub(super) request: Option<Request>,
    pub(super) tries: Vec<Attempt>,
}

/// What left last.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
    pub(super) signature: Option<String>,
    /// The URL as it was signed.
    pub(super) signed_url: String,
    /// What the signature is made of.
    pub(super) string_to_sign: String,
}

/// One try.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Attempt {
    pub(super) at: Timestamp,
    pub(super) url: String,
    pub(super) took_ms: u64,
    /// Credentials of the URL were sent after a 401.
    pub(super) sent_credentials: bool,
    pub(super) status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    /// Where the application sent us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<FailureKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    /// Twilio's code for it, where it is no success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_code: Option<u32>,
}

impl Shown {
    pub(super) fn is_forged(&self) -> bool {
        self.signature_is != GENUINE
    }

    /// The application refused a forged webhook.
    pub(super) fn is_repelled(&self) -> bool {
        let is_refused = |attempt: &Attempt| attempt.status.is_some_and(|it| (400..500).contains(&it));
        self.is_forged() && self.tries.last().is_some_and(is_refused)
    }

    /// In a few words, what it tells: who, and what of it.
    pub(super) fn about(&self) -> String {
        let param = |wanted: &str| {
            let found = self.params.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let who = match (param("From"), param("To")) {
            (Some(from), Some(to)) => Some(format!("{from} → {to}")),
            _ => None,
        };
        let what = match param("Body") {
            Some(body) if self.kind != "message-status" => Some(shortened(body)),
            _ => {
                ["Digits", "SpeechResult", "MessageStatus", "CallStatus", "RecordingStatus", "UsageCategory"]
                    .iter()
                    .find_map(|name| param(name).map(shortened))
            }
        };
        who.into_iter().chain(what).collect::<Vec<_>>().join(" · ")
    }

    /// In a word, how it ended, with the name of the pill that shows it.
    pub(super) fn verdict(&self) -> (&'static str, &'static str) {
        match self.state {
            "done" if self.is_forged() => ("taken", "failed"),
            _ if self.is_repelled() => ("refused", "done"),
            state => (state, state),
        }
    }

    /// What the signature is made of and with, in a sentence.
    pub(super) fn how_signed(&self) -> String {
        let with = match self.signature_is {
            GENUINE => "the account's auth token",
            "of another account" => "the auth token of another account",
            "made with a wrong token" => "a token that is no account's",
            _ => "the auth token",
        };
        let what = match self.method {
            "GET" => "The URL with its query",
            _ => "The URL, then each parameter of the form, sorted by name, without anything between",
        };
        format!("{what}: HMAC-SHA1 with {with}, in base64.")
    }

    /// It ended as it should: a genuine one was taken, a forged one refused.
    pub(super) fn went_well(&self) -> bool {
        if self.is_forged() { self.is_repelled() } else { self.tries.last().is_some_and(Attempt::is_good) }
    }
}

impl Attempt {
    pub(super) fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// In a word or two: `200`, `timeout`.
    pub(super) fn outcome(&self) -> String {
        match (self.status, self.failure) {
            (Some(status), _) => status.to_string(),
            (None, Some(FailureKind::BadUrl)) => "bad URL".to_owned(),
            (None, Some(FailureKind::Host)) => "unknown host".to_owned(),
            (None, Some(FailureKind::Connect)) => "no connection".to_owned(),
            (None, Some(FailureKind::Certificate)) => "certificate refused".to_owned(),
            (None, Some(FailureKind::Tls)) => "TLS failed".to_owned(),
            (None, Some(FailureKind::Timeout)) => "timed out".to_owned(),
            (None, Some(FailureKind::Broken) | None) => "broke off".to_owned(),
        }
    }
}

/// Makes a delivery ready to be shown.
pub(super) fn show(delivery: &Delivery) -> Shown {
    Shown {
        sid: delivery.sid.to_string(),
        at: delivery.at,
        account: delivery.webhook.account.to_string(),
        kind: delivery.webhook.kind,
        method: delivery.webhook.target.method.as_str(),
        url: delivery.webhook.target.url.clone(),
        state: state_name(delivery.state),
        signature_is: forgery_name(delivery.forgery),
        problem: problem(delivery),
        params: delivery.params().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        request: delivery.request.as_ref().map(request),
        tries: delivery.tries.iter().map(attempt).collect(),
    }
}

pub(super) fn state_name(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Done => "done",
        DeliveryState::Failed => "failed",
        DeliveryState::Lost => "lost",
    }
}

/// What a webhook is that nobody forged.
const GENUINE: &str = "genuine";

fn forgery_name(forgery: Option<Forgery>) -> &'static str {
    match forgery {
        None => GENUINE,
        Some(Forgery::NoSignature) => "missing",
        Some(Forgery::WrongToken) => "made with a wrong token",
        Some(Forgery::ChangedBody) => "of other parameters",
        Some(Forgery::OtherAccount(_)) => "of another account",
    }
}

fn request(request: &SignedRequest) -> Request {
    Request {
        method: request.method.as_str(),
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: String::from_utf8_lossy(&request.body).into_owned(),
        signature: request.signature().map(str::to_owned),
        signed_url: request.signed_url.clone(),
        string_to_sign: request.string_to_sign(),
    }
}

fn attempt(tried: &Try) -> Attempt {
    let mut attempt = Attempt {
        at: tried.at,
        url: tried.url.clone(),
        took_ms: tried.took_ms,
        sent_credentials: tried.sent_credentials,
        status: None,
        content_type: None,
        location: None,
        body: None,
        failure: None,
        detail: None,
        error_code: None,
    };
    match &tried.result {
        TryResult::Answered(answer) => {
            attempt.status = Some(answer.status);
            attempt.content_type = Some(answer.content_type.clone());
            attempt.location.clone_from(&answer.location);
            attempt.body = Some(String::from_utf8_lossy(&answer.body).into_owned());
        }
        TryResult::Failed { kind, detail } => {
            attempt.failure = Some(*kind);
            attempt.detail = Some(detail.clone());
        }
    }
    if !attempt.is_good() {
        attempt.error_code = Some(tried.result.code());
    }
    attempt
}

/// What the sandbox knows of why a webhook did not go well. A forged one that was refused went well.
fn problem(delivery: &Delivery) -> Option<String> {
    if delivery.state == DeliveryState::Lost {
        return Some("It was lost on demand and never left.".to_owned());
    }
    let last = delivery.tries.last()?;
    let text = match &last.result {
        TryResult::Answered(Answer { status: 200..=299, .. }) if delivery.forgery.is_some() => {
            "The application took a forged webhook for a genuine one.".to_owned()
        }
        TryResult::Answered(Answer { status: 200..=299, .. }) => return None,
        TryResult::Answered(Answer { status: 400..=499, .. }) if delivery.forgery.is_some() => return None,
        TryResult::Answered(Answer { status: status @ (401 | 403), .. }) => format!(
            "The application refused it with {status}. The signature is genuine: does the application compute it \
             over the URL as it was signed, and with this account's auth token?"
        ),
        TryResult::Answered(Answer { status: 404, .. }) => {
            "The application answered 404: it has nothing at this path and method.".to_owned()
        }
        TryResult::Answered(Answer { status: status @ 300..=399, .. }) => {
            let why = if last.result.code() == 11215 {
                "again, after too many redirects"
            } else {
                "which is followed only with 301, 302, 303 or 307 and a Location"
            };
            format!("The application answered {status}, {why}.")
        }
        TryResult::Answered(Answer { status, .. }) => {
            format!("The application answered {status}; only a 2xx counts.")
        }
        TryResult::Failed { kind: FailureKind::BadUrl, detail } => {
            format!("The URL cannot be asked: {detail}.")
        }
        TryResult::Failed { kind: FailureKind::Host, detail } => {
            format!("The host is not known: {detail}.")
        }
        TryResult::Failed { kind: FailureKind::Connect, detail } => {
            format!("No connection: {detail}. Does the application listen at this host and port?")
        }
        TryResult::Failed { kind: FailureKind::Tls, detail } => {
            format!("TLS failed: {detail}. Does the application speak HTTPS at this port?")
        }
        TryResult::Failed { kind: FailureKind::Certificate, detail } => format!(
            "The certificate was refused: {detail}. Twilio refuses such certificates too; to allow them here, start with \
             --webhook-ca, or set verify_certificates to false."
        ),
        TryResult::Failed { kind: FailureKind::Timeout, detail } => format!("Too slow: {detail}."),
        TryResult::Failed { kind: FailureKind::Broken, detail } => format!("The answer broke off: {detail}."),
    };
    Some(text)
}
