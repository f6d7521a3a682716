//! The sandbox as Twilio, before a gate whose route is held to the limits: calls come in, and one is dialled.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use ringfence_breaker::{Limit, Window};
use ringfence_gateway::settings::{EgressAccount, Twiml};
use ringfence_model::{Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_signature::{AccountKeys, Keyring, PublicUrl};
use ringfence_store::{EgressAccounts, EgressArea};
use ringfence_testkit::{Answer, ManualClock, RawClient, Upstream, free_port};
use serde_json::{Value, json};

use crate::world::{Key, Setup, World, limit, raw};

struct Twilio {
    world: World,
    sandbox: Sandbox,
    address: SocketAddr,
    account: Sid,
    key: Key,
    _application: Upstream,
}

impl Twilio {
    /// The number of the account leads to an application that has everybody put through.
    async fn dialling(limits: Vec<Limit>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let options = SandboxOptions { virtual_clock: true, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &listener, ManualClock::new()).unwrap();
        let account = sandbox.account_sid();
        let token = sandbox.auth_token(account).unwrap();
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await.map(|never| match never {}) });
        let application = Upstream::start(|_| async {
            let twiml = "<Response><Dial>+12025550199</Dial></Response>";
            Answer::new(200, twiml).header("content-type", "text/xml")
        })
        .await;
        let (upstream, port) = (application.address(), free_port());
        let change = Box::new(move |settings: &mut ringfence_gateway::settings::Settings| {
            settings.listen.gate = Some(([127, 0, 0, 1], port).into());
            let keys = AccountKeys::new(account.to_string().parse().unwrap()).primary(&token);
            settings.keyring = Keyring::new([keys]).unwrap();
            let route = &mut settings.routes[0];
            route.public_url = PublicUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
            route.upstream = format!("http://{upstream}").parse().unwrap();
            route.twiml = Twiml::Limits;
            settings.egress.as_mut().unwrap().accounts =
                vec![EgressAccount { sid: account, parent: None, auth_token: Secret::new(token) }];
        });
        let world = World::at(address, Setup { limits, change, ..Setup::default() }).await;
        let key = world.key_with(|scopes| {
            scopes.accounts = EgressAccounts::Listed([account].into());
            scopes.operations = EgressArea::ALL.into_iter().collect();
        });
        let key = key.await;
        let twilio = Self { world, sandbox, address, account, key, _application: application };
        let numbers = twilio.ask("GET", "/IncomingPhoneNumbers.json", "").await;
        let is_it = |it: &&Value| it["phone_number"] == twilio.sandbox.phone_numbers()[0];
        let number = numbers["incoming_phone_numbers"].as_array().unwrap().iter().find(is_it).unwrap();
        let number = number["sid"].as_str().unwrap();
        let url = format!("VoiceUrl=http%3A%2F%2F127.0.0.1%3A{port}%2Ftwilio%2Fvoice");
        let changed = twilio.ask("POST", &format!("/IncomingPhoneNumbers/{number}.json"), &url).await;
        assert!(changed["voice_url"].as_str().unwrap().ends_with("/twilio/voice"), "{changed}");
        twilio
    }

    /// Through the egress.
    async fn ask(&self, method: &str, path: &str, form: &str) -> Value {
        let target = format!("/api.twilio.com/2010-04-01/Accounts/{}{path}", self.account);
        let authorization = self.key.as_user(&self.account.to_string());
        let response = self.world.send(raw(method, &target, &[&authorization], form)).await;
        serde_json::from_slice(&response.body).unwrap()
    }

    /// Somebody calls the number, and two minutes pass.
    async fn is_called(&self) {
        let body = json!({ "from": "+12025550143", "to": self.sandbox.phone_numbers()[0] }).to_string();
        let length = body.len();
        let request = format!(
            "POST /_sandbox/calls HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n{body}",
            self.address
        );
        let answer = RawClient::connect(self.address).await.unwrap().exchange(request).await.unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        self.sandbox.advance(Duration::from_mins(2)).await.unwrap();
    }

    /// Direction and status of each call, the oldest first.
    async fn calls(&self) -> Vec<(String, String)> {
        let page = self.ask("GET", "/Calls.json", "").await;
        let calls = page["calls"].as_array().unwrap().iter().rev();
        let text = |call: &Value, name: &str| call[name].as_str().unwrap().to_owned();
        calls.map(|call| (text(call, "direction"), text(call, "status"))).collect()
    }
}

#[tokio::test]
async fn a_call_that_comes_in_is_put_through_while_there_is_room_and_rejected_after_that() {
    // Of no window that Twilio counts, so that nothing has to be read back first. A call may take ten minutes of a tenth.
    let limit = Limit { window: Window::Rolling { seconds: 3_600 }, then: vec![], ..limit("an hour", "1.5") };
    let twilio = Twilio::dialling(vec![limit]).await;
    twilio.is_called().await;
    let calls = twilio.calls().await;
    assert_eq!(calls.iter().filter(|(direction, _)| direction == "outbound-dial").count(), 1, "{calls:?}");
    assert_eq!(twilio.world.reserved("an hour").await, "1".parse().unwrap());
    twilio.is_called().await;
    let calls = twilio.calls().await;
    assert_eq!(calls.iter().filter(|(direction, _)| direction == "outbound-dial").count(), 1, "{calls:?}");
    assert!(calls.contains(&("inbound".to_owned(), "busy".to_owned())), "{calls:?}");
    assert_eq!(twilio.world.reserved("an hour").await, "1".parse().unwrap());
    assert_eq!(twilio.world.store.check_ledger().await.unwrap(), []);
}
