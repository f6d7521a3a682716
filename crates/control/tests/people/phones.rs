use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_control::engine::{Clients, Engine, Setup};
use ringfence_control::notices::Sender;
use ringfence_control::people::{Answer, Credentials, Known, Refused, Rules, Step, reset_second_factor};
use ringfence_control::second_factor::{Delivery, Settings};
use ringfence_model::{PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::failures::Rule;
use ringfence_second_factor::policy::{Assurance, Demands, Kind, Policy, Strength};
use ringfence_second_factor::pumping::Limits;
use ringfence_store::{FactorSecret, Grant, NewFactor, Role, Session, Told, Where};
use ringfence_twilio::client;

use crate::crashes::until_a_crash;
use crate::house::{Bound, House, PASSWORD, account, everywhere, home, operator, secret, why};
use crate::telling::letters;

/// What sends codes; whatever it sends waits in the outbox, where the test reads it.
fn engine(house: &House) -> Engine {
    let limits = Limits::shipped([Country::parse("US").unwrap()].into());
    let settings = Settings {
        account: Sid::new(*b"AC", 9),
        delivery: Delivery::Programmable { sender: Sender::Name("Owl".to_owned()), caller: None },
        limits: Arc::new(limits),
        lifetime: SignedDuration::from_mins(10),
        key_url: None,
        public_url: None,
        lines: None,
    };
    Engine::new(Setup {
        store: Arc::clone(&house.store),
        clients: Clients::new(&client::Settings::default(), Vec::new()).unwrap(),
        limits: Vec::new(),
        notifier: None,
        second_factor: Some(settings),
        egress: None,
        shared_keys: None,
        clock: house.clock(),
    })
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

/// The codes that wait to be sent, with the numbers they go to.
async fn sent(house: &House) -> Vec<(String, Secret)> {
    let now = house.people.now();
    let life = house.store.join("one", "h", now).await.unwrap();
    let mut sent = Vec::new();
    for claim in house.store.claim_effects(&life, "code", 99, now, now).await.unwrap() {
        let send = Sid::parse(claim.effect.payload["send"].as_str().unwrap()).unwrap();
        let to_send = house.store.code_to_send(send, now).await.unwrap().unwrap();
        house.store.complete_effect(&operator(), &claim, now).await.unwrap();
        sent.push((to_send.challenge.number.to_string(), secret(to_send.code.expose())));
    }
    sent
}

async fn with_phone(house: &House, engine: &Engine, bound: &Bound, to: &str) -> Secret {
    let token = house.inside(bound).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    house.people.add_phone(codes, &session, number(to), Channel::Sms, &home()).await.unwrap();
    let (went_to, code) = sent(house).await.pop().unwrap();
    assert_eq!(went_to, to);
    house.people.confirm_phone(&session, &code).await.unwrap();
    token
}

#[tokio::test]
async fn a_number_counts_once_its_code_was_typed_and_not_before() {
    let house = House::new().await;
    let engine = engine(&house);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    let add = |to: &str, channel| {
        let (people, session, to, from) = (&house.people, &session, number(to), home());
        async move { people.add_phone(codes, session, to, channel, &from).await }
    };
    // Not to where no code goes, and not by a way that there is not.
    assert!(matches!(why(add("+4915123456789", Channel::Sms).await), Refused::Invalid(_)));
    assert!(matches!(why(add("+14155550123", Channel::Call).await), Refused::Invalid(_)));
    add("+14155550123", Channel::Sms).await.unwrap();
    assert!(
        matches!(why(add("+14155550123", Channel::Sms).await), Refused::NoCodeBefore(_)),
        "growing pauses"
    );
    let code = sent(&house).await.pop().unwrap().1;
    let refused = why(house.people.confirm_phone(&session, &secret("000000")).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    assert!(house.people.own_phone(&session).await.unwrap().is_none());
    house.people.confirm_phone(&session, &code).await.unwrap();
    assert_eq!(house.people.own_phone(&session).await.unwrap(), Some(number("+14155550123")));
    assert!(
        matches!(why(house.people.confirm_phone(&session, &code).await), Refused::Over),
        "it is good once"
    );
}

#[tokio::test]
async fn a_number_that_is_refused_waits_for_no_code_and_leaves_the_one_that_does() {
    let house = House::new().await;
    let engine = engine(&house);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = house.inside(&maria).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    let add =
        async |to: &str| house.people.add_phone(codes, &session, number(to), Channel::Sms, &home()).await;
    let waiting = async || house.people.waiting_phone(&session).await.unwrap();
    assert!(matches!(why(add("+33612345678").await), Refused::Invalid(_)));
    assert_eq!(waiting().await, None, "nothing went there");
    add("+14155550188").await.unwrap();
    let code = sent(&house).await.pop().unwrap().1;
    // A slip, and the same number once more too soon.
    assert!(matches!(why(add("+33612345678").await), Refused::Invalid(_)));
    assert!(matches!(why(add("+14155550188").await), Refused::NoCodeBefore(_)));
    assert_eq!(waiting().await, Some(number("+14155550188")));
    house.people.confirm_phone(&session, &code).await.unwrap();
    assert_eq!(house.people.own_phone(&session).await.unwrap(), Some(number("+14155550188")));
    // One that codes do go to takes the place of another that waits.
    house.wait(60);
    add("+14155550199").await.unwrap();
    add("+14155550177").await.unwrap();
    assert_eq!(waiting().await, Some(number("+14155550177")));
    let code = sent(&house).await.pop().unwrap().1;
    house.people.confirm_phone(&session, &code).await.unwrap();
    assert_eq!(house.people.own_phone(&session).await.unwrap(), Some(number("+14155550177")));
}

#[tokio::test]
async fn a_code_that_was_sent_for_one_sign_in_is_none_for_another() {
    let house = House::new().await;
    let engine = engine(&house);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    with_phone(&house, &engine, &maria, "+14155550123").await;
    house.wait(60);
    let codes = engine.second_factor().unwrap();
    let (one, two) = (house.asked(&maria, &home()).await, house.asked(&maria, &home()).await);
    let (first, second) = (house.session(&one).await, house.session(&two).await);
    house.people.send_code(codes, &first, Channel::Sms, &home()).await.unwrap();
    let code = sent(&house).await.pop().unwrap().1;
    let answer = Answer::PhoneCode(code);
    let refused = why(house.people.show(&two, &second, &answer, false, &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    let step = house.people.show(&one, &first, &answer, false, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("{step:?}") };
    let assurance = house.session(&token).await.assurance;
    assert!(matches!(assurance, Assurance::SecondFactor { kind: Kind::Phone, .. }), "{assurance:?}");
}

#[tokio::test]
async fn another_number_takes_the_place_of_the_one_before_and_its_owner_is_told() {
    let house = House::new().await;
    let engine = engine(&house);
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    with_phone(&house, &engine, &op, "+14155550123").await;
    let token = house.asked(&op, &home()).await;
    house.show(&op, &token, true).await.1.unwrap();
    let token = with_phone(&house, &engine, &op, "+14155550199").await;
    let session = house.session(&token).await;
    assert_eq!(house.people.own_phone(&session).await.unwrap(), Some(number("+14155550199")));
    let devices = house.store.devices(&session.person.id, house.people.now()).await.unwrap();
    assert_eq!(devices, [], "trust that rested on it ends");
    let now = house.people.now();
    let life = house.store.join("two", "h", now).await.unwrap();
    let letters = house.store.claim_effects(&life, "letter", 99, now, now).await.unwrap();
    assert!(
        letters.iter().any(|it| it.effect.payload["text"].to_string().contains("phone number")),
        "{letters:?}"
    );
    // The phone of before hears of it, and the new one does not.
    let texts = house.store.claim_effects(&life, "text", 99, now, now).await.unwrap();
    let to: Vec<_> = texts.iter().map(|it| it.effect.payload["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["+14155550123"]);
    assert!(texts[0].effect.payload["text"].as_str().unwrap().contains("was taken away"), "{texts:?}");
}

#[tokio::test]
async fn a_phone_that_an_owner_takes_away_hears_of_it() {
    let house = House::new().await;
    let engine = engine(&house);
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let token = with_phone(&house, &engine, &op, "+14155550123").await;
    let person = house.session(&token).await.person;
    let now = house.people.now();
    reset_second_factor(&house.store, &operator(), person, now).await.unwrap();
    let life = house.store.join("two", "h", now).await.unwrap();
    let texts = house.store.claim_effects(&life, "text", 99, now, now).await.unwrap();
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].effect.payload["to"], "+14155550123");
}

/// Whether a phone is gone from somebody's factors, after everything that was begun in the store has ended.
async fn is_gone(house: &House, person: &str, phone: &str) -> bool {
    house.store.join("flush", "h", house.people.now()).await.unwrap();
    house.store.factors(person).await.unwrap().iter().all(|factor| factor.id != phone)
}

async fn has_heard(house: &House, phone: &str) -> bool {
    house.store.find_effect(&format!("text/{phone}/removed")).await.unwrap().is_some()
}

async fn hears_if_it_is_gone(house: &House, person: &str, phone: &str, polls: usize) {
    assert_eq!(is_gone(house, person, phone).await, has_heard(house, phone).await, "{polls} polls");
}

async fn phone_of(house: &House, person: &str) -> Option<String> {
    let factors = house.store.factors(person).await.unwrap().into_iter();
    let mut phones = factors.filter(|it| it.secret.kind() == Kind::Phone && it.verified_at.is_some());
    phones.next().map(|factor| factor.id)
}

#[tokio::test]
async fn wherever_a_node_dies_a_phone_is_taken_away_only_together_with_what_it_hears() {
    let house = House::new().await;
    let engine = engine(&house);
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let token = house.inside(&op).await;
    let person = house.session(&token).await.person;
    let add = async || {
        let new = NewFactor { secret: FactorSecret::Phone(number("+14155550123")), verified: true };
        house.store.add_factor(&operator(), &person.id, new, house.people.now()).await.unwrap()
    };
    let (by, mut crashes) = (operator(), [0; 3]);
    // Somebody takes it away.
    for polls in 1.. {
        let token = house.inside(&op).await;
        let session = house.session(&token).await;
        let phone = add().await;
        let ended = until_a_crash(house.people.remove_factor(&session, &phone), polls).await;
        hears_if_it_is_gone(&house, &person.id, &phone, polls).await;
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        crashes[0] += 1;
        if let Some(left) = phone_of(&house, &person.id).await {
            house.people.remove_factor(&session, &left).await.unwrap();
        }
    }
    // Somebody binds another.
    let mut before = add().await;
    for polls in 1.. {
        house.wait(86_400);
        let token = house.inside(&op).await;
        let session = house.session(&token).await;
        let to = number(&format!("+1415555{polls:04}"));
        let codes = engine.second_factor().unwrap();
        house.people.add_phone(codes, &session, to, Channel::Sms, &home()).await.unwrap();
        let code = sent(&house).await.pop().unwrap().1;
        let ended = until_a_crash(house.people.confirm_phone(&session, &code), polls).await;
        hears_if_it_is_gone(&house, &person.id, &before, polls).await;
        before = phone_of(&house, &person.id).await.expect("the one or the other");
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        crashes[1] += 1;
    }
    // An owner takes everything away.
    for polls in 1.. {
        let phone = match phone_of(&house, &person.id).await {
            Some(phone) => phone,
            None => add().await,
        };
        house.wait(1);
        let asked = reset_second_factor(&house.store, &by, person.clone(), house.people.now());
        let ended = until_a_crash(asked, polls).await;
        hears_if_it_is_gone(&house, &person.id, &phone, polls).await;
        if let Some(ended) = ended {
            ended.unwrap();
            break;
        }
        crashes[2] += 1;
    }
    // A read may be there at the first poll. A write never is: it waits for another task of this thread.
    assert!(crashes.iter().all(|crashes| *crashes > 0), "{crashes:?}");
}

#[tokio::test]
async fn a_number_that_was_never_confirmed_hears_nothing() {
    let house = House::new().await;
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    let token = house.inside(&op).await;
    let session = house.session(&token).await;
    let new = NewFactor { secret: FactorSecret::Phone(number("+14155550123")), verified: false };
    let by = operator();
    let phone = house.store.add_factor(&by, &session.person.id, new, house.people.now()).await.unwrap();
    house.people.remove_factor(&session, &phone).await.unwrap();
    assert!(is_gone(&house, &session.person.id, &phone).await);
    assert!(!has_heard(&house, &phone).await);
}

#[tokio::test]
async fn where_the_stronger_ones_are_demanded_no_code_is_sent_to_a_phone() {
    let house = House::new().await;
    let engine = engine(&house);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    with_phone(&house, &engine, &maria, "+14155550123").await;
    let demands = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    house.store.set_policy(&operator(), Where::Everywhere, demands, house.people.now()).await.unwrap();
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    let refused = why(house.people.send_code(codes, &session, Channel::Sms, &home()).await);
    assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    assert!(sent(&house).await.is_empty());
}

#[tokio::test]
async fn a_computer_that_a_phone_made_trusted_is_asked_where_phones_do_not_do_any_more() {
    let house = House::new().await;
    let engine = engine(&house);
    let op = house.bound("op@example.com", vec![Grant { place: account(1), role: Role::Operator }]).await;
    with_phone(&house, &engine, &op, "+14155550123").await;
    house.wait(60);
    let by_application = house.asked(&op, &home()).await;
    let by_application = house.show(&op, &by_application, true).await.1.unwrap();
    let token = house.asked(&op, &home()).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    house.people.send_code(codes, &session, Channel::Sms, &home()).await.unwrap();
    let answer = Answer::PhoneCode(sent(&house).await.pop().unwrap().1);
    let step = house.people.show(&token, &session, &answer, true, &home()).await.unwrap();
    let Step::Inside { device: Some(by_phone), .. } = step else { panic!("it is trusted: {step:?}") };
    // The configuration demands more from now on.
    let minimum = Demands { policy: Policy::OncePerComputer, strength: Strength::NoPhone };
    let strict = house.stricter(Rules { minimum, ..Rules::default() });
    let typed = Credentials { login: op.login.clone(), password: secret(PASSWORD) };
    let with = |device: &Secret| Known { devices: vec![device.clone()], ..Known::default() };
    let step = strict.sign_in(&typed, &with(&by_phone), &home()).await.unwrap();
    assert!(matches!(step, Step::Ask { .. }), "{step:?}");
    let step = strict.sign_in(&typed, &with(&by_application), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { .. }), "{step:?}");
    let step = house.people.sign_in(&typed, &with(&by_phone), &home()).await.unwrap();
    assert!(matches!(step, Step::Inside { .. }), "where a phone does, so does its trust: {step:?}");
}

#[tokio::test]
async fn an_owner_who_would_have_saved_codes_alone_does_not_refuse_phones() {
    let house = House::new().await;
    let engine = engine(&house);
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let token = with_phone(&house, &engine, &maria, "+14155550123").await;
    let session = house.session(&token).await;
    let totp = house.store.factors(&session.person.id).await.unwrap();
    let totp = totp.into_iter().find(|factor| factor.secret.kind() == Kind::Totp).unwrap();
    let no_phone = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    house.people.remove_factor(&session, &totp.id).await.unwrap();
    let refused = why(house.people.set_policy(&session, Where::Everywhere, no_phone, "why").await);
    assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    // Who has nothing else is named, and told: saved codes run out.
    house.store.set_policy(&operator(), Where::Everywhere, no_phone, house.people.now()).await.unwrap();
    let left_out = house.left_out(Where::Everywhere).await;
    assert_eq!(left_out.iter().collect::<Vec<_>>(), [&maria.login]);
}

#[tokio::test]
async fn a_phone_that_was_wrong_too_often_counts_no_more_and_its_owner_is_mailed() {
    let house = House::new().await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    let engine = engine(&house);
    with_phone(&house, &engine, &maria, "+14155550123").await;
    let (person, _) = house.store.person_by_login(&maria.login).await.unwrap().unwrap();
    let factors = house.store.factors(&person.id).await.unwrap();
    let phone = factors.iter().find(|it| it.secret.kind() == Kind::Phone).unwrap();
    for _ in 0..19 {
        house.wait(3_600);
        let now = house.people.now();
        house.store.count_attempt(&phone.subject(), Rule::Person, now).await.unwrap().unwrap();
    }
    house.wait(3_600);
    let token = house.asked(&maria, &home()).await;
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    house.people.send_code(codes, &session, Channel::Sms, &home()).await.unwrap();
    let wrong = Answer::PhoneCode(secret("no code"));
    let refused = why(house.people.show(&token, &session, &wrong, false, &home()).await);
    assert!(matches!(refused, Refused::WrongCode), "{refused:?}");
    let letters = house.store.waiting_effects(99).await.unwrap();
    let told = letters.iter().filter(|it| it.payload["subject"] == "A second factor of yours counts no more");
    assert_eq!(told.count(), 1);
    assert!(!house.store.kinds(&person.id).await.unwrap().contains(&Kind::Phone));
    let rows = house.store.audit_rows(None, None, 99).await.unwrap();
    let noted = rows.iter().find(|row| row.action == "factor.disable").unwrap();
    assert_eq!(
        (&*noted.target, &noted.detail["factor"]),
        (&*format!("person {}", person.id), &phone.id.clone().into())
    );
}

/// Somebody with a phone and nothing else, who has left the page on which they were to make codes.
async fn with_a_phone_alone(house: &House, engine: &Engine, login: &str, grants: Vec<Grant>) {
    let invitation = house.invite(login, grants).await;
    let code = secret(&invitation.code.spelled());
    let step = house.people.begin_binding(&code, &secret(PASSWORD), &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("a code leads to binding") };
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    house.people.add_phone(codes, &session, number("+14155550123"), Channel::Sms, &home()).await.unwrap();
    let (_, code) = sent(house).await.pop().unwrap();
    house.people.confirm_phone(&session, &code).await.unwrap();
    let refused = why(house.people.finish_binding(&token, &session, &home()).await);
    assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    house.wait(60);
}

/// The password, and the code that went to the phone.
async fn by_phone(house: &House, engine: &Engine, login: &str) -> Step {
    let step = house.sign_in(login, PASSWORD, &home()).await.unwrap();
    let Step::Ask { token, .. } = step else { panic!("it is asked for: {step:?}") };
    let session = house.session(&token).await;
    let codes = engine.second_factor().unwrap();
    house.people.send_code(codes, &session, Channel::Sms, &home()).await.unwrap();
    let answer = Answer::PhoneCode(sent(house).await.pop().unwrap().1);
    house.wait(60);
    house.people.show(&token, &session, &answer, true, &home()).await.unwrap()
}

#[tokio::test]
async fn a_phone_alone_lets_nobody_in_before_they_have_what_works_without_twilio() {
    let house = House::new().await;
    let engine = engine(&house);
    with_a_phone_alone(&house, &engine, "olga@example.com", vec![everywhere(Role::Owner)]).await;
    letters(&house).await;
    let step = by_phone(&house, &engine, "olga@example.com").await;
    let Step::Bind { token } = step else { panic!("she is led to make codes: {step:?}") };
    let session = house.session(&token).await;
    assert!(house.people.authorise(&session, Role::Auditor, session.place, false).is_err());
    let refused = why(house.people.finish_binding(&token, &session, &home()).await);
    assert!(matches!(refused, Refused::Invalid(_)), "{refused:?}");
    assert!(house.store.devices(&session.person.id, house.people.now()).await.unwrap().is_empty());
    // She has shown a factor, so what she changes is mailed, unlike to whoever was just invited.
    house.people.new_recovery_codes(&session).await.unwrap();
    assert!(letters(&house).await.iter().any(|it| it.text.starts_with("New recovery codes were made")));
    let step = house.people.finish_binding(&token, &session, &home()).await.unwrap();
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    // The session says when she has shown her phone, and nothing else.
    let inside = house.session(&token).await;
    assert_eq!(inside.assurance, session.assurance);
    assert!(matches!(inside.assurance, Assurance::SecondFactor { kind: Kind::Phone, .. }));
    let step = by_phone(&house, &engine, "olga@example.com").await;
    assert!(matches!(step, Step::Inside { .. }), "from then on the phone does: {step:?}");
}

#[tokio::test]
async fn whoever_uses_their_last_code_makes_new_ones_also_while_twilio_is_away() {
    let house = House::new().await;
    let engine = engine(&house);
    with_a_phone_alone(&house, &engine, "olga@example.com", vec![everywhere(Role::Owner)]).await;
    let step = by_phone(&house, &engine, "olga@example.com").await;
    let Step::Bind { token } = step else { panic!("{step:?}") };
    let session = house.session(&token).await;
    let all_but_one_used = async |session: &Session| {
        let codes = house.people.new_recovery_codes(session).await.unwrap();
        let factors = house.store.factors(&session.person.id).await.unwrap();
        let factor = factors.iter().find(|it| it.secret.kind() == Kind::RecoveryCode).unwrap();
        for code in &codes[1..] {
            let (by, now) = (operator(), house.people.now());
            let used = house.store.use_recovery_code(&by, factor, code, Told::nobody(), now).await;
            assert!(used.unwrap().unwrap());
        }
        Answer::RecoveryCode(secret(&codes[0].spelled()))
    };
    // From here on no code arrives. At the door:
    let last = all_but_one_used(&session).await;
    let Step::Ask { token, .. } = house.sign_in("olga@example.com", PASSWORD, &home()).await.unwrap() else {
        panic!("it is asked for");
    };
    let session = house.session(&token).await;
    let step = house.people.show(&token, &session, &last, false, &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("{step:?}") };
    let session = house.session(&token).await;
    let last = all_but_one_used(&session).await;
    let Step::Inside { token, .. } = house.people.finish_binding(&token, &session, &home()).await.unwrap()
    else {
        panic!("she is inside");
    };
    // And where she is inside and is asked again: the session is the same, and no longer.
    let session = house.session(&token).await;
    let step = house.people.show(&token, &session, &last, false, &home()).await.unwrap();
    let Step::Bind { token } = step else { panic!("{step:?}") };
    let led = house.session(&token).await;
    assert_eq!((&led.id, led.expires_at), (&session.id, session.expires_at));
    house.wait(3_600);
    house.people.new_recovery_codes(&led).await.unwrap();
    house.wait(1);
    assert!(matches!(why(house.people.new_recovery_codes(&led).await), Refused::Over), "an hour is over");
    assert!(matches!(house.people.finish_binding(&token, &led, &home()).await, Ok(Step::Inside { .. })));
}

#[tokio::test]
async fn whoever_can_bind_nothing_with_their_phone_is_not_kept_out_by_that() {
    let house = House::new().await;
    let engine = engine(&house);
    let no_phone = Demands { policy: Policy::EverySignIn, strength: Strength::NoPhone };
    let both = [1, 2].map(|number| Grant { place: account(number), role: Role::Operator });
    with_a_phone_alone(&house, &engine, "op@example.com", both.to_vec()).await;
    house.store.set_policy(&operator(), account(2), no_phone, house.people.now()).await.unwrap();
    let step = by_phone(&house, &engine, "op@example.com").await;
    let Step::Inside { token, .. } = step else { panic!("inside: {step:?}") };
    let refused = why(house.people.new_recovery_codes(&house.session(&token).await).await);
    assert!(matches!(refused, Refused::ShowStronger), "{refused:?}");
}
