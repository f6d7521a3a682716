//! Reads the head of an answer: what it says, where its body ends, and whether the connection outlives it.
//!
//! Pure: bytes in, a decision out. An upstream is trusted more than a caller is, but an answer that can be read in
//! two ways is still refused: read wrongly once on a kept connection, every later answer would go to the wrong
//! request, and one account would see what was meant for another.

use std::mem::MaybeUninit;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use httparse::{Header, ParserConfig, Response};

use super::error::{Malformed, UpstreamError};

/// The longest head that is read, and the most headers in it.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;

/// What the request was, as far as reading its answer depends on it.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) head_only: bool,
    pub(super) upgrade: bool,
}

/// What the bytes so far amount to.
#[derive(Debug)]
pub(super) enum Reading {
    /// No complete head yet.
    Partial,
    /// An interim answer (1xx) of this many bytes, to be skipped.
    Interim(usize),
    /// The final answer's head.
    Complete(Head),
}

#[derive(Debug)]
pub(super) struct Head {
    /// How many bytes of the input it takes.
    pub(super) length: usize,
    pub(super) status: StatusCode,
    /// End-to-end headers only; with a 101, `Upgrade` too.
    pub(super) headers: HeaderMap,
    pub(super) framing: Framing,
    pub(super) keep: Keep,
}

/// Whether the connection may carry another exchange once the body has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    No,
    /// Yes, and for how long the upstream says that it keeps an idle one, if it says so.
    For(Option<Duration>),
}

/// Where the body ends (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Empty,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Reads one answer's head from the start of `input`.
pub(super) fn read(input: &[u8], asked: Asked) -> Result<Reading, UpstreamError> {
    // Not initialised: clearing 4 KiB for each answer would cost more than reading the answer.
    let mut storage = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS_MAX];
    let mut response = Response::new(&mut []);
    let parsed =
        ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut storage);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => return Ok(Reading::Partial),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(UpstreamError::AnswerTooLarge),
        Err(_) => return Err(Malformed::Head.into()),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Malformed::Head)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(Reading::Interim(length));
    }
    let fields = Fields::read(response.headers)?;
    let http_1_1 = response.version == Some(1);
    fields.conclude(length, status, http_1_1, asked).map(Reading::Complete)
}

/// The headers, sorted by whom they are for: the caller, or this connection alone.
#[derive(Default)]
struct Fields {
    headers: HeaderMap,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    upgrade: Option<HeaderValue>,
    kept_for: Option<Duration>,
    /// Headers that `Connection` names beyond the well-known ones; nearly always none.
    named_by_connection: Vec<HeaderName>,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Self, Malformed> {
        let mut fields = Self { headers: HeaderMap::with_capacity(headers.len()), ..Self::default() };
        for header in headers {
            fields.take(header)?;
        }
        for name in &fields.named_by_connection {
            fields.headers.remove(name);
        }
        Ok(fields)
    }

    fn take(&mut self, header: &Header<'_>) -> Result<(), Malformed> {
        let value = header.value;
        match HopByHop::of(header.name) {
            None => {}
            Some(HopByHop::Connection) => return self.take_connection(value),
            Some(HopByHop::KeepAlive) => {
                self.kept_for = kept_for(value);
                return Ok(());
            }
            Some(HopByHop::TransferEncoding) => {
                // One coding, once: the gate asks for none by `TE`, so anything else is a misunderstanding.
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed::TransferEncoding);
                }
                self.chunked = true;
                return Ok(());
            }
            Some(HopByHop::Upgrade) => {
                self.upgrade = Some(HeaderValue::from_bytes(value).map_err(|_| Malformed::Head)?);
                return Ok(());
            }
            Some(HopByHop::ContentLength) => {
                let length = content_length(value)?;
                match self.content_length.replace(length) {
                    None => {}
                    // The same length twice is one length (RFC 9110, section 8.6), and is passed on as one.
                    Some(earlier) if earlier == length => return Ok(()),
                    Some(_) => return Err(Malformed::ContentLength),
                }
            }
            Some(HopByHop::Other) => return Ok(()),
        }
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed::Head)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| Malformed::Head)?;
        self.headers.try_append(name, value).map_err(|_| Malformed::Head)?;
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) -> Result<(), Malformed> {
        for token in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if !token.is_empty() && !token.eq_ignore_ascii_case(b"keep-alive") {
                self.named_by_connection.push(HeaderName::from_bytes(token).map_err(|_| Malformed::Head)?);
            }
        }
        Ok(())
    }

    fn conclude(
        mut self,
        length: usize,
        status: StatusCode,
        http_1_1: bool,
        asked: Asked,
    ) -> Result<Head, UpstreamError> {
        if self.chunked && self.content_length.is_some() {
            return Err(Malformed::LengthAndEncoding.into());
        }
        if self.chunked && !http_1_1 {
            // HTTP/1.0 has no chunks; who says so may mean anything (RFC 9112, section 6.1).
            return Err(Malformed::TransferEncoding.into());
        }
        let bodiless =
            asked.head_only || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let framing = match self.content_length {
            _ if status == StatusCode::SWITCHING_PROTOCOLS => {
                let upgrade = self.upgrade.take().filter(|_| asked.upgrade).ok_or(Malformed::Upgrade)?;
                self.headers.insert(header::UPGRADE, upgrade);
                Framing::Empty
            }
            _ if bodiless => Framing::Empty,
            _ if self.chunked => Framing::Chunked,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        if status == StatusCode::NO_CONTENT {
            // No length belongs here (RFC 9110, section 8.6), yet some frameworks send a zero.
            self.headers.remove(header::CONTENT_LENGTH);
        }
        let reusable = http_1_1 && !self.close && framing != Framing::UntilClose;
        let keep = if reusable { Keep::For(self.kept_for) } else { Keep::No };
        Ok(Head { length, status, headers: self.headers, framing, keep })
    }
}

/// Headers that end at the gate (RFC 9110, section 7.6.1), and the one that says where the body ends.
enum HopByHop {
    Connection,
    KeepAlive,
    TransferEncoding,
    Upgrade,
    ContentLength,
    Other,
}

impl HopByHop {
    /// By length first: of an ordinary header's name, not one byte is compared.
    fn of(name: &str) -> Option<Self> {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            2 if is("te") => Some(Self::Other),
            7 if is("upgrade") => Some(Self::Upgrade),
            7 if is("trailer") => Some(Self::Other),
            10 if is("connection") => Some(Self::Connection),
            10 if is("keep-alive") => Some(Self::KeepAlive),
            14 if is("content-length") => Some(Self::ContentLength),
            17 if is("transfer-encoding") => Some(Self::TransferEncoding),
            7.. if name.as_bytes()[..6].eq_ignore_ascii_case(b"proxy-") => Some(Self::Other),
            _ => None,
        }
    }
}

fn content_length(value: &[u8]) -> Result<u64, Malformed> {
    // Digits only: `str::parse` would take a plus sign.
    let text = std::str::from_utf8(value).map_err(|_| Malformed::ContentLength)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::ContentLength);
    }
    text.parse().map_err(|_| Malformed::ContentLength)
}

/// Reads `timeout=5` of a `Keep-Alive` header; what is not understood says nothing.
fn kept_for(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        let seconds = name.trim().eq_ignore_ascii_case("timeout").then_some(seconds)?;
        seconds.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(input: &str) -> Result<Reading, UpstreamError> {
        read(input.as_bytes(), Asked::default())
    }

    fn malformed(input: &str) -> Malformed {
        match reading(input) {
            Err(UpstreamError::MalformedAnswer(reason)) => reason,
            other => panic!("{input:?}: {other:?}"),
        }
    }

    fn complete(input: &str, asked: Asked) -> Head {
        match read(input.as_bytes(), asked) {
            Ok(Reading::Complete(head)) => head,
            other => panic!("{input:?}: {other:?}"),
        }
    }

    fn head_of(fields: &str) -> Head {
        complete(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), Asked::default())
    }

    #[test]
    fn an_answer_that_can_be_read_in_two_ways_is_refused() {
        for (fields, reason) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Malformed::LengthAndEncoding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Malformed::LengthAndEncoding),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", Malformed::ContentLength),
            ("Content-Length: 5, 6\r\n", Malformed::ContentLength),
            ("Content-Length: 5, 5\r\n", Malformed::ContentLength),
            ("Content-Length: +5\r\n", Malformed::ContentLength),
            ("Content-Length: -5\r\n", Malformed::ContentLength),
            ("Content-Length: 0x5\r\n", Malformed::ContentLength),
            ("Content-Length: 5 5\r\n", Malformed::ContentLength),
            ("Content-Length:\r\n", Malformed::ContentLength),
            ("Content-Length: 18446744073709551616\r\n", Malformed::ContentLength),
            ("Transfer-Encoding: xchunked\r\n", Malformed::TransferEncoding),
            ("Transfer-Encoding: gzip, chunked\r\n", Malformed::TransferEncoding),
            ("Transfer-Encoding: chunked, identity\r\n", Malformed::TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Malformed::TransferEncoding),
            ("Transfer-Encoding:\r\n", Malformed::TransferEncoding),
            ("A: 1\r\n folded\r\n", Malformed::Head),
            ("Content-Length : 5\r\n", Malformed::Head),
            (": 5\r\n", Malformed::Head),
            ("A: \0\r\n", Malformed::Head),
            ("Connection: a b\r\n", Malformed::Head),
        ] {
            assert_eq!(malformed(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")), reason, "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_http_1_answer_is_refused() {
        for input in [
            "HTTP/2 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 099 X\r\n\r\n",
            "x\r\n\r\n",
        ] {
            assert_eq!(malformed(input), Malformed::Head, "{input:?}");
        }
        assert_eq!(
            malformed("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Malformed::TransferEncoding
        );
    }

    #[test]
    fn a_head_beyond_the_limits_is_refused() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: 1\r\n".repeat(HEADERS_MAX + 1));
        assert!(matches!(reading(&many), Err(UpstreamError::AnswerTooLarge)));
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
        assert!(matches!(reading(&long), Err(UpstreamError::AnswerTooLarge)));
        assert!(matches!(reading(&long[..HEAD_BYTES_MAX]), Err(UpstreamError::AnswerTooLarge)));
        assert!(matches!(reading(&long[..HEAD_BYTES_MAX - 1]), Ok(Reading::Partial)));
    }

    #[test]
    fn a_101_is_refused_unless_it_was_asked_for_and_names_its_protocol() {
        let switched = "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
        assert_eq!(malformed(switched), Malformed::Upgrade);
        let asked = Asked { upgrade: true, ..Asked::default() };
        let nameless = read(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", asked);
        assert!(matches!(nameless, Err(UpstreamError::MalformedAnswer(Malformed::Upgrade))));
        let head = complete(switched, asked);
        assert_eq!(head.headers[header::UPGRADE], "websocket");
        assert!(!head.headers.contains_key(header::CONNECTION));
    }

    #[test]
    fn headers_of_the_connection_end_here() {
        let head = head_of(concat!(
            "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5, max=100\r\nX-Hop: 1\r\nTE: a\r\nTrailer: b\r\n",
            "Transfer-Encoding: chunked\r\nUpgrade: h2c\r\nProxy-Connection: c\r\nproxy-authenticate: d\r\n",
            "Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Kept: yes\r\n"
        ));
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["set-cookie", "x-kept"]);
        assert_eq!(head.headers.get_all(header::SET_COOKIE).iter().count(), 2);
        assert_eq!(head.keep, Keep::For(Some(Duration::from_secs(5))));
        assert_eq!(head.framing, Framing::Chunked);
    }

    #[test]
    fn the_end_of_the_body_is_where_rfc_9112_puts_it() {
        assert_eq!(head_of("Content-Length: 5\r\n").framing, Framing::Length(5));
        assert_eq!(head_of("Content-Length: 5\r\nContent-Length: 5\r\n").headers.len(), 1);
        assert_eq!(head_of("transfer-encoding: Chunked\r\n").framing, Framing::Chunked);
        assert_eq!(head_of("").framing, Framing::UntilClose);
        let head_only = Asked { head_only: true, ..Asked::default() };
        let head = complete("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head_only);
        assert_eq!((head.framing, head.headers.len(), head.keep), (Framing::Empty, 1, Keep::For(None)));
        for status in ["204", "304"] {
            let head =
                complete(&format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n"), Asked::default());
            assert_eq!(head.framing, Framing::Empty);
            assert_eq!(head.headers.contains_key(header::CONTENT_LENGTH), status == "304");
        }
    }

    #[test]
    fn a_connection_outlives_only_an_answer_that_lets_it() {
        assert_eq!(head_of("Content-Length: 5\r\n").keep, Keep::For(None));
        assert_eq!(head_of("Content-Length: 5\r\nConnection: x, Close\r\n").keep, Keep::No);
        assert_eq!(head_of("").keep, Keep::No);
        let old = complete(
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            Asked::default(),
        );
        assert_eq!(old.keep, Keep::No);
    }

    #[test]
    fn an_interim_answer_is_skipped_to_its_end() {
        let input = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        assert!(
            matches!(reading(&format!("{input}HTTP/1.1 200")), Ok(Reading::Interim(n)) if n == input.len())
        );
    }
}
