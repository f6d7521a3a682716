//! A sandbox on a loopback socket whose clock stands still, and a client that asks it as Twilio's SDKs do.

use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_testkit::{ManualClock, RawClient, Response};

/// A sandbox, and one connection to it.
pub(crate) struct Actor {
    pub(crate) sandbox: Sandbox,
    client: RawClient,
    /// The server said that it closes the connection.
    closed: bool,
    /// The main account.
    pub(crate) sid: String,
    pub(crate) token: String,
}

/// One request, not yet on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, as they go over the wire.
    pub(crate) target: String,
    pub(crate) host: String,
    /// Beside `Host`, `Content-Type` and `Content-Length`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The time at which every test begins: 2026-03-01 12:00 UTC.
const BEGINNING: u64 = 1_772_366_400;

impl Actor {
    pub(crate) async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let options = SandboxOptions { seed: 7, virtual_clock: true, settings, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &listener, ManualClock::at(BEGINNING)).unwrap();
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let client = RawClient::connect(sandbox.address()).await.unwrap();
        let sid = sandbox.account_sid();
        let token = sandbox.auth_token(sid).unwrap();
        Self { sandbox, client, closed: false, sid: sid.to_string(), token }
    }

    /// A request with the main account's credentials.
    pub(crate) fn request(
        &self,
        method: &str,
        product: &str,
        target: &str,
        form: &[(&str, &str)],
    ) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            host: format!("{product}.twilio.com"),
            headers: vec![basic(&self.sid, &self.token)],
            body: encode(form).into_bytes(),
        }
    }

    /// Sends a request and reads its answer. A connection that breaks without an answer is a failure, except after
    /// an answer that said so.
    pub(crate) async fn send(&mut self, request: &Request) -> Response {
        if self.closed {
            self.client = RawClient::connect(self.sandbox.address()).await.unwrap();
        }
        self.client.send(request.bytes()).await.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        let answered = match request.method.as_str() {
            "HEAD" => self.client.read_head().await,
            _ => self.client.read_response().await,
        };
        let response = answered.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        self.closed = response.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        response
    }

    /// Moves the clock, a day at a time: what hangs is told after a minute, however long the way is. The connection may have
    /// been quiet for longer than the sandbox keeps one, so the next request opens another.
    pub(crate) async fn advance(&mut self, seconds: u64) {
        let mut left = Duration::from_secs(seconds);
        while !left.is_zero() {
            let step = left.min(Duration::from_hours(24));
            let moved = tokio::time::timeout(Duration::from_mins(1), self.sandbox.advance(step)).await;
            moved.expect("moving the clock ends").expect("the clock is virtual");
            left -= step;
        }
        self.closed = true;
    }
}

impl Request {
    fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", self.method, self.target, self.host);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() && !self.headers.iter().any(|(name, _)| name == "Content-Type") {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
        }
        head += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

pub(crate) fn basic(user: &str, password: &str) -> (String, String) {
    let credentials = BASE64.encode(format!("{user}:{password}"));
    ("Authorization".to_owned(), format!("Basic {credentials}"))
}

pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}
