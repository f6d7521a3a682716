use ringfence_control::people::{self, Refused, Step};
use ringfence_second_factor::password::Weak;
use ringfence_store::{Grant, Lock, Role};

use crate::house::{House, PASSWORD, account, everywhere, home, operator, secret, why};

#[tokio::test]
async fn a_password_alone_binds_no_factor() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    house.bound("other@example.com", vec![everywhere(Role::Owner)]).await;
    let person = house.store.person_by_login(&maria.login).await.unwrap().unwrap().0;
    let invitation =
        people::reset_second_factor(&house.store, &operator(), person, house.people.now()).await.unwrap();
    let refused = why(house.sign_in(&maria.login, PASSWORD, &home()).await);
    assert!(matches!(refused, Refused::NothingBound), "{refused:?}");
    // The code alone does not either: whoever finds the mail lacks the password.
    let code = secret(&invitation.code.spelled());
    let refused = why(house.people.begin_binding(&code, &secret("another password"), &home()).await);
    assert!(matches!(refused, Refused::Wrong), "{refused:?}");
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    assert!(matches!(step, Step::Bind { .. }));
}

#[tokio::test]
async fn a_code_is_good_once_and_a_day() {
    let house = House::new().await;
    let first = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let code = secret(&first.code.spelled());
    house.wait(24 * 3_600);
    let refused = why(house.people.begin_binding(&code, &secret(PASSWORD), &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    let second = people::invite(&house.store, &operator(), first.person, house.people.now()).await.unwrap();
    let code = secret(&second.code.spelled().to_lowercase().replace('-', " "));
    // A password that cannot be taken does not use it up.
    let refused = why(house.people.begin_binding(&code, &secret("password123"), &home()).await);
    assert!(matches!(refused, Refused::Weak(Weak::Common)), "{refused:?}");
    house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    let refused = why(house.people.begin_binding(&code, &secret(PASSWORD), &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    for typed in ["", "AAAA-AAAA-AAAA-AAAA", "x"] {
        let refused = why(house.people.begin_binding(&secret(typed), &secret(PASSWORD), &home()).await);
        assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    }
}

#[tokio::test]
async fn a_code_of_somebody_who_is_locked_out_is_none() {
    let house = House::new().await;
    house.bound("other@example.com", vec![everywhere(Role::Owner)]).await;
    let invitation = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let now = house.people.now();
    house.store.lock_person(&operator(), &invitation.person.id, Lock::Out, now).await.unwrap();
    let code = secret(&invitation.code.spelled());
    let refused = why(house.people.begin_binding(&code, &secret(PASSWORD), &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
}

#[tokio::test]
async fn whoever_is_in_the_middle_of_binding_when_an_owner_resets_their_factors_binds_nothing() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    house.people.new_totp(&session).await.unwrap();
    let seed = house.seed(&session.person.id).await;
    // From here on it is what a request has read that was on its way: whether it may bind was answered before.
    let (person, now) = (session.person.clone(), house.people.now());
    people::reset_second_factor(&house.store, &operator(), person, now).await.unwrap();
    let codes = house.people.new_recovery_codes(&session).await;
    assert!(matches!(why(codes), Refused::Over));
    assert!(matches!(why(house.people.new_totp(&session).await), Refused::Over));
    let typed = secret(&seed.code_at(now));
    let refused = why(house.people.confirm_totp(&session, &typed).await);
    assert!(matches!(refused, Refused::Invalid(_)), "what was begun is gone: {refused:?}");
    assert!(house.store.factors(&session.person.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_application_that_a_thief_has_begun_is_not_the_one_that_its_owner_confirms() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let (own, stolen) = (house.inside(&maria).await, house.inside(&maria).await);
    let (own, stolen) = (house.session(&own).await, house.session(&stolen).await);
    house.people.new_totp(&stolen).await.unwrap();
    let planted = house.seed(&own.person.id).await;
    // Neither in a session that was there already, nor in one that she begins later.
    let later = house.session(&house.inside(&maria).await).await;
    for session in [&own, &later] {
        assert!(house.people.waiting_totp(session).await.unwrap().is_none());
        let typed = secret(&planted.code_at(house.people.now()));
        let refused = why(house.people.confirm_totp(session, &typed).await);
        assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    }
    // What she begins takes its place, also in the session of the thief.
    let begun = house.people.new_totp(&later).await.unwrap();
    let waiting = house.people.waiting_totp(&later).await.unwrap().unwrap();
    assert_eq!((waiting.factor, waiting.uri), (begun.factor, begun.uri));
    assert!(house.people.waiting_totp(&stolen).await.unwrap().is_none());
    let seed = house.seed(&own.person.id).await;
    assert_ne!(seed.bytes(), planted.bytes());
    house.people.confirm_totp(&later, &secret(&seed.code_at(house.people.now()))).await.unwrap();
    assert!(house.people.waiting_totp(&later).await.unwrap().is_none());
}

#[tokio::test]
async fn an_application_waits_an_hour_for_its_first_code() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    house.people.new_totp(&house.session(&token).await).await.unwrap();
    let mut token = token;
    for (minutes, waits) in [(25, true), (25, true), (10, false)] {
        house.wait(60 * minutes - 30);
        // The second factor again: it is the same session.
        token = house.show(&maria, &token, false).await.0;
        let session = house.session(&token).await;
        assert_eq!(house.people.waiting_totp(&session).await.unwrap().is_some(), waits, "{minutes}");
    }
}

#[tokio::test]
async fn nobody_is_inside_before_a_factor_was_shown_to_work_and_one_needs_no_twilio() {
    let house = House::new().await;
    let invitation = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let code = secret(&invitation.code.spelled());
    let Step::Bind { token } = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap()
    else {
        panic!("it leads to binding");
    };
    let session = house.session(&token).await;
    let from = home();
    let finish = || house.people.finish_binding(&token, &session, &from);
    assert!(matches!(why(finish().await), Refused::NothingBound));
    assert!(house.people.waiting_totp(&session).await.unwrap().is_none());
    let new = house.people.new_totp(&session).await.unwrap();
    let waiting = house.people.waiting_totp(&session).await.unwrap().unwrap();
    assert_eq!(
        (&waiting.factor, &waiting.uri),
        (&new.factor, &new.uri),
        "a page that is loaded again shows the same"
    );
    assert!(matches!(why(finish().await), Refused::NothingBound), "its code was not typed yet");
    let refused = why(house.people.confirm_totp(&session, &secret("000000")).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    // Recovery codes alone are what remains, and no factor to begin with.
    house.people.new_recovery_codes(&session).await.unwrap();
    assert!(matches!(why(finish().await), Refused::NothingBound));
    let seed = house.seed(&invitation.person.id).await;
    house.people.confirm_totp(&session, &secret(&seed.code_at(house.people.now()))).await.unwrap();
    let Step::Inside { token: inside, .. } = finish().await.unwrap() else { panic!("inside") };
    assert_eq!(house.session(&inside).await.assurance.level(), 2);
    assert!(matches!(why(finish().await), Refused::Over), "of two tabs one goes on");
}

#[tokio::test]
async fn a_new_application_takes_the_place_of_the_old_one() {
    let house = House::new().await;
    let place = account(1);
    let op = house.bound("op@example.com", vec![Grant { place, role: Role::Operator }]).await;
    let token = house.asked(&op, &home()).await;
    let (token, device) = house.show(&op, &token, true).await;
    assert!(device.is_some());
    let session = house.session(&token).await;
    house.people.new_totp(&session).await.unwrap();
    let seed = house.seed(&session.person.id).await;
    let trusted = async || house.store.devices(&session.person.id, house.people.now()).await.unwrap().len();
    assert_eq!(trusted().await, 1, "it is not confirmed yet");
    house.people.confirm_totp(&session, &secret(&seed.code_at(house.people.now()))).await.unwrap();
    assert_eq!(house.store.factors(&session.person.id).await.unwrap().len(), 2, "it, and the recovery codes");
    assert_eq!(trusted().await, 0, "trust that rested on the one before ends");
}

#[tokio::test]
async fn a_session_whose_factor_was_shown_long_ago_is_asked_again_before_it_binds() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    house.wait(601);
    let session = house.session(&token).await;
    assert!(matches!(why(house.people.new_totp(&session).await), Refused::AskAgain));
    assert!(matches!(why(house.people.new_recovery_codes(&session).await), Refused::AskAgain));
    let dangerous = house.people.authorise(&session, Role::Owner, session.place, true);
    assert!(matches!(dangerous, Err(Refused::AskAgain)));
    // Shown again, it goes on.
    let (token, _) = house.show(&maria, &token, false).await;
    let session = house.session(&token).await;
    house.people.new_totp(&session).await.unwrap();
    house.people.authorise(&session, Role::Owner, session.place, true).unwrap();
}

#[tokio::test]
async fn the_last_factor_that_would_do_is_not_taken_away() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    for factor in house.store.factors(&session.person.id).await.unwrap() {
        let removed = house.people.remove_factor(&session, &factor.id).await;
        if factor.secret.kind() == ringfence_second_factor::policy::Kind::Totp {
            assert!(matches!(why(removed), Refused::LastFactor));
        } else {
            removed.unwrap();
        }
    }
}
