//! Passkeys of users of applications: what is taken once stays taken, on two nodes at once, and nothing of one is another's.

use ringfence_model::Sid;
use ringfence_second_factor::passkey::{Challenge, Refusal, RelyingParty};
use ringfence_second_factor::policy::{Kind, Next};
use ringfence_store::{
    CheckPasskey, Forget, NewPasskey, NewUserSignIn, NotPassed, PasskeyAsked, ShownPasskey, SignInChecked,
    Store, UserName,
};
use ringfence_testkit::authenticator::{Authenticator, Made, Shown, written};

use crate::world::{World, after, all, on_both, operator};

on_both! {
    of_64_answers_to_one_challenge_one_passes_the_sign_in,
    of_two_answers_with_one_counter_on_two_nodes_one_is_a_copy,
    a_credential_is_one_users_and_goes_with_them,
    a_challenge_that_nobody_answered_is_forgotten,
}

const HOST: &str = "login.example";

fn party() -> RelyingParty {
    RelyingParty::new("https://login.example", "Owl Bank").unwrap()
}

fn user(name: &str) -> UserName {
    UserName { application: Sid::new(*b"VA", 1), name: name.to_owned() }
}

async fn add(store: &Store, name: &str, authenticator: &Authenticator) -> Result<String, Refusal> {
    let asked = store.ask_user_to_make_passkey(&user(name), after(0)).await.unwrap();
    let PasskeyAsked::Options { challenge, .. } = asked else { panic!("{asked:?}") };
    let Made { client_data, attestation } = authenticator.makes(&written(challenge.bytes()));
    let name_of_it = format!("{name}'s key");
    let new = NewPasskey { name: name_of_it, transports: Vec::new(), client_data, attestation };
    store.add_user_passkey(&operator(), &user(name), &party(), new, after(0)).await.unwrap()
}

async fn begun(store: &Store) -> String {
    let new = NewUserSignIn {
        user: user("alice"),
        phone: None,
        device: None,
        address: None,
        agent: None,
        always: false,
    };
    let begun = store.begin_user_sign_in(&operator(), new, after(0)).await.unwrap();
    assert_eq!(begun.next, Next::Ask(vec![Kind::Passkey]));
    begun.sign_in.id
}

async fn asked(store: &Store, sign_in: &str) -> Challenge {
    store.ask_user_for_passkey(&user("alice"), sign_in, after(0)).await.unwrap().unwrap().challenge
}

async fn shows(store: &Store, sign_in: &str, shown: Shown) -> SignInChecked {
    let Shown { credential, client_data, authenticator_data, signature } = shown;
    let shown = ShownPasskey { credential, client_data, authenticator_data, signature, user_handle: None };
    let check =
        CheckPasskey { user: user("alice"), sign_in: sign_in.to_owned(), party: party(), shown, trust: None };
    store.check_user_passkey(&operator(), check, after(0)).await.unwrap()
}

fn passed(checked: &SignInChecked) -> bool {
    matches!(checked, SignInChecked::Passed { .. })
}

async fn of_64_answers_to_one_challenge_one_passes_the_sign_in(world: World) {
    let other = world.another().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    add(&world.store, "alice", &authenticator).await.unwrap();
    let sign_in = begun(&world.store).await;
    let challenge = asked(&world.store, &sign_in).await;
    let shown = authenticator.shows(&written(challenge.bytes()), 2);
    let checks = (0..64).map(|round: usize| {
        let store = if round.is_multiple_of(2) { &world.store } else { &other };
        shows(store, &sign_in, shown.clone())
    });
    let checked = all(checks).await;
    assert_eq!(checked.iter().filter(|it| passed(it)).count(), 1, "{checked:?}");
    let over = |it: &&SignInChecked| matches!(it, SignInChecked::Not(NotPassed::Over));
    assert_eq!(checked.iter().filter(over).count(), 63, "{checked:?}");
}

async fn of_two_answers_with_one_counter_on_two_nodes_one_is_a_copy(world: World) {
    let other = world.another().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    add(&world.store, "alice", &authenticator).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let sign_in = begun(&world.store).await;
        let challenge = asked(&world.store, &sign_in).await;
        answers.push((sign_in, authenticator.shows(&written(challenge.bytes()), 2)));
    }
    let stores = [&world.store, &other];
    let checks =
        answers.iter().zip(stores).map(|((sign_in, shown), store)| shows(store, sign_in, shown.clone()));
    let checked = all(checks).await;
    assert_eq!(checked.iter().filter(|it| passed(it)).count(), 1, "{checked:?}");
    let copied = |it: &&SignInChecked| matches!(it, SignInChecked::Refused(Refusal::Cloned));
    assert_eq!(checked.iter().filter(copied).count(), 1, "{checked:?}");
}

async fn a_credential_is_one_users_and_goes_with_them(world: World) {
    let store = &world.store;
    let authenticator = Authenticator::new(b"cred", HOST);
    let id = add(store, "alice", &authenticator).await.unwrap();
    assert_eq!(add(store, "bob", &authenticator).await, Err(Refusal::Registered));
    let alice = store.user(&user("alice")).await.unwrap();
    assert_eq!(alice.factors.len(), 1);
    assert_eq!(
        (alice.factors[0].kind, alice.factors[0].name.as_deref()),
        (Kind::Passkey, Some("alice's key"))
    );
    assert!(!store.remove_user_passkey(&operator(), &user("bob"), &id, after(0)).await.unwrap());
    assert!(store.erase_user(&operator(), &user("alice"), after(0)).await.unwrap().is_some());
    assert!(add(store, "bob", &authenticator).await.is_ok());
}

async fn a_challenge_that_nobody_answered_is_forgotten(world: World) {
    let store = &world.store;
    let authenticator = Authenticator::new(b"cred", HOST);
    let asked = store.ask_user_to_make_passkey(&user("alice"), after(0)).await.unwrap();
    let PasskeyAsked::Options { challenge, expires_at, .. } = asked else { panic!("{asked:?}") };
    let Made { client_data, attestation } = authenticator.makes(&written(challenge.bytes()));
    let new = NewPasskey { name: "late".to_owned(), transports: Vec::new(), client_data, attestation };
    let late = store.add_user_passkey(&operator(), &user("alice"), &party(), new, expires_at).await.unwrap();
    assert_eq!(late, Err(Refusal::Challenge));
    store.ask_user_to_make_passkey(&user("alice"), after(0)).await.unwrap();
    let later = after(24 * 3_600);
    let forgotten = store.forget(&operator(), Forget::SignIns, later, 99, later).await.unwrap();
    assert_eq!(forgotten, 2, "the challenge, and whoever has nothing");
}
