//! The actors do what they say; otherwise a test that stands on them proves nothing.

use std::io::ErrorKind;

use ringfence_testkit::{Answer, RawClient, RawUpstream, Upstream, exchange, free_port, read_request};
use tokio::io::AsyncWriteExt as _;

const GET: &str = "GET /a%2Fb?x=1 HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n";

#[tokio::test]
async fn a_closed_port_refuses() {
    let error = RawClient::connect(([127, 0, 0, 1], free_port()).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn an_upstream_that_was_dropped_is_gone_with_its_connections() {
    let upstream = Upstream::saying("hello").await;
    let address = upstream.address();
    let mut client = RawClient::connect(address).await.unwrap();
    assert_eq!(client.exchange(GET).await.unwrap().text(), "hello");
    drop(upstream);
    assert!(client.is_closed().await);
    assert!(RawClient::connect(address).await.is_err());
}

#[tokio::test]
async fn an_upstream_records_what_it_saw_and_counts_connections() {
    let upstream =
        Upstream::start(
            |request| async move { Answer::new(201, request.body).header("x-seen", &request.method) },
        )
        .await;
    let mut client = RawClient::connect(upstream.address()).await.unwrap();
    let answer = client.exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na=1").await.unwrap();
    assert_eq!((answer.status, answer.header("X-Seen"), answer.text()), (201, Some("POST"), "a=1"));
    client.exchange(GET).await.unwrap();
    exchange(upstream.address(), GET).await.unwrap();

    let requests = upstream.requests();
    assert_eq!(requests.iter().map(|request| request.connection).collect::<Vec<_>>(), [1, 1, 2]);
    assert_eq!(requests[0].body, "a=1");
    assert_eq!(requests[1].target, "/a%2Fb?x=1");
    assert_eq!(requests[1].headers_named("x-two"), ["1", "2"]);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_streamed_answer_comes_piece_by_piece_and_can_be_cut() {
    let upstream = Upstream::start(|_| async {
        let (mut sender, answer) = Answer::streamed(200, 1);
        tokio::spawn(async move {
            sender.send_data("one".into()).await.unwrap();
            sender.send_data("two".into()).await.unwrap();
        });
        answer
    })
    .await;
    assert_eq!(exchange(upstream.address(), GET).await.unwrap().text(), "onetwo");

    let cut = RawUpstream::replying("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert_eq!(exchange(cut.address(), GET).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_raw_upstream_sees_the_exact_bytes() {
    let upstream = RawUpstream::start(|_, mut stream| async move {
        let seen = read_request(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.len());
        stream.write_all(&[head.as_bytes(), &seen].concat()).await.unwrap();
    })
    .await;
    let request = "POST /x HTTP/1.1\r\nhOsT: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    assert_eq!(exchange(upstream.address(), request).await.unwrap().text(), request);
}

#[tokio::test]
async fn chunks_trailers_interim_answers_and_pipelined_answers_are_told_apart() {
    let upstream = RawUpstream::replying(
        "HTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n\
         HTTP/1.1 204 No Content\r\n\r\n\
         HTTP/1.1 101 Switching Protocols\r\n\r\nraw",
    )
    .await;
    let mut client = RawClient::connect(upstream.address()).await.unwrap();
    assert_eq!(client.exchange(GET).await.unwrap().text(), "hello");
    assert_eq!(client.read_response().await.unwrap().status, 204);
    assert_eq!(client.read_response().await.unwrap().status, 101);
    assert_eq!(client.read_exactly(3).await.unwrap(), b"raw");
    assert!(client.is_closed().await);
}
