//! Heads of the audit log on their way out: a real store, a real file, a socket that is bound, a receiver that listens.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use ringfence_control::heads::{Carried, Carrier, CarrierSettings, Doubt, NotCarried};
use ringfence_control::notices::WebhookSettings;
use ringfence_model::{Actor, Secret};
use ringfence_store::{Head, Keys, Location, MasterKey, NewAudit, Store};
use ringfence_testkit::{Answer, Upstream, free_port};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;

const SECRET: &str = "7f3c0d5e9a1b4c6d8e2f7f3c0d5e9a1b";

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

async fn open(path: &Path) -> Store {
    let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: Vec::new() };
    Store::open(&Location::Sqlite(path.to_owned()), &keys, now()).await.unwrap()
}

/// A store in a folder, beside which there is room for a file of heads.
struct Log {
    store: Store,
    folder: TempDir,
}

impl Log {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: open(&folder.path().join("ringfence.db")).await, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Something happens, and the sealer comes by.
    async fn seal(&self) -> Head {
        let audit = NewAudit::new("test.happened", "something");
        self.store.audit(&Actor::job("test"), audit, now()).await.unwrap();
        self.store.seal_audit(now()).await.unwrap().head.unwrap()
    }

    async fn turn(&self, carrier: &Carrier) -> Carried {
        carrier.turn(&self.store, now()).await.unwrap()
    }
}

fn carrier(settings: CarrierSettings) -> Carrier {
    Carrier::new(settings).unwrap()
}

fn to_file(path: &Path) -> Carrier {
    carrier(CarrierSettings::File(path.to_owned()))
}

/// As `audit verify --heads` reads it.
fn heads(path: &Path) -> Vec<Head> {
    fs::read_to_string(path).unwrap().lines().map(|line| Head::parse_line(line).unwrap()).collect()
}

fn carried(head: &Head) -> Carried {
    Carried { seq: Some(head.seq), doubt: None }
}

#[tokio::test]
async fn a_file_that_holds_something_else_is_left_as_it_is() {
    let log = Log::new().await;
    let head = log.seal().await;
    let cut_short = &head.to_line()[..100];
    for text in ["1234", "hello\n", "[store]\nurl = \"x\"\n", "1 2 3\n", "\n", "\0\0\0", cut_short] {
        let path = log.path("other");
        fs::write(&path, text).unwrap();
        let error = to_file(&path).turn(&log.store, now()).await.unwrap_err();
        assert!(matches!(&error, NotCarried::File { .. }), "{error}");
        assert!(error.to_string().contains("name another file"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let database = log.path("ringfence.db");
    let before = fs::read(&database).unwrap();
    to_file(&database).turn(&log.store, now()).await.unwrap_err();
    assert_eq!(fs::read(&database).unwrap(), before);
    for path in [log.path("no/such/folder"), log.folder.path().to_owned()] {
        to_file(&path).turn(&log.store, now()).await.unwrap_err();
    }
}

#[tokio::test]
async fn each_head_is_a_line_of_a_file_for_its_owner_alone_and_verifies_the_log() {
    let log = Log::new().await;
    let path = log.path("heads");
    let carrier = to_file(&path);
    let mut expected = Vec::new();
    for _ in 0..3 {
        let head = log.seal().await;
        assert_eq!(log.turn(&carrier).await, carried(&head));
        assert_eq!(log.turn(&carrier).await, Carried::default(), "once");
        expected.push(head);
    }
    assert_eq!(heads(&path), expected);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let verified = log.store.verify_audit(&heads(&path)).await.unwrap();
    assert_eq!((verified.findings.len(), verified.heads), (0, 6));
}

#[tokio::test]
async fn after_a_restart_a_file_goes_on_with_the_newest_head() {
    let log = Log::new().await;
    let path = log.path("heads");
    let first = log.seal().await;
    log.turn(&to_file(&path)).await;
    assert_eq!(log.turn(&to_file(&path)).await, Carried::default(), "the file knows");
    log.seal().await;
    let newest = log.seal().await;
    assert_eq!(log.turn(&to_file(&path)).await, carried(&newest), "which proves those before it");
    assert_eq!(heads(&path), [first, newest.clone()]);
    // The file may be moved away, and begins anew.
    fs::rename(&path, log.path("heads.1")).unwrap();
    assert_eq!(log.turn(&to_file(&path)).await, carried(&newest));
    assert_eq!(heads(&path), [newest]);
}

#[tokio::test]
async fn a_line_that_was_not_written_to_its_end_is_written_anew() {
    let log = Log::new().await;
    let path = log.path("heads");
    let first = log.seal().await;
    let second = log.seal().await;
    let line = second.to_line();
    for length in [1, 10, line.len() / 2, line.len()] {
        fs::write(&path, format!("{}\n{}", first.to_line(), &line[..length])).unwrap();
        assert_eq!(log.turn(&to_file(&path)).await, carried(&second), "{length}");
        assert_eq!(heads(&path), [first.clone(), second.clone()]);
    }
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_is_found_and_its_newest_head_carried() {
    let log = Log::new().await;
    log.seal().await;
    // An older store, as somebody might put it back.
    let older = log.path("older.db");
    log.store.backup(&Actor::job("test"), &older, now()).await.unwrap();
    let lost = log.seal().await;
    let path = log.path("heads");
    log.turn(&to_file(&path)).await;
    let store = open(&older).await;
    let old_end = store.last_audit_head().await.unwrap().unwrap();
    let doubt = Some(Doubt::CutOff { carried: lost.seq, newest: old_end.seq });
    assert_eq!(to_file(&path).turn(&store, now()).await.unwrap(), Carried { seq: Some(old_end.seq), doubt });
    assert_eq!(to_file(&path).turn(&store, now()).await.unwrap(), Carried::default(), "it is said once");
}

#[tokio::test]
async fn a_log_that_was_written_anew_is_found() {
    let log = Log::new().await;
    log.seal().await;
    let older = log.path("older.db");
    log.store.backup(&Actor::job("test"), &older, now()).await.unwrap();
    let lost = log.seal().await;
    let path = log.path("heads");
    log.turn(&to_file(&path)).await;
    let other = Log { store: open(&older).await, folder: tempfile::tempdir().unwrap() };
    let by = Actor::job("somebody");
    for _ in 0..3 {
        other.store.audit(&by, NewAudit::new("test.else", "something else"), now()).await.unwrap();
        other.store.seal_audit(now()).await.unwrap();
    }
    let carried = other.turn(&to_file(&path)).await;
    assert_eq!(carried.doubt, Some(Doubt::WrittenAnew { seq: lost.seq }));
    assert!(carried.seq.is_some_and(|seq| seq > lost.seq));
}

#[tokio::test]
async fn syslog_gets_each_head_as_a_message_that_any_daemon_reads() {
    let log = Log::new().await;
    let socket = log.path("log");
    let carrier = carrier(CarrierSettings::Syslog(socket.clone()));
    let head = log.seal().await;
    let error = carrier.turn(&log.store, now()).await.unwrap_err();
    assert!(error.to_string().contains("is a syslog daemon running?"), "{error}");
    let daemon = UnixDatagram::bind(&socket).unwrap();
    assert_eq!(log.turn(&carrier).await, carried(&head), "what failed is tried again");
    let mut bytes = [0; 2048];
    let length = daemon.recv(&mut bytes).unwrap();
    let message = str::from_utf8(&bytes[..length]).unwrap();
    assert!(length <= 1024, "more is cut off by some");
    let (prefix, line) = message.split_once(": audit head ").unwrap();
    assert_eq!(prefix, format!("<85>ringfence[{}]", std::process::id()));
    assert_eq!(Head::parse_line(line), Some(head));
    assert_eq!(log.turn(&carrier).await, Carried::default());
    daemon.set_nonblocking(true).unwrap();
    assert!(daemon.recv(&mut bytes).is_err(), "once");
}

#[tokio::test]
async fn a_webhook_gets_each_head_signed_and_only_a_2xx_counts() {
    let log = Log::new().await;
    let works = Arc::new(AtomicBool::new(false));
    let taken = Arc::clone(&works);
    let receiver = Upstream::start(move |_| {
        let status = if taken.load(Ordering::Relaxed) { 204 } else { 500 };
        async move { Answer::new(status, "") }
    })
    .await;
    let url = format!("http://{}/heads", receiver.address());
    let settings = WebhookSettings::new(&url, Some(Secret::new(SECRET)), false).unwrap();
    let carrier = carrier(CarrierSettings::Webhook(settings));
    assert_eq!(carrier.name(), format!("the webhook to {}", receiver.address()));
    log.seal().await;
    for _ in 0..2 {
        let error = carrier.turn(&log.store, now()).await.unwrap_err().to_string();
        assert!(error.ends_with("it answered HTTP 500"), "{error}");
    }
    works.store(true, Ordering::Relaxed);
    let second = log.seal().await;
    assert_eq!(log.turn(&carrier).await, carried(&second));
    assert_eq!(log.turn(&carrier).await, Carried::default());
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    let header = |name: &str| requests[2].header(name).unwrap_or_default();
    assert_eq!(requests[0].header("webhook-id"), requests[1].header("webhook-id"), "a repeat is known by it");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes());
    mac.update(&requests[2].body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())));
    let body: Value = serde_json::from_slice(&requests[2].body).unwrap();
    assert_eq!(body["type"], "audit.head");
    assert_eq!(Head::parse_line(body["data"]["line"].as_str().unwrap()), Some(second));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_costs_nothing_but_the_head() {
    let log = Log::new().await;
    log.seal().await;
    let url = format!("http://127.0.0.1:{}/secret-path", free_port());
    let settings = WebhookSettings::new(&url, Some(Secret::new(SECRET)), false).unwrap();
    let error = carrier(CarrierSettings::Webhook(settings)).turn(&log.store, now()).await.unwrap_err();
    let NotCarried::Webhook { .. } = &error else { panic!("{error}") };
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn where_nothing_is_sealed_nothing_is_carried() {
    let log = Log::new().await;
    let path = log.path("heads");
    assert_eq!(log.turn(&to_file(&path)).await, Carried::default());
    assert!(!path.exists());
}
