//! URLs inside TwiML: each is resolved as Twilio resolves it, against the URL of the document, and must then lead to a
//! route of the gate that is held to the limits too: what it answers is carried out next.

use http::Method;
use ringfence_twilio::twiml;

use crate::egress::route_of;
use crate::settings::Twiml;
use crate::snapshot::ActiveRoute;

/// The URL under which Twilio asked for a document, in parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) authority: &'a str,
    /// Path and query.
    pub(crate) target: &'a str,
}

/// Where a reference leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a route whose answers are held to the limits.
    Held,
    /// To one whose answers are passed on as they are.
    Passed,
    /// To none.
    Elsewhere,
}

/// Where a reference leads that Twilio asks with this method. Without a base only an absolute URL leads here.
pub(crate) fn leads(
    reference: &str,
    method: &Method,
    base: Option<Base<'_>>,
    routes: &[ActiveRoute],
) -> Leads {
    let url = match base {
        Some(Base { scheme, authority, target }) => {
            twiml::resolve(&format!("{scheme}://{authority}{target}"), reference)
        }
        None => reference.trim_ascii().to_owned(),
    };
    match route_of(&url, method, routes).map(|active| active.route.twiml) {
        Some(Twiml::Limits) => Leads::Held,
        Some(Twiml::Pass) => Leads::Passed,
        None => Leads::Elsewhere,
    }
}
