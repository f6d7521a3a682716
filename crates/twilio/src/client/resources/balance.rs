//! What is left of a parent's credit: <https://www.twilio.com/docs/usage/api/account-balance>.

use ringfence_model::Sid;

use super::super::base::Product::Api;
use super::super::operation::{Operation, in_account};
use super::super::{Client, Error};
use crate::wire::{Balance, Form};

/// An account's balance: `client.balance(account)`.
#[derive(Debug, Clone, Copy)]
pub struct Balances<'c> {
    client: &'c Client,
    account: Sid,
}

impl Client {
    /// An account's balance. Subaccounts spend their parent's.
    pub fn balance(&self, account: Sid) -> Balances<'_> {
        Balances { client: self, account }
    }
}

impl Balances<'_> {
    /// What is left now.
    pub async fn fetch(&self) -> Result<Balance, Error> {
        let path = in_account(self.account, "Balance");
        self.client.json(Operation::get("balance.fetch", Api, &path, &Form::new())).await
    }
}
