//! What a captured request gains by coming again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ringfence_gateway::settings::Replay;
use ringfence_testkit::{Answer, RawClient, Upstream};

use crate::world::{ACCOUNT, World, call, sms, twilio, url, waiting_upstream, wire, wire_with};

#[tokio::test]
async fn a_repeated_message_is_answered_again_and_not_forwarded() {
    let world = World::new().await;
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    let first = world.send_signed(&signed).await;
    let second = world.send_signed(&signed).await;
    assert_eq!((second.status, second.text()), (200, first.text()));
    assert_eq!(second.header("content-type"), Some("text/xml"));
    assert_eq!(world.upstream.requests().len(), 1);
    assert_eq!(world.metric("ringfence_replay_answered_total").await, 1);
}

#[tokio::test]
async fn a_message_that_is_redirected_to_the_same_url_gets_the_next_answer_and_no_loop() {
    let said = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |_| {
        let answer = match said.fetch_add(1, Ordering::SeqCst) {
            0 => "<Response><Message>Welcome!</Message><Redirect>/twilio/sms</Redirect></Response>",
            _ => "<Response><Message>Second step, done.</Message></Response>",
        };
        async move { Answer::new(200, answer) }
    })
    .await;
    let world = World::before(upstream, |_| {});
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    assert!(world.send_signed(&signed).await.text().contains("Welcome!"));
    assert!(world.send_signed(&signed).await.text().contains("Second step"));
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_encoded_is_not_given_again() {
    let upstream = Upstream::start(|_| async {
        Answer::new(200, "might be a Redirect").header("content-encoding", "gzip")
    })
    .await;
    let world = World::before(upstream, |_| {});
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    world.send_signed(&signed).await;
    world.send_signed(&signed).await;
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_to_head_or_a_part_of_one_is_not_given_for_the_whole() {
    let upstream = Upstream::start(|request| async move {
        if request.header("range").is_some() {
            Answer::new(206, "<").header("content-range", "bytes 0-0/11")
        } else {
            Answer::new(200, "<Response/>")
        }
    })
    .await;
    let world = World::before(upstream, |settings| {
        for route in &mut settings.routes {
            route.replay = Replay::AnswerAgain;
            route.methods.push(http::Method::HEAD);
        }
    });
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    assert_eq!(world.send(wire_with(&signed, &["Range: bytes=0-0"])).await.status, 206);
    assert_eq!(world.send_signed(&signed).await.text(), "<Response/>");
    let mut head = twilio().get(&url("/twilio/sms?AccountSid=AC00000000000000000000000000000001"));
    let whole = head.clone();
    head.method = "HEAD";
    let mut client = RawClient::connect(world.gate()).await.unwrap();
    client.send(wire(&head)).await.unwrap();
    assert_eq!(client.read_head().await.unwrap().status, 200);
    assert_eq!(world.send_signed(&whole).await.text(), "<Response/>");
}

#[tokio::test]
async fn a_repeated_call_is_forwarded() {
    let world = World::new().await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    world.send_signed(&signed).await;
    world.send_signed(&signed).await;
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_route_may_refuse_every_repeat() {
    let world = World::with(|settings| settings.routes[0].replay = Replay::Refuse).await;
    let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 200);
    assert_eq!(world.send_signed(&signed).await.status, 403);
    assert_eq!(world.upstream.requests().len(), 1);
    assert_eq!(world.refused("replayed").await, 1);
}

#[tokio::test]
async fn a_day_later_the_request_is_forwarded_again() {
    let world = World::new().await;
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    world.send_signed(&signed).await;
    world.clock.advance(Duration::from_secs(24 * 60 * 60 + 1));
    world.send_signed(&signed).await;
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_failed_first_is_forwarded_anew() {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |_| {
        let status = if count.fetch_add(1, Ordering::SeqCst) == 0 { 500 } else { 200 };
        async move { Answer::new(status, "answer") }
    })
    .await;
    let world = World::before(upstream, |_| {});
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    assert_eq!(world.send_signed(&signed).await.status, 500);
    assert_eq!(world.send_signed(&signed).await.status, 200);
    assert_eq!(world.send_signed(&signed).await.status, 200);
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn repeats_during_the_first_wait_for_it_and_get_its_answer() {
    let (go, upstream) = waiting_upstream("once").await;
    let world = Arc::new(World::before(upstream, |_| {}));
    let signed = twilio().form(&url("/twilio/sms"), sms(ACCOUNT));
    let repeats: Vec<_> = (0..20)
        .map(|_| {
            let (world, signed) = (Arc::clone(&world), signed.clone());
            tokio::spawn(async move { world.send_signed(&signed).await })
        })
        .collect();
    while world.metric("ringfence_connections").await < 20 || world.upstream.requests().is_empty() {
        tokio::task::yield_now().await;
    }
    go.send(true).unwrap();
    for repeat in repeats {
        assert_eq!(repeat.await.unwrap().text(), "once");
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

/// Otherwise whoever captured a request could have it done any number of times, hanging up each time.
#[tokio::test]
async fn a_first_whose_caller_hung_up_is_remembered_all_the_same() {
    for streamed in [false, true] {
        let (go, waiting) = tokio::sync::watch::channel(false);
        let upstream = Upstream::start(move |_| {
            let mut waiting = waiting.clone();
            async move {
                if !streamed {
                    waiting.wait_for(|go| *go).await.unwrap();
                    return Answer::new(200, "once");
                }
                let (mut sender, answer) = Answer::streamed(200, 4);
                tokio::spawn(async move {
                    sender.send_data("on".into()).await.unwrap();
                    waiting.wait_for(|go| *go).await.unwrap();
                    sender.send_data("ce".into()).await.unwrap();
                });
                answer
            }
        })
        .await;
        let world = World::before(upstream, |settings| settings.routes[0].replay = Replay::AnswerAgain);
        let signed = twilio().form(&url("/twilio/voice"), call(ACCOUNT));
        let mut first = RawClient::connect(world.gate()).await.unwrap();
        first.send(wire(&signed)).await.unwrap();
        while world.upstream.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        if streamed {
            first.read_head().await.unwrap();
        }
        drop(first);
        // The gate has seen that the caller is gone when nobody but the scraper is connected.
        while world.metric("ringfence_connections").await > 0 {
            tokio::task::yield_now().await;
        }
        go.send(true).unwrap();
        assert_eq!(world.send_signed(&signed).await.text(), "once", "streamed: {streamed}");
        assert_eq!(world.upstream.requests().len(), 1, "streamed: {streamed}");
    }
}
