//! The target of a request, read as it was sent: which of Twilio's hosts, which path, which query.
//!
//! The one idea: nothing is normalised. A path that two readers could read in two ways is refused, so that what was
//! classified here is what Twilio does there. Of each escape there is one spelling: what need not be escaped must not be,
//! and the digits are capital letters, as every library of Twilio's writes them.

use super::host::TwilioHost;
use super::refusal::Refusal;

/// How a request came: with the host first in its path, or through a tunnel to that host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    /// The egress is the base URL.
    BaseUrl,
    /// The egress is the proxy, and `CONNECT` named this host.
    Tunnel(TwilioHost<'a>),
}

/// A target that can be read in one way alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) host: TwilioHost<'a>,
    /// The path at that host, as sent.
    pub(crate) path: &'a str,
    /// What follows the question mark, as sent.
    pub(crate) query: Option<&'a str>,
    /// Path and query, as sent.
    pub(crate) path_and_query: &'a str,
}

impl<'a> Target<'a> {
    /// Reads the target of a request line. `authority` is the one that the request names.
    pub(crate) fn parse(target: &'a str, authority: &'a str, way: Way<'a>) -> Result<Self, Refusal> {
        let (host, path_and_query) = match way {
            Way::BaseUrl => {
                let rest = target.strip_prefix('/').ok_or(Refusal::BadRequest("target_not_a_path"))?;
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                let (name, path_and_query) = rest.split_at(end);
                (TwilioHost::parse(name).ok_or(Refusal::UnknownHost)?, path_and_query)
            }
            // The tunnel leads to one host; a request in it that names another means something else than it says.
            Way::Tunnel(host) => {
                let named = authority.strip_suffix(":443").unwrap_or(authority);
                if named != host.name() {
                    return Err(Refusal::BadRequest("host_differs_from_tunnel"));
                }
                (host, target)
            }
        };
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        check_path(path).map_err(Refusal::BadRequest)?;
        if let Some(query) = query {
            check_query(query)?;
        }
        Ok(Self { host, path, query, path_and_query })
    }

    /// The segments of the path, as sent.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.path.strip_prefix('/').unwrap_or(self.path).split('/')
    }
}

/// One spelling of a path: absolute, no empty segment, no dots, no parameters of segments, canonical escapes.
fn check_path(path: &str) -> Result<(), &'static str> {
    let rest = path.strip_prefix('/').ok_or("path_missing")?;
    for segment in rest.split('/') {
        match segment {
            "" => return Err("path_empty_segment"),
            "." | ".." => return Err("path_dots"),
            _ => check_segment(segment.as_bytes())?,
        }
    }
    Ok(())
}

fn check_segment(segment: &[u8]) -> Result<(), &'static str> {
    let mut bytes = segment.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !is_path_byte(byte) {
                return Err("path_odd_byte");
            }
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else { return Err("path_escape_broken") };
        let (Some(high), Some(low)) = (upper_digit(high), upper_digit(low)) else {
            return Err("path_escape_not_canonical");
        };
        match high << 4 | low {
            b'/' | b'\\' => return Err("path_escaped_slash"),
            b'%' => return Err("path_escaped_twice"),
            byte if byte < 0x20 || byte == 0x7f => return Err("path_control"),
            byte if is_unreserved(byte) => return Err("path_escape_not_canonical"),
            _ => {}
        }
    }
    Ok(())
}

/// The query: no credentials in it, and nothing but what a URL may have.
fn check_query(query: &str) -> Result<(), Refusal> {
    let is_odd = |byte: u8| !byte.is_ascii_graphic() || b"\\\"<>`{|}^#".contains(&byte);
    if query.bytes().any(is_odd) {
        return Err(Refusal::BadRequest("query_odd_byte"));
    }
    let names_a_credential = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| {
        let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        let plain = plain.to_ascii_lowercase();
        CREDENTIALS.contains(&plain.as_str())
    });
    if names_a_credential { Err(Refusal::CredentialsInUrl) } else { Ok(()) }
}

/// Names of what belongs in `Authorization`, without their hyphens and underscores.
const CREDENTIALS: &[&str] = &[
    "authtoken",
    "authorization",
    "accesstoken",
    "apikey",
    "apisecret",
    "password",
    "secret",
    "apikeysecret",
    "twilioauthtoken",
];

/// RFC 3986, section 3.3, less `;`, which some servers take for the beginning of parameters.
fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn upper_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(target: &str) -> Refusal {
        Target::parse(target, "egress", Way::BaseUrl).expect_err(target)
    }

    #[test]
    fn a_path_that_could_be_read_in_two_ways_is_refused() {
        for (path, rule) in [
            ("", "path_missing"),
            ("?a=b", "path_missing"),
            ("/", "path_empty_segment"),
            ("//2010-04-01/A", "path_empty_segment"),
            ("/a/", "path_empty_segment"),
            ("/a//b", "path_empty_segment"),
            ("/a/./b", "path_dots"),
            ("/a/../b", "path_dots"),
            ("/a/%2e%2e/b", "path_escape_not_canonical"),
            ("/a/%2E%2E/b", "path_escape_not_canonical"),
            ("/a/%2Fb", "path_escaped_slash"),
            ("/a/%5Cb", "path_escaped_slash"),
            ("/a/%2f", "path_escape_not_canonical"),
            ("/a/%2b1415", "path_escape_not_canonical"),
            ("/%41ccounts", "path_escape_not_canonical"),
            ("/a%252Fb", "path_escaped_twice"),
            ("/a%00b", "path_control"),
            ("/a%0Ab", "path_control"),
            ("/a%4", "path_escape_broken"),
            ("/a%", "path_escape_broken"),
            ("/a%+1", "path_escape_not_canonical"),
            ("/a;b=c/d", "path_odd_byte"),
            ("/a\\b", "path_odd_byte"),
            ("/a|b", "path_odd_byte"),
        ] {
            assert_eq!(refused(&format!("/api.twilio.com{path}")), Refusal::BadRequest(rule), "{path}");
        }
    }

    #[test]
    fn a_host_that_is_not_twilio_s_is_refused() {
        for target in
            ["/", "/evil.com/2010-04-01/A", "/API.twilio.com/v1", "/u:p@api.twilio.com/v1", "/2010-04-01/A"]
        {
            assert_eq!(refused(target), Refusal::UnknownHost, "{target}");
        }
        assert_eq!(refused("//api.twilio.com/v1"), Refusal::UnknownHost);
    }

    #[test]
    fn credentials_in_the_query_are_refused_however_they_are_spelled() {
        for query in [
            "AuthToken=x",
            "a=b&auth_token=x",
            "authorization=Basic%20x",
            "%61uth-token=x",
            "Password=x",
            "api_key=1",
        ] {
            assert_eq!(
                refused(&format!("/api.twilio.com/v1/A?{query}")),
                Refusal::CredentialsInUrl,
                "{query}"
            );
        }
        for query in ["a=\\b", "a=\tb", "a=b#c", "a=é", "a= b"] {
            assert_eq!(
                refused(&format!("/api.twilio.com/v1/A?{query}")),
                Refusal::BadRequest("query_odd_byte"),
                "{query}"
            );
        }
    }

    #[test]
    fn what_twilio_s_libraries_send_is_kept_byte_for_byte() {
        for path in [
            "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json?PageSize=50&PageToken=PASM1&Page=1",
            "/v2/PhoneNumbers/%2B14155550100?Fields=line_type_intelligence",
            "/v2/PhoneNumbers/+14155550100",
            "/v1/Services/IS1/Documents/caf%C3%A9%20one",
        ] {
            let target = format!("/lookups.twilio.com{path}");
            let read = Target::parse(&target, "egress", Way::BaseUrl).unwrap();
            assert_eq!((read.path_and_query, read.host.product), (path, "lookups"));
        }
    }

    #[test]
    fn in_a_tunnel_the_host_is_the_tunnel_s_and_every_other_is_refused() {
        let way = Way::Tunnel(TwilioHost::parse("api.twilio.com").unwrap());
        assert!(Target::parse("/v1/A", "api.twilio.com", way).is_ok());
        assert!(Target::parse("/v1/A", "api.twilio.com:443", way).is_ok());
        for other in ["verify.twilio.com", "api.twilio.com:80", "API.twilio.com"] {
            let refused = Target::parse("/v1/A", other, way);
            assert_eq!(refused, Err(Refusal::BadRequest("host_differs_from_tunnel")), "{other}");
        }
    }
}
