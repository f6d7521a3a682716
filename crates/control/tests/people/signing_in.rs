use ringfence_control::people::{Answer, Asks, Known, Refused, Rules, Step};
use ringfence_model::PhoneNumber;
use ringfence_second_factor::policy::{Kind, Policy};
use ringfence_store::{FactorSecret, Lock, NewFactor, Role, SignInOutcome, Stage, Told, Where};

use crate::crashes::until_a_crash;
use crate::house::{House, PASSWORD, at, everywhere, futures, home, operator, secret, why};

#[tokio::test]
async fn whoever_is_not_let_in_learns_one_thing() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    house.bound("locked@example.com", vec![everywhere(Role::Auditor)]).await;
    let locked = house.store.person_by_login("locked@example.com").await.unwrap().unwrap().0;
    house.store.lock_person(&operator(), &locked.id, Lock::Out, house.people.now()).await.unwrap();
    house.invite("invited@example.com", vec![everywhere(Role::Auditor)]).await;
    for (login, password) in [
        (maria.login.as_str(), "tulip cement orbits"),
        (maria.login.as_str(), ""),
        ("nobody@example.com", PASSWORD),
        ("locked@example.com", PASSWORD),
        ("invited@example.com", PASSWORD),
        ("invited@example.com", ""),
        ("", ""),
    ] {
        let refused = why(house.sign_in(login, password, &home()).await);
        assert!(matches!(refused, Refused::Wrong), "{login}: {refused:?}");
    }
}

#[tokio::test]
async fn a_right_password_is_asked_for_the_second_factor_and_is_not_inside() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let Step::Ask { token, kinds } = house.sign_in(&maria.login, PASSWORD, &home()).await.unwrap() else {
        panic!("it is asked for");
    };
    assert_eq!(kinds, [Kind::Totp, Kind::RecoveryCode]);
    let session = house.session(&token).await;
    assert_eq!(session.stage, Stage::SecondFactor);
    let refused = house.people.authorise(&session, Role::Auditor, session.place, false);
    assert!(matches!(refused, Err(Refused::Over)));
    let (inside, device) = house.show(&maria, &token, true).await;
    assert_eq!(device, None, "owners are asked at every sign-in, so no computer is trusted");
    assert!(
        house.people.session(&token).await.unwrap().is_none(),
        "the token of the step before is worth nothing"
    );
    let session = house.session(&inside).await;
    assert_eq!((session.stage, session.assurance.level()), (Stage::Inside, 2));
    house.people.authorise(&session, Role::Owner, session.place, true).unwrap();
}

#[tokio::test]
async fn a_wrong_a_used_or_anothers_code_lets_nobody_in() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let other = house.bound("other@example.com", vec![everywhere(Role::Owner)]).await;
    let used = maria.seed.code_at(house.people.now()).to_string();
    house.inside(&maria).await;
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    let others = other.seed.code_at(house.people.now()).to_string();
    for typed in [used.as_str(), others.as_str(), "", "12345", "no code at all"] {
        let answer = Answer::Totp(secret(typed));
        let refused = why(house.people.show(&token, &session, &answer, false, &home()).await);
        assert!(matches!(refused, Refused::WrongCode | Refused::Later(_)), "{typed}: {refused:?}");
    }
    let answer = Answer::RecoveryCode(other.codes[0].clone());
    let refused = why(house.people.show(&token, &session, &answer, false, &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
}

#[tokio::test]
async fn a_factor_that_was_wrong_too_often_is_worth_nothing_and_the_recovery_code_is() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    for _ in 0..16 {
        let token = house.asked(&maria, &home()).await;
        let session = house.session(&token).await;
        let answer = Answer::Totp(secret("000000"));
        let refused = why(house.people.show(&token, &session, &answer, false, &home()).await);
        assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
        house.wait(3_600);
    }
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    let right = Answer::Totp(secret(&maria.seed.code_at(house.people.now())));
    let refused = why(house.people.show(&token, &session, &right, false, &home()).await);
    assert!(matches!(refused, Refused::BoundAnew), "{refused:?}");
    let code = Answer::RecoveryCode(maria.codes[0].clone());
    let step = house.people.show(&token, &session, &code, false, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("{step:?}") };
    let letters = house.store.waiting_effects(99).await.unwrap();
    let told = letters.iter().filter(|it| it.payload["subject"] == "A second factor of yours counts no more");
    assert_eq!(told.count(), 1);
    // The next sign-in asks for what works, and what works stays: beside it there is nothing that does.
    let Step::Ask { kinds, .. } = house.sign_in(&maria.login, PASSWORD, &home()).await.unwrap() else {
        panic!("it is asked for");
    };
    assert_eq!(kinds, [Kind::RecoveryCode]);
    let session = house.session(&token).await;
    let phone = FactorSecret::Phone(PhoneNumber::parse("+14155550123").unwrap());
    let (by, now) = (operator(), house.people.now());
    let phone = NewFactor { secret: phone, verified: true };
    house.store.add_factor(&by, &session.person.id, phone, now).await.unwrap();
    let refused = why(house.people.remove_phone(&session).await);
    assert!(matches!(refused, Refused::LastFactor), "{refused:?}");
    // Bound anew, it counts again.
    house.people.new_totp(&session).await.unwrap();
    let seed = house.seed(&session.person.id).await;
    house.people.confirm_totp(&session, &secret(&seed.code_at(house.people.now()))).await.unwrap();
    house.people.remove_phone(&session).await.unwrap();
}

/// So many wrong passwords that there are pauses.
async fn guess(house: &House, login: &str) {
    for address in 0..5 {
        let from = at(&format!("198.51.100.{address}"));
        assert!(matches!(why(house.sign_in(login, "wrong", &from).await), Refused::Wrong));
    }
}

#[tokio::test]
async fn guessing_a_password_is_slowed_down_wherever_it_comes_from() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    // From five addresses as from one: after five there are pauses, for the right password as well.
    guess(&house, &maria.login).await;
    for address in ["198.51.100.1", "198.51.100.99", "203.0.113.7"] {
        let refused = why(house.sign_in(&maria.login, PASSWORD, &at(address)).await);
        assert!(matches!(refused, Refused::Later(_)), "{address}: {refused:?}");
    }
    // Somebody who is nobody is slowed down as well, so the pause tells nothing.
    guess(&house, "nobody@example.com").await;
    let refused = why(house.sign_in("nobody@example.com", "wrong", &home()).await);
    assert!(matches!(refused, Refused::Later(_)), "{refused:?}");
    // And after the pause the right password is right.
    house.wait(3_600);
    house.asked(&maria, &at("198.51.100.1")).await;
}

#[tokio::test]
async fn of_many_wrong_passwords_at_once_five_are_looked_at() {
    let house = House::with_places(Rules::default(), 16).await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let (login, from) = (maria.login.as_str(), home());
    let tries = std::iter::repeat_with(|| house.sign_in(login, "wrong", &from)).take(16);
    let tried: Vec<Refused> = futures(tries).await.into_iter().map(why).collect();
    let looked_at = tried.iter().filter(|refused| matches!(refused, Refused::Wrong)).count();
    let barred = tried.iter().filter(|refused| matches!(refused, Refused::Later(_))).count();
    assert_eq!((looked_at, barred), (5, 11), "{tried:?}");
}

#[tokio::test]
async fn strangers_do_not_keep_the_owner_out_of_a_browser_that_was_inside() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let known = house.marked(&maria).await;
    guess(&house, &maria.login).await;
    assert!(matches!(why(house.sign_in(&maria.login, PASSWORD, &home()).await), Refused::Later(_)));
    let step = house.sign_in_with(&maria.login, PASSWORD, &known, &at("192.0.2.1")).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "it is no factor: {step:?}");
    // What is tried in it counts by itself, and ends no pause of the others.
    for _ in 0..5 {
        let refused = why(house.sign_in_with(&maria.login, "wrong", &known, &home()).await);
        assert!(matches!(refused, Refused::Wrong), "{refused:?}");
    }
    let refused = why(house.sign_in_with(&maria.login, PASSWORD, &known, &home()).await);
    assert!(matches!(refused, Refused::Later(_)), "whoever stole it is as slow as anybody: {refused:?}");
    assert!(matches!(why(house.sign_in(&maria.login, PASSWORD, &home()).await), Refused::Later(_)));
}

#[tokio::test]
async fn a_mark_is_one_logins_and_nobody_makes_one() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let other = house.bound("other@example.com", vec![everywhere(Role::Auditor)]).await;
    let others = house.marked(&other).await.marks.remove(0);
    let own = house.marked(&maria).await.marks.remove(0);
    guess(&house, &maria.login).await;
    let (name, rest) = own.expose().split_once('.').unwrap();
    let (random, tag) = rest.split_once('.').unwrap();
    let other_random = format!("{name}.{}.{tag}", random.replace(|it: char| it.is_ascii_digit(), "f"));
    let no_tag = format!("{name}.{random}.");
    for mark in ["", "bm_", "bm_..", no_tag.as_str(), other_random.as_str(), others.expose()] {
        let known = Known { marks: vec![secret(mark)], ..Known::default() };
        let refused = why(house.sign_in_with(&maria.login, PASSWORD, &known, &home()).await);
        assert!(matches!(refused, Refused::Later(_)), "{mark}: {refused:?}");
    }
    assert!(!own.expose().contains("maria"), "it names nobody");
    // Beside those of others in the same browser it is found.
    let known = Known { marks: vec![others, own], ..Known::default() };
    house.sign_in_with(&maria.login, PASSWORD, &known, &home()).await.unwrap();
}

#[tokio::test]
async fn whoever_has_to_wait_costs_no_hash() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    guess(&house, &maria.login).await;
    guess(&house, "nobody@example.com").await;
    // With every place taken, whoever needed one would be told that too many are being looked at.
    let _taken = house.hasher.place(Asks::Stranger).await.unwrap();
    for login in [maria.login.as_str(), "nobody@example.com"] {
        let refused = why(house.sign_in(login, PASSWORD, &home()).await);
        assert!(matches!(refused, Refused::Later(_)), "{login}: {refused:?}");
    }
}

/// One password at one login after another, from this address.
async fn spray(house: &House, address: &str) -> usize {
    for number in 0..100 {
        let login = format!("op{number}-{address}@example.com");
        match why(house.sign_in(&login, "Summer2026!", &at(address)).await) {
            Refused::Wrong => {}
            Refused::Later(until) => {
                assert!(until.duration_since(house.people.now()).as_secs() <= 60, "{until}");
                return number;
            }
            refused => panic!("{refused:?}"),
        }
    }
    100
}

#[tokio::test]
async fn one_password_at_many_logins_is_slowed_down_and_the_others_at_that_address_work_on() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let known = house.marked(&maria).await;
    assert_eq!(spray(&house, "198.51.100.7").await, 20);
    let refused = why(house.sign_in(&maria.login, PASSWORD, &at("198.51.100.7")).await);
    assert!(matches!(refused, Refused::Later(_)), "{refused:?}");
    // It costs no hash; whoever was inside there before notices nothing, nor does another address.
    let taken = house.hasher.place(Asks::Stranger).await.unwrap();
    assert!(matches!(why(house.sign_in("a@example.com", "b", &at("198.51.100.7")).await), Refused::Later(_)));
    drop(taken);
    let step = house.sign_in_with(&maria.login, PASSWORD, &known, &at("198.51.100.7")).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    house.asked(&maria, &at("198.51.100.8")).await;
    // A right password takes back itself and no more: nobody resets the counter with an account of his own.
    house.wait(60);
    house.asked(&maria, &at("198.51.100.7")).await;
    assert!(matches!(why(house.sign_in("b@example.com", "c", &at("198.51.100.7")).await), Refused::Wrong));
    assert!(matches!(why(house.sign_in("c@example.com", "c", &at("198.51.100.7")).await), Refused::Later(_)));
    // Whoever has an IPv6 network has no more addresses than one.
    assert_eq!(spray(&house, "2001:db8:0:1::1").await, 20);
    assert_eq!(spray(&house, "2001:db8:0:1:ffff::2").await, 0);
    let refused = why(house.sign_in("d@example.com", "c", &at("2001:db8:0:2::1")).await);
    assert!(matches!(refused, Refused::Wrong), "{refused:?}");
}

#[tokio::test]
async fn an_attempt_that_found_no_place_is_none() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let known = house.marked(&maria).await;
    let taken = house.hasher.place(Asks::Stranger).await.unwrap();
    let (login, from) = (maria.login.as_str(), home());
    let tries = std::iter::repeat_with(|| house.sign_in(login, PASSWORD, &from)).take(6);
    for tried in futures(tries).await {
        assert!(matches!(why(tried), Refused::Busy(_)));
    }
    // A flood of strangers is no reason to keep out who is known.
    house.sign_in_with(login, PASSWORD, &known, &from).await.unwrap();
    drop(taken);
    house.asked(&maria, &home()).await;
}

#[tokio::test]
async fn nobody_who_lacks_the_password_moves_the_second_factors_counter() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    for address in 0..50 {
        let _ = house.sign_in(&maria.login, "wrong", &at(&format!("198.51.100.{address}"))).await;
        house.wait(3_600);
    }
    house.inside(&maria).await;
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_the_browser_had() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let before = house.inside(&maria).await;
    let known = Known { session: Some(before.clone()), ..Known::default() };
    house.sign_in_with(&maria.login, PASSWORD, &known, &home()).await.unwrap();
    assert!(house.people.session(&before).await.unwrap().is_none());
}

#[tokio::test]
async fn what_became_of_a_sign_in_is_written_down_for_its_owner() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.asked(&maria, &at("198.51.100.1")).await;
    let session = house.session(&token).await;
    house.people.show(&token, &session, &Answer::Totp(secret("000000")), false, &home()).await.unwrap_err();
    house.wait(1);
    house.inside(&maria).await;
    let sign_ins = house.store.sign_ins(&session.person.id, 9).await.unwrap();
    let outcomes: Vec<_> = sign_ins.iter().map(|it| (it.address.as_str(), it.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("203.0.113.7", SignInOutcome::Known),
            ("198.51.100.1", SignInOutcome::Failed),
            ("203.0.113.7", SignInOutcome::New),
        ]
    );
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let (one, two) = (house.inside(&maria).await, house.inside(&maria).await);
    house.people.sign_out(&house.session(&one).await).await.unwrap();
    assert!(house.people.session(&one).await.unwrap().is_none());
    let session = house.session(&two).await;
    let three = house.inside(&maria).await;
    assert_eq!(house.people.end_other_sessions(&session, None).await.unwrap(), 2);
    assert!(house.people.session(&three).await.unwrap().is_none());
    assert!(house.people.session(&two).await.unwrap().is_some());
}

#[tokio::test]
async fn a_password_that_is_changed_while_somebody_signs_in_with_it_opens_nothing() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    house.set_policy(Where::Everywhere, Policy::Disabled).await;
    let (person, _) = house.store.person_by_login(&maria.login).await.unwrap().unwrap();
    let hashed = async |password: &str| house.hasher.hash(&secret(password), [7; 16]).await.unwrap();
    let (own, other) = (hashed(PASSWORD).await, hashed("another long password").await);
    let set = async |hash| {
        // No pause is longer than an hour.
        house.wait(3_600);
        let (by, now) = (operator(), house.people.now());
        house.store.set_password(&by, &person.id, hash, Told::nobody(), now).await.unwrap();
    };
    let mut came_too_late = 0;
    for polls in 1.. {
        set(&own).await;
        let from = home();
        let mut sign_in = Box::pin(house.sign_in(&maria.login, PASSWORD, &from));
        if until_a_crash(sign_in.as_mut(), polls).await.is_some() {
            break;
        }
        set(&other).await;
        // What began before the change has ended with it, and nothing begins afterwards.
        let ended = sign_in.await;
        came_too_late += usize::from(matches!(ended, Err(Refused::Wrong)));
        let sessions = house.store.sessions(&person.id, house.people.now()).await.unwrap();
        assert!(sessions.is_empty(), "{polls} polls: {ended:?}");
    }
    assert!(came_too_late > 0);
}
