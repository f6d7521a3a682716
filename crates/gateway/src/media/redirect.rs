//! Where a redirect of Twilio's may lead: to a listed host, over TLS, and never into a network of ours.
//!
//! Twilio answers a request for media with a redirect to where its files are
//! (<https://www.twilio.com/docs/messaging/api/media-resource>). Whoever could put another address there would have this
//! machine fetch what it alone reaches. The one idea: the decision is a function of the text and the list, and what it gives
//! is the only thing that is asked; a name that is listed and leads to a private address is refused when it is looked up
//! ([`super::public`]).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

use crate::egress::host::TwilioBase;

/// Redirects in a row that are followed.
pub(crate) const REDIRECTS_MAX: usize = 3;

/// The hosts that Twilio's files are at. Twilio's help names the last two: with HTTP authentication for media
/// `mms.twiliocdn.com`, without it `s3-external-1.amazonaws.com`
/// (<https://help.twilio.com/articles/223183748>).
pub const HOSTS: [&str; 3] = ["*.twilio.com", "*.twiliocdn.com", "s3-external-1.amazonaws.com"];

/// A host that redirects may lead to, or all hosts below a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHost {
    /// In lower case.
    name: String,
    /// `*.example.com`: any host below it, and not itself.
    is_below: bool,
}

/// The text is no such host. The error completes the sentence "`text` …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFileHost {
    /// `10.0.0.1`, `[::1]`: an address says nothing of whose it is.
    #[error("is an address; files are at hosts that have a name")]
    Address,
    /// `*.com`, `*`, `a.*.example.com`.
    #[error("has a wildcard that stands for too much; it comes first, before a name of two labels or more")]
    Wildcard,
    /// A URL, a port, a name without a dot, and all else.
    #[error("is no name of a host")]
    Name,
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// To a listed host, whose address must be public.
    Listed(Uri),
    /// To what the configuration calls Twilio, or beside it on this machine: a sandbox.
    Sandbox(Uri),
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotFollowed {
    #[error("it does not say where it leads")]
    NoLocation,
    #[error("where it leads is no URL")]
    Malformed,
    #[error("it leads out of TLS")]
    InTheClear,
    #[error("it leads to an address instead of a name")]
    Address,
    #[error("it leads to a host that is not listed")]
    NotListed,
    #[error("there are too many in a row")]
    TooMany,
}

/// Where the redirect of an answer from `here` leads, if it is to be followed.
pub(crate) fn decide(
    location: Option<&str>,
    here: &Uri,
    base: &TwilioBase,
    hosts: &[FileHost],
) -> Result<Next, NotFollowed> {
    let location = location.ok_or(NotFollowed::NoLocation)?;
    let uri = absolute(location, here).ok_or(NotFollowed::Malformed)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(NotFollowed::Malformed);
    };
    if authority.as_str().contains('@') {
        return Err(NotFollowed::Malformed);
    }
    if is_of_sandbox(&uri, base) {
        return Ok(Next::Sandbox(uri));
    }
    if scheme != "https" {
        return Err(NotFollowed::InTheClear);
    }
    let host = authority.host();
    if is_address(host) {
        return Err(NotFollowed::Address);
    }
    // Files are at the port that HTTPS has, and nowhere else.
    let is_listed =
        authority.port().is_none_or(|port| port.as_u16() == 443) && hosts.iter().any(|it| it.has(host));
    if is_listed { Ok(Next::Listed(uri)) } else { Err(NotFollowed::NotListed) }
}

/// The URL of a `Location`: one of its own, or a path at the same place (RFC 9110, section 10.2.2).
fn absolute(location: &str, here: &Uri) -> Option<Uri> {
    // Backslashes and what is not graphic ASCII are read in two ways by those who read URLs.
    if location.contains('\\') || !location.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    // What is behind the `#` is for browsers.
    let location = location.split('#').next().unwrap_or_default();
    if location.starts_with('/') && !location.starts_with("//") {
        let (scheme, authority) = (here.scheme()?.clone(), here.authority()?.clone());
        return Uri::builder().scheme(scheme).authority(authority).path_and_query(location).build().ok();
    }
    location.parse().ok()
}

/// Whether it leads to the one address that stands for Twilio; or, where that is on this machine, to another port of it.
fn is_of_sandbox(uri: &Uri, base: &TwilioBase) -> bool {
    let TwilioBase::One { scheme, authority, .. } = base else { return false };
    let Some(there) = uri.authority() else { return false };
    if uri.scheme() == Some(scheme) && there.as_str().eq_ignore_ascii_case(authority.as_str()) {
        return true;
    }
    matches!(uri.scheme_str(), Some("http" | "https"))
        && is_loopback(authority.host())
        && is_loopback(there.host())
}

fn is_loopback(host: &str) -> bool {
    address(host).is_some_and(|address| address.is_loopback())
}

/// Whether somebody could take it for an address: also in those spellings that only the system's own look-up takes for one
/// (`2130706433`, `0x7f.1`, `127.1`), which end in a number (<https://url.spec.whatwg.org/#ends-in-a-number-checker>).
fn is_address(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    address(host).is_some() || last.starts_with(|first: char| first.is_ascii_digit())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl FileHost {
    /// Whether this host is it, or below it.
    fn has(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if self.is_below {
            host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        }
    }

    /// Those that count where nobody lists others.
    pub fn usual() -> Vec<Self> {
        HOSTS.iter().filter_map(|host| host.parse().ok()).collect()
    }
}

impl FromStr for FileHost {
    type Err = InvalidFileHost;

    fn from_str(text: &str) -> Result<Self, InvalidFileHost> {
        let (name, is_below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(InvalidFileHost::Wildcard);
        }
        if is_address(name) {
            return Err(InvalidFileHost::Address);
        }
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        match name.split('.').count() {
            _ if name.len() > 253 || !name.split('.').all(is_label) => Err(InvalidFileHost::Name),
            1 if is_below => Err(InvalidFileHost::Wildcard),
            1 => Err(InvalidFileHost::Name),
            _ => Ok(Self { name: name.to_ascii_lowercase(), is_below }),
        }
    }
}

impl fmt::Display for FileHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.is_below { "*." } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWILIO: &str = "https://api.twilio.com/2010-04-01/Accounts";

    fn from_twilio(location: &str) -> Result<Next, NotFollowed> {
        let base = TwilioBase::Twilio;
        decide(Some(location), &TWILIO.parse().unwrap(), &base, &FileHost::usual())
    }

    fn from_sandbox(base: &str, location: &str) -> Result<Next, NotFollowed> {
        let (here, base) = (base.parse().unwrap(), base.parse().unwrap());
        decide(Some(location), &here, &base, &FileHost::usual())
    }

    #[test]
    fn what_is_not_listed_not_under_tls_or_an_address_is_not_followed() {
        use NotFollowed::{Address, InTheClear, Malformed, NotListed};
        for (location, why) in [
            ("http://mms.twiliocdn.com/a", InTheClear),
            ("ftp://mms.twiliocdn.com/a", InTheClear),
            ("https://evil.example/a", NotListed),
            ("https://eviltwiliocdn.com/a", NotListed),
            ("https://twiliocdn.com/a", NotListed),
            ("https://.twiliocdn.com/a", NotListed),
            ("https://mms.twiliocdn.com.evil.example/a", NotListed),
            ("https://mms.twiliocdn.com./a", NotListed),
            ("https://mms.twiliocdn.com:8443/a", NotListed),
            ("https://my-bucket.s3.amazonaws.com/a", NotListed),
            ("https://localhost/a", NotListed),
            ("https://user:password@mms.twiliocdn.com/a", Malformed),
            ("https://evil.example@mms.twiliocdn.com/a", Malformed),
            ("https://mms.twiliocdn.com\\@evil.example/a", Malformed),
            ("//mms.twiliocdn.com/a", Malformed),
            ("mms.twiliocdn.com/a", Malformed),
            ("javascript:alert(1)", Malformed),
            ("", Malformed),
            ("https://", Malformed),
            ("https://127.0.0.1/a", Address),
            ("https://10.0.0.1/a", Address),
            ("https://169.254.169.254/latest/meta-data/", Address),
            ("https://8.8.8.8/a", Address),
            ("https://[::1]/a", Address),
            ("https://[::ffff:10.0.0.1]/a", Address),
            ("https://2130706433/a", Address),
            ("https://0x7f.1/a", Address),
            ("https://127.1/a", Address),
            ("http://127.0.0.1:4010/a", InTheClear),
        ] {
            assert_eq!(from_twilio(location), Err(why), "{location}");
        }
        let nowhere = decide(None, &TWILIO.parse().unwrap(), &TwilioBase::Twilio, &FileHost::usual());
        assert_eq!(nowhere, Err(NotFollowed::NoLocation));
    }

    #[test]
    fn where_twilio_keeps_files_is_followed() {
        for (location, to) in [
            ("https://mms.twiliocdn.com/a?Expires=1", "https://mms.twiliocdn.com/a?Expires=1"),
            ("https://MMS.TwilioCDN.com:443/a#b", "https://mms.twiliocdn.com:443/a"),
            ("https://media.ie1.twilio.com/a", "https://media.ie1.twilio.com/a"),
            ("https://s3-external-1.amazonaws.com/m/a", "https://s3-external-1.amazonaws.com/m/a"),
            ("/elsewhere?a", "https://api.twilio.com/elsewhere?a"),
        ] {
            let Ok(Next::Listed(uri)) = from_twilio(location) else { panic!("{location}") };
            assert_eq!(uri.to_string().to_ascii_lowercase(), to.to_ascii_lowercase());
        }
    }

    #[test]
    fn a_sandbox_on_this_machine_leads_to_its_other_ports_and_no_other_one_does() {
        for location in ["http://127.0.0.1:4010/x", "http://127.0.0.1:5000/x", "http://[::1]:5000/x", "/x"] {
            let next = from_sandbox("http://127.0.0.1:4010", location);
            assert!(matches!(next, Ok(Next::Sandbox(_))), "{location}: {next:?}");
        }
        for location in ["http://10.0.0.1/x", "https://169.254.169.254/x", "http://evil.example/x"] {
            assert!(from_sandbox("http://127.0.0.1:4010", location).is_err(), "{location}");
        }
        // One on another machine leads to itself alone.
        assert!(matches!(from_sandbox("http://sandbox:4010", "http://sandbox:4010/x"), Ok(Next::Sandbox(_))));
        for location in ["http://sandbox:4011/x", "https://sandbox:4010/x", "http://127.0.0.1:4010/x"] {
            assert!(from_sandbox("http://sandbox:4010", location).is_err(), "{location}");
        }
    }

    #[test]
    fn hosts_are_names_and_a_wildcard_stands_for_one_domain() {
        let parse = |text: &str| text.parse::<FileHost>();
        for text in ["*", "*.com", "a.*.example.com", "*a.example.com", "*.*.com"] {
            assert_eq!(parse(text), Err(InvalidFileHost::Wildcard), "{text}");
        }
        for text in ["10.0.0.1", "[::1]", "::1", "0x7f.1", "*.10.0.0.1"] {
            assert_eq!(parse(text), Err(InvalidFileHost::Address), "{text}");
        }
        for text in
            ["", "localhost", "https://a.example", "a.example/", "a.example:443", "a..example", "a.example."]
        {
            assert_eq!(parse(text), Err(InvalidFileHost::Name), "{text}");
        }
        assert_eq!(parse("*.Example.com").unwrap().to_string(), "*.example.com");
        assert_eq!(FileHost::usual().len(), HOSTS.len());
    }

    proptest! {
        #[test]
        fn whatever_is_followed_is_a_listed_name_under_tls(
            text in "(https?:)?//[a-z0-9.@:\\[\\]-]{0,20}(twiliocdn\\.com|twilio\\.com)?[/.:@a-z0-9?#-]{0,12}|\\PC{0,60}",
        ) {
            if let Ok(next) = from_twilio(&text) {
                let Next::Listed(uri) = next else { panic!("there is no sandbox") };
                let host = uri.host().unwrap_or_default().to_ascii_lowercase();
                let is_listed = [".twilio.com", ".twiliocdn.com"].iter().any(|end| host.ends_with(end))
                    || host == "s3-external-1.amazonaws.com";
                prop_assert!(uri.scheme_str() == Some("https") && is_listed && !uri.to_string().contains('@'));
            }
        }
    }
}
