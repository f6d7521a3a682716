//! A webhook as it is shown, in JSON and on pages: what was sent, what was signed, what came back, and what is wrong.

use jiff::Timestamp;
use serde::Serialize;

use crate::world::webhooks::{Delivery, DeliveryState, FailureKind, Forgery, SignedRequest, Try, TryResult};

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

impl Attempt {
    pub(super) fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// In a word or two: `200`, `timeout`.
    pub(super) fn outcome(&self) -> String {
        match (self.status, self.failure) {
            (Some(status), _) => status.to_string(),
            (None, Some(FailureKind::BadUrl)) => "bad URL".to_owned(),
            (None, Some(FailureKind::Connect)) => "no connection".to_owned(),
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

fn forgery_name(forgery: Option<Forgery>) -> &'static str {
    match forgery {
        None => "genuine",
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
        body: None,
        failure: None,
        detail: None,
        error_code: None,
    };
    match &tried.result {
        TryResult::Answered { status, content_type, body } => {
            attempt.status = Some(*status);
            attempt.content_type = Some(content_type.clone());
            attempt.body = Some(String::from_utf8_lossy(body).into_owned());
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
        TryResult::Answered { status: 200..=299, .. } if delivery.forgery.is_some() => {
            "The application took a forged webhook for a genuine one.".to_owned()
        }
        TryResult::Answered { status: 200..=299, .. } => return None,
        TryResult::Answered { status: 400..=499, .. } if delivery.forgery.is_some() => return None,
        TryResult::Answered { status: status @ (401 | 403), .. } => format!(
            "The application refused it with {status}. The signature is genuine: does the application compute it \
             over the URL as it was signed, and with this account's auth token?"
        ),
        TryResult::Answered { status: 404, .. } => {
            "The application answered 404: it has nothing at this path and method.".to_owned()
        }
        TryResult::Answered { status: status @ 300..=399, .. } => {
            format!("The application answered {status}; the sandbox follows no redirects.")
        }
        TryResult::Answered { status, .. } => {
            format!("The application answered {status}; only a 2xx counts.")
        }
        TryResult::Failed { kind: FailureKind::BadUrl, detail } => {
            format!("The URL cannot be asked: {detail}.")
        }
        TryResult::Failed { kind: FailureKind::Connect, detail } => {
            format!("No connection: {detail}. Does the application listen there?")
        }
        TryResult::Failed { kind: FailureKind::Tls, detail } => format!(
            "TLS failed: {detail}. Twilio refuses such certificates too; to allow them here, start with \
             --webhook-ca, or set verify_certificates to false."
        ),
        TryResult::Failed { kind: FailureKind::Timeout, detail } => format!("Too slow: {detail}."),
        TryResult::Failed { kind: FailureKind::Broken, detail } => format!("The answer broke off: {detail}."),
    };
    Some(text)
}
