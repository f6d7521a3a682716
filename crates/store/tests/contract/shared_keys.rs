//! SharedKeys that were made at Twilio: one is prepared at a time, one signs, and nobody moves what another one has moved.

use ringfence_model::{Secret, Sid};
use ringfence_store::{Forget, KeyOfTwilio, SeenAccount, SharedKey, SharedKeyStep, Store};

use crate::world::{World, after, on_both, operator, start};

on_both! {
    one_key_of_an_account_is_prepared_at_a_time,
    of_two_who_carry_a_key_on_one_is_told_that_it_was_moved,
    the_key_that_signed_before_retires_at_the_stroke_at_which_the_next_one_signs,
    what_nodes_verify_with_is_a_new_generation_with_each_step_but_not_when_a_key_is_let_go_on,
    a_key_goes_with_its_account,
}

const ACCOUNT: Sid = Sid::new(*b"AC", 1);

async fn begin(store: &Store, account: Sid, held: bool) -> Option<SharedKey> {
    store.begin_shared_key(&operator(), account, held, "each year", start()).await.unwrap()
}

async fn made(store: &Store, id: &str) -> SharedKey {
    let asked = begin(store, ACCOUNT, false).await.expect("none was prepared");
    let key = KeyOfTwilio { id: id.to_owned(), secret: Secret::new("secret") };
    store.made_shared_key(&operator(), &asked, &key, after(1)).await.unwrap().expect("nobody moved it")
}

async fn steps(store: &Store) -> Vec<SharedKeyStep> {
    let mut steps: Vec<_> = store.shared_keys().await.unwrap().into_iter().map(|it| it.step).collect();
    steps.sort();
    steps
}

async fn one_key_of_an_account_is_prepared_at_a_time(world: World) {
    let (store, other) = (&world.store, world.another().await);
    let asked = begin(store, ACCOUNT, false).await.unwrap();
    assert_eq!(asked.mark.len(), 16);
    assert!(begin(&other, ACCOUNT, false).await.is_none(), "one is asked for");
    let elsewhere = begin(&other, Sid::new(*b"AC", 2), false).await.unwrap();
    assert_ne!(elsewhere.mark, asked.mark);
    let key = KeyOfTwilio { id: "k".to_owned(), secret: Secret::new("secret") };
    let made = store.made_shared_key(&operator(), &asked, &key, after(1)).await.unwrap().unwrap();
    assert!(begin(&other, ACCOUNT, false).await.is_none(), "one is made");
    assert_eq!((made.step, made.since, made.key), (SharedKeyStep::Made, after(1), Some(key)));
    assert!(
        store
            .retire_shared_key(&operator(), &store.shared_keys().await.unwrap()[0], "x", after(2))
            .await
            .unwrap()
    );
    assert!(begin(&other, ACCOUNT, false).await.is_some(), "it is not to be used");
}

async fn of_two_who_carry_a_key_on_one_is_told_that_it_was_moved(world: World) {
    let (store, by) = (&world.store, operator());
    let asked = begin(store, ACCOUNT, false).await.unwrap();
    let key = KeyOfTwilio { id: "k".to_owned(), secret: Secret::new("secret") };
    let made = store.made_shared_key(&by, &asked, &key, after(1)).await.unwrap().unwrap();
    assert_eq!(store.made_shared_key(&by, &asked, &key, after(2)).await.unwrap(), None);
    assert!(!store.shared_key_signs(&by, &asked, after(2)).await.unwrap());
    assert!(!store.retire_shared_key(&by, &asked, "x", after(2)).await.unwrap());
    assert!(!store.forget_shared_key(&by, &asked, after(2)).await.unwrap());
    assert!(!store.release_shared_key(&by, &asked, "x", after(2)).await.unwrap());
    assert_eq!(store.shared_keys().await.unwrap(), [made]);
}

async fn the_key_that_signed_before_retires_at_the_stroke_at_which_the_next_one_signs(world: World) {
    use SharedKeyStep::{Retiring, Signing};
    let (store, by) = (&world.store, operator());
    let first = made(store, "one").await;
    assert!(store.shared_key_signs(&by, &first, after(2)).await.unwrap());
    assert_eq!(steps(store).await, [Signing]);
    let second = made(store, "two").await;
    assert!(store.shared_key_signs(&by, &second, after(3)).await.unwrap());
    assert_eq!(steps(store).await, [Signing, Retiring]);
    // Whoever is late retires nothing.
    assert!(!store.shared_key_signs(&by, &second, after(4)).await.unwrap());
    assert_eq!(steps(store).await, [Signing, Retiring]);
    let retiring = store.shared_keys().await.unwrap().into_iter().find(|it| it.step == Retiring).unwrap();
    assert_eq!((retiring.since, retiring.key.as_ref().unwrap().id.as_str()), (after(3), "one"));
    assert!(store.forget_shared_key(&by, &retiring, after(9)).await.unwrap());
    assert_eq!(steps(store).await, [Signing]);
}

async fn what_nodes_verify_with_is_a_new_generation_with_each_step_but_not_when_a_key_is_let_go_on(
    world: World,
) {
    let (store, by) = (&world.store, operator());
    let generation = async || store.token_generation().await.unwrap();
    let asked = begin(store, ACCOUNT, true).await.unwrap();
    assert!(asked.held);
    let key = KeyOfTwilio { id: "k".to_owned(), secret: Secret::new("secret") };
    let made = store.made_shared_key(&by, &asked, &key, after(1)).await.unwrap().unwrap();
    assert_eq!(generation().await, made.generation);
    assert!(store.release_shared_key(&by, &made, "handed out", after(2)).await.unwrap());
    let released = store.shared_keys().await.unwrap().remove(0);
    assert_eq!(released, SharedKey { held: false, ..made.clone() });
    assert!(store.shared_key_signs(&by, &released, after(3)).await.unwrap());
    let signing = store.shared_keys().await.unwrap().remove(0);
    assert!(signing.generation > made.generation);
    assert!(store.forget_shared_key(&by, &signing, after(4)).await.unwrap());
    assert!(generation().await > signing.generation, "nodes have to forget it");
}

async fn a_key_goes_with_its_account(world: World) {
    let (store, by) = (&world.store, operator());
    let account = SeenAccount {
        sid: ACCOUNT,
        parent: None,
        friendly_name: "shop".to_owned(),
        status: "active".to_owned(),
        auth_token: None,
        created: None,
        changed: None,
    };
    store.synchronise_accounts(&by, vec![account], true, start()).await.unwrap();
    made(store, "one").await;
    store.synchronise_accounts(&by, vec![], true, after(1)).await.unwrap();
    store.forget(&by, Forget::Accounts, after(1), 10, after(2)).await.unwrap();
    assert_eq!(store.shared_keys().await.unwrap().len(), 1, "it is not gone for long enough");
    store.forget(&by, Forget::Accounts, after(2), 10, after(3)).await.unwrap();
    assert_eq!(store.shared_keys().await.unwrap(), []);
}
