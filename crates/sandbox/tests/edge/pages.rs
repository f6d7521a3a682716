//! The phones: they show everything, run nothing that they show, and say when something changes.

use ringfence_testkit::{RawClient, Upstream};
use serde_json::json;

use crate::kit::start;

const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

#[tokio::test]
async fn what_others_write_is_shown_and_not_run() {
    let sandbox = start();
    let application = Upstream::saying("<script>alert('answer')</script>").await;
    let url = format!("http://{}/sms?<script>", application.address());
    let sent = sandbox
        .post("/_sandbox/webhooks", &json!({ "url": url, "params": { "Body": HOSTILE } }).to_string())
        .await;
    sandbox
        .twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        .await;
    let delivery = format!("/_sandbox/deliveries/{}", sent["sid"].as_str().unwrap());
    for target in ["/_sandbox/phones", "/_sandbox/", &delivery] {
        let page = sandbox.page(target).await;
        assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{target}: {page}");
        assert!(page.contains("script"), "{target} shows it all the same");
    }
}

#[tokio::test]
async fn the_page_of_a_webhook_shows_request_signature_and_answer() {
    let sandbox = start();
    let application = Upstream::saying("the answer itself").await;
    let url = format!("http://{}/sms", application.address());
    let body = json!({ "url": url, "params": { "Body": "Hello there" } }).to_string();
    let sent = sandbox.post("/_sandbox/webhooks", &body).await;
    let page = sandbox.page(&format!("/_sandbox/deliveries/{}", sent["sid"].as_str().unwrap())).await;
    let signature = sent["request"]["signature"].as_str().unwrap().replace('+', "&#43;");
    for expected in
        ["Hello there", "the answer itself", "x-twilio-signature", &format!("{url}BodyHello there")]
    {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(
        page.contains(&signature) || page.contains(sent["request"]["signature"].as_str().unwrap()),
        "{page}"
    );
}

#[tokio::test]
async fn forms_work_without_a_script() {
    let sandbox = start();
    let browser = "Accept: text/html\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let response = sandbox.ask("POST", "/_sandbox/phones/add", browser, "number=%2B12025550143").await;
    assert_eq!(
        (response.status, response.header("location")),
        (303, Some("/_sandbox/phones#phone-12025550143"))
    );
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("+12025550143"), "{page}");

    let form = "number=%2B12025550143&behaviour=busy";
    assert_eq!(sandbox.ask("POST", "/_sandbox/phones/behaviour", browser, form).await.status, 303);
    let page = sandbox.page("/_sandbox/phones").await;
    assert!(page.contains("<option value=\"busy\" selected>"), "{page}");

    assert_eq!(
        sandbox.ask("POST", "/_sandbox/phones/remove", browser, "number=%2B12025550143").await.status,
        303
    );
    assert!(!sandbox.page("/_sandbox/phones").await.contains("phone-12025550143"));
}

#[tokio::test]
async fn a_form_that_cannot_be_carried_out_says_why() {
    let sandbox = start();
    let form = "from=%2B12025550143&to=%2B12025550199&body=Hi";
    let page = sandbox.ask("POST", "/_sandbox/phones/text", "Accept: text/html\r\n", form).await;
    assert_eq!(page.status, 404);
    assert!(page.text().contains("no account owns +12025550199"), "{}", page.text());
    let script = sandbox.ask("POST", "/_sandbox/phones/text", "Accept: application/json\r\n", form).await;
    assert!(script.text().starts_with('{'), "{}", script.text());
    assert_eq!(sandbox.ask("POST", "/_sandbox/phones/add", "", "number=nobody").await.status, 400);
    assert_eq!(sandbox.ask("POST", "/_sandbox/phones/add", "", "nothing").await.status, 400);
}

#[tokio::test]
async fn a_change_is_told_to_whoever_follows() {
    let sandbox = start();
    let mut follower = RawClient::connect(sandbox.address()).await.unwrap();
    let host = sandbox.address();
    follower.send(format!("GET /_sandbox/events HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    let head = follower.read_head().await.unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let mut seen = String::new();
    while !seen.contains("event: revision") {
        seen.push_str(&String::from_utf8(follower.read_some().await.unwrap()).unwrap());
    }
    assert_eq!(seen.matches("event: revision").count(), 1, "it says at once where it stands: {seen}");
    sandbox.post("/_sandbox/faults", r#"{"api": [{"status": 503}]}"#).await;
    while seen.matches("event: revision").count() < 2 {
        seen.push_str(&String::from_utf8(follower.read_some().await.unwrap()).unwrap());
    }
}

#[tokio::test]
async fn programs_get_the_phones_as_json() {
    let sandbox = start();
    sandbox.json("PUT", "/_sandbox/phones/+12025550143", r#"{"behaviour": "by-hand"}"#).await;
    let phones = sandbox.get("/_sandbox/phones").await;
    assert_eq!(phones["phones"][0]["number"], json!("+12025550143"));
    assert_eq!(phones["phones"][0]["behaviour"], json!("by-hand"));
}

const BROWSER: &str = "Accept: text/html\r\n";

#[tokio::test]
async fn what_was_typed_stands_there_again_when_it_could_not_be_carried_out() {
    let sandbox = start();
    sandbox.ask("POST", "/_sandbox/phones/add", BROWSER, "number=%2B12025550143").await;
    let form = "from=%2B12025550143&to=%2B12025550199&body=Line+%3C1%3E%0D%0Aline+2";
    let page = sandbox.ask("POST", "/_sandbox/phones/text", BROWSER, form).await;
    let text = page.text();
    assert_eq!(page.status, 404);
    assert!(text.contains("no account owns +12025550199 (GET /_sandbox/ lists"), "{text}");
    assert!(text.contains("autofocus>Line &#60;1&#62;\r\nline 2</textarea>"), "{text}");

    let page = sandbox.ask("POST", "/_sandbox/phones/add", BROWSER, "number=%2B1-202").await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains(r#"value="+1-202""#), "{}", page.text());

    let digits = "call=CA00000000000000000000000000000001&digits=1";
    let page = sandbox.ask("POST", "/_sandbox/phones/keys", BROWSER, digits).await;
    assert!(page.status == 409 && page.text().contains("no call in progress"), "{}", page.text());
    assert!(page.text().contains("phone-12025550143"), "the phones are still there");
}

#[tokio::test]
async fn a_form_comes_back_to_the_phone_that_it_was_on() {
    let sandbox = start();
    let number = sandbox.sandbox.phone_numbers().remove(0).replace('+', "%2B");
    let form = format!("from=%2B12025550143&to={number}&body=Hi");
    for (query, place) in [
        ("", "/_sandbox/phones#phone-12025550143"),
        ("?number=12025550143", "/_sandbox/phones?number=12025550143"),
    ] {
        let target = format!("/_sandbox/phones/text{query}");
        let sent = sandbox.ask("POST", &target, BROWSER, &form).await;
        assert_eq!((sent.status, sent.header("location")), (303, Some(place)));
    }
    let alone = sandbox.page("/_sandbox/phones?number=12025550143").await;
    for action in ["text", "call", "behaviour"] {
        let action = format!("action=\"/_sandbox/phones/{action}?number=12025550143\"");
        assert!(alone.contains(&action), "{action}: {alone}");
    }
    let bad = sandbox.ask("POST", "/_sandbox/phones/text?number=x", BROWSER, &form).await;
    assert_eq!(bad.status, 303, "what was sent is sent; where to go back to is not worth a refusal");
}

#[tokio::test]
async fn a_newcomer_is_told_how_to_begin_until_something_has_happened() {
    let sandbox = start();
    let page = sandbox.page("/_sandbox/phones").await;
    let account = sandbox.sandbox.account_sid().to_string();
    for expected in ["Nothing has happened yet", "Messages.json", "SmsUrl=", account.as_str()] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    sandbox.ask("POST", "/_sandbox/phones/add", BROWSER, "number=%2B12025550143").await;
    assert!(!sandbox.page("/_sandbox/phones").await.contains("Nothing has happened yet"));
}

#[tokio::test]
async fn a_phone_alone_shows_the_webhooks_about_it() {
    let sandbox = start();
    let application = Upstream::saying("").await;
    for phone in ["+12025550143", "+12025550144"] {
        let url = format!("http://{}/of{phone}", application.address());
        let body = json!({ "url": url, "params": { "From": phone, "To": "+1", "Body": "Hi" } }).to_string();
        sandbox.post("/_sandbox/webhooks", &body).await;
    }
    let alone = sandbox.page("/_sandbox/phones?number=12025550143").await;
    assert!(alone.contains("/of+12025550143") && !alone.contains("/of+12025550144"), "{alone}");
    let all = sandbox.page("/_sandbox/phones").await;
    assert!(all.contains("/of+12025550143") && all.contains("/of+12025550144"), "{all}");
    assert!(all.contains("+12025550143 → +1 · Hi"), "{all}");
}

#[tokio::test]
async fn a_forged_webhook_that_was_taken_is_shown_as_a_failure() {
    let sandbox = start();
    let application = Upstream::saying("").await;
    let url = format!("http://{}/sms", application.address());
    let body = json!({ "url": url, "how": "wrong-token" }).to_string();
    let sent = sandbox.post("/_sandbox/forge", &body).await;
    let page = sandbox.page(&format!("/_sandbox/deliveries/{}", sent["sid"].as_str().unwrap())).await;
    assert!(page.contains(r#"<span class="pill failed">taken</span>"#), "{page}");
    assert!(page.contains("took a forged webhook for a genuine one"), "{page}");
    assert!(page.contains("with a token that is no account&#39;s"), "{page}");
}

#[tokio::test]
async fn the_index_shows_commands_that_can_be_copied() {
    let sandbox = start();
    let page = sandbox.page("/_sandbox/").await;
    let number = sandbox.sandbox.phone_numbers().remove(0);
    let command = format!("curl http://{}/_sandbox/messages -d ", sandbox.address());
    assert!(page.contains(&command) && page.contains(&number), "{page}");
    assert!(page.contains("curl -X PATCH ") && !page.contains('`'), "{page}");
}
