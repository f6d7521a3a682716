//! Somebody knows the password, and guesses the second factor where the password was enough to get in.

use ringfence_control::notices::Letter;
use ringfence_control::people::{Answer, Known, Refused, Step};
use ringfence_model::Secret;
use ringfence_second_factor::policy::{Assurance, Policy};
use ringfence_store::{Grant, Role, SignInOutcome};

use crate::house::{Bound, House, account, at, home, secret, why};
use crate::telling::{letters, tell};

/// Long enough to open alone what asks for no second factor.
const LONG: &str = "tulip cement orbit lantern";

/// Somebody whose password opens a kiosk alone, and not the other account.
async fn kiosk() -> (House, Bound) {
    let house = House::new().await;
    house.set_policy(account(1), Policy::Disabled).await;
    house.set_policy(account(2), Policy::EverySignIn).await;
    let grants = vec![
        Grant { place: account(1), role: Role::Auditor },
        Grant { place: account(2), role: Role::Owner },
    ];
    let pat = house.bound_with("pat@example.com", LONG, grants).await;
    told(&house).await;
    (house, pat)
}

/// What is mailed now.
async fn told(house: &House) -> Vec<Letter> {
    tell(house).await;
    letters(house).await
}

/// Inside by the password alone, from here.
async fn inside(house: &House, pat: &Bound, from: &str) -> Secret {
    let step = house.sign_in(&pat.login, LONG, &at(from)).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("the password opens it: {step:?}") };
    assert_eq!(house.session(&token).await.assurance, Assurance::Password);
    token
}

/// A wrong code on the way to the other account.
async fn guess(house: &House, token: &Secret, from: &str) -> Refused {
    let session = house.session(token).await;
    let wrong = Answer::Totp(secret("no code"));
    why(house.people.show_for(token, &session, account(2), &wrong, false, &at(from)).await)
}

async fn outcomes(house: &House, token: &Secret) -> Vec<SignInOutcome> {
    let person = house.session(token).await.person.id;
    house.store.sign_ins(&person, 9).await.unwrap().into_iter().map(|it| it.outcome).collect()
}

#[tokio::test]
async fn a_wrong_factor_where_the_password_had_opened_is_told_and_on_record_also_from_the_owner_s_own_house()
{
    let (house, pat) = kiosk().await;
    // The same address, the same browser: of the sign-in itself nobody is told.
    let token = inside(&house, &pat, "203.0.113.7").await;
    assert_eq!(told(&house).await, []);
    house.wait(600);
    for _ in 0..3 {
        assert!(matches!(guess(&house, &token, "203.0.113.7").await, Refused::WrongCode));
    }
    let session = house.session(&token).await;
    house.people.sign_out(&session).await.unwrap();
    assert_eq!(told(&house).await, [], "the right one may still come");
    house.wait(180);
    let letter = told(&house).await.pop().unwrap();
    assert_eq!(letter.subject, "Somebody knows your password");
    assert!(letter.text.contains("a wrong second factor, from 203.0.113.7 with Firefox"), "{}", letter.text);
    assert_eq!(told(&house).await, [], "once for each sign-in");
    let noted = house.store.sign_ins(&session.person.id, 1).await.unwrap();
    assert_eq!(noted[0].outcome, SignInOutcome::Failed);
    let rows = house.store.audit_rows(None, None, 99).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.action == "sign-in.failed").count(), 3);
    // Another sign-in is another attempt.
    let token = inside(&house, &pat, "203.0.113.7").await;
    guess(&house, &token, "198.51.100.44").await;
    house.wait(180);
    let letter = told(&house).await.pop().unwrap();
    assert!(letter.text.contains("from 198.51.100.44"), "where the guess came from: {}", letter.text);
}

#[tokio::test]
async fn signing_in_again_gives_whoever_knows_the_password_no_more_guesses() {
    let (house, pat) = kiosk().await;
    let (mut guesses, mut ended) = (0, 0);
    for _ in 0..4 {
        let token = inside(&house, &pat, "198.51.100.44").await;
        for _ in 0..2 {
            guesses += 1;
            match guess(&house, &token, "198.51.100.44").await {
                Refused::WrongCode => assert!(guesses < 5, "guess {guesses}"),
                Refused::Guessed => {
                    assert!(house.people.session(&token).await.unwrap().is_none());
                    ended += 1;
                    break;
                }
                refused => panic!("{refused:?}"),
            }
        }
        // The factor makes a pause of its own.
        house.wait(3_600);
    }
    assert_eq!((guesses, ended), (6, 2), "from the fifth on one each, and the session is gone with it");
    let letters = letters(&house).await;
    assert_eq!(letters.len(), 2);
    assert!(letters[0].text.contains("in a row or more, the last time from 198.51.100.44"), "{letters:?}");
    // The owner's right one ends the row.
    let token = inside(&house, &pat, "203.0.113.7").await;
    let session = house.session(&token).await;
    let right = Answer::Totp(secret(&pat.seed.code_at(house.people.now())));
    house.people.show_for(&token, &session, account(2), &right, false, &home()).await.unwrap();
    let token = inside(&house, &pat, "203.0.113.7").await;
    assert!(matches!(guess(&house, &token, "203.0.113.7").await, Refused::WrongCode));
}

#[tokio::test]
async fn a_slip_that_the_right_code_follows_alarms_nobody() {
    let (house, pat) = kiosk().await;
    let token = inside(&house, &pat, "203.0.113.7").await;
    house.wait(1_500);
    let token_before = token.clone();
    guess(&house, &token, "203.0.113.7").await;
    let session = house.session(&token).await;
    let right = Answer::Totp(secret(&pat.seed.code_at(house.people.now())));
    let step = house.people.show_for(&token, &session, account(2), &right, false, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    assert!(house.people.session(&token_before).await.unwrap().is_none());
    house.wait(600);
    assert_eq!(told(&house).await, []);
    assert!(!outcomes(&house, &token).await.contains(&SignInOutcome::Failed));
}

#[tokio::test]
async fn whoever_guesses_at_the_door_and_turns_to_where_a_computer_is_trusted_is_told_of() {
    let house = House::new().await;
    house.set_policy(account(1), Policy::EverySignIn).await;
    let both = [1, 2].map(|number| Grant { place: account(number), role: Role::Operator });
    let op = house.bound("op@example.com", both.to_vec()).await;
    // A computer that is trusted for the second account.
    let turn = async |known: &Known| {
        let token = house.asked(&op, &home()).await;
        let session = house.session(&token).await;
        let wrong = Answer::Totp(secret("no code"));
        let refused = why(house.people.show(&token, &session, &wrong, false, &home()).await);
        assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
        house.people.turn_to(&token, &session, account(2), known, &home()).await.unwrap()
    };
    let Step::Ask { token, .. } = turn(&Known::default()).await else { panic!("it is asked for") };
    let device = house.show(&op, &token, true).await.1.unwrap();
    house.wait(180);
    told(&house).await;
    let stolen = Known { devices: vec![device], ..Known::default() };
    let Step::Inside { .. } = turn(&stolen).await else { panic!("it is trusted there") };
    house.wait(180);
    let letter = told(&house).await.pop().unwrap();
    assert_eq!(letter.subject, "Somebody knows your password", "{}", letter.text);
}
