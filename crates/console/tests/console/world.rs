//! An installation with a console: a store in a folder, an engine, the sandbox as Twilio, people who are signed in.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::price_book;
use ringfence_breaker::{Action, Hold, Limit, Measure, Per, Probe, Reset, Scope, Subject, Threshold, Window};
use ringfence_console::{Caller, Console, ConsoleSetup, EgressEnd, Gate, Refusals, Requests, RouteCounts};
use ringfence_control::decide::kind;
use ringfence_control::engine::{Clients, Engine, KnownAccount, Setup};
use ringfence_control::people::{Hasher, Hosts, ProtectedHost, Rules};
use ringfence_control::virtual_credentials::{self, NewVirtualCredential};
use ringfence_control::wanted::AppliedLimit;
use ringfence_model::{Actor, Amount, Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_second_factor::policy::{Assurance, Kind};
use ringfence_store::{
    Admission, EgressAccounts, EgressScopes, Grant, KeptRequest, Keys, Life, Location, MasterKey, NewLimit,
    NewReservation, NewSession, Now, RequestVerdict, Role, SeenOutgoing, SeenRequest, SignInOutcome, Stage,
    Store, Where,
};
use ringfence_testkit::ManualClock;
use ringfence_twilio::client::{Client, Credentials};

/// 2026-03-01 12:00 UTC.
const BEGIN: u64 = 1_772_366_400;

pub(crate) struct World {
    pub(crate) console: Console,
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Store>,
    pub(crate) parent: Sid,
    pub(crate) client: Client,
    sandbox: Sandbox,
    clock: Arc<ManualClock>,
    life: Life,
    /// Whether the control plane has stopped.
    pub(crate) is_away: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

/// So much a day, on every subaccount.
pub(crate) fn limit(name: &str, at: i64, per: Per) -> Limit {
    Limit {
        name: name.to_owned(),
        scope: Scope::Subaccounts,
        per,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(at)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then: vec![Action::Suspend, Action::EndCalls, Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(vec![limit("fifty a day", 50, Per::Account), limit("all together", 400, Per::Together)])
            .await
    }

    /// With these pages behind its sign-in.
    pub(crate) async fn protecting(hosts: Vec<ProtectedHost>) -> Self {
        let rules = Rules {
            console_url: Some("https://console.example.com".to_owned()),
            hosts: Hosts::new(hosts),
            ..Rules::default()
        };
        Self::build(Vec::new(), rules, in_memory(), |_| None, None, true).await
    }

    /// With what is kept of requests in the store, or nowhere.
    pub(crate) async fn keeping(requests: Requests, limits: Vec<Limit>) -> Self {
        Self::build(limits, Rules::default(), requests, |_| None, None, true).await
    }

    /// At the address at which its browsers are, so that passkeys work.
    pub(crate) async fn at_its_address() -> Self {
        let rules = Rules { console_url: Some("http://localhost:9443".to_owned()), ..Rules::default() };
        Self::build(Vec::new(), rules, in_memory(), |_| None, None, true).await
    }

    pub(crate) async fn with(limits: Vec<Limit>) -> Self {
        Self::sending(limits, |_| None).await
    }

    /// The same with codes that go out from the parent's account.
    pub(crate) async fn sending(
        limits: Vec<Limit>,
        second_factor: impl FnOnce(Sid) -> Option<ringfence_control::second_factor::Settings>,
    ) -> Self {
        Self::build(limits, Rules::default(), in_memory(), second_factor, None, true).await
    }

    /// Where what applications send passes it by.
    pub(crate) async fn without_egress(limits: Vec<Limit>) -> Self {
        Self::build(limits, Rules::default(), in_memory(), |_| None, None, false).await
    }

    /// With keys of their own that sign the webhooks of all accounts.
    pub(crate) async fn signing(shared_keys: ringfence_control::shared_keys::Settings) -> Self {
        Self::build(Vec::new(), Rules::default(), in_memory(), |_| None, Some(shared_keys), true).await
    }

    pub(crate) async fn build(
        limits: Vec<Limit>,
        rules: Rules,
        requests: Requests,
        second_factor: impl FnOnce(Sid) -> Option<ringfence_control::second_factor::Settings>,
        shared_keys: Option<ringfence_control::shared_keys::Settings>,
        has_egress: bool,
    ) -> Self {
        let clock = ManualClock::at(BEGIN);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let options = SandboxOptions {
            seed: 7,
            virtual_clock: true,
            settings: Settings::default(),
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::new(options, &listener, Arc::clone(&clock) as _).unwrap();
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let folder = tempfile::tempdir().unwrap();
        let now = clock.now();
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let store = Arc::new(Store::open(&location, &keys, now).await.unwrap());
        let parent = sandbox.account_sid();
        let token = Secret::new(sandbox.auth_token(parent).unwrap());
        let settings =
            ringfence_twilio::client::Settings::at(format!("http://{}", sandbox.address()).parse().unwrap());
        let client = Client::new(settings.clone(), Credentials::auth_token(parent, token.clone())).unwrap();
        let known = KnownAccount { sid: parent, parent: None, auth_token: token, finds_subaccounts: true };
        let clients = Clients::new(&settings, vec![known]).unwrap();
        let life = store.join("one", "hash", now).await.unwrap();
        let engine = Arc::new(Engine::new(Setup {
            store: Arc::clone(&store),
            clients,
            limits: limits.into_iter().map(|limit| AppliedLimit { limit, since: now }).collect(),
            notifier: None,
            second_factor: second_factor(parent),
            egress: has_egress.then(|| ringfence_control::engine::Egress {
                prices: price_book::Rules {
                    unknown: price_book::Unknown::Costs(Amount::from_micros(50_000)),
                    ..price_book::Rules::default()
                },
                allowance: Amount::ZERO,
                by_database_clock: false,
            }),
            shared_keys,
            clock: Arc::clone(&clock) as _,
        }));
        // Links in mails begin with it.
        let mails = rules.console_url.is_some();
        let at_work = Arc::clone(&engine);
        let is_away = Arc::new(AtomicBool::new(false));
        let away = Arc::clone(&is_away);
        let console = Console::new(ConsoleSetup {
            engine: Arc::new(move || {
                if away.load(Ordering::SeqCst) {
                    Err("the store is away".to_owned())
                } else {
                    Ok(Arc::clone(&at_work))
                }
            }),
            clock: Arc::clone(&clock) as _,
            gate: Some(Gate { counts: Arc::new(counted) }),
            requests,
            rules,
            hasher: Hasher::new(1),
            mails,
            egress: has_egress.then(|| EgressEnd {
                url: "http://127.0.0.1:8500".to_owned(),
                prices: price_book::Rules::default(),
            }),
            callback_url: Arc::new(|| Some("https://hooks.example.com/usage".to_owned())),
        });
        let world =
            Self { console, engine, store, parent, client, sandbox, clock, life, is_away, _folder: folder };
        world.engine.synchronise_accounts().await.unwrap();
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds)).await.unwrap();
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The node at work says that it uses the tokens of this moment.
    pub(crate) async fn take_over_tokens(&self) {
        let generation = self.store.token_generation().await.unwrap();
        self.store.take_over_tokens(&self.life, generation).await.unwrap();
    }

    /// What Twilio signs with.
    pub(crate) fn signs_with(&self, account: Sid) -> String {
        self.sandbox.auth_token(account).unwrap()
    }

    pub(crate) async fn subaccount(&self, name: &str) -> Sid {
        let account = self.client.accounts().create(Some(name)).await.unwrap();
        self.engine.synchronise_accounts().await.unwrap();
        Sid::parse(&account.sid).unwrap()
    }

    /// An account has used so much in all, and the engine has seen it.
    pub(crate) async fn spend(&self, account: Sid, price: &str) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let body = format!(
            r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "{price}"}}"#
        );
        let address = self.sandbox.address();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let request = format!(
            "POST /_sandbox/usage HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
        // Twilio's records are a while behind.
        self.advance(120).await;
        for account in self.store.accounts().await.unwrap() {
            self.engine.read_usage(&account, "poll").await.unwrap();
        }
    }

    /// The limits hold, as `ringfence limits apply` has it.
    pub(crate) async fn apply_limits(&self) {
        let limits = self.engine.limits().iter().map(|applied| NewLimit {
            name: applied.limit.name.clone(),
            definition: serde_json::json!(applied.limit),
            hash: serde_json::json!(applied.limit).to_string(),
            since: applied.since,
        });
        self.store.apply_limits(&Actor::job("test"), limits.collect(), self.now()).await.unwrap();
    }

    /// A request of an account through the egress, under the limits that hold for it.
    pub(crate) async fn ask(&self, account: Sid, operation: &str, worst: &str) -> Admission {
        self.ask_for(account, operation, worst, None).await
    }

    /// The same for what goes to numbers that begin so.
    pub(crate) async fn ask_for(
        &self,
        account: Sid,
        operation: &str,
        worst: &str,
        to: Option<&str>,
    ) -> Admission {
        let worst: Amount = worst.parse().unwrap();
        let hold = |applied: &AppliedLimit| {
            let subject = match applied.limit.per {
                Per::Account => Subject::Account(account),
                Per::Together => Subject::Together,
                Per::Prefix => return None,
            };
            Some(Hold {
                limit: Arc::new(applied.clone()),
                subject,
                amount: worst,
                told: worst,
                places: Vec::new(),
            })
        };
        let name = format!("application of {account}");
        let known = self.store.credentials(None).await.unwrap();
        let credential = match known.iter().find(|credential| credential.name == name) {
            Some(credential) => credential.sid,
            None => self.key(&name, Some(account)).await.0,
        };
        let new = NewReservation {
            credential: Some(credential),
            account,
            operation: operation.to_owned(),
            worst,
            holds: self.engine.limits().iter().filter_map(hold).collect(),
            limits: self.store.limits_fingerprint().await.unwrap().into(),
            party: Some(self.store.party_tag("+14155550100", "+15550006789").await.unwrap()),
            beginning: to.map(|to| to.parse().unwrap()),
            patience: SignedDuration::from_secs(60),
            goes_on: SignedDuration::ZERO,
        };
        self.store.admit(new, Now::At(self.now())).await.unwrap()
    }

    /// A virtual credential of one account, or of all, with its secret.
    pub(crate) async fn key(&self, name: &str, account: Option<Sid>) -> (Sid, Secret) {
        let accounts =
            account.map_or(EgressAccounts::All, |account| EgressAccounts::Listed([account].into()));
        let new = NewVirtualCredential {
            name: name.to_owned(),
            scopes: EgressScopes::for_accounts(accounts),
            expires_at: None,
        };
        let by = Actor::CommandLine("ops".to_owned());
        let (made, secret) = virtual_credentials::create(&self.store, &by, new, self.now()).await.unwrap();
        (made.credential.sid, secret)
    }

    /// Has what was ordered done.
    pub(crate) async fn work(&self) {
        loop {
            let mut done = 0;
            for kind in kind::AT_TWILIO {
                done += self.engine.work(&self.life, kind, 100).await.unwrap().done;
            }
            if done == 0 {
                break;
            }
        }
        self.engine.synchronise_accounts().await.unwrap();
    }

    /// A person with this role there, signed in to look at it.
    pub(crate) async fn signed_in(&self, login: &str, role: Role, place: Where) -> Browser<'_> {
        let by = Actor::CommandLine("ops".to_owned());
        let grants = vec![Grant { place, role }];
        let person = self.store.add_person(&by, login, grants, self.now()).await.unwrap();
        let token = self.session(&person.id, place, Stage::Inside).await;
        Browser { world: self, token, person: person.id }
    }

    pub(crate) async fn owner(&self) -> Browser<'_> {
        self.signed_in("owner@example.com", Role::Owner, Where::Everywhere).await
    }

    pub(crate) async fn session(&self, person: &str, place: Where, stage: Stage) -> Secret {
        let sign_in = self.store.begin_sign_in(person, "198.51.100.7", "Firefox", self.now()).await.unwrap();
        if stage == Stage::Inside {
            self.store.end_sign_in(&sign_in, SignInOutcome::New, self.now()).await.unwrap();
        }
        let session = NewSession {
            person: person.to_owned(),
            place,
            stage,
            assurance: match stage {
                Stage::Inside => Assurance::SecondFactor { kind: Kind::Totp, at: self.now() },
                Stage::SecondFactor | Stage::Binding => Assurance::Password,
            },
            password_of: None,
            sign_in,
            address: "198.51.100.7".to_owned(),
            agent: "Firefox".to_owned(),
        };
        self.store.begin_session(session, None, self.now()).await.unwrap()
    }

    pub(crate) async fn answer(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response<Bytes> {
        let caller = Caller { address: [127, 0, 0, 1].into(), is_https: false, told: None };
        self.console.answer(caller, request.body(body.into()).unwrap()).await
    }
}

/// A browser in which somebody is signed in.
pub(crate) struct Browser<'w> {
    pub(crate) world: &'w World,
    pub(crate) token: Secret,
    pub(crate) person: String,
}

impl Browser<'_> {
    /// A request with its cookie, as the browser sends it from one of our pages.
    pub(crate) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).header("host", "localhost:9443");
        let cookie = format!("ringfence={}", self.token.expose());
        let request = request.header("cookie", cookie).header("sec-fetch-site", "same-origin");
        if method == "POST" {
            request
                .header("origin", "http://localhost:9443")
                .header("content-type", "application/x-www-form-urlencoded")
        } else {
            request
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        Page::of(self.world.answer(self.request("GET", path), Bytes::new()).await)
    }

    /// Posts a form as one of our pages has it, with these fields filled in.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf().await;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf", &csrf).extend_pairs(fields);
        Page::of(self.world.answer(self.request("POST", path), form.finish()).await)
    }

    /// What our own forms carry, read off a page.
    pub(crate) async fn csrf(&self) -> String {
        let page = self.get("/limits").await;
        let (_, after) = page.text.split_once("name=\"csrf\" value=\"").unwrap();
        after.split('"').next().unwrap().to_owned()
    }
}

/// An answer, as a person sees it.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) response: Response<Bytes>,
}

impl Page {
    pub(crate) fn of(response: Response<Bytes>) -> Self {
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        let page = Self { status: response.status().as_u16(), text, response };
        // Terminals and logs set code between backticks; a page has `<code>` for that.
        if page.header("content-type").starts_with("text/html") {
            page.does_not_say("`");
        }
        page
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(self.text.contains(text), "{}\n\ndoes not say\n{text}", self.text);
    }

    #[track_caller]
    pub(crate) fn does_not_say(&self, text: &str) {
        assert!(!self.text.contains(text), "{}\n\nsays\n{text}", self.text);
    }
}

/// One that was let in, and two that were not.
pub(crate) fn seen() -> Vec<SeenRequest> {
    let request = |number: u64, path: &str, verdict: RequestVerdict| SeenRequest {
        at: Timestamp::from_second(i64::try_from(BEGIN + number).unwrap()).unwrap(),
        part: "gate",
        route: "/twilio/".to_owned(),
        method: "POST",
        path: path.to_owned(),
        client: [203, 0, 113, 9].into(),
        account: (number < 3).then(|| Sid::new(*b"AC", 1)),
        is_proven: number == 1,
        resource: Some(Sid::new(*b"SM", 7)),
        token: None,
        status: Some(if number == 1 { 200 } else { 403 }),
        request_bytes: Some(1_204),
        answer_bytes: None,
        took: Duration::from_micros(12_345),
        parameters: (number == 1).then(|| vec![("From".to_owned(), "+1… (11 digits)".to_owned())]),
        answer: (number == 1).then(|| "Message".to_owned()),
        outgoing: None,
        verdict,
    };
    let refused = |reason: &str, explanation: Option<&str>| RequestVerdict::Refused {
        reason: reason.to_owned(),
        explanation: explanation.map(str::to_owned),
    };
    let explanation = "The signature is right for http:// and the public URL says https://.\nSet public_url.";
    vec![
        request(3, "/twilio/<script>alert(1)</script>", refused("missing_signature", None)),
        request(2, "/twilio/voice", refused("signature_mismatch", Some(explanation))),
        request(
            1,
            "/twilio/sms",
            RequestVerdict::Admitted { candidate: "port-removed".to_owned(), finding: None },
        ),
    ]
}

/// Requests to Twilio, newest first: one that a limit refused, one that was lost on its way, and one that another limit would
/// have refused.
pub(crate) fn seen_outgoing() -> Vec<SeenRequest> {
    let request =
        |number: u64, verdict: RequestVerdict, status: Option<u16>, outgoing: SeenOutgoing| SeenRequest {
            at: Timestamp::from_second(i64::try_from(BEGIN + 10 + number).unwrap()).unwrap(),
            part: "egress",
            route: "messages.create".to_owned(),
            path: "/api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json"
                .to_owned(),
            client: [192, 0, 2, 4].into(),
            account: Some(Sid::new(*b"AC", 1)),
            is_proven: true,
            resource: (number == 1).then(|| Sid::new(*b"SM", 9)),
            answer: None,
            parameters: Some(vec![("To".to_owned(), "+49… (13 digits)".to_owned())]),
            outgoing: Some(Box::new(SeenOutgoing {
                credential: Some(Sid::new(*b"SK", 3)),
                credential_name: Some("the shop's <texts>".to_owned()),
                ..outgoing
            })),
            verdict,
            status,
            ..seen().remove(2)
        };
    let worst = Some("0.0829".parse().unwrap());
    let explanation = Some("The limit \"fifty a day\" has no room for what this could cost".to_owned());
    let refused = RequestVerdict::Refused { reason: "does_not_fit".to_owned(), explanation };
    let lost = RequestVerdict::PassedOn { failed: Some("in_doubt".to_owned()) };
    let by =
        SeenOutgoing { limit: Some("fifty a day".to_owned()), code: Some(84_030), ..SeenOutgoing::default() };
    let watched = SeenOutgoing {
        worst,
        would_refuse: vec!["an hour, watched".to_owned()],
        code: Some(21_211),
        ..SeenOutgoing::default()
    };
    vec![
        request(3, refused, Some(403), by),
        request(2, lost, Some(504), SeenOutgoing { worst, code: Some(84_051), ..SeenOutgoing::default() }),
        request(1, RequestVerdict::PassedOn { failed: None }, Some(400), watched),
    ]
}

/// The same, in the memory of the gate.
fn in_memory() -> Requests {
    Requests::InMemory(Arc::new(|| {
        let all = (1..).zip(seen().into_iter().rev());
        let all = all.map(|(id, seen)| KeptRequest { id, node: String::new(), seen });
        let mut all: Vec<_> = all.collect();
        all.reverse();
        all
    }))
}

fn counted() -> Vec<RouteCounts> {
    let refused = |reason: &str, count| Refusals { reason: reason.to_owned(), count };
    vec![
        RouteCounts {
            route: "/twilio/".to_owned(),
            admitted: 48_210,
            refused: vec![refused("signature_mismatch", 312), refused("missing_signature", 41)],
        },
        RouteCounts { route: String::new(), admitted: 0, refused: vec![refused("no_route", 1_207)] },
    ]
}
