//! The public URL that Twilio called, and the short fixed list of forms in which Twilio may have signed it.
//!
//! Not a URL library: nothing is normalised, decoded or rebuilt. A URL is cut into borrowed pieces at fixed
//! places, and a candidate is those pieces with one port, scheme or userinfo left out or put in.

use std::fmt;

/// The base of the public URL, from configuration: scheme, optional userinfo, host, optional port, optional path
/// prefix. A fragment (Twilio's connection overrides, `#rc=2`) never reaches a server and is cut off.
///
/// ```
/// use ringfence_signature::PublicUrl;
///
/// let base = PublicUrl::parse("https://hooks.example.com:8443/twilio#rc=2")?;
/// assert_eq!(base.authority(), "hooks.example.com:8443");
/// assert_eq!(base.receive(b"/sms?tenant=7").to_string(), "https://hooks.example.com:8443/twilio/sms?tenant=7");
/// # Ok::<(), ringfence_signature::PublicUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    scheme: String,
    userinfo: Option<String>,
    host: String,
    port: Option<String>,
    path_prefix: String,
}

impl PublicUrl {
    /// Reads the configured base.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text.split_once("://").ok_or(PublicUrlError::MissingScheme)?;
        if Scheme::parse(scheme.as_bytes()).is_none() {
            return Err(PublicUrlError::UnsupportedScheme);
        }
        if text.contains('?') {
            return Err(PublicUrlError::HasQuery);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(PublicUrlError::InvalidCharacter);
        }
        let pieces = ReceivedUrl::parse(text.as_bytes());
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_and_port)) => (Some(userinfo.to_owned()), host_and_port),
            None => (None, authority),
        };
        let (host, port) = match pieces.port {
            Some(port) => (&host_and_port[..host_and_port.len() - port.len() - 1], from_utf8(port)),
            None => (host_and_port, None),
        };
        if !is_host(host) {
            return Err(if host.is_empty() {
                PublicUrlError::MissingHost
            } else {
                PublicUrlError::InvalidHost
            });
        }
        if port.is_some_and(|port| {
            port.parse::<u16>().map_or(true, |number| number == 0) || port.starts_with('+')
        }) {
            return Err(PublicUrlError::InvalidPort);
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            userinfo,
            host: host.to_owned(),
            port: port.map(str::to_owned),
            path_prefix: path.trim_end_matches('/').to_owned(),
        })
    }

    /// The whole URL of a request with this raw target (path and query as in the request line).
    pub fn receive<'a>(&'a self, target: &'a [u8]) -> ReceivedUrl<'a> {
        ReceivedUrl {
            scheme: Some(self.scheme.as_bytes()),
            userinfo: self.userinfo.as_deref().map(str::as_bytes),
            extra_userinfo: None,
            host: self.host.as_bytes(),
            port: self.port.as_deref().map(str::as_bytes),
            path_prefix: self.path_prefix.as_bytes(),
            target,
        }
    }

    /// The scheme as configured: `http`, `https`, `ws` or `wss`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host as configured, an IPv6 address with its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host and, where one was configured, port: what a `Host` header should say.
    pub fn authority(&self) -> String {
        match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// Whether a user name or password is part of the configured URL.
    pub fn has_userinfo(&self) -> bool {
        self.userinfo.is_some()
    }
}

/// Shows the URL without its userinfo, which may be a password.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path_prefix)
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({self})")
    }
}

/// Why a configured public URL cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicUrlError {
    /// There is no `://`.
    #[error("the URL needs a scheme, such as https://")]
    MissingScheme,
    /// The scheme is none of the four that Twilio calls.
    #[error("the scheme must be http, https, ws or wss")]
    UnsupportedScheme,
    /// Nothing stands where the host should.
    #[error("the URL has no host")]
    MissingHost,
    /// The host has characters that no host has, or brackets without an IPv6 address.
    #[error("the host is not a name, an IPv4 address or an [IPv6] address")]
    InvalidHost,
    /// The port is not a number from 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    InvalidPort,
    /// A query is part of each request's own URL, not of the base.
    #[error("the base URL must not have a query")]
    HasQuery,
    /// White space or a control character.
    #[error("the URL has white space or a control character in it")]
    InvalidCharacter,
}

fn from_utf8(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(address) => address.strip_suffix(']').is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty() && !host.contains(['[', ']', ':', '@', '\\', '<', '>', '"', '%', '^', '|', ','])
        }
    }
}

/// The URL of one request as borrowed pieces; byte for byte what was seen, whatever that was.
///
/// ```
/// use ringfence_signature::ReceivedUrl;
///
/// let url = ReceivedUrl::parse(b"https://user:pass@h.example:8443/a?x=1");
/// assert_eq!(url.target(), b"/a?x=1");
/// assert_eq!(url.query(), Some(&b"x=1"[..]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReceivedUrl<'a> {
    /// `None` where there is no `://`: such a URL has no candidate but itself.
    scheme: Option<&'a [u8]>,
    userinfo: Option<&'a [u8]>,
    /// Given by `with_userinfo`: what the sender may have had in its URL while the receiver cannot see it.
    extra_userinfo: Option<&'a [u8]>,
    host: &'a [u8],
    port: Option<&'a [u8]>,
    path_prefix: &'a [u8],
    target: &'a [u8],
}

impl<'a> ReceivedUrl<'a> {
    /// Cuts a whole URL into its pieces. Never fails: what is no URL is one piece.
    pub fn parse(full_url: &'a [u8]) -> Self {
        let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let scheme_len = full_url.iter().position(|byte| !is_of_scheme(byte)).unwrap_or(full_url.len());
        let (scheme, rest) = full_url.split_at(scheme_len);
        let Some(rest) = rest.strip_prefix(b"://").filter(|_| scheme_len > 0) else {
            return Self::opaque(full_url);
        };
        let authority_len = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(authority_len);
        let (userinfo, host_and_port) = match memchr::memrchr(b'@', authority) {
            Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
            None => (None, authority),
        };
        let (host, port) = split_port(host_and_port);
        Self { scheme: Some(scheme), userinfo, extra_userinfo: None, host, port, path_prefix: b"", target }
    }

    fn opaque(target: &'a [u8]) -> Self {
        Self {
            scheme: None,
            userinfo: None,
            extra_userinfo: None,
            host: b"",
            port: None,
            path_prefix: b"",
            target,
        }
    }

    /// Names the userinfo (`user:password`) that the sender's URL may have and this one has not. It is tried only
    /// where the policy says so.
    #[must_use]
    pub fn with_userinfo(mut self, userinfo: &'a [u8]) -> Self {
        self.extra_userinfo = Some(userinfo);
        self
    }

    /// The raw target: path and query as received, without the configured path prefix.
    pub fn target(&self) -> &'a [u8] {
        self.target
    }

    /// The raw query: what follows the first `?` of the target, up to a `#` if there is one.
    pub fn query(&self) -> Option<&'a [u8]> {
        let at = memchr::memchr2(b'?', b'#', self.target)?;
        if self.target[at] == b'#' {
            return None;
        }
        let query = &self.target[at + 1..];
        Some(&query[..memchr::memchr(b'#', query).unwrap_or(query.len())])
    }

    /// The forms in which Twilio may have signed this URL, the likeliest first; at most eight, the same for every
    /// URL of one shape.
    pub(crate) fn candidates(
        &self,
        websocket: bool,
        try_userinfo: bool,
    ) -> impl Iterator<Item = Candidate> + use<> {
        let scheme = self.scheme.and_then(Scheme::parse);
        let other_port = match (self.scheme, self.port) {
            (None, _) => None,
            (Some(_), Some(_)) => Some(Port::Removed),
            (Some(_), None) => scheme.map(|_| Port::DefaultAdded),
        };
        let other_scheme =
            (websocket && matches!(scheme, Some(Scheme::Http | Scheme::Https))).then_some(true);
        let other_userinfo = match (self.userinfo, self.extra_userinfo) {
            _ if !try_userinfo || self.scheme.is_none() => None,
            (Some(_), _) => Some(Userinfo::Removed),
            (None, Some(_)) => Some(Userinfo::Added),
            (None, None) => None,
        };
        // A handshake's URL was written with wss by whoever configured it, so that comes before what was seen.
        let schemes = [other_scheme, Some(false)];
        let ports = [Some(Port::AsReceived), other_port];
        let userinfos = [Some(Userinfo::AsReceived), other_userinfo];
        userinfos.into_iter().flatten().flat_map(move |userinfo| {
            schemes.into_iter().flatten().flat_map(move |websocket| {
                ports.into_iter().flatten().map(move |port| Candidate { port, websocket, userinfo })
            })
        })
    }

    /// No candidate's [`prefix`](Self::prefix) is longer.
    pub(crate) fn prefix_len_max(&self) -> usize {
        const PUNCTUATION: usize = "wss://@:443".len();
        let len = |piece: Option<&[u8]>| piece.map_or(0, <[u8]>::len);
        let userinfo = len(self.userinfo).max(len(self.extra_userinfo));
        len(self.scheme) + userinfo + self.host.len() + len(self.port) + self.path_prefix.len() + PUNCTUATION
    }

    /// The pieces of this URL before the target, in the form of `candidate`. Joined, with the target after them,
    /// they are what was signed.
    pub(crate) fn prefix(&self, candidate: Candidate) -> [&'a [u8]; PREFIX_PIECES] {
        let Some(as_seen) = self.scheme else { return [b""; PREFIX_PIECES] };
        let known = Scheme::parse(as_seen);
        let scheme: &[u8] = match known {
            Some(Scheme::Https) if candidate.websocket => b"wss",
            Some(Scheme::Http) if candidate.websocket => b"ws",
            _ => as_seen,
        };
        let (userinfo, at): (&[u8], &[u8]) = match candidate.userinfo {
            Userinfo::AsReceived => self.userinfo.map_or((b"", b""), |it| (it, b"@")),
            Userinfo::Removed => (b"", b""),
            Userinfo::Added => self.extra_userinfo.map_or((b"", b""), |it| (it, b"@")),
        };
        let (colon, port): (&[u8], &[u8]) = match candidate.port {
            Port::AsReceived => self.port.map_or((b"", b""), |it| (b":", it)),
            Port::Removed => (b"", b""),
            Port::DefaultAdded => known.map_or((b"", b""), |it| (b":", it.default_port())),
        };
        [scheme, b"://", userinfo, at, self.host, colon, port, self.path_prefix]
    }
}

const PREFIX_PIECES: usize = 8;

/// Shows the URL without its userinfo, which may be a password.
impl fmt::Display for ReceivedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Candidate { port: Port::AsReceived, websocket: false, userinfo: Userinfo::Removed };
        for piece in self.prefix(shown) {
            f.write_str(&String::from_utf8_lossy(piece))?;
        }
        f.write_str(&String::from_utf8_lossy(self.target))
    }
}

impl fmt::Debug for ReceivedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceivedUrl({self})")
    }
}

/// Cuts `host:port`. The colons of an IPv6 address stand inside brackets.
fn split_port(host_and_port: &[u8]) -> (&[u8], Option<&[u8]>) {
    let host_len = match memchr::memrchr2(b':', b']', host_and_port) {
        Some(at) if host_and_port[at] == b':' => at,
        _ => return (host_and_port, None),
    };
    (&host_and_port[..host_len], Some(&host_and_port[host_len + 1..]))
}

#[derive(Clone, Copy)]
enum Scheme {
    Http,
    Https,
    Ws,
    Wss,
}

impl Scheme {
    fn parse(scheme: &[u8]) -> Option<Self> {
        match scheme {
            b"https" => Some(Self::Https),
            b"http" => Some(Self::Http),
            b"wss" => Some(Self::Wss),
            b"ws" => Some(Self::Ws),
            _ if scheme.iter().any(u8::is_ascii_uppercase) => Self::parse(&scheme.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn default_port(self) -> &'static [u8] {
        match self {
            Self::Https | Self::Wss => b"443",
            Self::Http | Self::Ws => b"80",
        }
    }
}

/// One form of the URL that Twilio may have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// What became of the port.
    pub port: Port,
    /// Whether `https` was turned into `wss`, or `http` into `ws`.
    pub websocket: bool,
    /// What became of `user:password@`.
    pub userinfo: Userinfo,
}

/// What a [`Candidate`] does with the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Left as it was, present or absent.
    AsReceived,
    /// A port was there and is left out.
    Removed,
    /// No port was there; the scheme's own (443 or 80) is put in.
    DefaultAdded,
}

/// What a [`Candidate`] does with the userinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Userinfo {
    /// Left as it was, present or absent.
    AsReceived,
    /// It was there and is left out.
    Removed,
    /// It was not there and the configured one is put in.
    Added,
}

impl Candidate {
    /// The URL exactly as received.
    pub const AS_RECEIVED: Self =
        Self { port: Port::AsReceived, websocket: false, userinfo: Userinfo::AsReceived };

    /// A short name, fit for a header value and a metric label.
    ///
    /// ```
    /// # use ringfence_signature::Candidate;
    /// assert_eq!(Candidate::AS_RECEIVED.as_str(), "as-received");
    /// ```
    pub fn as_str(self) -> &'static str {
        match (self.port, self.websocket, self.userinfo) {
            (Port::AsReceived, false, Userinfo::AsReceived) => "as-received",
            (Port::AsReceived, false, Userinfo::Removed) => "as-received+userinfo-removed",
            (Port::AsReceived, false, Userinfo::Added) => "as-received+userinfo-added",
            (Port::AsReceived, true, Userinfo::AsReceived) => "as-received+wss",
            (Port::AsReceived, true, Userinfo::Removed) => "as-received+wss+userinfo-removed",
            (Port::AsReceived, true, Userinfo::Added) => "as-received+wss+userinfo-added",
            (Port::Removed, false, Userinfo::AsReceived) => "port-removed",
            (Port::Removed, false, Userinfo::Removed) => "port-removed+userinfo-removed",
            (Port::Removed, false, Userinfo::Added) => "port-removed+userinfo-added",
            (Port::Removed, true, Userinfo::AsReceived) => "port-removed+wss",
            (Port::Removed, true, Userinfo::Removed) => "port-removed+wss+userinfo-removed",
            (Port::Removed, true, Userinfo::Added) => "port-removed+wss+userinfo-added",
            (Port::DefaultAdded, false, Userinfo::AsReceived) => "default-port-added",
            (Port::DefaultAdded, false, Userinfo::Removed) => "default-port-added+userinfo-removed",
            (Port::DefaultAdded, false, Userinfo::Added) => "default-port-added+userinfo-added",
            (Port::DefaultAdded, true, Userinfo::AsReceived) => "default-port-added+wss",
            (Port::DefaultAdded, true, Userinfo::Removed) => "default-port-added+wss+userinfo-removed",
            (Port::DefaultAdded, true, Userinfo::Added) => "default-port-added+wss+userinfo-added",
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(url: &str, websocket: bool, userinfo: Option<&str>) -> Vec<String> {
        let mut url = ReceivedUrl::parse(url.as_bytes());
        if let Some(userinfo) = userinfo {
            url = url.with_userinfo(userinfo.as_bytes());
        }
        let whole = |candidate| [url.prefix(candidate).concat(), url.target().to_vec()].concat();
        url.candidates(websocket, true)
            .inspect(|candidate| assert!(url.prefix(*candidate).concat().len() <= url.prefix_len_max()))
            .map(|candidate| format!("{candidate} {}", String::from_utf8(whole(candidate)).unwrap()))
            .collect()
    }

    #[test]
    fn a_port_is_taken_out_or_the_default_put_in() {
        let expected = ["as-received https://h:8443/a", "port-removed https://h/a"];
        assert_eq!(candidates("https://h:8443/a", false, None), expected);
        let expected = ["as-received HTTP://H", "default-port-added HTTP://H:80"];
        assert_eq!(candidates("HTTP://H", false, None), expected);
        let expected =
            ["as-received https://[2001:db8::1]/", "default-port-added https://[2001:db8::1]:443/"];
        assert_eq!(candidates("https://[2001:db8::1]/", false, None), expected);
    }

    #[test]
    fn a_handshake_is_tried_as_websocket_first() {
        let expected = [
            "as-received+wss wss://h/m",
            "default-port-added+wss wss://h:443/m",
            "as-received https://h/m",
            "default-port-added https://h:443/m",
        ];
        assert_eq!(candidates("https://h/m", true, None), expected);
        assert_eq!(candidates("wss://h/m", true, None).len(), 2);
        let plain = ["as-received ws://h/m", "default-port-added ws://h:80/m"];
        assert_eq!(candidates("ws://h/m", true, None), plain);
    }

    #[test]
    fn there_are_at_most_eight_forms_and_each_is_another_url() {
        let all = candidates("https://u:p@h:1/m?x", true, None);
        assert_eq!(all.len(), 8);
        assert_eq!(all[7], "port-removed+userinfo-removed https://h/m?x");
        let urls: std::collections::BTreeSet<_> =
            all.iter().map(|it| it.split_once(' ').unwrap().1).collect();
        assert_eq!(urls.len(), 8);
        let added = candidates("http://h/", true, Some("u:p"));
        assert_eq!(added.len(), 8);
        assert_eq!(added[4], "as-received+wss+userinfo-added ws://u:p@h/");
    }

    #[test]
    fn no_form_is_longer_than_was_reckoned_with_whatever_the_base_has() {
        let prefix = "/a".repeat(200);
        for base in
            [format!("https://u:p@h{prefix}"), format!("http://h:8080{prefix}"), format!("ws://h{prefix}")]
        {
            let base = PublicUrl::parse(&base).unwrap();
            let url = base.receive(b"/sms").with_userinfo(b"user:password");
            let lengths: Vec<_> =
                url.candidates(true, true).map(|candidate| url.prefix(candidate).concat().len()).collect();
            assert!(lengths.iter().all(|len| *len <= url.prefix_len_max()), "{lengths:?} of {base}");
            assert!(lengths.iter().all(|len| *len + 40 > url.prefix_len_max()), "{lengths:?} of {base}");
        }
    }

    #[test]
    fn userinfo_is_left_alone_unless_the_policy_says_otherwise() {
        let url = ReceivedUrl::parse(b"https://u:p@h/").with_userinfo(b"x:y");
        assert!(url.candidates(true, false).all(|candidate| candidate.userinfo == Userinfo::AsReceived));
    }

    #[test]
    fn what_is_no_url_has_no_form_but_its_own() {
        for odd in ["", "/a?x=1", "://", "a b://c", "mailto:x", "https:/h"] {
            assert_eq!(candidates(odd, true, Some("u")), [format!("as-received {odd}")], "{odd}");
        }
    }

    #[test]
    fn a_query_ends_at_a_fragment() {
        let query = |url: &'static str| ReceivedUrl::parse(url.as_bytes()).query().map(<[u8]>::to_vec);
        assert_eq!(query("https://h/a?b?c#d?e"), Some(b"b?c".to_vec()));
        assert_eq!(query("https://h/a#d?e"), None);
        assert_eq!(query("https://h?"), Some(Vec::new()));
    }

    #[test]
    fn a_base_url_that_cannot_be_one_is_refused_with_its_reason() {
        let refused = |text: &str| PublicUrl::parse(text).expect_err(text);
        assert_eq!(refused("hooks.example.com"), PublicUrlError::MissingScheme);
        assert_eq!(refused("ftp://h"), PublicUrlError::UnsupportedScheme);
        assert_eq!(refused("https:///a"), PublicUrlError::MissingHost);
        assert_eq!(refused("https://[::1"), PublicUrlError::InvalidHost);
        assert_eq!(refused("https://[h]"), PublicUrlError::InvalidHost);
        assert_eq!(refused("https://a,b"), PublicUrlError::InvalidHost);
        for port in ["", "0", "65536", "+1", "x"] {
            assert_eq!(refused(&format!("https://h:{port}/")), PublicUrlError::InvalidPort, "{port}");
        }
        assert_eq!(refused("https://h/?a"), PublicUrlError::HasQuery);
        assert_eq!(refused("https://h /"), PublicUrlError::InvalidCharacter);
    }

    #[test]
    fn a_base_url_gives_back_what_was_configured() {
        let base = PublicUrl::parse("https://u:p@[::1]:8443/a/#rc=2").unwrap();
        assert_eq!((base.scheme(), base.host(), base.has_userinfo()), ("https", "[::1]", true));
        assert_eq!(base.authority(), "[::1]:8443");
        let received = base.receive(b"/b?c");
        assert_eq!(received.prefix(Candidate::AS_RECEIVED).concat(), b"https://u:p@[::1]:8443/a");
        assert_eq!((received.target(), received.query()), (&b"/b?c"[..], Some(&b"c"[..])));
        assert!(!PublicUrl::parse("https://h/").unwrap().has_userinfo());
    }

    #[test]
    fn no_password_is_printed() {
        let base = PublicUrl::parse("https://u:swordfish@h/").unwrap();
        let url = base.receive(b"/sms");
        assert_eq!(
            [base.to_string(), format!("{base:?}"), url.to_string(), format!("{url:?}")],
            ["https://h", "PublicUrl(https://h)", "https://h/sms", "ReceivedUrl(https://h/sms)"]
        );
    }
}
