//! The client against upstreams that follow a script, over real sockets. Where time matters the clock stands still
//! and jumps.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header;
use http_body::Body as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{advance, sleep};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The upstream's side of one connection.
struct Peer {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Peer {
    /// The next request with its body, or nothing at the end.
    async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(0, |length| length.parse().unwrap());
        let body = self.exactly(length).await?;
        Some(head + &String::from_utf8(body).unwrap())
    }

    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                return Some(String::from_utf8(self.read.drain(..end + 4).collect()).unwrap());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            self.more().await?;
        }
        Some(self.read.drain(..length).collect())
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.read).await.ok()?;
        (read > 0).then_some(())
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has hung up already is what some scripts are about.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Waits until the client has closed.
    async fn until_closed(&mut self) {
        while self.more().await.is_some() {}
    }
}

/// An upstream that plays `script` for each connection, told which one it is.
struct Upstream {
    address: UpstreamAddress,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start<F, Played>(script: F) -> Self
    where
        F: Fn(usize, Peer) -> Played + Send + 'static,
        Played: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(number, Peer { stream, read: Vec::new() }));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request in the same way, for as long as it is asked.
    async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |_, mut peer| {
            let answer = answer.clone();
            async move {
                while peer.request().await.is_some() {
                    peer.say(&answer).await;
                }
            }
        })
        .await
    }

    /// Answers once in the given way and closes.
    async fn saying_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |_, mut peer| {
            let answer = answer.clone();
            async move {
                peer.request().await;
                peer.say(&answer).await;
            }
        })
        .await
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn get(&self) -> Exchange<'_> {
        Exchange {
            address: &self.address,
            head: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            body: Bytes::new(),
            method_is_head: false,
            idempotent: true,
            deadline: Instant::now() + Duration::from_secs(10),
            upgrade: false,
        }
    }

    fn post(&self) -> Exchange<'_> {
        Exchange {
            head: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
            body: Bytes::from_static(b"a=b"),
            idempotent: false,
            ..self.get()
        }
    }
}

fn client() -> Client {
    Client::new(Settings::default())
}

async fn answer(client: &Client, exchange: Exchange<'_>) -> Answer {
    match client.send(exchange).await {
        Ok(Outcome::Answer(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

async fn error(client: &Client, exchange: Exchange<'_>) -> UpstreamError {
    client.send(exchange).await.expect_err("this must fail")
}

async fn next(body: &mut AnswerBody) -> Option<Result<Bytes, UpstreamError>> {
    let frame = poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().expect("there are only data frames")))
}

async fn whole(mut body: AnswerBody) -> Result<Vec<u8>, UpstreamError> {
    let mut data = Vec::new();
    while let Some(piece) = next(&mut body).await {
        data.extend_from_slice(&piece?);
    }
    Ok(data)
}

async fn text(client: &Client, exchange: Exchange<'_>) -> String {
    String::from_utf8(whole(answer(client, exchange).await.body).await.unwrap()).unwrap()
}

/// Lets the runtime see what has arrived; the clock is paused, so no time is spent.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

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
    // In a task of its own: the test's main future is polled only after the runtime has looked at the sockets.
    let upstream = tokio::spawn(async move {
        let client = client();
        assert_eq!(text(&client, upstream.post()).await, "ok");
        go.send(()).unwrap();
        was_reset.await.unwrap();
        assert_eq!(text(&client, upstream.post()).await, "ok");
        upstream
    });
    assert_eq!(upstream.await.unwrap().accepted(), 2);
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

#[tokio::test]
async fn answers_without_a_body_keep_the_connection_whatever_length_they_tell() {
    for (said, method_is_head) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false),
    ] {
        let upstream = Upstream::saying(said).await;
        let client = client();
        for _ in 0..3 {
            let answer = answer(&client, Exchange { method_is_head, ..upstream.get() }).await;
            assert!(answer.body.is_end_stream());
            assert_eq!(answer.headers.contains_key(header::CONTENT_LENGTH), said.contains("Length"));
        }
        assert_eq!((upstream.accepted(), client.idle()), (1, 1), "{said:?}");
    }
}

#[tokio::test]
async fn a_body_in_a_second_packet_is_waited_for_where_it_is_small() {
    let upstream = Upstream::start(|_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe").await;
            tokio::task::yield_now().await;
            peer.say("llo").await;
        }
    })
    .await;
    let client = client();
    for _ in 0..3 {
        let answer = answer(&client, upstream.get()).await;
        assert_eq!(answer.body.as_whole().unwrap(), "hello");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_large_body_is_streamed_unchanged_and_keeps_the_connection() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let mut plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    plain.extend_from_slice(&body);
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(7_777) {
        chunked.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for said in [plain, chunked] {
        let upstream = Upstream::saying(said).await;
        let client = client();
        for _ in 0..3 {
            let answer = answer(&client, upstream.get()).await;
            assert!(answer.body.as_whole().is_none());
            assert!(whole(answer.body).await.unwrap() == body);
        }
        assert_eq!((upstream.accepted(), client.idle()), (1, 1));
    }
}

#[tokio::test]
async fn a_reader_that_stops_at_the_known_length_keeps_the_connection() {
    let said = format!("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n{}", "x".repeat(50_000));
    let upstream = Upstream::saying(said).await;
    let client = client();
    let mut body = answer(&client, upstream.get()).await.body;
    while !body.is_end_stream() {
        next(&mut body).await.unwrap().unwrap();
    }
    assert_eq!(client.idle(), 1);
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_the_connection() {
    let (closed, told) = oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let upstream = Upstream::start(move |_, mut peer| {
        let closed = closed.lock().unwrap().take();
        async move {
            peer.request().await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\nbegun").await;
            peer.until_closed().await;
            closed.unwrap().send(()).unwrap();
        }
    })
    .await;
    let client = client();
    let mut body = answer(&client, upstream.get()).await.body;
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "begun");
    drop(body);
    told.await.unwrap();
    assert_eq!(client.idle(), 0);
}

#[tokio::test]
async fn a_request_dropped_half_way_closes_the_connection() {
    let (asked, told) = oneshot::channel();
    let (closed, told_closed) = oneshot::channel();
    let channels = std::sync::Mutex::new(Some((asked, closed)));
    let upstream = Upstream::start(move |_, mut peer| {
        let (asked, closed) = channels.lock().unwrap().take().unwrap();
        async move {
            peer.request().await;
            asked.send(()).unwrap();
            peer.until_closed().await;
            closed.send(()).unwrap();
        }
    })
    .await;
    let client = client();
    tokio::select! {
        outcome = client.send(upstream.get()) => panic!("{outcome:?}"),
        told = told => told.unwrap(),
    }
    told_closed.await.unwrap();
    assert_eq!(client.idle(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_take_long_but_not_pause_long() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.request().await;
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        for _ in 0..10 {
            sleep(Duration::from_secs(14)).await;
            peer.say("1\r\nx\r\n").await;
        }
        peer.until_closed().await;
    })
    .await;
    let client = client();
    let mut body = answer(&client, upstream.get()).await.body;
    for _ in 0..10 {
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "x");
    }
    let started = Instant::now();
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert!(matches!(error, UpstreamError::TimedOut(Stage::Body)), "{error:?}");
    assert_eq!(started.elapsed().as_secs(), 15);
    assert!(next(&mut body).await.is_none());
    assert_eq!(client.idle(), 0);
}

#[tokio::test]
async fn an_upgrade_hands_over_the_connection_with_what_it_said_already() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s\r\n\r\nfirst")
            .await;
        let echo = peer.exactly(4).await.unwrap();
        peer.say(echo).await;
    })
    .await;
    let client = client();
    let outcome = client.send(Exchange { upgrade: true, ..upstream.get() }).await.unwrap();
    let Outcome::Upgraded { headers, mut stream, leftover } = outcome else { panic!("{outcome:?}") };
    assert_eq!(leftover, "first");
    assert_eq!(headers[header::UPGRADE], "websocket");
    assert_eq!((headers.len(), &headers[header::SEC_WEBSOCKET_ACCEPT]), (2, &"s".parse().unwrap()));
    stream.write_all(b"ping").await.unwrap();
    let mut echo = String::new();
    stream.read_to_string(&mut echo).await.unwrap();
    assert_eq!((echo.as_str(), client.idle()), ("ping", 0));
}

#[tokio::test]
async fn an_upgrade_may_be_declined() {
    let upstream = Upstream::saying("HTTP/1.1 426 No\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nno").await;
    let client = client();
    let answer = answer(&client, Exchange { upgrade: true, ..upstream.get() }).await;
    assert_eq!(
        (answer.status, answer.headers.contains_key(header::UPGRADE)),
        (StatusCode::UPGRADE_REQUIRED, false)
    );
    assert_eq!(client.idle(), 1);
}

const LARGE: usize = 20_000_000;
const LARGE_HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n";

#[tokio::test]
async fn a_large_request_arrives_whole() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.head().await.unwrap();
        let body = peer.exactly(LARGE).await.unwrap();
        let right = body.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251);
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{right:5}")).await;
        peer.until_closed().await;
    })
    .await;
    let body: Vec<u8> = (0..LARGE).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let client = client();
    let exchange = Exchange { head: LARGE_HEAD, body: body.into(), ..upstream.post() };
    assert_eq!(text(&client, exchange).await, "true ");
    assert_eq!(client.idle(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_while_the_body_is_written_is_noticed() {
    // The upstream reads the head alone, refuses, and either waits or hangs up (which resets the connection).
    for waits in [true, false] {
        let upstream = Upstream::start(move |_, mut peer| async move {
            peer.head().await;
            peer.say("HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno").await;
            if waits {
                std::future::pending::<()>().await;
            }
        })
        .await;
        let client = client();
        let exchange = Exchange { head: LARGE_HEAD, body: vec![b'x'; LARGE].into(), ..upstream.post() };
        let answer = answer(&client, exchange).await;
        assert_eq!((answer.status, client.idle()), (StatusCode::PAYLOAD_TOO_LARGE, 0));
        assert_eq!(whole(answer.body).await.unwrap(), b"no");
    }
}

#[tokio::test]
async fn a_streamed_answer_to_half_a_request_does_not_keep_the_connection() {
    let upstream = Upstream::start(|_, mut peer| async move {
        peer.head().await.unwrap();
        peer.say("HTTP/1.1 413 No\r\nContent-Length: 50000\r\n\r\n").await;
        peer.say("x".repeat(50_000)).await;
        std::future::pending::<()>().await;
    })
    .await;
    let client = client();
    let exchange = Exchange { head: LARGE_HEAD, body: vec![b'x'; LARGE].into(), ..upstream.post() };
    let answer = answer(&client, exchange).await;
    assert_eq!(whole(answer.body).await.unwrap().len(), 50_000);
    assert_eq!(client.idle(), 0);
}

#[tokio::test]
async fn an_upstream_that_answers_while_it_reads_gets_the_rest_of_the_request() {
    let upstream = Upstream::start(|_, mut peer| async move {
        for _ in 0..2 {
            peer.head().await.unwrap();
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await;
            let body = peer.exactly(LARGE).await.unwrap();
            peer.say(format!("8\r\n{}\r\n0\r\n\r\n", body.len())).await;
        }
        peer.until_closed().await;
    })
    .await;
    let client = client();
    for _ in 0..2 {
        let exchange = Exchange { head: LARGE_HEAD, body: vec![b'x'; LARGE].into(), ..upstream.post() };
        assert_eq!(text(&client, exchange).await, "ok20000000");
    }
    // Everything was written and read in the end, so the connection was kept.
    assert_eq!((upstream.accepted(), client.idle()), (1, 1));
}

#[tokio::test]
async fn a_name_is_looked_up_and_each_of_its_addresses_tried() {
    let upstream = Upstream::saying(OK).await;
    // `localhost` may be `::1` first, where nobody listens.
    let named = upstream.address.authority().replace("127.0.0.1", "http://localhost").parse().unwrap();
    assert_eq!(text(&client(), Exchange { address: &named, ..upstream.get() }).await, "ok");
}

/// A small deterministic generator (xorshift), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    /// Bytes that look like answers often enough to reach every state of the readers.
    fn answer(&mut self) -> Vec<u8> {
        const PIECES: [&str; 24] = [
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 204 No\r\n",
            "HTTP/1.0 200 OK\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 101 X\r\nUpgrade: x\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: 50000\r\n",
            "Content-Length: 18446744073709551615\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close, x\r\n",
            "Keep-Alive: timeout=5\r\n",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "5\r\nhello\r\n",
            "ffffffffffffffff\r\n",
            "0\r\n\r\n",
            "0\r\nA: b\r\n\r\n",
            "hello",
            "\n",
            "\r",
            "\0",
            ";",
            "\u{ff}",
        ];
        let mut bytes =
            if self.below(8) == 0 { Vec::new() } else { PIECES[self.below(5)].as_bytes().to_vec() };
        for _ in 0..self.below(12) {
            bytes.extend_from_slice(PIECES[self.below(PIECES.len())].as_bytes());
        }
        for _ in 0..self.below(3) {
            if !bytes.is_empty() {
                let at = self.below(bytes.len());
                bytes[at] = u8::try_from(self.below(256)).unwrap();
            }
        }
        bytes
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_random_answers_end_in_an_answer_or_an_error() {
    // All on one client, so that a connection kept in error would show in the next answer.
    let upstream = Upstream::start(|number, mut peer| async move {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        while peer.request().await.is_some() {
            let said = dice.answer();
            let cut = dice.below(said.len() + 1);
            peer.say(&said[..cut]).await;
            tokio::task::yield_now().await;
            peer.say(&said[cut..]).await;
            if dice.below(4) > 0 {
                // Else the client waits for its deadline.
                let _ = peer.stream.shutdown().await;
            }
        }
    })
    .await;
    let client = client();
    let (mut answers, mut errors) = (0, 0);
    for round in 0..10_000 {
        let exchange = Exchange { upgrade: round % 3 == 0, method_is_head: round % 5 == 0, ..upstream.get() };
        let clean = match client.send(exchange).await {
            Ok(Outcome::Answer(answer)) => whole(answer.body).await.is_ok(),
            Ok(Outcome::Upgraded { .. }) => true,
            Err(_) => false,
        };
        if clean { answers += 1 } else { errors += 1 }
    }
    assert!(answers > 500 && errors > 500, "{answers} answers and {errors} errors: the dice are loaded");
}

#[test]
fn an_exchange_may_run_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (client, address) = (client(), "http://a".parse().unwrap());
    let exchange = Exchange {
        address: &address,
        head: b"",
        body: Bytes::new(),
        method_is_head: false,
        idempotent: false,
        deadline: std::time::Instant::now().into(),
        upgrade: false,
    };
    is_send(&client.send(exchange));
    is_send(&AnswerBody::whole(Bytes::new()));
}
