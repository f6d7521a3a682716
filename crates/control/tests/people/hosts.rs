//! On the way to a protected host: what its account demands, asked in the console.

use ringfence_control::people::{Answer, Entry, Known, ProtectedHost, Refused, Step};
use ringfence_model::Secret;
use ringfence_second_factor::device::SecretHash;
use ringfence_second_factor::policy::{Assurance, Demands, Policy, Strength};
use ringfence_store::{Grant, Role, Stage, Where};

use crate::house::{Bound, House, PASSWORD, account, everywhere, home, operator, secret};

fn wiki(place: Where) -> ProtectedHost {
    ProtectedHost { host: "wiki.example.com".to_owned(), place, role: Role::Auditor, key: None }
}

fn with(devices: &[&Secret]) -> Known {
    Known { devices: devices.iter().map(|device| (*device).clone()).collect(), ..Known::default() }
}

async fn hand_over(
    house: &House,
    token: &Secret,
    known: &Known,
    host: &ProtectedHost,
) -> Result<Entry, Refused> {
    let session = house.session(token).await;
    house.people.hand_over(&session, host, &SecretHash::of("began"), known, &home()).await
}

/// Shows the factor on the way to a place, and has the computer trusted.
async fn show_for(house: &House, bound: &Bound, token: &Secret, to: Where) -> (Secret, Option<Secret>) {
    let session = house.session(token).await;
    let answer = Answer::Totp(secret(&bound.seed.code_at(house.people.now())));
    house.wait(30);
    match house.people.show_for(token, &session, to, &answer, true, &home()).await.unwrap() {
        Step::Inside { token, device, .. } => (token, device),
        step => panic!("inside: {step:?}"),
    }
}

#[tokio::test]
async fn nobody_enters_halfway_or_without_the_role() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let half = house.asked(&op, &home()).await;
    assert!(matches!(
        hand_over(&house, &half, &Known::default(), &wiki(account(1))).await,
        Err(Refused::Over)
    ));
    let inside = house.inside(&op).await;
    for place in [account(2), everywhere(Role::Auditor).place] {
        let refused = hand_over(&house, &inside, &Known::default(), &wiki(place)).await;
        assert!(matches!(refused, Err(Refused::Forbidden)), "{place:?}");
    }
    let owner = ProtectedHost { role: Role::Owner, ..wiki(account(1)) };
    assert!(matches!(hand_over(&house, &inside, &Known::default(), &owner).await, Err(Refused::Forbidden)));
    let entry = hand_over(&house, &inside, &Known::default(), &wiki(account(1))).await;
    assert!(matches!(entry, Ok(Entry::Code { device: None, .. })));
}

#[tokio::test]
async fn a_computer_is_trusted_for_the_host_s_account_and_then_not_asked_again() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![everywhere(Role::Operator)]).await;
    let place = account(1);
    // The console of all accounts remembers the computer, which says nothing to the account.
    let token = house.asked(&op, &home()).await;
    let device = house.show(&op, &token, true).await.1.unwrap();
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&[&device]), &home()).await.unwrap();
    let Step::Inside { token, device: Some(device), .. } = step else { panic!("it is trusted: {step:?}") };
    assert_eq!(house.session(&token).await.assurance, Assurance::RememberedComputer);
    assert!(matches!(hand_over(&house, &token, &with(&[&device]), &wiki(place)).await, Ok(Entry::Ask)));
    let session = house.session(&token).await;
    assert!(house.people.may_trust_for(&session, place).await.unwrap());
    let (_, of_account) = show_for(&house, &op, &token, place).await;
    // Another day, the same computer.
    house.wait(24 * 3_600);
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&[&device]), &home()).await.unwrap();
    let Step::Inside { token, device: Some(device), .. } = step else { panic!("it is trusted: {step:?}") };
    let of_account = of_account.unwrap();
    let entry = hand_over(&house, &token, &with(&[&device, &of_account]), &wiki(place)).await;
    let Ok(Entry::Code { device: Some(next), .. }) = entry else { panic!("it is trusted: {entry:?}") };
    assert_ne!(next.expose(), of_account.expose(), "its secret is changed at use");
    assert_eq!(house.session(&token).await.stage, Stage::Inside);
}

#[tokio::test]
async fn where_each_sign_in_is_asked_so_is_each_session_and_no_computer_is_trusted() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![everywhere(Role::Operator)]).await;
    let place = account(1);
    let strong = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    house.store.set_policy(&operator(), place, strong, house.people.now()).await.unwrap();
    let token = house.asked(&op, &home()).await;
    let mut device = house.show(&op, &token, true).await.1.unwrap();
    for _ in 0..2 {
        let step = house.sign_in_with(&op.login, PASSWORD, &with(&[&device]), &home()).await.unwrap();
        let Step::Inside { token, device: Some(next), .. } = step else { panic!("it is trusted: {step:?}") };
        device = next;
        assert!(matches!(hand_over(&house, &token, &with(&[&device]), &wiki(place)).await, Ok(Entry::Ask)));
        let session = house.session(&token).await;
        assert!(!house.people.may_trust_for(&session, place).await.unwrap());
        let kinds = house.people.may_show_for(&session, place).await.unwrap();
        assert!(kinds.iter().all(|kind| Strength::NoPhone.takes(*kind)), "{kinds:?}");
        let (token, trusted) = show_for(&house, &op, &token, place).await;
        assert!(trusted.is_none(), "asked for or not");
        let entry = hand_over(&house, &token, &Known::default(), &wiki(place)).await;
        assert!(matches!(entry, Ok(Entry::Code { device: None, .. })));
    }
}
