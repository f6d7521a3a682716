//! What changed in an account, and who changed it: <https://www.twilio.com/docs/usage/monitor-events>.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::super::base::Product::Monitor;
use super::super::operation::Operation;
use super::super::{Client, Error, Pages};
use crate::wire::{Event, Form, Iso8601};

/// The changes in the account whose credentials these are: `client.events()`.
#[derive(Debug, Clone, Copy)]
pub struct Events<'c> {
    client: &'c Client,
}

/// Which changes a list has.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Those of this kind: `account.updated`.
    pub event_type: Option<String>,
    /// Those of this thing.
    pub resource_sid: Option<Sid>,
    /// Those by this user: `US…`.
    pub actor_sid: Option<Sid>,
    /// Those from this address.
    pub source_ip_address: Option<String>,
    /// Those at this time or later.
    pub since: Option<Timestamp>,
    /// Those at this time or before.
    pub until: Option<Timestamp>,
}

impl Client {
    /// The changes in the account whose credentials these are.
    pub fn events(&self) -> Events<'_> {
        Events { client: self }
    }
}

impl Events<'_> {
    /// All of them, the newest first.
    pub fn list(&self, filter: &EventFilter) -> Pages<Event> {
        let mut query = Form::new();
        query.push_some("EventType", filter.event_type.as_deref());
        query.push_some("ResourceSid", filter.resource_sid.map(|sid| sid.to_string()));
        query.push_some("ActorSid", filter.actor_sid.map(|sid| sid.to_string()));
        query.push_some("SourceIpAddress", filter.source_ip_address.as_deref());
        query.push_some("StartDate", filter.since.map(|time| Iso8601(time).to_string()));
        query.push_some("EndDate", filter.until.map(|time| Iso8601(time).to_string()));
        Pages::new(self.client, "events.list", Monitor, "/v1/Events".to_owned(), query, "events")
    }

    /// One of them.
    pub async fn fetch(&self, event: Sid) -> Result<Event, Error> {
        let path = format!("/v1/Events/{event}");
        self.client.json(Operation::get("events.fetch", Monitor, &path, &Form::new())).await
    }
}
