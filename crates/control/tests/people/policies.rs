use jiff::SignedDuration;
use ringfence_control::people::{self, Answer, Credentials, Known, Refused, Rules, Step};
use ringfence_model::Secret;
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_second_factor::recovery::RecoveryCode;
use ringfence_store::{Grant, Lock, Role, Stage, Told, Where};

use crate::house::{Bound, House, PASSWORD, account, at, everywhere, futures, home, operator, secret, why};

fn at_account(number: u128, role: Role) -> Grant {
    Grant { place: account(number), role }
}

fn with(device: &Secret) -> Known {
    Known { devices: vec![device.clone()], ..Known::default() }
}

async fn trusted(house: &House, person: &Bound) -> Secret {
    let token = house.asked(person, &home()).await;
    house.show(person, &token, true).await.1.unwrap()
}

#[tokio::test]
async fn once_per_computer_asks_once_and_a_remembered_computer_is_no_second_factor() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&device), &home()).await.unwrap();
    let Step::Inside { token, device: Some(next), .. } = step else { panic!("it is trusted: {step:?}") };
    let session = house.session(&token).await;
    assert_eq!(session.assurance, Assurance::RememberedComputer);
    let dangerous = house.people.authorise(&session, Role::Operator, account(1), true);
    assert!(matches!(dangerous, Err(Refused::AskAgain)), "what is dangerous asks again");
    // Another browser is asked, whoever else was trusted meanwhile.
    house.asked(&op, &home()).await;
    // After thirty days so is this one.
    house.wait(30 * 24 * 3_600);
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&next), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_stolen_device_opens_neither_another_person_nor_another_account() {
    let house = House::new().await;
    let op = house
        .bound("op@example.com", vec![at_account(1, Role::Operator), at_account(2, Role::Operator)])
        .await;
    let other = house.bound("other@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    let step = house.sign_in_with(&other.login, PASSWORD, &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&device), &home()).await.unwrap();
    let Step::Inside { token, device: Some(device), .. } = step else { panic!("it is trusted: {step:?}") };
    let session = house.session(&token).await;
    let step = house.people.go_to(&token, &session, account(2), &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_copy_of_a_device_ends_the_trust_in_it() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let stolen = trusted(&house, &op).await;
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&stolen), &home()).await.unwrap();
    let Step::Inside { token, device: Some(own), .. } = step else { panic!("it is trusted: {step:?}") };
    // The browser goes on to a page, with what it was given.
    let person = house.session(&token).await.person.id;
    let now = house.people.now();
    house.store.see_devices(std::slice::from_ref(&own), &person, &home().address, now).await.unwrap();
    house.wait(60);
    for device in [&stolen, &own] {
        let step = house.sign_in_with(&op.login, PASSWORD, &with(device), &home()).await.unwrap();
        assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    }
}

#[tokio::test]
async fn a_thief_with_a_copied_device_and_the_password_is_put_out_and_told_of_when_its_owner_comes() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let own = trusted(&house, &op).await;
    let thief = at("198.51.100.66");
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&own), &thief).await.unwrap();
    let Step::Inside { token, device: Some(next), .. } = step else { panic!("it is trusted: {step:?}") };
    let person = house.session(&token).await.person.id;
    let now = house.people.now();
    house.store.see_devices(&[next], &person, &thief.address, now).await.unwrap();
    house.wait(60);
    let before = house.store.waiting_effects(9).await.unwrap().len();
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&own), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    assert!(house.people.session(&token).await.unwrap().is_none(), "the thief is out");
    let letters = house.store.waiting_effects(9).await.unwrap();
    assert_eq!(letters.len(), before + 1);
    let told = |text: &str| letters.iter().any(|it| it.payload["text"].to_string().contains(text));
    assert!(told("was used by two browsers") && told("change it"), "{letters:?}");
    let is_about_it = letters.iter().any(|it| it.payload["subject"] == "Somebody has a copy of your cookie");
    assert!(is_about_it, "{letters:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_does_not_end_the_trust() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    for _ in 0..3 {
        let step = house.sign_in_with(&op.login, PASSWORD, &with(&device), &home()).await.unwrap();
        assert!(matches!(step, Step::Inside { device: Some(_), .. }), "{step:?}");
        house.wait(60);
    }
}

#[tokio::test]
async fn what_does_not_need_a_trusted_computer_leaves_its_secret_alone() {
    let minimum = Demands { policy: Policy::EverySignIn, strength: Strength::Any };
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    // A wrong password, one that is not asked for, and an installation that demands more for a while.
    house.sign_in_with(&op.login, "wrong", &with(&device), &home()).await.unwrap_err();
    let strict = house.stricter(Rules { minimum, ..Rules::default() });
    for _ in 0..2 {
        let typed = Credentials { login: op.login.clone(), password: secret(PASSWORD) };
        let step = strict.sign_in(&typed, &with(&device), &home()).await.unwrap();
        assert!(matches!(step, Step::Ask { .. }), "{step:?}");
        house.wait(60);
    }
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { device: Some(_), .. }), "{step:?}");
}

#[tokio::test]
async fn two_tabs_of_a_browser_at_once_are_both_let_in_and_end_nothing() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    let (known, from) = (with(&device), home());
    let tabs = std::iter::repeat_with(|| house.sign_in_with(&op.login, PASSWORD, &known, &from)).take(4);
    let mut next = None;
    for step in futures(tabs).await {
        let Step::Inside { device, .. } = step.unwrap() else { panic!("each is let in") };
        next = device.or(next);
    }
    house.wait(3_600);
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&next.unwrap()), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { device: Some(_), .. }), "{step:?}");
}

#[tokio::test]
async fn a_computer_of_many_people_is_known_by_each() {
    let house = House::new().await;
    let one = house.bound("one@example.com", vec![at_account(1, Role::Operator)]).await;
    let other = house.bound("other@example.com", vec![at_account(1, Role::Operator)]).await;
    let mut known = Known { devices: vec![trusted(&house, &one).await], ..Known::default() };
    let of_others = (0..40).map(|number| secret(&format!("dv_{number:016x}.0.{number:064x}")));
    known.devices.extend(of_others);
    known.devices.push(trusted(&house, &other).await);
    for person in [&other, &one] {
        let step = house.sign_in_with(&person.login, PASSWORD, &known, &home()).await.unwrap();
        assert!(matches!(step, Step::Inside { device: Some(_), .. }), "{step:?}");
    }
}

#[tokio::test]
async fn every_sign_in_asks_on_a_trusted_computer_too() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    house.set_policy(account(1), Policy::EverySignIn).await;
    let step = house.sign_in_with(&op.login, PASSWORD, &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn each_account_asks_for_what_it_demands_itself() {
    let house = House::new().await;
    let grants = vec![at_account(1, Role::Operator), at_account(2, Role::Auditor)];
    let op = house.bound("op@example.com", grants).await;
    house.set_policy(account(1), Policy::Disabled).await;
    house.set_policy(account(2), Policy::EverySignIn).await;
    let step = house.sign_in(&op.login, PASSWORD, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("the first asks for nothing: {step:?}") };
    let session = house.session(&token).await;
    assert_eq!((session.place, session.assurance), (account(1), Assurance::Password));
    let ends = session.expires_at;
    house.wait(600);
    // What this session may here it may not there.
    let elsewhere = house.people.authorise(&session, Role::Auditor, account(2), false);
    assert!(matches!(elsewhere, Err(Refused::Forbidden)));
    let step = house.people.go_to(&token, &session, account(2), &Known::default(), &home()).await.unwrap();
    let Step::Ask { token: same, .. } = step else { panic!("the second asks: {step:?}") };
    // Whoever does not answer goes on where they were.
    let session = house.session(&token).await;
    assert_eq!((&same, session.place, session.stage), (&token, account(1), Stage::Inside));
    let (token, _) = house.show(&op, &token, false).await;
    let session = house.session(&token).await;
    let step = house.people.go_to(&token, &session, account(2), &Known::default(), &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("it was shown: {step:?}") };
    let session = house.session(&token).await;
    assert_eq!(session.place, account(2));
    assert_eq!(session.expires_at, ends, "a factor on the way makes no session longer");
    assert!(house.people.authorise(&session, Role::Auditor, account(2), false).is_ok());
    let more = house.people.authorise(&session, Role::Operator, account(2), false);
    assert!(matches!(more, Err(Refused::Forbidden)));
    // Back, and to where there is no role.
    let third = house.people.go_to(&token, &session, account(3), &Known::default(), &home()).await;
    assert!(matches!(why(third), Refused::Forbidden));
    let step = house.people.go_to(&token, &session, account(1), &Known::default(), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { .. }), "{step:?}");
}

#[tokio::test]
async fn an_account_demands_no_less_than_the_installation() {
    let minimum = Demands { policy: Policy::OncePerComputer, strength: Strength::Any };
    let house = House::with(Rules { minimum, ..Rules::default() }).await;
    let owner = house.bound("owner@example.com", vec![at_account(1, Role::Owner)]).await;
    let session = house.session(&house.inside(&owner).await).await;
    let weaker = Demands { policy: Policy::Disabled, strength: Strength::Any };
    let refused = why(house.people.set_policy(&session, account(1), weaker, "why not").await);
    assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    // One that was set before the minimum was is no less than it now.
    house.set_policy(account(1), Policy::Disabled).await;
    house.asked(&owner, &home()).await;
    let other = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    let elsewhere = house.people.set_policy(&session, account(2), other, "why not").await;
    assert!(matches!(why(elsewhere), Refused::Forbidden), "another account's owner sets it there");
    house.people.set_policy(&session, account(1), other, "a review").await.unwrap();
}

#[tokio::test]
async fn where_a_password_is_all_there_is_it_is_longer() {
    let house = House::new().await;
    house.set_policy(account(1), Policy::Disabled).await;
    let invitation = house.invite("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let code = secret(&invitation.code.spelled());
    let refused = why(house.people.begin_binding(&code, &secret("tulip cement"), &home()).await);
    assert!(matches!(refused, Refused::Weak(_)), "{refused:?}");
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("{step:?}") };
    // Nothing is demanded, so nothing need be bound.
    let session = house.session(&token).await;
    let step = house.people.finish_binding(&token, &session, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("{step:?}") };
    assert_eq!(house.session(&token).await.assurance, Assurance::Password);
}

#[tokio::test]
async fn a_short_password_opens_nothing_alone_when_the_second_factor_is_disabled_later() {
    let house = House::new().await;
    let op = house.bound_with("op@example.com", "tulip7cement", vec![at_account(1, Role::Operator)]).await;
    house.set_policy(account(1), Policy::Disabled).await;
    let step = house.sign_in(&op.login, "tulip7cement", &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_short_password_of_before_opens_nothing_alone_by_way_of_an_owner_s_code() {
    let house = House::new().await;
    let op = house.bound_with("op@example.com", "tulip7cement", vec![at_account(1, Role::Operator)]).await;
    house.set_policy(account(1), Policy::Disabled).await;
    let (person, _) = house.store.person_by_login(&op.login).await.unwrap().unwrap();
    let invitation =
        people::reset_second_factor(&house.store, &operator(), person, house.people.now()).await.unwrap();
    let code = secret(&invitation.code.spelled());
    let step = house.people.begin_binding(&code, &secret("tulip7cement"), &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("{step:?}") };
    let session = house.session(&token).await;
    let refused = why(house.people.finish_binding(&token, &session, &home()).await);
    assert!(matches!(refused, Refused::NothingBound), "{refused:?}");
}

#[tokio::test]
async fn whoever_cannot_enter_one_account_enters_the_other() {
    let house = House::new().await;
    house.set_policy(account(2), Policy::Disabled).await;
    let grants = vec![at_account(1, Role::Operator), at_account(2, Role::Auditor)];
    let invitation = house.invite("op@example.com", grants).await;
    house
        .people
        .begin_binding(&secret(&invitation.code.spelled()), &secret(PASSWORD), &home())
        .await
        .unwrap();
    let step = house.sign_in("op@example.com", PASSWORD, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("the second asks for nothing: {step:?}") };
    let session = house.session(&token).await;
    assert_eq!(session.place, account(2));
    let first = house.people.go_to(&token, &session, account(1), &Known::default(), &home()).await;
    assert!(matches!(why(first), Refused::NothingBound));
    assert_eq!(house.session(&token).await.place, account(2), "and stays where they are");
}

#[tokio::test]
async fn a_role_allows_what_it_allows_and_where() {
    let house = House::new().await;
    for (has, wants, allowed) in [
        (Role::Auditor, Role::Auditor, true),
        (Role::Auditor, Role::Operator, false),
        (Role::Auditor, Role::Owner, false),
        (Role::Operator, Role::Auditor, true),
        (Role::Operator, Role::Operator, true),
        (Role::Operator, Role::Owner, false),
        (Role::Owner, Role::Auditor, true),
        (Role::Owner, Role::Operator, true),
        (Role::Owner, Role::Owner, true),
    ] {
        let login = format!("{}-{}@example.com", has.word(), wants.word());
        let person = house.bound(&login, vec![everywhere(has)]).await;
        let session = house.session(&house.inside(&person).await).await;
        for place in [session.place, account(1)] {
            let is_allowed = house.people.authorise(&session, wants, place, true).is_ok();
            assert_eq!(is_allowed, allowed, "{has:?} {wants:?} {place:?}");
        }
    }
}

#[tokio::test]
async fn nobody_is_locked_out_by_a_strength_where_nothing_is_asked_for() {
    let house =
        House::with(Rules { console_url: Some("https://console.example".to_owned()), ..Rules::default() })
            .await;
    let owner = house.bound_with("owner@example.com", "tulip7cement", vec![everywhere(Role::Owner)]).await;
    let step = house.sign_in(&owner.login, "tulip7cement", &home()).await.unwrap();
    let Step::Ask { token, .. } = step else { panic!("{step:?}") };
    let session = house.session(&house.show(&owner, &token, false).await.0).await;
    for strength in [Strength::NoPhone, Strength::PhishingResistant] {
        let contradictory = Demands { policy: Policy::Disabled, strength };
        let refused = why(house.people.set_policy(&session, session.place, contradictory, "why").await);
        assert!(matches!(refused, Refused::Invalid(_)), "{strength:?}: {refused:?}");
    }
    let step = house.sign_in(&owner.login, "tulip7cement", &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_disabled_policy_takes_the_last_factor_from_nobody_with_a_short_password() {
    let house = House::new().await;
    let op = house.bound_with("op@example.com", "tulip7cement", vec![at_account(1, Role::Operator)]).await;
    house.set_policy(account(1), Policy::Disabled).await;
    let step = house.sign_in(&op.login, "tulip7cement", &home()).await.unwrap();
    let Step::Ask { token, .. } = step else { panic!("{step:?}") };
    let session = house.session(&house.show(&op, &token, false).await.0).await;
    let factors = house.store.factors(&session.person.id).await.unwrap();
    let kept = factors.iter().find(|factor| factor.secret.kind() == Kind::Totp).unwrap();
    assert!(matches!(why(house.people.remove_factor(&session, &kept.id).await), Refused::LastFactor));
    let step = house.sign_in(&op.login, "tulip7cement", &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
}

#[tokio::test]
async fn a_time_of_trust_that_is_made_shorter_holds_for_the_computers_there_are() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let device = trusted(&house, &op).await;
    house.wait(8 * 24 * 3_600);
    let typed = Credentials { login: op.login.clone(), password: secret(PASSWORD) };
    let week = house.stricter(Rules { trust_for: SignedDuration::from_hours(7 * 24), ..Rules::default() });
    let step = week.sign_in(&typed, &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    let step = house.people.sign_in(&typed, &with(&device), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { .. }), "with the longer time it is trusted: {step:?}");
}

#[tokio::test]
async fn whoever_has_saved_codes_alone_or_nothing_left_sets_no_policy() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let mut token = house.inside(&maria).await;
    let session = house.session(&token).await;
    let by = operator();
    for factor in house.store.factors(&session.person.id).await.unwrap() {
        if factor.secret.kind() == Kind::Totp {
            let (person, now) = (&session.person.id, house.people.now());
            let removed =
                house.store.remove_factor(&by, person, &factor.id, vec![], Told::nobody(), now).await;
            assert!(removed.unwrap().is_some());
        }
    }
    let all = Policy::ALL.map(|policy| Demands { policy, strength: Strength::Any });
    let mut left = maria.codes.len();
    loop {
        let session = house.session(&token).await;
        for demands in all {
            let refused = why(house.people.set_policy(&session, session.place, demands, "why").await);
            assert!(matches!(refused, Refused::Invalid(_)), "{left} codes, {demands:?}: {refused:?}");
        }
        let Some(rest) = left.checked_sub(1) else { break };
        left = rest;
        if left == 0 {
            // Here it would lead them to make new ones: it is used in another session.
            let factors = house.store.factors(&session.person.id).await.unwrap();
            let last = RecoveryCode::typed(maria.codes[0].expose()).unwrap();
            let (told, now) = (Told::nobody(), house.people.now());
            let used = house.store.use_recovery_code(&by, &factors[0], &last, told, now).await;
            assert!(used.unwrap().unwrap());
            continue;
        }
        let answer = Answer::RecoveryCode(maria.codes[left].clone());
        let step = house.people.show(&token, &session, &answer, false, &home()).await.unwrap();
        let Step::Inside { token: next, .. } = step else { panic!("{step:?}") };
        token = next;
    }
    // Of another account nothing is asked of them there.
    let session = house.session(&token).await;
    house.people.set_policy(&session, account(1), all[2], "why").await.unwrap();
}

#[tokio::test]
async fn whoever_never_needed_a_factor_is_told_when_one_is_asked_for() {
    let house = House::new().await;
    let owner = house.bound("owner@example.com", vec![everywhere(Role::Owner)]).await;
    house.set_policy(account(1), Policy::Disabled).await;
    let invitation = house.invite("op@example.com", vec![at_account(1, Role::Operator)]).await;
    let code = secret(&invitation.code.spelled());
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("{step:?}") };
    let session = house.session(&token).await;
    house.people.finish_binding(&token, &session, &home()).await.unwrap();
    let step = house.sign_in("op@example.com", PASSWORD, &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { .. }), "{step:?}");
    assert_eq!(house.left_out(account(1)).await, [""; 0]);
    let session = house.session(&house.inside(&owner).await).await;
    let once = Demands { policy: Policy::OncePerComputer, strength: Strength::Any };
    house.people.set_policy(&session, account(1), once, "an audit").await.unwrap();
    assert_eq!(house.left_out(account(1)).await, ["op@example.com"]);
    let told = house.store.waiting_effects(99).await.unwrap();
    let told = told.iter().filter(|effect| effect.payload.to_string().contains("takes a second factor"));
    assert_eq!(
        told.map(|effect| effect.payload["to"].as_str()).collect::<Vec<_>>(),
        [Some("op@example.com")]
    );
    let refused = why(house.sign_in("op@example.com", PASSWORD, &home()).await);
    assert!(matches!(refused, Refused::NothingBound), "{refused:?}");
}

#[tokio::test]
async fn each_account_names_those_alone_who_have_nothing_that_does_there() {
    let house = House::new().await;
    let both = vec![at_account(1, Role::Operator), at_account(2, Role::Operator)];
    let both = house.bound("both@example.com", both).await;
    house.bound("one@example.com", vec![at_account(1, Role::Operator)]).await;
    house.bound("two@example.com", vec![at_account(2, Role::Operator)]).await;
    house.invite("never@example.com", vec![at_account(1, Role::Operator)]).await;
    let now = house.people.now();
    let passkeys = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };
    house.set_policy(account(2), Policy::EverySignIn).await;
    house.set_policy(account(3), Policy::EverySignIn).await;
    house.store.set_policy(&operator(), account(1), passkeys, now).await.unwrap();
    assert_eq!(house.left_out(account(1)).await, [&*both.login, "one@example.com"]);
    assert_eq!(house.left_out(account(2)).await, [""; 0]);
    assert_eq!(house.left_out(account(3)).await, [""; 0]);
    let (person, _) = house.store.person_by_login(&both.login).await.unwrap().unwrap();
    house.store.lock_person(&operator(), &person.id, Lock::Out, now).await.unwrap();
    assert_eq!(
        house.left_out(account(1)).await,
        ["one@example.com"],
        "whoever is locked out comes not back so"
    );
}

#[tokio::test]
async fn what_is_demanded_of_everything_goes_along_to_each_account_with_a_role_for_everything() {
    let house = House::new().await;
    let grants = vec![everywhere(Role::Owner), at_account(2, Role::Auditor), at_account(3, Role::Owner)];
    let vera = house.bound("vera@example.com", grants).await;
    let now = house.people.now();
    let passkeys = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };
    house.store.set_policy(&operator(), Where::Everywhere, passkeys, now).await.unwrap();
    house.set_policy(account(2), Policy::OncePerComputer).await;
    let (person, _) = house.store.person_by_login(&vera.login).await.unwrap().unwrap();
    let strength = async |number| {
        let demands = house.people.demands(&person, account(number)).await.unwrap();
        (demands.policy, demands.strength)
    };
    let whole = (Policy::EverySignIn, Strength::PhishingResistant);
    assert_eq!(strength(1).await, whole, "with no role of their own there");
    assert_eq!(strength(2).await, whole, "with one that is less");
    assert_eq!(strength(3).await, (Policy::EverySignIn, Strength::Any), "with one that is as wide");
    // Inside where an application does, she goes no further with it than that.
    let Step::Ask { token, .. } = house.sign_in(&vera.login, PASSWORD, &home()).await.unwrap() else {
        panic!("it is asked for");
    };
    assert_eq!(house.session(&token).await.place, account(3), "the first that takes what she has");
    let (token, _) = house.show(&vera, &token, false).await;
    let session = house.session(&token).await;
    for number in [1, 2] {
        let refused =
            why(house.people.go_to(&token, &session, account(number), &Known::default(), &home()).await);
        assert!(matches!(refused, Refused::NoPasskey), "{refused:?}");
    }
}

#[tokio::test]
async fn whoever_has_typed_the_password_turns_to_no_account_where_they_have_no_role_of_its_own() {
    let house = House::new().await;
    let vera = house.bound("vera@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.asked(&vera, &home()).await;
    let session = house.session(&token).await;
    let turned = house.people.turn_to(&token, &session, account(1), &Known::default(), &home()).await;
    assert!(matches!(why(turned), Refused::Forbidden));
    let turned = house.people.turn_to(&token, &session, session.place, &Known::default(), &home()).await;
    assert!(matches!(turned, Ok(Step::Ask { .. })));
}
