//! The whole way of a SharedKey: from the configuration over a Twilio of our own, whose rules take a minute to count, to a real
//! gate, which is sent webhooks all along.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use ringfence_control::node::{Job, Keep, Limits, Node, Setup};
use ringfence_gateway::{Gateway, Hooks, Listeners};
use ringfence_model::{Actor, Clock, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions, Settings};
use ringfence_store::{Location, MasterKey, SharedKeyStep};
use ringfence_testkit::{Upstream, exchange};
use tempfile::TempDir;

use super::*;
use crate::config::{self, Surroundings};
use crate::control_plane;

/// The sandbox's time, so that nobody has to move two clocks.
#[derive(Debug)]
struct Virtual(Sandbox, Instant);

impl Clock for Virtual {
    fn unix_seconds(&self) -> u64 {
        self.unix_micros() / 1_000_000
    }

    fn unix_micros(&self) -> u64 {
        u64::try_from(self.0.now().as_microsecond()).expect("after 1970")
    }

    fn monotonic(&self) -> Instant {
        self.1 + Duration::from_micros(self.unix_micros())
    }
}

#[derive(Debug)]
struct Standing(Instant);

impl Clock for Standing {
    fn monotonic(&self) -> Instant {
        self.0
    }

    fn unix_seconds(&self) -> u64 {
        1_772_366_400
    }
}

struct World {
    sandbox: Sandbox,
    node: Node,
    store: Arc<Store>,
    gateway: Gateway,
    application: Upstream,
    settings: shared_keys::Settings,
    url: String,
    _folder: TempDir,
}

impl World {
    /// A gate whose `[[account]]` has what `account` says, and whose route has what `route` says.
    async fn start(account: &str, route: &str) -> Self {
        let twilio = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let settings = Settings { shared_key_delay_s: 60, ..Settings::default() };
        let options = SandboxOptions { seed: 7, virtual_clock: true, settings, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &twilio, Arc::new(Standing(Instant::now()))).unwrap();
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(twilio).await });
        let (folder, application) = (tempfile::tempdir().unwrap(), Upstream::saying("application").await);
        let sid = sandbox.account_sid();
        let token = sandbox.auth_token(sid).unwrap();
        let port = ringfence_testkit::free_port();
        let url = format!("http://127.0.0.1:{port}/hooks/sms");
        let text = format!(
            r#"
            [listen]
            gate = "127.0.0.1:{port}"
            [store]
            url = "sqlite:{}"
            [twilio]
            base_url = "http://{}"
            [shared_keys]
            accounts = "all"
            [[account]]
            sid = "{sid}"
            {account}
            [[route]]
            path = "/hooks/"
            public_url = "http://127.0.0.1:{port}"
            upstream = "http://{}"
            check = "signature"
            {route}
            "#,
            folder.path().join("ringfence.db").display(),
            sandbox.address(),
            application.address()
        );
        let env = |name: &str| (name == "TOKEN").then(|| token.clone());
        let around = Surroundings { folder: folder.path(), env: &env, now: SystemTime::UNIX_EPOCH };
        let loaded = config::resolve(&text, Path::new("ringfence.toml"), &around).unwrap();
        let store = {
            let location = Location::Sqlite(folder.path().join("ringfence.db"));
            let keys = ringfence_store::Keys::Given {
                current: MasterKey::from_bytes([7; 32]),
                previous: Vec::new(),
            };
            Arc::new(Store::open(&location, &keys, sandbox.now()).await.unwrap())
        };
        let clock: Arc<dyn Clock> = Arc::new(Virtual(sandbox.clone(), Instant::now()));
        let gate_keys: Arc<OnceLock<Keys>> = Arc::default();
        // Whoever asks Twilio has the token, whether the gate has it or not.
        let known = ringfence_control::engine::KnownAccount {
            sid,
            parent: None,
            auth_token: ringfence_model::Secret::new(token.as_str()),
            finds_subaccounts: true,
        };
        let clients = Clients::new(&loaded.control.twilio.client, vec![known]).unwrap();
        let settings = loaded.control.shared_keys.clone().expect("they are configured");
        let node = Node::new(Setup {
            name: control_plane::name_of_node(),
            store: Arc::clone(&store),
            clients,
            limits: Limits::new(Vec::new()),
            notifier: None,
            second_factor: None,
            egress: None,
            clock: Arc::clone(&clock),
            callback_url: None,
            console_url: None,
            poll_interval: Duration::from_mins(1),
            keep: Keep::default(),
            carriers: Vec::new(),
            on_accounts: Some(on_accounts(&gate_keys)),
            signed_with: Some(signed_with(&gate_keys)),
            shared_keys: Some(settings.clone()),
            prices: None,
            examination: None,
        });
        let node = node.await.unwrap();
        let listeners = Listeners::default().bind(&loaded.settings.listen).unwrap();
        let gateway = Gateway::start(loaded.settings, listeners, clock, 1, Hooks::default()).unwrap();
        gate_keys.set(gateway.keys()).unwrap();
        let world = Self { sandbox, node, store, gateway, application, settings, url, _folder: folder };
        world.pulse().await;
        world.node.do_job(Job::Accounts).await.unwrap().expect("it is its job");
        world
    }

    /// What the node does every second, and its job.
    async fn pulse(&self) {
        self.node.turn().await.unwrap();
        self.node.follow_tokens().await.unwrap();
        self.node.do_job(Job::SharedKeys).await.unwrap();
        self.node.follow_tokens().await.unwrap();
    }

    async fn pass(&self, seconds: u64) {
        self.sandbox.advance(Duration::from_secs(seconds)).await.unwrap();
        self.pulse().await;
    }

    /// A webhook of Twilio's: the status of the gate's answer, and the key that signed it, where one did.
    async fn webhook(&self) -> (u64, Option<String>) {
        let body = serde_json::json!({ "url": self.url, "params": { "Body": "Hi" } }).to_string();
        let request = format!(
            "POST /_sandbox/webhooks HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.sandbox.address(),
            body.len()
        );
        let answer = exchange(self.sandbox.address(), request).await.unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let status = sent["tries"][0]["status"].as_u64().unwrap_or_else(|| panic!("{sent}"));
        let header = |it: &serde_json::Value| it[0] == "x-twilio-webhooks-signature-settings";
        let headers = sent["request"]["headers"].as_array().into_iter().flatten();
        (status, headers.clone().find(|it| header(it)).map(|it| it[1].to_string()))
    }

    async fn signing(&self) -> Option<String> {
        let keys = self.store.shared_keys().await.unwrap();
        keys.into_iter().find(|key| key.step == SharedKeyStep::Signing)?.key.map(|key| key.id)
    }

    async fn rotate(&self) {
        let engine = self.node.at_work().unwrap().engine;
        let account = self.store.find_account(self.sandbox.account_sid()).await.unwrap().unwrap();
        let by = Actor::CommandLine("alice".to_owned());
        engine.rotate_shared_key(&self.settings, &account, &by, "each year", false).await.unwrap();
    }

    async fn stop(self) {
        let gateway = self.gateway;
        tokio::task::spawn_blocking(move || gateway.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_refused_while_a_key_begins_to_sign_and_is_replaced() {
    let world = World::start("auth_token = { env = \"TOKEN\" }", "").await;
    let mut signers = std::collections::BTreeSet::new();
    let mut count = 0;
    for minute in 0..24 {
        if minute == 10 {
            world.rotate().await;
        }
        for _ in 0..2 {
            let (status, signer) = world.webhook().await;
            assert_eq!(status, 200, "minute {minute}, signed with {signer:?}");
            signers.insert(signer);
            count += 1;
            world.pass(30).await;
        }
    }
    assert_eq!(signers.len(), 3, "the auth token, and one key after the other: {signers:?}");
    assert_eq!(world.application.requests().len(), count);
    assert_eq!(world.store.shared_keys().await.unwrap().len(), 1, "the old one is gone");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_without_any_token_verifies_with_the_key_alone_and_a_leaked_token_forges_nothing() {
    let world = World::start("", "signed_by = \"shared-key\"").await;
    assert_eq!(world.webhook().await.0, 403, "nobody has a key yet");
    for _ in 0..8 {
        world.pass(30).await;
    }
    let (status, signer) = world.webhook().await;
    assert_eq!(status, 200, "signed with {signer:?}");
    let signing = world.signing().await.expect("a key signs");
    assert!(signer.is_some_and(|it| it.contains(&signing)));
    let (sid, token) = (world.sandbox.account_sid(), world.sandbox.auth_token(world.sandbox.account_sid()));
    let (path, before) = ("/hooks/sms", world.application.requests().len());
    let forged = ringfence_signature::Signer::token(&token.unwrap())
        .form(&world.url, [("AccountSid", Sid::to_string(&sid).as_str())]);
    let address = world.gateway.gate_address().unwrap();
    let mut head =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n", forged.body.len());
    for (name, value) in &forged.headers {
        head.extend([*name, ": ", value.as_str(), "\r\n"]);
    }
    let request = [head.as_bytes(), b"\r\n", &forged.body].concat();
    assert_eq!(exchange(address, request).await.unwrap().status, 403, "the auth token is not enough");
    assert_eq!(world.application.requests().len(), before);
    world.stop().await;
}
