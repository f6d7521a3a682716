//! The sandbox as Twilio: what an application does all day, through the egress.

use std::net::TcpListener;
use std::sync::Arc;

use ringfence_gateway::settings::EgressAccount;
use ringfence_model::{Clock, Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_store::{EgressAccounts, EgressArea};
use ringfence_testkit::ManualClock;
use serde_json::Value;

use crate::world::{Key, Setup, World, encoded, raw};

pub(crate) struct Twilio {
    pub(crate) world: World,
    pub(crate) account: Sid,
    key: Key,
    from: String,
}

impl Twilio {
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sandbox =
            Arc::new(Sandbox::new(SandboxOptions::default(), &listener, ManualClock::new()).unwrap());
        let account = sandbox.account_sid();
        let token = sandbox.auth_token(account).unwrap();
        let from = sandbox.phone_numbers()[0].clone();
        tokio::spawn(async move { sandbox.serve(listener).await.map(|never| match never {}) });
        let change = Box::new(move |settings: &mut ringfence_gateway::settings::Settings| {
            let egress = settings.egress.as_mut().unwrap();
            egress.accounts =
                vec![EgressAccount { sid: account, parent: None, auth_token: Secret::new(token) }];
        });
        let world = World::at(address, Setup { change, limits: Vec::new(), ..Setup::default() }).await;
        let key = world.key_with(|scopes| {
            scopes.accounts = EgressAccounts::Listed([account].into());
            scopes.operations = EgressArea::ALL.into_iter().collect();
        });
        let key = key.await;
        Self { world, account, key, from }
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, form: &str) -> (u16, Value) {
        let authorization = self.key.as_user(&self.account.to_string());
        let response = self.world.send(raw(method, target, &[&authorization], form)).await;
        let body = if response.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&response.body).unwrap_or_else(|_| Value::from(response.text()))
        };
        (response.status, body)
    }

    fn api(&self, path: &str) -> String {
        format!("/api.twilio.com/2010-04-01/Accounts/{}{path}", self.account)
    }

    async fn message(&self, to: &str) -> (u16, Value) {
        let form = format!("To={}&From={}&Body=hello", encoded(to), encoded(&self.from));
        self.ask("POST", &self.api("/Messages.json"), &form).await
    }
}

#[tokio::test]
async fn messages_are_sent_read_and_paged_through() {
    let twilio = Twilio::new().await;
    for number in 0..3 {
        let (status, body) = twilio.message(&format!("+1415555010{number}")).await;
        assert_eq!(status, 201, "{body}");
    }
    let (status, page) = twilio.ask("GET", &twilio.api("/Messages.json?PageSize=2"), "").await;
    assert_eq!((status, page["messages"].as_array().map(Vec::len)), (200, Some(2)), "{page}");
    // As the libraries go on: the base URL, then the link.
    let next = format!("/api.twilio.com{}", page["next_page_uri"].as_str().unwrap());
    let (status, page) = twilio.ask("GET", &next, "").await;
    assert_eq!((status, page["messages"].as_array().map(Vec::len)), (200, Some(1)), "{page}");
    let sid = page["messages"][0]["sid"].as_str().unwrap();
    let (status, one) = twilio.ask("GET", &twilio.api(&format!("/Messages/{sid}.json")), "").await;
    assert_eq!((status, one["sid"].as_str()), (200, Some(sid)));
    assert_eq!(twilio.world.store.check_ledger().await.unwrap(), []);
}

#[tokio::test]
async fn absolute_links_are_followed_through_the_egress() {
    let twilio = Twilio::new().await;
    for name in ["one", "two"] {
        let target = "/verify.twilio.com/v2/Services";
        let (status, body) = twilio.ask("POST", target, &format!("FriendlyName={name}")).await;
        assert_eq!(status, 201, "{body}");
        let own = "http://egress.example:8500/verify.twilio.com/v2/Services/";
        assert!(body["url"].as_str().unwrap().starts_with(own), "{body}");
        assert!(body["links"]["verifications"].as_str().unwrap().starts_with(own), "{body}");
    }
    let (_, page) = twilio.ask("GET", "/verify.twilio.com/v2/Services?PageSize=1", "").await;
    let next = page["meta"]["next_page_url"].as_str().unwrap();
    let next = next.strip_prefix("http://egress.example:8500").expect(next);
    let (status, page) = twilio.ask("GET", next, "").await;
    assert_eq!((status, page["services"].as_array().map(Vec::len)), (200, Some(1)), "{page}");
}

#[tokio::test]
async fn an_error_of_twilio_s_comes_through_and_nothing_stays_set_aside() {
    let twilio = Twilio::new().await;
    let form = format!("To=%2B14155550100&From={}", encoded(&twilio.from));
    let (status, body) = twilio.ask("POST", &twilio.api("/Messages.json"), &form).await;
    assert_eq!((status, body["code"].as_u64()), (400, Some(21602)), "no body: {body}");
    assert_eq!(twilio.world.store.open_reservations(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_account_is_read_without_its_token() {
    let twilio = Twilio::new().await;
    let (status, body) = twilio.ask("GET", &twilio.api(".json"), "").await;
    assert_eq!((status, body["sid"].as_str()), (200, Some(twilio.account.to_string().as_str())), "{body}");
    assert_eq!(body.get("auth_token"), None);
    assert!(twilio.world.clock.unix_seconds() > 0);
}
