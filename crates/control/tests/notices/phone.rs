//! Text messages and calls through the sandbox, and answers that get lost.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use ringfence_control::notices::{
    Attempt, CallSettings, Desk, Notice, Notifier, Outcome, Settings, SmsSettings, render,
};
use ringfence_model::{Secret, Sid};
use ringfence_sandbox::{Sandbox, SandboxOptions};
use ringfence_testkit::{ManualClock, exchange};
use ringfence_twilio::client::{self, Backoff, CallFilter, Client, Credentials, MessageFilter};
use ringfence_twilio::wire::{Call, CallStatus, Message};

use super::kit::{at, later, notice, only, refused};

const ON_CALL: &str = "+15005550123";

#[tokio::test]
async fn a_text_message_of_one_segment_arrives() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    let notice = notice("customer-17");
    assert_eq!(world.deliver(&notifier, &notice, None).await, Outcome::Delivered);
    let messages = world.messages().await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].to.as_deref(), Some(ON_CALL));
    assert_eq!(messages[0].body.as_deref(), Some(render::sms_text(&notice, &Desk::default()).as_str()));
    assert_eq!(messages[0].num_segments.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_call_is_made_and_ends_by_itself() {
    let world = World::start();
    let notifier = world.calling(ON_CALL);
    assert_eq!(world.deliver(&notifier, &notice("A & B"), None).await, Outcome::Delivered);
    for _ in 0..30 {
        world.sandbox.advance(Duration::from_secs(10)).await;
    }
    let calls = world.calls().await;
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].to.as_deref(), Some(ON_CALL));
    assert_eq!(calls[0].status, CallStatus::Completed);
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_found_and_not_sent_twice() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    let notice = notice("customer-17");
    world.fault(r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "after", "times": 1}]}"#).await;
    let why = later(world.deliver(&notifier, &notice, None).await);
    assert!(why.contains("no whole answer"), "{why}");
    assert_eq!(world.messages().await.len(), 1, "it was sent all the same");
    let first = Some(world.sandbox.now());
    assert_eq!(world.deliver(&notifier, &notice, first).await, Outcome::Delivered);
    assert_eq!(world.messages().await.len(), 1);
}

#[tokio::test]
async fn a_message_that_was_not_sent_is_sent_by_the_next_attempt() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    let notice = notice("customer-17");
    world.fault(r#"{"api": [{"method": "POST", "path": "/Messages", "drop": "before", "times": 1}]}"#).await;
    later(world.deliver(&notifier, &notice, None).await);
    assert_eq!(world.messages().await.len(), 0);
    let first = Some(world.sandbox.now());
    assert_eq!(world.deliver(&notifier, &notice, first).await, Outcome::Delivered);
    assert_eq!(world.messages().await.len(), 1);
}

#[tokio::test]
async fn the_same_words_of_yesterday_are_another_message() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    let notice = notice("customer-17");
    assert_eq!(world.deliver(&notifier, &notice, None).await, Outcome::Delivered);
    world.sandbox.advance(Duration::from_hours(24)).await;
    let first = Some(world.sandbox.now());
    assert_eq!(world.deliver(&notifier, &notice, first).await, Outcome::Delivered);
    assert_eq!(world.messages().await.len(), 2);
}

#[tokio::test]
async fn where_it_cannot_be_looked_for_nothing_is_sent() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    world.fault(r#"{"api": [{"method": "GET", "path": "/Messages", "status": 500}]}"#).await;
    let first = Some(world.sandbox.now() - 1.minute());
    let why = later(world.deliver(&notifier, &notice("customer-17"), first).await);
    assert!(why.contains("cannot be found out"), "{why}");
    world.mend().await;
    assert_eq!(world.messages().await.len(), 0);
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_not_made_twice() {
    let world = World::start();
    let notifier = world.calling(ON_CALL);
    world.fault(r#"{"api": [{"method": "POST", "path": "/Calls", "drop": "after", "times": 1}]}"#).await;
    later(world.deliver(&notifier, &notice("customer-17"), None).await);
    let first = Some(world.sandbox.now());
    assert_eq!(world.deliver(&notifier, &notice("customer-17"), first).await, Outcome::Delivered);
    assert_eq!(world.calls().await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_sender_is_final_and_shown_without_its_number() {
    let world = World::start();
    let stranger =
        SmsSettings::new(&world.account.to_string(), "+15550009999", &[ON_CALL.to_owned()]).unwrap();
    let notifier = world.notifier(Settings { sms: Some(stranger), ..Settings::default() });
    let why = refused(world.deliver(&notifier, &notice("customer-17"), None).await);
    assert!(why.contains("21659") && !why.contains("0009999"), "{why}");
}

#[tokio::test]
async fn a_busy_or_failing_twilio_and_a_wrong_token_are_tried_later() {
    let world = World::start();
    let notifier = world.texting(ON_CALL);
    for status in [429, 500, 503] {
        world
            .fault(&format!(r#"{{"api": [{{"method": "POST", "path": "/Messages", "status": {status}}}]}}"#))
            .await;
        let why = later(world.deliver(&notifier, &notice("customer-17"), None).await);
        assert!(why.contains(&status.to_string()), "{why}");
        world.mend().await;
    }
    let wrong = Credentials::auth_token(world.account, Secret::new("00000000000000000000000000000000"));
    let client = world.client.with_credentials(wrong);
    let sms = SmsSettings::new(&world.account.to_string(), &world.number, &[ON_CALL.to_owned()]).unwrap();
    let settings = Settings { sms: Some(sms), ..Settings::default() };
    let notifier = Notifier::new(settings, Arc::new(move |_: Sid| Some(client.clone()))).unwrap();
    later(world.deliver(&notifier, &notice("customer-17"), None).await);
    assert_eq!(world.messages().await.len(), 0);
}

/// A sandbox whose clock stands still until it is moved, and a client of its account.
struct World {
    sandbox: Sandbox,
    client: Client,
    account: Sid,
    number: String,
}

impl World {
    /// Within a runtime.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = Some(at("2026-11-26T01:50:45Z"));
        let options = SandboxOptions { seed: 7, virtual_clock: true, start, ..SandboxOptions::default() };
        let sandbox = Sandbox::new(options, &listener, ManualClock::new()).unwrap();
        let server = sandbox.clone();
        tokio::spawn(async move { server.serve(listener).await });
        let account = sandbox.account_sid();
        let base = format!("http://{}", sandbox.address()).parse().unwrap();
        // One try each: what is done after a failure is the outbox's business here.
        let backoff = Backoff { tries: 1, ..Backoff::default() };
        let settings = client::Settings { backoff, ..client::Settings::at(base) };
        let token = Secret::new(sandbox.auth_token(account).unwrap());
        let client = Client::new(settings, Credentials::auth_token(account, token)).unwrap();
        let number = sandbox.phone_numbers().first().unwrap().clone();
        Self { sandbox, client, account, number }
    }

    fn texting(&self, to: &str) -> Notifier {
        let sms = SmsSettings::new(&self.account.to_string(), &self.number, &[to.to_owned()]).unwrap();
        self.notifier(Settings { sms: Some(sms), ..Settings::default() })
    }

    fn calling(&self, to: &str) -> Notifier {
        let call = CallSettings::new(&self.account.to_string(), &self.number, &[to.to_owned()]).unwrap();
        self.notifier(Settings { call: Some(call), ..Settings::default() })
    }

    fn notifier(&self, settings: Settings) -> Notifier {
        let (account, client) = (self.account, self.client.clone());
        Notifier::new(settings, Arc::new(move |sid: Sid| (sid == account).then(|| client.clone()))).unwrap()
    }

    async fn deliver(&self, notifier: &Notifier, notice: &Notice, first: Option<Timestamp>) -> Outcome {
        let attempt = Attempt { now: self.sandbox.now(), first };
        notifier.deliver(notice, &only(notifier, notice), attempt).await
    }

    async fn messages(&self) -> Vec<Message> {
        self.client.messages(self.account).list(&MessageFilter::default()).all().await.unwrap()
    }

    async fn calls(&self) -> Vec<Call> {
        self.client.calls(self.account).list(&CallFilter::default()).all().await.unwrap()
    }

    async fn fault(&self, json: &str) {
        let head = "POST /_sandbox/faults HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{json}", json.len());
        let answer = exchange(self.sandbox.address(), request).await.unwrap();
        assert_eq!(answer.status, 200, "{json}");
    }

    async fn mend(&self) {
        let request = "DELETE /_sandbox/faults HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(exchange(self.sandbox.address(), request).await.unwrap().status, 200);
    }
}
