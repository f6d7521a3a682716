//! Who may use the control API and the phones: anybody on this machine, but no web page.
//!
//! The sandbox asks nobody for a password, and it can send signed webhooks. A page on the web that somebody has open
//! must not be able to use it through his browser: neither by posting to it from elsewhere (the browser says so in
//! `Origin` and `Sec-Fetch-Site`), nor under a name of its own that it lets point to 127.0.0.1 (`Host` says so), nor
//! by showing it in a frame.

use std::net::IpAddr;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};

use super::Body;
use super::problem::Problem;
use crate::api::{Product, shortened};

/// Everything of ours is below it; nothing of Twilio's is.
pub(super) const PREFIX: &str = "/_sandbox";

/// Whether a request is for the control API or the phones, and not for Twilio's.
pub(super) fn is_ours<B>(request: &Request<B>) -> bool {
    let below = request.uri().path().strip_prefix(PREFIX);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && host(request).is_none_or(|host| Product::of_host(host).is_none())
}

/// The root, asked for by this sandbox's own address: where a person begins who has only that.
pub(super) fn is_front_door<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && request.uri().path() == "/"
        && host(request).is_none_or(|host| Product::of_host(host).is_none())
}

/// Refuses what a foreign page could have caused.
pub(super) fn check<B>(host_names: &[String], request: &Request<B>) -> Result<(), Problem> {
    let Some(host) = host(request) else {
        return Err(Problem::bad_request("the request has no Host"));
    };
    if !is_own_name(host_names, host) {
        return Err(Problem::forbidden(format!("{} is no name of this sandbox", shortened(host))).hint(
            "ask for it by address or as localhost; `ringfence sandbox --host-name NAME` allows another name",
        ));
    }
    if is_foreign(host, request.method(), request.headers()) {
        return Err(Problem::forbidden("a page of another origin has no business here").hint(
            "use the phones that the sandbox serves itself; a test calls the control API from its own process, \
             not from a page in the browser",
        ));
    }
    Ok(())
}

/// Headers that every answer of ours carries.
pub(super) fn seal(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src * data:; \
             media-src *; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// In a whole URL the name there counts, else the `Host` (RFC 9112, section 3.2.2).
fn host<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(HOST)?.to_str().ok(),
    }
}

/// An address, or a name that nobody on the web can own: without a dot, or below a name that is reserved for private
/// use (RFC 6761, RFC 2606, and ICANN's `.internal`).
fn is_own_name(host_names: &[String], host: &str) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let is_private = [".localhost", ".internal", ".test"].iter().any(|end| name.ends_with(end));
    let is_bare = !name.is_empty() && !name.contains('.');
    is_address || is_private || is_bare || host_names.iter().any(|own| own.eq_ignore_ascii_case(&name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// What a browser says about who asks. Clients that are no browsers say nothing.
fn is_foreign(host: &str, method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match text("sec-fetch-site") {
        Some("same-origin" | "none") => false,
        // A link to the phones may stand anywhere; it opens them and changes nothing.
        Some(_) => {
            let opens =
                text("sec-fetch-mode") == Some("navigate") && text("sec-fetch-dest") == Some("document");
            !(opens && matches!(*method, Method::GET | Method::HEAD))
        }
        None => headers.get(ORIGIN).is_some_and(|origin| {
            let origin = origin.to_str().unwrap_or("");
            !origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).uri("/_sandbox/clock");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn passes(method: &str, headers: &[(&str, &str)]) -> bool {
        check(&["sandbox.example.com".to_owned()], &request(method, headers)).is_ok()
    }

    #[test]
    fn a_name_that_somebody_could_point_here_is_refused() {
        for host in
            ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "", "evil.example:4010", "1.2.3"]
        {
            assert!(!passes("GET", &[("host", host)]), "{host}");
        }
        assert!(!passes("GET", &[]));
    }

    #[test]
    fn addresses_and_private_names_are_its_own() {
        for host in [
            "127.0.0.1:4010",
            "127.0.0.1",
            "[::1]:4010",
            "[::1]",
            "localhost:4010",
            "LocalHost",
            "sandbox:4010",
            "host.docker.internal:4010",
            "twilio.test",
            "sandbox.example.com:4010",
        ] {
            assert!(passes("POST", &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn another_origin_is_refused() {
        let host = ("host", "localhost:4010");
        for headers in [
            [host, ("origin", "https://evil.example")],
            [host, ("origin", "http://localhost:3000")],
            [host, ("origin", "null")],
            [host, ("sec-fetch-site", "cross-site")],
            [host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!passes("POST", &headers), "{headers:?}");
            assert!(!passes("GET", &headers), "{headers:?}");
        }
        let framed = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
        ];
        assert!(!passes("GET", &framed));
    }

    #[test]
    fn its_own_pages_and_links_to_them_pass() {
        let host = ("host", "localhost:4010");
        assert!(passes("POST", &[host, ("origin", "http://localhost:4010")]));
        assert!(passes("POST", &[host, ("sec-fetch-site", "same-origin")]));
        let link = [
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
        ];
        assert!(passes("GET", &link));
        assert!(!passes("POST", &link), "a form elsewhere must not post to it");
    }

    #[test]
    fn paths_of_twilio_are_not_ours() {
        let at = |path: &str, host: &str| {
            is_ours(&Request::builder().uri(path).header("host", host).body(()).unwrap())
        };
        assert!(at("/_sandbox", "localhost") && at("/_sandbox/x", "localhost"));
        assert!(!at("/_sandboxes", "localhost") && !at("/2010-04-01/_sandbox/", "localhost"));
        assert!(!at("/_sandbox/", "api.twilio.com"));
    }
}
