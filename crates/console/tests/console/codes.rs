//! Codes to people of the console, where limits stand before them.

use ringfence_breaker::{Action, Limit, Per, Scope, Threshold};
use ringfence_control::node::Limits;
use ringfence_model::{Actor, Amount, PhoneNumber};
use ringfence_store::{FactorSecret, NewFactor};

use crate::services::sending;
use crate::world::{World, limit};

/// An owner with a phone, under a limit of the account that codes go out from.
async fn world(at: &str, then: Vec<Action>) -> World {
    let at: Amount = at.parse().unwrap();
    let limit = Limit {
        scope: Scope::All,
        at: Threshold::At(at),
        warn: vec![],
        then,
        ..limit("codes", 1, Per::Account)
    };
    let world = World::sending(vec![limit.clone()], |account| Some(sending(account))).await;
    let by = Actor::job("test");
    Limits::new(vec![limit]).apply(&world.store, &by, world.now()).await.unwrap();
    for account in world.store.accounts().await.unwrap() {
        world.engine.read_usage(&account, "poll").await.unwrap();
    }
    world
}

async fn bind_phone(world: &World, person: &str) {
    let number = PhoneNumber::parse("+14155550123").unwrap();
    let new = NewFactor { secret: FactorSecret::Phone(number), verified: true };
    world.store.add_factor(&Actor::job("test"), person, new, world.now()).await.unwrap();
}

#[tokio::test]
async fn whoever_signs_in_is_told_that_no_code_can_be_paid_for_and_until_when() {
    let world = world("0.01", vec![]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!(page.status, 429);
    page.says("No code can be sent now: a limit on what this installation may spend has no room for it.");
    page.says("or use another factor.");
    page.does_not_say("It is on its way");
    page.does_not_say("&quot;codes&quot;");
    let wait: i64 = page.header("retry-after").parse().unwrap();
    let hours = (wait + 3_599) / 3_600;
    page.says(&format!("Try again in {hours} hours"));
}

#[tokio::test]
async fn where_an_operator_must_lift_the_limit_nobody_is_told_to_wait() {
    let world = world("0.01", vec![Action::Notify]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!((page.status, page.header("retry-after")), (403, ""));
    page.says("Use another factor, or ask an owner.");
}

#[tokio::test]
async fn a_code_that_fits_is_on_its_way_and_stands_in_the_ledger() {
    let world = world("9", vec![]).await;
    let owner = world.owner().await;
    bind_phone(&world, &owner.person).await;
    let page = owner.post("/second-factor/send", &[("channel", "sms")]).await;
    assert_eq!(page.status, 200);
    page.says("It is on its way");
    let ledger = owner.get("/ledger").await;
    ledger.says("messages.create");
    ledger.says("by Ringfence, for a code");
}
