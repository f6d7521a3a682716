//! An installation: a Twilio, a database, nodes, and somebody who is told.
//!
//! Usage triggers are delivered to a plain application that keeps them, in the gate's place; a test hands them on as the
//! gate does, or loses them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use jiff::SignedDuration;
use percent_encoding::percent_decode_str;
use ringfence_breaker::Limit;
use ringfence_control::engine::{Clients, KnownAccount};
use ringfence_control::node::{Job, Keep, Limits, Node, Setup};
use ringfence_control::notices::{MailSettings, Notifier, Settings as NoticeSettings, WebhookSettings};
use ringfence_model::{Actor, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{AuditRow, NewObservation, Store};
use ringfence_testkit::{Recorded, Upstream};
use ringfence_twilio::client::{AccountFilter, Backoff};
use ringfence_twilio::wire::AccountStatus;

use crate::database::Database;
use crate::time::SandboxClock;
use crate::world::World;

pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) database: Database,
    pub(crate) limits: Vec<Limit>,
    /// Where mail goes, if somebody reads mail.
    pub(crate) smtp: Option<String>,
    pub(crate) keep: Keep,
    /// Takes the webhooks of usage triggers.
    triggers: Upstream,
    /// Takes notices.
    told: Upstream,
    handed_on: std::cell::Cell<usize>,
}

/// A node on a machine of its own.
pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) store: Arc<Store>,
    pub(crate) name: String,
}

impl Site {
    pub(crate) async fn start(database: Database, limits: Vec<Limit>) -> Self {
        Self {
            world: World::start(Settings::default()),
            database,
            limits,
            smtp: None,
            keep: Keep::default(),
            triggers: Upstream::saying("").await,
            told: Upstream::saying("").await,
            handed_on: std::cell::Cell::new(0),
        }
    }

    /// A node that has not joined yet, and whose clock is wrong by so many seconds.
    pub(crate) async fn machine(&self, name: &str, wrong_by: i64) -> Machine {
        let clock = SandboxClock::new(&self.world.sandbox, SignedDuration::from_secs(wrong_by));
        let store = self.database.open(self.world.sandbox.now()).await;
        let parent = self.world.sandbox.account_sid();
        let known = KnownAccount {
            sid: parent,
            parent: None,
            auth_token: Secret::new(self.world.sandbox.auth_token(parent).expect("the main account")),
            finds_subaccounts: true,
        };
        let base = format!("http://{}", self.world.sandbox.address()).parse().expect("a URL");
        let mut settings = ringfence_twilio::client::Settings::at(base);
        // Virtual time does not pass while a client waits, so it waits for moments.
        settings.timeout = Duration::from_secs(2);
        settings.deadline = Duration::from_secs(3);
        settings.backoff =
            Backoff { tries: 2, pause_first: Duration::from_millis(1), pause_max: Duration::from_millis(2) };
        let node = Node::new(Setup {
            name: name.to_owned(),
            store: Arc::clone(&store),
            clients: Clients::new(&settings, vec![known]).expect("clients"),
            limits: Limits::new(self.limits.clone()),
            notifier: Some(Arc::new(self.notifier())),
            second_factor: None,
            egress: None,
            clock: Arc::new(clock),
            callback_url: Some(self.callback_url()),
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: self.keep,
            carriers: Vec::new(),
            on_accounts: None,
            shared_keys: None,
            signed_with: None,
            prices: None,
            examination: None,
        });
        Machine { node: node.await.expect("a node"), store, name: name.to_owned() }
    }

    /// Where usage triggers go.
    pub(crate) fn callback_url(&self) -> String {
        format!("http://{}/trigger", self.triggers.address())
    }

    fn notifier(&self) -> Notifier {
        let secret = Some(Secret::new("7f3c0d5e9a1b4c6d8e2f7f3c0d5e9a1b"));
        let webhook = WebhookSettings::new(&format!("http://{}/", self.told.address()), secret, false);
        let mail = self.smtp.as_ref().map(|smtp| {
            let to = ["ops@example.com".to_owned()];
            MailSettings::new(smtp, "ringfence@hooks.example.com", &to, None).expect("settings")
        });
        let settings =
            NoticeSettings { webhook: Some(webhook.expect("a URL")), mail, ..NoticeSettings::default() };
        Notifier::new(settings, Arc::new(|_: Sid| None)).expect("a notifier")
    }

    /// Time passes. Triggers are compared with what was used on the way.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.world.advance(seconds).await;
    }

    /// An account used so much more, in cents.
    pub(crate) fn spend(&self, account: Sid, cents: u64) {
        let micros = i64::try_from(cents * 10_000).expect("an amount");
        self.world.sandbox.book(account, "sms-outbound", 1, micros);
    }

    /// The usage triggers that have arrived since this was asked last, as the gate would keep them.
    pub(crate) fn delivered(&self) -> Vec<NewObservation> {
        let all = self.triggers.requests();
        let before = self.handed_on.replace(all.len());
        all[before..].iter().map(as_observation).collect()
    }

    /// How often each notice was delivered to the operator's program: by its kind and account, for each of its ids.
    pub(crate) fn notices(&self) -> BTreeMap<(String, String), BTreeMap<String, usize>> {
        let mut notices: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for request in self.told.requests() {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("a notice is JSON");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let of = (text(&body["type"]), text(&body["data"]["account"]["sid"]));
            *notices.entry(of).or_default().entry(text(&body["id"])).or_default() += 1;
        }
        notices
    }

    /// How many different notices of a kind were about an account.
    pub(crate) fn told_of(&self, kind: &str, account: Sid) -> usize {
        self.notices().get(&(kind.to_owned(), account.to_string())).map_or(0, BTreeMap::len)
    }

    /// The subaccounts that are suspended at Twilio.
    pub(crate) async fn suspended(&self) -> BTreeSet<Sid> {
        let filter = AccountFilter::default();
        let accounts = self.world.parent.accounts().list(&filter).page_size(1000).all().await;
        let is_suspended =
            |account: &&ringfence_twilio::wire::Account| account.status != AccountStatus::Active;
        let accounts = accounts.expect("the list");
        accounts.iter().filter(is_suspended).map(|it| Sid::parse(&it.sid).expect("a SID")).collect()
    }
}

impl Machine {
    /// Everything that a node does, once.
    pub(crate) async fn round(&self, jobs: &[Job]) {
        self.node.turn().await.expect("the store is there");
        for job in jobs {
            self.node.do_job(*job).await.expect("the store is there");
        }
        while self.node.take_triggers().await.expect("the store is there") > 0 {}
        self.node.confirm().await.expect("the store is there");
        self.node.work().await.expect("the store is there");
    }

    /// Whether nothing waits.
    pub(crate) async fn is_quiet(&self) -> bool {
        let effects = self.store.waiting_effects(1).await.expect("effects");
        let observations = self.store.unprocessed_observations(1).await.expect("observations");
        effects.is_empty() && observations.is_empty()
    }

    /// A usage trigger comes to this machine's gate.
    pub(crate) async fn receive(
        &self,
        site: &Site,
        observation: NewObservation,
    ) -> ringfence_store::Result<()> {
        let by = Actor::Twilio(observation.account.clone());
        self.store.observe(&by, observation, site.world.sandbox.now()).await.map(|_| ())
    }

    /// Works alone until nothing is left to do, as long as it takes within reason. Whoever was there before is dead.
    pub(crate) async fn finish(&self, site: &Site) {
        for _ in 0..3 {
            self.node.turn().await.expect("the store is there");
            site.advance(3).await;
        }
        for minute in 0..30 {
            self.round(&Job::ALL).await;
            if minute > 2 && self.is_quiet().await {
                return;
            }
            site.advance(60).await;
        }
        panic!("it never comes to rest: {:?}", self.store.waiting_effects(10).await);
    }

    pub(crate) async fn audit(&self) -> Vec<AuditRow> {
        self.store.audit_rows(None, None, 1_000_000).await.expect("rows")
    }

    /// The whole audit log is sealed and as it was written.
    pub(crate) async fn assert_chain(&self) {
        let now = "2026-12-01T00:00:00Z".parse().expect("a time");
        let mut verified = self.store.verify_audit(&[]).await.expect("verified");
        // Rows wait to be sealed while any older transaction of the server runs, those of other tests' databases included.
        for _ in 0..10_000 {
            if verified.unsealed == 0 {
                break;
            }
            self.store.seal_audit(now).await.expect("sealed");
            verified = self.store.verify_audit(&[]).await.expect("verified");
        }
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        assert!(verified.rows > 0 && verified.unsealed == 0, "{verified:?}");
    }
}

/// Polls a future so often, and then drops it, as a process does that is killed. None where it was not done by then.
pub(crate) async fn cut<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// What the gate keeps of a usage trigger's webhook, whose signature is proven elsewhere.
fn as_observation(request: &Recorded) -> NewObservation {
    let body = std::str::from_utf8(&request.body).expect("a form is text");
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8().expect("text").into_owned()
    };
    let fields: BTreeMap<String, String> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect();
    let account = fields["AccountSid"].clone();
    NewObservation {
        key: format!("trigger/{account}/{}", fields["IdempotencyToken"]),
        source: "trigger".to_owned(),
        account,
        payload: serde_json::to_value(fields).expect("texts"),
    }
}
