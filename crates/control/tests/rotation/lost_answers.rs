//! Twilio does what it was asked for, and its answer is lost; or it does not.

use ringfence_control::rotation::{NotRotated, Turn, Wish};
use ringfence_store::{RotationEnd, RotationStep};

use crate::database::{Database, on_both};
use crate::installation::{Installation, WISH};

on_both! {
    a_second_token_whose_answer_was_lost_is_deleted_only_if_an_operator_says_so => lost_second,
    a_promotion_whose_answer_was_lost_is_found_out_and_not_repeated => lost_promotion,
}

const SECOND: &str = r#""method": "POST", "path": "/v1/AuthTokens/Secondary", "times": 1"#;
const PROMOTE: &str = r#""method": "POST", "path": "/v1/AuthTokens/Promote", "times": 1"#;

async fn fault(installation: &Installation, of: &str, what: &str) {
    installation.world.fault(&format!("{{\"api\": [{{{of}, {what}}}]}}")).await;
}

async fn step(installation: &Installation) -> RotationStep {
    let store = installation.store().await;
    store.rotation(installation.parent).await.unwrap().expect("it is under way").step
}

async fn lost_second(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &["one", "two"]).await;
    let account = installation.parent;
    fault(&installation, SECOND, r#""drop": "after""#).await;
    let lost = installation.rotate(account, &WISH).await;
    assert!(matches!(lost, Err(NotRotated::Twilio(_))), "{lost:?}");
    assert_eq!(step(&installation).await, RotationStep::Asked { new: None });
    installation.pulse().await;
    installation.nothing_is_refused(account).await;

    let in_doubt = installation.rotate(account, &WISH).await;
    assert!(matches!(in_doubt, Err(NotRotated::SecondInDoubt(_))), "{in_doubt:?}");
    let replaces = Wish { replaces_second: true, ..WISH };
    assert_eq!(installation.rotate(account, &replaces).await.unwrap(), Turn::Made);
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    installation.nothing_is_refused(account).await;
}

async fn lost_promotion(database: impl Fn() -> Database) {
    let installation = Installation::with(database(), &["one", "two"]).await;
    let account = installation.parent;
    let old = installation.signs(account);
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    fault(&installation, PROMOTE, r#""drop": "after""#).await;
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
    assert!(matches!(step(&installation).await, RotationStep::Promoting { .. }));
    assert_ne!(installation.signs(account), old, "Twilio has done it");
    installation.nothing_is_refused(account).await;
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert!(matches!(installation.undo(account).await, Err(NotRotated::OnItsWay(_))));
    installation.world.advance(60).await;
    assert!(matches!(installation.undo(account).await, Err(NotRotated::Irreversible(_))));

    // One more would promote nothing: there is no second token.
    fault(&installation, PROMOTE, r#""status": 500"#).await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
}

#[tokio::test]
async fn a_promotion_that_was_not_carried_out_is_asked_for_again_or_undone() {
    for undoes in [false, true] {
        let installation = Installation::with(Database::sqlite(), &["one"]).await;
        let account = installation.parent;
        let old = installation.signs(account);
        installation.rotate(account, &WISH).await.unwrap();
        installation.pulse().await;
        fault(&installation, PROMOTE, r#""status": 500"#).await;
        assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
        assert!(matches!(step(&installation).await, RotationStep::Promoting { .. }), "nobody knows");
        installation.pulse().await;
        installation.nothing_is_refused(account).await;
        if undoes {
            assert!(matches!(installation.undo(account).await, Err(NotRotated::OnItsWay(_))));
            installation.world.advance(60).await;
            assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
            installation.pulse().await;
            assert_eq!(installation.undo(account).await.unwrap(), Turn::Ended(RotationEnd::Undone));
            assert_eq!(installation.signs(account), old);
        } else {
            assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
            assert_ne!(installation.signs(account), old);
        }
        installation.pulse().await;
        installation.nothing_is_refused(account).await;
    }
}

#[tokio::test]
async fn what_twilio_certainly_did_not_do_leaves_nothing_behind() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    fault(&installation, SECOND, r#""status": 429"#).await;
    fault(&installation, SECOND, r#""status": 429"#).await;
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
    assert_eq!(installation.store().await.rotation(account).await.unwrap(), None);

    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    fault(&installation, PROMOTE, r#""status": 429"#).await;
    fault(&installation, PROMOTE, r#""status": 429"#).await;
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
    assert!(matches!(step(&installation).await, RotationStep::Made { .. }));
    installation.pulse().await;
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
}

#[tokio::test]
async fn a_second_token_of_somebody_else_is_left_alone_unless_an_operator_says_so() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    let theirs = installation.world.parent.auth_tokens().create_secondary().await.unwrap();
    let theirs = theirs.secondary_auth_token.unwrap();
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::HasSecond(_))));
    assert!(installation.takes(account, theirs.expose()).await);
    assert_eq!(installation.store().await.rotation(account).await.unwrap(), None);
    let replaces = Wish { replaces_second: true, ..WISH };
    assert_eq!(installation.rotate(account, &replaces).await.unwrap(), Turn::Made);
    assert!(!installation.takes(account, theirs.expose()).await);
}

#[tokio::test]
async fn a_second_token_of_somebody_else_outlives_an_answer_in_doubt() {
    for undoes in [false, true] {
        let installation = Installation::with(Database::sqlite(), &[]).await;
        let account = installation.parent;
        let theirs = installation.world.parent.auth_tokens().create_secondary().await.unwrap();
        let theirs = theirs.secondary_auth_token.unwrap();
        fault(&installation, SECOND, r#""status": 500"#).await;
        assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
        if undoes {
            let end = installation.undo(account).await.unwrap();
            assert_eq!(end, Turn::Ended(RotationEnd::SecondLeft));
        } else {
            let in_doubt = installation.rotate(account, &WISH).await;
            assert!(matches!(in_doubt, Err(NotRotated::SecondInDoubt(_))), "{in_doubt:?}");
        }
        assert!(installation.takes(account, theirs.expose()).await);
    }
}

#[tokio::test]
async fn a_request_for_a_second_token_that_was_not_carried_out_is_repeated_without_a_word_of_an_operator() {
    let installation = Installation::with(Database::sqlite(), &[]).await;
    let account = installation.parent;
    fault(&installation, SECOND, r#""status": 500"#).await;
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Twilio(_))));
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Made);
}

#[tokio::test]
async fn a_second_token_that_twilio_does_not_take_yet_is_kept_and_tried_again() {
    for undoes in [false, true] {
        let installation = Installation::with(Database::sqlite(), &["one"]).await;
        let account = installation.parent;
        let fetch = r#""method": "GET", "path": "/2010-04-01/Accounts/", "times": 1"#;
        fault(&installation, fetch, r#""status": 401"#).await;
        let early = installation.rotate(account, &WISH).await;
        assert!(matches!(early, Err(NotRotated::NotTakenYet(_))), "{early:?}");
        let kept = step(&installation).await.new_token().cloned().expect("it is written down");
        installation.pulse().await;
        installation.nothing_is_refused(account).await;
        if undoes {
            assert_eq!(installation.undo(account).await.unwrap(), Turn::Ended(RotationEnd::Undone));
            assert!(!installation.takes(account, kept.expose()).await, "it is certainly ours");
        } else {
            assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Made);
            assert_eq!(step(&installation).await, RotationStep::Made { new: kept });
        }
    }
}

#[tokio::test]
async fn a_second_token_that_somebody_deleted_is_not_promoted_and_another_one_is_made() {
    let installation = Installation::with(Database::sqlite(), &["one", "two"]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    installation.world.parent.auth_tokens().delete_secondary().await.unwrap();
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Lost);
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Made);
    installation.pulse().await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
}

#[tokio::test]
async fn a_second_token_that_somebody_promoted_is_taken_for_promoted() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    installation.world.parent.auth_tokens().promote().await.unwrap();
    installation.nothing_is_refused(account).await;
    assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
}

#[tokio::test]
async fn what_is_suspended_is_not_rotated_and_says_so() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let (account, _) = installation.world.subaccount("shop").await;
    let engine = installation.engine().await;
    engine.synchronise_accounts().await.unwrap();
    let suspended = ringfence_twilio::wire::AccountStatus::Suspended;
    installation.world.parent.accounts().set_status(account, &suspended).await.unwrap();
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::Inactive(_))));
    assert_eq!(installation.store().await.rotation(account).await.unwrap(), None);
    let unknown = ringfence_model::Sid::new(*b"AC", 404);
    assert!(matches!(installation.rotate(unknown, &WISH).await, Err(NotRotated::NoToken(_))));
    let wish = Wish { reason: "", ..WISH };
    assert!(matches!(installation.rotate(unknown, &wish).await, Err(NotRotated::NoToken(_))));
}

/// Somebody rotates the token at Twilio's console: neither the old one nor ours is good after that. Gives back what is.
async fn rotated_elsewhere(installation: &Installation, account: ringfence_model::Sid) -> String {
    let known = ringfence_model::Secret::new(installation.signs(account));
    let credentials = ringfence_twilio::client::Credentials::auth_token(account, known);
    let client = installation.world.parent.with_credentials(credentials);
    client.auth_tokens().delete_secondary().await.unwrap();
    client.auth_tokens().create_secondary().await.unwrap();
    client.auth_tokens().promote().await.unwrap();
    installation.signs(account)
}

#[tokio::test]
async fn a_rotation_whose_tokens_both_died_elsewhere_is_given_up_once_a_configured_token_works() {
    for promoted in [false, true] {
        let mut installation = Installation::with(Database::sqlite(), &["one"]).await;
        let account = installation.parent;
        installation.rotate(account, &WISH).await.unwrap();
        installation.pulse().await;
        let fresh = if promoted {
            assert_eq!(installation.rotate(account, &WISH).await.unwrap(), Turn::Promoted);
            installation.pulse().await;
            // Nothing is there to be deleted, so it is made and promoted.
            let client = installation.world.parent.with_credentials(
                ringfence_twilio::client::Credentials::auth_token(
                    account,
                    ringfence_model::Secret::new(installation.signs(account)),
                ),
            );
            client.auth_tokens().create_secondary().await.unwrap();
            client.auth_tokens().promote().await.unwrap();
            installation.signs(account)
        } else {
            let fresh = rotated_elsewhere(&installation, account).await;
            let dead = installation.rotate(account, &WISH).await;
            assert!(matches!(dead, Err(NotRotated::NeitherWorks(_))), "{dead:?}");
            assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
            installation.pulse().await;
            fresh
        };
        // As long as nobody knows a token that works there is nothing to go back to.
        let dead = installation.undo(account).await;
        assert!(matches!(dead, Err(NotRotated::NeitherWorks(_))), "{dead:?}");

        // Written into the configuration it counts at once, and the rotation ends.
        installation.configured = ringfence_model::Secret::new(fresh);
        installation.machines.clear();
        installation.start("one").await;
        installation.pulse().await;
        installation.nothing_is_refused(account).await;
        let end = installation.undo(account).await.unwrap();
        assert_eq!(end, Turn::Ended(RotationEnd::Superseded), "promoted: {promoted}");
        assert_eq!(installation.store().await.rotation(account).await.unwrap(), None);
        installation.pulse().await;
        installation.nothing_is_refused(account).await;
    }
}

#[tokio::test]
async fn a_subaccounts_rotation_that_died_elsewhere_is_given_up_for_the_token_that_its_parent_shows() {
    let installation = Installation::with(Database::sqlite(), &["one"]).await;
    let (account, _) = installation.world.subaccount("shop").await;
    installation.engine().await.synchronise_accounts().await.unwrap();
    installation.rotate(account, &WISH).await.unwrap();
    installation.pulse().await;
    rotated_elsewhere(&installation, account).await;
    assert!(matches!(installation.rotate(account, &WISH).await, Err(NotRotated::NeitherWorks(_))));
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
    installation.pulse().await;
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Ended(RotationEnd::Superseded));
    installation.engine().await.synchronise_accounts().await.unwrap();
    installation.pulse().await;
    installation.nothing_is_refused(account).await;
}

#[tokio::test]
async fn a_rotation_whose_old_token_is_refused_from_the_start_leaves_nothing_under_way() {
    let mut installation = Installation::with(Database::sqlite(), &[]).await;
    let account = installation.parent;
    installation.configured = ringfence_model::Secret::new("dead");
    for replaces_second in [false, true] {
        let refused = installation.rotate(account, &Wish { replaces_second, ..WISH }).await;
        assert!(matches!(refused, Err(NotRotated::OldRefused(_))), "{refused:?}");
        assert_eq!(installation.store().await.rotation(account).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_second_token_of_somebody_else_outlives_an_undo() {
    let installation = Installation::with(Database::sqlite(), &[]).await;
    let account = installation.parent;
    installation.rotate(account, &WISH).await.unwrap();
    installation.world.parent.auth_tokens().delete_secondary().await.unwrap();
    let theirs = installation.world.parent.auth_tokens().create_secondary().await.unwrap();
    let theirs = theirs.secondary_auth_token.unwrap();
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Undoing);
    assert_eq!(installation.undo(account).await.unwrap(), Turn::Ended(RotationEnd::Undone));
    assert!(installation.takes(account, theirs.expose()).await);
}
