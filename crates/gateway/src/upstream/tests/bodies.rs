//! Bodies, upgrades, large requests, and ten thousand random answers.

use super::*;

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
async fn an_upgrade_may_be_declined_and_its_connection_is_not_used_again() {
    let upstream = Upstream::saying("HTTP/1.1 426 No\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nno").await;
    let client = client();
    let answer = answer(&client, Exchange { upgrade: true, ..upstream.get() }).await;
    assert_eq!(
        (answer.status, answer.headers.contains_key(header::UPGRADE)),
        (StatusCode::UPGRADE_REQUIRED, false)
    );
    assert_eq!(client.idle(), 0);
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
