//! The two styles of paging: <https://www.twilio.com/docs/usage/twilios-response#response-formats-list-paging-information>.

use serde::{Deserialize, Serialize};

/// What surrounds the rows of a list of the v2010 API. Links are relative to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page2010 {
    /// The number of this page, from 0.
    pub page: u64,
    /// The most rows on a page.
    pub page_size: u64,
    /// The number of the first row on it.
    pub start: u64,
    /// The number of the last row on it.
    pub end: u64,
    /// This page.
    pub uri: String,
    /// The first one.
    pub first_page_uri: String,
    /// The next one, if there is one.
    pub next_page_uri: Option<String>,
    /// The one before, if there is one.
    pub previous_page_uri: Option<String>,
}

/// What stands beside the rows of a list of the newer APIs, as `meta`. Links are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The number of this page, from 0.
    pub page: u64,
    /// The most rows on a page.
    pub page_size: u64,
    /// This page.
    pub url: String,
    /// The first one.
    pub first_page_url: String,
    /// The next one, if there is one.
    pub next_page_url: Option<String>,
    /// The one before, if there is one.
    pub previous_page_url: Option<String>,
    /// The name under which the rows stand.
    pub key: String,
}
