//! Passkeys: what a browser is asked, as JSON, and what it answers, as a form.
//!
//! The script of these pages carries the one to the authenticator and the other back, and decides nothing. What is asked
//! is posted for, since it makes a challenge.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Response, StatusCode};
use ringfence_control::people::Refused;
use ringfence_store::{NewPasskey, ShownPasskey, Stage};
use serde_json::{Value, json};

use super::bind::{back, may_bind, passkey_page};
use super::{Door, said};
use crate::failed::Failed;
use crate::form::Fields;
use crate::words;

/// Where passkeys work, as a page tells it.
#[derive(Debug)]
pub(crate) struct Site {
    /// The one address that they are for; none where the configuration has no such address.
    pub(crate) origin: Option<String>,
    /// Whether the page is there.
    pub(crate) is_here: bool,
}

impl Door<'_> {
    /// Where passkeys work, and whether this is it: browsers refuse them anywhere else.
    pub(super) fn site(&self) -> Site {
        let Ok(party) = self.people.relying_party() else { return Site { origin: None, is_here: false } };
        let scheme = if self.caller.is_https { "https" } else { "http" };
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let here = format!("{scheme}://{host}");
        let is_here = party.origin().eq_ignore_ascii_case(&here);
        Site { origin: Some(party.origin().to_owned()), is_here }
    }
}

/// What the browser is asked, to make a passkey.
pub(crate) async fn ask_to_make_passkey(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((_, session)) = &door.session else { return told(&door, &Refused::Over) };
    door.check_csrf()?;
    match door.people.ask_to_make_passkey(session).await {
        Ok(options) => Ok(answered(StatusCode::OK, &options)),
        Err(refused) => told(&door, &refused),
    }
}

/// What the browser is asked, to use one.
pub(crate) async fn ask_for_passkey(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let Some((_, session)) = door.session.as_ref().filter(|(_, session)| session.stage != Stage::Binding)
    else {
        return told(&door, &Refused::Over);
    };
    door.check_csrf()?;
    match door.people.ask_for_passkey(session).await {
        Ok(options) => Ok(answered(StatusCode::OK, &options)),
        Err(refused) => told(&door, &refused),
    }
}

pub(crate) async fn bind_passkey(door: Door<'_>) -> Result<Response<Bytes>, Failed> {
    let session = match may_bind(&door) {
        Ok(session) => session,
        Err(elsewhere) => return Ok(words::redirect(elsewhere)),
    };
    door.check_csrf()?;
    let new = NewPasskey {
        name: door.form.get("name").to_owned(),
        transports: door.form.get("transports").split_whitespace().map(str::to_owned).collect(),
        client_data: bytes(&door.form, "client-data"),
        attestation: bytes(&door.form, "attestation"),
    };
    match door.people.bind_passkey(session, new).await {
        Ok(_) => Ok(back(&door)),
        Err(refused) => passkey_page(&door, session, refused).await,
    }
}

/// What a form says that shows a passkey.
pub(super) fn shown_passkey(form: &Fields) -> ShownPasskey {
    ShownPasskey {
        credential: bytes(form, "credential"),
        client_data: bytes(form, "client-data"),
        authenticator_data: bytes(form, "authenticator-data"),
        signature: bytes(form, "signature"),
        user_handle: form.filled("user-handle").map(|_| bytes(form, "user-handle")),
    }
}

/// What a field has in base64url. What cannot be read is nothing, which is no answer to any challenge.
fn bytes(form: &Fields, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(form.get(name)).unwrap_or_default()
}

/// Why the browser is asked nothing, for the script to tell.
fn told(door: &Door<'_>, refused: &Refused) -> Result<Response<Bytes>, Failed> {
    let status = match refused {
        Refused::Over | Refused::AskAgain => StatusCode::FORBIDDEN,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(answered(status, &json!({ "refused": said(refused, door.now)? })))
}

fn answered(status: StatusCode, json: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(json.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
