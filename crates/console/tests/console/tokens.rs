//! Replacing an auth token on the account's page: one step an act, each with a reason, and nothing before its time.

use ringfence_store::{Role, Where};

use crate::world::World;

const BECAUSE: (&str, &str) = ("reason", "it leaked");

#[tokio::test]
async fn a_token_is_replaced_step_by_step_and_promoted_only_when_every_node_is_ready() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let old = world.signs_with(account);
    let browser = world.owner().await;
    let (page, rotate) = (format!("/accounts/{account}"), format!("/accounts/{account}/token/rotate"));
    let shown = browser.get(&page).await;
    shown.says("Ringfence has not replaced it.");
    shown.says("Replace…");
    shown.does_not_say("Undo…");

    // 1. It begins, and nothing is promoted by that.
    browser.get(&rotate).await.says("Make a second token");
    let unsaid = browser.post(&rotate, &[("step", "Replace…")]).await;
    assert_eq!(unsaid.status, 422);
    unsaid.says("Say why: the audit log keeps it.");
    assert_eq!(browser.post(&rotate, &[("step", "Replace…"), BECAUSE]).await.status, 303);
    assert_eq!(world.signs_with(account), old);
    let shown = browser.get(&page).await;
    shown.says("second one made");
    shown.says("It waits until these nodes have it: ");
    shown.says("Undo…");
    shown.does_not_say("Promote…");

    // 2. Nothing promotes it before every node has said that it is ready, and what was begun with the old one has left.
    for ready in [false, true] {
        if ready {
            world.take_over_tokens().await;
        }
        assert_eq!(browser.get(&rotate).await.status, 303, "there is nothing to do yet");
        assert_eq!(browser.post(&rotate, &[("step", "Promote…"), BECAUSE]).await.status, 303);
        assert_eq!(world.signs_with(account), old);
    }
    world.advance(10).await;
    browser.get(&page).await.says("Promote…");
    let asked = browser.get(&rotate).await;
    asked.says("dead at once");
    asked.says("<code>ringfence token show</code>");
    // What somebody read is what is done: a form of before does nothing.
    let late = browser.post(&rotate, &[("step", "Replace…"), BECAUSE]).await;
    assert_eq!(late.status, 422);
    late.says("It went on meanwhile");
    assert_eq!(world.signs_with(account), old);
    assert_eq!(browser.post(&rotate, &[("step", "Promote…"), BECAUSE]).await.status, 303);
    let new = world.signs_with(account);
    assert_ne!(new, old);

    // 3. The old one is forgotten, here without a request that the new one signed.
    let shown = browser.get(&page).await;
    shown.says("no request was seen yet that the new one signed");
    shown.does_not_say("Undo…");
    assert_eq!(browser.post(&rotate, &[("step", "Forget the old one…"), BECAUSE]).await.status, 303);
    let shown = browser.get(&page).await;
    shown.says("replaced");
    for token in [&old, &new] {
        shown.does_not_say(token);
    }
    assert_eq!(world.signs_with(account), new);
}

#[tokio::test]
async fn a_replacing_is_undone_until_every_node_has_the_old_token_back() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let old = world.signs_with(account);
    let browser = world.signed_in("o@example.com", Role::Owner, Where::Account(account)).await;
    let (page, undo) = (format!("/accounts/{account}"), format!("/accounts/{account}/token/undo"));
    assert_eq!(browser.get(&undo).await.status, 303, "there is nothing to undo");
    let refused = browser.post(&undo, &[BECAUSE]).await;
    assert_eq!(refused.status, 422);
    refused.says("no rotation of");
    let rotate = format!("/accounts/{account}/token/rotate");
    assert_eq!(browser.post(&rotate, &[("step", "Replace…"), BECAUSE]).await.status, 303);
    assert_eq!(browser.post(&undo, &[BECAUSE]).await.status, 303);
    browser.get(&page).await.says("being undone");
    world.take_over_tokens().await;
    assert_eq!(browser.post(&undo, &[BECAUSE]).await.status, 303);
    browser.get(&page).await.says("Ringfence has not replaced it.");
    assert_eq!(world.signs_with(account), old);
}
