//! A sandbox on a loopback port, and what tests say to it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use ringfence_model::Clock;
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_testkit::{RawClient, Response};
use rustls::pki_types::UnixTime;
use serde_json::Value;
use tokio::task::JoinHandle;

/// The machine's clock, as the certificates of the proxy need it.
#[derive(Debug)]
pub(crate) struct MachineClock;

impl Clock for MachineClock {
    fn unix_seconds(&self) -> u64 {
        UnixTime::now().as_secs()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A sandbox that serves until it is dropped.
pub(crate) struct Served {
    pub(crate) sandbox: Sandbox,
    serving: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A sandbox whose virtual clock begins with 2026.
pub(crate) fn start() -> Served {
    start_with(SandboxOptions { virtual_clock: true, ..SandboxOptions::default() })
}

pub(crate) fn start_with(options: SandboxOptions) -> Served {
    let start = options.start.or_else(|| "2026-01-01T00:00:00Z".parse().ok());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port can be bound");
    let sandbox = Sandbox::new(SandboxOptions { start, ..options }, &listener, Arc::new(MachineClock))
        .expect("the sandbox begins");
    let served = sandbox.clone();
    let serving = tokio::spawn(async move {
        served.serve(listener).await.expect("the listener works");
    });
    Served { sandbox, serving }
}

impl Served {
    pub(crate) fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// A request with these header lines, each ending with a line break, besides `Host`.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Response {
        let address = self.address();
        let head = if headers.to_ascii_lowercase().contains("host:") {
            String::new()
        } else {
            format!("Host: {address}\r\n")
        };
        let mut client = RawClient::connect(address).await.expect("the sandbox listens");
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\n{head}{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        client.exchange(request).await.expect("the sandbox answers")
    }

    pub(crate) async fn get(&self, target: &str) -> Value {
        let response = self.ask("GET", target, "", "").await;
        assert_eq!(response.status, 200, "{}", response.text());
        json(&response)
    }

    /// A page as a browser gets it.
    pub(crate) async fn page(&self, target: &str) -> String {
        let response = self.ask("GET", target, "Accept: text/html\r\n", "").await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        response.text().to_owned()
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn json(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let response = self.ask(method, target, "", body).await;
        (response.status, json(&response))
    }

    pub(crate) async fn post(&self, target: &str, body: &str) -> Value {
        let (status, answer) = self.json("POST", target, body).await;
        assert_eq!(status, 200, "{target}: {answer}");
        answer
    }

    /// A form of Twilio's API, as the main account.
    pub(crate) async fn twilio(&self, method: &str, path: &str, form: &str) -> (u16, Value) {
        let headers = format!("{}Content-Type: application/x-www-form-urlencoded\r\n", self.authorization());
        let response = self.ask(method, path, &headers, form).await;
        (response.status, json(&response))
    }

    pub(crate) fn authorization(&self) -> String {
        let sid = self.sandbox.account_sid();
        let token = self.sandbox.auth_token(sid).expect("the main account is there");
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{sid}:{token}"));
        format!("Authorization: Basic {basic}\r\n")
    }
}

pub(crate) fn json(response: &Response) -> Value {
    let value = serde_json::from_slice(&response.body);
    assert!(value.is_ok(), "it is no JSON: {}", response.text());
    value.unwrap_or_default()
}
