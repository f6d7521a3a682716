//! Usage triggers on their way to the circuit breaker: real sockets, a real store.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use ringfence_gateway::settings::Upstream as Leads;
use ringfence_gateway::{Hooks, Intake};
use ringfence_signature::{Signed, Signer};
use ringfence_store::{Keys, Location, MasterKey, Observation, Store};
use ringfence_testkit::{Response, Upstream};
use tempfile::TempDir;

use crate::world::{ACCOUNT, NEIGHBOUR, NEIGHBOUR_TOKEN, TOKEN, World, replaced, route, twilio, url, wire};

const TRIGGER: &str = "UT00000000000000000000000000000009";

/// A gate whose `/trigger` leads to the breaker and whose `/twilio/` leads to an application.
struct Breaker {
    world: World,
    store: Arc<Store>,
    woken: Arc<AtomicUsize>,
    folder: TempDir,
}

impl Breaker {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        Self::on(store, folder).await
    }

    async fn on(store: Arc<Store>, folder: TempDir) -> Self {
        let woken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&woken);
        let woken_by = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let kept_in = Arc::clone(&store);
        let intake = Intake { store: Arc::new(move || Some(Arc::clone(&kept_in))), woken: woken_by };
        let hooks = Hooks { intake: Some(intake), ..Hooks::default() };
        let world = World::hooked(Upstream::saying("application").await, hooks, |settings| {
            let address = settings.routes[0].upstream.address().unwrap().authority().parse().unwrap();
            let mut trigger = route(address);
            trigger.label = Arc::from("/trigger");
            trigger.path = ringfence_gateway::settings::PathRule::Exact("/trigger".to_owned());
            trigger.upstream = Leads::Breaker;
            settings.routes.push(trigger);
        });
        Self { world, store, woken, folder }
    }

    async fn send(&self, signed: &Signed) -> Response {
        self.world.send_signed(signed).await
    }

    async fn stored(&self) -> Vec<Observation> {
        self.store.unprocessed_observations(10_000).await.unwrap()
    }

    async fn count(&self, outcome: &str) -> i64 {
        self.world.metric(&format!("ringfence_trigger_deliveries_total{{outcome=\"{outcome}\"}}")).await
    }

    /// Asserts that nothing came of it.
    async fn assert_nothing(&self) {
        assert_eq!(self.stored().await, []);
        assert_eq!(self.woken.load(Ordering::SeqCst), 0);
        assert_eq!(self.world.upstream.requests().len(), 0, "nothing reaches the application");
    }
}

async fn open(folder: &Path) -> Arc<Store> {
    let location = Location::Sqlite(folder.join("ringfence.db"));
    Arc::new(
        Store::open(
            &location,
            &Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: vec![] },
            Timestamp::UNIX_EPOCH,
        )
        .await
        .unwrap(),
    )
}

/// A trigger as it fires, after Twilio's documents.
fn fires(account: &str, token: &str) -> Vec<(String, String)> {
    let record = format!("/2010-04-01/Accounts/{account}/Usage/Records.json?Category=totalprice");
    let fields = [
        ("AccountSid", account),
        ("UsageTriggerSid", TRIGGER),
        ("DateFired", "Thu, 26 Nov 2026 06:00:00 +0000"),
        ("Recurring", "daily"),
        ("UsageCategory", "totalprice"),
        ("TriggerBy", "price"),
        ("TriggerValue", "50.000000"),
        ("CurrentValue", "50.012300"),
        ("UsageRecordUri", &record),
        ("IdempotencyToken", token),
    ];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn without(mut fields: Vec<(String, String)>, name: &str) -> Vec<(String, String)> {
    fields.retain(|field| field.0 != name);
    fields
}

#[tokio::test]
async fn what_is_not_signed_by_the_account_or_its_parent_stores_nothing() {
    let breaker = Breaker::new().await;
    let genuine = wire(&twilio().form(&url("/trigger"), fires(ACCOUNT, "once")));
    for forged in [
        replaced(&genuine, "x-twilio-signature", "x-other"),
        replaced(&genuine, "50.012300", "50.012301"),
        replaced(&genuine, "IdempotencyToken=once", "IdempotencyToken=Once"),
        wire(&Signer::token(NEIGHBOUR_TOKEN).form(&url("/trigger"), fires(ACCOUNT, "once"))),
        wire(&twilio().form(&url("/other"), fires(ACCOUNT, "once"))).clone(),
    ] {
        let forged = String::from_utf8(forged).unwrap().replace("POST /other", "POST /trigger");
        let response = breaker.world.send(&forged).await;
        assert_eq!((response.status, response.text()), (403, ""), "{forged}");
    }
    breaker.assert_nothing().await;
}

#[tokio::test]
async fn a_signed_request_that_is_no_trigger_is_told_what_it_lacks() {
    let breaker = Breaker::new().await;
    for name in ["AccountSid", "UsageTriggerSid", "IdempotencyToken"] {
        let signed = twilio().form(&url("/trigger"), without(fires(ACCOUNT, "once"), name));
        let response = breaker.send(&signed).await;
        assert_eq!((response.status, response.text()), (400, &*format!("{name} is missing\n")));
    }
    let empty = twilio().form(&url("/trigger"), fires(ACCOUNT, ""));
    assert_eq!(breaker.send(&empty).await.status, 400);
    let json = twilio().json(&url("/trigger"), r#"{"UsageTriggerSid":"x"}"#);
    assert_eq!(breaker.send(&json).await.text(), "AccountSid is missing\n");
    breaker.assert_nothing().await;
    assert_eq!(breaker.count("malformed").await, 5);
}

#[tokio::test]
async fn a_trigger_is_stored_before_it_is_answered() {
    let breaker = Breaker::new().await;
    let response = breaker.send(&twilio().form(&url("/trigger"), fires(ACCOUNT, "once"))).await;
    assert_eq!((response.status, response.text()), (200, ""));
    let stored = breaker.stored().await;
    let [observation] = &stored[..] else { panic!("{stored:?}") };
    assert_eq!(observation.key, format!("trigger/{ACCOUNT}/once"));
    assert_eq!((&*observation.source, &*observation.account), ("trigger", ACCOUNT));
    assert_eq!(observation.received_at.as_second(), 1_800_000_000, "by the gate's clock");
    for (name, value) in fires(ACCOUNT, "once") {
        assert_eq!(observation.payload[&name], value, "{name}");
    }
    assert_eq!(breaker.woken.load(Ordering::SeqCst), 1);
    assert_eq!(breaker.world.upstream.requests().len(), 0, "nothing reaches the application");
}

#[tokio::test]
async fn a_repeat_is_one_row_and_a_200_that_memory_never_gives() {
    let breaker = Breaker::new().await;
    let signed = twilio().form(&url("/trigger"), fires(ACCOUNT, "once"));
    for _ in 0..3 {
        assert_eq!(breaker.send(&signed).await.status, 200);
    }
    assert_eq!(breaker.stored().await.len(), 1);
    assert_eq!((breaker.count("new").await, breaker.count("repeat").await), (1, 2));
    assert_eq!(breaker.world.metric("ringfence_replay_entries").await, 0, "memory is not asked");
}

#[tokio::test]
async fn a_trigger_that_calls_by_get_is_taken_too() {
    let breaker = Breaker::new().await;
    let query = format!("AccountSid={ACCOUNT}&UsageTriggerSid={TRIGGER}&IdempotencyToken=a%2Fb+c");
    assert_eq!(breaker.send(&twilio().get(&url(&format!("/trigger?{query}")))).await.status, 200);
    assert_eq!(breaker.stored().await[0].key, format!("trigger/{ACCOUNT}/a/b c"));
}

/// Which of the two signs for a trigger under a subaccount is not documented.
#[tokio::test]
async fn the_parent_may_sign_for_its_subaccount_there_and_nowhere_else() {
    let breaker = Breaker::new().await;
    for (token, signer) in [("by-parent", TOKEN), ("by-itself", NEIGHBOUR_TOKEN)] {
        let signer = Signer::token(signer);
        assert_eq!(breaker.send(&signer.form(&url("/trigger"), fires(NEIGHBOUR, token))).await.status, 200);
    }
    let accounts: Vec<_> =
        breaker.stored().await.into_iter().map(|observation| observation.account).collect();
    assert_eq!(accounts, [NEIGHBOUR, NEIGHBOUR]);
    let elsewhere = twilio().form(&url("/twilio/trigger"), fires(NEIGHBOUR, "by-parent"));
    assert_eq!(breaker.send(&elsewhere).await.status, 403);
}

#[tokio::test]
async fn of_200_deliveries_at_once_all_are_stored() {
    let breaker = Arc::new(Breaker::new().await);
    let deliveries: Vec<_> = (0..200)
        .map(|number| {
            let breaker = Arc::clone(&breaker);
            let signed = twilio().form(&url("/trigger"), fires(ACCOUNT, &format!("token-{number}")));
            tokio::spawn(async move { breaker.send(&signed).await.status })
        })
        .collect();
    for delivery in deliveries {
        assert_eq!(delivery.await.unwrap(), 200);
    }
    assert_eq!(breaker.stored().await.len(), 200);
    assert_eq!(breaker.count("new").await, 200);
}

#[tokio::test]
async fn while_the_store_is_away_triggers_are_503_and_taken_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    // The store lives on a runtime of its own, so that it ends with it while the gate goes on.
    let path = folder.path().to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let store = runtime.block_on(open(&path));
        runtime.shutdown_timeout(ringfence_testkit::PATIENCE);
        store
    });
    let away = Breaker::on(ended.await.unwrap(), folder).await;
    let signed = twilio().form(&url("/trigger"), fires(ACCOUNT, "once"));
    for _ in 0..2 {
        let response = away.send(&signed).await;
        assert_eq!((response.status, response.text()), (503, ""));
        assert_eq!(response.header("retry-after"), Some("5"));
    }
    assert_eq!(away.count("store_away").await, 2);
    assert_eq!(away.woken.load(Ordering::SeqCst), 0);

    let store = open(away.folder.path()).await;
    let back = Breaker::on(store, away.folder).await;
    assert_eq!(back.stored().await, []);
    assert_eq!(back.send(&signed).await.status, 200);
    assert_eq!(back.stored().await.len(), 1);
}
