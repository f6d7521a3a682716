//! An egress before a scripted Twilio, with a store, a credential and a limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use ringfence_breaker::price_book::{Fee, Kind, Override, Place, PriceBook, Prices, Rules};
use ringfence_breaker::{
    Action, AppliedLimit, Limit, Measure, Per, Probe, Reset, Scope, Subject, Threshold, Window,
};
use ringfence_gateway::settings::{
    Check, Egress, Inspect, Limits, Listen, Mode, PathRule, Replay, Route, Settings, SignedBy, TwilioTls,
    Twiml,
};
use ringfence_gateway::{EgressRules, EgressStore, Gateway, Hooks, Listeners, TwilioBase};
use ringfence_model::{Amount, Clock, Secret, Sid};
use ringfence_signature::{PublicUrl, Strict};
use ringfence_store::{Booking, EGRESS, EgressAccounts, EgressScopes, NewCredential, NewLimit, Now, Store};
use ringfence_testkit::{Answer, ManualClock, RawClient, Recorded, Response, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) use crate::common::{
    self, ACCOUNT, CHILD, CHILD_TOKEN, STRANGER, TOKEN, authorization, operator, sid,
};
use crate::common::{accounts, keyring, metric, open};

pub(crate) const MESSAGE: &str = "SM00000000000000000000000000000007";
pub(crate) const CALL: &str = "CA00000000000000000000000000000007";
pub(crate) const FROM: &str = "+14155550101";
pub(crate) const TO: &str = "+14155550100";

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) is_away: Arc<AtomicBool>,
    pub(crate) woken: Arc<AtomicUsize>,
    pub(crate) limits: Vec<Arc<AppliedLimit>>,
    _folder: TempDir,
}

/// A credential with its secret.
pub(crate) struct Key {
    pub(crate) sid: Sid,
    pub(crate) secret: Secret,
}

impl Key {
    /// The header line of a request with it.
    pub(crate) fn as_user(&self, user: &str) -> String {
        authorization(user, self.secret.expose())
    }
}

/// What is different in a test.
pub(crate) struct Setup {
    pub(crate) limits: Vec<Limit>,
    pub(crate) change: Box<dyn FnOnce(&mut Settings)>,
    /// Whether limits and prices are there.
    pub(crate) has_rules: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { limits: vec![limit("daily", "50")], change: Box::new(|_| {}), has_rules: true }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings of the egress.
    pub(crate) async fn with(change: impl FnOnce(&mut Egress) + 'static) -> Self {
        let change = Box::new(|settings: &mut Settings| change(settings.egress.as_mut().unwrap()));
        Self::before(twilio().await, Setup { change, ..Setup::default() }).await
    }

    pub(crate) async fn limited(limits: Vec<Limit>) -> Self {
        Self::before(twilio().await, Setup { limits, ..Setup::default() }).await
    }

    /// Before this Twilio.
    pub(crate) async fn before(upstream: Upstream, setup: Setup) -> Self {
        let address = upstream.address();
        Self { upstream: Some(upstream), ..Self::at(address, setup).await }
    }

    /// Before whatever answers at this address.
    pub(crate) async fn at(twilio: SocketAddr, setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let store = open(&folder, clock.now()).await;
        let mut settings = settings(twilio);
        (setup.change)(&mut settings);
        let (is_away, woken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let hooks = hooks(&store, &clock, &is_away, &woken);
        let listeners = Listeners::default().bind(&settings.listen).unwrap();
        let shared_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let gateway = Gateway::start(settings, listeners, shared_clock, 2, hooks).unwrap();
        let mut world = Self {
            gateway,
            upstream: None,
            store,
            clock,
            is_away,
            woken,
            limits: Vec::new(),
            _folder: folder,
        };
        world.apply(setup.limits).await;
        if setup.has_rules {
            world.put_rules(book()).await;
        }
        world
    }

    /// Applies limits and reads Twilio's figure of each back.
    async fn apply(&mut self, limits: Vec<Limit>) {
        let now = self.clock.now();
        let new = limits.iter().map(|limit| NewLimit {
            name: limit.name.clone(),
            definition: json!(limit),
            hash: json!(limit).to_string(),
            since: now,
        });
        self.store.apply_limits(&operator(), new.collect(), now).await.unwrap();
        self.limits = limits.into_iter().map(|limit| Arc::new(AppliedLimit { limit, since: now })).collect();
        for limit in &self.limits {
            for account in [ACCOUNT, CHILD] {
                let subject = Subject::Account(sid(account));
                let (limit, at) = (Arc::clone(limit), Now::At(now));
                let booking = Booking {
                    limit,
                    subject,
                    at: now,
                    seen: Amount::ZERO,
                    allowance: Amount::ZERO,
                    epoch: self.store.epoch_id().await.unwrap(),
                };
                let booked = self.store.book_usage(booking, at).await;
                booked.unwrap();
            }
        }
    }

    pub(crate) async fn put_rules(&self, book: PriceBook) {
        let fingerprint = self.store.limits_fingerprint().await.unwrap().into();
        let (limits, book) = (self.limits.clone(), Arc::new(book));
        let books = [ACCOUNT, CHILD].map(|account| (sid(account), Arc::clone(&book))).into();
        let rules = EgressRules { limits, fingerprint, books, book_of_others: Some(book) };
        self.gateway.egress_rules().put(rules);
    }

    /// What is known before prices were read: those of the configuration, for every account.
    pub(crate) async fn put_rules_before_prices(&self, configured: PriceBook) {
        let fingerprint = self.store.limits_fingerprint().await.unwrap().into();
        let (limits, book_of_others) = (self.limits.clone(), Some(Arc::new(configured)));
        let rules = EgressRules { limits, fingerprint, book_of_others, ..EgressRules::default() };
        self.gateway.egress_rules().put(rules);
    }

    /// A credential for both accounts, with everything else as it is by default.
    pub(crate) async fn key(&self) -> Key {
        self.key_with(|_| {}).await
    }

    /// A credential with other scopes.
    pub(crate) async fn key_with(&self, change: impl FnOnce(&mut EgressScopes)) -> Key {
        let accounts = [ACCOUNT, CHILD].map(sid).into();
        let mut scopes = EgressScopes::for_accounts(EgressAccounts::Listed(accounts));
        change(&mut scopes);
        self.key_of_words(scopes.to_words()).await
    }

    pub(crate) async fn key_of_words(&self, scopes: Vec<String>) -> Key {
        let new = NewCredential {
            kind: EGRESS.to_owned(),
            application: None,
            name: "shop".to_owned(),
            scopes,
            expires_at: Some(self.clock.now().checked_add(SignedDuration::from_hours(24)).unwrap()),
        };
        let (credential, secret) =
            self.store.create_credential(&operator(), new, self.clock.now()).await.unwrap();
        Key { sid: credential.sid, secret }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.egress_address().unwrap()
    }

    /// Sends bytes on a connection of their own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Response {
        RawClient::connect(self.address()).await.unwrap().exchange(request).await.unwrap()
    }

    /// Sends a message from the parent account.
    pub(crate) async fn message(&self, key: &Key) -> Response {
        self.send(message(key, &form())).await
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.upstream.as_ref().unwrap().requests()
    }

    /// Asserts that a request was refused with this code and reached nobody.
    #[track_caller]
    pub(crate) fn assert_refused(&self, response: &Response, status: u16, code: u32) {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        assert_eq!((response.status, body["code"].as_u64()), (status, Some(u64::from(code))), "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert!(
            body["message"].is_string() && body["more_info"].is_string(),
            "it has Twilio's shape: {body}"
        );
        if let Some(upstream) = &self.upstream {
            assert_eq!(upstream.requests().len(), 0, "nothing reaches Twilio");
        }
    }

    /// What is set aside under a limit.
    pub(crate) async fn reserved(&self, limit: &str) -> Amount {
        let rows = self.store.ledger().await.unwrap();
        let rows = rows.iter().filter(|row| row.limit == limit);
        rows.fold(Amount::ZERO, |sum, row| sum.saturating_add(row.ledger.reserved))
    }

    /// The value of a metric with its labels as they are written; 0 where it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        metric(&self.gateway, name).await
    }
}

fn hooks(
    store: &Arc<Store>,
    clock: &Arc<ManualClock>,
    is_away: &Arc<AtomicBool>,
    woken: &Arc<AtomicUsize>,
) -> Hooks {
    let (store, away, clock, woken) =
        (Arc::clone(store), Arc::clone(is_away), Arc::clone(clock), Arc::clone(woken));
    let egress = EgressStore {
        store: Arc::new(move || (!away.load(Ordering::SeqCst)).then(|| Arc::clone(&store))),
        now: Arc::new(move || Now::At(clock.now())),
        woken: Arc::new(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        }),
    };
    Hooks { egress: Some(egress), ..Hooks::default() }
}

pub(crate) fn settings(twilio: SocketAddr) -> Settings {
    let loopback = Some("127.0.0.1:0".parse().unwrap());
    Settings {
        listen: Listen { egress: loopback, admin: loopback, ..Listen::default() },
        tls: None,
        limits: Limits::default(),
        keyring: keyring(),
        routes: vec![route()],
        inspect: Inspect::Nothing,
        egress: Some(Egress {
            twilio: format!("http://{twilio}").parse::<TwilioBase>().unwrap(),
            tls: TwilioTls::new(&[]).unwrap(),
            accounts: accounts(),
            passes_unknown_operations: false,
            passes_foreign_twiml: false,
            passes_unknown_twiml: false,
            timeout: Duration::from_secs(30),
            authority: None,
        }),
        media: None,
    }
}

/// A route of the gate, to which TwiML may lead.
pub(crate) fn route() -> Route {
    Route {
        label: Arc::from("/twilio/"),
        host: None,
        path: PathRule::Prefix("/twilio/".to_owned()),
        methods: vec![Method::POST],
        public_url: PublicUrl::parse("https://hooks.example.com").unwrap(),
        upstream: "http://127.0.0.1:9".parse().unwrap(),
        check: Check::Signature,
        mode: Mode::Enforce,
        strict: Strict::Refuse,
        accounts: None,
        replay: Replay::Auto,
        refusal_status: StatusCode::FORBIDDEN,
        body_cap: 64 * 1024,
        timeout: Duration::from_secs(14),
        proof: None,
        resign: None,
        twiml: Twiml::Limits,
        signed_by: SignedBy::Any,
    }
}

/// A Twilio that makes what is asked for.
pub(crate) async fn twilio() -> Upstream {
    Upstream::start(|request| async move { answer(&request) }).await
}

/// What Twilio would say.
pub(crate) fn answer(request: &Recorded) -> Answer {
    let made =
        |sid: &str| json_answer(201, &json!({ "sid": sid, "account_sid": ACCOUNT, "status": "queued" }));
    let path = request.target.split('?').next().unwrap_or_default();
    match request.method.as_str() {
        "POST" if path.ends_with("/Messages.json") => made(MESSAGE),
        "POST" if path.ends_with("/Calls.json") => made(CALL),
        "POST" if path.contains("/Calls/") => made(CALL),
        "DELETE" => Answer::new(204, ""),
        _ => json_answer(200, &json!({ "path": request.target })),
    }
}

pub(crate) fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::new(status, body.to_string()).header("content-type", "application/json;charset=utf-8")
}

/// Every segment to the United States and Great Britain costs a dollar, a minute a tenth, and nothing has a fee but a
/// lookup and a code, which cost a tenth.
pub(crate) fn book() -> PriceBook {
    PriceBook::new(Prices::new("USD"), book_rules()).unwrap()
}

pub(crate) fn book_rules() -> Rules {
    let mut rules = Rules::default();
    let prices = [(Kind::Segment, "1"), (Kind::Mms, "2"), (Kind::CarrierFee, "0"), (Kind::Minute, "0.1")];
    let number = Override { kind: Kind::Number, place: Place::Everywhere, price: "3".parse().unwrap() };
    rules.overrides.destinations.push(number);
    for (kind, price) in prices {
        for prefix in ["+1", "+44"] {
            let (place, price) = (Place::Prefix(prefix.parse().unwrap()), price.parse().unwrap());
            rules.overrides.destinations.push(Override { kind, place, price });
        }
    }
    for fee in Fee::ALL {
        let price = if fee.name().contains("lookup") || fee.name().contains("verif") { "0.1" } else { "0" };
        rules.overrides.fees.insert(*fee, price.parse().unwrap());
    }
    rules
}

pub(crate) fn limit(name: &str, at: &str) -> Limit {
    Limit {
        name: name.to_owned(),
        scope: Scope::All,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(at.parse().unwrap()),
        burst: None,
        unseen: None,
        warn: vec![],
        then: vec![Action::Notify],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

pub(crate) fn form() -> String {
    format!("To={}&From={}&Body=hello", encoded(TO), encoded(FROM))
}

pub(crate) fn encoded(text: &str) -> String {
    text.replace('+', "%2B").replace(':', "%3A").replace('/', "%2F")
}

/// A request with the credential of the account.
pub(crate) fn request(key: &Key, method: &str, target: &str, form: &str) -> String {
    let authorization = key.as_user(ACCOUNT);
    raw(method, target, &[&authorization], form)
}

/// A request with these header lines.
pub(crate) fn raw(method: &str, target: &str, lines: &[&str], form: &str) -> String {
    let lines = [&["host: egress.example:8500"], lines].concat();
    common::request(&format!("{method} {target}"), &lines, "application/x-www-form-urlencoded", form)
}

pub(crate) fn message(key: &Key, form: &str) -> String {
    request(key, "POST", &messages(ACCOUNT), form)
}

pub(crate) fn messages(account: &str) -> String {
    format!("/api.twilio.com/2010-04-01/Accounts/{account}/Messages.json")
}

pub(crate) fn calls(account: &str) -> String {
    format!("/api.twilio.com/2010-04-01/Accounts/{account}/Calls.json")
}
