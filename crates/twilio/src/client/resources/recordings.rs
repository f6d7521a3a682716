//! Recordings: <https://www.twilio.com/docs/voice/api/recording>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::in_account;
use super::super::{Client, Pages};
use crate::wire::{Form, Recording};

/// The recordings of an account: `client.recordings(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Recordings<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// The recordings of an account.
    pub fn recordings(&self, account: Sid) -> Recordings<'_> {
        Recordings { client: self, account }
    }
}

impl Recordings<'_> {
    /// All of them, the newest first.
    pub fn list(&self) -> Pages<Recording> {
        let path = in_account(self.account, "Recordings");
        Pages::new(self.client, "recordings.list", Api, path, Form::new(), "recordings")
    }
}
