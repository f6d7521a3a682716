//! Requests at the gate: those in the store, or the newest in memory.

use ringfence_console::Requests;
use ringfence_store::{Role, Where};

use crate::world::{World, seen, seen_outgoing};

#[tokio::test]
async fn each_request_stands_there_with_what_was_said_and_why() {
    let world = World::new().await;
    let owner = world.owner().await;
    let page = owner.get("/requests").await;
    page.says("signature mismatch");
    page.says("The signature is right for http://");
    page.says("admitted");
    page.says("AC00000000000000000000000000000001, signed for another form of the URL: port removed");
    page.says("says that it is of AC00000000000000000000000000000001");
    page.says("from 203.0.113.9, route /twilio/");
    page.says("answered with 200 after 12 ms");
    page.says("SM00000000000000000000000000000007");
    page.says("+1… (11 digits)");
    page.says("<dd>Message</dd>");
    page.does_not_say("<script>alert");
    let (first, last) = (page.text.find("missing signature"), page.text.find("port removed"));
    assert!(first < last && first.is_some(), "newest first");
}

#[tokio::test]
async fn requests_are_found_by_verdict_and_by_what_they_have() {
    for in_store in [false, true] {
        let world =
            if in_store { World::keeping(Requests::InStore, Vec::new()).await } else { World::new().await };
        let mut all = seen();
        all.reverse();
        world.store.keep_requests("one", &all, 100).await.unwrap();
        let owner = world.owner().await;
        let page = owner.get("/requests?verdict=admitted").await;
        page.says("/twilio/sms");
        page.does_not_say("/twilio/voice");
        let page = owner.get("/requests?verdict=refused&search=VOICE").await;
        page.says("/twilio/voice");
        page.does_not_say("missing signature");
        owner.get("/requests?search=ac00000000000000000000000000000001").await.says("/twilio/voice");
        owner.get("/requests?search=nobody").await.says("Nothing matches");
        let page = owner.get("/requests?before=2").await;
        page.says("/twilio/sms");
        page.does_not_say("/twilio/voice");
        page.says(">Newest</a>");
        owner.get("/requests?before=x&verdict=y").await.says("/twilio/voice");
    }
}

#[tokio::test]
async fn a_request_to_twilio_stands_there_with_its_credential_its_price_and_what_limits_said() {
    let world = World::keeping(Requests::InStore, Vec::new()).await;
    let mut all = seen_outgoing();
    all.reverse();
    world.store.keep_requests("one", &all, 100).await.unwrap();
    let owner = world.owner().await;
    let page = owner.get("/requests").await;
    page.says("to Twilio: messages.create, from 192.0.2.4");
    page.says("does not fit");
    page.says("by the limit “fifty a day”");
    page.says("has no room for what this could cost");
    page.says("answered with 403 (84030) after 12 ms");
    page.says("passed on, no answer: in doubt");
    page.says("“an hour, watched” would have refused it");
    page.says("answered with 400 (21211) after 12 ms");
    page.says("0.0829");
    page.says("SK00000000000000000000000000000003");
    page.says("the shop&#39;s &#60;texts&#62;");
    page.does_not_say("says that it is of");
}

#[tokio::test]
async fn the_two_directions_are_told_apart_and_found_apart() {
    let world = World::keeping(Requests::InStore, Vec::new()).await;
    let mut all = seen();
    all.reverse();
    let mut outgoing = seen_outgoing();
    outgoing.reverse();
    all.extend(outgoing);
    world.store.keep_requests("one", &all, 100).await.unwrap();
    let owner = world.owner().await;
    let page = owner.get("/requests?direction=to-twilio").await;
    page.says("/Messages.json");
    page.does_not_say("/twilio/sms");
    let page = owner.get("/requests?direction=from-twilio&verdict=admitted").await;
    page.says("/twilio/sms");
    page.does_not_say("/Messages.json");
    let page = owner.get("/requests?verdict=admitted").await;
    page.says("/twilio/sms");
    page.says("passed on, no answer: in doubt");
    page.does_not_say("does not fit");
    let page = owner.get("/requests?verdict=watched").await;
    page.says("would have refused it");
    page.does_not_say("in doubt");
    owner.get("/requests?search=the+shop").await.says("/Messages.json");
    owner.get("/requests?direction=from-twilio&search=the+shop").await.says("Nothing matches");
    let page = owner.get("/requests?direction=to-twilio&before=6").await;
    page.says("href=\"/requests?verdict=&#38;direction=to-twilio&#38;search=\"");
    page.does_not_say("does not fit");
}

#[tokio::test]
async fn where_nothing_is_kept_the_page_says_why() {
    let world = World::keeping(Requests::Nowhere, Vec::new()).await;
    let page = world.owner().await.get("/requests").await;
    page.says("<code>[inspector]</code>");
    page.does_not_say("Delete what is kept");
}

#[tokio::test]
async fn whoever_sees_one_account_sees_its_requests_and_no_others() {
    for requests in [None, Some(Requests::InStore)] {
        let world = match requests {
            None => World::new().await,
            Some(requests) => World::keeping(requests, Vec::new()).await,
        };
        let subaccount = world.subaccount("Customer 1").await;
        world.engine.synchronise_accounts().await.unwrap();
        let mut all = seen();
        world.store.keep_requests("one", &all, 100).await.unwrap();
        let browser = world.signed_in("anna", Role::Owner, Where::Account(subaccount)).await;
        let page = browser.get("/requests").await;
        page.says("No request has come yet");
        page.does_not_say("/twilio/");
        all.truncate(1);
        all[0].account = Some(subaccount);
        all[0].path = "/twilio/theirs".to_owned();
        world.store.keep_requests("one", &all, 100).await.unwrap();
        let page = browser.get("/requests").await;
        page.does_not_say("/twilio/voice");
        page.does_not_say("Delete what is kept");
        assert_eq!(browser.get("/requests/purge").await.status, 403);
    }
}

#[tokio::test]
async fn a_credential_that_opens_other_accounts_too_is_not_told_to_whoever_sees_one() {
    let world = World::keeping(Requests::InStore, Vec::new()).await;
    let account = world.subaccount("Bakery").await;
    let (own, both) = (world.key("of Bakery", Some(account)).await.0, world.key("of both", None).await.0);
    let all = [(own, "of Bakery"), (both, "of both")].map(|(credential, name)| {
        let mut request = seen_outgoing().remove(2);
        request.account = Some(account);
        request.path = format!("/Messages.json/{}", name.replace(' ', "-"));
        let outgoing = request.outgoing.as_mut().unwrap();
        (outgoing.credential, outgoing.credential_name) = (Some(credential), Some(name.to_owned()));
        request
    });
    world.store.keep_requests("one", &all, 100).await.unwrap();
    let browser = world.signed_in("anna@example.com", Role::Auditor, Where::Account(account)).await;
    let page = browser.get("/requests").await;
    page.says("/Messages.json/of-both");
    page.says("<dd>of Bakery</dd>");
    page.says(&own.to_string());
    page.does_not_say("<dd>of both</dd>");
    page.does_not_say(&both.to_string());
    for search in ["of+both", &both.to_string()] {
        browser.get(&format!("/requests?search={search}")).await.says("Nothing matches");
    }
    for search in ["of+bakery", &own.to_string()] {
        let page = browser.get(&format!("/requests?search={search}")).await;
        page.says("/Messages.json/of-Bakery");
        page.does_not_say("/Messages.json/of-both");
    }
    let owner = world.owner().await;
    let page = owner.get("/requests?search=of+both").await;
    page.says("<dd>of both</dd>");
    page.says(&both.to_string());
}

#[tokio::test]
async fn an_owner_deletes_what_is_kept_and_says_why() {
    let world = World::keeping(Requests::InStore, Vec::new()).await;
    world.store.keep_requests("one", &seen(), 100).await.unwrap();
    let owner = world.owner().await;
    owner.get("/requests").await.says("3 requests are kept");
    owner.get("/requests").await.says("Delete what is kept");
    owner.get("/requests/purge").await.says("All that is kept of 3 requests");
    let page = owner.post("/requests/purge", &[("reason", "")]).await;
    assert_eq!(page.status, 422);
    assert_eq!(world.store.count_requests(None).await.unwrap(), 3);
    let page = owner.post("/requests/purge", &[("reason", "asked to by law")]).await;
    assert_eq!((page.status, page.header("location")), (303, "/requests"));
    assert_eq!(world.store.count_requests(None).await.unwrap(), 0);
    owner.get("/audit?action=inspector.purge").await.says("asked to by law");
}
