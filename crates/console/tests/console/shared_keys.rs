//! Keys of their own for webhooks on the account's page: how they stand, what differs at Twilio, and the acts of an owner.

use jiff::SignedDuration;
use ringfence_control::shared_keys::{Accounts, Settings};
use ringfence_store::{Role, SharedKeyStep, Where};
use ringfence_twilio::wire::RuleMatch;

use crate::world::World;

const BECAUSE: (&str, &str) = ("reason", "each year");

fn urls() -> RuleMatch {
    RuleMatch::Prefix("https://hooks.example.com/twilio/".to_owned())
}

async fn world() -> World {
    let settle = SignedDuration::from_mins(5);
    World::signing(Settings { accounts: Accounts::All, urls: vec![urls()], settle }).await
}

async fn steps(world: &World) -> Vec<SharedKeyStep> {
    world.store.shared_keys().await.unwrap().into_iter().map(|key| key.step).collect()
}

#[tokio::test]
async fn an_account_whose_auth_token_signs_has_nothing_about_keys_on_its_page() {
    let world = World::new().await;
    let account = world.parent;
    let owner = world.owner().await;
    owner.get(&format!("/accounts/{account}")).await.does_not_say("Key of its own for webhooks");
    let asked = owner.get(&format!("/accounts/{account}/shared-key/apply")).await;
    assert_eq!(asked.status, 303, "there is nothing to do");
}

#[tokio::test]
async fn a_key_is_brought_in_line_replaced_and_taken_back_by_an_owner_with_a_reason() {
    let world = world().await;
    let page = format!("/accounts/{}", world.parent);
    let act = |what: &str| format!("{page}/shared-key/{what}");
    let browser = world.owner().await;
    // 1. There is none, which is said with what is to be made.
    let shown = browser.get(&page).await;
    shown.says("none yet");
    shown.says("to make: a key, as its webhooks have no key of their own");
    shown.does_not_say("Replace…</a> <a class=\"button\" href=\"/accounts/");
    browser.get(&act("apply")).await.says("to make: a key");
    assert_eq!(steps(&world).await, [], "looking makes nothing");
    assert_eq!(browser.post(&act("apply"), &[]).await.status, 303);
    let shown = browser.get(&page).await;
    shown.says("on its way");
    shown.says("waits: until every node verifies with it");
    shown.says("These nodes do not verify with it yet: one.");
    // 2. It signs when every node verifies with it and it has got everywhere.
    world.take_over_tokens().await;
    assert_eq!(browser.post(&act("apply"), &[]).await.status, 303);
    assert_eq!(steps(&world).await, [SharedKeyStep::Made]);
    world.advance(180).await;
    assert_eq!(browser.post(&act("apply"), &[]).await.status, 303);
    assert_eq!(steps(&world).await, [SharedKeyStep::Signing]);
    let shown = browser.get(&page).await;
    shown.says("Its rules at Twilio are as the configuration wants them.");
    // 3. Another takes its place, which wants a reason, and can be taken back.
    assert_eq!(browser.post(&act("undo"), &[BECAUSE]).await.status, 422, "none is prepared");
    browser.get(&act("rotate")).await.says("No webhook is refused.");
    let unsaid = browser.post(&act("rotate"), &[("step", "Replace…")]).await;
    assert_eq!(unsaid.status, 422);
    unsaid.says("Say why: the audit log keeps it.");
    let late = browser.post(&act("rotate"), &[("step", "Let it sign…"), BECAUSE]).await;
    assert_eq!(late.status, 422);
    late.says("It went on meanwhile");
    assert_eq!(browser.post(&act("rotate"), &[("step", "Replace…"), BECAUSE]).await.status, 303);
    let shown = browser.get(&page).await;
    shown.says("being replaced");
    shown.says("Undo…");
    assert_eq!(browser.post(&act("undo"), &[BECAUSE]).await.status, 303);
    assert!(!steps(&world).await.contains(&SharedKeyStep::Made));
    browser.get(&page).await.does_not_say("Undo…");
}

#[tokio::test]
async fn a_rule_that_was_edited_at_twilio_is_shown_as_a_difference_to_whoever_may_look() {
    let world = world().await;
    let page = format!("/accounts/{}", world.parent);
    let owner = world.owner().await;
    owner.post(&format!("{page}/shared-key/apply"), &[]).await;
    world.take_over_tokens().await;
    world.advance(180).await;
    owner.post(&format!("{page}/shared-key/apply"), &[]).await;
    let webhooks = world.client.webhooks();
    let rule = webhooks.rules().await.unwrap().remove(0);
    webhooks.delete_rule(&rule.id).await.unwrap();
    let elsewhere = RuleMatch::Prefix("https://evil.example/".to_owned());
    let (name, setting) = (rule.friendly_name.clone().unwrap(), rule.only_setting().unwrap().to_owned());
    webhooks.create_rule(&name, &elsewhere, &setting).await.unwrap();
    let auditor = world.signed_in("auditor@example.com", Role::Auditor, Where::Everywhere).await;
    let shown = auditor.get(&page).await;
    shown.says("be for https://evil.example/…");
    shown.does_not_say("/shared-key/apply");
    shown.does_not_say("/shared-key/rotate");
    let secret = world.store.shared_keys().await.unwrap()[0].key.clone().unwrap().secret;
    shown.does_not_say(secret.expose());
}
