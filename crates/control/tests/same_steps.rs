//! Whoever asks about somebody and whoever asks about nobody has the same done for them: the same statements of the store,
//! in the same order, and as many hashes. So the clock has nothing to tell; what it does tell is measured by
//! `ringfence-bench timing`.
//!
//! A program of its own, with one test: what is counted is counted in the whole process.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail like tests")]

#[path = "people/house.rs"]
#[expect(dead_code, reason = "the tests of people use more of it")]
mod house;

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Request;
use jiff::SignedDuration;
use ringfence_control::engine::{Clients, Engine, KnownAccount, Setup};
use ringfence_control::notices::Sender;
use ringfence_control::people::{Refused, Rules};
use ringfence_control::second_factor::{ApplicationSettings, Delivery, Settings};
use ringfence_control::user_api::UserApi;
use ringfence_control::verify::{Verify, VerifySetup};
use ringfence_model::{Secret, Sid};
use ringfence_second_factor::pumping::Limits;
use ringfence_store::{Lock, NewCredential, Role};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use house::{House, at, everywhere, operator};

/// What was done, in the order in which it was.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
            || metadata.target().starts_with("ringfence_control::people::password")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut step = Step(event.metadata().target().to_owned());
        event.record(&mut step);
        // A connection of the pool that is new is set up by itself, for whomever it is.
        if !step.0.contains("PRAGMA") {
            self.0.lock().unwrap().push(step.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What a step was: a statement's text or a message, without how many rows there were and how long it took.
struct Step(String);

impl Visit for Step {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["summary", "message"].contains(&field.name()) {
            let _ = write!(self.0, " {value:?}");
        }
    }
}

#[tokio::test]
async fn who_is_not_there_costs_the_same_statements_and_hashes_as_who_is() {
    let steps = Steps::default();
    tracing::subscriber::set_global_default(steps.clone()).unwrap();
    sign_ins(&steps).await;
    credentials(&steps).await;
}

async fn sign_ins(steps: &Steps) {
    let house = House::with(Rules::default()).await;
    let maria = house.bound("maria@example.com", vec![everywhere(Role::Owner)]).await;
    // One who was invited and never came, and one who was locked out.
    house.invite("invited@example.com", vec![everywhere(Role::Auditor)]).await;
    let locked = house.invite("locked@example.com", vec![everywhere(Role::Auditor)]).await;
    house.store.lock_person(&operator(), &locked.person.id, Lock::Out, house.people.now()).await.unwrap();

    let mut of_each = Vec::new();
    for (number, login) in
        [&maria.login, "nobody@example.com", "invited@example.com", "locked@example.com"].iter().enumerate()
    {
        steps.take();
        let refused = house.sign_in(login, "not the password", &at(&format!("203.0.113.{number}"))).await;
        assert!(matches!(refused, Err(Refused::Wrong)), "{login}: {refused:?}");
        of_each.push((login.to_string(), steps.take()));
    }
    let (_, known) = &of_each[0];
    let hashes = known.iter().filter(|step| step.contains("people::password")).count();
    assert_eq!(hashes, 1, "{known:#?}");
    assert!(known.len() > 5, "statements are counted: {known:#?}");
    for (login, steps) in &of_each {
        assert_eq!(steps, known, "{login}");
    }
}

async fn credentials(steps: &Steps) {
    let house = House::new().await;
    let now = house.people.now();
    let account = Sid::new(*b"AC", 1);
    let settings = json!(ApplicationSettings::default());
    let application = house.store.add_application(&operator(), "Owl Bank", settings, now).await.unwrap();
    let mut made = Vec::new();
    for expires_at in [None, Some(now)] {
        let new = NewCredential {
            kind: "verify".to_owned(),
            application: Some(application.sid),
            name: "test".to_owned(),
            scopes: Vec::new(),
            expires_at,
        };
        made.push(house.store.create_credential(&operator(), new, now).await.unwrap());
    }
    let [(good, _), (_, expired)] = made.try_into().unwrap_or_else(|_| panic!("two were made"));
    let known = KnownAccount {
        sid: account,
        parent: None,
        auth_token: Secret::new("11111111111111111111111111111111"),
        finds_subaccounts: false,
    };
    let twilio = ringfence_twilio::client::Settings::at("http://127.0.0.1:9".parse().unwrap());
    let engine = Arc::new(Engine::new(Setup {
        store: Arc::clone(&house.store),
        clients: Clients::new(&twilio, vec![known]).unwrap(),
        limits: Vec::new(),
        notifier: None,
        second_factor: Some(Settings {
            account,
            delivery: Delivery::Programmable { sender: Sender::Name("Owl".to_owned()), caller: None },
            limits: Arc::new(Limits::shipped(BTreeSet::new())),
            lines: None,
            lifetime: SignedDuration::from_mins(10),
            key_url: None,
            public_url: None,
        }),
        egress: None,
        shared_keys: None,
        clock: house.clock(),
    }));
    let setup = VerifySetup { engine: Arc::new(move || Ok(Arc::clone(&engine))) };
    let users = UserApi::new(Arc::clone(&setup.engine));
    let verify = Verify::new(setup);
    let wrong = Secret::new("f".repeat(64));
    let cases = [
        ("a known one with a wrong secret", good.sid, &wrong),
        ("an unknown one", Sid::new(*b"SK", 1), &wrong),
        ("one that is expired, with its own secret", good.sid, &expired),
        ("the account with a wrong secret", account, &wrong),
    ];
    let mut of_each = Vec::new();
    for (name, user, secret) in cases {
        let encoded = STANDARD.encode(format!("{user}:{}", secret.expose()));
        let asked = |path: &str| {
            let request = Request::get(path).header("authorization", format!("Basic {encoded}"));
            request.body(Bytes::new()).unwrap()
        };
        let from = IpAddr::from([203, 0, 113, 1]);
        steps.take();
        assert_eq!(verify.answer(from, true, asked("/v2/Services")).await.status(), 401, "{name}");
        assert_eq!(users.answer(from, asked("/v1/users/alice")).await.status(), 401, "{name}");
        of_each.push((name, steps.take()));
    }
    let (_, known) = &of_each[0];
    assert_eq!(known.len(), 2, "one statement for each API: {known:#?}");
    for (name, steps) in &of_each {
        assert_eq!(steps, known, "{name}");
    }
}
