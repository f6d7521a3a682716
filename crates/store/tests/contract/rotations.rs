//! Rotations of auth tokens: each step is somebody's, and what nodes use is known.

use ringfence_model::{Secret, Sid};
use ringfence_store::{Forget, RotationEnd, RotationStep, SeenAccount, SeenSignatures, Store};

use crate::world::{World, after, on_both, operator, start};

on_both! {
    of_two_who_carry_a_rotation_on_one_is_told_that_it_was_moved,
    what_a_gate_saw_counts_only_after_the_promotion_and_only_forwards,
    a_promotion_replaces_what_the_list_said_and_remembers_what_it_replaced,
    a_list_that_is_older_than_the_promotion_does_not_bring_the_replaced_token_back,
    a_node_has_taken_over_what_it_says_and_nothing_after_it_joins_again,
    what_was_rotated_goes_with_its_account,
    many_rotations_leave_no_more_tags_than_are_known_again,
}

const ACCOUNT: Sid = Sid::new(*b"AC", 1);

fn new() -> Secret {
    Secret::new("new")
}

async fn seen(store: &Store) {
    listed(store, "old").await;
}

/// Twilio's list has this token.
async fn listed(store: &Store, token: &str) {
    let account = SeenAccount {
        sid: ACCOUNT,
        parent: None,
        friendly_name: "shop".to_owned(),
        status: "active".to_owned(),
        auth_token: Some(Secret::new(token)),
        created: None,
        changed: None,
    };
    store.synchronise_accounts(&operator(), vec![account], true, start()).await.unwrap();
}

async fn begin(store: &Store) -> ringfence_store::Rotation {
    let begun = store.begin_rotation(&operator(), ACCOUNT, &Secret::new("old"), "it leaked", start()).await;
    begun.unwrap().expect("none was under way")
}

async fn promote(store: &Store, tags: &[&str]) -> ringfence_store::Rotation {
    let begun = begin(store).await;
    let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    store.promoted_rotation(&operator(), &begun, &new(), tags, after(9)).await.unwrap().unwrap()
}

async fn of_two_who_carry_a_rotation_on_one_is_told_that_it_was_moved(world: World) {
    let (store, other) = (&world.store, world.another().await);
    let by = operator();
    let begun = begin(store).await;
    let again = other.begin_rotation(&by, ACCOUNT, &new(), "x", start()).await.unwrap();
    assert_eq!(again, None, "one is under way");
    let made = RotationStep::Made { new: new() };
    let moved = other.move_rotation(&by, &begun, made.clone(), after(1)).await.unwrap().unwrap();
    assert!(moved.generation > begun.generation);
    assert_eq!(store.move_rotation(&by, &begun, made.clone(), after(2)).await.unwrap(), None);
    assert_eq!(store.promoted_rotation(&by, &begun, &new(), vec![], after(2)).await.unwrap(), None);
    assert!(!store.end_rotation(&by, &begun, RotationEnd::Undone, after(2)).await.unwrap());
    assert_eq!(store.rotation(ACCOUNT).await.unwrap(), Some(moved.clone()));
    assert_eq!((moved.step, moved.since, moved.begun_at), (made, after(1), start()));
    assert_eq!(store.rotated_tokens().await.unwrap(), []);
}

async fn what_a_gate_saw_counts_only_after_the_promotion_and_only_forwards(world: World) {
    let store = &world.store;
    let by = operator();
    let at = |new, old| SeenSignatures { new, old };
    let begun = begin(store).await;
    store.see_signatures(ACCOUNT, at(Some(after(1)), Some(after(1)))).await.unwrap();
    let promoted = store.promoted_rotation(&by, &begun, &new(), vec![], after(2)).await.unwrap().unwrap();
    assert_eq!(promoted.step, RotationStep::Promoted { new: new(), seen: SeenSignatures::default() });
    for (new, old) in [(None, Some(7)), (Some(5), None), (Some(3), Some(6)), (None, None)] {
        store.see_signatures(ACCOUNT, at(new.map(after), old.map(after))).await.unwrap();
    }
    let seen = at(Some(after(5)), Some(after(7)));
    let rotation = store.rotation(ACCOUNT).await.unwrap().unwrap();
    assert_eq!(rotation.step, RotationStep::Promoted { new: new(), seen });
    assert_eq!(rotation.generation, promoted.generation, "nodes have nothing to take over");
}

async fn a_promotion_replaces_what_the_list_said_and_remembers_what_it_replaced(world: World) {
    let store = &world.store;
    seen(store).await;
    let before = store.token_generation().await.unwrap();
    let promoted = promote(store, &["a", "b"]).await;
    let account = store.find_account(ACCOUNT).await.unwrap().unwrap();
    assert_eq!(account.auth_token, Some(new()));
    assert!(store.end_rotation(&operator(), &promoted, RotationEnd::Confirmed, after(10)).await.unwrap());
    assert_eq!(store.rotations().await.unwrap(), []);
    let rotated = store.rotated_tokens().await.unwrap().remove(0);
    assert_eq!((rotated.token, rotated.promoted_at), (new(), after(9)));
    assert_eq!(
        (rotated.replaced, rotated.confirmed_at),
        (vec!["a".to_owned(), "b".to_owned()], Some(after(10)))
    );
    let generation = store.token_generation().await.unwrap();
    assert!(before < promoted.generation && promoted.generation < generation);
    assert_eq!(rotated.generation, generation);
    // What comes next is not confirmed by what came before.
    promote(store, &["a"]).await;
    let rotated = store.rotated_tokens().await.unwrap().remove(0);
    assert_eq!((rotated.replaced, rotated.confirmed_at), (vec!["b".to_owned(), "a".to_owned()], None));
}

async fn a_list_that_is_older_than_the_promotion_does_not_bring_the_replaced_token_back(world: World) {
    let store = &world.store;
    seen(store).await;
    let old = store.token_tag(&Secret::new("old")).await.unwrap();
    let promoted = promote(store, &[&old]).await;
    let token = async || store.find_account(ACCOUNT).await.unwrap().unwrap().auth_token.unwrap();
    let told = async || store.audit_rows(None, None, 100).await.unwrap().len();
    let before = told().await;
    listed(store, "old").await;
    assert_eq!(token().await, new(), "the rotation is under way");
    store.end_rotation(&operator(), &promoted, RotationEnd::Unconfirmed, after(10)).await.unwrap();
    listed(store, "old").await;
    assert_eq!(token().await, new(), "it has ended");
    assert_eq!(told().await, before + 1, "its end is all that happened");

    // What nobody here replaced is Twilio's word, and stays against a list that is older still.
    listed(store, "by somebody else").await;
    listed(store, "old").await;
    assert_eq!(token().await, Secret::new("by somebody else"));

    // Also where the account was not known, or gone.
    store.synchronise_accounts(&operator(), vec![], true, after(20)).await.unwrap();
    listed(store, "old").await;
    assert_eq!(token().await, Secret::new("by somebody else"));
}

async fn a_node_has_taken_over_what_it_says_and_nothing_after_it_joins_again(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", start()).await.unwrap();
    let generation = async || store.nodes().await.unwrap()[0].token_generation;
    assert_eq!(generation().await, 0);
    store.take_over_tokens(&one, 7).await.unwrap();
    assert_eq!(generation().await, 7);
    store.beat(&one, "h", after(1)).await.unwrap();
    assert_eq!(generation().await, 7);
    store.join("one", "h", after(2)).await.unwrap();
    assert_eq!(generation().await, 0, "another program has the name");
    store.take_over_tokens(&one, 8).await.unwrap();
    assert_eq!(generation().await, 0, "an earlier life says nothing about it");
}

async fn what_was_rotated_goes_with_its_account(world: World) {
    let store = &world.store;
    let by = operator();
    seen(store).await;
    promote(store, &["a"]).await;
    store.synchronise_accounts(&by, vec![], true, after(20)).await.unwrap();
    store.forget(&by, Forget::Accounts, after(20), 10, after(30)).await.unwrap();
    assert_eq!(store.rotated_tokens().await.unwrap().len(), 1, "it is not gone for long enough");
    store.forget(&by, Forget::Accounts, after(21), 10, after(30)).await.unwrap();
    assert_eq!((store.rotated_tokens().await.unwrap(), store.rotations().await.unwrap()), (vec![], vec![]));
}

async fn many_rotations_leave_no_more_tags_than_are_known_again(world: World) {
    let store = &world.store;
    for number in 0..20 {
        let promoted = promote(store, &[&number.to_string()]).await;
        store.end_rotation(&operator(), &promoted, RotationEnd::Unconfirmed, after(10)).await.unwrap();
    }
    let replaced = store.rotated_tokens().await.unwrap().remove(0).replaced;
    assert_eq!((replaced.len(), replaced.first().unwrap().as_str()), (16, "4"));
    let (one, other) = (Secret::new("one"), Secret::new("other"));
    let tag = store.token_tag(&one).await.unwrap();
    assert_eq!(tag, world.another().await.token_tag(&one).await.unwrap());
    assert_ne!(tag, store.token_tag(&other).await.unwrap());
}
