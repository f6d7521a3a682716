//! What is left of an account's credit: <https://www.twilio.com/docs/usage/api/account-balance>.

use ringfence_twilio::wire::{self, Price};

use super::operation::{Operation, Product, Verb};
use super::{Refusal, Reply, Request};
use crate::world::{World, usage};

pub(super) const OPERATIONS: &[Operation] =
    &[Operation::new(Product::Api, Verb::Get, "/2010-04-01/Accounts/{AccountSid}/Balance.json", fetch)];

/// The parent holds the credit of the whole family, and everything that one of them spends is taken from it at once:
/// a balance does not lag as usage records do.
#[expect(clippy::unnecessary_wraps, reason = "the shape of a handler")]
fn fetch(world: &mut World, request: &Request) -> Result<Reply, Refusal> {
    let owner = world.accounts.owner(request.account);
    let credit = world.accounts.find(owner).map_or(0, |account| account.credit_micros);
    let spent = world.accounts.family(owner).map(|account| usage::spent_micros(world, account.sid));
    let left = spent.fold(credit, i64::saturating_sub);
    Ok(Reply::ok(&wire::Balance {
        account_sid: request.account.to_string(),
        balance: Price::micros(left).to_plain_string(),
        currency: "USD".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{as_main, get};
    use crate::world::testing::new_world;
    use crate::world::{accounts, usage};

    #[test]
    fn what_a_subaccount_spends_is_taken_from_its_parents_balance_at_once() {
        let mut world = new_world("2026-11-25T12:00:00Z");
        let main = world.accounts.main();
        let sub = accounts::create(&mut world, main, "Sub".to_owned());
        usage::book_by_hand(&mut world, sub, "sms", 1, 1, 1_250_000, None);
        for account in [main, sub] {
            let body = get(&mut world, as_main, &format!("/2010-04-01/Accounts/{account}/Balance.json"));
            assert_eq!(body["account_sid"], account.to_string());
            assert_eq!(body["balance"], "998.75");
            assert_eq!(body["currency"], "USD");
        }
    }
}
