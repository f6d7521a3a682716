//! Who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderValue;
use ringfence_model::{Secret, Sid};

/// A user name and a password for Twilio's API.
///
/// An account's SID and auth token may do everything that the account may; those of a parent also reach its
/// subaccounts, but only on `api.twilio.com`: for auth tokens, geo permissions and prices of a subaccount its own are
/// needed. A standard API key reaches neither accounts nor keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Sid,
    password: Secret,
}

impl Credentials {
    /// An account's SID (`AC…`) and one of its auth tokens, primary or secondary.
    pub fn auth_token(account: Sid, auth_token: Secret) -> Self {
        Self { user: account, password: auth_token }
    }

    /// An API key's SID (`SK…`) and its secret.
    pub fn api_key(key: Sid, secret: Secret) -> Self {
        Self { user: key, password: secret }
    }

    /// The user name: an account or an API key.
    pub fn user(&self) -> Sid {
        self.user
    }

    /// The header that tells them. Its `Debug` does not.
    pub(super) fn authorization(&self) -> HeaderValue {
        let encoded = Secret::new(BASE64.encode(format!("{}:{}", self.user, self.password.expose())));
        let mut header = HeaderValue::try_from(format!("Basic {}", encoded.expose()))
            .expect("the alphabet of Base64 may stand in a header");
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_sent_and_not_shown() {
        let account = Sid::new(*b"AC", 1);
        let credentials = Credentials::auth_token(account, Secret::new("token: ü"));
        let header = credentials.authorization();
        let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(BASE64.decode(encoded).unwrap(), format!("{account}:token: ü").into_bytes());
        assert_eq!(format!("{header:?}"), "Sensitive");
        assert_eq!(
            format!("{credentials:?}"),
            format!("Credentials {{ user: {account}, password: Secret(…) }}")
        );
    }
}
