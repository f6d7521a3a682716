//! What is kept of requests: the newest in memory, or all in the store, with nothing personal in it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::{Detail, Inspect};
use ringfence_model::{Secret, Sid};
use ringfence_signature::Signer;
use ringfence_store::{
    KeptRequest, Keys, Location, MasterKey, RequestFilter, RequestVerdict, SeenRequest, Store,
};
use ringfence_testkit::{Answer, PostgresDatabase, RawClient, Upstream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::{ACCOUNT, World, call, replaced, sms, twilio, url, waiting_upstream, wire, wire_with};

fn in_memory(world: &World) -> Vec<SeenRequest> {
    let recent = world.gateway.verdicts().recent().expect("they are remembered");
    recent.into_iter().map(|request| request.seen).collect()
}

fn reason(seen: &SeenRequest) -> &str {
    match &seen.verdict {
        RequestVerdict::Refused { reason, .. } => reason,
        RequestVerdict::Admitted { .. } => "admitted",
        RequestVerdict::PassedOn { .. } => "passed on",
    }
}

fn explanation(seen: &SeenRequest) -> Option<&str> {
    match &seen.verdict {
        RequestVerdict::Refused { explanation, .. } => explanation.as_deref(),
        RequestVerdict::Admitted { .. } | RequestVerdict::PassedOn { .. } => None,
    }
}

#[tokio::test]
async fn where_nothing_is_to_be_kept_nothing_is() {
    let world = World::with(|settings| settings.inspect = Inspect::Nothing).await;
    world.send_signed(&twilio().form(&url("/twilio/sms"), call(ACCOUNT))).await;
    assert_eq!(world.gateway.verdicts().recent(), None);
    // Nor is it found later.
    let mut settings = crate::world::settings(world.upstream.address());
    settings.inspect = Inspect::InMemory(Detail::Metadata);
    world.gateway.reload(settings).unwrap();
    assert_eq!(in_memory(&world), []);
}

#[tokio::test]
async fn what_was_refused_is_seen_with_its_explanation_and_what_was_admitted_with_its_account() {
    let world = World::new().await;
    assert_eq!(
        world.send_signed(&twilio().form(&url("/twilio/sms?tenant=7"), call(ACCOUNT))).await.status,
        200
    );
    let other = wire(&Signer::token(&"3".repeat(32)).form(&url("/twilio/sms"), call(ACCOUNT)));
    assert_eq!(world.send(&other).await.status, 403);
    assert_eq!(
        world.send("GET /nowhere?secret=1 HTTP/1.1\r\nHost: hooks.example.com\r\n\r\n").await.status,
        404
    );
    assert_eq!(world.send("nonsense\r\n\r\n").await.status, 400);

    // What is no HTTP is noted by the connection, after its answer.
    let all = loop {
        match in_memory(&world) {
            all if all.len() < 4 => tokio::task::yield_now().await,
            all => break all,
        }
    };
    let said: Vec<_> =
        all.iter().map(|it| (&*it.route, it.method, &*it.path, reason(it), it.status)).collect();
    let expected = [
        ("", "", "", "malformed_http", Some(400)),
        ("", "GET", "/nowhere", "no_route", Some(404)),
        ("/twilio/", "POST", "/twilio/sms", "signature_mismatch", Some(403)),
        ("/twilio/", "POST", "/twilio/sms", "admitted", Some(200)),
    ];
    assert_eq!(said, expected, "newest first");
    assert!(all.iter().all(|it| it.client.is_loopback() && it.parameters.is_none() && it.answer.is_none()));
    let account = Sid::parse(ACCOUNT).ok();
    let (admitted, refused) = (&all[3], &all[2]);
    assert_eq!((admitted.account, admitted.is_proven), (account, true));
    assert_eq!((refused.account, refused.is_proven), (account, false), "it says so, and nobody believes it");
    assert_eq!(
        admitted.resource.map(|sid| sid.to_string()).as_deref(),
        Some("CA0123456789abcdef0123456789abcdef")
    );
    assert!(admitted.request_bytes > Some(100) && admitted.answer_bytes > Some(20), "{admitted:?}");
    loop {
        match explanation(&in_memory(&world)[2]) {
            Some(text) => break assert!(!text.is_empty()),
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn of_a_question_it_is_seen_whom_the_listed_proxy_asks_for() {
    let world = World::with(|settings| {
        settings.listen.trusted_proxies = TrustedPeers::parse(["127.0.0.1/32"]).unwrap();
    })
    .await;
    let asked = world.gateway.forward_auth_address().unwrap();
    for (told, client) in [
        ("X-Forwarded-For: 192.0.2.9, 203.0.113.7", "203.0.113.7"),
        ("X-Forwarded-For: nonsense!", "127.0.0.1"),
        ("X-Other: 203.0.113.7", "127.0.0.1"),
    ] {
        let question = format!("GET /twilio/x HTTP/1.1\r\nHost: hooks.example.com\r\n{told}\r\n\r\n");
        let answer = RawClient::connect(asked).await.unwrap().exchange(&question).await.unwrap();
        let newest = in_memory(&world).swap_remove(0);
        assert_eq!((answer.status, reason(&newest)), (403, "missing_signature"), "{told}");
        assert_eq!(newest.client.to_string(), client, "{told}");
    }
}

#[tokio::test]
async fn parameters_and_the_verbs_of_the_answer_are_seen_where_they_are_wanted() {
    let upstream = Upstream::start(|_| async {
        Answer::new(200, "<Response><Message>Hello Anna</Message></Response>")
            .header("content-type", "text/xml")
    })
    .await;
    let world = World::before(upstream, |settings| settings.inspect = Inspect::InMemory(Detail::Redacted));
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 200);
    // Without a signature no body is read.
    let unsigned = replaced(&wire(&signed), "x-twilio-signature", "x-other");
    assert_eq!(world.send(&unsigned).await.status, 403);
    let all = in_memory(&world);
    let told = all[1].parameters.as_ref().expect("they are wanted");
    for (name, value) in [("From", "+1… (11 digits)"), ("Body", "(20 characters)"), ("NumMedia", "0")] {
        assert!(told.contains(&(name.to_owned(), value.to_owned())), "{told:?}");
    }
    assert_eq!((all[0].parameters.as_ref(), all[0].answer.as_deref()), (None, None));
    assert_eq!(all[1].answer.as_deref(), Some("Message"));
    assert!(!format!("{all:?}").contains("100%"));
}

#[tokio::test]
async fn an_answer_that_streams_is_told_when_it_has_ended() {
    let (mut pieces, answer) = Answer::streamed(200, 4);
    let answer = Arc::new(Mutex::new(Some(answer.header("content-type", "text/xml"))));
    let upstream = Upstream::start(move |_| {
        let answer = answer.lock().unwrap().take().expect("one request");
        async move { answer }
    })
    .await;
    let world = World::before(upstream, |settings| settings.inspect = Inspect::InMemory(Detail::Redacted));
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send(wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)))).await.unwrap();
    pieces.send_data("<Response><Say>Hello ".into()).await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!((head.status, in_memory(&world).len()), (200, 0));
    pieces.send_data("Anna</Say><Hangup/></Response>".into()).await.unwrap();
    drop(pieces);
    let all = loop {
        match in_memory(&world) {
            all if all.is_empty() => tokio::task::yield_now().await,
            all => break all,
        }
    };
    let told = (all[0].answer.as_deref(), all[0].answer_bytes, all[0].status);
    assert_eq!(told, (Some("Say Hangup"), Some(51), Some(200)));
}

#[tokio::test]
async fn json_is_told_by_its_names() {
    let world = World::with(|settings| settings.inspect = Inspect::InMemory(Detail::Redacted)).await;
    let body = br#"{"account_sid":"AC00000000000000000000000000000001","text":"my secret"}"#;
    let signed = twilio().json(&url("/twilio/events"), body);
    assert_eq!(world.send_signed(&signed).await.status, 200);
    let expected = [("account_sid", ACCOUNT), ("text", "(9 characters)")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert_eq!(in_memory(&world)[0].parameters.as_ref(), Some(&expected));
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_told_from_one_who_was_answered() {
    let (go, upstream) = waiting_upstream("late").await;
    let world = World::before(upstream, |_| {});
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send(wire(&twilio().form(&url("/twilio/voice"), call(ACCOUNT)))).await.unwrap();
    while world.upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(client);
    let all = loop {
        match in_memory(&world) {
            all if all.is_empty() => tokio::task::yield_now().await,
            all => break all,
        }
    };
    assert_eq!((reason(&all[0]), all[0].status), ("admitted", None));
    go.send_replace(true);
}

/// A store, and the one who writes into it for a gate.
struct Kept {
    store: Arc<Store>,
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

impl Kept {
    async fn of(world: &World, location: &Location) -> Self {
        let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
        let store = Arc::new(Store::open(location, &keys, Timestamp::UNIX_EPOCH).await.unwrap());
        let keeper = world.gateway.keeper().expect("nobody has it");
        assert!(world.gateway.keeper().is_none(), "there is one");
        let (stop, stopped) = watch::channel(false);
        let open = Arc::clone(&store);
        let keeping = tokio::spawn(keeper.run(move || Some(Arc::clone(&open)), "one".to_owned(), stopped));
        Self { store, stop, keeping }
    }

    /// A stop writes what stands in line: nobody has to wait for a time.
    async fn stopped(self) -> Vec<KeptRequest> {
        self.stop.send_replace(true);
        self.keeping.await.unwrap();
        self.store.requests(&RequestFilter::default(), None, 10_000).await.unwrap()
    }
}

const IN_STORE: Inspect = Inspect::InStore { detail: Detail::Redacted, at_most: 1_000 };

async fn is_kept(location: &Location, detail: Detail) {
    let world = World::with(|settings| settings.inspect = Inspect::InStore { detail, at_most: 1_000 }).await;
    let kept = Kept::of(&world, location).await;
    let token = "I-Twilio-Idempotency-Token: be47c5cf-0de2-4ea2-8f8a-d6d25a4e3bd6";
    let signed = twilio().form(&url("/twilio/sms"), call(ACCOUNT));
    assert_eq!(world.send(wire_with(&signed, &[token])).await.status, 200);
    let other = wire(&Signer::token(&"3".repeat(32)).form(&url("/twilio/sms"), call(ACCOUNT)));
    assert_eq!(world.send(&other).await.status, 403);
    assert_eq!(world.gateway.verdicts().recent(), None, "nothing is there twice");
    let all = kept.stopped().await;
    let told: Vec<_> = all.iter().map(|it| (&*it.node, reason(&it.seen), it.seen.status)).collect();
    assert_eq!(told, [("one", "signature_mismatch", Some(403)), ("one", "admitted", Some(200))]);
    let (refused, admitted) = (&all[0].seen, &all[1].seen);
    assert!(explanation(refused).is_some_and(|text| !text.is_empty()), "{refused:?}");
    assert_eq!(admitted.token.as_deref(), Some("be47c5cf-0de2-4ea2-8f8a-d6d25a4e3bd6"));
    assert_eq!((admitted.part, admitted.method, &*admitted.path), ("gate", "POST", "/twilio/sms"));
    match detail {
        Detail::Metadata => assert_eq!((&admitted.parameters, &refused.parameters), (&None, &None)),
        Detail::Redacted => {
            let from = ("From".to_owned(), "+1… (11 digits)".to_owned());
            for seen in [admitted, refused] {
                assert!(seen.parameters.as_ref().is_some_and(|all| all.contains(&from)), "{seen:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_answered_is_kept_in_sqlite() {
    for detail in [Detail::Metadata, Detail::Redacted] {
        let folder = tempfile::tempdir().unwrap();
        is_kept(&Location::Sqlite(folder.path().join("ringfence.db")), detail).await;
    }
}

#[tokio::test]
async fn what_was_answered_is_kept_in_postgresql() {
    for detail in [Detail::Metadata, Detail::Redacted] {
        let Some(database) = PostgresDatabase::create() else { return };
        is_kept(&Location::Postgres(Secret::new(database.url())), detail).await;
    }
}

#[tokio::test]
async fn what_another_proxy_asks_about_is_kept_too() {
    let world = World::with(|settings| settings.inspect = IN_STORE).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::of(&world, &Location::Sqlite(folder.path().join("ringfence.db"))).await;
    let asked = world.gateway.forward_auth_address().unwrap();
    let request = "GET /auth HTTP/1.1\r\nHost: hooks.example.com\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Uri: /twilio/sms\r\n\r\n";
    let answer = RawClient::connect(asked).await.unwrap().exchange(request).await.unwrap();
    assert_eq!(answer.status, 403);
    let all = kept.stopped().await;
    assert_eq!((all.len(), all[0].seen.part, reason(&all[0].seen)), (1, "forward-auth", "untrusted_peer"));
}

#[tokio::test]
async fn a_full_line_neither_delays_a_request_nor_fails_it() {
    let world = World::with(|settings| settings.inspect = IN_STORE).await;
    // The store is away: nothing leaves the line.
    let keeper = world.gateway.keeper().expect("nobody has it");
    let (stop, stopped) = watch::channel(false);
    let keeping = tokio::spawn(keeper.run(|| None, "one".to_owned(), stopped));
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    for _ in 0..5_000 {
        let answer =
            client.exchange("GET /nowhere HTTP/1.1\r\nHost: hooks.example.com\r\n\r\n").await.unwrap();
        assert_eq!(answer.status, 404);
    }
    let answer = client.exchange(wire(&twilio().form(&url("/twilio/sms"), call(ACCOUNT)))).await.unwrap();
    assert_eq!(answer.status, 200);
    let dropped = world.metric("ringfence_inspector_dropped_total{why=\"line_full\"}").await;
    assert!((1..=1_000).contains(&dropped), "{dropped}");
    // A stop does not wait for ever for a store that is away.
    tokio::time::pause();
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(6), keeping).await.unwrap().unwrap();
    tokio::time::resume();
    let stopped = world.metric("ringfence_inspector_dropped_total{why=\"stopped\"}").await;
    assert_eq!(stopped + dropped, 5_001);
}

#[tokio::test]
async fn what_stands_in_line_when_nothing_is_to_be_kept_any_more_is_not_kept() {
    let world = World::with(|settings| settings.inspect = IN_STORE).await;
    world.send_signed(&twilio().form(&url("/twilio/sms"), call(ACCOUNT))).await;
    let mut settings = crate::world::settings(world.upstream.address());
    settings.inspect = Inspect::Nothing;
    world.gateway.reload(settings).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::of(&world, &Location::Sqlite(folder.path().join("ringfence.db"))).await;
    assert_eq!(kept.stopped().await, []);
}
