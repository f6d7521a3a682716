//! A file as its reader gets it: to be kept, never to be shown by the browser as a page of ours.
//!
//! Who sent a picture chose its bytes and its type. So the answer is a new one, with the type only where it is one of this
//! list, and nothing of Twilio's head but lengths and ranges.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::response::Parts;
use http::{HeaderName, HeaderValue, StatusCode};

use super::may_see::{MaySee, Shown};
use super::refusal::Refusal;

/// The types that are told, with the ending of the file's name. No page, no picture that can hold a script, nothing that a
/// browser runs (<https://www.twilio.com/docs/messaging/guides/accepted-mime-types>, and what recordings are).
const TYPES: &[(&str, &str)] = &[
    ("image/jpeg", "jpg"),
    ("image/png", "png"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/bmp", "bmp"),
    ("image/tiff", "tiff"),
    ("image/heic", "heic"),
    ("image/heif", "heif"),
    ("audio/mpeg", "mp3"),
    ("audio/mp3", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/x-wav", "wav"),
    ("audio/wav", "wav"),
    ("audio/vnd.wave", "wav"),
    ("audio/ogg", "ogg"),
    ("audio/opus", "opus"),
    ("audio/amr", "amr"),
    ("audio/amr-nb", "amr"),
    ("audio/3gpp", "3ga"),
    ("audio/aac", "aac"),
    ("audio/basic", "au"),
    ("audio/l24", "l24"),
    ("audio/webm", "weba"),
    ("video/mp4", "mp4"),
    ("video/mpeg", "mpeg"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("video/3gpp", "3gp"),
    ("video/3gpp2", "3g2"),
    ("application/pdf", "pdf"),
    ("text/vcard", "vcf"),
    ("text/x-vcard", "vcf"),
    ("text/calendar", "ics"),
    ("text/csv", "csv"),
    ("text/plain", "txt"),
];

/// What everything else is told as.
const UNKNOWN: (&str, &str) = ("application/octet-stream", "bin");

/// The head of the answer with a file, or why there is none.
pub(crate) fn head(
    from: &Parts,
    may: &MaySee,
    asks_for_part: bool,
    bytes_max: u64,
) -> Result<(StatusCode, HeaderMap), Refusal> {
    let status = from.status;
    match status {
        StatusCode::OK => {}
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if asks_for_part => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(Refusal::NotFound),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(Refusal::CredentialsRefused),
        StatusCode::TOO_MANY_REQUESTS => return Err(Refusal::Throttled),
        StatusCode::GATEWAY_TIMEOUT => return Err(Refusal::TimedOut),
        _ if status.is_server_error() => return Err(Refusal::Failed),
        _ => return Err(Refusal::Unusable),
    }
    if from.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Refusal::Unusable);
    }
    let mut headers = HeaderMap::new();
    if let Some(length) =
        from.headers.get(CONTENT_LENGTH).filter(|_| status != StatusCode::RANGE_NOT_SATISFIABLE)
    {
        let bytes: u64 = length.to_str().ok().and_then(|it| it.parse().ok()).ok_or(Refusal::Unusable)?;
        if bytes > bytes_max {
            return Err(Refusal::TooLarge);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    for name in [CONTENT_RANGE, ACCEPT_RANGES] {
        if let Some(value) = from.headers.get(&name).filter(|value| is_of_bytes(value)) {
            headers.insert(name, value.clone());
        }
    }
    let (media_type, ending) = kind(from.headers.get(CONTENT_TYPE));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    // A SID and an ending of the list: nothing in it was chosen by anybody.
    let name = format!("attachment; filename=\"{}.{ending}\"", may.path().sid());
    headers.insert(CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(|_| Refusal::Unusable)?);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    // The address is the key of it.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if may.shown() == Shown::ToSignedIn {
        // No page elsewhere shows it by the cookie of its visitor.
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    }
    Ok((status, headers))
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The type as it is told, and the ending of the name.
fn kind(told: Option<&HeaderValue>) -> (&'static str, &'static str) {
    let told = told.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    TYPES.iter().copied().find(|(known, _)| *known == media_type).unwrap_or(UNKNOWN)
}

/// `bytes`, `bytes 0-1/2`, `bytes */2`.
fn is_of_bytes(value: &HeaderValue) -> bool {
    value.as_bytes().strip_prefix(b"bytes").is_some_and(|rest| {
        rest.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'/' | b'*'))
    })
}

/// The part of a file that is asked for, if it is one part of its bytes; all else is as if it was not there (RFC 9110,
/// section 14.2).
pub(crate) fn range(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = headers.get_all(http::header::RANGE).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (first, last) = value.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let is_number = |text: &str| text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_one = is_number(first) && is_number(last) && !(first.is_empty() && last.is_empty());
    is_one.then_some(value)
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    const MEDIA: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages/\
                         MM00000000000000000000000000000002/Media/ME00000000000000000000000000000003";

    fn answered(
        status: u16,
        headers: &[(&str, &str)],
        asks_for_part: bool,
    ) -> Result<(StatusCode, HeaderMap), Refusal> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let (parts, ()) = response.body(()).unwrap().into_parts();
        head(&parts, &MaySee::by_link(MEDIA.parse().unwrap()), asks_for_part, 100)
    }

    #[test]
    fn what_is_no_file_is_refused_by_what_it_is() {
        for (status, refusal) in [
            (404, Refusal::NotFound),
            (410, Refusal::NotFound),
            (401, Refusal::CredentialsRefused),
            (403, Refusal::CredentialsRefused),
            (429, Refusal::Throttled),
            (500, Refusal::Failed),
            (503, Refusal::Failed),
            (504, Refusal::TimedOut),
            (204, Refusal::Unusable),
            (206, Refusal::Unusable),
            (416, Refusal::Unusable),
        ] {
            assert_eq!(answered(status, &[], false).err(), Some(refusal), "{status}");
        }
        assert_eq!(answered(200, &[("content-length", "101")], false).err(), Some(Refusal::TooLarge));
        assert_eq!(answered(200, &[("content-length", "1e1")], false).err(), Some(Refusal::Unusable));
        assert_eq!(answered(200, &[("content-encoding", "gzip")], false).err(), Some(Refusal::Unusable));
    }

    #[test]
    fn nothing_of_the_head_is_passed_on_but_lengths_and_ranges_and_a_type_of_the_list() {
        let sent = [
            ("content-type", "Image/PNG; charset=binary"),
            ("content-length", "100"),
            ("content-range", "bytes 0-99/200"),
            ("accept-ranges", "bytes"),
            ("content-disposition", "inline; filename=\"evil.html\""),
            ("set-cookie", "a=b"),
            ("etag", "\"x\""),
            ("access-control-allow-origin", "*"),
            ("location", "https://evil.example"),
            ("x-amz-request-id", "1"),
        ];
        let (status, headers) = answered(206, &sent, true).unwrap();
        assert_eq!(status, 206);
        let mut shown: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "accept-ranges: bytes",
                "cache-control: private, no-store",
                "content-disposition: attachment; filename=\"ME00000000000000000000000000000003.png\"",
                "content-length: 100",
                "content-range: bytes 0-99/200",
                "content-security-policy: sandbox; default-src 'none'",
                "content-type: image/png",
                "referrer-policy: no-referrer",
                "x-content-type-options: nosniff",
            ]
        );
    }

    #[test]
    fn a_type_that_a_browser_could_run_is_told_as_bytes() {
        for told in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/javascript",
            "",
            "image/png/x",
            "*/*",
        ] {
            let (_, headers) = answered(200, &[("content-type", told)], false).unwrap();
            assert_eq!(headers[CONTENT_TYPE], "application/octet-stream", "{told}");
            assert!(headers[CONTENT_DISPOSITION].to_str().unwrap().ends_with(".bin\""));
        }
    }

    #[test]
    fn one_part_of_the_bytes_is_a_range_and_nothing_else_is() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::RANGE, HeaderValue::from_str(text).unwrap());
            range(&headers).is_some()
        };
        for one in ["bytes=0-9", "bytes=5-", "bytes=-5"] {
            assert!(of(one), "{one}");
        }
        for none in
            ["bytes=-", "bytes=0-1,3-4", "bytes = 0-1", "items=0-1", "bytes=0", "bytes=a-b", "bytes=0-1 ", ""]
        {
            assert!(!of(none), "{none}");
        }
    }
}
