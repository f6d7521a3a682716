//! Where an upstream listens: `http://host:port`, read once from the configuration.
//!
//! Plain HTTP only, and neither path nor query: the gate passes the request's own target on byte for byte, so
//! anything here beyond host and port would either be ignored or change what was signed. The name is looked up
//! when a connection is made, not when it is read, so a restarted container is found at its new address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// An upstream's address, read from `http://host[:port]`; without a port it is 80.
///
/// Cloning is cheap, and two addresses are equal when host (in lower case) and port are.
///
/// ```
/// # use ringfence_gateway::upstream::UpstreamAddress;
/// let address: UpstreamAddress = "http://127.0.0.1:3000".parse().unwrap();
/// assert_eq!(address.authority(), "127.0.0.1:3000");
/// ```
#[derive(Clone)]
pub struct UpstreamAddress(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    host: Host,
    port: u16,
    authority: String,
}

/// Whom to connect to: a literal needs no lookup.
#[derive(PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

/// Why a text is not an upstream's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin with `http://`.
    #[error("an upstream begins with http://")]
    NotHttp,
    /// It begins with `https://`: the gate speaks plain HTTP to its upstreams.
    #[error("upstreams are spoken to over plain http://, not https://")]
    Https,
    /// It carries `user:password@`.
    #[error("an upstream's address carries no user name or password")]
    UserInfo,
    /// Something follows host and port, be it only a slash: the request's own target is passed on unchanged.
    #[error("an upstream's address ends after the port: no path, query or fragment, not even a slash")]
    PathOrQuery,
    /// The host is empty, too long, or neither a name nor an IP address (IPv6 goes in brackets).
    #[error("the host is neither a name nor an IP address (IPv6 goes in brackets)")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the port is a number from 1 to 65535")]
    Port,
}

const DEFAULT_PORT: u16 = 80;

impl UpstreamAddress {
    /// What the `Host` header of a request to it says: the port is left out when it is 80.
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    pub(super) fn host(&self) -> &Host {
        &self.0.host
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port
    }
}

impl FromStr for UpstreamAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = strip_scheme(text)?;
        if rest.contains('@') {
            return Err(AddressError::UserInfo);
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(AddressError::PathOrQuery);
        }
        let (host, port) = split_port(rest)?;
        let port = port.map_or(Ok(DEFAULT_PORT), read_port)?;
        let host = read_host(host)?;
        let shown = match &host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let authority = if port == DEFAULT_PORT { shown } else { format!("{shown}:{port}") };
        Ok(Self(Arc::new(Parts { host, port, authority })))
    }
}

impl PartialEq for UpstreamAddress {
    fn eq(&self, other: &Self) -> bool {
        // Clones of one configured address are the usual case, so the texts are rarely looked at.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for UpstreamAddress {}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.0.authority)
    }
}

impl fmt::Debug for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn strip_scheme(text: &str) -> Result<&str, AddressError> {
    let (scheme, rest) = text.split_once("://").ok_or(AddressError::NotHttp)?;
    if scheme.eq_ignore_ascii_case("http") {
        Ok(rest)
    } else if scheme.eq_ignore_ascii_case("https") {
        Err(AddressError::Https)
    } else {
        Err(AddressError::NotHttp)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), AddressError> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let end = bracketed.find(']').ok_or(AddressError::Host)?;
        // The opening bracket stays with the host, which is how `read_host` knows IPv6 from a name.
        let host = &authority[..=end];
        return match &bracketed[end + 1..] {
            "" => Ok((host, None)),
            rest => rest.strip_prefix(':').map(|port| (host, Some(port))).ok_or(AddressError::Host),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(AddressError::Host),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn read_port(text: &str) -> Result<u16, AddressError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(AddressError::Port),
    }
}

fn read_host(text: &str) -> Result<Host, AddressError> {
    if let Some(literal) = text.strip_prefix('[') {
        let address: Ipv6Addr = literal.parse().map_err(|_| AddressError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    // 253 and 63 are the limits of DNS (RFC 1035, 2.3.4). Underscores are no host names by the letter, but the
    // names of containers have them.
    let mut labels = text.split('.');
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // Resolvers read `1.2.3` or `2130706433` as IPv4 addresses; a name's last label is never a number.
    let ends_in_number =
        text.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if text.len() > 253 || ends_in_number || !labels.all(fits) {
        return Err(AddressError::Host);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> AddressError {
        text.parse::<UpstreamAddress>().expect_err(text)
    }

    #[test]
    fn what_is_not_a_plain_http_address_is_refused_by_its_reason() {
        assert_eq!(refused("127.0.0.1:3000"), AddressError::NotHttp);
        assert_eq!(refused("ftp://app"), AddressError::NotHttp);
        assert_eq!(refused("https://app"), AddressError::Https);
        assert_eq!(refused("http://user:word@app"), AddressError::UserInfo);
        assert_eq!(refused("http://app/"), AddressError::PathOrQuery);
        assert_eq!(refused("http://app?x"), AddressError::PathOrQuery);
        assert_eq!(refused("http://app#x"), AddressError::PathOrQuery);
        for port in ["", "0", "65536", "+80", "-1", "8o", " 80"] {
            assert_eq!(refused(&format!("http://app:{port}")), AddressError::Port, "{port}");
        }
        let long = "a".repeat(64);
        for host in [
            "",
            "a b",
            "a..b",
            ".a",
            "a.",
            "1.2.3",
            "256.1.1.1",
            "2130706433",
            "[::1",
            "[::1]x",
            "[fe80::1%1]",
        ] {
            assert_eq!(refused(&format!("http://{host}")), AddressError::Host, "{host}");
        }
        assert_eq!(refused("http://::1"), AddressError::Host);
        assert_eq!(refused("http://[127.0.0.1]"), AddressError::Host);
        assert_eq!(refused(&format!("http://{long}")), AddressError::Host);
        assert_eq!(refused("http://bücher"), AddressError::Host);
    }

    #[test]
    fn the_host_header_leaves_the_default_port_out() {
        for (text, authority) in [
            ("http://App_1.internal", "app_1.internal"),
            ("HTTP://app:80", "app"),
            ("http://app:8080", "app:8080"),
            ("http://127.0.0.1:3000", "127.0.0.1:3000"),
            ("http://[::1]", "[::1]"),
            ("http://[0:0::1]:81", "[::1]:81"),
        ] {
            let address: UpstreamAddress = text.parse().expect(text);
            assert_eq!(address.authority(), authority);
        }
    }

    #[test]
    fn addresses_are_equal_when_host_and_port_are() {
        let one: UpstreamAddress = "http://App:80".parse().unwrap();
        let same: UpstreamAddress = "http://app".parse().unwrap();
        let other: UpstreamAddress = "http://app:81".parse().unwrap();
        assert_eq!(one, same);
        assert_ne!(one, other);
    }
}
