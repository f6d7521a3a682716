//! An application with a credential, the API before it, and the phones that its codes arrive at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{Method, Request, Response};
use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Limit, price_book};
use ringfence_control::decide::kind;
use ringfence_control::engine::{Clients, Egress, Engine, KnownAccount, Setup};
use ringfence_control::node::Limits;
use ringfence_control::notices::Sender;
use ringfence_control::second_factor::{ApplicationSettings, Delivery, Lines, Settings};
use ringfence_control::user_api::UserApi;
use ringfence_control::verify::{Verify, VerifySetup};
use ringfence_control::wanted::AppliedLimit;
use ringfence_model::{Actor, Amount, PhoneNumber, Secret, Sid};
use ringfence_sandbox::Settings as SandboxSettings;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping;
use ringfence_store::{Application, Life, NewCredential, Store};
use ringfence_testkit::ManualClock;
use ringfence_testkit::openapi::Document;
use ringfence_twilio::client::{Backoff, CallFilter, MessageFilter};
use ringfence_twilio::wire::{Call, Form, Message};
use serde_json::{Value, json};

use crate::database::Database;
use crate::shape;
use crate::world::World;

pub(crate) const TO: &str = "+14155550123";

/// A user name and a password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) response: Response<Bytes>,
}

impl Answer {
    /// The status and Twilio's code.
    pub(crate) fn error(&self) -> (u16, u64) {
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert!(self.body["more_info"].as_str().is_some_and(|it| it.starts_with("https://www.twilio.com/")));
        (self.status, self.body["code"].as_u64().expect("an error has a code"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().expect("text"))
    }
}

/// What else than the usual there is.
pub(crate) struct Options {
    pub(crate) limits: pumping::Limits,
    pub(crate) settings: ApplicationSettings,
    /// Codes go out by Twilio's Verify.
    pub(crate) by_verify: bool,
    pub(crate) can_call: bool,
    /// A code is spoken after a key was pressed.
    pub(crate) after_key: bool,
    /// Which lines get no codes.
    pub(crate) lines: Option<Lines>,
    /// Limits stand before what is sent.
    pub(crate) spending: Option<Spending>,
    pub(crate) database: Database,
}

/// What is held against the prices of codes.
pub(crate) struct Spending {
    pub(crate) limits: Vec<Limit>,
    pub(crate) prices: price_book::Rules,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: pumping::Limits::shipped(countries(&["US", "DE"])),
            settings: ApplicationSettings::default(),
            by_verify: false,
            can_call: true,
            after_key: false,
            lines: None,
            spending: None,
            database: Database::sqlite(),
        }
    }
}

pub(crate) fn countries(names: &[&str]) -> std::collections::BTreeSet<Country> {
    names.iter().map(|name| Country::parse(name).expect("a country of the test")).collect()
}

pub(crate) struct Bank {
    pub(crate) world: World,
    pub(crate) store: Arc<Store>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) application: Application,
    pub(crate) login: Login,
    verify: Verify,
    users: UserApi,
    users_document: Value,
    /// The second factor's, which goes with the sandbox's.
    clock: Arc<ManualClock>,
    me: Life,
    document: Document,
    _database: Database,
}

impl Bank {
    pub(crate) async fn open() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let world = World::start(SandboxSettings::default());
        let clock = ManualClock::at(1_772_366_400);
        let now = Timestamp::from_second(1_772_366_400).expect("a time");
        let store = options.database.open(now).await;
        let account = world.sandbox.account_sid();
        let known = KnownAccount {
            sid: account,
            parent: None,
            auth_token: Secret::new(world.sandbox.auth_token(account).expect("the main account")),
            finds_subaccounts: false,
        };
        let base = format!("http://{}", world.sandbox.address()).parse().expect("a URL");
        // One try each: what is done after a failure is the outbox's business here.
        let backoff = Backoff { tries: 1, ..Backoff::default() };
        let settings =
            ringfence_twilio::client::Settings { backoff, ..ringfence_twilio::client::Settings::at(base) };
        let clients = Clients::new(&settings, vec![known]).expect("clients");
        let number = world.sandbox.phone_numbers().first().expect("a number").clone();
        let delivery = if options.by_verify {
            Delivery::Verify { service: verify_service(&world).await }
        } else {
            let caller = PhoneNumber::parse(&number).expect("a number");
            Delivery::Programmable {
                sender: Sender::Name(number),
                caller: options.can_call.then_some(caller),
            }
        };
        let second_factor = Settings {
            account,
            delivery,
            limits: Arc::new(options.limits),
            lifetime: SignedDuration::from_mins(10),
            key_url: options.after_key.then(|| "https://hooks.example.com/key".to_owned()),
            public_url: None,
            lines: options.lines,
        };
        let (limits, egress) = match options.spending {
            Some(Spending { limits, prices }) => {
                let by = Actor::job("test");
                Limits::new(limits.clone()).apply(&store, &by, now).await.expect("applied");
                let egress = Egress { prices, allowance: Amount::ZERO, by_database_clock: false };
                (limits.into_iter().map(|limit| AppliedLimit { limit, since: now }).collect(), Some(egress))
            }
            None => (Vec::new(), None),
        };
        let has_ledger = egress.is_some();
        let engine = Arc::new(Engine::new(Setup {
            store: Arc::clone(&store),
            clients,
            limits,
            notifier: None,
            second_factor: Some(second_factor),
            egress,
            shared_keys: None,
            clock: Arc::clone(&clock) as _,
        }));
        if has_ledger {
            engine.synchronise_accounts().await.expect("synchronised");
        }
        let me = store.join("one", "hash", now).await.expect("a life");
        let (application, login) = application(&store, &options.settings, "Owl Bank", &[], now).await;
        let source = Arc::clone(&engine);
        let setup = VerifySetup { engine: Arc::new(move || Ok(Arc::clone(&source))) };
        let users = UserApi::new(Arc::clone(&setup.engine));
        let asked = Request::get("/v1/openapi.json").body(Bytes::new()).expect("a request");
        let told = users.answer(IpAddr::from([127, 0, 0, 1]), asked).await;
        let users_document = serde_json::from_slice(told.body()).expect("JSON");
        let document = Document::load("twilio_verify_v2");
        let verify = Verify::new(setup);
        Self {
            world,
            store,
            engine,
            application,
            login,
            verify,
            users,
            users_document,
            clock,
            me,
            document,
            _database: options.database,
        }
    }

    /// Another application with a credential.
    pub(crate) async fn neighbour(&self, scopes: &[&str]) -> (Application, Login) {
        application(&self.store, &ApplicationSettings::default(), "Neighbour", scopes, self.now()).await
    }

    /// A credential of the application.
    pub(crate) async fn credential(&self, scopes: &[&str], expires_at: Option<Timestamp>) -> (Sid, Login) {
        credential(&self.store, self.application.sid, scopes, expires_at, self.now()).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        self.world.advance(seconds).await;
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn service(&self) -> String {
        format!("/v2/Services/{}", self.application.sid)
    }

    /// Asks as the application.
    pub(crate) async fn ask(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.ask_as(Some(&self.login), method, path, form).await
    }

    pub(crate) async fn ask_as(
        &self,
        login: Option<&Login>,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "2fa.example.com");
        if let Some(Login { user, password }) = login {
            let encoded = BASE64.encode(format!("{user}:{}", password.expose()));
            request = request.header("authorization", format!("Basic {encoded}"));
        }
        let form: Form = form.iter().copied().collect();
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let request = request.body(Bytes::from(form.encode())).expect("a request");
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.verify.answer(IpAddr::from([127, 0, 0, 1]), false, request).await;
        let status = response.status().as_u16();
        assert!(status < 500 || status == 503, "{method} {path}: {response:?}");
        let body = match &**response.body() {
            [] => Value::Null,
            body => serde_json::from_slice(body).expect("JSON"),
        };
        if status < 300 && method != Method::HEAD {
            let operation = self.document.operation(method.as_str(), &path);
            let operation = operation.expect("an operation of Twilio's");
            let shown = (!body.is_null()).then_some(&body);
            let problems = operation.check_response(status, shown);
            assert_eq!(problems, Vec::<String>::new(), "{method} {path}: {body:#}");
        }
        Answer { status, body, response }
    }

    /// What is written down of the API for users.
    pub(crate) fn users_document(&self) -> &Value {
        &self.users_document
    }

    /// Asks the API for users. Whatever it answers is what its document says.
    pub(crate) async fn users(
        &self,
        login: Option<&Login>,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(Login { user, password }) = login {
            let encoded = BASE64.encode(format!("{user}:{}", password.expose()));
            request = request.header("authorization", format!("Basic {encoded}"));
        }
        let request = request.body(Bytes::from(body.unwrap_or_default().to_owned())).expect("a request");
        self.users_send(request).await
    }

    pub(crate) async fn users_send(&self, request: Request<Bytes>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.users.answer(IpAddr::from([127, 0, 0, 1]), request).await;
        let status = response.status().as_u16();
        assert!(status < 500 || status == 503, "{method} {path}: {response:?}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let body: Value = serde_json::from_slice(response.body()).expect("JSON");
        if let Some(said) = self.said(&method, &path) {
            let schema = said["responses"][status.to_string()]["content"].as_object();
            let schema = schema.and_then(|content| content.values().next()).map(|content| &content["schema"]);
            assert!(schema.is_some(), "{method} {path} may not answer {status}: {body:#}");
            let schema = schema.expect("it was looked at");
            shape::check(&self.users_document, schema, &body);
        }
        Answer { status, body, response }
    }

    /// What the document says of the operation, if there is one.
    fn said(&self, method: &Method, path: &str) -> Option<&Value> {
        let is_it = |template: &str| {
            let (wanted, given): (Vec<_>, Vec<_>) =
                (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let paths = self.users_document["paths"].as_object()?;
        let mut found = paths.iter().filter(|(template, _)| is_it(template));
        found.find_map(|(_, item)| item.get(method.as_str().to_ascii_lowercase()))
    }

    pub(crate) async fn start(&self, form: &[(&str, &str)]) -> Answer {
        let given = |name: &str| form.iter().any(|(known, _)| *known == name);
        let usual = [("To", TO), ("Channel", "sms")].into_iter().filter(|(name, _)| !given(name));
        let form: Vec<_> = form.iter().copied().chain(usual).collect();
        self.ask("POST", &format!("{}/Verifications", self.service()), &form).await
    }

    /// A start that has to succeed, and the code that arrives.
    pub(crate) async fn started(&self) -> (Value, String) {
        let answer = self.start(&[]).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        self.work().await;
        (answer.body, self.code().await)
    }

    pub(crate) async fn check(&self, code: &str) -> Answer {
        self.check_with(&[("To", TO), ("Code", code)]).await
    }

    pub(crate) async fn check_with(&self, form: &[(&str, &str)]) -> Answer {
        self.ask("POST", &format!("{}/VerificationCheck", self.service()), form).await
    }

    /// Sends what is due; how many were done, and how many were not.
    pub(crate) async fn work(&self) -> (usize, usize) {
        self.work_at(kind::CODE).await
    }

    /// The same of another kind of effects.
    pub(crate) async fn work_at(&self, kind: &str) -> (usize, usize) {
        let worked = self.engine.work(&self.me, kind, 1_000).await.expect("the store is there");
        (worked.done, worked.failed)
    }

    /// Reads what Twilio counts, before which nothing is admitted.
    pub(crate) async fn poll(&self) {
        for account in self.store.accounts().await.expect("accounts") {
            self.engine.read_usage(&account, "poll").await.expect("usage is read");
        }
    }

    /// Looks into Twilio's lists for what is open.
    pub(crate) async fn reconcile(&self) {
        let reconciled = self.engine.reconcile().await.expect("the store is there");
        assert!(reconciled.troubles.is_empty(), "{reconciled:?}");
    }

    pub(crate) async fn messages(&self) -> Vec<Message> {
        let account = self.world.sandbox.account_sid();
        self.world.parent.messages(account).list(&MessageFilter::default()).all().await.expect("a list")
    }

    pub(crate) async fn calls(&self) -> Vec<Call> {
        let account = self.world.sandbox.account_sid();
        self.world.parent.calls(account).list(&CallFilter::default()).all().await.expect("a list")
    }

    /// The code in the newest text.
    pub(crate) async fn code(&self) -> String {
        let messages = self.messages().await;
        let body = messages.first().and_then(|message| message.body.clone()).expect("a text arrived");
        code_in(&body)
    }
}

/// The digits that stand together.
fn code_in(body: &str) -> String {
    let is_code = |word: &&str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    body.split(|letter: char| !letter.is_ascii_alphanumeric())
        .find(is_code)
        .expect("there is a code")
        .to_owned()
}

pub(crate) fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

async fn application(
    store: &Store,
    settings: &ApplicationSettings,
    name: &str,
    scopes: &[&str],
    now: Timestamp,
) -> (Application, Login) {
    let by = Actor::CommandLine("ops".to_owned());
    let application = store.add_application(&by, name, json!(settings), now).await.expect("an application");
    let (_, login) = credential(store, application.sid, scopes, None, now).await;
    (application, login)
}

async fn credential(
    store: &Store,
    application: Sid,
    scopes: &[&str],
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> (Sid, Login) {
    let new = NewCredential {
        kind: "verify".to_owned(),
        application: Some(application),
        name: "test".to_owned(),
        scopes: scopes.iter().map(|it| (*it).to_owned()).collect(),
        expires_at,
    };
    let by = Actor::CommandLine("ops".to_owned());
    let (credential, password) = store.create_credential(&by, new, now).await.expect("a credential");
    (credential.sid, Login { user: credential.sid.to_string(), password })
}

/// A service of the sandbox's Verify that takes codes of ours.
async fn verify_service(world: &World) -> Sid {
    let token = world.sandbox.auth_token(world.sandbox.account_sid()).expect("the main account");
    let credentials = BASE64.encode(format!("{}:{token}", world.sandbox.account_sid()));
    let form = "FriendlyName=Owl&CustomCodeEnabled=true";
    let request = format!(
        "POST /verify.twilio.com/v2/Services HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    let answer = ringfence_testkit::exchange(world.sandbox.address(), request).await.expect("an answer");
    assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    Sid::parse(body["sid"].as_str().expect("a SID")).expect("a SID")
}
