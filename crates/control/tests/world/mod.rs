//! A Twilio of our own on a loopback socket whose clock stands still, and clients of its accounts.

use std::net::TcpListener;
use std::time::Duration;

use ringfence_model::{Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_testkit::ManualClock;
use ringfence_twilio::client::{Client, Credentials};
use ringfence_twilio::wire::AccountStatus;

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    /// The parent's.
    pub(crate) parent: Client,
}

impl World {
    pub(crate) fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let options = SandboxOptions { seed: 7, virtual_clock: true, settings, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &listener, ManualClock::at(1_772_366_400)).expect("a sandbox");
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let base = format!("http://{}", sandbox.address()).parse().expect("a URL");
        let token = Secret::new(sandbox.auth_token(sandbox.account_sid()).expect("the main account"));
        let credentials = Credentials::auth_token(sandbox.account_sid(), token);
        let settings = ringfence_twilio::client::Settings::at(base);
        let parent = Client::new(settings, credentials).expect("a client");
        Self { sandbox, parent }
    }

    /// A subaccount, and a client with its own credentials.
    pub(crate) async fn subaccount(&self, name: &str) -> (Sid, Client) {
        let account = self.parent.accounts().create(Some(name)).await.expect("a subaccount");
        let sid = Sid::parse(&account.sid).expect("a SID");
        let token = account.auth_token.expect("a parent is shown the token");
        (sid, self.parent.with_credentials(Credentials::auth_token(sid, token)))
    }

    pub(crate) async fn status(&self, account: Sid) -> AccountStatus {
        self.parent.accounts().fetch(account).await.expect("the account").status
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds)).await.expect("the clock is virtual");
    }

    /// Makes what Twilio answers go wrong.
    pub(crate) async fn fault(&self, fault: &str) {
        self.control("POST", "faults", fault).await;
    }

    /// Asks the sandbox for what Twilio does not offer.
    pub(crate) async fn control(&self, method: &str, what: &str, body: &str) -> serde_json::Value {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let address = self.sandbox.address();
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        let request = format!(
            "{method} /_sandbox/{what} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        if body.is_empty() { serde_json::Value::Null } else { serde_json::from_str(body).expect("JSON") }
    }
}
