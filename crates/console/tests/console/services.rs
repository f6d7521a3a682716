//! The second factor as a service, seen by those who run it.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_control::notices::Sender;
use ringfence_control::second_factor::{Delivery, Settings};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::challenge::Channel;
use ringfence_second_factor::code::CodeLength;
use ringfence_second_factor::country::Country;
use ringfence_second_factor::pumping::{Asker, Cap, Limits, STOPPED_AFTER};
use ringfence_store::{Begun, Counter, Expected, NewChallenge};
use serde_json::json;

use crate::world::World;

pub(crate) fn sending(account: Sid) -> Settings {
    Settings {
        account,
        delivery: Delivery::Programmable {
            sender: Sender::Name("+15550006789".to_owned()),
            caller: PhoneNumber::parse("+15550006789").ok(),
        },
        limits: Arc::new(Limits::shipped([Country::parse("US").unwrap()].into())),
        lifetime: SignedDuration::from_mins(10),
        key_url: Some("https://hooks.example.com/keys".to_owned()),
        public_url: None,
        lines: None,
    }
}

/// A code to the number that ends so; whether it was sent.
async fn begin(world: &World, application: Sid, end: u32) -> bool {
    let many = vec![Cap { most: 10_000, seconds: 3_600 }];
    let mut limits = Limits::shipped([Country::parse("US").unwrap()].into());
    (limits.prefix, limits.country, limits.total) = (many.clone(), many.clone(), many);
    let new = NewChallenge {
        expected: Expected {
            application: application.to_string(),
            purpose: "verification".to_owned(),
            binding: String::new(),
        },
        number: PhoneNumber::parse(&format!("+1415555{end:04}")).unwrap(),
        channel: Channel::Sms,
        length: CodeLength::SIX,
        lifetime: SignedDuration::from_mins(10),
        custom_code: None::<Secret>,
        details: json!({ "name": "Owl" }),
        counter: Counter::Number,
        limits: Arc::new(limits),
        asker: Asker::default(),
        own_budgets: Vec::new(),
    };
    let by = Actor::Application(application.to_string());
    matches!(world.store.begin_challenge(&by, new, world.now()).await.unwrap(), Begun::Sent { .. })
}

#[tokio::test]
async fn without_anything_it_says_what_to_do() {
    let world = World::new().await;
    let page = world.owner().await.get("/services").await;
    page.says("No code goes out");
    page.says("ringfence application add");
}

#[tokio::test]
async fn an_application_stands_there_with_its_codes_and_a_prefix_that_is_stopped_can_be_let_go_for_a_reason()
{
    let world = World::sending(Vec::new(), |account| Some(sending(account))).await;
    let by = Actor::CommandLine("ops".to_owned());
    let settings = json!({ "digits": 8, "host": "login.example.com", "countries": ["US"] });
    let owl = world.store.add_application(&by, "Owl <b>Bank</b>", settings, world.now()).await.unwrap().sid;
    let owner = world.owner().await;
    let page = owner.get("/services").await;
    page.says("0 sent, 0 entered");
    page.says("8 digits, entered at login.example.com, 0 keys");
    page.says("as calls that say the code after a key was pressed");
    page.says("5 in 10 minutes, 10 in an hour, 20 in a day");
    page.does_not_say("<b>Bank");
    page.does_not_say("Stopped");

    let mut sent = 0;
    for end in 0..STOPPED_AFTER + 10 {
        sent += u32::from(begin(&world, owl, end).await);
    }
    assert_eq!(sent, STOPPED_AFTER, "the prefix is stopped");
    let page = owner.get("/services").await;
    page.says(&format!("{sent} sent, 0 entered (0 %)"));
    page.says("+1415555…");

    let form = [("application", owl.to_string()), ("prefix", "+1415555".to_owned())];
    let fields = |reason: &'static str| {
        let mut fields: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("reason", reason));
        fields.into_iter().map(|(name, value)| (name, value.to_owned())).collect::<Vec<_>>()
    };
    let post = async |reason: &'static str| {
        let fields = fields(reason);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        owner.post("/services/resume", &fields).await
    };
    let asked = owner.get(&format!("/services/resume?application={owl}&prefix=%2B1415555")).await;
    asked.says("nobody entered them");
    let refused = post("").await;
    assert_eq!(refused.status, 422);
    refused.says("Say why");
    assert!(!begin(&world, owl, 9_000).await, "it is still stopped");
    assert_eq!(
        post("they are students of one school").await.header("location"),
        "/services?done=resume-prefix"
    );
    assert!(begin(&world, owl, 9_000).await);
    owner.get("/audit?action=prefix.resume").await.says("they are students of one school");
    assert_eq!(post("again").await.status, 404, "it is not stopped any more");
}
