//! What the tests of the egress and of the media guard share: two accounts, a store, requests as they are on the wire.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use ringfence_gateway::Gateway;
use ringfence_gateway::settings::EgressAccount;
use ringfence_model::{Actor, Secret, Sid};
use ringfence_signature::{AccountKeys, Keyring};
use ringfence_store::{Keys, Location, MasterKey, Store};
use ringfence_testkit::RawClient;
use tempfile::TempDir;

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const CHILD: &str = "AC00000000000000000000000000000002";
pub(crate) const STRANGER: &str = "AC00000000000000000000000000000009";
pub(crate) const TOKEN: &str = "11111111111111111111111111111111";
pub(crate) const CHILD_TOKEN: &str = "22222222222222222222222222222222";

/// The parent and its subaccount.
pub(crate) fn accounts() -> Vec<EgressAccount> {
    let account = |account: &str, parent: Option<&str>, token: &str| EgressAccount {
        sid: sid(account),
        parent: parent.map(sid),
        auth_token: Secret::new(token),
    };
    vec![account(ACCOUNT, None, TOKEN), account(CHILD, Some(ACCOUNT), CHILD_TOKEN)]
}

/// What the gate would check with.
pub(crate) fn keyring() -> Keyring {
    Keyring::new([AccountKeys::new(ACCOUNT.parse().unwrap()).primary(TOKEN)]).unwrap()
}

/// A new store in this folder.
pub(crate) async fn open(folder: &TempDir, now: Timestamp) -> Arc<Store> {
    let location = Location::Sqlite(folder.path().join("ringfence.db"));
    let keys = Keys::Given { current: MasterKey::from_bytes([7; 32]), previous: vec![] };
    Arc::new(Store::open(&location, &keys, now).await.unwrap())
}

/// The value of a metric with its labels as they are written; 0 where it is not there.
pub(crate) async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let admin = gateway.admin_address().unwrap();
    let request = "GET /metrics HTTP/1.1\r\nhost: admin\r\n\r\n";
    let page = RawClient::connect(admin).await.unwrap().exchange(request).await.unwrap();
    let value = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

pub(crate) fn operator() -> Actor {
    Actor::CommandLine("alice".to_owned())
}

pub(crate) fn sid(text: &str) -> Sid {
    Sid::parse(text).unwrap()
}

/// The header line of Basic authentication.
pub(crate) fn authorization(user: &str, secret: &str) -> String {
    format!("authorization: Basic {}", STANDARD.encode(format!("{user}:{secret}")))
}

/// A request, `GET /path` for instance, with these header lines; its body, if it has one, is of this type.
pub(crate) fn request(what: &str, lines: &[&str], content_type: &str, body: &str) -> String {
    let mut text = format!("{what} HTTP/1.1\r\n");
    let length = format!("content-length: {}", body.len());
    let content_type = format!("content-type: {content_type}");
    let of_body: &[&str] = if body.is_empty() { &[] } else { &[&content_type, &length] };
    for line in lines.iter().chain(of_body) {
        text.extend([line, "\r\n"]);
    }
    text + "\r\n" + body
}
