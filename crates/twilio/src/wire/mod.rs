//! What goes over the wire: forms in, JSON out.
//!
//! One file for each resource; its fields are those of Twilio's OpenAPI documents, in snake case as the JSON has
//! them. Each shape is written by servers and read by clients. Reading is lenient where Twilio may grow: unknown
//! fields are passed over, unknown words of an enum are kept as `Other`.

mod account;
mod application;
mod auth_token;
mod available_number;
mod call;
mod caller_id;
mod date;
mod error;
mod event;
mod form;
mod geo;
mod incoming_number;
mod key;
mod lookup;
mod media;
mod message;
mod messaging_service;
mod open_enum;
mod page;
mod price;
mod pricing;
mod recording;
mod sip_domain;
mod usage_category;
mod usage_record;
mod usage_trigger;
mod verify;
mod webhooks;

pub use account::{Account, AccountKind, AccountStatus, Balance};
pub use application::Application;
pub use auth_token::{PromotedAuthToken, SecondaryAuthToken};
pub use available_number::{AvailableCountry, AvailableNumber};
pub use call::{Call, CallDirection, CallStatus};
pub use caller_id::{OutgoingCallerId, ValidationRequest};
pub use date::{Iso8601, Rfc2822};
pub use error::ApiError;
pub use event::Event;
pub use form::Form;
pub use geo::{
    BulkCountryUpdate, DialingPermissions, GeoPermission, GeoPermissions, HighRiskSpecialPrefix,
    VoiceSettings,
};
pub use incoming_number::{Capabilities, IncomingPhoneNumber};
pub use key::{Key, NewKey};
pub use lookup::{LineType, LineTypeIntelligence, LookedUp};
pub use media::Media;
pub use message::{Message, MessageDirection, MessageFeedback, MessageStatus};
pub use messaging_service::{AlphaSender, MessagingService, ServicePhoneNumber};
pub use page::{Meta, Page2010};
pub use price::{InvalidPrice, Price};
pub use pricing::{
    BasePrice, CallPrice, CarrierPrices, MessagingCountry, NumberTypePrice, PhoneNumberCountry, PrefixPrice,
    PrefixPriceV1, PricedCountry, VoiceCountry, VoiceCountryV1, VoiceNumber, VoiceNumberV1,
};
pub use recording::{Recording, RecordingSource, RecordingStatus};
pub use sip_domain::{IpAccessControlList, SipDomain};
pub use usage_category::UsageCategory;
pub use usage_record::UsageRecord;
pub use usage_trigger::{Recurring, TriggerBy, UsageTrigger};
pub use verify::{
    AttemptsSummary, RelyingParty, SendCodeAttempt, Verification, VerificationAttempt, VerificationChannel,
    VerificationCheck, VerificationStatus, VerifyBucket, VerifyPasskeys, VerifyPush, VerifyRateLimit,
    VerifyService, VerifyTotp, VerifyWhatsapp,
};
pub use webhooks::{
    NewSharedKey, RuleMatch, RuleShare, SettingSignature, SharedKey, TokenPage, WebhookRule, WebhookSetting,
    rule_body, rule_change, setting_body,
};
