//! The newest requests at the gate.

use crate::world::World;

#[tokio::test]
async fn each_request_stands_there_with_what_was_said_and_why() {
    let world = World::new().await;
    let owner = world.owner().await;
    let page = owner.get("/requests").await;
    page.says("signature mismatch");
    page.says("The signature is right for http://");
    page.says("admitted");
    page.says("AC00000000000000000000000000000001, signed for another form of the URL: port removed");
    page.says("from 203.0.113.9, route /twilio/");
    page.says("+14…23");
    let (first, last) = (page.text.find("missing signature"), page.text.find("port removed"));
    assert!(first < last && first.is_some(), "newest first");
}

#[tokio::test]
async fn requests_are_found_by_verdict_and_by_what_they_have() {
    let world = World::new().await;
    let owner = world.owner().await;
    let page = owner.get("/requests?verdict=admitted").await;
    page.says("/twilio/sms");
    page.does_not_say("/twilio/voice");
    let page = owner.get("/requests?verdict=refused&search=VOICE").await;
    page.says("/twilio/voice");
    page.does_not_say("missing signature");
    owner.get("/requests?search=nobody").await.says("Nothing matches");
    let page = owner.get("/requests?from=2").await;
    page.says("/twilio/sms");
    page.does_not_say("/twilio/voice");
    page.says(">Newest</a>");
    owner.get("/requests?from=x&verdict=y").await.says("/twilio/voice");
}
