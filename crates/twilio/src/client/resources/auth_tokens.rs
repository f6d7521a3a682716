//! Auth tokens: <https://www.twilio.com/docs/iam/api/authtoken>.

use super::super::base::Product::Accounts;
use super::super::operation::Operation;
use super::super::{Client, Error};
use crate::wire::{Form, PromotedAuthToken, SecondaryAuthToken};

/// The auth tokens of the account whose credentials these are: `client.auth_tokens()`. For a subaccount's tokens its
/// own credentials are needed; its parent's do not reach them.
#[derive(Debug, Clone, Copy)]
pub struct AuthTokens<'c> {
    client: &'c Client,
}

impl Client {
    /// The auth tokens of the account whose credentials these are.
    pub fn auth_tokens(&self) -> AuthTokens<'_> {
        AuthTokens { client: self }
    }
}

impl AuthTokens<'_> {
    /// Makes a second token, valid at once beside the first. Webhooks go on being signed with the first.
    pub async fn create_secondary(&self) -> Result<SecondaryAuthToken, Error> {
        let path = "/v1/AuthTokens/Secondary".to_owned();
        self.client.json(Operation::once("auth_tokens.create_secondary", Accounts, path, Form::new())).await
    }

    /// Takes the second token back.
    pub async fn delete_secondary(&self) -> Result<(), Error> {
        let path = "/v1/AuthTokens/Secondary".to_owned();
        self.client.empty(Operation::delete("auth_tokens.delete_secondary", Accounts, path)).await
    }

    /// Makes the second token the first and only one. The old one fails from then on, so where the answer is lost,
    /// asking again with the old credentials tells nothing: try the new ones.
    pub async fn promote(&self) -> Result<PromotedAuthToken, Error> {
        let path = "/v1/AuthTokens/Promote".to_owned();
        self.client.json(Operation::once("auth_tokens.promote", Accounts, path, Form::new())).await
    }
}
