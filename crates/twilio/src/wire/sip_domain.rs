//! SIP domains: <https://www.twilio.com/docs/voice/api/sip-domain-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Rfc2822;

/// A domain that SIP calls come in by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SipDomain {
    /// `SD…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// `IP_ACL`, `CREDENTIAL_LIST` or both with a comma between. Without either it takes no calls.
    pub auth_type: Option<String>,
    /// `acme.sip.twilio.com`.
    pub domain_name: Option<String>,
    /// For people.
    pub friendly_name: Option<String>,
    /// Asked when a call arrives.
    pub voice_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_method: Option<String>,
    /// Asked when `voice_url` fails.
    pub voice_fallback_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_fallback_method: Option<String>,
    /// Told about calls.
    pub voice_status_callback_url: Option<String>,
    /// `GET` or `POST`.
    pub voice_status_callback_method: Option<String>,
    /// Whether telephones may register to be called.
    pub sip_registration: Option<bool>,
    /// Whether emergency calls are made.
    pub emergency_calling_enabled: Option<bool>,
    /// Whether TLS and SRTP are demanded.
    pub secure: Option<bool>,
    /// `BY…`.
    pub byoc_trunk_sid: Option<String>,
    /// `PN…`.
    pub emergency_caller_sid: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host.
    pub uri: String,
    /// What it leads to, by name.
    #[serde(default)]
    pub subresource_uris: BTreeMap<String, String>,
}

/// A list of addresses that may call, or that it is mapped to a domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IpAccessControlList {
    /// `AL…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// For people.
    pub friendly_name: Option<String>,
    /// When it was made.
    pub date_created: Option<Rfc2822>,
    /// When it changed last.
    pub date_updated: Option<Rfc2822>,
    /// Where it is, relative to the host; a mapping has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What it leads to, by name; a mapping leads to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresource_uris: Option<BTreeMap<String, String>>,
}
