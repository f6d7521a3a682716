use jiff::{SignedDuration, Timestamp};
use ringfence_second_factor::failures::{BOUND_ANEW_AFTER, Rule};
use ringfence_second_factor::passkey::{Challenge, Refusal, RelyingParty};
use ringfence_second_factor::policy::Kind;
use ringfence_store::{Grant, NewPasskey, PasskeyPurpose, Person, Role, ShownPasskey, Store, Told, Where};
use ringfence_testkit::authenticator::{Authenticator, Made, Shown, written};

use crate::binding::inside;
use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    of_many_answers_to_one_challenge_one_is_taken,
    of_two_answers_with_one_counter_one_is_a_copy,
    a_challenge_is_for_one_session_one_person_one_purpose_and_a_time,
    a_credential_is_one_persons,
    anothers_passkey_is_unknown,
    answers_that_cannot_be_guesses_wear_out_no_passkey,
    a_passkey_that_was_removed_is_unknown,
}

pub(crate) const HOST: &str = "console.example";
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(5);

pub(crate) fn party() -> RelyingParty {
    RelyingParty::new("https://console.example", "Ringfence").unwrap()
}

async fn person(store: &Store, login: &str) -> Person {
    let grants = vec![Grant { place: Where::Everywhere, role: Role::Owner }];
    store.add_person(&operator(), login, grants, start()).await.unwrap()
}

pub(crate) fn makes(authenticator: &Authenticator, challenge: &Challenge) -> NewPasskey {
    let Made { client_data, attestation } = authenticator.makes(&written(challenge.bytes()));
    NewPasskey {
        name: "Maria's phone".to_owned(),
        transports: vec!["internal".to_owned(), "telepathy".to_owned(), "hybrid".to_owned()],
        client_data,
        attestation,
    }
}

fn answer(authenticator: &Authenticator, challenge: &Challenge, counter: u32) -> ShownPasskey {
    let Shown { credential, client_data, authenticator_data, signature } =
        authenticator.shows(&written(challenge.bytes()), counter);
    ShownPasskey { credential, client_data, authenticator_data, signature, user_handle: None }
}

pub(crate) async fn challenge(
    store: &Store,
    session: &str,
    person: &Person,
    purpose: PasskeyPurpose,
) -> Challenge {
    store.begin_passkey(session, &person.id, purpose, GOOD_FOR, start()).await.unwrap()
}

async fn binds(store: &Store, person: &Person, authenticator: &Authenticator) -> Result<String, Refusal> {
    let session = inside(store, person).await;
    let challenge = challenge(store, &session.id, person, PasskeyPurpose::Bind).await;
    let new = makes(authenticator, &challenge);
    store.add_passkey(&session, &party(), new, Told::nobody(), start()).await.unwrap()
}

async fn shows(
    store: &Store,
    session: &str,
    person: &Person,
    shown: ShownPasskey,
    now: Timestamp,
) -> Result<(), Refusal> {
    store.check_passkey(&operator(), session, &person.id, &party(), shown, Told::nobody(), now).await.unwrap()
}

async fn of_many_answers_to_one_challenge_one_is_taken(world: World) {
    let maria = person(&world.store, "maria@example.com").await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let (session, by) = (inside(&world.store, &maria).await, operator());
    let making = challenge(&world.store, &session.id, &maria, PasskeyPurpose::Bind).await;
    let other_node = world.another().await;
    let on = |round: usize| if round.is_multiple_of(2) { &world.store } else { &other_node };
    let (binding, new) = (party(), makes(&authenticator, &making));
    let made =
        all((0..16)
            .map(|round| on(round).add_passkey(&session, &binding, new.clone(), Told::nobody(), start())))
        .await;
    assert_eq!(made.iter().filter(|it| matches!(it, Ok(Ok(_)))).count(), 1, "{made:?}");
    assert_eq!(world.store.passkeys(&maria.id).await.unwrap().len(), 1);

    let showing = challenge(&world.store, "se_1", &maria, PasskeyPurpose::Show).await;
    // Each has a counter of its own, so only the challenge can tell.
    let shown = all((0..16).map(|round| {
        let shown = answer(&authenticator, &showing, 2 + u32::try_from(round).unwrap());
        on(round).check_passkey(&by, "se_1", &maria.id, &binding, shown, Told::nobody(), start())
    }))
    .await;
    assert_eq!(shown.iter().filter(|it| matches!(it, Ok(Ok(())))).count(), 1, "{shown:?}");
    other_node.close().await;
}

async fn of_two_answers_with_one_counter_one_is_a_copy(world: World) {
    let maria = person(&world.store, "maria@example.com").await;
    let authenticator = Authenticator::new(b"cred", HOST);
    binds(&world.store, &maria, &authenticator).await.unwrap();
    let first = challenge(&world.store, "se_1", &maria, PasskeyPurpose::Show).await;
    let second = challenge(&world.store, "se_2", &maria, PasskeyPurpose::Show).await;
    let (first, second) = (answer(&authenticator, &first, 2), answer(&authenticator, &second, 2));
    let both = [("se_1", first), ("se_2", second)];
    let answers =
        all(both.into_iter().map(|(session, shown)| shows(&world.store, session, &maria, shown, start())))
            .await;
    assert_eq!(answers.iter().filter(|it| **it == Ok(())).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|it| **it == Err(Refusal::Cloned)).count(), 1, "{answers:?}");
    assert_eq!(world.store.passkeys(&maria.id).await.unwrap()[0].passkey.counter, 2);
}

async fn a_challenge_is_for_one_session_one_person_one_purpose_and_a_time(world: World) {
    let store = &world.store;
    let (maria, otto) = (person(store, "maria@example.com").await, person(store, "otto@example.com").await);
    let authenticator = Authenticator::new(b"cred", HOST);
    binds(store, &maria, &authenticator).await.unwrap();
    let refused = Err(Refusal::Challenge);

    let asked = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    let shown = answer(&authenticator, &asked, 2);
    assert_eq!(shows(store, "se_2", &maria, shown.clone(), start()).await, refused, "another session");
    assert_eq!(shows(store, "se_1", &otto, shown.clone(), start()).await, refused, "another person");
    assert_eq!(shows(store, "se_1", &maria, shown.clone(), after(300)).await, refused, "too late");
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, refused, "it was looked at once");

    let binding = challenge(store, "se_1", &maria, PasskeyPurpose::Bind).await;
    let shown = answer(&authenticator, &binding, 2);
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, refused, "it was asked to bind");

    let older = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    let newer = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    assert_ne!(older, newer);
    let shown = answer(&authenticator, &older, 2);
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, refused, "a newer one took its place");
}

async fn a_credential_is_one_persons(world: World) {
    let store = &world.store;
    let (maria, otto) = (person(store, "maria@example.com").await, person(store, "otto@example.com").await);
    let authenticator = Authenticator::new(b"cred", HOST);
    binds(store, &maria, &authenticator).await.unwrap();
    assert_eq!(binds(store, &otto, &authenticator).await, Err(Refusal::Registered));
    assert_eq!(binds(store, &maria, &Authenticator::new(b"cred", HOST)).await, Err(Refusal::Registered));
    assert_eq!(store.factors(&otto.id).await.unwrap().len(), 0);
    let kept = store.passkeys(&maria.id).await.unwrap();
    assert_eq!(kept[0].transports, ["hybrid", "internal"]);
}

async fn anothers_passkey_is_unknown(world: World) {
    let store = &world.store;
    let (maria, otto) = (person(store, "maria@example.com").await, person(store, "otto@example.com").await);
    let (hers, his) = (Authenticator::new(b"hers", HOST), Authenticator::new(b"his ", HOST));
    binds(store, &maria, &hers).await.unwrap();
    binds(store, &otto, &his).await.unwrap();
    let asked = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    let shown = answer(&his, &asked, 2);
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, Err(Refusal::Credential));
    let asked = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    let shown = ShownPasskey { credential: b"hers".to_vec(), ..answer(&his, &asked, 2) };
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, Err(Refusal::Signature));
}

async fn answers_that_cannot_be_guesses_wear_out_no_passkey(world: World) {
    let store = &world.store;
    let maria = person(store, "maria@example.com").await;
    let authenticator = Authenticator::new(b"cred", HOST);
    binds(store, &maria, &authenticator).await.unwrap();
    let asked = async || challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    for _ in 0..2 * BOUND_ANEW_AFTER {
        let shown = ShownPasskey { signature: vec![0; 64], ..answer(&authenticator, &asked().await, 2) };
        assert_eq!(shows(store, "se_1", &maria, shown, start()).await, Err(Refusal::Signature));
    }
    // What was counted before it was known better keeps nobody out either.
    let subject = store.factors(&maria.id).await.unwrap()[0].subject();
    for hour in 0..i64::from(BOUND_ANEW_AFTER) {
        store.count_attempt(&subject, Rule::Person, after(3_600 * hour)).await.unwrap().unwrap();
    }
    assert_eq!(store.kinds(&maria.id).await.unwrap(), [Kind::Passkey]);
    assert_eq!(store.kinds_of_all().await.unwrap()[&maria.id], [Kind::Passkey]);
    assert!(store.factors(&maria.id).await.unwrap()[0].counts());
    let right = answer(&authenticator, &asked().await, 2);
    assert_eq!(shows(store, "se_1", &maria, right, start()).await, Ok(()));
}

async fn a_passkey_that_was_removed_is_unknown(world: World) {
    let store = &world.store;
    let maria = person(store, "maria@example.com").await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let factor = binds(store, &maria, &authenticator).await.unwrap();
    store
        .remove_factor(&operator(), &maria.id, &factor, vec![], Told::nobody(), start())
        .await
        .unwrap()
        .unwrap();
    let asked = challenge(store, "se_1", &maria, PasskeyPurpose::Show).await;
    let shown = answer(&authenticator, &asked, 2);
    assert_eq!(shows(store, "se_1", &maria, shown, start()).await, Err(Refusal::Credential));
    binds(store, &maria, &authenticator).await.unwrap();
    store.remove_all_factors(&operator(), &maria.id, Told::nobody(), start()).await.unwrap();
    assert_eq!(store.passkeys(&maria.id).await.unwrap(), []);
}
