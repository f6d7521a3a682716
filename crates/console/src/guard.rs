//! What a foreign page must not do through somebody's browser, and what every answer says about itself. The page of the
//! demonstration takes both from here.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};

use crate::console::Caller;
use crate::failed::Failed;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The same for a page whose forms lead on to a host of our own configuration.
pub(crate) fn policy_leading_to(host: &str) -> String {
    POLICY.replace("form-action 'self'", &format!("form-action 'self' https://{host}"))
}

/// Refuses what another site caused, and passwords in clear.
pub(crate) fn check(caller: &Caller, request: &Request<Bytes>) -> Result<(), Failed> {
    if !caller.is_https && !caller.address.is_loopback() {
        return Err(Failed::InClear);
    }
    if is_foreign(caller.is_https, request.method(), request.headers()) {
        Err(Failed::Foreign)
    } else {
        Ok(())
    }
}

/// Whether another site caused a request, by what a browser says about who asks. A link to a page may stand anywhere: it
/// opens it and changes nothing. Everything else must come from our own pages; whatever changes something must be said to.
pub fn is_foreign(is_https: bool, method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let is_safe = matches!(*method, Method::GET | Method::HEAD);
    let site = text("sec-fetch-site");
    let origin = headers.get(ORIGIN).map(|origin| is_own(is_https, origin, headers));
    if origin == Some(false) {
        return true;
    }
    match site {
        Some("same-origin") => false,
        // Typed, or from a bookmark; no form is sent so.
        Some("none") => !is_safe,
        Some(_) => {
            let opens =
                text("sec-fetch-mode") == Some("navigate") && text("sec-fetch-dest") == Some("document");
            !(opens && is_safe)
        }
        None => !is_safe && origin.is_none(),
    }
}

/// Whether an `Origin` is this very console.
fn is_own(is_https: bool, origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let scheme = if is_https { "https" } else { "http" };
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), headers.get(HOST).map(HeaderValue::to_str)) else {
        return false;
    };
    origin.split_once("://").is_some_and(|(its_scheme, authority)| {
        its_scheme.eq_ignore_ascii_case(scheme) && authority.eq_ignore_ascii_case(host)
    })
}

/// Puts the headers on that every answer carries: a policy by which nothing runs and nothing is loaded but files of our
/// own, no frames, and nothing that a cache keeps.
pub fn seal(response: &mut Response<Bytes>, is_https: bool) {
    let headers = response.headers_mut();
    for (name, value) in [
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing leaves; with `no-referrer` our own forms would come with the `Origin` null.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    if is_https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const TLS: Caller =
        Caller { address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), is_https: true, told: None };

    fn passes_from(caller: &Caller, method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/").header("host", "console.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(caller, &request.body(Bytes::new()).expect("a request")).is_ok()
    }

    fn passes(method: &str, headers: &[(&str, &str)]) -> bool {
        passes_from(&TLS, method, headers)
    }

    #[test]
    fn what_another_site_caused_is_refused() {
        for headers in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://console.example")],
            &[("origin", "https://console.example:444")],
            &[("origin", "https://console.example.evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://console.example"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!passes("POST", headers), "{headers:?}");
            assert!(!passes("GET", headers), "{headers:?}");
        }
        assert!(!passes("POST", &[]), "a form says where it comes from");
        assert!(!passes("POST", &[("sec-fetch-site", "none")]));
        let framed =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert!(!passes("GET", &framed));
    }

    #[test]
    fn our_own_pages_and_links_to_them_pass() {
        assert!(passes("POST", &[("origin", "https://console.example")]));
        assert!(passes("POST", &[("origin", "HTTPS://Console.example"), ("sec-fetch-site", "same-origin")]));
        assert!(passes("POST", &[("sec-fetch-site", "same-origin")]));
        assert!(passes("GET", &[]) && passes("GET", &[("sec-fetch-site", "none")]));
        let link = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(passes("GET", &link));
        assert!(!passes("POST", &link), "a form elsewhere is no link");
    }

    #[test]
    fn passwords_do_not_travel_in_clear() {
        let caller = |address: [u8; 4], is_https| Caller {
            address: Ipv4Addr::from(address).into(),
            is_https,
            told: None,
        };
        assert!(!passes_from(&caller([192, 0, 2, 1], false), "GET", &[]));
        assert!(passes_from(&caller([192, 0, 2, 1], true), "GET", &[]));
        assert!(passes_from(&caller([127, 0, 0, 1], false), "GET", &[]));
        assert!(passes_from(&caller([127, 0, 0, 1], false), "POST", &[("origin", "http://console.example")]));
    }
}
