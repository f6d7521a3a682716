//! A media guard before a scripted Twilio, with a store.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence_gateway::media::{FileHost, LinkKey, MediaPath, MediaStore};
use ringfence_gateway::settings::{Inspect, Limits, Listen, Media, MediaSignIn, Settings, TwilioTls};
use ringfence_gateway::{Gateway, Hooks, Listeners, TwilioBase};
use ringfence_model::{Clock, Secret, StampKey};
use ringfence_store::{EGRESS, EgressAccounts, EgressScopes, NewCredential, Store};
use ringfence_testkit::{Answer, ManualClock, RawClient, Recorded, Response, Upstream};
use tempfile::TempDir;

pub(crate) use crate::common::{
    self, ACCOUNT, CHILD, CHILD_TOKEN, STRANGER, TOKEN, authorization, operator, sid,
};
use crate::common::{accounts, keyring, metric, open};

pub(crate) const SIGN_IN_HOST: &str = "media.example.com";
pub(crate) const SIGN_IN_KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PUBLIC_URL: &str = "https://media.example.com";

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) twilio: Option<Upstream>,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) is_away: Arc<AtomicBool>,
    _folder: TempDir,
}

impl World {
    /// Before a Twilio that has one picture.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let twilio = Upstream::start(|_| async { picture() }).await;
        Self::before(twilio, change).await
    }

    /// Before this Twilio.
    pub(crate) async fn before(twilio: Upstream, change: impl FnOnce(&mut Settings)) -> Self {
        let address = twilio.address();
        Self { twilio: Some(twilio), ..Self::at(address, change).await }
    }

    /// Before whatever answers at this address.
    pub(crate) async fn at(twilio: SocketAddr, change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let store = open(&folder, clock.now()).await;
        let mut settings = settings(twilio);
        change(&mut settings);
        let is_away = Arc::new(AtomicBool::new(false));
        let (kept, away) = (Arc::clone(&store), Arc::clone(&is_away));
        let media = MediaStore::new(move || (!away.load(Ordering::SeqCst)).then(|| Arc::clone(&kept)));
        let hooks = Hooks { media: Some(media), ..Hooks::default() };
        let listeners = Listeners::default().bind(&settings.listen).unwrap();
        let shared_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let gateway = Gateway::start(settings, listeners, shared_clock, 1, hooks).unwrap();
        Self { gateway, twilio: None, store, clock, is_away, _folder: folder }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.twilio.as_ref().unwrap().requests()
    }

    /// The target of a link to a file, good for a minute.
    pub(crate) async fn link(&self, path: &str) -> String {
        let key = LinkKey::new(&self.store.media_link_key().await.unwrap());
        key.link(MediaPath::parse(path).unwrap(), self.clock.unix_seconds() + 60).to_string()
    }

    /// Sends bytes on a connection of their own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Response {
        let address = self.gateway.media_address().unwrap();
        RawClient::connect(address).await.unwrap().exchange(request).await.unwrap()
    }

    pub(crate) async fn get(&self, target: &str, lines: &[&str]) -> Response {
        self.send(raw("GET", target, lines, "")).await
    }

    /// A file by a link that is good.
    pub(crate) async fn file(&self, path: &str) -> Response {
        let link = self.link(path).await;
        self.get(&link, &[]).await
    }

    /// A credential of an application: the header line of a request with it.
    pub(crate) async fn key(&self, change: impl FnOnce(&mut EgressScopes)) -> String {
        let mut scopes = EgressScopes::for_accounts(EgressAccounts::Listed([sid(ACCOUNT)].into()));
        change(&mut scopes);
        self.key_of_kind(EGRESS, scopes.to_words()).await
    }

    pub(crate) async fn key_of_kind(&self, kind: &str, scopes: Vec<String>) -> String {
        let (kind, name) = (kind.to_owned(), "shop".to_owned());
        let new = NewCredential { kind, application: None, name, scopes, expires_at: None };
        let (made, secret) = self.store.create_credential(&operator(), new, self.clock.now()).await.unwrap();
        authorization(&made.sid.to_string(), secret.expose())
    }

    /// Asks for a link.
    pub(crate) async fn ask(&self, authorization: &str, body: &str) -> (u16, serde_json::Value) {
        let response = self.send(raw("POST", "/v1/links", &[authorization], body)).await;
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    /// The value of a metric with its labels as they are written; 0 where it is not there.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        metric(&self.gateway, name).await
    }

    /// How many requests ended in this way.
    pub(crate) async fn counted(&self, outcome: &str) -> u64 {
        self.metric(&format!("ringfence_media_requests_total{{outcome=\"{outcome}\"}}")).await
    }

    #[track_caller]
    pub(crate) fn assert_nothing_was_asked(&self) {
        assert_eq!(self.requests().len(), 0, "nothing reaches Twilio");
    }
}

pub(crate) fn settings(twilio: SocketAddr) -> Settings {
    let loopback = Some("127.0.0.1:0".parse().unwrap());
    Settings {
        listen: Listen { media: loopback, admin: loopback, ..Listen::default() },
        tls: None,
        limits: Limits::default(),
        keyring: keyring(),
        routes: vec![],
        inspect: Inspect::default(),
        egress: None,
        media: Some(Media {
            public_url: PUBLIC_URL.to_owned(),
            twilio: format!("http://{twilio}").parse::<TwilioBase>().unwrap(),
            tls: TwilioTls::new(&[]).unwrap(),
            accounts: accounts(),
            hosts: FileHost::usual(),
            timeout: Duration::from_secs(30),
            bytes_max: 1024 * 1024,
            file_within: Duration::from_mins(1),
            sign_in: None,
        }),
    }
}

pub(crate) fn sign_in(account: Option<&str>) -> MediaSignIn {
    MediaSignIn { host: SIGN_IN_HOST.to_owned(), key: sign_in_key(), account: account.map(sid) }
}

pub(crate) fn sign_in_key() -> StampKey {
    StampKey::new(&Secret::new(SIGN_IN_KEY)).unwrap()
}

pub(crate) const PICTURE: &[u8] = b"\x89PNG and so on";

pub(crate) fn picture() -> Answer {
    Answer::new(200, PICTURE).header("content-type", "image/png")
}

pub(crate) fn media() -> String {
    media_of(ACCOUNT)
}

pub(crate) fn media_of(account: &str) -> String {
    format!(
        "/2010-04-01/Accounts/{account}/Messages/MM00000000000000000000000000000003/Media/\
         ME00000000000000000000000000000004"
    )
}

pub(crate) fn recording(ending: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE00000000000000000000000000000005{ending}")
}

/// A request with these header lines.
pub(crate) fn raw(method: &str, target: &str, lines: &[&str], body: &str) -> String {
    let lines = [&["host: media.example.com"], lines].concat();
    common::request(&format!("{method} {target}"), &lines, "application/json", body)
}
