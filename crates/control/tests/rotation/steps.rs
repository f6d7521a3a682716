//! Step by step, with a process that ends after each.

use ringfence_control::rotation::{NotRotated, Turn, Waiting, Wish};
use ringfence_model::Secret;
use ringfence_store::RotationEnd;

use crate::database::{Database, on_both};
use crate::installation::{Installation, WISH};

on_both! {
    a_rotation_that_is_killed_after_every_step_goes_on_and_nothing_is_refused =>
        killed_after_every_step,
    a_node_that_has_not_taken_over_holds_the_promotion_and_is_named => a_late_node_holds_it,
    what_is_undone_before_its_promotion_leaves_everything_as_it_was => undone,
    a_promotion_is_not_undone => promoted_for_good,
    a_subaccount_is_rotated_with_its_own_credentials => subaccount,
}

/// Rotates to the end, each step by another process.
async fn rotate(installation: &Installation, account: ringfence_model::Sid) {
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Made);
    installation.pulse().await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    installation.pulse().await;
    installation.webhook(account).await;
    installation.pulse().await;
    let end = installation.rotate(account, &WISH).await.unwrap();
    assert_eq!(end, Turn::Ended(RotationEnd::Confirmed));
    installation.pulse().await;
}

async fn killed_after_every_step(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &["one", "two"]).await;
    let account = installation.parent;
    let old = installation.signs(account);
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Made);
    installation.nothing_is_refused(account).await;

    installation.machines[0].pulse().await;
    installation.nothing_is_refused(account).await;
    installation.machines[1].pulse().await;
    installation.nothing_is_refused(account).await;
    let asks = installation.machines[1].asks(account).await;
    assert_ne!(asks, old, "it asks with the second one, which the promotion does not change");

    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    let new = installation.signs(account);
    assert_eq!(new, asks);
    assert!(!installation.takes(account, &old).await, "the old one is dead");
    installation.nothing_is_refused(account).await;
    for machine in &installation.machines {
        machine.pulse().await;
        installation.nothing_is_refused(account).await;
        assert!(machine.lets_pass(account, &old).await, "what was signed before is on its way");
    }

    let waits = installation.rotate(account, &WISH).await.unwrap();
    assert!(matches!(waits, Turn::Waits(Waiting::Request { .. })), "{waits:?}");
    installation.webhook(account).await;
    installation.pulse().await;
    let end = installation.rotate(account, &WISH).await.unwrap();
    assert_eq!(end, Turn::Ended(RotationEnd::Confirmed));
    assert_eq!(installation.engine().await.late_nodes(account).await.unwrap().len(), 2);
    installation.pulse().await;
    assert!(installation.engine().await.late_nodes(account).await.unwrap().is_empty());
    for machine in &installation.machines {
        assert!(!machine.lets_pass(account, &old).await, "although it is configured");
    }
    installation.nothing_is_refused(account).await;
    assert_eq!(
        installation.actions().await,
        ["token.rotate", "token.made", "token.promote", "token.promoted", "token.confirmed"]
    );
}

async fn a_late_node_holds_it(database: impl Fn() -> Database) {
    let mut installation = Installation::with(database(), &["one", "two"]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    let named = async |installation: &Installation| match installation.rotate(account, &WISH).await.unwrap() {
        Turn::Waits(Waiting::Nodes(late)) => late.into_iter().map(|node| node.name).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(named(&installation).await, ["one", "two"]);
    installation.machines[0].pulse().await;
    assert_eq!(named(&installation).await, ["two"]);
    // One that begins in the middle has to say so too.
    installation.start("three").await;
    installation.machines[2].node.turn().await.unwrap();
    assert_eq!(named(&installation).await, ["three", "two"]);
    // And one whose gate would not try the token says nothing.
    *installation.machines[1].refuses.lock().unwrap() = true;
    installation.pulse().await;
    assert_eq!(named(&installation).await, ["two"]);
    *installation.machines[1].refuses.lock().unwrap() = false;
    installation.pulse().await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    installation.nothing_is_refused(account).await;
}

async fn undone(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &["one", "two"]).await;
    let account = installation.parent;
    let old = installation.signs(account);
    assert!(matches!(installation.undo(account).await, Err(NotRotated::NotUnderWay(_))));
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    let new = installation.machines[0].asks(account).await;
    let holds = Wish { holds: true, ..WISH };
    let held = installation.rotate(account, &holds).await.unwrap();
    assert_eq!(held, Turn::Waits(Waiting::Operator));

    assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::BeingUndone(_))));
    let waits = installation.undo(account).await.unwrap();
    assert!(matches!(waits, Turn::Waits(Waiting::Nodes(_))), "they ask with it still: {waits:?}");
    installation.nothing_is_refused(account).await;
    installation.pulse().await;
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Ended(RotationEnd::Undone));
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert_eq!((installation.signs(account), installation.takes(account, &new).await), (old, false));
    for machine in &installation.machines {
        assert!(!machine.lets_pass(account, &new).await);
    }
    // Nothing is left that would keep another one from beginning.
    rotate(&installation, account).await;
}

async fn promoted_for_good(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &[]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    assert!(matches!(installation.undo(account).await, Err(NotRotated::Irreversible(_))));
    let unconfirmed = Wish { unconfirmed: true, ..WISH };
    let end = installation.rotate(account, &unconfirmed).await.unwrap();
    assert_eq!(end, Turn::Ended(RotationEnd::Unconfirmed));
    // Whoever types the command again goes on with what has ended meanwhile, and replaces nothing by that.
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Recent { .. })));
    let again = Wish { again: true, ..WISH };
    assert_eq!(installation.rotate(account, &again).await.unwrap(), Turn::Made);
}

async fn subaccount(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &["one", "two"]).await;
    let (account, _) = installation.world.subaccount("shop").await;
    installation.engine().await.synchronise_accounts().await.unwrap();
    let (parents, old) = (installation.signs(installation.parent), installation.signs(account));
    rotate(&installation, account).await;
    assert_ne!(installation.signs(account), old);
    assert_eq!(installation.signs(installation.parent), parents, "the parent's is its own");
    installation.nothing_is_refused(account).await;
    for machine in &installation.machines {
        assert!(!machine.lets_pass(account, &old).await);
    }
}

#[tokio::test]
async fn the_stores_token_wins_until_the_configured_one_changes() {
    let mut installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    let stolen = installation.configured.clone();
    rotate(&installation, account).await;
    let new = installation.signs(account);

    // A node that begins with the old configuration has the new token, and the command is told.
    installation.start("two").await;
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert!(!installation.machines[1].lets_pass(account, stolen.expose()).await);
    let engine = installation.engine().await;
    assert_eq!(engine.outdated_tokens().await.unwrap(), [account]);

    // Two rotations later that configuration is known again.
    let again = Wish { again: true, ..WISH };
    installation.rotate(account, &again).await.unwrap();
    installation.pulse().await;
    installation.rotate(account, &again).await.unwrap();
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert!(!installation.machines[1].lets_pass(account, stolen.expose()).await);
    assert!(installation.machines[1].lets_pass(account, &new).await, "until it is forgotten");

    // A configuration with the newest token is up to date, and one with another token knows better.
    for token in [installation.signs(account), "written by hand".to_owned()] {
        installation.configured = Secret::new(token.as_str());
        let engine = installation.engine().await;
        assert!(engine.outdated_tokens().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn requests_of_the_old_token_keep_it_only_as_long_as_twilio_may_sign_with_it() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    let old = installation.signs(account);
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    for minute in 0..6 {
        installation.webhook(account).await;
        // Somebody who stole it goes on and on.
        installation.machines[0].receive(account, &old).await;
        installation.pulse().await;
        let turn = installation.rotate(account, &WISH).await.unwrap();
        match minute {
            0..=4 => assert!(matches!(turn, Turn::Waits(Waiting::OldToken { .. })), "{minute}: {turn:?}"),
            _ => assert_eq!(turn, Turn::Ended(RotationEnd::Confirmed)),
        }
        installation.world.advance(60).await;
    }
}

#[tokio::test]
async fn a_node_ends_the_rotation_that_nobody_waits_for() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    let engine = installation.machines[0].node.at_work().unwrap().engine;
    assert_eq!(engine.confirm_rotations().await.unwrap(), 0, "nothing was signed yet");
    installation.webhook(account).await;
    installation.pulse().await;
    assert_eq!(engine.confirm_rotations().await.unwrap(), 1);
    assert!(installation.store().await.rotations().await.unwrap().is_empty());
}
