//! One operation of Twilio's API, as its OpenAPI documents name it.

use super::{Refusal, Reply, Request};
use crate::world::World;

/// The name of an operation that the sandbox has, for whoever wants to know what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationName {
    /// The first label of its host: `api`, `verify`.
    pub product: &'static str,
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Its path, as Twilio's OpenAPI documents write it.
    pub path: &'static str,
}

/// What the sandbox does for one method and path.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) product: Product,
    pub(crate) method: Verb,
    /// The template as in the OpenAPI document, `/2010-04-01/Accounts/{AccountSid}/Messages.json`.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    pub(crate) handler: fn(&mut World, &Request) -> Result<Reply, Refusal>,
}

/// The methods that Twilio's API has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

/// What an operation does to its account; suspended accounts may be refused by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Makes something that may cost.
    Create,
    /// Changes or removes what is there.
    Change,
    /// Tells.
    Read,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// An auth token or an API key.
    Any,
    /// An auth token: standard API keys reach neither accounts nor keys.
    AuthToken,
    /// The auth token of a parent account.
    Parent,
    /// Anybody, where the settings leave media open and the path has no `.json`; else as [`Access::Any`].
    OpenFile,
}

/// One of Twilio's products, each with a host of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Product {
    Api,
    Accounts,
    Lookups,
    Messaging,
    Monitor,
    Pricing,
    Verify,
    Voice,
    Webhooks,
}

impl Product {
    /// All, in the order in which a path without a host is tried.
    pub(crate) const ALL: [Self; 9] = [
        Self::Api,
        Self::Verify,
        Self::Accounts,
        Self::Pricing,
        Self::Voice,
        Self::Messaging,
        Self::Lookups,
        Self::Monitor,
        Self::Webhooks,
    ];

    /// The first label of its host.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Accounts => "accounts",
            Self::Lookups => "lookups",
            Self::Messaging => "messaging",
            Self::Monitor => "monitor",
            Self::Pricing => "pricing",
            Self::Verify => "verify",
            Self::Voice => "voice",
            Self::Webhooks => "webhooks",
        }
    }

    #[expect(
        clippy::option_option,
        reason = "not a host of Twilio's, and one that the sandbox lacks, are two things"
    )]
    /// The product of a host: `api.twilio.com`, `api.dublin.ie1.twilio.com`. `None`: not a host of Twilio's;
    /// `Some(None)`: one that the sandbox does not have.
    pub(crate) fn of_host(host: &str) -> Option<Option<Self>> {
        let host = host.to_ascii_lowercase();
        let labels = host.split(':').next()?.trim_end_matches('.').strip_suffix(".twilio.com")?;
        let first = labels.split('.').next()?;
        Some(Self::ALL.into_iter().find(|product| product.label() == first))
    }
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Operation {
    pub(crate) const fn new(
        product: Product,
        method: Verb,
        path: &'static str,
        handler: fn(&mut World, &Request) -> Result<Reply, Refusal>,
    ) -> Self {
        let kind = match method {
            Verb::Get => Kind::Read,
            Verb::Post | Verb::Patch | Verb::Delete => Kind::Change,
        };
        Self { product, method, path, kind, access: Access::Any, handler }
    }

    /// Its name.
    pub(crate) fn name(&self) -> OperationName {
        OperationName { product: self.product.label(), method: self.method.as_str(), path: self.path }
    }

    /// It makes something that may cost.
    pub(crate) const fn creates(mut self) -> Self {
        self.kind = Kind::Create;
        self
    }

    /// Who may ask, where it is not anybody.
    pub(crate) const fn only(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The parameter of the path that names the account: `Sid` for an account itself.
    pub(super) fn account_param(&self) -> &'static str {
        if self.path.starts_with("/2010-04-01/Accounts/{Sid}") { "Sid" } else { "AccountSid" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_names_a_product_with_or_without_region_and_port() {
        assert_eq!(Product::of_host("api.twilio.com"), Some(Some(Product::Api)));
        assert_eq!(Product::of_host("Verify.Twilio.com:443"), Some(Some(Product::Verify)));
        assert_eq!(Product::of_host("api.dublin.ie1.twilio.com."), Some(Some(Product::Api)));
        assert_eq!(Product::of_host("studio.twilio.com"), Some(None));
        assert_eq!(Product::of_host("127.0.0.1:4010"), None);
        assert_eq!(Product::of_host("api.twilio.com.evil.example"), None);
    }
}
