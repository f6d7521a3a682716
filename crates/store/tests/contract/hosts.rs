//! Sessions of protected hosts, and the codes that begin them.

use ringfence_model::Secret;
use ringfence_second_factor::device::SecretHash;
use ringfence_second_factor::policy::{Assurance, Kind};
use ringfence_store::{
    Error, Forget, Grant, HandedOver, Lock, NewSession, Person, Role, Session, Stage, Store, Told, Where,
    random_token,
};

use crate::world::{World, after, all, on_both, operator, start};

const WIKI: &str = "wiki.example.com";
const CRM: &str = "crm.example.com";

on_both! {
    a_code_opens_nothing_at_another_host_in_another_browser_or_later,
    whatever_comes_of_it_a_code_is_used_up,
    of_many_who_use_a_code_at_once_one_enters,
    a_session_that_has_ended_gives_no_code_and_takes_none,
    a_token_of_one_host_is_none_at_another,
    whatever_ends_the_session_of_the_console_ends_those_of_hosts,
    being_asked_again_ends_no_session_of_a_host,
    a_session_of_a_host_is_over_when_it_is_idle_or_the_consoles_is_old,
    a_check_writes_nothing_within_the_minute,
    entering_again_takes_the_place_of_the_session_before,
    what_is_over_is_forgotten_and_nothing_else,
}

struct Signed {
    person: Person,
    token: Secret,
    session: Session,
}

fn inside(person: &Person) -> NewSession {
    NewSession {
        person: person.id.clone(),
        place: Where::Everywhere,
        stage: Stage::Inside,
        assurance: Assurance::SecondFactor { kind: Kind::Totp, at: start() },
        password_of: None,
        sign_in: "si_1".into(),
        address: "203.0.113.7".into(),
        agent: "Firefox on Linux".into(),
    }
}

async fn signed_in(store: &Store, login: &str) -> Signed {
    let grants = vec![Grant { place: Where::Everywhere, role: Role::Auditor }];
    let person = store.add_person(&operator(), login, grants, start()).await.unwrap();
    let token = store.begin_session(inside(&person), None, start()).await.unwrap();
    let session = store.session(&token, start()).await.unwrap().unwrap();
    Signed { person, token, session }
}

fn hash(secret: &Secret) -> SecretHash {
    SecretHash::of(secret.expose())
}

async fn code(store: &Store, signed: &Signed, host: &str, began: &Secret) -> Secret {
    store.begin_hand_over(&signed.session.id, host, &hash(began), start()).await.unwrap()
}

/// Goes to a host at once.
async fn enter(store: &Store, signed: &Signed, host: &str, before: Option<&Secret>) -> Secret {
    let began = random_token();
    let code = code(store, signed, host, &began).await;
    match store.end_hand_over(&code, host, Some(&began), before, start()).await.unwrap() {
        HandedOver::Session(token, _) => token,
        HandedOver::Refused => panic!("refused"),
    }
}

async fn is_inside(store: &Store, token: &Secret, host: &str, seconds: i64) -> bool {
    store.host_session(token, host, after(seconds)).await.unwrap().is_some()
}

async fn a_code_opens_nothing_at_another_host_in_another_browser_or_later(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let (began, other) = (random_token(), random_token());
    for (host, secret, seconds) in
        [(CRM, Some(&began), 0), (WIKI, Some(&other), 0), (WIKI, None, 0), (WIKI, Some(&began), 60)]
    {
        let code = code(store, &maria, WIKI, &began).await;
        let ended = store.end_hand_over(&code, host, secret, None, after(seconds)).await.unwrap();
        assert!(matches!(ended, HandedOver::Refused), "{host} {seconds}");
    }
    let forged = store.end_hand_over(&random_token(), WIKI, Some(&began), None, start()).await.unwrap();
    assert!(matches!(forged, HandedOver::Refused));
    let good = code(store, &maria, WIKI, &began).await;
    let ended = store.end_hand_over(&good, WIKI, Some(&began), None, after(59)).await.unwrap();
    assert!(matches!(ended, HandedOver::Session(_, person) if person.id == maria.person.id));
}

async fn whatever_comes_of_it_a_code_is_used_up(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let began = random_token();
    for (host, secret) in [(CRM, Some(&began)), (WIKI, None), (WIKI, Some(&began))] {
        let code = code(store, &maria, WIKI, &began).await;
        store.end_hand_over(&code, host, secret, None, start()).await.unwrap();
        let again = store.end_hand_over(&code, WIKI, Some(&began), None, start()).await.unwrap();
        assert!(matches!(again, HandedOver::Refused), "{host}");
    }
}

async fn of_many_who_use_a_code_at_once_one_enters(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let began = random_token();
    let code = code(store, &maria, WIKI, &began).await;
    let ended = all((0..32).map(|_| store.end_hand_over(&code, WIKI, Some(&began), None, start()))).await;
    let entered = ended.iter().filter(|it| matches!(it, Ok(HandedOver::Session(..)))).count();
    assert_eq!(entered, 1);
}

async fn a_session_that_has_ended_gives_no_code_and_takes_none(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let began = random_token();
    let waiting = code(store, &maria, WIKI, &began).await;
    store.end_sessions(&operator(), &maria.person.id, None, None, start()).await.unwrap();
    let ended = store.end_hand_over(&waiting, WIKI, Some(&began), None, start()).await.unwrap();
    assert!(matches!(ended, HandedOver::Refused));
    let refused = store.begin_hand_over(&maria.session.id, WIKI, &hash(&began), start()).await;
    assert!(matches!(refused, Err(Error::Missing { .. })));
    // Halfway is not inside either.
    let half = NewSession { stage: Stage::SecondFactor, ..inside(&maria.person) };
    let token = store.begin_session(half, None, start()).await.unwrap();
    let half = store.session(&token, start()).await.unwrap().unwrap();
    let refused = store.begin_hand_over(&half.id, WIKI, &hash(&began), start()).await;
    assert!(matches!(refused, Err(Error::Missing { .. })));
}

async fn a_token_of_one_host_is_none_at_another(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let token = enter(store, &maria, WIKI, None).await;
    assert!(is_inside(store, &token, WIKI, 0).await);
    assert!(!is_inside(store, &token, CRM, 0).await, "a stolen cookie");
    assert!(!is_inside(store, &maria.token, WIKI, 0).await, "the console's own");
    assert!(store.session(&token, start()).await.unwrap().is_none(), "and it opens no console");
}

async fn whatever_ends_the_session_of_the_console_ends_those_of_hosts(world: World) {
    let store = &world.store;
    let by = operator();
    for way in 0..5 {
        let signed = signed_in(store, &format!("{way}@example.com")).await;
        let id = signed.person.id.as_str();
        let (wiki, crm) = (enter(store, &signed, WIKI, None).await, enter(store, &signed, CRM, None).await);
        assert!(is_inside(store, &wiki, WIKI, 1).await && is_inside(store, &crm, CRM, 1).await);
        match way {
            0 => _ = store.end_sessions(&by, id, Some(&signed.session.id), None, after(1)).await.unwrap(),
            1 => store.set_password(&by, id, &Secret::new("hash"), Told::nobody(), after(1)).await.unwrap(),
            2 => _ = store.lock_person(&by, id, Lock::Out, after(1)).await.unwrap(),
            // Signed in anew in the same browser.
            3 => {
                _ = store.begin_session(inside(&signed.person), Some(&signed.token), after(1)).await.unwrap();
            }
            _ => {
                let other = vec![Grant { place: Where::Everywhere, role: Role::Owner }];
                store.add_person(&by, "owner@example.com", other, start()).await.unwrap();
                store.remove_person(&by, id, after(1)).await.unwrap();
            }
        }
        assert!(!is_inside(store, &wiki, WIKI, 1).await, "way {way}");
        assert!(!is_inside(store, &crm, CRM, 1).await, "way {way}");
    }
}

async fn being_asked_again_ends_no_session_of_a_host(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let token = enter(store, &maria, WIKI, None).await;
    store.change_session(&maria.token, inside(&maria.person), after(5)).await.unwrap();
    assert!(is_inside(store, &token, WIKI, 5).await);
}

async fn a_session_of_a_host_is_over_when_it_is_idle_or_the_consoles_is_old(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let token = enter(store, &maria, WIKI, None).await;
    // The console is not used meanwhile, and is not kept open by it.
    let mut seconds = 0;
    while seconds < 12 * 3_600 - 60 {
        assert!(is_inside(store, &token, WIKI, seconds).await, "after {seconds} s");
        seconds += 29 * 60;
    }
    let listed = store.sessions(&maria.person.id, after(12 * 3_600 - 60)).await.unwrap();
    assert_eq!(listed.len(), 1, "what opens a host can be seen and ended");
    assert!(!is_inside(store, &token, WIKI, 12 * 3_600).await);
    assert!(store.session(&maria.token, after(31 * 60)).await.unwrap().is_none());

    let idle = signed_in(store, "idle@example.com").await;
    let token = enter(store, &idle, WIKI, None).await;
    assert!(is_inside(store, &token, WIKI, 30 * 60 - 1).await);
    let token = enter(store, &idle, WIKI, None).await;
    assert!(!is_inside(store, &token, WIKI, 30 * 60).await);
}

async fn a_check_writes_nothing_within_the_minute(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let token = enter(store, &maria, WIKI, None).await;
    for seconds in [1, 30, 59] {
        assert!(is_inside(store, &token, WIKI, seconds).await);
    }
    // Had one of them been written down, it would not be idle yet.
    assert!(!is_inside(store, &token, WIKI, 30 * 60).await);
}

async fn entering_again_takes_the_place_of_the_session_before(world: World) {
    let store = &world.store;
    let maria = signed_in(store, "maria@example.com").await;
    let first = enter(store, &maria, WIKI, None).await;
    let second = enter(store, &maria, WIKI, Some(&first)).await;
    assert!(!is_inside(store, &first, WIKI, 0).await);
    assert!(is_inside(store, &second, WIKI, 0).await);
    let hosts = store.hosts_of(&maria.person.id, start()).await.unwrap();
    assert_eq!(hosts, [(maria.session.id.clone(), WIKI.to_owned())]);
}

async fn what_is_over_is_forgotten_and_nothing_else(world: World) {
    let store = &world.store;
    let by = operator();
    let maria = signed_in(store, "maria@example.com").await;
    enter(store, &maria, WIKI, None).await;
    code(store, &maria, CRM, &random_token()).await;
    let hours = |hours: i64| after(hours * 3_600);
    // The code after its minute; the session of the host after twelve hours. That of the console is among what sign-ins
    // leave behind.
    for (time, rows) in [(after(60), 0), (after(61), 1), (hours(12), 0), (after(12 * 3_600 + 1), 1)] {
        assert_eq!(store.forget(&by, Forget::Sessions, time, 99, time).await.unwrap(), rows, "{time}");
    }
    assert!(store.person(&maria.person.id).await.unwrap().is_some());
}
