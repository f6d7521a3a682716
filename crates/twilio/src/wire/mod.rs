//! temp
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Form(Vec<(String, String)>);
impl Form {
    pub fn parse(b: &[u8]) -> Self {
        Self(form_urlencoded::parse(b).into_owned().collect())
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiError {
    pub code: u32,
    pub message: String,
    pub more_info: String,
    pub status: u16,
}
impl ApiError {
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            more_info: format!("https://www.twilio.com/docs/errors/{code}"),
            status,
        }
    }
}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rfc2822(pub Timestamp);
impl Serialize for Rfc2822 {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0.strftime("%a, %d %b %Y %H:%M:%S +0000"))
    }
}
#[derive(Debug, Clone, PartialEq)]
pub enum AccountStatus {
    Active,
    Suspended,
    Closed,
    Other(String),
}
impl From<&str> for AccountStatus {
    fn from(t: &str) -> Self {
        match t {
            "active" => Self::Active,
            "suspended" => Self::Suspended,
            "closed" => Self::Closed,
            o => Self::Other(o.into()),
        }
    }
}
impl Serialize for AccountStatus {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Other(o) => o,
        })
    }
}
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum AccountKind {
    Full,
}
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    pub sid: String,
    pub owner_account_sid: String,
    pub friendly_name: String,
    pub status: AccountStatus,
    #[serde(rename = "type")]
    pub kind: AccountKind,
    #[serde(skip)]
    pub auth_token: ringfence_model::Secret,
    pub date_created: Rfc2822,
    pub date_updated: Rfc2822,
    pub subresource_uris: std::collections::BTreeMap<String, String>,
    pub uri: String,
}
