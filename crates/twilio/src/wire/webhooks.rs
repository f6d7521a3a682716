//! The Webhooks configuration API: which key signs what goes to which URL.
//! <https://www.twilio.com/docs/usage/webhooks/webhook-configuration>
//!
//! It is a public beta, and its OpenAPI document was not at hand. Bodies are JSON with names in camel case. What Twilio's pages
//! say is taken from there; what they leave open is assumed, and all of it stands in this file and in the table of
//! `docs/shared-keys.md`: the kind of a setting that authenticates nobody ([`setting_body`]), the name by which a rule names its
//! settings ([`RuleShare`]), and how lists are paged ([`TokenPage`]).

use ringfence_model::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::{expose, hide};

/// A SharedKey: <https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedKey {
    /// `webhooks_sharedkey_…`.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub friendly_name: Option<String>,
}

/// A SharedKey that was just made, with its secret, which is told this once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewSharedKey {
    /// The key.
    #[serde(flatten)]
    pub key: SharedKey,
    /// What it signs with, in the clear.
    #[serde(default, serialize_with = "expose", deserialize_with = "hide")]
    pub secret: Option<Secret>,
}

/// How webhooks are delivered and signed: <https://www.twilio.com/docs/usage/webhooks/webhook-settings>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookSetting {
    /// `webhooks_setting_…`.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub friendly_name: Option<String>,
    /// What signs; none where the auth token does.
    #[serde(default)]
    pub signature: Option<SettingSignature>,
}

/// What signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingSignature {
    /// The SharedKey.
    #[serde(default)]
    pub shared_key_id: Option<String>,
    /// `HMAC_SHA1` or `HMAC_SHA256`.
    #[serde(default)]
    pub algorithm: Option<String>,
}

/// Which URLs settings are for: <https://www.twilio.com/docs/usage/webhooks/webhook-rules>. The longest exact match counts, then
/// the longest prefix, then the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRule {
    /// `webhooks_rule_…`.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub friendly_name: Option<String>,
    /// `EXACT_MATCH`, `PREFIX_MATCH` or `DEFAULT`.
    pub match_type: String,
    /// The whole URL, of an exact match.
    #[serde(default)]
    pub value: Option<String>,
    /// The beginning of URLs, of a prefix match.
    #[serde(default)]
    pub prefix: Option<String>,
    /// One, or two that share what comes.
    #[serde(default)]
    pub settings: Vec<RuleShare>,
}

/// A setting of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleShare {
    /// The setting.
    #[serde(alias = "id")]
    pub setting_id: String,
    /// How much of what comes it gets.
    #[serde(default)]
    pub percentage: Option<u64>,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleMatch {
    /// This URL alone, whatever a GET adds to it.
    Exact(String),
    /// Every URL that begins so.
    Prefix(String),
    /// All others.
    Default,
}

impl WebhookRule {
    /// What it is about, where its type is known.
    pub fn matches(&self) -> Option<RuleMatch> {
        match (self.match_type.as_str(), &self.value, &self.prefix) {
            ("EXACT_MATCH", Some(url), _) => Some(RuleMatch::Exact(url.clone())),
            ("PREFIX_MATCH", _, Some(url)) => Some(RuleMatch::Prefix(url.clone())),
            ("DEFAULT", ..) => Some(RuleMatch::Default),
            _ => None,
        }
    }

    /// The only setting that it names; none where it names two, or none.
    pub fn only_setting(&self) -> Option<&str> {
        match self.settings.as_slice() {
            [only] => Some(&only.setting_id),
            _ => None,
        }
    }
}

/// What makes a setting that signs with a SharedKey and authenticates nobody, the rest as Twilio has it by default. Twilio's
/// pages demand `auth` and do not say how its absence is written.
pub fn setting_body(friendly_name: &str, key: &str, algorithm: &str) -> Value {
    json!({
        "friendlyName": friendly_name,
        "auth": { "type": "NONE" },
        "signature": { "sharedKeyId": key, "algorithm": algorithm },
    })
}

/// What makes a rule.
pub fn rule_body(friendly_name: &str, matches: &RuleMatch, setting: &str) -> Value {
    let mut body = json!({ "friendlyName": friendly_name, "settings": only(setting) });
    match matches {
        RuleMatch::Exact(url) => {
            body["matchType"] = json!("EXACT_MATCH");
            body["value"] = json!(url);
        }
        RuleMatch::Prefix(url) => {
            body["matchType"] = json!("PREFIX_MATCH");
            body["prefix"] = json!(url);
        }
        RuleMatch::Default => body["matchType"] = json!("DEFAULT"),
    }
    body
}

/// What makes a rule name another setting.
pub fn rule_change(setting: &str) -> Value {
    json!({ "settings": only(setting) })
}

fn only(setting: &str) -> Value {
    json!([{ "settingId": setting, "percentage": 100 }])
}

/// A page of a list: its rows stand under the name that `meta.key` says, and `meta.nextToken` asks for the next one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TokenPage {
    /// Where the rows stand, and whether there are more.
    #[serde(default)]
    meta: PageMeta,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    next_token: Option<String>,
}

impl TokenPage {
    /// The rows, and what asks for the next page. None where there are no rows under the name that it says, nor under `key`.
    pub fn into_rows(mut self, key: &str) -> Option<(Value, Option<String>)> {
        let said = self.meta.key.take();
        let rows = said.and_then(|said| self.rest.remove(&said)).or_else(|| self.rest.remove(key))?;
        Some((rows, self.meta.next_token.filter(|token| !token.is_empty())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_it_is_about_and_which_setting_it_names() {
        let rule = |text: &str| serde_json::from_str::<WebhookRule>(text).unwrap();
        let exact = rule(
            r#"{"id":"r","matchType":"EXACT_MATCH","value":"https://h/","settings":[{"settingId":"s","percentage":100}]}"#,
        );
        assert_eq!(exact.matches(), Some(RuleMatch::Exact("https://h/".to_owned())));
        assert_eq!(exact.only_setting(), Some("s"));
        let two = rule(r#"{"id":"r","matchType":"DEFAULT","settings":[{"id":"s"},{"id":"t"}]}"#);
        assert_eq!((two.matches(), two.only_setting()), (Some(RuleMatch::Default), None));
        for unknown in [r#"{"id":"r","matchType":"REGEX"}"#, r#"{"id":"r","matchType":"EXACT_MATCH"}"#] {
            assert_eq!((rule(unknown).matches(), rule(unknown).only_setting()), (None, None));
        }
    }

    #[test]
    fn what_makes_a_rule_reads_back_as_one() {
        for matches in [
            RuleMatch::Exact("https://h/a".to_owned()),
            RuleMatch::Prefix("https://h/".to_owned()),
            RuleMatch::Default,
        ] {
            let mut body = rule_body("name", &matches, "s");
            body["id"] = json!("r");
            let rule: WebhookRule = serde_json::from_value(body).unwrap();
            assert_eq!((rule.matches(), rule.only_setting()), (Some(matches), Some("s")));
        }
    }

    #[test]
    fn a_page_is_read_by_what_it_says_of_itself_or_by_the_name_of_its_list() {
        let page = |text: &str| serde_json::from_str::<TokenPage>(text).unwrap().into_rows("rules");
        assert_eq!(
            page(r#"{"rules":[1],"meta":{"nextToken":"t"}}"#),
            Some((json!([1]), Some("t".to_owned())))
        );
        assert_eq!(
            page(r#"{"content":[2],"meta":{"key":"content","nextToken":""}}"#),
            Some((json!([2]), None))
        );
        assert_eq!(page(r#"{"rules":[]}"#), Some((json!([]), None)));
        assert_eq!(page(r#"{"meta":{}}"#), None);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let made: NewSharedKey = serde_json::from_str(r#"{"id":"k","secret":"swordfish"}"#).unwrap();
        assert_eq!(made.secret.as_ref().unwrap().expose(), "swordfish");
        assert!(!format!("{made:?}").contains("swordfish"));
    }
}
