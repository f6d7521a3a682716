//! Where an upstream listens: `http://host:port` or `https://host:port`, read once from the configuration.
//!
//! Neither path nor query: the gate passes the request's own target on byte for byte, so
//! anything here beyond host and port would either be ignored or change what was signed. The name is looked up
//! when a connection is made, not when it is read, so a restarted container is found at its new address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use tokio::time::Instant;

use super::connection::Connection;
use super::error::UpstreamError;
use super::tls::{TlsTo, UpstreamName, UpstreamTls};
use crate::tls::Validity;

/// An upstream's address, read from `http://host[:port]` or `https://host[:port]`; without a port it is 80 or 443.
///
/// As it is read, an address over TLS trusts the public authorities and demands a certificate for its host;
/// [`UpstreamAddress::with_tls`] has it otherwise. Cloning is cheap, and two addresses are equal when scheme, host (in lower
/// case) and port are, and what is demanded of the certificate: then they share connections.
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
    /// Nothing in clear.
    tls: Option<TlsTo>,
}

/// Whom to connect to: a literal needs no lookup.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Host {
    Address(IpAddr),
    Name(String),
}

/// Why a text is not an upstream's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with neither `http://` nor `https://`.
    #[error("an upstream begins with http:// or https://")]
    NotHttp,
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

/// In clear and over TLS.
const DEFAULT_PORTS: (u16, u16) = (80, 443);

impl UpstreamAddress {
    /// Host and port, as in a URL: the port is left out when it is the scheme's own.
    pub fn authority(&self) -> &str {
        &self.0.authority
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.0.tls.is_some()
    }

    /// The same address, with a certificate that these authorities vouch for and that is for this name, else for the host. An
    /// address in clear stays as it is.
    #[must_use]
    pub fn with_tls(&self, tls: &UpstreamTls, name: Option<UpstreamName>) -> Self {
        let Parts { host, port, authority, tls: before } = &*self.0;
        let Some(before) = before else { return self.clone() };
        let name = name.unwrap_or_else(|| before.name.clone());
        Self(Arc::new(Parts {
            host: host.clone(),
            port: *port,
            authority: authority.clone(),
            tls: Some(TlsTo { tls: tls.clone(), name }),
        }))
    }

    /// What is demanded of the certificate, and the name that it must be for.
    pub fn proves(&self) -> Option<(&UpstreamTls, &UpstreamName)> {
        self.0.tls.as_ref().map(|to| (&to.tls, &to.name))
    }

    pub(super) fn host(&self) -> &Host {
        &self.0.host
    }

    /// Whether it can be reached now: the name is looked up, a connection made and closed, and over TLS the other side proves
    /// that it is the upstream. Nothing is sent to it. When the certificate is valid that it has shown; none in clear, and where
    /// that cannot be read.
    pub async fn reach(&self, deadline: Instant) -> Result<Option<Validity>, UpstreamError> {
        Connection::open(self, deadline).await.map(|connection| connection.validity())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    pub(super) fn tls(&self) -> Option<&TlsTo> {
        self.0.tls.as_ref()
    }
}

impl FromStr for UpstreamAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (is_tls, rest) = split_scheme(text)?;
        if rest.contains('@') {
            return Err(AddressError::UserInfo);
        }
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(AddressError::PathOrQuery);
        }
        let (host, port) = split_port(rest)?;
        let default_port = if is_tls { DEFAULT_PORTS.1 } else { DEFAULT_PORTS.0 };
        let port = port.map_or(Ok(default_port), read_port)?;
        let host = read_host(host)?;
        let shown = match &host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let tls = if is_tls { Some(tls_to(&host)?) } else { None };
        let authority = if port == default_port { shown } else { format!("{shown}:{port}") };
        Ok(Self(Arc::new(Parts { host, port, authority, tls })))
    }
}

impl PartialEq for UpstreamAddress {
    fn eq(&self, other: &Self) -> bool {
        // Clones of one configured address are the usual case, so what is in it is rarely looked at.
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for UpstreamAddress {}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls() { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.0.authority)
    }
}

impl fmt::Debug for UpstreamAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Whether it is over TLS, and what follows the scheme.
fn split_scheme(text: &str) -> Result<(bool, &str), AddressError> {
    let (scheme, rest) = text.split_once("://").ok_or(AddressError::NotHttp)?;
    if scheme.eq_ignore_ascii_case("http") {
        Ok((false, rest))
    } else if scheme.eq_ignore_ascii_case("https") {
        Ok((true, rest))
    } else {
        Err(AddressError::NotHttp)
    }
}

/// What is demanded of a certificate where nothing else is said.
fn tls_to(host: &Host) -> Result<TlsTo, AddressError> {
    let name = match host {
        Host::Address(ip) => ip.to_string().parse(),
        Host::Name(name) => name.parse(),
    };
    Ok(TlsTo { tls: UpstreamTls::public(), name: name.map_err(|_| AddressError::Host)? })
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
    fn what_is_not_an_address_is_refused_by_its_reason() {
        assert_eq!(refused("127.0.0.1:3000"), AddressError::NotHttp);
        assert_eq!(refused("ftp://app"), AddressError::NotHttp);
        assert_eq!(refused("https://app/"), AddressError::PathOrQuery);
        assert_eq!(refused("https://-app"), AddressError::Host);
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
            ("http://app:443", "app:443"),
            ("https://App_1.internal", "app_1.internal"),
            ("HTTPS://app:443", "app"),
            ("https://app:80", "app:80"),
            ("https://[::1]:8443", "[::1]:8443"),
        ] {
            let address: UpstreamAddress = text.parse().expect(text);
            assert_eq!(address.authority(), authority);
        }
    }

    #[test]
    fn addresses_are_equal_when_scheme_host_and_port_are() {
        let one: UpstreamAddress = "http://App:80".parse().unwrap();
        let same: UpstreamAddress = "http://app".parse().unwrap();
        let other: UpstreamAddress = "http://app:81".parse().unwrap();
        assert_eq!(one, same);
        assert_ne!(one, other);
        let over_tls: UpstreamAddress = "https://app:80".parse().unwrap();
        assert_ne!(one, over_tls);
        assert_eq!(over_tls, "https://APP:80".parse().unwrap());
    }

    #[test]
    fn addresses_of_which_other_certificates_are_demanded_are_not_equal() {
        let public: UpstreamAddress = "https://app".parse().unwrap();
        let other = UpstreamTls::load(None, None).unwrap();
        assert_ne!(public, public.with_tls(&other, None));
        assert_eq!(public.with_tls(&other, None), public.with_tls(&other.clone(), None));
        assert_ne!(
            public.with_tls(&other, None),
            public.with_tls(&UpstreamTls::load(None, None).unwrap(), None)
        );
        let named = public.with_tls(&UpstreamTls::public(), Some("other.internal".parse().unwrap()));
        assert_ne!(public, named);
        assert_eq!(named.to_string(), "https://app");
        assert_eq!(named.proves().unwrap().1.to_string(), "other.internal");
    }

    #[test]
    fn an_address_in_clear_never_becomes_one_over_tls_nor_the_other_way() {
        let plain: UpstreamAddress = "http://app".parse().unwrap();
        assert_eq!(plain.with_tls(&UpstreamTls::public(), None), plain);
        assert!(!plain.is_tls() && plain.proves().is_none());
        let over_tls: UpstreamAddress = "https://app".parse().unwrap();
        assert!(over_tls.is_tls() && over_tls.with_tls(&UpstreamTls::public(), None).is_tls());
        assert_eq!(over_tls.to_string(), "https://app");
    }
}
