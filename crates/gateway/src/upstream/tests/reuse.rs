//! Connections that are kept, and requests that are not sent twice.

use super::*;

#[tokio::test]
async fn a_post_that_may_have_arrived_is_not_sent_twice() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = requests.clone();
    let upstream = Upstream::start(move |_, mut peer| {
        let seen = seen.clone();
        async move {
            peer.request().await;
            peer.say(OK).await;
            if peer.request().await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.post()).await, "ok");
    let error = error(&client, upstream.post()).await;
    assert!(matches!(error, UpstreamError::ClosedEarly { sent: true, .. }), "{error:?}");
    assert_eq!((requests.load(Ordering::SeqCst), upstream.accepted()), (1, 1));
}

#[tokio::test]
async fn a_get_on_a_kept_connection_that_breaks_is_sent_once_more() {
    let upstream = Upstream::start(|number, mut peer| async move {
        peer.request().await;
        if number < 2 {
            peer.say(OK).await;
            peer.request().await;
        }
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "ok");
    assert_eq!(text(&client, upstream.get()).await, "ok");
    assert_eq!(upstream.accepted(), 2);
    // The third connection closes at once, and there is no fourth.
    let error = error(&client, upstream.get()).await;
    assert!(matches!(error, UpstreamError::ClosedEarly { sent: true, .. }), "{error:?}");
    assert_eq!(upstream.accepted(), 3);
}

#[tokio::test]
async fn a_post_of_which_nothing_was_sent_is_sent_on_a_new_connection() {
    let (go, told) = oneshot::channel::<()>();
    let (reset, was_reset) = oneshot::channel::<()>();
    let channels = std::sync::Mutex::new(Some((told, reset)));
    let upstream = Upstream::start(move |number, mut peer| {
        let channels = channels.lock().unwrap().take();
        async move {
            peer.request().await;
            peer.say(OK).await;
            let Some((told, reset)) = channels else { return peer.until_closed().await };
            assert_eq!(number, 0);
            told.await.unwrap();
            // The reset arrives, but the client's runtime has not looked at its sockets when it writes.
            peer.stream.set_zero_linger().unwrap();
            drop(peer);
            reset.send(()).unwrap();
        }
    })
    .await;
    assert_eq!(posts_around_a_reset(upstream, go, was_reset).await, 2);
}

#[tokio::test]
async fn a_get_is_not_sent_again_once_the_answer_has_begun() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        peer.request().await;
        peer.say("HTTP/1.1 200").await;
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "ok");
    let error = error(&client, upstream.get()).await;
    assert!(matches!(error, UpstreamError::AnswerCutShort(None)), "{error:?}");
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_post_takes_a_new_connection_when_the_kept_one_was_closed() {
    let upstream = Upstream::saying_once(OK).await;
    let client = client();
    for round in 1..=3 {
        assert_eq!(text(&client, upstream.post()).await, "ok");
        settle().await;
        assert_eq!((client.idle(), upstream.accepted()), (1, round));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lay_too_long_is_not_used() {
    let upstream = Upstream::saying(OK).await;
    let client = client();
    for (pause, accepted) in [(0, 1), (3_900, 1), (4_100, 2)] {
        advance(Duration::from_millis(pause)).await;
        assert_eq!(text(&client, upstream.post()).await, "ok");
        assert_eq!(upstream.accepted(), accepted, "after {pause} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_keeps_connections_shorter_is_believed() {
    let kept = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nok";
    let upstream = Upstream::saying(kept).await;
    let client = client();
    for (pause, accepted) in [(0, 1), (900, 1), (1_100, 2)] {
        advance(Duration::from_millis(pause)).await;
        assert_eq!(text(&client, upstream.post()).await, "ok");
        assert_eq!(upstream.accepted(), accepted, "after {pause} ms");
    }
    // A second's patience leaves no margin at all.
    let hasty = Upstream::saying(kept.replace("timeout=2", "timeout=1")).await;
    let client = Client::new(Settings::default());
    assert_eq!(text(&client, hasty.post()).await, "ok");
    assert_eq!(client.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn connections_of_a_silent_upstream_are_closed_by_the_clock() {
    let (closed, told) = oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let upstream = Upstream::start(move |_, mut peer| {
        let closed = closed.lock().unwrap().take();
        async move {
            peer.request().await;
            peer.say(OK).await;
            peer.until_closed().await;
            closed.unwrap().send(()).unwrap();
        }
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "ok");
    client.close_idle(Instant::now());
    assert_eq!(client.idle(), 1);
    client.close_idle(Instant::now() + Duration::from_secs(5));
    assert_eq!(client.idle(), 0);
    told.await.unwrap();
}

#[tokio::test]
async fn no_more_connections_are_kept_than_told() {
    let (one, two) = (Upstream::saying(OK).await, Upstream::saying(OK).await);
    let limited = |idle_per_upstream_max, idle_total_max| {
        Client::new(Settings { idle_per_upstream_max, idle_total_max, ..Settings::default() })
    };
    for (client, kept) in [(limited(1, 9), 2), (limited(9, 1), 1), (limited(0, 9), 0), (limited(2, 9), 4)] {
        let (a, b) = tokio::join!(client.send(one.get()), client.send(one.get()));
        let (c, d) = tokio::join!(client.send(two.get()), client.send(two.get()));
        assert!([a, b, c, d].iter().all(Result::is_ok));
        assert_eq!(client.idle(), kept);
    }
}

#[tokio::test]
async fn an_answer_that_ends_the_connection_is_read_and_the_connection_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\n\r\nok",
    ] {
        let upstream = Upstream::saying_once(answer).await;
        let client = client();
        assert_eq!(text(&client, upstream.get()).await, "ok", "{answer:?}");
        assert_eq!(client.idle(), 0, "{answer:?}");
    }
}

#[tokio::test]
async fn a_hundred_requests_take_one_connection() {
    for said in [
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let upstream = Upstream::saying(said).await;
        let client = client();
        for _ in 0..100 {
            let answer = answer(&client, upstream.post()).await;
            assert_eq!(
                (answer.status, answer.body.as_whole().unwrap().as_ref()),
                (StatusCode::OK, &b"ok"[..])
            );
            assert_eq!(answer.body.size_hint().exact(), Some(2));
        }
        assert_eq!((upstream.accepted(), client.idle()), (1, 1));
    }
}
