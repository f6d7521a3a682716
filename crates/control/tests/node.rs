//! Nodes of one installation: who works, who waits and says why, and who takes over.

#[path = "node/unread.rs"]
mod unread;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_breaker::{Action, Limit, Measure, Per, Probe, Reset, Scope, Threshold, Window};
use ringfence_control::doctor::Words;
use ringfence_control::engine::{Clients, KnownAccount};
use ringfence_control::node::{Examination, Idle, Job, Keep, Limits, Node, Setup};
use ringfence_model::{Actor, Amount, Secret, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{
    Keys, Location, MasterKey, NewEffect, NewLimit, RequestFilter, RequestVerdict, SeenRequest, Store,
};
use ringfence_testkit::ManualClock;
use ringfence_twilio::client::{IncomingNumberChange, IncomingNumberFilter, TriggerFilter};
use ringfence_twilio::wire::AccountStatus;

use self::world::World;

const BEGIN: u64 = 1_772_366_400;

/// One store, one Twilio, one clock; nodes come and go.
struct Installation {
    world: World,
    store: Arc<Store>,
    clock: Arc<ManualClock>,
    told: Arc<AtomicUsize>,
    accounts: Arc<Mutex<Vec<Sid>>>,
    examination: Option<Examination>,
    folder: tempfile::TempDir,
    keep: Keep,
}

fn at_most(units: i64) -> Limit {
    Limit {
        name: "a day".to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(units)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then: vec![Action::Suspend],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

impl Installation {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let location = Location::Sqlite(folder.path().join("ringfence.db"));
        let now = Timestamp::from_second(BEGIN.cast_signed()).expect("a time");
        Self {
            world: World::start(Settings::default()),
            store: Arc::new(Store::open(&location, &keys, now).await.expect("a store")),
            clock: ManualClock::at(BEGIN),
            told: Arc::default(),
            accounts: Arc::default(),
            examination: None,
            keep: Keep::default(),
            folder,
        }
    }

    async fn node(&self, name: &str, limits: Vec<Limit>) -> Node {
        let parent = self.world.sandbox.account_sid();
        let known = KnownAccount {
            sid: parent,
            parent: None,
            auth_token: Secret::new(self.world.sandbox.auth_token(parent).expect("the main account")),
            finds_subaccounts: true,
        };
        let base = format!("http://{}", self.world.sandbox.address()).parse().expect("a URL");
        let settings = ringfence_twilio::client::Settings::at(base);
        let (told, accounts) = (Arc::clone(&self.told), Arc::clone(&self.accounts));
        Node::new(Setup {
            name: name.to_owned(),
            store: Arc::clone(&self.store),
            clients: Clients::new(&settings, vec![known]).expect("clients"),
            limits: Limits::new(limits),
            notifier: None,
            second_factor: None,
            egress: None,
            clock: Arc::clone(&self.clock) as _,
            callback_url: Some("https://gate.example.com/triggers".to_owned()),
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: self.keep,
            carriers: Vec::new(),
            on_accounts: Some(Arc::new(move |keys| {
                told.fetch_add(1, Ordering::SeqCst);
                *accounts.lock().expect("nobody panicked") =
                    keys.accounts.iter().map(|account| account.sid).collect();
                Vec::new()
            })),
            shared_keys: None,
            signed_with: None,
            prices: None,
            examination: self.examination.clone(),
        })
        .await
        .expect("a node")
    }

    /// A second passes, and each node gives its sign of life.
    async fn second(&self, nodes: &[&Node]) {
        self.clock.advance(Duration::from_secs(1));
        for node in nodes {
            node.turn().await.expect("the store is there");
        }
    }
}

fn jobs(node: &Node) -> usize {
    Job::ALL.into_iter().filter(|job| node.has(*job)).count()
}

#[tokio::test]
async fn what_is_kept_of_requests_goes_with_its_time_and_where_it_is_too_much() {
    let mut here = Installation::new().await;
    here.keep =
        Keep { requests: Some(Duration::from_hours(24)), requests_at_most: Some(4), ..Keep::default() };
    let node = here.node("one", Vec::new()).await;
    node.turn().await.expect("the store is there");
    let at = |hours: i64| {
        let at = Timestamp::from_second(BEGIN.cast_signed() + 3_600 * hours).expect("a time");
        let verdict = RequestVerdict::Refused { reason: "no_route".to_owned(), explanation: None };
        SeenRequest {
            at,
            part: "gate",
            route: String::new(),
            method: "GET",
            path: "/".to_owned(),
            client: [203, 0, 113, 9].into(),
            account: None,
            is_proven: false,
            resource: None,
            token: None,
            verdict,
            outgoing: None,
            status: Some(404),
            request_bytes: None,
            answer_bytes: None,
            took: Duration::ZERO,
            parameters: None,
            answer: None,
        }
    };
    let seven: Vec<_> = [-25, -24, -23, -3, -2, -1, 0].map(at).to_vec();
    here.store.keep_requests("one", &seven, 100).await.expect("the store is there");
    let done = node.do_job(Job::Forget).await.expect("the store is there").expect("it is this node's");
    assert_eq!(done.count, 3, "one is older than a day, and of six there are two too many");
    let left = here.store.requests(&RequestFilter::default(), None, 10).await.expect("the store is there");
    let left: Vec<_> = left.into_iter().map(|request| request.seen.at).collect();
    assert_eq!(left, [0, -1, -2, -3].map(|hours| at(hours).at));
    let again = node.do_job(Job::Forget).await.expect("the store is there").expect("it is this node's");
    assert_eq!(again.count, 0);
    let audit = here.store.audit_rows(Some("requests"), None, 10).await.expect("the store is there");
    assert_eq!(audit.iter().filter(|row| row.action == "store.forget").count(), 1);
}

#[tokio::test]
async fn a_node_whose_limits_differ_does_nothing_and_says_who_has_others() {
    let here = Installation::new().await;
    let old = here.node("old", vec![at_most(50)]).await;
    old.turn().await.expect("the store is there");
    let new = here.node("new", vec![at_most(10)]).await;
    here.second(&[&old, &new]).await;
    assert_eq!(old.readiness(), Ok(()));
    assert_eq!(new.readiness(), Err(Idle::Differs(vec!["old".to_owned()])));
    let why = new.readiness().expect_err("it is not ready").to_string();
    assert!(why.contains("old is at work with") && why.contains("limits apply"), "{why}");
    assert_eq!((jobs(&old), jobs(&new)), (Job::ALL.len(), 0));
    for job in Job::ALL {
        assert!(new.do_job(job).await.expect("the store is there").is_none());
    }
}

#[tokio::test]
async fn new_limits_hold_when_the_last_node_with_old_ones_has_gone() {
    let here = Installation::new().await;
    let old = here.node("old", vec![at_most(50)]).await;
    let new = here.node("new", vec![at_most(10)]).await;
    old.turn().await.expect("the store is there");
    here.second(&[&old, &new]).await;
    old.leave().await.expect("the store is there");
    here.second(&[&new]).await;
    assert_eq!(new.readiness(), Ok(()));
    let limits = new.at_work().expect("it works").engine.limits().to_vec();
    assert_eq!(limits[0].limit, at_most(10));
    assert_eq!(
        limits[0].since,
        Timestamp::from_second(BEGIN.cast_signed()).expect("a time"),
        "its scope is the same"
    );
    assert_eq!(jobs(&new), Job::ALL.len());
}

#[tokio::test]
async fn limits_that_an_operator_applies_hold_at_once_and_the_others_stop_deciding() {
    let here = Installation::new().await;
    let old = here.node("old", vec![at_most(50)]).await;
    let new = here.node("new", vec![at_most(10)]).await;
    old.turn().await.expect("the store is there");
    here.second(&[&old, &new]).await;
    let by = Actor::CommandLine("anna".to_owned());
    let now = Timestamp::from_second(BEGIN.cast_signed() + 2).expect("a time");
    let applied = Limits::new(vec![at_most(10)]).apply(&here.store, &by, now).await.expect("applied");
    assert_eq!(applied.changed, ["a day"]);
    here.second(&[&old, &new, &old, &new]).await;
    assert_eq!(old.readiness(), Err(Idle::Differs(vec!["new".to_owned()])));
    assert_eq!(new.readiness(), Ok(()));
    assert_eq!((jobs(&old), jobs(&new)), (0, Job::ALL.len()));
}

#[tokio::test]
async fn limits_that_were_applied_while_nobody_has_them_are_held_by_whoever_is_at_work() {
    let here = Installation::new().await;
    let (one, two) = (here.node("one", vec![at_most(50)]).await, here.node("two", vec![at_most(50)]).await);
    here.second(&[&one, &two]).await;
    let by = Actor::CommandLine("anna".to_owned());
    let now = Timestamp::from_second(BEGIN.cast_signed() + 2).expect("a time");
    Limits::new(vec![at_most(10)]).apply(&here.store, &by, now).await.expect("applied");
    for _ in 0..3 {
        here.second(&[&one, &two]).await;
        for node in [&one, &two] {
            assert_eq!(node.readiness(), Ok(()));
            let limits = node.at_work().expect("it works").engine.limits().to_vec();
            assert_eq!(limits.iter().map(|applied| &applied.limit).collect::<Vec<_>>(), [&at_most(10)]);
        }
        assert_eq!(jobs(&one) + jobs(&two), Job::ALL.len());
    }
    // As soon as a node has them from its own configuration, the others are to be brought to it too.
    let reloaded = here.node("three", vec![at_most(10)]).await;
    here.second(&[&reloaded, &one, &two]).await;
    assert_eq!(reloaded.readiness(), Ok(()));
    assert_eq!(one.readiness(), Err(Idle::Differs(vec!["three".to_owned()])));
}

#[tokio::test]
async fn limits_that_another_version_wrote_and_this_one_cannot_read_are_held_by_nobody() {
    let here = Installation::new().await;
    let node = here.node("one", vec![at_most(50)]).await;
    here.second(&[&node]).await;
    let limit = NewLimit {
        name: "a day".to_owned(),
        definition: serde_json::json!({ "name": "a day", "scope": "the moon" }),
        hash: "of another version".to_owned(),
        since: Timestamp::from_second(BEGIN.cast_signed()).expect("a time"),
    };
    let by = Actor::CommandLine("anna".to_owned());
    here.store.apply_limits(&by, vec![limit], Timestamp::UNIX_EPOCH).await.expect("applied");
    for _ in 0..2 {
        here.second(&[&node]).await;
        assert_eq!(node.at_work().expect_err("it cannot work"), Idle::Replaced);
        assert_eq!(node.readiness(), Ok(()), "the gate verifies all the same");
        assert_eq!(jobs(&node), 0, "whoever can read them may have them");
    }
    // It has not put its own back.
    assert_eq!(Limits::applied(&here.store).await.expect("the store is there"), None);
}

#[tokio::test]
async fn a_node_that_dies_is_replaced_within_seconds_and_one_that_was_only_silent_joins_again() {
    let here = Installation::new().await;
    let limits = || vec![at_most(50)];
    let (one, two) = (here.node("one", limits()).await, here.node("two", limits()).await);
    here.second(&[&one, &two]).await;
    assert_eq!((jobs(&one), jobs(&two)), (Job::ALL.len(), 0));
    let mut seconds = 0;
    while jobs(&two) == 0 {
        here.second(&[&two]).await;
        seconds += 1;
    }
    assert!((5..=7).contains(&seconds), "after {seconds} s");
    // It wakes up, believes for a moment that it has its jobs, and is told by the store.
    for job in Job::ALL {
        assert!(one.do_job(job).await.expect("the store is there").is_none());
    }
    here.second(&[&one, &two]).await;
    assert_eq!(here.store.nodes().await.expect("nodes").len(), 2);
    assert_eq!((jobs(&one), jobs(&two)), (0, Job::ALL.len()));
}

#[tokio::test]
async fn a_subaccount_made_a_minute_ago_is_known_to_the_gate_and_has_its_trigger() {
    let here = Installation::new().await;
    let node = here.node("one", vec![at_most(50)]).await;
    node.turn().await.expect("the store is there");
    node.do_job(Job::Accounts).await.expect("done");
    let (account, client) = here.world.subaccount("new").await;
    assert!(!here.accounts.lock().expect("nobody panicked").contains(&account));
    node.do_job(Job::Accounts).await.expect("done");
    assert!(here.accounts.lock().expect("nobody panicked").contains(&account));
    let done = node.do_job(Job::Triggers).await.expect("done").expect("it is this node's");
    assert_eq!((done.count, done.troubles.len()), (1, 0));
    let triggers =
        client.usage_triggers(account).list(&TriggerFilter::default()).all().await.expect("listed");
    assert_eq!(triggers.len(), 1);
    let told = here.told.load(Ordering::SeqCst);
    node.do_job(Job::Accounts).await.expect("done");
    assert_eq!(here.told.load(Ordering::SeqCst), told, "nothing is told that is known");
}

#[tokio::test]
async fn what_an_earlier_master_key_sealed_is_sealed_anew_so_that_the_key_may_go() {
    let mut here = Installation::new().await;
    let order = NewEffect {
        kind: "a kind that nobody performs".to_owned(),
        key: "a".to_owned(),
        payload: serde_json::json!({ "to": "+14155550123" }),
        not_before: None,
    };
    let now = Timestamp::from_second(BEGIN.cast_signed()).expect("a time");
    here.store.add_effect(&Actor::job("test"), order.clone(), now).await.expect("kept");
    let location = Location::Sqlite(here.folder.path().join("ringfence.db"));
    let open = async |previous: Vec<MasterKey>| {
        let keys = Keys::Given { current: MasterKey::from_bytes([8; 32]), previous };
        Store::open(&location, &keys, now).await
    };
    here.store = Arc::new(open(vec![MasterKey::from_bytes([7; 32])]).await.expect("both keys open it"));
    let node = here.node("one", vec![at_most(50)]).await;
    node.turn().await.expect("the store is there");
    let done = node.do_job(Job::Reseal).await.expect("done").expect("it is this node's");
    assert!(done.count > 0, "{done:?}");
    let again = node.do_job(Job::Reseal).await.expect("done").expect("it is this node's");
    assert_eq!(again.count, 0, "nothing is left");

    let store = open(Vec::new()).await.expect("the new key alone opens it");
    let effect = store.find_effect("a").await.expect("it can be opened").expect("it is there");
    assert_eq!(effect.payload, order.payload);
}

#[tokio::test]
async fn it_is_told_of_each_of_two_nodes_which_jobs_it_does_and_who_took_them_over() {
    let here = Installation::new().await;
    let (one, two) = (here.node("one", vec![at_most(50)]).await, here.node("two", vec![at_most(50)]).await);
    here.second(&[&one, &two]).await;
    let told = async |node: &Node| {
        let nodes = node.at_work().expect("it works").engine.views().nodes().await.expect("seen").nodes;
        nodes.into_iter().map(|node| (node.name, node.jobs)).collect::<Vec<_>>()
    };
    let done_by = |node: &Node| {
        let mut names: Vec<_> = Job::ALL.into_iter().filter(|job| node.has(*job)).map(Job::name).collect();
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(done_by(&one).len(), Job::ALL.len());
    // Both say the same, whoever is asked.
    for node in [&one, &two] {
        assert_eq!(told(node).await, [("one".to_owned(), done_by(&one)), ("two".to_owned(), Vec::new())]);
    }
    one.leave().await.expect("the store is there");
    here.second(&[&two]).await;
    assert_eq!(done_by(&two).len(), Job::ALL.len());
    assert_eq!(told(&two).await, [("two".to_owned(), done_by(&two))]);
}

#[tokio::test]
async fn failed_signatures_have_twilio_asked_once_a_minute_and_on_a_node_that_does_no_jobs() {
    let here = Installation::new().await;
    let limits = || vec![at_most(50)];
    let (one, two) = (here.node("one", limits()).await, here.node("two", limits()).await);
    here.second(&[&one, &two]).await;
    let (account, _) = here.world.subaccount("new").await;
    assert!(two.look_again().await.expect("looked").is_none(), "nobody needs it");
    two.stale(account);
    assert!(two.look_again().await.expect("looked").is_some());
    assert!(here.accounts.lock().expect("nobody panicked").contains(&account));
    for second in 0..59 {
        here.clock.advance(Duration::from_secs(1));
        two.stale(account);
        assert!(two.look_again().await.expect("looked").is_none(), "{second} s later");
    }
    here.clock.advance(Duration::from_secs(1));
    assert!(two.look_again().await.expect("looked").is_some());
}

#[tokio::test]
async fn what_a_dead_node_had_ordered_and_not_done_is_done_by_the_next() {
    let here = Installation::new().await;
    let limits = || vec![at_most(50)];
    let (one, two) = (here.node("one", limits()).await, here.node("two", limits()).await);
    let (account, _) = here.world.subaccount("spender").await;
    here.second(&[&one, &two]).await;
    one.do_job(Job::Accounts).await.expect("done");
    let usage =
        format!(r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "60"}}"#);
    here.world.control("POST", "usage", &usage).await;
    here.world.advance(3600).await;
    here.clock.advance(Duration::from_hours(1));
    here.second(&[&one, &two]).await;
    one.do_job(Job::Usage).await.expect("done").expect("it is this node's");
    here.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503, "times": 1}]}"#)
        .await;
    {
        // It is at it when it dies.
        let mut working = std::pin::pin!(one.work());
        let claimed = async {
            while here.store.waiting_of_account(account).await.expect("effects")[0].claimed_by.is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = claimed => {}
            _ = &mut working => panic!("it cannot be done"),
        }
    }
    while jobs(&two) == 0 {
        here.second(&[&two]).await;
    }
    while here.world.status(account).await != AccountStatus::Suspended {
        assert!(two.work().await.expect("the store is there") > 0, "there is nothing to do any more");
        here.second(&[&two]).await;
    }
}

#[tokio::test]
async fn what_broke_off_on_a_node_that_lives_is_taken_up_again_at_its_next_turn() {
    let here = Installation::new().await;
    let node = here.node("one", vec![at_most(50)]).await;
    let (account, _) = here.world.subaccount("spender").await;
    here.second(&[&node]).await;
    node.do_job(Job::Accounts).await.expect("done");
    let usage =
        format!(r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "60"}}"#);
    here.world.control("POST", "usage", &usage).await;
    here.world.advance(3600).await;
    here.clock.advance(Duration::from_hours(1));
    node.do_job(Job::Usage).await.expect("done").expect("it is this node's");
    here.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "latency_ms": 200, "times": 1}]}"#)
        .await;
    {
        let mut working = std::pin::pin!(node.work());
        // What is taken from the account is noted under the claim, before Twilio is asked.
        let begun = async {
            while here.store.find_taken(account, "active").await.expect("taken").is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = begun => {}
            _ = &mut working => panic!("Twilio takes its time"),
        }
    }
    // Time stands still: nobody waits for the claim to run out.
    for _ in 0..100 {
        node.work().await.expect("the store is there");
        tokio::task::yield_now().await;
    }
    assert_eq!(here.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn an_account_for_which_twilio_takes_its_time_keeps_no_other_waiting() {
    let here = Installation::new().await;
    let node = Arc::new(here.node("one", vec![at_most(50)]).await);
    let (slow, _) = here.world.subaccount("slow").await;
    let (other, _) = here.world.subaccount("other").await;
    here.second(&[&node]).await;
    node.do_job(Job::Accounts).await.expect("done");
    let spend = async |account: Sid| {
        let usage =
            format!(r#"{{"account": "{account}", "category": "sms-outbound", "count": 1, "price": "60"}}"#);
        here.world.control("POST", "usage", &usage).await;
        // Less than a claim lasts.
        here.world.advance(120).await;
        here.clock.advance(Duration::from_mins(2));
        here.second(&[&node]).await;
        node.do_job(Job::Usage).await.expect("done").expect("it is this node's");
    };
    spend(slow).await;
    here.world
        .fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "latency_ms": 600000, "times": 1}]}"#)
        .await;
    let worker = Arc::clone(&node);
    let working = tokio::spawn(async move { worker.work().await });
    while here.store.find_taken(slow, "active").await.expect("taken").is_none() {
        tokio::task::yield_now().await;
    }
    // Only now the other one's turn comes.
    spend(other).await;
    let is_suspended = async {
        while here.world.status(other).await != AccountStatus::Suspended {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), is_suspended)
        .await
        .expect("it does not wait for the slow one");
    assert_eq!(here.world.status(slow).await, AccountStatus::Active, "Twilio still takes its time");
    assert!(!working.is_finished());
    working.abort();
}

/// The notices that wait, by kind and check. They are claimed, so each is told of once.
async fn told(here: &Installation, node: &Node) -> Vec<(String, String)> {
    let life = node.at_work().expect("it works").life;
    let until = Timestamp::from_second(i64::MAX / 100_000_000).expect("a time");
    let claims = here.store.claim_effects(&life, "notice", 100, until, now(here)).await.expect("the store");
    let of = |claim: ringfence_store::Claim| {
        let notice = claim.effect.payload;
        let text = |name: &str| notice[name].as_str().unwrap_or_default().to_owned();
        (text("kind"), text("check"))
    };
    claims.into_iter().map(of).collect()
}

fn daily() -> Examination {
    Examination {
        every: Duration::from_hours(24),
        gate: None,
        senders: Vec::new(),
        roots: Vec::new(),
        words: Words { config: "ringfence.toml".to_owned() },
    }
}

fn now(here: &Installation) -> Timestamp {
    here.clock.now()
}

async fn pass(here: &Installation, node: &Node, seconds: u64) {
    here.clock.advance(Duration::from_secs(seconds));
    node.turn().await.expect("the store is there");
}

#[tokio::test]
async fn what_an_examination_finds_is_told_once_and_once_more_when_it_is_mended() {
    let mut here = Installation::new().await;
    here.examination = Some(daily());
    let node = here.node("a", vec![at_most(50)]).await;
    node.turn().await.expect("the store is there");
    let client = here.world.parent.clone();
    let numbers = client.incoming_numbers(here.world.sandbox.account_sid());
    let number = numbers.list(&IncomingNumberFilter::default()).all().await.expect("numbers").remove(0);
    let number = Sid::parse(&number.sid).expect("a SID");
    let leads_to = |url: &str| IncomingNumberChange { sms_url: Some(url.to_owned()), ..Default::default() };
    numbers.update(number, &leads_to("http://app.example.invalid/sms")).await.expect("changed");

    // A new installation is given time.
    let examine = async || node.do_job(Job::Examine).await.expect("the store").expect("it is its job").count;
    assert_eq!(examine().await, 0);
    pass(&here, &node, 599).await;
    assert_eq!(examine().await, 0);
    pass(&here, &node, 1).await;
    assert!(examine().await > 0);
    let found = ("found".to_owned(), "webhook-https".to_owned());
    assert_eq!(told(&here, &node).await.into_iter().filter(|it| *it == found).count(), 1);
    let open = here.store.open_findings().await.expect("the store");
    let is_ours = |it: &&ringfence_store::OpenFinding| it.key.place == format!("{number}/sms_url");
    assert!(open.iter().any(|it| is_ours(&it)), "{open:?}");

    // Not again before its time, and nothing twice.
    assert_eq!(examine().await, 0);
    pass(&here, &node, 86_400).await;
    examine().await;
    assert!(!told(&here, &node).await.contains(&found));

    numbers.update(number, &leads_to("https://app.example.invalid/sms")).await.expect("changed");
    pass(&here, &node, 86_400).await;
    examine().await;
    let mended = ("mended".to_owned(), "webhook-https".to_owned());
    assert!(told(&here, &node).await.contains(&mended));
    let open = here.store.open_findings().await.expect("the store");
    assert!(!open.iter().any(|it| is_ours(&it)), "{open:?}");
}
