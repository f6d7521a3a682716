//! The PROXY protocol, versions 1 and 2: a few bytes before everything else, in which a load balancer says who its
//! client is.
//!
//! For: reading that header off a fresh connection. Not for: deciding who may send one. Anybody can write such a header,
//! so the caller asks only peers that the configuration lists, and from those the header is then required: to accept
//! connections with and without it on one port would let a client behind the balancer write its own.
//!
//! The one idea: what follows the header belongs to TLS or HTTP, so not one byte more than the header is read.
//! [`still_missing`] says how many bytes are certain to be part of it, and only so many are asked for.

use std::io;
use std::net::SocketAddr;

use ppp::v1::{self, Addresses as TextAddresses};
use ppp::v2::{self, Addresses as BinaryAddresses, Command, Protocol};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest header of version 1, with its CRLF ("PROXY protocol", section 2.1).
const TEXT_BYTES_MAX: usize = 107;

/// The longest header of version 2 that is read. Addresses take at most 216 bytes and the extensions that balancers
/// send some hundred; the format would allow 64 KiB, which a stranger shall not make us hold.
const BINARY_BYTES_MAX: usize = 2048;

/// The fixed part of version 2: signature, command, family, and the length of the rest.
const BINARY_FIXED_BYTES: usize = 16;

/// The signature of version 2, and also less than the shortest header of version 1 (15 bytes).
const SIGNATURE_BYTES: usize = v2::PROTOCOL_PREFIX.len();

/// Why a header was not accepted. The connection is then closed without an answer: whatever follows cannot be trusted to
/// begin where a request begins.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyHeaderError {
    /// The connection begins with something else.
    #[error(
        "the connection does not begin with a PROXY protocol header, though its peer is listed as sending one"
    )]
    Absent,
    /// The header is longer than any honest one.
    #[error("the PROXY protocol header is longer than {max_bytes} bytes")]
    TooLong {
        /// How long it may be.
        max_bytes: usize,
    },
    /// It begins like a text header and breaks the rules of one.
    #[error("the PROXY protocol header (version 1) is malformed: {0}")]
    MalformedText(v1::BinaryParseError),
    /// It begins like a binary header and breaks the rules of one.
    #[error("the PROXY protocol header (version 2) is malformed: {0}")]
    MalformedBinary(v2::ParseError),
    /// The header speaks of something other than a byte stream.
    #[error("the PROXY protocol header speaks of datagrams, and this is TCP")]
    NotAStream,
    /// The peer closed before the header was whole, or reading failed.
    #[error("the connection ended within the PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// Reads one header and nothing after it. Returns the client's address, or `None` when the header names none that
/// counts (`LOCAL`, as in a balancer's own health check; `UNKNOWN`; a UNIX socket) and the peer's address stays.
///
/// Waits as long as the peer takes: the caller sets the time limit. When the future is dropped half way, the connection
/// is of no further use.
pub(crate) async fn read_header<S>(stream: &mut S) -> Result<Option<SocketAddr>, ProxyHeaderError>
where
    S: AsyncRead + Unpin,
{
    // Read in small steps rather than into a buffer that would have to be carried along in front of the connection for
    // its whole life. The steps are 2 bytes long in a text header, at most 48 of them; in a binary one there are three.
    let mut header = Vec::with_capacity(TEXT_BYTES_MAX);
    loop {
        let missing = still_missing(&header)?;
        if missing == 0 {
            return client_address(&header);
        }
        let mut step = (&mut *stream).take(missing as u64);
        if step.read_buf(&mut header).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// How many bytes at least are still to come until the header is whole; 0 when it is.
fn still_missing(header: &[u8]) -> Result<usize, ProxyHeaderError> {
    let signature = header.get(..SIGNATURE_BYTES).unwrap_or(header);
    let is_binary = v2::PROTOCOL_PREFIX.starts_with(signature);
    let is_text = signature.iter().zip(b"PROXY ").all(|(byte, expected)| byte == expected);
    if !is_binary && !is_text {
        return Err(ProxyHeaderError::Absent);
    }
    match header.len() {
        length if length < SIGNATURE_BYTES => Ok(SIGNATURE_BYTES - length),
        _ if is_binary => still_missing_of_binary(header),
        _ => still_missing_of_text(header),
    }
}

fn still_missing_of_binary(header: &[u8]) -> Result<usize, ProxyHeaderError> {
    let &[_, _, _, _, _, _, _, _, _, _, _, _, _, _, high, low, ..] = header else {
        return Ok(BINARY_FIXED_BYTES - header.len());
    };
    let whole = BINARY_FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if whole > BINARY_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong { max_bytes: BINARY_BYTES_MAX });
    }
    Ok(whole.saturating_sub(header.len()))
}

fn still_missing_of_text(header: &[u8]) -> Result<usize, ProxyHeaderError> {
    if header.ends_with(b"\r\n") {
        return Ok(0);
    }
    let missing = if header.ends_with(b"\r") { 1 } else { 2 };
    if header.len() + missing > TEXT_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong { max_bytes: TEXT_BYTES_MAX });
    }
    Ok(missing)
}

/// What a whole header says.
fn client_address(header: &[u8]) -> Result<Option<SocketAddr>, ProxyHeaderError> {
    let address = if header.starts_with(v2::PROTOCOL_PREFIX) {
        let header = v2::Header::try_from(header).map_err(ProxyHeaderError::MalformedBinary)?;
        if header.command == Command::Local {
            return Ok(None);
        }
        if header.protocol == Protocol::Datagram {
            return Err(ProxyHeaderError::NotAStream);
        }
        // The extensions say nothing that the gate acts on, but a header that does not add up is not to be believed.
        header.tlvs().try_for_each(|tlv| tlv.map(drop)).map_err(ProxyHeaderError::MalformedBinary)?;
        match header.addresses {
            BinaryAddresses::IPv4(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
            BinaryAddresses::IPv6(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
            BinaryAddresses::Unspecified | BinaryAddresses::Unix(_) => return Ok(None),
        }
    } else {
        match v1::Header::try_from(header).map_err(ProxyHeaderError::MalformedText)?.addresses {
            TextAddresses::Tcp4(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
            TextAddresses::Tcp6(pair) => SocketAddr::from((pair.source_address, pair.source_port)),
            TextAddresses::Unknown => return Ok(None),
        }
    };
    // `::ffff:203.0.113.7` is 203.0.113.7, or a list of networks would have to name everything twice.
    Ok(Some(SocketAddr::new(address.ip().to_canonical(), address.port())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    const NEXT: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    /// Sends the bytes with a request behind them, all at once, and returns the verdict and what was left unread.
    async fn read(header: &[u8]) -> (Result<Option<SocketAddr>, ProxyHeaderError>, Vec<u8>) {
        let (mut near, mut far) = tokio::io::duplex(128 * 1024);
        far.write_all(&[header, NEXT].concat()).await.unwrap();
        drop(far);
        let verdict = read_header(&mut near).await;
        let mut rest = Vec::new();
        near.read_to_end(&mut rest).await.unwrap();
        (verdict, rest)
    }

    /// The header is accepted, says this, and the request behind it is untouched.
    async fn check(header: &[u8], client: Option<&str>) {
        let (verdict, rest) = read(header).await;
        assert_eq!(verdict.unwrap(), client.map(|client| client.parse().unwrap()));
        assert_eq!(rest, NEXT);
    }

    fn binary(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[command, family], &length, payload].concat()
    }

    const IPV4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0xc0, 0x00, 0x01, 0xbb];

    #[tokio::test]
    async fn a_request_without_a_header_is_refused() {
        assert!(matches!(read(b"").await.0, Err(ProxyHeaderError::Absent)));
        assert!(matches!(
            read(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await.0,
            Err(ProxyHeaderError::Absent)
        ));
        assert!(matches!(read(b"PROXX TCP4 1.2.3.4").await.0, Err(ProxyHeaderError::Absent)));
        assert!(matches!(read(b"\r\n\r\n\0\r\nQUIT\r").await.0, Err(ProxyHeaderError::Absent)));
    }

    #[tokio::test]
    async fn garbage_is_refused_at_its_first_wrong_byte_without_waiting_for_more() {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(b"X").await.unwrap();
        assert!(matches!(read_header(&mut near).await, Err(ProxyHeaderError::Absent)));
    }

    #[tokio::test]
    async fn a_malformed_text_header_is_refused() {
        for header in [
            "PROXY TCP4 203.0.113.7 10.0.0.1 49152\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 49152 443 1\r\n",
            "PROXY TCP4 203.0.113.999 10.0.0.1 49152 443\r\n",
            "PROXY TCP4 2001:db8::7 2001:db8::1 49152 443\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 049152 443\r\n",
            "PROXY TCP4 203.0.113.7 10.0.0.1 65536 443\r\n",
            "PROXY TCP4  203.0.113.7 10.0.0.1 49152 443\r\n",
            "PROXY UDP4 203.0.113.7 10.0.0.1 49152 443\r\n",
            "PROXY \r\nTCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        ] {
            let (verdict, _) = read(header.as_bytes()).await;
            assert!(
                matches!(verdict, Err(ProxyHeaderError::MalformedText(_))),
                "{header:?} gave {verdict:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_malformed_binary_header_is_refused() {
        for header in [
            binary(0x11, 0x11, &IPV4),
            binary(0x22, 0x11, &IPV4),
            binary(0x21, 0x41, &IPV4),
            binary(0x21, 0x13, &IPV4),
            binary(0x21, 0x11, &IPV4[..11]),
            binary(0x21, 0x21, &IPV4),
            binary(0x21, 0x11, &[&IPV4[..], &[0x04, 0x00, 0x09, 0x00]].concat()),
            binary(0x21, 0x11, &[&IPV4[..], &[0x04, 0x00]].concat()),
        ] {
            let (verdict, _) = read(&header).await;
            assert!(
                matches!(verdict, Err(ProxyHeaderError::MalformedBinary(_))),
                "{header:?} gave {verdict:?}"
            );
        }
        assert!(matches!(read(&binary(0x21, 0x12, &IPV4)).await.0, Err(ProxyHeaderError::NotAStream)));
    }

    #[tokio::test]
    async fn an_oversized_header_is_refused_before_it_is_read() {
        let text = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
        assert_eq!(text.len(), TEXT_BYTES_MAX + 1);
        assert!(matches!(read(text.as_bytes()).await.0, Err(ProxyHeaderError::TooLong { max_bytes: 107 })));

        let (verdict, rest) = read(&binary(0x21, 0x11, &vec![0; usize::from(u16::MAX)])).await;
        assert!(matches!(verdict, Err(ProxyHeaderError::TooLong { max_bytes: BINARY_BYTES_MAX })));
        assert_eq!(rest.len(), usize::from(u16::MAX) + NEXT.len());
    }

    #[tokio::test]
    async fn a_connection_that_ends_within_the_header_is_refused() {
        for header in [&b"PROXY TCP4 203.0"[..], &binary(0x21, 0x11, &IPV4)[..20], b"", b"\r\n\r\n"] {
            let (mut near, mut far) = tokio::io::duplex(64);
            far.write_all(header).await.unwrap();
            drop(far);
            assert!(matches!(read_header(&mut near).await, Err(ProxyHeaderError::Io(_))));
        }
    }

    #[tokio::test]
    async fn the_client_is_read_and_not_one_byte_more() {
        check(b"PROXY TCP4 203.0.113.7 10.0.0.1 49152 443\r\n", Some("203.0.113.7:49152")).await;
        check(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n", Some("1.1.1.1:1")).await;
        check(b"PROXY TCP6 2001:db8::7 2001:db8::1 49152 443\r\n", Some("[2001:db8::7]:49152")).await;
        check(&binary(0x21, 0x11, &IPV4), Some("203.0.113.7:49152")).await;
        let ipv6: Vec<u8> =
            [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[0xc0, 0, 1, 0xbb]].concat();
        check(&binary(0x21, 0x21, &ipv6), Some("[2001:db8::7]:49152")).await;
    }

    #[tokio::test]
    async fn an_ipv4_client_is_the_same_however_it_is_written() {
        check(b"PROXY TCP6 ::ffff:203.0.113.7 ::1 49152 443\r\n", Some("203.0.113.7:49152")).await;
    }

    #[tokio::test]
    async fn a_header_that_names_no_client_keeps_the_peer() {
        check(b"PROXY UNKNOWN\r\n", None).await;
        check(b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None).await;
        check(&binary(0x20, 0x00, b""), None).await;
        check(&binary(0x20, 0x11, &IPV4), None).await;
        check(&binary(0x21, 0x00, b""), None).await;
        check(&binary(0x21, 0x31, &[0; 216]), None).await;
    }

    #[tokio::test]
    async fn extensions_are_read_over() {
        let authority = [&[0x02, 0x00, 0x0b][..], b"example.com"].concat();
        let noop = [&[0x04, 0x02, 0x00][..], &[0; 512]].concat();
        let payload = [&IPV4[..], &authority, &noop].concat();
        check(&binary(0x21, 0x11, &payload), Some("203.0.113.7:49152")).await;
    }

    #[tokio::test]
    async fn a_header_may_arrive_byte_by_byte() {
        for header in [&b"PROXY TCP4 203.0.113.7 10.0.0.1 49152 443\r\n"[..], &binary(0x21, 0x11, &IPV4)] {
            // A pipe of one byte hands over nothing larger.
            let (mut near, mut far) = tokio::io::duplex(1);
            let sending = [header, NEXT].concat();
            let sender = tokio::spawn(async move { far.write_all(&sending).await });
            assert_eq!(read_header(&mut near).await.unwrap(), Some("203.0.113.7:49152".parse().unwrap()));
            let mut rest = Vec::new();
            near.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, NEXT);
            sender.await.unwrap().unwrap();
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_past_its_bound(prefix in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let prefix = [b"PROXY TCP4 ", v2::PROTOCOL_PREFIX, b""][prefix];
            let sent = [prefix, &bytes[..]].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut left = &sent[..];
                let _ = read_header(&mut left).await;
                assert!(sent.len() - left.len() <= BINARY_BYTES_MAX);
            });
        }
    }
}
