//! Who asks, here and at [`crate::user_api`]: HTTP Basic with a credential of an application, as Twilio's libraries send it.
//!
//! The user name is the credential's own SID (`SK…`), as of an API key, or the SID of the account that codes go out from,
//! as of an auth token: so both ways to make a client of Twilio's libraries work. A credential that is unknown, expired,
//! revoked or of another kind gets one and the same answer.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ringfence_model::{Secret, Sid};
use ringfence_store::Credential;

use crate::second_factor::{Application, SecondFactor};

/// The kind of credential that opens this API.
pub const KIND: &str = "verify";

/// What lets an application approve a verification on its own word.
pub const MAY_APPROVE: &str = "approve";

/// A user name and a password, as they were sent.
pub(crate) struct Password {
    user: String,
    secret: Secret,
}

/// Who asks, and for which application.
pub(crate) struct Caller {
    pub(crate) credential: Credential,
    pub(crate) application: Application,
}

impl Caller {
    pub(crate) fn may(&self, scope: &str) -> bool {
        self.credential.scopes.iter().any(|it| it == scope)
    }
}

/// What the head of a request says of who sent it. Two answers to that are none.
pub(crate) fn basic(headers: &HeaderMap) -> Option<Password> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    let encoded = scheme.eq_ignore_ascii_case("basic").then(|| encoded.trim_matches(' '))?;
    let bytes = zeroize::Zeroizing::new(BASE64.decode(encoded).ok()?);
    let (user, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    let password = Password { user: user.to_owned(), secret: Secret::new(secret) };
    Some(password).filter(|password| !password.secret.is_empty())
}

/// Who this is; `None` for all that is not good alike.
pub(crate) async fn admit(
    factor: SecondFactor<'_>,
    password: &Password,
    peer: IpAddr,
) -> ringfence_store::Result<Option<Caller>> {
    let store = factor.store();
    let found = store.find_credential(KIND, &password.secret, factor.now()).await?;
    let named = Sid::parse(&password.user).ok();
    let found = found.filter(|credential| {
        named.is_some_and(|named| named == credential.sid || named == factor.settings().account)
    });
    let application = match found.as_ref().and_then(|credential| credential.application) {
        Some(application) => store.find_application(application).await?,
        None => None,
    };
    let (Some(credential), Some(application)) = (found, application) else {
        tracing::warn!(%peer, "a request to the second factor has credentials that are unknown, expired or revoked");
        return Ok(None);
    };
    Ok(Some(Caller { credential, application: Application::read(application)? }))
}
