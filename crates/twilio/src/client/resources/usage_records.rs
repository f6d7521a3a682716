//! Usage records: <https://www.twilio.com/docs/usage/api/usage-record>.

use jiff::civil::Date;
use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::in_account;
use super::super::{Client, Pages};
use crate::wire::{Form, UsageRecord};

/// The usage records of an account: `client.usage_records(account)`.
#[derive(Debug, Clone, Copy)]
pub struct UsageRecords<'c> {
    client: &'c Client,
    account: Sid,
}

/// Over which spans of days, in GMT, a list sums up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSpan {
    /// One record over all days asked for.
    Whole,
    /// One record over all time.
    AllTime,
    /// One for each day asked for.
    Daily,
    /// One for each month asked for.
    Monthly,
    /// One for each year asked for.
    Yearly,
    /// Today alone.
    Today,
    /// Yesterday alone.
    Yesterday,
    /// This month alone.
    ThisMonth,
    /// The month before alone.
    LastMonth,
}

/// Which usage records a list has.
#[derive(Debug, Clone, Default)]
pub struct UsageFilter {
    /// Those of this category.
    pub category: Option<String>,
    /// From this day on.
    pub start: Option<Date>,
    /// Up to this day and with it.
    pub end: Option<Date>,
    /// Whether what subaccounts used counts; without it, it does.
    pub include_subaccounts: Option<bool>,
}

impl Client {
    /// The usage records of an account.
    pub fn usage_records(&self, account: Sid) -> UsageRecords<'_> {
        UsageRecords { client: self, account }
    }
}

impl UsageRecords<'_> {
    /// What was used: a record for each category and span.
    pub fn list(&self, span: UsageSpan, filter: &UsageFilter) -> Pages<UsageRecord> {
        let mut query = Form::new();
        query.push_some("Category", filter.category.as_deref());
        query.push_some("StartDate", filter.start.map(|day| day.to_string()));
        query.push_some("EndDate", filter.end.map(|day| day.to_string()));
        query.push_some("IncludeSubaccounts", filter.include_subaccounts.map(|it| it.to_string()));
        let path = in_account(self.account, span.path());
        Pages::new(self.client, "usage_records.list", Api, path, query, "usage_records")
    }
}

impl UsageSpan {
    fn path(self) -> &'static str {
        match self {
            Self::Whole => "Usage/Records",
            Self::AllTime => "Usage/Records/AllTime",
            Self::Daily => "Usage/Records/Daily",
            Self::Monthly => "Usage/Records/Monthly",
            Self::Yearly => "Usage/Records/Yearly",
            Self::Today => "Usage/Records/Today",
            Self::Yesterday => "Usage/Records/Yesterday",
            Self::ThisMonth => "Usage/Records/ThisMonth",
            Self::LastMonth => "Usage/Records/LastMonth",
        }
    }
}
