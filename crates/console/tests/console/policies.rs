//! The page of policies: found, paged, and changed one thing at a time.

use ringfence_model::{Actor, Sid};
use ringfence_second_factor::policy::{Demands, Policy, Strength};
use ringfence_second_factor::totp::Seed;
use ringfence_store::{FactorSecret, NewFactor, Role, Stage, Where};

use crate::world::{Browser, World};

const NO_PHONE: Demands = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

async fn demand(world: &World, account: Sid, demands: Demands) {
    world.store.set_policy(&ops(), Where::Account(account), demands, world.now()).await.unwrap();
}

async fn totp(world: &World, person: &str) {
    let new = NewFactor { secret: FactorSecret::Totp(Seed::new([3; 20])), verified: true };
    world.store.add_factor(&ops(), person, new, world.now()).await.unwrap();
}

#[tokio::test]
async fn many_policies_are_paged_and_searched_by_the_names_of_their_accounts() {
    let world = World::new().await;
    let owner = world.owner().await;
    let bakery = world.subaccount("Bakery").await;
    demand(&world, bakery, NO_PHONE).await;
    owner.get("/policies").await.does_not_say("role=\"search\"");
    for number in 1..=50 {
        demand(&world, Sid::new(*b"AC", number), NO_PHONE).await;
    }
    let first = owner.get("/policies").await;
    first.says("51 policies");
    first.says("/policies?q=&#38;page=2");
    let second = owner.get("/policies?page=2").await;
    let shown = first.text.matches("Change…").count() + second.text.matches("Change…").count();
    assert_eq!(shown, 51);
    let found = owner.get("/policies?q=bakery").await;
    found.says("1 policy");
    found.says(&format!("Bakery<span class=\"sub\"><code>{bakery}</code></span>"));
    assert_eq!(found.text.matches("Change…").count(), 1);
    owner.get("/policies?q=nobody").await.says("No policy matches.");
}

#[tokio::test]
async fn whoever_changes_how_often_an_account_asks_keeps_which_factors_it_takes() {
    let world = World::new().await;
    let owner = world.owner().await;
    totp(&world, &owner.person).await;
    let bakery = world.subaccount("Bakery").await;
    demand(&world, bakery, NO_PHONE).await;
    // The form says how things stand, from the row, and for whoever looks at that account alone.
    let of_bakery = world.signed_in("baker@example.com", Role::Owner, Where::Account(bakery)).await;
    totp(&world, &of_bakery.person).await;
    let pages = [owner.get(&format!("/policies?account={bakery}")).await, of_bakery.get("/policies").await];
    for page in pages {
        page.says("value=\"every-sign-in\" selected");
        page.says("value=\"no-phone\" selected");
    }
    owner.get(&format!("/policies?account={bakery}")).await.says(&format!("value=\"{bakery}\""));
    owner.get("/policies").await.does_not_say(" selected");
    // Where nothing is chosen, the factors stay; how often it asks has to be chosen.
    let reason = ("reason", "a new shop");
    let text = bakery.to_string();
    let once = [("account", text.as_str()), ("policy", "once-per-computer"), ("factors", ""), reason];
    assert_eq!(owner.post("/policies", &once).await.status, 303);
    let set = world.store.policies().await.unwrap().remove(0).demands;
    assert_eq!(set, Demands { policy: Policy::OncePerComputer, ..NO_PHONE });
    let token = world.session(&of_bakery.person, Where::Account(bakery), Stage::Inside).await;
    let of_bakery = Browser { world: &world, token, person: of_bakery.person };
    let page = of_bakery.post("/policies", &[("policy", ""), reason]).await;
    assert_eq!(page.status, 422);
    page.says("Choose a policy.");
    // Their own account is not set in the place of another that the form names.
    for other in ["*", "AC00000000000000000000000000000009", "x"] {
        let form = [("account", other), ("policy", "every-sign-in"), reason];
        assert_eq!(of_bakery.post("/policies", &form).await.status, 404, "{other}");
    }
}
