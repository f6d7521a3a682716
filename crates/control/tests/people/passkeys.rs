use ringfence_control::people::{Answer, Credentials, Known, Refused, Rules, Step};
use ringfence_model::Secret;
use ringfence_second_factor::passkey::Refusal;
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_store::{Grant, NewPasskey, Role, Session, ShownPasskey, Where};
use ringfence_testkit::authenticator::{Authenticator, Made, Shown};
use serde_json::Value;

use crate::house::{Bound, House, PASSWORD, account, everywhere, home, operator, secret, why};

const HOST: &str = "console.example";

async fn house() -> House {
    House::with(Rules { console_url: Some(format!("https://{HOST}")), ..Rules::default() }).await
}

fn new(authenticator: &Authenticator, options: &Value) -> NewPasskey {
    let Made { client_data, attestation } = authenticator.makes(options["challenge"].as_str().unwrap());
    NewPasskey { name: " Maria's phone ".to_owned(), transports: Vec::new(), client_data, attestation }
}

fn answer(authenticator: &Authenticator, options: &Value, counter: u32) -> Answer {
    let Shown { credential, client_data, authenticator_data, signature } =
        authenticator.shows(options["challenge"].as_str().unwrap(), counter);
    Answer::Passkey(ShownPasskey {
        credential,
        client_data,
        authenticator_data,
        signature,
        user_handle: None,
    })
}

async fn binds(house: &House, session: &Session, authenticator: &Authenticator) -> String {
    let options = house.people.ask_to_make_passkey(session).await.unwrap();
    house.people.bind_passkey(session, new(authenticator, &options)).await.unwrap()
}

async fn show(house: &House, token: &Secret, answer: &Answer) -> Result<Step, Refused> {
    let session = house.session(token).await;
    house.people.show(token, &session, answer, false, &home()).await
}

/// Somebody with a passkey beside what everybody here has.
async fn maria(house: &House, authenticator: &Authenticator) -> Bound {
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    binds(house, &session, authenticator).await;
    maria
}

#[tokio::test]
async fn a_password_alone_binds_no_passkey_nor_does_a_factor_of_long_ago() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.asked(&maria, &home()).await;
    let waiting = house.session(&token).await;
    assert!(matches!(why(house.people.ask_to_make_passkey(&waiting).await), Refused::Over));
    let (token, _) = house.show(&maria, &token, false).await;
    let session = house.session(&token).await;
    let options = house.people.ask_to_make_passkey(&session).await.unwrap();
    house.wait(601);
    let late = house.people.bind_passkey(&session, new(&authenticator, &options)).await;
    assert!(matches!(why(late), Refused::AskAgain));
    assert!(matches!(why(house.people.ask_to_make_passkey(&session).await), Refused::AskAgain));
    assert_eq!(house.store.passkeys(&session.person.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_passkey_is_a_first_factor_to_bind_and_needs_no_twilio() {
    let house = house().await;
    let invitation = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let code = secret(&invitation.code.spelled());
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("it leads to binding: {step:?}") };
    let session = house.session(&token).await;
    binds(&house, &session, &Authenticator::new(b"cred", HOST)).await;
    let step = house.people.finish_binding(&token, &session, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    let assurance = house.session(&token).await.assurance;
    assert!(matches!(assurance, Assurance::SecondFactor { kind: Kind::Passkey, .. }), "{assurance:?}");
}

#[tokio::test]
async fn a_passkey_signs_in_once_for_each_challenge() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.asked(&maria, &home()).await;
    let options = house.people.ask_for_passkey(&house.session(&token).await).await.unwrap();
    let right = answer(&authenticator, &options, 2);
    // Another sign-in of hers was asked something else.
    let other = house.asked(&maria, &home()).await;
    let refused = why(show(&house, &other, &right).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Challenge)), "{refused:?}");
    let step = show(&house, &token, &right).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    let assurance = house.session(&token).await.assurance;
    assert!(matches!(assurance, Assurance::SecondFactor { kind: Kind::Passkey, .. }), "{assurance:?}");
    let refused = why(show(&house, &token, &right).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Challenge)), "{refused:?}");
}

#[tokio::test]
async fn anothers_passkey_and_one_of_another_site_let_nobody_in() {
    let house = house().await;
    let maria = maria(&house, &Authenticator::new(b"cred", HOST)).await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let his = Authenticator::new(b"his ", HOST);
    let session = house.session(&house.inside(&otto).await).await;
    binds(&house, &session, &his).await;

    let token = house.asked(&maria, &home()).await;
    let options = house.people.ask_for_passkey(&house.session(&token).await).await.unwrap();
    let refused = why(show(&house, &token, &answer(&his, &options, 2)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Credential)), "{refused:?}");

    let phished = Authenticator::new(b"cred", "console.example.evil.example");
    let options = house.people.ask_for_passkey(&house.session(&token).await).await.unwrap();
    let refused = why(show(&house, &token, &answer(&phished, &options, 2)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Origin)), "{refused:?}");
}

#[tokio::test]
async fn a_passkey_that_was_led_astray_or_asked_its_owner_nothing_lets_nobody_in() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.asked(&maria, &home()).await;
    let challenge = || async { house.people.ask_for_passkey(&house.session(&token).await).await.unwrap() };
    let authenticator = authenticator.led_to("https://console.example.evil.example");
    let refused = why(show(&house, &token, &answer(&authenticator, &challenge().await, 2)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Origin)), "{refused:?}");
    let authenticator = authenticator.led_to("https://console.example").for_party("evil.example");
    let refused = why(show(&house, &token, &answer(&authenticator, &challenge().await, 3)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::RelyingParty)), "{refused:?}");
    let authenticator = authenticator.for_party(HOST).without_verification();
    let refused = why(show(&house, &token, &answer(&authenticator, &challenge().await, 4)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::UserNotVerified)), "{refused:?}");
}

#[tokio::test]
async fn an_authenticator_that_names_another_person_lets_nobody_in() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    for (handle, is_refused) in [("ps_other", true), (session.person.id.as_str(), false)] {
        let options = house.people.ask_for_passkey(&session).await.unwrap();
        let Answer::Passkey(mut shown) = answer(&authenticator, &options, 2) else { panic!("a passkey") };
        shown.user_handle = Some(handle.as_bytes().to_vec());
        let step = show(&house, &token, &Answer::Passkey(shown)).await;
        assert_eq!(matches!(step, Err(Refused::Passkey(Refusal::User))), is_refused, "{step:?}");
        assert_eq!(step.is_err(), is_refused, "{step:?}");
    }
}

#[tokio::test]
async fn a_session_that_went_on_meanwhile_is_let_in_once() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.asked(&maria, &home()).await;
    let before = house.session(&token).await;
    let options = house.people.ask_for_passkey(&before).await.unwrap();
    let right = answer(&authenticator, &options, 2);
    // In another tab she types a code of her application, so this session has another token now.
    let (inside, _) = house.show(&maria, &token, false).await;
    let step = house.people.show(&token, &before, &right, false, &home()).await;
    assert!(matches!(why(step), Refused::Over));
    assert!(house.people.session(&token).await.unwrap().is_none());
    // Signed out, it answers no challenge of before.
    let session = house.session(&inside).await;
    let options = house.people.ask_for_passkey(&session).await.unwrap();
    house.people.sign_out(&session).await.unwrap();
    let step =
        house.people.show(&inside, &session, &answer(&authenticator, &options, 3), false, &home()).await;
    assert!(matches!(why(step), Refused::Over));
}

#[tokio::test]
async fn what_was_asked_for_binding_lets_nobody_in_nor_the_other_way_round() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.inside(&maria).await;
    let session = house.session(&token).await;
    let to_make = house.people.ask_to_make_passkey(&session).await.unwrap();
    let refused = why(show(&house, &token, &answer(&authenticator, &to_make, 2)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Challenge)), "{refused:?}");
    let to_show = house.people.ask_for_passkey(&session).await.unwrap();
    let bound = house.people.bind_passkey(&session, new(&Authenticator::new(b"more", HOST), &to_show)).await;
    assert!(matches!(why(bound), Refused::Passkey(Refusal::Challenge)));
}

#[tokio::test]
async fn a_copy_of_a_passkey_is_refused_and_its_owner_told() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let token = house.asked(&maria, &home()).await;
    let options = house.people.ask_for_passkey(&house.session(&token).await).await.unwrap();
    let letters = house.store.waiting_effects(99).await.unwrap().len();
    let refused = why(show(&house, &token, &answer(&authenticator, &options, 1)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Cloned)), "{refused:?}");
    assert_eq!(house.store.waiting_effects(99).await.unwrap().len(), letters + 1);
}

#[tokio::test]
async fn a_removed_passkey_is_not_asked_for_and_only_its_owner_removes_it() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    let factor = house.store.passkeys(&session.person.id).await.unwrap()[0].factor.clone();
    let his = house.session(&house.inside(&otto).await).await;
    assert!(matches!(why(house.people.remove_passkey(&his, &factor).await), Refused::Invalid(_)));
    house.people.remove_passkey(&session, &factor).await.unwrap();
    let letters = house.store.waiting_effects(99).await.unwrap();
    let told = |effect: &ringfence_store::Effect| effect.payload["text"].as_str().map(str::to_owned);
    let told: Vec<String> = letters.iter().filter_map(told).collect();
    let what = "A passkey was taken away from your sign-in, and every trusted computer is asked again.";
    assert!(told.iter().any(|text| text.starts_with(what)), "{told:?}");
    assert!(matches!(why(house.people.ask_for_passkey(&session).await), Refused::WrongCode));
    assert_eq!(house.store.passkeys(&session.person.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_passkey_that_is_removed_after_it_was_asked_for_lets_nobody_in() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let waiting = house.asked(&maria, &home()).await;
    let options = house.people.ask_for_passkey(&house.session(&waiting).await).await.unwrap();
    let session = house.session(&house.inside(&maria).await).await;
    let spare = binds(&house, &session, &Authenticator::new(b"more", HOST)).await;
    let passkeys = house.store.passkeys(&session.person.id).await.unwrap();
    let lost = &passkeys.iter().find(|passkey| passkey.factor != spare).unwrap().factor;
    house.people.remove_passkey(&session, lost).await.unwrap();
    let refused = why(show(&house, &waiting, &answer(&authenticator, &options, 2)).await);
    assert!(matches!(refused, Refused::Passkey(Refusal::Credential)), "{refused:?}");
}

#[tokio::test]
async fn only_an_owner_of_everything_takes_anothers_away_and_never_the_last_that_does() {
    let house = house().await;
    let maria = maria(&house, &Authenticator::new(b"cred", HOST)).await;
    let person = house.session(&house.inside(&maria).await).await.person;
    let factor = house.store.passkeys(&person.id).await.unwrap()[0].factor.clone();
    let op = house.bound("op@example.com", vec![everywhere(Role::Operator)]).await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let his = house.session(&house.inside(&op).await).await;
    let refused = why(house.people.remove_passkey_of(&his, &person, &factor, "why").await);
    assert!(matches!(refused, Refused::Forbidden), "{refused:?}");
    let owners = house.session(&house.inside(&otto).await).await;
    let op = house.store.person(&his.person.id).await.unwrap().unwrap();
    let refused = why(house.people.remove_passkey_of(&owners, &op, &factor, "why").await);
    assert!(matches!(refused, Refused::Invalid(_)), "it is hers: {refused:?}");
    house.wait(601);
    let refused = why(house.people.remove_passkey_of(&owners, &person, &factor, "why").await);
    assert!(matches!(refused, Refused::AskAgain), "{refused:?}");

    let owners = house.session(&house.inside(&otto).await).await;
    let letters = house.store.waiting_effects(99).await.unwrap().len();
    house.people.remove_passkey_of(&owners, &person, &factor, "it was lost").await.unwrap();
    assert_eq!(house.store.waiting_effects(99).await.unwrap().len(), letters + 1);

    let invitation = house.invite("ana@example.com", vec![everywhere(Role::Auditor)]).await;
    let code = secret(&invitation.code.spelled());
    let Step::Bind { token } = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap()
    else {
        panic!("a code leads to binding");
    };
    let only = binds(&house, &house.session(&token).await, &Authenticator::new(b"only", HOST)).await;
    let refused = why(house.people.remove_passkey_of(&owners, &invitation.person, &only, "why").await);
    assert!(matches!(refused, Refused::LastFactor), "{refused:?}");
}

#[tokio::test]
async fn where_the_console_has_no_address_there_are_no_passkeys() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let session = house.session(&house.inside(&maria).await).await;
    assert!(matches!(why(house.people.ask_to_make_passkey(&session).await), Refused::Invalid(_)));
}

const ONLY_PASSKEYS: Demands = Demands { policy: Policy::EverySignIn, strength: Strength::PhishingResistant };

#[tokio::test]
async fn where_only_passkeys_are_taken_nothing_that_is_typed_lets_anybody_in() {
    let house = house().await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    house.store.set_policy(&operator(), Where::Everywhere, ONLY_PASSKEYS, house.people.now()).await.unwrap();
    let refused = why(house.sign_in(&otto.login, PASSWORD, &home()).await);
    assert!(matches!(refused, Refused::NoPasskey), "he has none, and is told so: {refused:?}");

    let Step::Ask { token, kinds } = house.sign_in(&maria.login, PASSWORD, &home()).await.unwrap() else {
        panic!("she is asked");
    };
    assert_eq!(kinds, [Kind::Passkey]);
    let code = Answer::Totp(secret(&maria.seed.code_at(house.people.now())));
    assert!(matches!(why(show(&house, &token, &code).await), Refused::WrongCode));
    let saved = Answer::RecoveryCode(maria.codes[0].clone());
    assert!(matches!(why(show(&house, &token, &saved).await), Refused::WrongCode));
    let options = house.people.ask_for_passkey(&house.session(&token).await).await.unwrap();
    let step = show(&house, &token, &answer(&authenticator, &options, 2)).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    // Her application would not do, so the passkey is the last factor that does.
    let session = house.session(&token).await;
    let factor = house.store.passkeys(&session.person.id).await.unwrap()[0].factor.clone();
    assert!(matches!(why(house.people.remove_passkey(&session, &factor).await), Refused::LastFactor));
}

#[tokio::test]
async fn a_code_of_an_owners_leads_to_a_passkey_and_to_nothing_less() {
    let house = house().await;
    house.store.set_policy(&operator(), Where::Everywhere, ONLY_PASSKEYS, house.people.now()).await.unwrap();
    let invitation = house.invite("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let code = secret(&invitation.code.spelled());
    let Step::Bind { token } = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap()
    else {
        panic!("a code leads to binding");
    };
    let session = house.session(&token).await;
    house.people.new_totp(&session).await.unwrap();
    let seed = house.seed(&invitation.person.id).await;
    house.people.confirm_totp(&session, &secret(&seed.code_at(house.people.now()))).await.unwrap();
    house.people.new_recovery_codes(&session).await.unwrap();
    let finished = house.people.finish_binding(&token, &session, &home()).await;
    assert!(matches!(why(finished), Refused::NoPasskey));
    binds(&house, &session, &Authenticator::new(b"cred", HOST)).await;
    let step = house.people.finish_binding(&token, &session, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    let assurance = house.session(&token).await.assurance;
    assert!(matches!(assurance, Assurance::SecondFactor { kind: Kind::Passkey, .. }), "{assurance:?}");
}

#[tokio::test]
async fn a_code_that_was_phished_where_it_is_enough_binds_no_passkey_for_where_it_is_not() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let grants = [1, 2].map(|number| Grant { place: account(number), role: Role::Operator }).to_vec();
    let op = house.bound("op@example.com", grants).await;
    house.store.set_policy(&operator(), account(2), ONLY_PASSKEYS, house.people.now()).await.unwrap();
    let token = house.inside(&op).await;
    let session = house.session(&token).await;
    assert!(matches!(why(house.people.ask_to_make_passkey(&session).await), Refused::ShowStronger));
    assert!(matches!(why(house.people.new_recovery_codes(&session).await), Refused::ShowStronger));
    let there = house.people.go_to(&token, &session, account(2), &Known::default(), &home()).await;
    assert!(matches!(why(there), Refused::NoPasskey));

    // With one that was bound before, it is shown, and then binds others.
    house.set_policy(account(2), Policy::EverySignIn).await;
    binds(&house, &session, &authenticator).await;
    house.store.set_policy(&operator(), account(2), ONLY_PASSKEYS, house.people.now()).await.unwrap();
    assert!(matches!(why(house.people.ask_to_make_passkey(&session).await), Refused::ShowStronger));
    let options = house.people.ask_for_passkey(&session).await.unwrap();
    let step = show(&house, &token, &answer(&authenticator, &options, 2)).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    binds(&house, &house.session(&token).await, &Authenticator::new(b"more", HOST)).await;
}

#[tokio::test]
async fn who_demands_passkeys_has_one_and_whoever_has_none_is_told_once() {
    let nowhere = House::new().await;
    let otto = nowhere.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let session = nowhere.session(&nowhere.inside(&otto).await).await;
    let refused = nowhere.people.set_policy(&session, Where::Everywhere, ONLY_PASSKEYS, "why").await;
    assert!(matches!(why(refused), Refused::Invalid(_)), "nobody could have one");

    let house = house().await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let ana = house.bound("ana@example.com", vec![everywhere(Role::Auditor)]).await;
    maria(&house, &Authenticator::new(b"cred", HOST)).await;
    house.invite("new@example.com", vec![everywhere(Role::Auditor)]).await;
    let session = house.session(&house.inside(&otto).await).await;
    let set = || house.people.set_policy(&session, Where::Everywhere, ONLY_PASSKEYS, "why");
    assert!(matches!(why(set().await), Refused::Invalid(_)), "he would lock himself out");
    binds(&house, &session, &Authenticator::new(b"his ", HOST)).await;
    let letters = house.store.waiting_effects(99).await.unwrap().len();
    set().await.unwrap();
    let left_out = house.left_out(Where::Everywhere).await;
    assert_eq!(left_out.iter().collect::<Vec<_>>(), [&ana.login]);
    let told = house.store.waiting_effects(99).await.unwrap();
    assert_eq!(told.len(), letters + 1);
    let letter =
        told.iter().find(|effect| effect.payload.to_string().contains("takes only passkeys")).unwrap();
    assert_eq!(letter.payload["to"], ana.login.as_str());
    house.people.set_policy(&session, Where::Everywhere, ONLY_PASSKEYS, "again").await.unwrap();
    assert_eq!(house.store.waiting_effects(99).await.unwrap().len(), letters + 1, "not again");
}

#[tokio::test]
async fn a_minimum_of_passkeys_is_every_accounts() {
    let house = house().await;
    let otto = house.bound("otto@example.com", vec![everywhere(Role::Owner)]).await;
    let rules = Rules { minimum: ONLY_PASSKEYS, ..house.people.rules().clone() };
    let strict = house.stricter(rules);
    let typed = Credentials { login: otto.login, password: secret(PASSWORD) };
    let refused = why(strict.sign_in(&typed, &Known::default(), &home()).await);
    assert!(matches!(refused, Refused::NoPasskey), "{refused:?}");
}

#[tokio::test]
async fn where_passkeys_are_demanded_a_computer_is_trusted_that_a_passkey_made_so_and_no_other() {
    let house = house().await;
    let authenticator = Authenticator::new(b"cred", HOST);
    let maria = maria(&house, &authenticator).await;
    let once = Policy::OncePerComputer;
    house.set_policy(Where::Everywhere, once).await;
    let token = house.asked(&maria, &home()).await;
    let by_application = house.show(&maria, &token, true).await.1.unwrap();
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    let options = house.people.ask_for_passkey(&session).await.unwrap();
    let shown = answer(&authenticator, &options, 2);
    let step = house.people.show(&token, &session, &shown, true, &home()).await.unwrap();
    let Step::Inside { device: Some(by_passkey), .. } = step else { panic!("it is trusted: {step:?}") };
    let minimum = Demands { policy: once, ..ONLY_PASSKEYS };
    let strict = house.stricter(Rules { minimum, ..house.people.rules().clone() });
    for (device, is_trusted) in [(by_application, false), (by_passkey, true)] {
        let typed = Credentials { login: maria.login.clone(), password: secret(PASSWORD) };
        let known = Known { devices: vec![device], ..Known::default() };
        let step = strict.sign_in(&typed, &known, &home()).await.unwrap();
        assert_eq!(matches!(step, Step::Inside { .. }), is_trusted, "{step:?}");
    }
}
