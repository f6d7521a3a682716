//! A gate before an application, and a Twilio that signs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use ringfence_gateway::settings::{
    Check, Detail, Inspect, Limits, Listen, Mode, PathRule, Replay, Route, Settings, SignedBy, Twiml,
};
use ringfence_gateway::{Gateway, Hooks, KnownKeys, Listeners};
use ringfence_model::Clock;
use ringfence_signature::{AccountKeys, AccountSid, Keyring, PublicUrl, Signed, Signer, Strict};
use ringfence_testkit::{Answer, ManualClock, RawClient, Response, Upstream};
use tokio::sync::watch;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const NEIGHBOUR: &str = "AC00000000000000000000000000000002";
pub(crate) const TOKEN: &str = "11111111111111111111111111111111";
pub(crate) const NEIGHBOUR_TOKEN: &str = "22222222222222222222222222222222";
pub(crate) const PUBLIC_URL: &str = "https://hooks.example.com";

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    /// One route, `/twilio/`, with the defaults of the product.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let upstream = Upstream::start(|request| async move {
            Answer::new(200, format!("<Response>{}</Response>", request.target))
                .header("content-type", "text/xml")
        })
        .await;
        Self::before(upstream, change)
    }

    /// The gate before a given application.
    pub(crate) fn before(upstream: Upstream, change: impl FnOnce(&mut Settings)) -> Self {
        Self::hooked(upstream, Hooks::default(), change)
    }

    /// The gate before a given application, with what the rest of Ringfence hangs into it.
    pub(crate) fn hooked(upstream: Upstream, hooks: Hooks, change: impl FnOnce(&mut Settings)) -> Self {
        Self::knowing(upstream, hooks, KnownKeys::default(), change)
    }

    /// The same, with what is known of accounts before the first request.
    pub(crate) fn knowing(
        upstream: Upstream,
        hooks: Hooks,
        known: KnownKeys,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = settings(upstream.address());
        change(&mut settings);
        let clock = ManualClock::new();
        let listeners = Listeners::default().bind(&settings.listen).unwrap();
        let (workers, shared_clock) = (2, Arc::clone(&clock) as Arc<dyn Clock>);
        let gateway = Gateway::start_with(settings, listeners, shared_clock, workers, hooks, known).unwrap();
        Self { gateway, upstream, clock }
    }

    pub(crate) fn gate(&self) -> SocketAddr {
        self.gateway.gate_address().unwrap()
    }

    /// Sends bytes on a connection of their own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Response {
        RawClient::connect(self.gate()).await.unwrap().exchange(request).await.unwrap()
    }

    pub(crate) async fn send_signed(&self, signed: &Signed) -> Response {
        self.send(wire(signed)).await
    }

    /// A page of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Response {
        let admin = self.gateway.admin_address().unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
        RawClient::connect(admin).await.unwrap().exchange(request).await.unwrap()
    }

    /// The metrics page.
    pub(crate) async fn metrics(&self) -> String {
        self.admin("/metrics").await.text().to_owned()
    }

    /// How often requests were refused for this reason.
    pub(crate) async fn refused(&self, reason: &str) -> u64 {
        let wanted = format!("reason=\"{reason}\"");
        let metrics = self.metrics().await;
        let lines =
            metrics.lines().filter(|line| line.contains("verdict=\"refuse\"") && line.contains(&wanted));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{metrics}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// Asserts that a request is refused with this status for this reason, without a word, and reaches nobody.
    #[track_caller]
    pub(crate) fn assert_refused(&self, response: &Response, status: u16, reason: &str, count: u64) {
        assert_eq!(response.status, status);
        assert_eq!(response.text(), "", "a refusal says nothing");
        assert_eq!(count, 1, "refused for {reason}");
        assert_eq!(self.upstream.requests().len(), 0, "nothing reaches the application");
    }
}

/// An application that answers only once it is told to.
pub(crate) async fn waiting_upstream(body: &'static str) -> (watch::Sender<bool>, Upstream) {
    let (go, waiting) = watch::channel(false);
    let upstream = Upstream::start(move |_| {
        let mut waiting = waiting.clone();
        async move {
            waiting.wait_for(|go| *go).await.unwrap();
            Answer::new(200, body)
        }
    })
    .await;
    (go, upstream)
}

pub(crate) fn settings(upstream: SocketAddr) -> Settings {
    let loopback = Some("127.0.0.1:0".parse().unwrap());
    Settings {
        listen: Listen { gate: loopback, forward_auth: loopback, admin: loopback, ..Listen::default() },
        tls: None,
        limits: Limits::default(),
        keyring: Keyring::new([
            AccountKeys::new(sid(ACCOUNT)).primary(TOKEN),
            AccountKeys::new(sid(NEIGHBOUR)).primary(NEIGHBOUR_TOKEN).child_of(sid(ACCOUNT)),
        ])
        .unwrap(),
        routes: vec![route(upstream)],
        inspect: Inspect::InMemory(Detail::Metadata),
        egress: None,
        media: None,
    }
}

pub(crate) fn route(upstream: SocketAddr) -> Route {
    Route {
        label: Arc::from("/twilio/"),
        host: None,
        path: PathRule::Prefix("/twilio/".to_owned()),
        methods: vec![Method::GET, Method::POST],
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        upstream: format!("http://{upstream}").parse().unwrap(),
        check: Check::Signature,
        mode: Mode::Enforce,
        strict: Strict::Refuse,
        accounts: None,
        replay: Replay::Auto,
        refusal_status: StatusCode::FORBIDDEN,
        body_cap: 64 * 1024,
        timeout: Duration::from_secs(14),
        proof: None,
        resign: None,
        twiml: Twiml::Pass,
        signed_by: SignedBy::Any,
    }
}

pub(crate) fn sid(text: &str) -> AccountSid {
    text.parse().unwrap()
}

pub(crate) fn twilio() -> Signer {
    Signer::token(TOKEN)
}

pub(crate) fn url(path: &str) -> String {
    format!("{PUBLIC_URL}{path}")
}

/// An inbound SMS, each with a SID of its own.
pub(crate) fn sms(account: &str) -> Vec<(String, String)> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let message = format!("SM{:032x}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let fields = [
        ("ToCountry", "US"),
        ("SmsMessageSid", &message),
        ("NumMedia", "0"),
        ("FromZip", "94103"),
        ("FromCity", "SAN FRANCISCO"),
        ("Body", "It's 100% ok & fine?"),
        ("To", "+14155550100"),
        ("MessageSid", &message),
        ("AccountSid", account),
        ("From", "+14155550101"),
        ("ApiVersion", "2010-04-01"),
    ];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A call, which replays honestly.
pub(crate) fn call(account: &str) -> Vec<(String, String)> {
    let fields = [
        ("AccountSid", account),
        ("CallSid", "CA0123456789abcdef0123456789abcdef"),
        ("CallStatus", "ringing"),
        ("From", "+14155550101"),
        ("To", "+14155550100"),
    ];
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A signed request as it goes over the wire.
pub(crate) fn wire(signed: &Signed) -> Vec<u8> {
    wire_with(signed, &[])
}

/// The same with further header lines.
pub(crate) fn wire_with(signed: &Signed, extra: &[&str]) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: hooks.example.com\r\n", signed.method, signed.target());
    for (name, value) in &signed.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    for line in extra {
        text.push_str(line);
        text.push_str("\r\n");
    }
    if signed.method != "GET" {
        text.extend(["Content-Length: ", &signed.body.len().to_string(), "\r\n"]);
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&signed.body);
    bytes
}

/// `request` with the first `from` replaced.
pub(crate) fn replaced(request: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    text.replacen(from, to, 1).into_bytes()
}
