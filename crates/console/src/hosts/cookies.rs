//! Cookies of protected hosts. Each is of the very host, over TLS, for every path (RFC 6265bis, 4.1.3.2): no neighbour
//! below the same domain can plant one. The application behind the proxy sees them, and they open nothing but itself.

use http::{HeaderMap, HeaderValue};
use ringfence_model::Secret;

use crate::cookies;

/// The session of the host, kept until the browser is closed.
pub(crate) const SESSION: Cookie = Cookie { name: "__Host-ringfence-session", seconds: None };

/// What binds the way through the console's sign-in to this browser.
pub(crate) const BEGAN: Cookie = Cookie { name: "__Host-ringfence-began", seconds: Some(1_800) };

/// One of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookie {
    name: &'static str,
    seconds: Option<u32>,
}

impl Cookie {
    /// What the browser sends, if it is of the form that we gave out.
    pub(crate) fn sent(self, headers: &HeaderMap) -> Option<Secret> {
        let mut found = cookies::sent(headers).filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        let first = found.next()?;
        let is_ours = first.len() == 64 && first.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Two of one name: one of them is somebody else's.
        if found.next().is_some() || !is_ours { None } else { Some(Secret::new(first)) }
    }

    pub(crate) fn set(self, secret: &Secret) -> Option<HeaderValue> {
        let lasts = self.seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let text =
            format!("{}={}; Path=/; Secure; HttpOnly; SameSite=Lax{lasts}", self.name, secret.expose());
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(crate) fn forget(self) -> Option<HeaderValue> {
        let text = format!("{}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0", self.name);
        HeaderValue::from_str(&text).ok()
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn sent(cookies: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).expect("a value"));
        SESSION.sent(&headers).map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn what_is_not_ours_or_there_twice_is_no_cookie() {
        let good = "a".repeat(64);
        assert_eq!(sent(&format!("x=y; __Host-ringfence-session={good}")).as_deref(), Some(&*good));
        assert_eq!(sent(&format!("name=Zoë; __Host-ringfence-session={good}")).as_deref(), Some(&*good));
        for cookies in [
            String::new(),
            format!("\u{2000}__Host-ringfence-session={good}"),
            "__Host-ringfence-session=".to_owned(),
            format!("__Host-ringfence-session={}", &good[1..]),
            format!("__Host-ringfence-session={}g", &good[1..]),
            format!("__Host-ringfence-session={good}; __Host-ringfence-session={good}"),
            format!("ringfence-session={good}"),
            format!("__Host-ringfence={good}"),
            format!("__Host-ringfence-began={good}"),
        ] {
            assert_eq!(sent(&cookies), None, "{cookies}");
        }
    }

    #[test]
    fn what_is_set_is_for_the_very_host_and_no_script() {
        let secret = Secret::new("0".repeat(64));
        for cookie in [SESSION, BEGAN] {
            for value in [cookie.set(&secret), cookie.forget()] {
                let value = value.expect("a value");
                let text = value.to_str().expect("a text");
                assert!(
                    text.starts_with("__Host-") && text.contains("; Path=/; Secure; HttpOnly; SameSite=Lax")
                );
                assert!(!text.contains("Domain"), "{text}");
            }
        }
    }
}
