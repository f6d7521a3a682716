//! The fields of what has a price, by their names.
//!
//! The one idea: a price holds for what was understood. A field that nobody here knows may cost something (an old switch that
//! finds out who answers, a new one that has a recording written down), so a request with one has no price. The lists are
//! those of Twilio's OpenAPI documents; a test holds them against all documents that the repository has.

use ringfence_twilio::wire::Form;

use super::operation::Priced;
use super::refusal::Refusal;

/// A message.
const MESSAGE: &[&str] = &[
    "AddressRetention",
    "ApplicationSid",
    "Attempt",
    "Body",
    "ContentRetention",
    "ContentSid",
    "ContentVariables",
    "FallbackFrom",
    "ForceDelivery",
    "From",
    "MaxPrice",
    "MediaUrl",
    "MessageIntent",
    "MessagingServiceSid",
    "PersistentAction",
    "ProvideFeedback",
    "RiskCheck",
    "ScheduleType",
    "SendAsMms",
    "SendAt",
    "ShortenUrls",
    "SmartEncoded",
    "StatusCallback",
    "Tags",
    "To",
    "TrafficType",
    "ValidityPeriod",
];

/// A call.
const CALL: &[&str] = &[
    "ApplicationSid",
    "AsyncAmd",
    "AsyncAmdStatusCallback",
    "AsyncAmdStatusCallbackMethod",
    "Byoc",
    "CallReason",
    "CallToken",
    "CallerId",
    "ClientNotificationUrl",
    "FallbackMethod",
    "FallbackUrl",
    "From",
    "MachineDetection",
    "MachineDetectionSilenceTimeout",
    "MachineDetectionSpeechEndThreshold",
    "MachineDetectionSpeechThreshold",
    "MachineDetectionTimeout",
    "Method",
    "Passports",
    "Record",
    "RecordingChannels",
    "RecordingStatusCallback",
    "RecordingStatusCallbackEvent",
    "RecordingStatusCallbackMethod",
    "RecordingTrack",
    "SendDigits",
    "SipAuthPassword",
    "SipAuthUsername",
    "StatusCallback",
    "StatusCallbackEvent",
    "StatusCallbackMethod",
    "TimeLimit",
    "Timeout",
    "To",
    "Trim",
    "Twiml",
    "Url",
];

/// What a call is told to do from now on.
const CALL_UPDATE: &[&str] = &[
    "FallbackMethod",
    "FallbackUrl",
    "Method",
    "Status",
    "StatusCallback",
    "StatusCallbackMethod",
    "TimeLimit",
    "Twiml",
    "Url",
];

/// A call into a conference.
const PARTICIPANT: &[&str] = &[
    "AmdStatusCallback",
    "AmdStatusCallbackMethod",
    "Beep",
    "Byoc",
    "CallReason",
    "CallSidToCoach",
    "CallToken",
    "CallerDisplayName",
    "CallerId",
    "ClientNotificationUrl",
    "Coaching",
    "ConferenceRecord",
    "ConferenceRecordingStatusCallback",
    "ConferenceRecordingStatusCallbackEvent",
    "ConferenceRecordingStatusCallbackMethod",
    "ConferenceStatusCallback",
    "ConferenceStatusCallbackEvent",
    "ConferenceStatusCallbackMethod",
    "ConferenceTrim",
    "EarlyMedia",
    "EmergencyAddress",
    "EmergencyCallerLocation",
    "EmergencyCallerPosition",
    "EmergencyCity",
    "EmergencyCountry",
    "EmergencyName",
    "EmergencyState",
    "EmergencyZipCode",
    "EndConferenceOnExit",
    "From",
    "JitterBufferSize",
    "Label",
    "MachineDetection",
    "MachineDetectionSilenceTimeout",
    "MachineDetectionSpeechEndThreshold",
    "MachineDetectionSpeechThreshold",
    "MachineDetectionTimeout",
    "MaxParticipants",
    "Muted",
    "Passports",
    "Record",
    "RecordingChannels",
    "RecordingStatusCallback",
    "RecordingStatusCallbackEvent",
    "RecordingStatusCallbackMethod",
    "RecordingTrack",
    "Region",
    "SipAuthPassword",
    "SipAuthUsername",
    "StartConferenceOnEnter",
    "StatusCallback",
    "StatusCallbackEvent",
    "StatusCallbackMethod",
    "TimeLimit",
    "Timeout",
    "To",
    "Trim",
    "Twiml",
    "WaitMethod",
    "WaitUrl",
];

/// A verification that is started.
const VERIFICATION: &[&str] = &[
    "Amount",
    "AppHash",
    "Channel",
    "ChannelConfiguration",
    "CustomCode",
    "CustomFriendlyName",
    "CustomMessage",
    "DeviceIp",
    "EnableSnaClientToken",
    "Locale",
    "Payee",
    "RateLimits",
    "RiskCheck",
    "SendDigits",
    "Tags",
    "TemplateCustomSubstitutions",
    "TemplateSid",
    "Templates",
    "To",
];

/// A check of a code, and what a verification is told.
const CHECK: &[&str] = &["Amount", "Code", "Payee", "SnaClientToken", "Status", "To", "VerificationSid"];

/// A lookup, of both versions.
const LOOKUP: &[&str] = &[
    "AddOns",
    "AddOnsData",
    "AddressCountryCode",
    "AddressLine1",
    "AddressLine2",
    "City",
    "CountryCode",
    "DateOfBirth",
    "Fields",
    "FirstName",
    "LastName",
    "LastVerifiedDate",
    "NationalId",
    "PartnerSubId",
    "PostalCode",
    "State",
    "Type",
    "VerificationSid",
];

/// A number that is bought.
const NUMBER: &[&str] = &[
    "AddressSid",
    "ApiVersion",
    "AreaCode",
    "BundleSid",
    "EmergencyAddressSid",
    "EmergencyStatus",
    "FriendlyName",
    "IdentitySid",
    "PhoneNumber",
    "SmsApplicationSid",
    "SmsFallbackMethod",
    "SmsFallbackUrl",
    "SmsMethod",
    "SmsUrl",
    "StatusCallback",
    "StatusCallbackMethod",
    "TrunkSid",
    "VoiceApplicationSid",
    "VoiceCallerIdLookup",
    "VoiceFallbackMethod",
    "VoiceFallbackUrl",
    "VoiceMethod",
    "VoiceReceiveMode",
    "VoiceUrl",
];

/// What is priced or free here and in no document of the repository: what newer libraries of Twilio's have besides, tags by which a
/// message is found again, and TwiML, which is priced wherever it stands.
#[cfg(test)]
pub(super) const UNDOCUMENTED: &[(Priced, &[&str])] = &[
    (Priced::MessageCreate, &["MessageIntent", "Tags"]),
    (Priced::CallCreate, &["Passports"]),
    (
        Priced::ParticipantCreate,
        &[
            "EmergencyAddress",
            "EmergencyCallerLocation",
            "EmergencyCallerPosition",
            "EmergencyCity",
            "EmergencyCountry",
            "EmergencyName",
            "EmergencyState",
            "EmergencyZipCode",
            "Passports",
            "Twiml",
        ],
    ),
    (Priced::VerificationStart, &["Templates"]),
];

/// Fields that are written apart, a part of them behind a dot: what an add-on is told, the values of a rate limit, tags. What they
/// cost is decided by the field itself.
fn families(priced: Priced) -> &'static [&'static str] {
    match priced {
        Priced::MessageCreate => &["Tags."],
        Priced::VerificationStart => &["RateLimits.", "Tags."],
        Priced::LookupFetch => &["AddOns."],
        _ => &[],
    }
}

/// The names of all that an operation may be told.
pub(super) const fn of(priced: Priced) -> &'static [&'static str] {
    match priced {
        Priced::MessageCreate => MESSAGE,
        Priced::CallCreate => CALL,
        Priced::CallUpdate => CALL_UPDATE,
        Priced::ParticipantCreate => PARTICIPANT,
        Priced::VerificationStart => VERIFICATION,
        Priced::VerificationCheck => CHECK,
        Priced::LookupFetch => LOOKUP,
        Priced::NumberPurchase => NUMBER,
    }
}

/// Whether every field is known.
pub(super) fn check(priced: Priced, form: &Form) -> Result<(), Refusal> {
    let is_known = |name: &str| {
        of(priced).contains(&name) || families(priced).iter().any(|family| name.starts_with(family))
    };
    let unknown = form.pairs().find(|(name, _)| !is_known(name));
    unknown.map_or(Ok(()), |(name, _)| Err(Refusal::UnknownField(name.to_owned())))
}
