use jiff::SignedDuration;
use ringfence_control::people::{self, Known, Refused, Rules, Step};
use ringfence_store::{Grant, Lock, Purpose, Role, Session, Told, Where};

use crate::crashes::until_a_crash;
use crate::house::{House, PASSWORD, account, at, everywhere, home, operator, secret, why};

const OTHER: &str = "harbour violin nine";
const ANOTHER: &str = "harbour velvet quartz";

#[tokio::test]
async fn a_password_that_was_reset_by_mail_still_demands_the_second_factor() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let token = house.asked(&op, &home()).await;
    let (inside, device) = house.show(&op, &token, true).await;
    let device = device.unwrap();
    let (_, code) = house.people.begin_reset("OP@example.com").await.unwrap().unwrap();
    let code = secret(&code.spelled());
    let refused = why(house.people.reset_password(&code, &secret("short")).await);
    assert!(matches!(refused, Refused::Weak(_)), "{refused:?}");
    house.people.reset_password(&code, &secret(OTHER)).await.unwrap();
    let refused = why(house.people.reset_password(&code, &secret(OTHER)).await);
    assert!(matches!(refused, Refused::WrongCode), "it is good once: {refused:?}");
    // Sessions and devices are over, the old password is none, and the new one alone opens nothing.
    assert!(house.people.session(&inside).await.unwrap().is_none());
    let known = Known { devices: vec![device], ..Default::default() };
    assert!(matches!(why(house.sign_in(&op.login, PASSWORD, &home()).await), Refused::Wrong));
    let step = house.sign_in_with(&op.login, OTHER, &known, &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_reset_is_for_whoever_has_a_password_and_is_over_after_half_an_hour() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    house.invite("invited@example.com", vec![everywhere(Role::Auditor)]).await;
    for login in ["nobody@example.com", "invited@example.com", ""] {
        assert!(house.people.begin_reset(login).await.unwrap().is_none(), "{login}");
    }
    let (person, code) = house.people.begin_reset(&maria.login).await.unwrap().unwrap();
    house.wait(30 * 60);
    let refused = why(house.people.reset_password(&secret(&code.spelled()), &secret(OTHER)).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    house
        .store
        .lock_person(&operator(), &person.id, Lock::OutEvenTheLastOwner, house.people.now())
        .await
        .unwrap();
    assert!(house.people.begin_reset(&maria.login).await.unwrap().is_none());
}

#[tokio::test]
async fn a_changed_password_wants_the_old_one_and_ends_every_session() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    let session = house.session(&token).await;
    let change = |old: &str, new: &str| {
        let (old, new) = (secret(old), secret(new));
        let (people, session) = (&house.people, &session);
        async move { people.change_password(session, &old, &new, &home()).await }
    };
    assert!(matches!(why(change("wrong", OTHER).await), Refused::Wrong));
    assert!(matches!(why(change(PASSWORD, "maria").await), Refused::Weak(_)));
    change(PASSWORD, OTHER).await.unwrap();
    assert!(house.people.session(&token).await.unwrap().is_none());
    let step = house.sign_in(&maria.login, OTHER, &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn of_two_changes_of_a_password_at_once_one_counts() {
    // Places for both to compute at.
    let house = House::with_places(Rules::default(), 2).await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let (person, _) = house.store.person_by_login(&maria.login).await.unwrap().unwrap();
    let own = house.hasher.hash(&secret(PASSWORD), [7; 16]).await.unwrap();
    let mut came_too_late = 0;
    for polls in 1.. {
        let (by, now) = (operator(), house.people.now());
        house.store.set_password(&by, &person.id, &own, Told::nobody(), now).await.unwrap();
        let session = house.session(&house.inside(&maria).await).await;
        // Both know the old one; one of them has a copy of the cookie.
        let change = |new: &'static str| {
            let (people, session) = (&house.people, &session);
            async move { people.change_password(session, &secret(PASSWORD), &secret(new), &home()).await }
        };
        let mut first = Box::pin(change(OTHER));
        if until_a_crash(first.as_mut(), polls).await.is_some() {
            break;
        }
        let second = change(ANOTHER).await;
        let first = first.await;
        came_too_late += usize::from(matches!(first, Err(Refused::Over)));
        assert!(first.is_ok() != second.is_ok(), "{polls} polls: {first:?}, {second:?}");
        let is_it = if second.is_ok() { ANOTHER } else { OTHER };
        house.sign_in(&maria.login, is_it, &home()).await.unwrap();
    }
    assert!(came_too_late > 0);
}

#[tokio::test]
async fn the_mailed_link_locks_and_only_an_owner_unlocks() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    house.bound("op@example.com", vec![everywhere(Role::Operator)]).await;
    let token = house.inside(&maria).await;
    let person = house.session(&token).await.person;
    let day = SignedDuration::from_hours(24);
    let now = house.people.now();
    let code = house.store.give_out_code(&operator(), &person.id, Purpose::Lock, day, now).await.unwrap();
    let locked = house.people.lock_by_code(&secret(&code.spelled())).await.unwrap();
    assert!(locked.locked_at.is_some());
    assert!(house.people.session(&token).await.unwrap().is_none());
    // Who lets them in again hears of it, and nobody else.
    let letters = house.store.waiting_effects(99).await.unwrap();
    let about = "maria@example.com has locked themselves out";
    let told: Vec<_> = letters.iter().filter(|it| it.payload["subject"] == about).collect();
    assert_eq!(told.iter().map(|it| &it.payload["to"]).collect::<Vec<_>>(), [&otto.login]);
    assert!(matches!(why(house.sign_in(&maria.login, PASSWORD, &home()).await), Refused::Wrong));
    let again = why(house.people.lock_by_code(&secret(&code.spelled())).await);
    assert!(matches!(again, Refused::WrongCode), "{again:?}");
    house.store.lock_person(&operator(), &person.id, Lock::Off, now).await.unwrap();
    house.asked(&maria, &home()).await;
}

#[tokio::test]
async fn a_login_is_a_mail_address_and_somebody_has_a_role() {
    let house = House::new().await;
    let add = |login: &'static str, grants| {
        let house = &house;
        async move { people::add(&house.store, &operator(), login, grants, house.people.now()).await }
    };
    assert!(matches!(why(add("maria", vec![everywhere(Role::Owner)]).await), Refused::Invalid(_)));
    assert!(matches!(why(add("maria@example.com", vec![]).await), Refused::Invalid(_)));
    add("maria@example.com", vec![everywhere(Role::Owner)]).await.unwrap();
    assert!(matches!(why(add("maria@example.com", vec![everywhere(Role::Owner)]).await), Refused::Store(_)));
}

#[tokio::test]
async fn what_was_tried_at_a_login_and_the_mark_of_a_browser_outlive_the_password() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let known = house.marked(&maria).await;
    for _ in 0..5 {
        assert!(matches!(why(house.sign_in(&maria.login, "wrong", &home()).await), Refused::Wrong));
    }
    let (_, code) = house.people.begin_reset(&maria.login).await.unwrap().unwrap();
    house.people.reset_password(&secret(&code.spelled()), &secret(OTHER)).await.unwrap();
    // Whoever tries has not become quicker by it, and the owner's own browser waits for nobody.
    let refused = why(house.sign_in(&maria.login, OTHER, &home()).await);
    assert!(matches!(refused, Refused::Later(_)), "{refused:?}");
    let refused = why(house.sign_in_with(&maria.login, PASSWORD, &known, &home()).await);
    assert!(matches!(refused, Refused::Wrong), "a mark opens nothing: {refused:?}");
    let step = house.sign_in_with(&maria.login, OTHER, &known, &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_stolen_session_that_guesses_the_password_ends_and_keeps_its_owner_from_nothing() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let stolen = house.session(&house.inside(&maria).await).await;
    let own = house.session(&house.inside(&maria).await).await;
    let letters = house.store.waiting_effects(99).await.unwrap().len();
    let change = async |session: &Session, old: &str| {
        house.people.change_password(session, &secret(old), &secret(OTHER), &at("198.51.100.9")).await
    };
    for _ in 0..4 {
        assert!(matches!(why(change(&stolen, "a guess").await), Refused::Wrong));
    }
    assert!(matches!(why(change(&stolen, "a guess").await), Refused::Guessed));
    let sessions = house.store.sessions(&own.person.id, house.people.now()).await.unwrap();
    let is_left = |session: &Session| sessions.iter().any(|it| it.id == session.id);
    assert!(is_left(&own) && !is_left(&stolen));
    let told = house.store.waiting_effects(99).await.unwrap();
    assert_eq!(told.len(), letters + 1);
    assert!(told.iter().any(|it| it.payload.to_string().contains("198.51.100.9")), "{told:?}");
    change(&own, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_code_of_whoever_is_locked_out_or_has_no_role_any_more_is_known_to_no_page() {
    let house = House::new().await;
    house.bound("owner@example.com", vec![everywhere(Role::Owner)]).await;
    let invitation = house.invite("op@example.com", vec![everywhere(Role::Operator)]).await;
    let (code, id) = (secret(&invitation.code.spelled()), &invitation.person.id);
    let (by, now) = (operator(), house.people.now());
    assert!(house.people.bindable(&code).await.unwrap().is_some());
    house.store.lock_person(&by, id, Lock::Out, now).await.unwrap();
    assert!(house.people.bindable(&code).await.unwrap().is_none());
    house.store.lock_person(&by, id, Lock::Off, now).await.unwrap();
    house.store.remove_role(&by, id, Where::Everywhere, now).await.unwrap();
    assert!(house.people.bindable(&code).await.unwrap().is_none());
    let refused = why(house.people.begin_binding(&code, &secret(PASSWORD), &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
}
