//! The resources of Twilio's API, one file for each: what a client may ask of it.
//!
//! A handle (`client.messages(account)`) borrows the client and does nothing until one of its methods is awaited.
//! Filters and new things are plain structs with all fields optional but those that Twilio demands. Each method says
//! by the kind of its operation whether a repetition does harm: `once` what must not happen twice, `set` what sets a
//! stated value.

mod accounts;
mod applications;
mod auth_tokens;
mod balance;
mod caller_ids;
mod calls;
mod dialing_permissions;
mod events;
mod incoming_numbers;
mod keys;
mod lookups;
mod messages;
mod messaging_services;
mod pricing;
mod recordings;
mod server_time;
mod sip_domains;
mod sms_geo_permissions;
mod usage_records;
mod usage_triggers;
mod verifications;
mod webhooks;

pub use accounts::{AccountFilter, Accounts};
pub use applications::{ApplicationFilter, Applications};
pub use auth_tokens::AuthTokens;
pub use balance::Balances;
pub use caller_ids::CallerIds;
pub use calls::{CallFilter, CallUpdate, Calls, Instructions, NewCall};
pub use dialing_permissions::{DialingChange, DialingFilter, DialingPermissions, DialingUpdate};
pub use events::{EventFilter, Events};
pub use incoming_numbers::{IncomingNumberChange, IncomingNumberFilter, IncomingNumbers};
pub use keys::Keys;
pub use lookups::Lookups;
pub use messages::{MessageFilter, Messages, NewMessage};
pub use messaging_services::MessagingServices;
pub use pricing::Pricing;
pub use recordings::Recordings;
pub use server_time::ServerTime;
pub use sip_domains::SipDomains;
pub use sms_geo_permissions::{SmsGeoChange, SmsGeoPermissions};
pub use usage_records::{UsageFilter, UsageRecords, UsageSpan};
pub use usage_triggers::{NewUsageTrigger, TriggerFilter, UsageTriggerChange, UsageTriggers};
pub use verifications::{NewVerification, Verifications};
pub use webhooks::Webhooks;

use jiff::Timestamp;

use crate::wire::{Form, Iso8601};

/// The method that Twilio uses to ask for a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookMethod {
    /// In the query.
    Get,
    /// In the body.
    Post,
}

impl WebhookMethod {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A span of time in a list's query: `DateSent>`, `DateSent<`. Both ends belong to it.
fn push_span(query: &mut Form, name: &str, since: Option<Timestamp>, until: Option<Timestamp>) {
    for (end, time) in [('>', since), ('<', until)] {
        query.push_some(&format!("{name}{end}"), time.map(|time| Iso8601(time).to_string()));
    }
}
