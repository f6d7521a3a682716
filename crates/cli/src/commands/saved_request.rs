//! An HTTP/1.1 request saved as text: from a log, a packet capture, `ringfence sign --http`, or typed.
//!
//! Tolerant where a person's editor or a capture tool changes nothing that is signed (line ends of the head, a
//! missing length), and it says what it did. Not a server's parser: nothing that is read here is ever admitted.

/// The pieces of a saved request, raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SavedRequest {
    /// As in the request line.
    pub(crate) method: String,
    /// As in the request line, byte for byte.
    pub(crate) target: Vec<u8>,
    /// Names in lower case, values without white space around them.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// As many bytes as `Content-Length` says, or all that follow the head.
    pub(crate) body: Vec<u8>,
    /// What was odd about the text, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Why a text is no saved request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SavedRequestError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// The first line has no method and target.
    #[error("its first line is not a request line such as `POST /sms HTTP/1.1`")]
    RequestLine,
    /// A line of the head has no colon.
    #[error("line {line} is not a header such as `Name: value`; an empty line must stand before the body")]
    Header {
        /// Counted from 1.
        line: usize,
    },
}

impl SavedRequest {
    /// Reads a text.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, SavedRequestError> {
        let mut rest = text;
        // Editors and shells leave empty lines in front; RFC 9112 section 2.2 lets a server skip them too.
        let mut line_number = 0;
        let request_line = loop {
            if rest.is_empty() {
                return Err(SavedRequestError::Empty);
            }
            line_number += 1;
            let line = next_line(&mut rest);
            if !line.is_empty() {
                break line;
            }
        };
        let (method, target) = request_line_pieces(request_line).ok_or(SavedRequestError::RequestLine)?;

        let mut headers = Vec::new();
        while !rest.is_empty() {
            line_number += 1;
            let line = next_line(&mut rest);
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':');
            let Some((name, value)) = colon.map(|colon| (&line[..colon], &line[colon + 1..])) else {
                return Err(SavedRequestError::Header { line: line_number });
            };
            if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic()) {
                return Err(SavedRequestError::Header { line: line_number });
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            headers.push((name, value.trim_ascii().to_vec()));
        }
        let mut request = Self { method, target, headers, body: Vec::new(), notes: Vec::new() };
        request.read_body(rest);
        Ok(request)
    }

    /// The first value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    /// Whether it opens a WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        self.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
    }

    fn read_body(&mut self, rest: &[u8]) {
        for name in ["x-twilio-signature", "content-type", "content-length", "host"] {
            if self.headers.iter().filter(|(other, _)| other == name).count() > 1 {
                self.notes.push(format!("there are several {name} headers; the first one is used"));
            }
        }
        let is_chunked = self
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().ends_with(b"chunked"));
        if is_chunked {
            self.body = unchunk(rest).unwrap_or_else(|| {
                self.notes
                    .push("it says that the body is chunked, and it is not; all of it is used".to_owned());
                rest.to_vec()
            });
            return;
        }
        let length =
            self.header("content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        match length {
            Some(length) if rest.len() >= length => self.body = rest[..length].to_vec(),
            Some(length) => {
                self.notes.push(format!(
                    "the body has {} bytes where Content-Length says {length}: a part of it is missing here",
                    rest.len()
                ));
                self.body = rest.to_vec();
            }
            None => {
                // The newline at the end of a text file is the editor's; a form has none of its own.
                let is_form = self.header("content-type").is_some_and(|value| {
                    value.to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
                });
                let trimmed = rest.strip_suffix(b"\n").map(|body| body.strip_suffix(b"\r").unwrap_or(body));
                self.body = if is_form { trimmed.unwrap_or(rest) } else { rest }.to_vec();
                if !is_form && trimmed.is_some() {
                    self.notes.push(
                        "there is no Content-Length, so the newline at the end counts as a part of the body"
                            .to_owned(),
                    );
                }
            }
        }
    }
}

/// Takes a line off the front, without its LF or CRLF.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, after) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = after;
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Method and target. What is between the first and the last space is the target, odd bytes included.
fn request_line_pieces(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (method, rest) = (&line[..space], &line[space + 1..]);
    if method.is_empty() || !method.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'-') {
        return None;
    }
    let target = match rest.iter().rposition(|byte| *byte == b' ') {
        Some(space) if rest[space + 1..].starts_with(b"HTTP/") => &rest[..space],
        _ => rest,
    };
    let target = target.trim_ascii();
    let is_target = target.starts_with(b"/") || target.windows(3).any(|bytes| bytes == b"://");
    if !is_target {
        return None;
    }
    Some((String::from_utf8_lossy(method).into_owned(), target.to_vec()))
}

/// The body of a chunked message (RFC 9112 section 7.1); `None` if it is none.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        if rest.is_empty() {
            return None;
        }
        let line = std::str::from_utf8(next_line(&mut rest)).ok()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = &rest[size..];
        if !next_line(&mut rest).is_empty() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SavedRequest {
        SavedRequest::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_line() {
        let refused = |text: &str| SavedRequest::parse(text.as_bytes()).expect_err(text);
        assert_eq!(refused(""), SavedRequestError::Empty);
        assert_eq!(refused("\n\r\n"), SavedRequestError::Empty);
        assert_eq!(refused("{\"not\": \"http\"}"), SavedRequestError::RequestLine);
        assert_eq!(refused("POST\n"), SavedRequestError::RequestLine);
        assert_eq!(refused("some words"), SavedRequestError::RequestLine);
        assert_eq!(refused("POST /a HTTP/1.1\nHost: h\nFrom=%2B1\n"), SavedRequestError::Header { line: 3 });
        assert_eq!(refused("POST /a HTTP/1.1\n folded: h\n\n"), SavedRequestError::Header { line: 2 });
    }

    #[test]
    fn line_ends_of_the_head_make_no_difference() {
        let unix = parse("POST /a?b=c HTTP/1.1\nHost: h\nContent-Length: 3\n\na=1");
        let network = parse("POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na=1");
        assert_eq!(unix, network);
        assert_eq!(unix.target, b"/a?b=c");
        assert_eq!(unix.header("host"), Some(&b"h"[..]));
        assert_eq!(unix.body, b"a=1");
        assert!(unix.notes.is_empty());
    }

    #[test]
    fn a_target_is_kept_byte_for_byte() {
        assert_eq!(parse("GET /a b?x='<é> HTTP/1.1\n\n").target, "/a b?x='<é>".as_bytes());
        assert_eq!(parse("GET /only-a-target\n\n").target, b"/only-a-target");
    }

    #[test]
    fn the_newline_of_an_editor_is_no_part_of_a_form() {
        let form = "POST /a HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\n\na=1\n";
        assert_eq!(parse(form).body, b"a=1");
        let json = parse("POST /a HTTP/1.1\nContent-Type: application/json\n\n{}\n");
        assert_eq!(json.body, b"{}\n");
        assert_eq!(json.notes.len(), 1);
    }

    #[test]
    fn a_body_shorter_than_its_length_is_noted_and_a_longer_one_is_cut() {
        let short = parse("POST /a HTTP/1.1\nContent-Length: 9\n\na=1");
        assert_eq!((short.body.as_slice(), short.notes.len()), (&b"a=1"[..], 1));
        assert_eq!(parse("POST /a HTTP/1.1\nContent-Length: 3\n\na=1\n\n").body, b"a=1");
    }

    #[test]
    fn a_chunked_body_is_put_together() {
        let chunked =
            "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n4;x=y\r\n&b=2\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).body, b"a=1&b=2");
        let broken = parse("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na=1");
        assert_eq!((broken.body.as_slice(), broken.notes.len()), (&b"a=1"[..], 1));
        assert_eq!(
            parse("POST /a HTTP/1.1\nTransfer-Encoding: chunked\n\nffffffffffffffff\n").notes.len(),
            1
        );
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        for text in [&b"\0"[..], b"GET / \xff\n\xff: \xff\n", b"A / HTTP/1.1\r\n:\r\n", b" ", b"A  HTTP/1.1"]
        {
            _ = SavedRequest::parse(text);
        }
    }
}
