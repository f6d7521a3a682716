//! Does a host still take a dead version of TLS? A greeting that offers nothing newer, and how the answer begins.
//!
//! Our own TLS library does not speak those versions, which is as it should be; to ask for one no more is needed than its
//! first message (RFC 2246 and RFC 4346, 7.4.1.2). Nothing is negotiated and no key is made.

/// A version that nobody may speak any more (RFC 8996).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dead {
    Tls10,
    Tls11,
}

impl Dead {
    pub(super) const ALL: [Self; 2] = [Self::Tls10, Self::Tls11];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
        }
    }

    const fn number(self) -> [u8; 2] {
        match self {
            Self::Tls10 => [3, 1],
            Self::Tls11 => [3, 2],
        }
    }
}

/// So many bytes of an answer say whether it goes on: the head of a record, the type and length of a message, a version.
pub(super) const ENOUGH: usize = 11;

/// What such versions have in common: CBC suites with and without forward secrecy, and 3DES. The last one says that a
/// renegotiation is secure (RFC 5746).
const SUITES: [u16; 8] = [0xc014, 0xc013, 0xc00a, 0xc009, 0x0035, 0x002f, 0x000a, 0x00ff];

/// The first message of a client that speaks nothing newer.
pub(super) fn client_hello(host: &str, version: Dead) -> Vec<u8> {
    let mut hello = Vec::new();
    hello.extend(version.number());
    // Nothing is encrypted with what follows from it, so it need not be random.
    hello.extend([0x52; 32]);
    // No session to resume.
    hello.push(0);
    with_length(&mut hello, &SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect::<Vec<_>>());
    // No compression.
    hello.extend([1, 0]);
    with_length(&mut hello, &extensions(host));

    let mut message = vec![1, 0];
    with_length(&mut message, &hello);
    let mut record = vec![22, 3, 1];
    with_length(&mut record, &message);
    record
}

/// Whether an answer begins as one of a server that goes on: a `ServerHello`. Everything else, an alert above all, refuses.
pub(super) fn accepts(answer: &[u8]) -> bool {
    matches!(answer, [22, 3, _, _, _, 2, _, _, _, 3, 1 | 2, ..])
}

fn extensions(host: &str) -> Vec<u8> {
    let mut extensions = Vec::new();
    // server_name (RFC 6066), which may not be an address.
    if host.parse::<std::net::IpAddr>().is_err() {
        let mut name = vec![0];
        with_length(&mut name, host.as_bytes());
        let mut names = Vec::new();
        with_length(&mut names, &name);
        extension(&mut extensions, 0, &names);
    }
    // supported_groups (RFC 8422): x25519, P-256, P-384.
    extension(&mut extensions, 10, &[0, 6, 0, 0x1d, 0, 0x17, 0, 0x18]);
    // ec_point_formats: uncompressed.
    extension(&mut extensions, 11, &[1, 0]);
    extensions
}

fn extension(to: &mut Vec<u8>, number: u16, content: &[u8]) {
    to.extend(number.to_be_bytes());
    with_length(to, content);
}

/// A text with its length in two bytes before it; nothing here is longer.
fn with_length(to: &mut Vec<u8>, content: &[u8]) {
    to.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_hello_accepts() {
        let server_hello = [22, 3, 1, 0, 80, 2, 0, 0, 76, 3, 1, 9, 9];
        assert!(accepts(&server_hello));
        let alert = [21, 3, 1, 0, 2, 2, 70, 0, 0, 0, 0];
        let newer = [22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3];
        for refuses in [&alert[..], &newer, &server_hello[..10], b"HTTP/1.1 400", b""] {
            assert!(!accepts(refuses), "{refuses:?}");
        }
    }

    #[test]
    fn a_greeting_is_as_long_as_it_says_and_names_the_host_but_no_address() {
        for (host, is_named) in [("hooks.example.com", true), ("192.0.2.1", false)] {
            let hello = client_hello(host, Dead::Tls11);
            assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
            assert_eq!(hello[9..11], [3, 2]);
            assert_eq!(hello.windows(host.len()).any(|window| window == host.as_bytes()), is_named);
        }
    }
}
