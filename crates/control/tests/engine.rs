//! The engine on a real store, with a Twilio of our own: what is observed ends in what is so at Twilio.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Subject, Threshold, Window};
use ringfence_control::decide::kind;
use ringfence_control::engine::{ActRefused, Clients, Engine, KnownAccount, Setup, Triggers};
use ringfence_control::plan::Mark;
use ringfence_control::wanted::AppliedLimit;
use ringfence_model::{Actor, Amount, Clock, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{Keys, Life, Location, MasterKey, NewObservation, NewTrigger, Store};
use ringfence_twilio::client::{NewUsageTrigger, TriggerFilter};
use ringfence_twilio::wire::AccountStatus;
use serde_json::json;

use self::world::World;

/// The engine's clock, which goes with the sandbox's.
#[derive(Debug)]
struct Hands {
    unix_seconds: AtomicU64,
    begin: Instant,
}

impl Clock for Hands {
    fn unix_seconds(&self) -> u64 {
        self.unix_seconds.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Instant {
        self.begin + Duration::from_secs(self.unix_seconds())
    }
}

struct Node {
    world: World,
    engine: Engine,
    store: Arc<Store>,
    clock: Arc<Hands>,
    me: Life,
    _folder: tempfile::TempDir,
}

fn fifty_a_day(per: Per, then: Vec<Action>) -> Limit {
    Limit {
        name: "fifty a day".to_owned(),
        scope: Scope::Subaccounts,
        per,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        warn: vec![80],
        then,
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

impl Node {
    async fn start(limits: Vec<Limit>) -> Self {
        let world = World::start(Settings::default());
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(Hands { unix_seconds: AtomicU64::new(1_772_366_400), begin: Instant::now() });
        let now = Timestamp::from_second(1_772_366_400).expect("a time");
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let store = Arc::new(Store::open(&location, &keys, now).await.expect("a store"));
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
        let setup = Setup {
            store: Arc::clone(&store),
            clients,
            limits,
            notifier: None,
            clock: Arc::clone(&clock) as _,
        };
        Self { world, engine: Engine::new(setup), store, clock, me, _folder: folder }
    }

    async fn advance(&self, seconds: u64) {
        self.world.advance(seconds).await;
        self.clock.unix_seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// An account used so much, on top of what it has.
    async fn spend(&self, account: Sid, price: &str) {
        let usage = format!(
            r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "{price}"}}"#
        );
        self.world.control("POST", "usage", &usage).await;
    }

    /// Performs what is due until nothing is.
    async fn work(&self) {
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
    async fn poll(&self) {
        for account in self.store.accounts().await.expect("accounts") {
            self.engine.read_usage(&account, "poll").await.expect("usage is read");
        }
    }

    async fn audit_actions(&self) -> Vec<String> {
        let rows = self.store.audit_rows(None, None, 10_000).await.expect("rows");
        rows.into_iter().map(|row| row.action).collect()
    }

    /// A trigger of ours fires, as the gate keeps it.
    async fn fire(&self, account: Sid, trigger: Sid, amount: &str, key: &str) {
        self.fire_on(account, trigger, amount, key, None).await;
    }

    async fn fire_on(&self, account: Sid, trigger: Sid, amount: &str, key: &str, fired: Option<&str>) {
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

    async fn add_trigger(&self, account: Sid) -> Sid {
        let sid = Sid::new(*b"UT", 7);
        let trigger = NewTrigger {
            sid,
            account,
            limit: "fifty a day".to_owned(),
            subject: account.to_string(),
            value: "50".to_owned(),
            definition: json!({}),
        };
        self.store.add_trigger(&Actor::job("test"), trigger, self.now()).await.expect("kept");
        sid
    }

    fn now(&self) -> Timestamp {
        let seconds = i64::try_from(self.clock.unix_seconds()).expect("a time");
        Timestamp::from_second(seconds).expect("a time")
    }
}

#[tokio::test]
async fn an_account_below_its_limit_is_left_alone() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("quiet").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "49.99").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn a_trigger_that_speaks_of_anothers_account_trips_nothing() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (victim, _) = node.world.subaccount("victim").await;
    let (attacker, _) = node.world.subaccount("attacker").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(victim).await;
    node.fire(attacker, trigger, "1000", "a").await;
    assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 1);
    node.work().await;
    for account in [victim, attacker] {
        assert_eq!(node.world.status(account).await, AccountStatus::Active);
    }
    assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 0, "it is settled");
}

#[tokio::test]
async fn nobody_is_held_to_a_limit_for_a_day_that_was_over_when_it_was_applied() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    for (key, fired, status) in [
        ("a", "Sat, 28 Feb 2026 23:59:59 +0000", AccountStatus::Active),
        ("b", "Sun, 01 Mar 2026 00:00:00 +0000", AccountStatus::Suspended),
    ] {
        node.fire_on(account, trigger, "1000", key, Some(fired)).await;
        assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 1);
        node.work().await;
        assert_eq!(node.world.status(account).await, status, "{fired}");
    }
}

#[tokio::test]
async fn a_trigger_that_fires_suspends_its_account_once_however_often_it_comes() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    for key in ["a", "a", "b"] {
        node.fire(account, trigger, "50.01", key).await;
        node.engine.take_triggered().await.expect("taken");
    }
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    let trips = node.audit_actions().await.iter().filter(|it| *it == "breaker.trip").count();
    assert_eq!(trips, 1);
}

#[tokio::test]
async fn the_poll_trips_what_no_webhook_told() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    let (neighbour, _) = node.world.subaccount("neighbour").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "50.01").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    assert_eq!(node.world.status(neighbour).await, AccountStatus::Active);
}

#[tokio::test]
async fn many_accounts_are_stopped_together_where_none_alone_is_over() {
    let node = Node::start(vec![fifty_a_day(Per::Together, vec![Action::Suspend])]).await;
    let (one, _) = node.world.subaccount("one").await;
    let (other, _) = node.world.subaccount("other").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(one, "25").await;
    node.spend(other, "25").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    for account in [one, other] {
        assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    }
}

#[tokio::test]
async fn an_account_that_somebody_made_active_again_is_suspended_again_and_reported() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "60").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), [], "nothing is wrong yet");
    node.world.parent.accounts().set_status(account, &AccountStatus::Active).await.expect("tampered");
    node.engine.synchronise_accounts().await.expect("synchronised");
    let waiting = node.store.waiting_effects(10).await.expect("effects");
    let mut kinds: Vec<_> = waiting.iter().map(|effect| effect.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [kind::NOTICE, kind::STATUS]);
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn twilio_that_fails_is_asked_again_until_it_is_so() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    node.fire(account, trigger, "50", "a").await;
    node.engine.take_triggered().await.expect("taken");
    node.world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#).await;
    let worked = node.engine.work(&node.me, kind::STATUS, 10).await.expect("the store is there");
    assert_eq!((worked.done, worked.failed), (0, 1));
    node.world.control("DELETE", "faults", "").await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active, "it is not yet time");
    node.advance(60).await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn a_trigger_that_somebody_deleted_comes_back_and_is_reported_and_others_are_left_alone() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, client) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let by = Actor::job("triggers");
    let apply = || async {
        let accounts = node.store.accounts().await.expect("accounts");
        let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        assert!(planned.unread.is_empty());
        let applied = node.engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied");
        assert!(applied.failed.is_empty(), "{applied:?}");
        applied.changed
    };
    let there = || async {
        client.usage_triggers(account).list(&TriggerFilter::default()).all().await.expect("triggers")
    };
    let foreign = NewUsageTrigger {
        callback_url: "https://elsewhere.example.com/".to_owned(),
        trigger_value: "5".to_owned(),
        usage_category: "calls".to_owned(),
        callback_method: None,
        friendly_name: None,
        recurring: None,
        trigger_by: None,
    };
    client.usage_triggers(account).create(&foreign).await.expect("a trigger");
    assert_eq!((apply().await, apply().await), (1, 0));
    assert_eq!(there().await.len(), 2);
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), [], "nothing is wrong yet");
    let ours = there().await.into_iter().find(|it| it.usage_category == "totalprice").expect("ours");
    client.usage_triggers(account).delete(ours.sid.parse().expect("a SID")).await.expect("deleted");
    assert_eq!((apply().await, apply().await), (1, 0));
    assert_eq!(there().await.len(), 2);
    let waiting = node.store.waiting_effects(10).await.expect("effects");
    assert!(waiting.len() == 1 && waiting[0].key.starts_with("trigger-restored/"), "{waiting:?}");
}

#[tokio::test]
async fn an_act_without_a_reason_on_a_stranger_or_on_a_parent_is_refused() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let stranger = Sid::new(*b"AC", 99);
    let engine = &node.engine;
    let trip = async |limit, subject, reason| engine.trip(limit, subject, &by, reason).await.unwrap_err();
    assert!(matches!(trip("fifty", own, "x").await, ActRefused::NoLimit(_)));
    assert!(matches!(trip("fifty a day", own, " ").await, ActRefused::NoReason));
    let unknown = Subject::Account(stranger);
    assert!(matches!(trip("fifty a day", unknown, "x").await, ActRefused::NoAccount(_)));
    assert!(matches!(trip("fifty a day", Subject::Together, "x").await, ActRefused::OutOfScope { .. }));
    let parent = node.world.sandbox.account_sid();
    let refused = engine.suspend_account(parent, &by, "x").await.unwrap_err();
    assert!(matches!(refused, ActRefused::Parent(_)), "{refused}");
    let refused = engine.reset("fifty a day", own, None, &by, "x").await.unwrap_err();
    assert!(matches!(refused, ActRefused::NotTripped { .. }), "{refused}");
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), []);
}

#[tokio::test]
async fn a_reset_lets_a_stated_amount_more_be_spent_and_then_it_trips_again() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let spend = async |price: &str| {
        node.spend(account, price).await;
        node.advance(3600).await;
        node.poll().await;
        node.work().await;
        node.world.status(account).await
    };
    assert_eq!(spend("50").await, AccountStatus::Suspended);
    let refused = node.engine.resume_account(account, &by, "customer called").await.unwrap_err();
    assert!(matches!(refused, ActRefused::Held { .. }), "{refused}");
    node.engine.reset("fifty a day", own, None, &by, "customer called").await.expect("lifted");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
    assert_eq!(spend("4.99").await, AccountStatus::Active);
    assert_eq!(spend("0.01").await, AccountStatus::Suspended);
}

#[tokio::test]
async fn an_operators_hold_outlives_a_reset() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    node.engine.trip("fifty a day", own, &by, "leaked token").await.expect("tripped");
    node.engine.suspend_account(account, &by, "leaked token").await.expect("held");
    node.engine.reset("fifty a day", own, None, &by, "wrong alarm").await.expect("lifted");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    node.engine.resume_account(account, &by, "token rotated").await.expect("resumed");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn a_trigger_whose_row_was_lost_in_a_crash_is_taken_for_ours_again() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let by = Actor::job("triggers");
    let apply = async || {
        let accounts = node.store.accounts().await.expect("accounts");
        let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        node.engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied").changed
    };
    assert_eq!(apply().await, 1);
    let before = node.store.triggers().await.expect("triggers");
    node.store.remove_trigger(&by, before[0].sid, "as a crash does", node.now()).await.expect("removed");
    assert_eq!(apply().await, 0, "Twilio has it already");
    let after = node.store.triggers().await.expect("triggers");
    assert_eq!((after.len(), after[0].sid, &after[0].limit), (1, before[0].sid, &before[0].limit));
}

#[tokio::test]
async fn countries_that_were_closed_open_again_although_the_reset_finds_the_account_suspended() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::CloseGeo])]).await;
    let (account, client) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let open = async || {
        let countries = client.sms_geo_permissions().list(&[]).await.expect("countries");
        countries.iter().filter(|country| country.enabled).count()
    };
    let before = open().await;
    assert!(before > 0);
    node.engine.trip("fifty a day", own, &by, "pumped").await.expect("tripped");
    node.work().await;
    assert_eq!(open().await, 0);
    node.engine.suspend_account(account, &by, "pumped").await.expect("held");
    node.work().await;
    node.engine.reset("fifty a day", own, None, &by, "mended").await.expect("lifted");
    node.work().await;
    let waiting = node.store.waiting_of_account(account).await.expect("effects");
    assert!(waiting.iter().any(|effect| effect.kind == kind::GEO), "it goes on being tried: {waiting:?}");
    node.engine.resume_account(account, &by, "mended").await.expect("resumed");
    node.work().await;
    node.advance(600).await;
    node.work().await;
    assert!(open().await > before / 2, "all but those that only the console opens");
}
