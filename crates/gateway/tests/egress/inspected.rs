//! What is kept of requests to Twilio: who asked for what, what was set aside and how it was answered, and nothing personal.

use std::sync::Arc;

use ringfence_gateway::settings::{Detail, Inspect, Settings};
use ringfence_store::{EgressArea, RequestFilter, RequestVerdict, SeenOutgoing, SeenRequest};
use ringfence_testkit::{Answer, RawClient, Upstream};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{
    ACCOUNT, CALL, CHILD, MESSAGE, STRANGER, Setup, TO, World, answer, authorization, calls, encoded, form,
    json_answer, limit, message, messages, raw, request, sid, twilio,
};

async fn before(upstream: Upstream, inspect: Inspect, change: impl FnOnce(&mut Setup)) -> World {
    let keeps = Box::new(move |settings: &mut Settings| settings.inspect = inspect);
    let mut setup = Setup { change: keeps, ..Setup::default() };
    change(&mut setup);
    World::before(upstream, setup).await
}

async fn world(detail: Detail) -> World {
    before(twilio().await, Inspect::InMemory(detail), |_| {}).await
}

/// Newest first.
fn kept(world: &World) -> Vec<SeenRequest> {
    let recent = world.gateway.verdicts().recent().expect("they are remembered");
    recent.into_iter().map(|request| request.seen).collect()
}

/// The newest, which may be kept a moment after its caller has the answer.
async fn newest(world: &World, so_many: usize) -> SeenRequest {
    loop {
        match kept(world) {
            all if all.len() < so_many => tokio::task::yield_now().await,
            mut all => break all.swap_remove(0),
        }
    }
}

fn outgoing(seen: &SeenRequest) -> &SeenOutgoing {
    seen.outgoing.as_deref().expect("it is to Twilio")
}

fn refused(seen: &SeenRequest) -> (&str, &str) {
    match &seen.verdict {
        RequestVerdict::Refused { reason, explanation } => {
            (reason, explanation.as_deref().unwrap_or_default())
        }
        RequestVerdict::Admitted { .. } | RequestVerdict::PassedOn { .. } => ("", ""),
    }
}

#[tokio::test]
async fn where_nothing_is_to_be_kept_nothing_is() {
    let world = before(twilio().await, Inspect::Nothing, |_| {}).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 201);
    assert_eq!(world.gateway.verdicts().recent(), None);
}

#[tokio::test]
async fn a_message_is_kept_with_its_credential_its_price_and_what_twilio_made_of_it() {
    let world = world(Detail::Metadata).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 201);
    let seen = newest(&world, 1).await;
    assert_eq!((seen.part, &*seen.route, seen.method), ("egress", "messages.create", "POST"));
    assert_eq!(seen.path, messages(ACCOUNT));
    assert_eq!((seen.account, seen.is_proven), (Some(sid(ACCOUNT)), true));
    assert_eq!((seen.status, seen.resource, &seen.parameters), (Some(201), Some(sid(MESSAGE)), &None));
    assert_eq!(seen.verdict, RequestVerdict::PassedOn { failed: None });
    assert_eq!(seen.request_bytes, Some(form().len() as u64));
    assert!(seen.answer_bytes > Some(20) && seen.client.is_loopback());
    let expected = SeenOutgoing {
        credential: Some(key.sid),
        credential_name: Some("shop".to_owned()),
        worst: Some("1".parse().unwrap()),
        ..SeenOutgoing::default()
    };
    assert_eq!(outgoing(&seen), &expected);
}

#[tokio::test]
async fn of_a_refusal_the_limit_is_kept_and_of_one_that_watches_that_it_would_have_refused() {
    let mut watches = limit("an hour, watched", "0.5");
    watches.enforce = false;
    let limits = vec![limit("a day", "1.5"), watches];
    let inspect = Inspect::InMemory(Detail::Metadata);
    let world = before(twilio().await, inspect, |setup| setup.limits = limits).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 201);
    let seen = newest(&world, 1).await;
    assert_eq!(outgoing(&seen).would_refuse, ["an hour, watched"]);
    assert_eq!(seen.verdict, RequestVerdict::PassedOn { failed: None });
    assert_eq!(world.message(&key).await.status, 429);
    let seen = newest(&world, 2).await;
    let (reason, words) = refused(&seen);
    assert_eq!((reason, seen.status), ("open_only", Some(429)));
    assert!(words.starts_with("The limit \"a day\" is full"), "{words}");
    let SeenOutgoing { worst, limit, code, would_refuse, .. } = outgoing(&seen);
    assert_eq!((worst, limit.as_deref(), *code), (&None, Some("a day"), Some(84_032)));
    assert!(would_refuse.is_empty(), "it was not admitted");
}

#[tokio::test]
async fn of_what_a_credential_may_not_the_reason_is_kept_and_whose_it_is_only_where_it_was_good() {
    let world = world(Detail::Metadata).await;
    let key =
        world.key_with(|scopes| scopes.senders = vec!["MG00000000000000000000000000000001".to_owned()]).await;
    let line = authorization(ACCOUNT, "nobody has this secret");
    let path = |account: &str| messages(account);
    for (number, (sent, reason, account, credential)) in [
        (message(&key, &form()), "other_sender", Some(sid(ACCOUNT)), Some(key.sid)),
        (raw("POST", &path(CHILD), &[&line], &form()), "unauthorized", None, None),
        (request(&key, "POST", &path(STRANGER), &form()), "other_account", None, Some(key.sid)),
        (
            request(&key, "GET", "/conversations.twilio.com/v1/Conversations", ""),
            "unknown_operation",
            None,
            Some(key.sid),
        ),
        (request(&key, "GET", "/evil.example/annabel", ""), "unknown_host", None, None),
    ]
    .into_iter()
    .enumerate()
    {
        world.send(sent).await;
        let seen = newest(&world, number + 1).await;
        assert_eq!((refused(&seen).0, seen.account), (reason, account), "{seen:?}");
        assert_eq!(
            (outgoing(&seen).credential, seen.is_proven),
            (credential, credential.is_some()),
            "{reason}"
        );
        assert!(outgoing(&seen).code.is_some() && outgoing(&seen).worst.is_none(), "{reason}");
    }
    assert_eq!(kept(&world)[0].path, "/(12 characters)/(7 characters)");
    assert!(world.requests().is_empty());
}

#[tokio::test]
async fn twilio_s_own_refusal_is_kept_with_its_code_and_a_lost_answer_as_in_doubt() {
    let upstream = Upstream::start(|request| async move {
        let body =
            json!({ "code": 21_211, "message": "Invalid 'To' Phone Number: +1415XXX0100", "status": 400 });
        if request.target.contains("/Calls") {
            Answer::new(200, "<html>").header("content-type", "text/html")
        } else {
            json_answer(400, &body)
        }
    })
    .await;
    let world = before(upstream, Inspect::InMemory(Detail::Metadata), |_| {}).await;
    let key = world.key().await;
    assert_eq!(world.message(&key).await.status, 400);
    let seen = newest(&world, 1).await;
    assert_eq!((seen.status, outgoing(&seen).code), (Some(400), Some(21_211)));
    assert_eq!(seen.verdict, RequestVerdict::PassedOn { failed: None });
    let form = format!("To={}&From=%2B14155550101", encoded(TO));
    world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await;
    let seen = newest(&world, 2).await;
    assert_eq!(seen.verdict, RequestVerdict::PassedOn { failed: Some("unusable_answer".to_owned()) });
    assert_eq!((seen.status, outgoing(&seen).code), (Some(502), Some(84_052)));
    assert!(outgoing(&seen).worst.is_some(), "it is set aside still");
}

#[tokio::test]
async fn a_request_whose_caller_hung_up_is_kept_with_what_became_of_it() {
    let (go, wait) = watch::channel(false);
    let upstream = Upstream::start(move |request| {
        let mut wait = wait.clone();
        async move {
            _ = wait.wait_for(|go| *go).await;
            answer(&request)
        }
    })
    .await;
    let world = before(upstream, Inspect::InMemory(Detail::Metadata), |_| {}).await;
    let key = world.key().await;
    let mut client = RawClient::connect(world.address()).await.unwrap();
    client.send(message(&key, &form())).await.unwrap();
    while world.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    drop(client);
    go.send_replace(true);
    let seen = newest(&world, 1).await;
    assert_eq!((seen.status, seen.resource), (Some(201), Some(sid(MESSAGE))));
    assert_eq!(outgoing(&seen).worst, Some("1".parse().unwrap()));
}

#[tokio::test]
async fn a_file_that_streams_is_kept_when_it_has_ended() {
    let upstream =
        Upstream::start(|_| async { Answer::new(200, "0123456789").header("content-type", "audio/x-wav") })
            .await;
    let world = before(upstream, Inspect::InMemory(Detail::Redacted), |_| {}).await;
    let key = world.key().await;
    let file = "/api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/\
                RE00000000000000000000000000000005.wav";
    assert_eq!(world.send(request(&key, "GET", file, "")).await.status, 200);
    let seen = newest(&world, 1).await;
    assert_eq!((&*seen.path, seen.answer_bytes, seen.status), (file, Some(10), Some(200)));
    assert_eq!(seen.resource, Some(sid("RE00000000000000000000000000000005")));
    assert_eq!(outgoing(&seen).worst, None, "it costs nothing");
}

#[tokio::test]
async fn parameters_are_kept_redacted_where_that_is_wanted_and_no_number_or_text_at_any_level() {
    for detail in [Detail::Metadata, Detail::Redacted] {
        let world = world(detail).await;
        let key = world.key_with(|scopes| scopes.operations.extend(EgressArea::ALL)).await;
        let twiml = "%3CResponse%3E%3CSay%3ESwordfish%3C/Say%3E%3CSwordfish/%3E%3C/Response%3E";
        for sent in [
            message(
                &key,
                "To=%2B14155550123&From=%2B14155550100&Body=Swordfish+at+nine&SmartEncoded=true&To=x",
            ),
            message(&key, "To=%2B14155550123&From=%2B14155550100&Body=Swordfish+at+nine&SmartEncoded=true"),
            request(
                &key,
                "GET",
                "/lookups.twilio.com/v2/PhoneNumbers/%2B14155550199?Fields=swordfish4155550",
                "",
            ),
            request(&key, "GET", &format!("{}?To=%2B14155550188", messages(ACCOUNT)), ""),
            request(
                &key,
                "POST",
                &calls(ACCOUNT),
                &format!("To=%2B14155550177&From=%2B14155550100&Twiml={twiml}"),
            ),
            request(
                &key,
                "POST",
                "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001/Verifications",
                "To=%2B14155550177&Channel=swordfish",
            ),
            request(
                &key,
                "GET",
                "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001/Entities/swordfish/Factors",
                "",
            ),
        ] {
            world.send(sent).await;
        }
        newest(&world, 7).await;
        let all = kept(&world);
        let text = format!("{all:?}");
        for personal in ["4155550", "wordfish", key.secret.expose()] {
            assert!(!text.contains(personal), "{detail:?}: {personal} in {text}");
        }
        let wanted = detail == Detail::Redacted;
        assert!(
            all.iter().all(|seen| seen.parameters.is_some() == wanted || seen.path.ends_with("/Factors")),
            "{text}"
        );
        let sent: Vec<_> =
            all[5].parameters.iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        if wanted {
            let expected =
                ["To=+1… (11 digits)", "From=+1… (11 digits)", "Body=(17 characters)", "SmartEncoded=true"];
            assert_eq!(sent, expected);
        }
    }
}

#[tokio::test]
async fn what_is_refused_before_it_is_looked_at_is_kept_as_well() {
    let world = world(Detail::Metadata).await;
    let connect = "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n";
    assert_eq!(world.send(connect).await.status, 404);
    let seen = newest(&world, 1).await;
    assert_eq!((refused(&seen).0, seen.method, &*seen.route), ("no_tunnel", "CONNECT", "connect"));
    let doubtful =
        "POST /api.twilio.com/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(world.send(doubtful).await.status, 400);
    let seen = newest(&world, 2).await;
    assert_eq!((refused(&seen).0, outgoing(&seen).code), ("bad_request", Some(84_000)));
}

#[tokio::test]
async fn what_is_to_be_in_the_store_is_there_and_waits_in_no_request_s_way() {
    let world =
        before(twilio().await, Inspect::InStore { detail: Detail::Redacted, at_most: 100 }, |_| {}).await;
    let keeper = world.gateway.keeper().expect("nobody has it");
    let (stop, stopped) = watch::channel(false);
    let store = Arc::clone(&world.store);
    let key = world.key().await;
    // Nobody writes yet.
    assert_eq!(world.message(&key).await.status, 201);
    let form = format!("To={}&From=%2B14155550101", encoded(TO));
    assert_eq!(world.send(request(&key, "POST", &calls(ACCOUNT), &form)).await.status, 201);
    assert_eq!(world.gateway.verdicts().recent(), None, "nothing is there twice");
    let keeping = tokio::spawn(keeper.run(move || Some(Arc::clone(&store)), "one".to_owned(), stopped));
    stop.send_replace(true);
    keeping.await.unwrap();
    let filter =
        RequestFilter { to_twilio: Some(true), account: Some(sid(ACCOUNT)), ..RequestFilter::default() };
    let all = world.store.requests(&filter, None, 10).await.unwrap();
    let told: Vec<_> =
        all.iter().map(|it| (&*it.node, it.seen.resource, outgoing(&it.seen).worst.is_some())).collect();
    assert_eq!(told, [("one", Some(sid(CALL)), true), ("one", Some(sid(MESSAGE)), true)]);
}
