//! Cookies that a browser keeps for long: of trusted devices, one for each person and account, and the marks by which
//! people's own attempts are told from strangers', one for each person. Each is named by what it begins with.

use http::{HeaderMap, HeaderValue};
use jiff::SignedDuration;
use ringfence_control::people::MARKS_BEGIN;
use ringfence_model::Secret;

use crate::cookies;

const UNDER_TLS: &str = "__Host-ringfence-";
const ON_LOOPBACK: &str = "ringfence-";

/// For as long as browsers keep anything (RFC 6265bis, 5.5).
pub(crate) const MARKED_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

fn prefix(is_https: bool) -> &'static str {
    if is_https { UNDER_TLS } else { ON_LOOPBACK }
}

/// The secrets of trusted devices that the browser sends: all, however many people it belongs to, as long as they fit a
/// head. Which of them are whose is known where the person is.
pub(crate) fn devices(headers: &HeaderMap, is_https: bool) -> Vec<Secret> {
    sent(headers, is_https, "dv_")
}

/// The marks that the browser sends.
pub(crate) fn marks(headers: &HeaderMap, is_https: bool) -> Vec<Secret> {
    sent(headers, is_https, MARKS_BEGIN)
}

fn sent(headers: &HeaderMap, is_https: bool, begins: &str) -> Vec<Secret> {
    let of_this_kind = |(name, value): (&str, &str)| {
        let id = name.strip_prefix(prefix(is_https)).filter(|id| id.starts_with(begins))?;
        (value.split('.').next() == Some(id)).then(|| Secret::new(value))
    };
    cookies::sent(headers).filter_map(of_this_kind).collect()
}

/// Has the browser keep a secret or a mark for so long.
pub(super) fn set(secret: &Secret, keep_for: SignedDuration, is_https: bool) -> Option<HeaderValue> {
    let id = secret.expose().split('.').next()?;
    let secure = if is_https { "; Secure" } else { "" };
    let text = format!(
        "{}{id}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}",
        prefix(is_https),
        secret.expose(),
        keep_for.as_secs(),
    );
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    fn sent_of(cookies: &str, is_https: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).expect("a value"));
        devices(&headers, is_https).iter().map(|secret| secret.expose().to_owned()).collect()
    }

    #[test]
    fn what_is_no_device_of_this_kind_is_not_sent_on() {
        let cookies =
            "ringfence=a; ringfence-dv_1=dv_2.x; ringfence-xx_1=xx_1.x; __Host-ringfence-dv_3=dv_3.x";
        assert_eq!(sent_of(cookies, false), [""; 0]);
    }

    #[test]
    fn the_newest_of_many_devices_is_sent_on_too() {
        let many: Vec<String> = (0..40).map(|id| format!("ringfence-dv_{id}=dv_{id}.x")).collect();
        assert_eq!(sent_of(&many.join("; "), false).last().map(String::as_str), Some("dv_39.x"));
    }

    #[test]
    fn a_mark_is_no_device() {
        let mut headers = HeaderMap::new();
        let cookies = "ringfence-bm_1=bm_1.x.y; ringfence-dv_1=dv_1.x; ringfence-bm_2=bm_1.x.y";
        headers.insert(COOKIE, HeaderValue::from_static(cookies));
        let texts = |secrets: Vec<Secret>| -> Vec<String> {
            secrets.iter().map(|secret| secret.expose().to_owned()).collect()
        };
        assert_eq!(texts(marks(&headers, false)), ["bm_1.x.y"]);
        assert_eq!(texts(devices(&headers, false)), ["dv_1.x"]);
    }

    #[test]
    fn what_was_set_is_what_is_sent() {
        for is_https in [true, false] {
            let secret = Secret::new("dv_01.23");
            let set = set(&secret, SignedDuration::from_hours(720), is_https).expect("a value");
            let text = set.to_str().expect("a text");
            assert!(text.contains("; HttpOnly; SameSite=Lax; Max-Age=2592000"), "{text}");
            assert_eq!(text.contains("Secure"), is_https);
            let pair = text.split(';').next().expect("a pair");
            assert_eq!(sent_of(&format!("x=y; {pair}"), is_https), ["dv_01.23"]);
            assert_eq!(sent_of(&format!("name=Zoë; {pair}"), is_https), ["dv_01.23"]);
        }
    }
}
