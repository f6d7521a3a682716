//! Where Twilio is: its own hosts, or one address for all products.
//!
//! The one idea: a request names a product and a path, and only this file makes a URI of them. So there is one place
//! that decides which host is told the credentials, and a link in an answer cannot choose another.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// The domain of Twilio's hosts, each product with a label before it.
const TWILIO: &str = "twilio.com";

/// One of Twilio's products, each with a host of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Product {
    Accounts,
    Api,
    Lookups,
    Messaging,
    Monitor,
    Pricing,
    Verify,
    Voice,
    Webhooks,
}

impl Product {
    /// The first label of its host.
    fn label(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Api => "api",
            Self::Lookups => "lookups",
            Self::Messaging => "messaging",
            Self::Monitor => "monitor",
            Self::Pricing => "pricing",
            Self::Verify => "verify",
            Self::Voice => "voice",
            Self::Webhooks => "webhooks",
        }
    }
}

/// Where requests go.
///
/// Twilio itself (`https://api.twilio.com`, which stands for the hosts of all products, or with edge and region
/// `https://api.dublin.ie1.twilio.com`), or one address that has all products behind it: a sandbox, or the egress of
/// Ringfence. There the host that Twilio would have comes first in the path:
/// `http://127.0.0.1:4010/api.twilio.com/2010-04-01/Accounts.json`.
///
/// ```
/// use ringfence_twilio::client::BaseUrl;
///
/// let twilio: BaseUrl = "https://api.twilio.com".parse()?;
/// assert_eq!(twilio, BaseUrl::default());
/// let sandbox: BaseUrl = "http://127.0.0.1:4010".parse()?;
/// assert_eq!(sandbox.to_string(), "http://127.0.0.1:4010");
/// # Ok::<(), ringfence_twilio::client::InvalidBaseUrl>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(Place);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Twilio's own hosts: `{label}.{domain}`, over TLS.
    Twilio { domain: String },
    /// One address; its path does not end in `/`.
    One { scheme: Scheme, authority: Authority, path: String },
}

/// Why a base URL cannot be used. The URL is not in it, since it may carry a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBaseUrl {
    /// It is no URL with `http` or `https` and a host.
    #[error("a base URL is https://api.twilio.com, or http:// or https:// with a host")]
    NotAUrl,
    /// It carries a user name or a password.
    #[error("a base URL has no user name or password in it: credentials belong to an account")]
    Credentials,
    /// It has a query or a fragment.
    #[error("a base URL has no query and no fragment")]
    Query,
    /// It is a host of Twilio's, but not the one that stands for all.
    #[error(
        "of Twilio's hosts, give the one that stands for all products: https://api.twilio.com, without a path"
    )]
    OtherHost,
    /// It is Twilio without TLS, which would show the credentials to everybody on the way.
    #[error("Twilio is reached over https only")]
    PlainTwilio,
}

impl BaseUrl {
    /// Whether requests go out without TLS: nothing but a network that one owns.
    pub fn is_plain(&self) -> bool {
        matches!(&self.0, Place::One { scheme, .. } if *scheme == Scheme::HTTP)
    }

    /// The URL of a file of the v2010 API (a recording, a picture), for who asks for it without credentials.
    pub fn file(&self, path: &str) -> Option<Uri> {
        self.uri(Product::Api, path)
    }

    /// The URL of something of Messaging's, for who is told what to type.
    pub fn messaging(&self, path: &str) -> Option<Uri> {
        self.uri(Product::Messaging, path)
    }

    /// The URI of a path and query of a product. `None` if it is longer than a URI may be, or has a character in it
    /// that must be encoded.
    pub(super) fn uri(&self, product: Product, path_and_query: &str) -> Option<Uri> {
        let builder = match &self.0 {
            Place::Twilio { domain } => Uri::builder()
                .scheme(Scheme::HTTPS)
                .authority(format!("{}.{domain}", product.label()))
                .path_and_query(path_and_query),
            Place::One { scheme, authority, path } => Uri::builder()
                .scheme(scheme.clone())
                .authority(authority.clone())
                .path_and_query(format!("{path}{}{path_and_query}", prefix(product))),
        };
        builder.build().ok()
    }

    /// The path and query that a link in an answer of this product means, to be asked for with
    /// [`uri`](BaseUrl::uri). `None`: it leads elsewhere.
    ///
    /// Links of the v2010 API are relative to the host. Those of the other products are absolute, and name either
    /// this base or, where something between did not rewrite them, Twilio's own host of that product.
    pub(super) fn follow(&self, product: Product, link: &str) -> Option<String> {
        let uri: Uri = link.parse().ok()?;
        let path_and_query = uri.path_and_query()?.as_str();
        if !path_and_query.starts_with('/') || path_and_query.starts_with("//") {
            return None;
        }
        let Some(authority) = uri.authority() else {
            return Some(self.without_prefix(product, path_and_query).to_owned());
        };
        let scheme = uri.scheme()?;
        if let Place::One { scheme: own_scheme, authority: own_authority, .. } = &self.0
            && scheme == own_scheme
            && authority == own_authority
        {
            return Some(self.without_prefix(product, path_and_query).to_owned());
        }
        let domain = match &self.0 {
            Place::Twilio { domain } => domain,
            Place::One { .. } => TWILIO,
        };
        let hosts = [domain, TWILIO].map(|domain| format!("{}.{domain}", product.label()));
        let is_twilio = *scheme == Scheme::HTTPS
            && hosts.iter().any(|host| authority.as_str().eq_ignore_ascii_case(host));
        is_twilio.then(|| path_and_query.to_owned())
    }

    /// A path without the parts that this base puts before it.
    fn without_prefix<'p>(&self, product: Product, path_and_query: &'p str) -> &'p str {
        let Place::One { path, .. } = &self.0 else { return path_and_query };
        let inside =
            |whole: &'p str, before: &str| whole.strip_prefix(before).filter(|rest| rest.starts_with('/'));
        let rest = if path.is_empty() {
            path_and_query
        } else {
            inside(path_and_query, path).unwrap_or(path_and_query)
        };
        inside(rest, &prefix(product)).unwrap_or(rest)
    }
}

/// The first segment of a path at an address that has all products behind it.
fn prefix(product: Product) -> String {
    format!("/{}.{TWILIO}", product.label())
}

impl Default for BaseUrl {
    /// Twilio itself.
    fn default() -> Self {
        Self(Place::Twilio { domain: TWILIO.to_owned() })
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidBaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBaseUrl> {
        if text.contains('#') {
            return Err(InvalidBaseUrl::Query);
        }
        let uri: Uri = text.parse().map_err(|_| InvalidBaseUrl::NotAUrl)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(InvalidBaseUrl::NotAUrl);
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(InvalidBaseUrl::NotAUrl);
        }
        if authority.as_str().contains('@') {
            return Err(InvalidBaseUrl::Credentials);
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err(InvalidBaseUrl::Query);
        }
        let path = path.as_ref().map_or("", |path| path.path()).trim_end_matches('/').to_owned();
        let host = authority.host().to_ascii_lowercase();
        if host != TWILIO && !host.ends_with(".twilio.com") {
            return Ok(Self(Place::One { scheme, authority, path }));
        }
        if scheme != Scheme::HTTPS {
            return Err(InvalidBaseUrl::PlainTwilio);
        }
        let domain = host.strip_prefix("api.").filter(|_| path.is_empty() && authority.port().is_none());
        let domain = domain.ok_or(InvalidBaseUrl::OtherHost)?.to_owned();
        Ok(Self(Place::Twilio { domain }))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Twilio { domain } => write!(formatter, "https://{}.{domain}", Product::Api.label()),
            Place::One { scheme, authority, path } => write!(formatter, "{scheme}://{authority}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(text: &str) -> BaseUrl {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> InvalidBaseUrl {
        text.parse::<BaseUrl>().unwrap_err()
    }

    #[test]
    fn what_could_show_credentials_to_others_is_no_base() {
        assert_eq!(refused("http://api.twilio.com"), InvalidBaseUrl::PlainTwilio);
        assert_eq!(refused("https://user:password@sandbox.example"), InvalidBaseUrl::Credentials);
        assert_eq!(refused("https://verify.twilio.com"), InvalidBaseUrl::OtherHost);
        assert_eq!(refused("https://twilio.com"), InvalidBaseUrl::OtherHost);
        assert_eq!(refused("https://api.twilio.com/2010-04-01"), InvalidBaseUrl::OtherHost);
        assert_eq!(refused("https://sandbox.example/?a=1"), InvalidBaseUrl::Query);
        assert_eq!(refused("https://sandbox.example/#a"), InvalidBaseUrl::Query);
        for text in ["", "api.twilio.com", "ftp://sandbox.example", "/path", "https://"] {
            assert_eq!(refused(text), InvalidBaseUrl::NotAUrl, "{text}");
        }
    }

    #[test]
    fn each_product_of_twilio_has_its_host_and_keeps_edge_and_region() {
        let uri = |base: &BaseUrl| base.uri(Product::Pricing, "/v1/a?b=c").unwrap().to_string();
        assert_eq!(uri(&BaseUrl::default()), "https://pricing.twilio.com/v1/a?b=c");
        assert_eq!(
            uri(&base("https://API.dublin.ie1.twilio.com/")),
            "https://pricing.dublin.ie1.twilio.com/v1/a?b=c"
        );
    }

    #[test]
    fn at_one_address_the_product_comes_first_in_the_path() {
        let uri = |base: &BaseUrl| base.uri(Product::Api, "/2010-04-01/a").unwrap().to_string();
        assert_eq!(uri(&base("http://127.0.0.1:4010/")), "http://127.0.0.1:4010/api.twilio.com/2010-04-01/a");
        assert_eq!(
            uri(&base("https://[::1]:1/twilio/")),
            "https://[::1]:1/twilio/api.twilio.com/2010-04-01/a"
        );
        assert!(base("http://127.0.0.1:4010").is_plain() && !BaseUrl::default().is_plain());
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_not_followed() {
        for own in
            [BaseUrl::default(), base("http://127.0.0.1:4010"), base("https://api.dublin.ie1.twilio.com")]
        {
            for link in [
                "https://evil.example/v1/a",
                "https://pricing.twilio.com.evil.example/v1/a",
                "https://evil.example@pricing.twilio.com/v1/a",
                "https://pricing.twilio.com@evil.example/v1/a",
                "https://pricing.twilio.com:8443/v1/a",
                "https://voice.twilio.com/v1/a",
                "http://pricing.twilio.com/v1/a",
                "http://127.0.0.1:4011/v1/a",
                "https://127.0.0.1:4010/v1/a",
                "//evil.example/v1/a",
                "v1/a",
                "*",
                "",
                "http://",
            ] {
                assert_eq!(own.follow(Product::Pricing, link), None, "{own} {link}");
            }
        }
    }

    #[test]
    fn a_link_is_asked_for_at_the_base_whatever_host_of_ours_it_names() {
        let own = base("http://127.0.0.1:4010/twilio");
        for link in [
            "/v1/a?Page=1",
            "http://127.0.0.1:4010/v1/a?Page=1",
            "http://127.0.0.1:4010/twilio/v1/a?Page=1",
            "http://127.0.0.1:4010/twilio/pricing.twilio.com/v1/a?Page=1",
            "https://pricing.twilio.com/v1/a?Page=1",
            "/twilio/pricing.twilio.com/v1/a?Page=1",
        ] {
            assert_eq!(own.follow(Product::Pricing, link).as_deref(), Some("/v1/a?Page=1"), "{link}");
        }
        let region = base("https://api.dublin.ie1.twilio.com");
        for link in ["https://pricing.dublin.ie1.twilio.com/v1/a", "https://pricing.twilio.com/v1/a", "/v1/a"]
        {
            assert_eq!(region.follow(Product::Pricing, link).as_deref(), Some("/v1/a"), "{link}");
        }
    }
}
