//! What goes wrong: dead, slow and malformed upstreams, answers that could be read in two ways.

use super::*;

#[tokio::test]
async fn a_dead_upstream_is_an_error_and_nothing_was_sent() {
    let upstream = Upstream::saying(OK).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = error(&client(), Exchange { address: &address, ..upstream.post() }).await;
    assert!(matches!(error, UpstreamError::Connect(_)), "{error:?}");
    assert!(!error.request_was_sent());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_never_answers_is_given_up_at_the_deadline() {
    let upstream = Upstream::saying("").await;
    let (started, client) = (Instant::now(), client());
    let error = error(&client, upstream.post()).await;
    assert!(matches!(error, UpstreamError::TimedOut(Stage::Answering)), "{error:?}");
    assert!(error.request_was_sent() && error.is_timeout());
    assert_eq!(started.elapsed().as_secs(), 10);
    assert_eq!(client.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_given_up_at_the_deadline() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\n").await;
        loop {
            sleep(Duration::from_secs(1)).await;
            peer.say("A: b\r\n").await;
        }
    })
    .await;
    let started = Instant::now();
    let error = error(&client(), upstream.get()).await;
    assert!(matches!(error, UpstreamError::TimedOut(Stage::Answering)), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_earlier_than_the_last_one_holds_too() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.request().await;
        sleep(Duration::from_secs(1)).await;
        peer.say(OK).await;
        peer.until_closed().await;
    })
    .await;
    let (client, started) = (client(), Instant::now());
    assert_eq!(text(&client, upstream.get()).await, "ok");
    let soon = Instant::now() + Duration::from_secs(2);
    let error = error(&client, Exchange { deadline: soon, ..upstream.get() }).await;
    assert!(error.is_timeout());
    assert_eq!((started.elapsed().as_secs(), upstream.accepted()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_later_than_the_last_one_holds_too() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        peer.until_closed().await;
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "ok");
    advance(Duration::from_secs(3)).await;
    let started = Instant::now();
    assert!(error(&client, upstream.get()).await.is_timeout());
    assert_eq!((started.elapsed().as_secs(), upstream.accepted()), (10, 1));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_stops_the_connecting() {
    let upstream = Upstream::saying(OK).await;
    let error = error(&client(), Exchange { deadline: Instant::now(), ..upstream.get() }).await;
    assert!(matches!(error, UpstreamError::TimedOut(Stage::Connecting)), "{error:?}");
    assert!(!error.request_was_sent());
}

#[tokio::test]
async fn an_upstream_that_closes_without_a_word_is_not_asked_again() {
    let upstream = Upstream::saying_once("").await;
    for exchange in [upstream.get(), upstream.post()] {
        let before = upstream.accepted();
        let error = error(&client(), exchange).await;
        assert!(matches!(error, UpstreamError::ClosedEarly { sent: true, .. }), "{error:?}");
        assert_eq!(upstream.accepted() - before, 1);
    }
}

#[tokio::test]
async fn an_answer_cut_short_is_an_error_and_never_a_clean_end() {
    for cut in [
        "H",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r",
    ] {
        let upstream = Upstream::saying_once(cut).await;
        let client = client();
        let result = match client.send(upstream.get()).await {
            Ok(Outcome::Answer(answer)) => whole(answer.body).await.map(|_| ()),
            other => other.map(|_| ()),
        };
        assert!(matches!(result, Err(UpstreamError::AnswerCutShort(_))), "{cut:?}: {result:?}");
        assert_eq!((client.idle(), upstream.accepted()), (0, 1), "{cut:?}");
    }
}

#[tokio::test]
async fn an_ambiguous_answer_is_refused_and_its_connection_closed() {
    for (fields, reason) in [
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            Malformed::LengthAndEncoding,
        ),
        ("Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", Malformed::ContentLength),
        ("Transfer-Encoding: gzip\r\n\r\nok", Malformed::TransferEncoding),
        ("A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", Malformed::Head),
        ("Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", Malformed::Chunk),
        ("Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n", Malformed::Chunk),
    ] {
        let upstream = Upstream::saying(format!("HTTP/1.1 200 OK\r\n{fields}")).await;
        let client = client();
        let error = error(&client, upstream.get()).await;
        assert!(
            matches!(error, UpstreamError::MalformedAnswer(found) if found == reason),
            "{fields:?}: {error:?}"
        );
        assert_eq!(client.idle(), 0);
    }
    let upstream =
        Upstream::saying("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let error = error(&client(), upstream.get()).await;
    assert!(matches!(error, UpstreamError::MalformedAnswer(Malformed::Upgrade)), "{error:?}");
}

#[tokio::test]
async fn a_chunk_that_breaks_later_is_an_error_of_the_body() {
    let (go, told) = oneshot::channel::<()>();
    let told = std::sync::Mutex::new(Some(told));
    let upstream = Upstream::start(move |_, mut peer| {
        let told = told.lock().unwrap().take().unwrap();
        async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
            told.await.unwrap();
            peer.say("1\nx").await;
            peer.until_closed().await;
        }
    })
    .await;
    let client = client();
    let mut body = answer(&client, upstream.get()).await.body;
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "ok");
    go.send(()).unwrap();
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert!(matches!(error, UpstreamError::MalformedAnswer(Malformed::Chunk)), "{error:?}");
    assert!(next(&mut body).await.is_none());
    assert_eq!(client.idle(), 0);
}

#[tokio::test]
async fn a_head_too_large_is_refused() {
    let lines = "A: b\r\n".repeat(200);
    let long = "x".repeat(100_000);
    for head in [format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), format!("HTTP/1.1 200 OK\r\nA: {long}")] {
        let upstream = Upstream::saying(head).await;
        let error = error(&client(), upstream.get()).await;
        assert!(matches!(error, UpstreamError::AnswerTooLarge), "{error:?}");
    }
}

#[tokio::test]
async fn endless_interim_answers_are_refused() {
    let upstream = Upstream::saying("HTTP/1.1 102 Processing\r\n\r\n".repeat(INTERIM_MAX + 1)).await;
    let error = error(&client(), upstream.get()).await;
    assert!(matches!(error, UpstreamError::MalformedAnswer(Malformed::Interim)), "{error:?}");
}

#[tokio::test]
async fn bytes_after_an_answer_are_nobodys_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil",
    ] {
        let upstream = Upstream::saying(answer).await;
        let client = client();
        assert_eq!(text(&client, upstream.get()).await, "ok");
        assert_eq!(client.idle(), 0);
        assert_eq!(text(&client, upstream.get()).await, "ok");
        assert_eq!(upstream.accepted(), 2);
    }
    let upstream = Upstream::saying("HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\nevil").await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "");
    assert_eq!(client.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn bytes_on_an_idle_connection_are_nobodys_answer() {
    let upstream = Upstream::start(|number, mut peer| async move {
        peer.request().await;
        peer.say(OK).await;
        if number == 0 {
            sleep(Duration::from_secs(1)).await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
        }
        peer.until_closed().await;
    })
    .await;
    let client = client();
    assert_eq!(text(&client, upstream.get()).await, "ok");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(client.idle(), 1);
    assert_eq!(text(&client, upstream.post()).await, "ok");
    assert_eq!(upstream.accepted(), 2);
}
