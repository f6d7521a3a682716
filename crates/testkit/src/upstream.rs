//! Applications behind the gate. [`Upstream`] is a well-behaved HTTP/1.1 server that remembers what it saw;
//! [`RawUpstream`] is whatever the test makes of a TCP connection: half an answer, garbage, silence.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::PATIENCE;

/// A request as the application saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The method, as sent.
    pub method: String,
    /// The request target, as sent.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Bytes,
    /// Which connection it came on, counted from 1.
    pub connection: usize,
    /// What the handshake said, where it came over TLS.
    pub tls: Option<Handshaken>,
}

/// What a client said in its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshaken {
    /// The name that it asked for (SNI).
    pub server_name: Option<String>,
    /// The application protocol that was chosen (ALPN).
    pub protocol: Option<String>,
    /// Whether it showed a certificate.
    pub has_certificate: bool,
}

impl Recorded {
    /// The header's value, if it was sent exactly once; panics if it was sent more often.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers_named(name);
        assert!(values.len() <= 1, "{name} arrived {} times", values.len());
        values.first().copied()
    }

    /// All values of a header, in order; empty if it was not sent.
    pub fn headers_named(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| std::str::from_utf8(value).expect("header values are text in tests")).collect()
    }
}

/// What the application answers.
#[derive(Debug)]
pub struct Answer {
    response: Response<BoxBody<Bytes, StreamCut>>,
}

impl Answer {
    /// An answer with this status and body, framed by its length.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self::with_body(status, Full::new(body.into()).map_err(|never| match never {}).boxed())
    }

    /// An answer whose body is what arrives on the channel, each piece sent at once (chunked). It ends when the sender
    /// is dropped.
    pub fn streamed(
        status: u16,
        capacity: usize,
    ) -> (http_body_util::channel::Sender<Bytes, StreamCut>, Self) {
        let (sender, body) = http_body_util::channel::Channel::new(capacity);
        (sender, Self::with_body(status, body.boxed()))
    }

    /// The same answer with one header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("a header value of a test is valid");
        self.response.headers_mut().append(name, value);
        self
    }

    fn with_body(status: u16, body: BoxBody<Bytes, StreamCut>) -> Self {
        let response = Response::builder().status(status).body(body).expect("a status of a test is valid");
        Self { response }
    }
}

/// Sent into a streamed answer by `Sender::abort`, it cuts the connection in the middle of the body.
#[derive(Debug, Clone, Copy)]
pub struct StreamCut;

impl fmt::Display for StreamCut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the test cut the answer")
    }
}

impl std::error::Error for StreamCut {}

/// An HTTP/1.1 application on a loopback port. It keeps connections alive, and is gone with all of them when dropped.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
    requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Upstream {
    /// Answers each request by the closure. To hold an answer back, wait inside the future:
    /// `Upstream::start(|request| async move { Answer::new(200, "hello") })`.
    pub async fn start<F, Fut>(answer: F) -> Self
    where
        F: Fn(Recorded) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let record = Arc::clone(&requests);
        let server = Server::start(move |number, stream| {
            serve((number, None), stream, Arc::clone(&record), Arc::clone(&answer))
        })
        .await;
        Self { server, requests }
    }

    /// The same over TLS.
    pub async fn start_tls<F, Fut>(config: Arc<ServerConfig>, answer: F) -> Self
    where
        F: Fn(Recorded) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let record = Arc::clone(&requests);
        let acceptor = TlsAcceptor::from(config);
        let server = Server::start(move |number, stream| {
            let (acceptor, record, answer) = (acceptor.clone(), Arc::clone(&record), Arc::clone(&answer));
            async move {
                // A handshake that fails is the gate's business.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (_, session) = stream.get_ref();
                let handshaken = Handshaken {
                    server_name: session.server_name().map(str::to_owned),
                    protocol: session.alpn_protocol().map(|it| String::from_utf8_lossy(it).into_owned()),
                    has_certificate: session.peer_certificates().is_some(),
                };
                serve((number, Some(handshaken)), stream, record, answer).await;
            }
        })
        .await;
        Self { server, requests }
    }

    /// Answers everything with 200 and this body.
    pub async fn saying(body: &'static str) -> Self {
        Self::start(move |_| async move { Answer::new(200, body) }).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// All requests so far whose body has arrived whole, in that order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The only request so far; panics if there were none or more.
    pub fn only_request(&self) -> Recorded {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "the upstream saw {} requests", requests.len());
        requests.remove(0)
    }

    /// How many connections were opened to it so far.
    pub fn connections(&self) -> usize {
        self.server.connections.load(Ordering::SeqCst)
    }
}

async fn serve<S, F, Fut>(
    (number, tls): (usize, Option<Handshaken>),
    stream: S,
    record: Arc<Mutex<Vec<Recorded>>>,
    answer: Arc<F>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Recorded) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (record, answer, tls) = (Arc::clone(&record), Arc::clone(&answer), tls.clone());
        async move {
            let (head, body) = request.into_parts();
            let recorded = Recorded {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                headers: head
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                    .collect(),
                body: body.collect().await?.to_bytes(),
                connection: number,
                tls,
            };
            record.lock().unwrap_or_else(PoisonError::into_inner).push(recorded.clone());
            Ok::<_, hyper::Error>(answer(recorded).await.response)
        }
    });
    // A connection that ends badly is the gate's business; the test looks at what the gate does about it.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None::<Duration>)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A server that hands each TCP connection to the test.
#[derive(Debug)]
pub struct RawUpstream {
    server: Server,
}

impl RawUpstream {
    /// Runs the closure for each connection, with its number counted from 1. The connection ends when the future does,
    /// unless it keeps the stream elsewhere.
    pub async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Self { server: Server::start(script).await }
    }

    /// Reads one request, writes these bytes and closes.
    pub async fn replying(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::start(move |_, mut stream| {
            let bytes = bytes.clone();
            async move {
                read_request(&mut stream).await;
                // The gate may have gone away already; that is for the test to judge.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Reads each request and never answers.
    pub async fn silent() -> Self {
        Self::start(|_, mut stream| async move {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        })
        .await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// How many connections were opened to it so far.
    pub fn connections(&self) -> usize {
        self.server.connections.load(Ordering::SeqCst)
    }
}

/// Reads one request from a raw connection, head and body (by `Content-Length`, or to the last chunk), and returns its
/// bytes as they were sent: what there was, if the connection ended or [`PATIENCE`] did.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut bytes = Vec::new();
    let whole = async {
        while !is_whole_request(&bytes) {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break;
            }
        }
    };
    // Running out of patience is visible to the test as a request that is not whole.
    let _ = tokio::time::timeout(PATIENCE, whole).await;
    bytes
}

fn is_whole_request(bytes: &[u8]) -> bool {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
        return false;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    if head.contains("\r\ntransfer-encoding:") {
        return bytes.ends_with(b"0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse().expect("the gate sends a valid length"));
    bytes.len() >= head_end + length
}

/// A listener with a task for each connection; all of them end when it is dropped.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Server {
    async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(usize, TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port can be bound");
        let address = listener.local_addr().expect("a bound listener has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        // The set lives in the accepting task, so aborting that task aborts every connection.
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                open.spawn(script(number, stream));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, connections, accepting: accepting.abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
