use ringfence_control::notices::Letter;
use ringfence_control::people::{
    self, Answer, Credentials, Known, Refused, Rules, Step, Visitor, tell_sign_ins,
};
use ringfence_model::Secret;
use ringfence_second_factor::policy::Kind;
use ringfence_store::{Grant, Lock, Role, SignInOutcome};

use crate::crashes::until_a_crash;
use crate::house::{Bound, House, PASSWORD, account, at, everywhere, home, operator, secret, why};

const URL: &str = "https://console.example.com/";

pub(crate) async fn tell(house: &House) -> usize {
    tell_sign_ins(&house.store, Some(URL), house.people.now()).await.unwrap()
}

/// What waits to be mailed; each is given out once.
pub(crate) async fn letters(house: &House) -> Vec<Letter> {
    let now = house.people.now();
    let life = house.store.join("one", "h", now).await.unwrap();
    let claims = house.store.claim_effects(&life, "letter", 99, now, now).await.unwrap();
    for claim in &claims {
        house.store.complete_effect(&operator(), claim, now).await.unwrap();
    }
    claims.into_iter().map(|claim| serde_json::from_value(claim.effect.payload).unwrap()).collect()
}

fn code_in(letter: &Letter) -> String {
    letter.text.split("?code=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_takes_their_time_to_bind_their_first_factor_is_not_told_that_somebody_knows_their_password()
{
    let house = House::new().await;
    let invitation = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let code = secret(&invitation.code.spelled());
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    assert!(matches!(step, Step::Bind { .. }), "{step:?}");
    letters(&house).await;
    house.wait(59 * 60);
    assert_eq!(tell(&house).await, 0, "they still may");
    house.wait(4 * 60);
    assert_eq!(tell(&house).await, 1, "their time is over, and the password stays without a second factor");
    assert_eq!(letters(&house).await.pop().unwrap().subject, "Somebody knows your password");
}

#[tokio::test]
async fn a_password_without_its_second_factor_is_told_after_three_minutes_whatever_is_tried_again() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    house.asked(&maria, &at("198.51.100.1")).await;
    for _ in 0..8 {
        house.wait(20);
        assert_eq!(tell(&house).await, 0, "it may still come");
        house.asked(&maria, &at("198.51.100.2")).await;
    }
    house.wait(20);
    assert_eq!(tell(&house).await, 1);
    let letter = letters(&house).await.pop().unwrap();
    assert_eq!(
        (letter.to.as_str(), letter.subject.as_str()),
        ("maria@example.com", "Somebody knows your password")
    );
    assert!(
        letter.text.contains("no second factor, from 198.51.100.1 with Firefox on Linux"),
        "{}",
        letter.text
    );
    assert!(
        !letter.text.contains("198.51.100.2"),
        "those are told when their time has come: {}",
        letter.text
    );
    assert_eq!(tell(&house).await, 0, "told once");
    // The link locks, which ends every session.
    let code = code_in(&letter);
    assert!(
        letter.text.contains(&format!("https://console.example.com/lock?code={code}")),
        "{}",
        letter.text
    );
    assert!(house.people.lock_by_code(&secret(&code)).await.unwrap().locked_at.is_some());
}

#[tokio::test]
async fn a_sign_in_from_a_new_device_is_told_at_once_and_one_from_a_known_one_is_not() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    assert_eq!(tell(&house).await, 1, "the first is new");
    assert!(letters(&house).await[0].text.contains("signed in, from 203.0.113.7"));
    house.inside(&maria).await;
    house.wait(600);
    assert_eq!(tell(&house).await, 0);
}

/// Inside with the second factor, as this visitor.
async fn enter(house: &House, person: &Bound, visitor: &Visitor) -> Step {
    let token = house.asked(person, visitor).await;
    let session = house.session(&token).await;
    let answer = Answer::Totp(secret(&person.seed.code_at(house.people.now())));
    house.wait(30);
    house.people.show(&token, &session, &answer, false, visitor).await.unwrap()
}

#[tokio::test]
async fn behind_one_address_another_browser_is_a_new_device_and_a_marked_one_is_known_anywhere() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    let phone = Visitor { agent: "Safari on iPhone".to_owned(), ..home() };
    let Step::Inside { mark, .. } = enter(&house, &maria, &phone).await else { panic!("inside") };
    assert_eq!(tell(&house).await, 1);
    let letter = letters(&house).await.pop().unwrap();
    assert_eq!(letter.subject, "A sign-in from a new device");
    assert!(letter.text.contains("from 203.0.113.7 with Safari on iPhone"), "{}", letter.text);
    // It was inside now; and with its mark it is known on the train.
    enter(&house, &maria, &phone).await;
    let train = Visitor { address: "198.51.100.1".to_owned(), marks: vec![mark.clone()], ..phone };
    enter(&house, &maria, &train).await;
    assert_eq!(tell(&house).await, 0);
    // What is no mark of this login makes nothing known.
    let forged = secret(&format!("{}0", mark.expose()));
    let elsewhere = Visitor { address: "198.51.100.2".to_owned(), marks: vec![forged], ..train };
    enter(&house, &maria, &elsewhere).await;
    assert_eq!(tell(&house).await, 1);
}

#[tokio::test]
async fn the_cookie_of_a_trusted_computer_that_comes_from_elsewhere_is_told_as_a_new_device() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let token = house.asked(&op, &at("2001:db8:0:1::7")).await;
    let session = house.session(&token).await;
    let answer = Answer::Totp(secret(&op.seed.code_at(house.people.now())));
    let own = at("2001:db8:0:1::7");
    let step = house.people.show(&token, &session, &answer, true, &own).await.unwrap();
    let Step::Inside { device: Some(device), mark, .. } = step else { panic!("it is trusted: {step:?}") };
    tell(&house).await;
    letters(&house).await;
    // At home, where a computer has another address each day, nobody is told.
    let known = Known { devices: vec![device], ..Known::default() };
    for (from, told) in [("2001:db8:0:1::8", 0), ("2001:db8:0:2::7", 1)] {
        // Whoever copied one cookie copied the mark as well.
        let visitor = Visitor { marks: vec![mark.clone()], ..at(from) };
        let step = house.sign_in_with(&op.login, PASSWORD, &known, &visitor).await.unwrap();
        assert!(matches!(step, Step::Inside { .. }), "{step:?}");
        assert_eq!(tell(&house).await, told, "{from}");
    }
    assert!(letters(&house).await[0].text.contains("from 2001:db8:0:2::7"));
}

/// Somebody who knows her password has tried it 25 times, without her second factor, and three minutes are over.
async fn after_many_attempts() -> (House, Bound) {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    for _ in 0..25 {
        house.asked(&maria, &at("198.51.100.1")).await;
    }
    house.wait(180);
    (house, maria)
}

#[tokio::test]
async fn many_attempts_make_one_mail_of_one_page() {
    let (house, _) = after_many_attempts().await;
    assert_eq!(tell(&house).await, 1);
    let letter = letters(&house).await.pop().unwrap();
    assert!(letter.text.contains("and 15 more") && letter.text.lines().count() < 20, "{}", letter.text);
}

#[tokio::test]
async fn a_link_to_reset_is_mailed_to_whoever_is_there_and_not_without_end() {
    let rules = Rules { console_url: Some(URL.to_owned()), ..Rules::default() };
    let house = House::with(rules).await;
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    tell(&house).await;
    letters(&house).await;
    house.people.mail_reset("nobody@example.com", &Known::default(), &home()).await.unwrap();
    assert_eq!(letters(&house).await, []);
    house.people.mail_reset("OP@example.com", &Known::default(), &home()).await.unwrap();
    let letter = letters(&house).await.pop().unwrap();
    assert_eq!(letter.to, op.login);
    house.people.reset_password(&secret(&code_in(&letter)), &secret("harbour violin nine")).await.unwrap();
    assert!(house.sign_in(&op.login, PASSWORD, &home()).await.is_err());
    for _ in 0..20 {
        house.wait(1);
        house.people.mail_reset(&op.login, &Known::default(), &at("198.51.100.9")).await.unwrap();
    }
    assert!(letters(&house).await.len() <= 5, "whoever asks too often gets no more");
    // Whom a stranger has used it up for asks in a browser of their own.
    let op = Bound { login: op.login, ..op };
    let token = house.people.sign_in(&typed(&op.login), &Known::default(), &home()).await.unwrap();
    let Step::Ask { token, .. } = token else { panic!("{token:?}") };
    let session = house.session(&token).await;
    let answer = Answer::RecoveryCode(op.codes[0].clone());
    let step = house.people.show(&token, &session, &answer, false, &home()).await.unwrap();
    let Step::Inside { mark, .. } = step else { panic!("{step:?}") };
    let known = Known { marks: vec![mark], ..Known::default() };
    house.people.mail_reset(&op.login, &known, &home()).await.unwrap();
    assert_eq!(letters(&house).await.len(), 1);
}

fn typed(login: &str) -> Credentials {
    Credentials { login: login.to_owned(), password: secret("harbour violin nine") }
}

#[tokio::test]
async fn the_link_of_an_earlier_mail_still_locks() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    let earlier = letters(&house).await.pop().unwrap();
    house.asked(&maria, &at("198.51.100.1")).await;
    house.wait(180);
    tell(&house).await;
    let later = letters(&house).await.pop().unwrap();
    assert_ne!(code_in(&earlier), code_in(&later));
    house.wait(6 * 24 * 3_600);
    house.people.lock_by_code(&secret(&code_in(&earlier))).await.unwrap();
    let person = house.store.person_by_login(&maria.login).await.unwrap().unwrap().0;
    house.store.lock_person(&operator(), &person.id, Lock::Off, house.people.now()).await.unwrap();
    house.people.lock_by_code(&secret(&code_in(&later))).await.unwrap();
}

#[tokio::test]
async fn two_things_at_the_same_moment_make_two_mails_and_a_repeat_makes_none() {
    let rules = Rules { console_url: Some(URL.to_owned()), ..Rules::default() };
    let house = House::with(rules).await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    let session = house.session(&house.inside(&maria).await).await;
    tell(&house).await;
    letters(&house).await;
    // The clock stands still: recovery codes, a link to reset, and another one.
    house.people.new_recovery_codes(&session).await.unwrap();
    for _ in 0..2 {
        house.people.mail_reset(&maria.login, &Known::default(), &home()).await.unwrap();
    }
    let subjects: Vec<String> = letters(&house).await.into_iter().map(|letter| letter.subject).collect();
    assert_eq!(subjects, ["Your sign-in was changed", "Set another password", "Set another password"]);
    // Two sign-ins that are told one after the other, and nothing of either a second time.
    house.asked(&maria, &at("198.51.100.1")).await;
    house.wait(180);
    house.asked(&maria, &at("198.51.100.2")).await;
    assert_eq!(tell(&house).await, 1);
    assert_eq!(tell(&house).await, 0);
    house.wait(180);
    assert_eq!(tell(&house).await, 1);
    assert_eq!(letters(&house).await.len(), 2);
}

#[tokio::test]
async fn a_thief_who_is_told_of_as_failed_is_told_of_again_when_he_is_inside() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    let token = house.asked(&maria, &at("198.51.100.1")).await;
    house.wait(180);
    assert_eq!(tell(&house).await, 1);
    let session = house.session(&token).await;
    let answer = Answer::Totp(secret(&maria.seed.code_at(house.people.now())));
    house.people.show(&token, &session, &answer, false, &at("198.51.100.1")).await.unwrap();
    assert_eq!(tell(&house).await, 1);
    let subjects: Vec<String> = letters(&house).await.into_iter().map(|letter| letter.subject).collect();
    assert_eq!(subjects, ["Somebody knows your password", "A sign-in from a new device"]);
}

#[tokio::test]
async fn a_thief_who_gets_inside_while_the_letter_about_him_is_written_is_told_of_as_what_he_is() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    let mut told_otherwise = 0;
    for polls in 1.. {
        // From each he was never inside before.
        let thief = at(&format!("198.51.100.{polls}"));
        let token = house.asked(&maria, &thief).await;
        house.wait(180);
        let mut telling = Box::pin(tell(&house));
        if until_a_crash(telling.as_mut(), polls).await.is_some() {
            break;
        }
        let session = house.session(&token).await;
        let answer = Answer::Totp(secret(&maria.seed.code_at(house.people.now())));
        house.people.show(&token, &session, &answer, false, &thief).await.unwrap();
        telling.await;
        tell(&house).await;
        let subjects: Vec<String> = letters(&house).await.into_iter().map(|letter| letter.subject).collect();
        assert!(subjects.iter().any(|it| it == "A sign-in from a new device"), "{polls} polls: {subjects:?}");
        told_otherwise += 1;
    }
    assert!(told_otherwise > 0);
}

#[tokio::test]
async fn whoever_loses_a_factor_to_an_owner_or_to_a_thief_is_told() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    tell(&house).await;
    letters(&house).await;
    let mut factors = house.store.factors(&session.person.id).await.unwrap().into_iter();
    let codes = factors.find(|factor| factor.secret.kind() == Kind::RecoveryCode).unwrap();
    house.people.remove_factor(&session, &codes.id).await.unwrap();
    assert!(letters(&house).await[0].text.starts_with("Your recovery codes were taken away"));
    let (by, now) = (operator(), house.people.now());
    people::reset_second_factor(&house.store, (&by, "lost"), session.person, now).await.unwrap();
    assert!(letters(&house).await[0].text.starts_with("Your second factor was taken away by an owner"));
}

#[tokio::test]
async fn five_wrong_factors_in_an_open_session_end_it_and_its_owner_is_told_once() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    tell(&house).await;
    letters(&house).await;
    let thief = at("198.51.100.44");
    let show = async |token: &Secret, answer: Answer| {
        let session = house.session(token).await;
        house.people.show(token, &session, &answer, false, &thief).await
    };
    let wrong = || Answer::Totp(secret("no code"));
    for _ in 0..4 {
        assert!(matches!(why(show(&token, wrong()).await), Refused::WrongCode));
    }
    // What can be no code of theirs is a slip.
    for _ in 0..5 {
        let slip = Answer::RecoveryCode(secret("my dog ate it"));
        assert!(matches!(why(show(&token, slip).await), Refused::WrongCode));
    }
    // A right one ends the row, in a session with another token.
    let (token, _) = house.show(&maria, &token, false).await;
    for _ in 0..4 {
        assert!(matches!(why(show(&token, wrong()).await), Refused::WrongCode));
    }
    assert_eq!(letters(&house).await, []);
    let person = house.session(&token).await.person.id;
    assert!(matches!(why(show(&token, wrong()).await), Refused::Guessed));
    assert!(house.people.session(&token).await.unwrap().is_none());
    let told = letters(&house).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].text.contains("wrong five times, the last time from 198.51.100.44"), "{}", told[0].text);
    let noted = house.store.sign_ins(&person, 1).await.unwrap().pop().unwrap();
    assert_eq!((noted.outcome, noted.address.as_str()), (SignInOutcome::Guessed, "198.51.100.44"));
    house.wait(180);
    assert_eq!(tell(&house).await, 0, "once");
    house.inside(&maria).await;
}

#[tokio::test]
async fn who_is_inside_is_named_before_many_attempts_that_got_no_further() {
    let (house, maria) = after_many_attempts().await;
    enter(&house, &maria, &Visitor { agent: "Chrome on Windows".to_owned(), ..at("198.51.100.66") }).await;
    assert_eq!(tell(&house).await, 1);
    let letter = letters(&house).await.pop().unwrap();
    assert_eq!(letter.subject, "A sign-in from a new device");
    let (_, lines) = letter.text.split_once("\n\n").unwrap();
    let first = lines.lines().next().unwrap();
    assert!(first.contains("signed in, from 198.51.100.66 with Chrome on Windows"), "{}", letter.text);
}

#[tokio::test]
async fn a_second_factor_that_is_wrong_after_the_mail_is_told_in_another_one() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    tell(&house).await;
    letters(&house).await;
    let token = house.asked(&maria, &at("198.51.100.1")).await;
    let session = house.session(&token).await;
    let mut mails = Vec::new();
    // A quarter of an hour is what a sign-in has.
    for minute in 0..15 {
        let wrong = Answer::Totp(secret("no code"));
        house.people.show(&token, &session, &wrong, false, &at("198.51.100.1")).await.unwrap_err();
        if tell(&house).await > 0 {
            mails.push(minute);
        }
        house.wait(60);
    }
    assert_eq!(mails, [3, 7, 11], "each few minutes, and not each time");
    assert!(letters(&house).await.iter().all(|it| it.text.contains("a wrong second factor")));
}
