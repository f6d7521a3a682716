//! Strict HTTP, before anything else: rules that keep the gate and an upstream from reading one request in two
//! ways. hyper has parsed the wire; these are the things it lets pass (two `Host` fields, none, an
//! absolute-form target that names another host) and that a gateway must not.
//!
//! Sources: RFC 9112 section 3.2 (Host), RFC 9110 section 7.2, RFC 6455 section 4.1 (WebSocket handshake).

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Request, Version};
use ringfence_signature::{SETTINGS_HEADER, SIGNATURE_HEADER};

use crate::forwarded::check_forwarding_headers;
use crate::reason::Reason;

/// `X-Twilio-Signature`.
pub(crate) const SIGNATURE: HeaderName = HeaderName::from_static(SIGNATURE_HEADER);
/// `X-Twilio-Webhooks-Signature-Settings`.
pub(crate) const SETTINGS: HeaderName = HeaderName::from_static(SETTINGS_HEADER);

/// What the rules found in a request head that keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// The one authority the request names, as sent, with its port.
    pub(crate) authority: &'a str,
    /// The origin-form target: path and query, byte for byte.
    pub(crate) target: &'a str,
    /// Whether it opens a WebSocket.
    pub(crate) websocket: bool,
}

/// Checks the head of a webhook.
pub(crate) fn check_webhook(parts: &Parts) -> Result<Head<'_>, Reason> {
    Ok(Head { websocket: is_websocket(parts)?, ..check(parts)? })
}

/// Checks any request head; whether it opens a WebSocket is not asked.
pub(crate) fn check(parts: &Parts) -> Result<Head<'_>, Reason> {
    check_content(&parts.headers)?;
    check_without_body(parts)
}

/// The same for a request that has no body, so that it means nothing what is said of one: a proxy that asks about a request
/// leaves the body out and the words about it in.
pub(crate) fn check_without_body(parts: &Parts) -> Result<Head<'_>, Reason> {
    check_repeats(&parts.headers)?;
    check_forwarding_headers(&parts.headers).map_err(|refusal| Reason::BadRequest(refusal.as_str()))?;
    let target = target(parts);
    if !target.starts_with('/') {
        return Err(Reason::BadRequest("target_not_a_path"));
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reason::BadRequest("target_not_ascii"));
    }
    Ok(Head { authority: authority(parts)?, target, websocket: false })
}

/// The origin-form target of a request, byte for byte; empty where there is none.
pub(crate) fn target(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("", |target| target.as_str())
}

/// Whether another reader could see another end of the body than hyper did, which takes `Transfer-Encoding: x, chunked` for
/// chunked. Whatever follows on such a connection may be nobody's request (RFC 9112, 6.1 and 11.2). The rest hyper sees to:
/// a length beside chunks ends the connection after them, two lengths that differ are refused.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Reason> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_doubtful =
        codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
            || codings.next().is_some();
    if is_doubtful { Err(Reason::BadRequest("transfer_coding")) } else { Ok(()) }
}

/// Whether a request is the last of its connection: one in chunks is. hyper reads their trailers to an empty line with both
/// its bytes, but takes a bare feed for one within them, and drops what is between: a head that whoever forwarded it sees
/// there. Who sends lengths, as Twilio and its libraries do, keeps the connection.
pub(crate) fn is_last<B>(request: &Request<B>) -> bool {
    request.version() < Version::HTTP_2 && request.headers().contains_key(TRANSFER_ENCODING)
}

/// Whether the head of a request has more bytes than these. hyper looks only while a head is incomplete: one that comes in few
/// pieces may have nearly twice as many. Over HTTP/2 hyper counts by itself, and more strictly.
pub(crate) fn is_head_larger<B>(request: &Request<B>, bytes_max: usize) -> bool {
    if request.version() >= Version::HTTP_2 {
        return false;
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    fields.fold(line + "\r\n".len(), usize::saturating_add) > bytes_max
}

/// What no signature covers and what would have the application read other bytes than were verified.
fn check_content(headers: &HeaderMap) -> Result<(), Reason> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Reason::BadRequest("content_encoding"));
    }
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let mut pieces = content_type.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let is_form =
        pieces.next().is_some_and(|media| media.eq_ignore_ascii_case(b"application/x-www-form-urlencoded"));
    let is_utf8 = |piece: &[u8]| {
        [&b"charset=utf-8"[..], b"charset=\"utf-8\""].iter().any(|utf8| piece.eq_ignore_ascii_case(utf8))
    };
    if is_form && pieces.any(|piece| !piece.is_empty() && !is_utf8(piece)) {
        return Err(Reason::BadRequest("form_not_utf8"));
    }
    Ok(())
}

/// Fields that are read here and must not be read twice with two results.
fn check_repeats(headers: &HeaderMap) -> Result<(), Reason> {
    // A map with as many fields as names repeats none: the common case costs two loads.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    let once = [
        (SIGNATURE, "repeated_signature"),
        (SETTINGS, "repeated_signature_settings"),
        (CONTENT_TYPE, "repeated_content_type"),
        (CONTENT_ENCODING, "repeated_content_encoding"),
        (AUTHORIZATION, "repeated_authorization"),
        (HOST, "repeated_host"),
    ];
    match once.iter().find(|(name, _)| headers.get_all(name).iter().nth(1).is_some()) {
        Some((_, rule)) => Err(Reason::BadRequest(rule)),
        None => Ok(()),
    }
}

/// The one authority: `Host` in HTTP/1.1, `:authority` in HTTP/2, and where both are there they must agree.
fn authority(parts: &Parts) -> Result<&str, Reason> {
    let host = match parts.headers.get(HOST) {
        Some(value) => Some(value.to_str().map_err(|_| Reason::BadRequest("host_not_ascii"))?),
        None => None,
    };
    let absolute = parts.uri.authority().map(http::uri::Authority::as_str);
    match (host, absolute) {
        (Some(""), _) | (None, None) => Err(Reason::BadRequest("no_host")),
        (None, Some(_)) if parts.version < Version::HTTP_2 => Err(Reason::BadRequest("no_host")),
        (Some(host), Some(absolute)) if !host.eq_ignore_ascii_case(absolute) => {
            Err(Reason::BadRequest("host_differs_from_target"))
        }
        (Some(authority), _) | (None, Some(authority)) => {
            if authority.bytes().all(is_authority_byte) {
                Ok(authority)
            } else {
                Err(Reason::BadRequest("host_malformed"))
            }
        }
    }
}

fn is_authority_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_' | b'~' | b'%')
}

/// Whether the head opens a WebSocket; half a handshake is refused rather than forwarded as something else.
fn is_websocket(parts: &Parts) -> Result<bool, Reason> {
    let Some(upgrade) = parts.headers.get(UPGRADE) else { return Ok(false) };
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") || parts.version != Version::HTTP_11 {
        // Another protocol (h2c, say) is never switched to: the header goes, the request stays.
        return Ok(false);
    }
    let named = parts.headers.get_all(CONNECTION).iter().any(|value| has_token(value.as_bytes(), b"upgrade"));
    let complete = named
        && parts.method == Method::GET
        && parts.headers.contains_key(http::header::SEC_WEBSOCKET_KEY)
        && parts.headers.get(http::header::SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
    if !complete {
        return Err(Reason::BadRequest("websocket_handshake_incomplete"));
    }
    // A handshake has no body (RFC 6455 section 4.1), and after it the upstream would take one for frames.
    let has_length = parts.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    if has_length || parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Reason::BadRequest("websocket_with_body"));
    }
    Ok(true)
}

/// Whether a comma-separated list of tokens has one, in any case.
pub(crate) fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        build(Request::builder().method("POST").uri("/sms?x=1")).body(()).expect("a request").into_parts().0
    }

    fn refused(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> &'static str {
        check_webhook(&parts(build)).expect_err("refused").as_str()
    }

    #[test]
    fn a_head_without_a_host_is_refused() {
        assert_eq!(refused(|request| request), "no_host");
        assert_eq!(refused(|request| request.header("host", "")), "no_host");
        assert_eq!(refused(|request| request.uri("http://a.example/sms")), "no_host");
    }

    #[test]
    fn two_fields_of_a_name_that_is_read_once_are_refused() {
        for (name, rule) in [
            ("host", "repeated_host"),
            ("x-twilio-signature", "repeated_signature"),
            ("x-twilio-webhooks-signature-settings", "repeated_signature_settings"),
            ("content-type", "repeated_content_type"),
            ("authorization", "repeated_authorization"),
        ] {
            assert_eq!(refused(|request| request.header(name, "a").header(name, "a")), rule);
        }
    }

    #[test]
    fn a_body_that_could_end_elsewhere_is_refused() {
        let rule = |build: fn(http::request::Builder) -> http::request::Builder| {
            check_framing(&parts(build).headers).err().map(Reason::as_str)
        };
        assert_eq!(rule(|it| it.header("transfer-encoding", "gzip, chunked")), Some("transfer_coding"));
        let twice = |it: http::request::Builder| {
            it.header("transfer-encoding", "chunked").header("transfer-encoding", "chunked")
        };
        assert_eq!(rule(twice), Some("transfer_coding"));
        assert_eq!(rule(|it| it.header("transfer-encoding", "Chunked")), None);
        assert_eq!(rule(|it| it.header("content-length", "1")), None);
    }

    #[test]
    fn an_absolute_target_that_names_another_host_is_refused() {
        let rule = refused(|request| request.uri("http://a.example/sms").header("host", "b.example"));
        assert_eq!(rule, "host_differs_from_target");
        let same = parts(|request| request.uri("http://A.example/sms").header("host", "a.example"));
        assert_eq!(check(&same).map(|head| head.target), Ok("/sms"));
    }

    #[test]
    fn a_host_with_odd_bytes_is_refused() {
        assert_eq!(refused(|request| request.header("host", "a.example/evil")), "host_malformed");
        assert_eq!(refused(|request| request.header("host", "u@a.example")), "host_malformed");
    }

    #[test]
    fn a_target_that_is_not_a_path_is_refused() {
        let rule = refused(|request| request.method("OPTIONS").uri("*").header("host", "a.example"));
        assert_eq!(rule, "target_not_a_path");
    }

    #[test]
    fn a_body_that_could_be_read_another_way_is_refused() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(
            refused(|request| request.header("host", "a").header("content-encoding", "gzip")),
            "content_encoding"
        );
        for odd in ["charset=utf-16", "charset=iso-8859-1", "boundary=x", "charset = utf-8; charset=utf-7"] {
            let content_type = format!("{form}; {odd}");
            assert_eq!(
                refused(|request| request.header("host", "a").header("content-type", content_type)),
                "form_not_utf8"
            );
        }
        for plain in [form, "Application/X-WWW-Form-Urlencoded;charset=UTF-8", "text/plain; charset=latin1"] {
            assert!(
                check(&parts(|request| request.header("host", "a").header("content-type", plain))).is_ok()
            );
        }
    }

    #[test]
    fn half_a_websocket_handshake_is_refused() {
        let rule = refused(|request| {
            request
                .method("GET")
                .header("host", "a")
                .header("upgrade", "websocket")
                .header("connection", "upgrade")
        });
        assert_eq!(rule, "websocket_handshake_incomplete");
    }

    #[test]
    fn a_whole_websocket_handshake_is_seen() {
        let handshake = parts(|request| {
            request
                .method("GET")
                .header("host", "a.example")
                .header("upgrade", "WebSocket")
                .header("connection", "keep-alive, Upgrade")
                .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
                .header("sec-websocket-version", "13")
        });
        assert_eq!(check_webhook(&handshake).map(|head| head.websocket), Ok(true));
    }

    #[test]
    fn the_target_is_kept_byte_for_byte() {
        let raw = parts(|request| request.uri("/a%2Fb//c/./d?x=%41&y=1+2").header("host", "a.example:8443"));
        let head = check(&raw).expect("a plain request");
        assert_eq!((head.target, head.authority), ("/a%2Fb//c/./d?x=%41&y=1+2", "a.example:8443"));
    }
}
