//! Auth tokens: <https://www.twilio.com/docs/iam/api/authtoken> and
//! <https://www.twilio.com/docs/iam/api/secondary_authtoken>.
//!
//! Only an account's own auth token reaches its tokens: these paths name no account, so a parent's credentials mean
//! the parent. Twilio's documents do not say which errors a second secondary token or a missing one give.

use ringfence_model::Secret;
use ringfence_twilio::wire::{Iso8601, PromotedAuthToken, SecondaryAuthToken};

use super::operation::{Access, Operation, Product, Verb};
use super::{Refusal, Reply, Request};
use crate::world::World;
use crate::world::accounts;

const SECONDARY: &str = "/v1/AuthTokens/Secondary";
const PROMOTE: &str = "/v1/AuthTokens/Promote";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(Product::Accounts, Verb::Post, SECONDARY, create).only(Access::AuthToken),
    Operation::new(Product::Accounts, Verb::Delete, SECONDARY, delete).only(Access::AuthToken),
    Operation::new(Product::Accounts, Verb::Post, PROMOTE, promote).only(Access::AuthToken),
];

fn create(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let token = accounts::create_secondary_token(world, request.account)
        .ok_or_else(|| Refusal::bad_request(20001, "The account has a secondary auth token already"))?;
    let now = Iso8601(world.now);
    Ok(Reply::created(&SecondaryAuthToken {
        account_sid: request.account.to_string(),
        secondary_auth_token: Some(Secret::new(token)),
        date_created: Some(now),
        date_updated: Some(now),
        url: request.url(SECONDARY),
    }))
}

fn delete(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    if accounts::delete_secondary_token(world, request.account) {
        Ok(Reply::deleted())
    } else {
        Err(request.not_found())
    }
}

fn promote(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let made =
        accounts::promote_secondary_token(world, request.account).ok_or_else(|| request.not_found())?;
    let account = world.accounts.find(request.account).ok_or_else(|| request.not_found())?;
    Ok(Reply::ok(&PromotedAuthToken {
        account_sid: request.account.to_string(),
        auth_token: Some(Secret::new(&account.auth_token)),
        date_created: Some(Iso8601(made)),
        date_updated: Some(Iso8601(world.now)),
        url: request.url(PROMOTE),
    }))
}
