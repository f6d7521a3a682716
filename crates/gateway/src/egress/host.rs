//! Twilio's hosts: which names the egress knows, and where a request for one of them goes.
//!
//! The one idea: credentials go to a name of this list or to the one address of the configuration, and only this file
//! makes the URI. Names are compared as bytes: another spelling is another host.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The products whose API the egress passes on, by the first label of their hosts.
const PRODUCTS: &[&str] = &[
    "accounts",
    "api",
    "assistants",
    "bulkexports",
    "chat",
    "content",
    "conversations",
    "events",
    "flex-api",
    "frontline-api",
    "insights",
    "intelligence",
    "ip-messaging",
    "lookups",
    "marketplace",
    "messaging",
    "microvisor",
    "monitor",
    "notify",
    "numbers",
    "preview",
    "pricing",
    "proxy",
    "routes",
    "serverless",
    "studio",
    "supersim",
    "sync",
    "taskrouter",
    "trunking",
    "trusthub",
    "verify",
    "video",
    "voice",
    "wireless",
];

/// Hosts that do nothing but make and return credentials. They are known so that the refusal can say why.
const OF_CREDENTIALS: &[&str] = &["iam", "oauth", "organizations", "previewiam", "webhooks"];

const DOMAIN: &str = ".twilio.com";

/// One of Twilio's hosts: `api.twilio.com`, `api.dublin.ie1.twilio.com`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TwilioHost<'a> {
    name: &'a str,
    /// The label of its product.
    pub(crate) product: &'static str,
    /// Whether all of it is about credentials.
    pub(crate) is_of_credentials: bool,
}

impl<'a> TwilioHost<'a> {
    /// The host of this name; nothing where it is none of the list.
    ///
    /// Beside `{product}.twilio.com` there are `{product}.{region}.twilio.com` and
    /// `{product}.{edge}.{region}.twilio.com` (<https://www.twilio.com/docs/global-infrastructure>).
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let labels = name.strip_suffix(DOMAIN)?;
        let mut labels = labels.split('.');
        let first = labels.next()?;
        let product = PRODUCTS.iter().find(|known| **known == first);
        let of_credentials = OF_CREDENTIALS.iter().find(|known| **known == first);
        let product = product.or(of_credentials).copied()?;
        let (places, last) = (labels.clone().count(), labels.clone().next_back());
        let is_sound = labels.all(is_label) && places <= 2 && last.is_none_or(is_region);
        is_sound.then_some(Self { name, product, is_of_credentials: of_credentials.is_some() })
    }

    /// Its whole name.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&label.len()) && label.bytes().all(is_inner) && !label.starts_with('-')
}

/// `us1`, `ie1`, `au1`, …
fn is_region(label: &str) -> bool {
    let letters = label.trim_end_matches(|c: char| c.is_ascii_digit());
    letters.len() == 2 && label.len() > 2 && letters.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// Where Twilio is: at its own hosts, or at one address with all products behind it, such as the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TwilioBase {
    /// At its own hosts, over TLS; whichever a request names.
    #[default]
    Twilio,
    /// At one address: the host that Twilio would have comes first in the path.
    One {
        /// `http` or `https`.
        scheme: Scheme,
        /// Host and port.
        authority: Authority,
        /// What comes before; without a slash at its end, mostly empty.
        path: String,
    },
}

/// The text is no base of Twilio's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no http or https URL with a host")]
pub struct InvalidTwilioBase;

impl TwilioBase {
    /// The URI of a path and query at one of Twilio's hosts.
    pub(crate) fn uri(&self, host: TwilioHost<'_>, path_and_query: &str) -> Option<Uri> {
        let builder = match self {
            Self::Twilio => {
                Uri::builder().scheme(Scheme::HTTPS).authority(host.name()).path_and_query(path_and_query)
            }
            Self::One { scheme, authority, path } => Uri::builder()
                .scheme(scheme.clone())
                .authority(authority.clone())
                .path_and_query(format!("{path}/{}{path_and_query}", host.name())),
        };
        builder.build().ok()
    }

    /// What a URL in an answer means, if it leads to Twilio: the host, and the rest from the slash on.
    pub(crate) fn split<'u>(&self, url: &'u str) -> Option<(TwilioHost<'u>, &'u str)> {
        let own = url.strip_prefix("https://").and_then(host_and_rest);
        let at_one = || {
            let Self::One { scheme, authority, path } = self else { return None };
            let rest = url.strip_prefix(scheme.as_str())?.strip_prefix("://")?;
            host_and_rest(
                rest.strip_prefix(authority.as_str())?.strip_prefix(path.as_str())?.strip_prefix('/')?,
            )
        };
        own.or_else(at_one)
    }
}

fn host_and_rest(text: &str) -> Option<(TwilioHost<'_>, &str)> {
    let (host, rest) = text.split_at(text.find(['/', '?']).unwrap_or(text.len()));
    Some((TwilioHost::parse(host)?, rest))
}

impl FromStr for TwilioBase {
    type Err = InvalidTwilioBase;

    /// Reads what `[twilio] base_url` means: any host of Twilio's stands for all of them.
    fn from_str(text: &str) -> Result<Self, InvalidTwilioBase> {
        let parts = text.parse::<Uri>().map_err(|_| InvalidTwilioBase)?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidTwilioBase);
        };
        if authority.host().eq_ignore_ascii_case("twilio.com") || authority.host().ends_with(DOMAIN) {
            return Ok(Self::Twilio);
        }
        let path =
            parts.path_and_query.map_or(String::new(), |path| path.path().trim_end_matches('/').to_owned());
        Ok(Self::One { scheme, authority, path })
    }
}

impl fmt::Display for TwilioBase {
    /// What URLs at Twilio's API begin with.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twilio => formatter.write_str("https://api.twilio.com"),
            Self::One { scheme, authority, path } => write!(formatter, "{scheme}://{authority}{path}"),
        }
    }
}

impl fmt::Display for TwilioHost<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_listed_or_is_spelled_another_way_is_none() {
        for name in [
            "",
            "twilio.com",
            ".twilio.com",
            "api.twilio.com.",
            "API.twilio.com",
            "api.Twilio.com",
            "apitwilio.com",
            "evil.com",
            "api.twilio.com.evil.com",
            "api.twilio.com@evil.com",
            "api.twilio.com:443",
            "www.twilio.com",
            "console.twilio.com",
            "api..twilio.com",
            "api.evil/.ie1.twilio.com",
            "api.a.b.ie1.twilio.com",
            "api.dublin.twilio.com",
            "api.-x.ie1.twilio.com",
            "api%2etwilio.com",
            "mcs.us1.twilio.com",
        ] {
            assert_eq!(TwilioHost::parse(name), None, "{name}");
        }
    }

    #[test]
    fn products_are_known_in_every_region() {
        for (name, product) in [
            ("api.twilio.com", "api"),
            ("verify.twilio.com", "verify"),
            ("api.ie1.twilio.com", "api"),
            ("api.dublin.ie1.twilio.com", "api"),
            ("flex-api.us1.twilio.com", "flex-api"),
        ] {
            let host = TwilioHost::parse(name).unwrap();
            assert_eq!((host.product, host.is_of_credentials), (product, false));
        }
        assert!(TwilioHost::parse("iam.twilio.com").unwrap().is_of_credentials);
    }

    #[test]
    fn a_request_goes_to_the_host_it_names_or_to_the_one_address() {
        let api = TwilioHost::parse("api.dublin.ie1.twilio.com").unwrap();
        let twilio: TwilioBase = "https://api.twilio.com".parse().unwrap();
        let uri = twilio.uri(api, "/2010-04-01/Accounts.json?a=b").unwrap();
        assert_eq!(uri, "https://api.dublin.ie1.twilio.com/2010-04-01/Accounts.json?a=b");
        let one: TwilioBase = "http://127.0.0.1:4010/x/".parse().unwrap();
        let uri = one.uri(api, "/v1/A").unwrap();
        assert_eq!(uri, "http://127.0.0.1:4010/x/api.dublin.ie1.twilio.com/v1/A");
        for (base, url) in [
            (&twilio, "https://verify.twilio.com/v2/S?a"),
            (&one, "https://verify.twilio.com/v2/S?a"),
            (&one, "http://127.0.0.1:4010/x/verify.twilio.com/v2/S?a"),
        ] {
            let (host, rest) = base.split(url).unwrap();
            assert_eq!((host.name(), rest), ("verify.twilio.com", "/v2/S?a"));
        }
        for url in [
            "http://verify.twilio.com/v2",
            "https://evil.com/verify.twilio.com/",
            "https://verify.twilio.com.evil.com/",
            "https://u@verify.twilio.com/",
            "//verify.twilio.com/",
            "http://127.0.0.1:40100/x/verify.twilio.com/v2",
        ] {
            assert!(one.split(url).is_none(), "{url}");
        }
    }
}
