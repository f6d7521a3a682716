use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2 as client;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::mpsc;

use super::*;
use crate::respond::GateBody;

/// A client whose streams have this window, before a server whose answers tell when they are gone.
async fn connected(window: u32) -> (client::SendRequest<Empty<Bytes>>, mpsc::UnboundedReceiver<Instant>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (gone, heard) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<Incoming>| {
        let gone = Gone(gone.clone());
        async move {
            Ok::<_, Infallible>(Response::new(
                GateBody::full("all of it".into()).holding(gone).owed_to_stream(),
            ))
        }
    });
    tokio::spawn(
        server::Builder::new(Streams)
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(theirs), service),
    );
    let mut builder = client::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let (sender, connection) = builder.handshake(TokioIo::new(ours)).await.unwrap();
    tokio::spawn(connection);
    (sender, heard)
}

struct Gone(mpsc::UnboundedSender<Instant>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.send(Instant::now()).unwrap();
    }
}

async fn ask(sender: &mut client::SendRequest<Empty<Bytes>>) -> Response<Incoming> {
    sender.send_request(Request::get("http://hooks.example.com/").body(Empty::new()).unwrap()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_reader_leaves_no_room_is_reset_and_its_place_is_free() {
    let (mut sender, mut gone) = connected(0).await;
    let began = Instant::now();
    let answer = ask(&mut sender).await;
    let broken = answer.into_body().collect().await.expect_err("it is reset");
    assert!(format!("{broken:?}").contains("CANCEL"), "{broken:?}");
    let waited = gone.recv().await.unwrap() - began;
    assert!((UNREAD_MAX..UNREAD_MAX * 2).contains(&waited), "{waited:?}");
    // The connection goes on.
    let (first, second) = (ask(&mut sender).await, ask(&mut sender).await);
    drop(first);
    assert_eq!(second.status(), 200);
    gone.recv().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_is_not_touched() {
    let (mut sender, mut gone) = connected(65_535).await;
    for _ in 0..3 {
        let answer = ask(&mut sender).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(answer, "all of it");
        gone.recv().await.unwrap();
        sleep(UNREAD_MAX * 3).await;
    }
}
