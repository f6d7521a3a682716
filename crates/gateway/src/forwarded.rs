//! Headers in which a proxy speaks for somebody else.
//!
//! `Forwarded`, `X-Forwarded-*` and their like are a claim that anyone can write. They count only when the peer,
//! the address at the other end of the connection, is listed; from anyone else they are ignored. None of them
//! ever reaches an upstream: it gets the gate's own or none.
//!
//! Two ways around such a rule are refused whoever sends them: a name with an underscore, which CGI, WSGI and
//! their kin fold into the name with a hyphen after every filter has looked for the hyphen (some fold every byte that is
//! no letter and no digit); and a second field of the same name, of which one reader takes the first and the next reader
//! the last.

mod elements;

use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

use elements::Hop;

use crate::reason::Reason;

/// The peers whose forwarded headers count. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedPeers(Box<[IpNet]>);

impl TrustedPeers {
    /// Reads networks (`10.0.0.0/8`, `fd00::/8`) and single addresses. An IPv4 network written in IPv6
    /// (`::ffff:10.0.0.0/104`) is the IPv4 network.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, TrustedPeersError> {
        networks.into_iter().map(parse_network).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this peer is listed. An IPv4 address that a socket shows as IPv6 counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// Whether nobody is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why an entry is no trusted peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustedPeersError {
    /// Neither an address nor a network.
    #[error("{text:?} is neither an IP address nor a network like 10.0.0.0/8")]
    NotANetwork {
        /// As written.
        text: String,
    },
    /// `10.1.2.3/8`: one address or a whole network? It must be said.
    #[error(
        "{text:?} has bits beyond its prefix; write {network} for the network or leave the prefix out for the address"
    )]
    HostBits {
        /// As written.
        text: String,
        /// The network that contains it.
        network: IpNet,
    },
    /// A list that contains everybody is a list of nobody in particular: anyone could write any address.
    #[error("{text:?} would believe forwarded headers from everybody; list the proxies")]
    Everybody {
        /// As written.
        text: String,
    },
}

/// The address of the client: the peer itself, or, when the peer is listed, what the listed proxies say.
///
/// Read from the right, since each proxy appends what it saw: addresses that are listed themselves are further
/// proxies, the first that is not is the client. What stands left of it is the client's own text and is not
/// believed. If all are listed, the left-most is the client. Where a proxy says that it does not know (`unknown`,
/// an obfuscated name, an element without `for`), the answer is the address of the proxy that says so: the
/// furthest that anyone vouches for.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &TrustedPeers,
) -> Result<IpAddr, ForwardedError> {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return Ok(peer);
    }
    let listed = match single(headers, &X_FORWARDED_FOR)? {
        Some(value) => Some(walk(peer, elements::x_forwarded_for(value), trusted)?),
        None => None,
    };
    let forwarded = match single(headers, &FORWARDED)? {
        Some(value) => Some(walk(peer, elements::forwarded(value)?.into_iter().rev().map(Ok), trusted)?),
        None => None,
    };
    match (listed, forwarded) {
        (Some(listed), Some(forwarded)) if listed != forwarded => Err(ForwardedError::Disagree),
        (listed, forwarded) => Ok(listed.or(forwarded).unwrap_or(peer)),
    }
}

/// Why forwarded headers from a listed peer cannot be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedError {
    /// Not of the form that RFC 7239 (or, for `X-Forwarded-For`, custom) gives it.
    #[error("a forwarded header from a listed peer is malformed")]
    Malformed,
    /// More than one field of one name.
    #[error("a forwarded header from a listed peer is there twice")]
    Repeated,
    /// `Forwarded` and `X-Forwarded-For` lead to different clients: one of them went past a proxy unseen.
    #[error("Forwarded and X-Forwarded-For name different clients")]
    Disagree,
}

impl ForwardedError {
    /// The stable name, for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "forwarded_malformed",
            Self::Repeated => "forwarded_repeated",
            Self::Disagree => "forwarded_disagree",
        }
    }
}

/// Refuses header names that could be taken for another, and forwarding headers that are there twice, from
/// anyone, listed or not.
pub fn check_forwarding_headers(headers: &HeaderMap) -> Result<(), HeaderRefusal> {
    for name in headers.keys() {
        if name.as_str().bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-') {
            return Err(HeaderRefusal::Folds(name.clone()));
        }
        if is_forwarding(name.as_str().as_bytes()) && headers.get_all(name).iter().nth(1).is_some() {
            return Err(HeaderRefusal::Repeated(name.clone()));
        }
    }
    Ok(())
}

/// Why a request is refused for its header names. The name is the caller's text: for the log, not for an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefusal {
    /// `x_forwarded_for` becomes `X-Forwarded-For` in the next program, and `x.forwarded.for` in some.
    #[error("the header name {0:?} has another byte than letters, digits and hyphens")]
    Folds(HeaderName),
    /// A forwarding header must be there once.
    #[error("the forwarding header {0:?} is there more than once")]
    Repeated(HeaderName),
}

impl HeaderRefusal {
    /// The reason as a metric label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Folds(_) => "header_underscore",
            Self::Repeated(_) => "header_repeated",
        }
    }
}

/// Whether this header of an incoming request never reaches an upstream.
///
/// These are: whatever speaks for somebody else (see the module); whatever claims to come from a Ringfence; what
/// belongs to one connection (RFC 9110, 7.6.1); what we make anew (`Host`, `Content-Length`); and what would make
/// an application take the request for another one, of another path or method, than was verified. Headers that
/// `Connection` names are to be removed besides: see [`is_named_by_connection`].
pub fn is_stripped(name: &HeaderName) -> bool {
    // Runs for each header of each request: the first byte decides for nearly all of them.
    let name = name.as_str().as_bytes();
    match name.first() {
        Some(b'c') if matches!(name, b"connection" | b"content-length") => true,
        Some(b'e') => name == b"expect",
        Some(b'h') => matches!(name, b"host" | b"http2-settings"),
        Some(b'k') => name == b"keep-alive",
        // `Proxy` alone would become HTTP_PROXY in a CGI environment.
        Some(b'p') => name == b"proxy" || name.starts_with(b"proxy-"),
        // What the console says of people to the applications of its protected hosts.
        Some(b'r') => name.starts_with(b"ringfence-"),
        Some(b't') if matches!(name, b"te" | b"trailer" | b"transfer-encoding") => true,
        Some(b'u') => name == b"upgrade",
        Some(b'x') if name.starts_with(b"x-ringfence-") => true,
        Some(b'c' | b'f' | b't' | b'x') => is_forwarding(name),
        _ => false,
    }
}

/// Whether in this header somebody may speak for somebody else.
pub(crate) fn is_claim(name: &HeaderName) -> bool {
    is_forwarding(name.as_str().as_bytes())
}

/// The one value that these fields have, as text. Where the proxy writes one of them and passes on another that its
/// client wrote, they differ, and nobody can say which is the proxy's.
pub(crate) fn the_one<'a>(headers: &'a HeaderMap, names: &[&str]) -> Result<Option<&'a str>, Reason> {
    let mut found = None;
    for value in names.iter().filter_map(|name| headers.get(*name)) {
        let value = value.to_str().map_err(|_| Reason::BadRequest("forwarded_field_not_ascii"))?;
        if found.is_some_and(|other| other != value) {
            return Err(Reason::BadRequest("forwarded_fields_disagree"));
        }
        found = Some(value);
    }
    Ok(found)
}

/// Whether a listed proxy says that its client came over TLS.
pub(crate) fn says_https(headers: &HeaderMap) -> bool {
    headers.get(X_FORWARDED_PROTO).is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// Whether `Connection` names this header, which then belongs to the client's connection only. Twilio's own
/// headers and what authenticates cannot be removed in this way: the request is forwarded with what was verified.
pub fn is_named_by_connection(name: &HeaderName, headers: &HeaderMap) -> bool {
    let name = name.as_str();
    let is_twilio_s = name.starts_with("x-twilio-") || name.starts_with("i-twilio-");
    if is_twilio_s || matches!(name, "content-type" | "authorization" | "cookie") {
        return false;
    }
    headers.get_all(http::header::CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// Where proxies that ask about a request write its method: Traefik and Caddy, nginx by custom.
pub(crate) const METHOD: [&str; 2] = ["x-forwarded-method", "x-original-method"];
/// Where they write its host.
pub(crate) const HOST: [&str; 1] = ["x-forwarded-host"];
/// Where they write its path and query.
pub(crate) const TARGET: [&str; 2] = ["x-forwarded-uri", "x-original-uri"];

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Headers that tell of another address, host, scheme, path or method than the request has. Names are lower case.
fn is_forwarding(name: &[u8]) -> bool {
    match name.first() {
        Some(b'f') => {
            matches!(
                name,
                b"forwarded" | b"forwarded-for" | b"fastly-client-ip" | b"fly-client-ip" | b"front-end-https"
            )
        }
        Some(b't') => name == b"true-client-ip",
        Some(b'c') => matches!(name, b"cf-connecting-ip" | b"client-ip"),
        Some(b'x') => match name.get(2) {
            Some(b'f') => name.starts_with(b"x-forwarded"),
            Some(b'r') => name.starts_with(b"x-real-") || name == b"x-rewrite-url",
            Some(b'o') => name.starts_with(b"x-original-"),
            Some(b'c') => matches!(name, b"x-client-ip" | b"x-cluster-client-ip"),
            Some(b'h') => matches!(
                name,
                b"x-host" | b"x-http-host-override" | b"x-http-method" | b"x-http-method-override"
            ),
            Some(b'e') => matches!(name, b"x-envoy-original-path" | b"x-envoy-external-address"),
            Some(b'p') => name == b"x-proxyuser-ip",
            Some(b'm') => name == b"x-method-override",
            Some(b's') => matches!(name, b"x-scheme" | b"x-script-name"),
            Some(b'u') => matches!(name, b"x-url-scheme"),
            Some(b'a') => matches!(name, b"x-appengine-user-ip" | b"x-azure-clientip"),
            _ => false,
        },
        _ => false,
    }
}

fn parse_network(text: &str) -> Result<IpNet, TrustedPeersError> {
    let not_a_network = || TrustedPeersError::NotANetwork { text: text.to_owned() };
    if let Ok(address) = IpAddr::from_str(text) {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network = IpNet::from_str(text).map_err(|_| not_a_network())?;
    if network.addr() != network.network() {
        return Err(TrustedPeersError::HostBits { text: text.to_owned(), network: network.trunc() });
    }
    let network = match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(address), length @ 96..) if network.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), length - 96).map_err(|_| not_a_network())?
        }
        _ => network,
    };
    if network.prefix_len() == 0 {
        return Err(TrustedPeersError::Everybody { text: text.to_owned() });
    }
    Ok(network)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, ForwardedError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ForwardedError::Repeated);
    }
    Ok(first.map(|value| value.as_bytes()))
}

/// `hops` come nearest first.
fn walk(
    peer: IpAddr,
    hops: impl Iterator<Item = Result<Hop, ForwardedError>>,
    trusted: &TrustedPeers,
) -> Result<IpAddr, ForwardedError> {
    let mut furthest = peer;
    for hop in hops {
        match hop? {
            Hop::Hidden => break,
            Hop::Address(address) => furthest = address,
        }
        if !trusted.contains(furthest) {
            break;
        }
    }
    Ok(furthest)
}

#[cfg(test)]
mod tests;
