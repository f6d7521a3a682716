//! What time it is at Twilio.

use jiff::Timestamp;
use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::Operation;
use super::super::{Client, Error};
use crate::wire::Form;

/// Twilio's clock: `client.server_time(account)`.
#[derive(Debug, Clone, Copy)]
pub struct ServerTime<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// Twilio's clock, as its answer about this account tells it.
    pub fn server_time(&self, account: Sid) -> ServerTime<'_> {
        ServerTime { client: self, account }
    }
}

impl ServerTime<'_> {
    /// The `Date` of an answer (RFC 9110, 6.6.1), which has no fractions of a second. `None`: the answer has none.
    pub async fn read(&self) -> Result<Option<Timestamp>, Error> {
        let path = format!("/2010-04-01/Accounts/{}.json", self.account);
        let operation = Operation::get("server_time.read", Api, &path, &Form::new());
        let (answer, _) = self.client.send(&operation).await?;
        Ok(answer.date)
    }
}
