//! A node: an engine on a store of its own, a Twilio to ask, and one clock for both.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Limit, price_book};
use ringfence_control::decide::kind;
use ringfence_control::engine::{Clients, Egress, Engine, KnownAccount, Setup};
use ringfence_control::node::Limits;
use ringfence_control::shared_keys;
use ringfence_control::wanted::AppliedLimit;
use ringfence_model::{Actor, Amount, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{Life, NewObservation, NewTrigger, Store};
use ringfence_testkit::ManualClock;
use ringfence_twilio::wire::RuleMatch;
use serde_json::json;

use crate::database::Database;
pub(crate) use crate::limits::fifty_a_day;
use crate::world::World;

pub(crate) struct Node {
    pub(crate) world: World,
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Store>,
    /// The engine's, which goes with the sandbox's.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) me: Life,
    clients: Clients,
    egress: Option<Egress>,
    _database: Database,
}

fn engine(
    store: &Arc<Store>,
    clients: Clients,
    limits: Vec<AppliedLimit>,
    egress: Option<Egress>,
    clock: &Arc<ManualClock>,
) -> Arc<Engine> {
    Arc::new(Engine::new(Setup {
        store: Arc::clone(store),
        clients,
        limits,
        notifier: None,
        second_factor: None,
        egress,
        shared_keys: Some(shared_keys::Settings {
            accounts: shared_keys::Accounts::All,
            urls: vec![RuleMatch::Prefix("https://hooks.example.com/".to_owned())],
            settle: SignedDuration::from_mins(5),
        }),
        clock: Arc::clone(clock) as _,
    }))
}

impl Node {
    /// On SQLite.
    pub(crate) async fn start(limits: Vec<Limit>) -> Self {
        Self::on(Database::sqlite(), limits).await
    }

    pub(crate) async fn on(database: Database, limits: Vec<Limit>) -> Self {
        let egress = Egress {
            prices: price_book::Rules::default(),
            allowance: Amount::ZERO,
            by_database_clock: false,
        };
        Self::set_up(database, limits, Some(egress)).await
    }

    /// On SQLite, and what applications send passes it by.
    pub(crate) async fn without_egress(limits: Vec<Limit>) -> Self {
        Self::set_up(Database::sqlite(), limits, None).await
    }

    async fn set_up(database: Database, limits: Vec<Limit>, egress: Option<Egress>) -> Self {
        let world = World::start(Settings::default());
        let clock = ManualClock::at(1_772_366_400);
        let now = Timestamp::from_second(1_772_366_400).expect("a time");
        let store = database.open(now).await;
        let parent = world.sandbox.account_sid();
        let known = KnownAccount {
            sid: parent,
            parent: None,
            auth_token: Secret::new(world.sandbox.auth_token(parent).expect("the main account")),
            finds_subaccounts: true,
        };
        let base = format!("http://{}", world.sandbox.address()).parse().expect("a URL");
        let settings = ringfence_twilio::client::Settings::at(base);
        let clients = Clients::new(&settings, vec![known]).expect("clients");
        let limits = limits.into_iter().map(|limit| AppliedLimit { limit, since: now }).collect();
        let me = store.join("one", "hash", now).await.expect("a life");
        let engine = engine(&store, clients.clone(), limits, egress.clone(), &clock);
        Self { world, engine, store, clock, me, clients, egress, _database: database }
    }

    /// The limits of a configuration are applied, and the engine goes on with these.
    pub(crate) async fn apply(&mut self, limits: Vec<Limit>) {
        let (limits, by) = (Limits::new(limits), Actor::job("limits"));
        limits.apply(&self.store, &by, self.now()).await.expect("applied");
        let applied = Limits::applied(&self.store).await.expect("the store is there");
        let limits = applied.expect("this version wrote them");
        self.engine = engine(&self.store, self.clients.clone(), limits, self.egress.clone(), &self.clock);
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        self.world.advance(seconds).await;
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// An account used so much, on top of what it has.
    pub(crate) async fn spend(&self, account: Sid, price: &str) {
        let usage = format!(
            r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "{price}"}}"#
        );
        self.world.control("POST", "usage", &usage).await;
    }

    /// Performs what is due until nothing is.
    pub(crate) async fn work(&self) {
        loop {
            let mut done = 0;
            for kind in kind::AT_TWILIO.into_iter().chain([kind::NOTICE]) {
                done += self.engine.work(&self.me, kind, 100).await.expect("the store is there").done;
            }
            if done == 0 {
                break;
            }
        }
    }

    /// Reads everybody's usage.
    pub(crate) async fn poll(&self) {
        for account in self.store.accounts().await.expect("accounts") {
            self.engine.read_usage(&account, "poll").await.expect("usage is read");
        }
    }

    pub(crate) async fn audit_actions(&self) -> Vec<String> {
        let rows = self.store.audit_rows(None, None, 10_000).await.expect("rows");
        rows.into_iter().map(|row| row.action).collect()
    }

    /// A trigger of ours fires, as the gate keeps it.
    pub(crate) async fn fire(&self, account: Sid, trigger: Sid, amount: &str, key: &str) {
        self.fire_on(account, trigger, amount, key, None).await;
    }

    pub(crate) async fn fire_on(
        &self,
        account: Sid,
        trigger: Sid,
        amount: &str,
        key: &str,
        fired: Option<&str>,
    ) {
        let payload = json!({
            "UsageTriggerSid": trigger,
            "CurrentValue": amount,
            "AccountSid": account,
            "DateFired": fired,
        });
        let observation = NewObservation {
            key: key.to_owned(),
            source: "trigger".to_owned(),
            account: account.to_string(),
            payload,
        };
        let by = Actor::Twilio(account.to_string());
        self.store.observe(&by, observation, self.now()).await.expect("kept");
    }

    pub(crate) async fn add_trigger(&self, account: Sid) -> Sid {
        self.add_trigger_of(account, &account.to_string()).await
    }

    pub(crate) async fn add_trigger_of(&self, account: Sid, subject: &str) -> Sid {
        let sid = Sid::parse(&account.to_string().replacen("AC", "UT", 1)).expect("a SID of its own");
        let trigger = NewTrigger {
            sid,
            account,
            limit: "fifty a day".to_owned(),
            subject: subject.to_owned(),
            value: "50".to_owned(),
            definition: json!({}),
        };
        self.store.add_trigger(&Actor::job("test"), trigger, self.now()).await.expect("kept");
        sid
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
