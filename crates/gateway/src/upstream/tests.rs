//! The client against upstreams that follow a script, over real sockets. Where time matters the clock stands still
//! and jumps.

mod bodies;
mod over_tls;
mod refusals;
mod reuse;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header;
use http_body::Body as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{advance, sleep};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The upstream's side of one connection.
struct Peer<S = TcpStream> {
    stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
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

/// One POST before the upstream is told to reset the connection, and one after it did: how many connections it took.
async fn posts_around_a_reset(
    upstream: Upstream,
    go: oneshot::Sender<()>,
    was_reset: oneshot::Receiver<()>,
) -> usize {
    // In a task of its own: the test's main future is polled only after the runtime has looked at the sockets.
    let posting = tokio::spawn(async move {
        let client = client();
        assert_eq!(text(&client, upstream.post()).await, "ok");
        go.send(()).unwrap();
        was_reset.await.unwrap();
        assert_eq!(text(&client, upstream.post()).await, "ok");
        upstream.accepted()
    });
    posting.await.unwrap()
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
