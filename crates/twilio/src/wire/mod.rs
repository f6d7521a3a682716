//! What goes over the wire: forms in, JSON out.
//!
//! One file for each resource; its fields are those of Twilio's OpenAPI documents, in snake case as the JSON has
//! them. Each shape is written by servers and read by clients. Reading is lenient where Twilio may grow: unknown
//! fields are passed over, unknown words of an enum are kept as `Other`.

mod account;
mod application;
mod auth_token;
mod call;
mod date;
mod error;
mod event;
mod form;
mod geo;
mod incoming_number;
mod key;
mod message;
mod open_enum;
mod page;
mod price;
mod pricing;
mod usage_record;
mod usage_trigger;

pub use account::{Account, AccountKind, AccountStatus, Balance};
pub use application::Application;
pub use auth_token::{PromotedAuthToken, SecondaryAuthToken};
pub use call::{Call, CallDirection, CallStatus};
pub use date::{Iso8601, Rfc2822};
pub use error::ApiError;
pub use event::Event;
pub use form::Form;
pub use geo::{DialingPermissions, GeoPermission, GeoPermissions};
pub use incoming_number::{Capabilities, IncomingPhoneNumber};
pub use key::{Key, NewKey};
pub use message::{Message, MessageDirection, MessageStatus};
pub use page::{Meta, Page2010};
pub use price::{InvalidPrice, Price};
pub use pricing::{
    CallPrice, CarrierPrices, MessagingCountry, NumberTypePrice, PhoneNumberCountry, PrefixPrice,
    PricedCountry, VoiceCountry, VoiceNumber,
};
pub use usage_record::UsageRecord;
pub use usage_trigger::{Recurring, TriggerBy, UsageTrigger};
