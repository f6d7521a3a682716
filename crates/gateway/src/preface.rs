//! Tells HTTP/2 with prior knowledge from HTTP/1.1 on a plain connection, without taking a byte from it.

use tokio::net::TcpStream;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// Too little has arrived to tell.
    Unclear,
}

/// Looks at the first bytes of a connection; waits for at least one.
pub(crate) async fn protocol(stream: &TcpStream) -> Protocol {
    let mut first = [0; PREFACE.len()];
    match stream.peek(&mut first).await {
        Ok(length) => of(&first[..length]),
        Err(_) => Protocol::Unclear,
    }
}

/// RFC 9113 section 3.4. No method of HTTP/1.1 is `PRI`, so four bytes settle it.
const PREFACE: &[u8; 4] = b"PRI ";

fn of(first: &[u8]) -> Protocol {
    match first {
        first if first.starts_with(PREFACE) => Protocol::Http2,
        first if PREFACE.starts_with(first) => Protocol::Unclear,
        _ => Protocol::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_settle_the_protocol_as_soon_as_they_can() {
        assert_eq!(of(b""), Protocol::Unclear);
        assert_eq!(of(b"P"), Protocol::Unclear);
        assert_eq!(of(b"PRI"), Protocol::Unclear);
        assert_eq!(of(b"PO"), Protocol::Http1);
        assert_eq!(of(b"GET "), Protocol::Http1);
        assert_eq!(of(b"PRI "), Protocol::Http2);
    }
}
