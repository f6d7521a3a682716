//! Numbers of others that an account may call from: <https://www.twilio.com/docs/voice/api/outgoing-caller-ids>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::in_account;
use super::super::{Client, Pages};
use crate::wire::{Form, OutgoingCallerId};

/// The verified caller IDs of an account: `client.caller_ids(account)`.
#[derive(Debug, Clone, Copy)]
pub struct CallerIds<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// The verified caller IDs of an account.
    pub fn caller_ids(&self, account: Sid) -> CallerIds<'_> {
        CallerIds { client: self, account }
    }
}

impl CallerIds<'_> {
    /// Those of this number, or all of them.
    pub fn list(&self, phone_number: Option<&str>) -> Pages<OutgoingCallerId> {
        let mut query = Form::new();
        query.push_some("PhoneNumber", phone_number);
        let path = in_account(self.account, "OutgoingCallerIds");
        Pages::new(self.client, "caller_ids.list", Api, path, query, "outgoing_caller_ids")
    }
}
