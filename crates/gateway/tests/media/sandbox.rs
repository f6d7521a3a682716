//! The sandbox as Twilio: its switch for credentials is on, and it sends on to where files are, which takes none.

use std::net::TcpListener;
use std::sync::Arc;

use ringfence_gateway::settings::EgressAccount;
use ringfence_model::{PhoneNumber, Secret};
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_testkit::{ManualClock, RawClient};
use serde_json::Value;

use crate::world::{World, authorization, raw};

struct Twilio {
    world: World,
    sandbox: Arc<Sandbox>,
    /// The header line of the account's own credentials.
    own: String,
}

impl Twilio {
    async fn new(redirects: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sandbox = Sandbox::new(SandboxOptions::default(), &listener, ManualClock::new()).unwrap();
        let change = sandbox.change_settings(|settings| {
            settings.media_requires_auth = true;
            settings.media_redirects = redirects;
        });
        change.unwrap();
        let sandbox = Arc::new(sandbox);
        let account = sandbox.account_sid();
        let token = sandbox.auth_token(account).unwrap();
        let own = authorization(&account.to_string(), &token);
        let serving = Arc::clone(&sandbox);
        tokio::spawn(async move { serving.serve(listener).await.map(|never| match never {}) });
        let world = World::at(sandbox.address(), |settings| {
            settings.media.as_mut().unwrap().accounts =
                vec![EgressAccount { sid: account, parent: None, auth_token: Secret::new(token) }];
        });
        Self { world: world.await, sandbox, own }
    }

    /// Asks the sandbox itself.
    async fn ask(
        &self,
        method: &str,
        target: &str,
        lines: &[&str],
        form: &str,
    ) -> ringfence_testkit::Response {
        let form_lines = if form.is_empty() {
            String::new()
        } else {
            let length = form.len();
            format!("content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n")
        };
        let own_lines = lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>();
        let address = self.sandbox.address();
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\n{own_lines}{form_lines}\r\n{form}");
        RawClient::connect(self.sandbox.address()).await.unwrap().exchange(request).await.unwrap()
    }

    /// The path of a picture that was sent.
    async fn picture(&self) -> String {
        let (account, from) = (self.sandbox.account_sid(), self.sandbox.phone_numbers()[0].clone());
        assert!(PhoneNumber::parse(&from).is_ok());
        let form = format!(
            "To=%2B14155550100&From={}&MediaUrl=https%3A%2F%2Fa.example%2Fcat.png",
            from.replace('+', "%2B")
        );
        let messages = format!("/2010-04-01/Accounts/{account}/Messages");
        let sent = self.ask("POST", &format!("{messages}.json"), &[&self.own], &form).await;
        let sent: Value = serde_json::from_slice(&sent.body).unwrap();
        let message = sent["sid"].as_str().unwrap();
        let list = self.ask("GET", &format!("{messages}/{message}/Media.json"), &[&self.own], "").await;
        let list: Value = serde_json::from_slice(&list.body).unwrap();
        let media = list["media_list"][0]["uri"].as_str().unwrap();
        media.strip_suffix(".json").unwrap().to_owned()
    }
}

#[tokio::test]
async fn twilio_gives_a_picture_to_nobody_without_credentials_and_the_guard_gives_it_to_who_has_a_link() {
    for redirects in [false, true] {
        let twilio = Twilio::new(redirects).await;
        let path = twilio.picture().await;
        assert_eq!(twilio.ask("GET", &path, &[], "").await.status, 401, "the switch is on");
        let own = twilio.ask("GET", &path, &[&twilio.own], "").await;
        assert_eq!(own.status, if redirects { 307 } else { 200 });
        let served = twilio.world.file(&path).await;
        assert_eq!((served.status, served.header("content-type")), (200, Some("image/png")), "{redirects}");
        assert!(served.body.starts_with(b"\x89PNG"));
        assert!(served.header("content-disposition").unwrap().starts_with("attachment; filename=\"ME"));
        assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn storage_refuses_credentials_beside_a_signed_url_and_the_guard_shows_none() {
    let twilio = Twilio::new(true).await;
    let path = twilio.picture().await;
    let led = twilio.ask("GET", &path, &[&twilio.own], "").await;
    let location = led.header("location").unwrap().to_owned();
    let target = location.strip_prefix(&format!("http://{}", twilio.sandbox.address())).unwrap();
    assert_eq!(twilio.ask("GET", target, &[&twilio.own], "").await.status, 400, "as Amazon S3 does");
    assert_eq!(twilio.ask("GET", &target.replace("Signature=", "Signature=0"), &[], "").await.status, 403);
    assert_eq!(twilio.ask("GET", target, &[], "").await.status, 200);
    assert_eq!(twilio.world.file(&path).await.status, 200);
}

#[tokio::test]
async fn parts_of_a_picture_come_as_parts_also_from_where_it_is_sent_on_to() {
    for redirects in [false, true] {
        let twilio = Twilio::new(redirects).await;
        let link = twilio.world.link(&twilio.picture().await).await;
        let part = twilio.world.get(&link, &["range: bytes=1-3"]).await;
        assert_eq!((part.status, part.text()), (206, "PNG"), "{redirects}");
        assert!(part.header("content-range").unwrap().starts_with("bytes 1-3/"));
        let beyond = twilio.world.get(&link, &["range: bytes=999999-"]).await;
        assert_eq!((beyond.status, beyond.body.len()), (416, 0));
        assert!(beyond.header("content-range").unwrap().starts_with("bytes */"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_to_who_has_a_link_alone() {
    let twilio = Twilio::new(true).await;
    let path = twilio.picture().await;
    let other = path[..path.len() - 4].to_owned() + "ffff";
    assert_eq!(twilio.world.file(&other).await.status, 404);
    assert_eq!(twilio.world.get(&other, &[]).await.status, 403);
    assert_eq!(twilio.world.get(&path, &[]).await.status, 403);
}

#[tokio::test]
async fn the_head_of_a_picture_has_its_length_wherever_it_is() {
    for redirects in [false, true] {
        let twilio = Twilio::new(redirects).await;
        let link = twilio.world.link(&twilio.picture().await).await;
        let length = twilio.world.get(&link, &[]).await.body.len().to_string();
        let mut client = RawClient::connect(twilio.world.gateway.media_address().unwrap()).await.unwrap();
        client.send(raw("HEAD", &link, &[], "")).await.unwrap();
        let head = client.read_head().await.unwrap();
        assert_eq!((head.status, head.header("content-length")), (200, Some(&*length)), "{redirects}");
        assert_eq!(head.header("content-type"), Some("image/png"));
    }
}
