//! Webhooks by hand: genuine ones, forged ones, and the log of them.

use ringfence_signature::Signer;
use ringfence_testkit::{Answer, Upstream};
use serde_json::{Value, json};

use crate::kit::{Served, start};

/// An application that checks signatures as Twilio's own middleware does: 403 if they are wrong.
async fn application(sandbox: &Served) -> Upstream {
    let token = sandbox.sandbox.auth_token(sandbox.sandbox.account_sid()).expect("a token");
    Upstream::start(move |request| {
        let token = token.clone();
        async move {
            let host = request.header("host").unwrap_or_default().to_owned();
            let url = format!("http://{host}{}", request.target);
            let expected = Signer::token(&token).form_body(&url, request.body.to_vec());
            let given = request.header("x-twilio-signature").map(str::to_owned);
            if given.as_deref() == expected.header("x-twilio-signature") {
                Answer::new(200, "<Response/>").header("content-type", "text/xml")
            } else {
                Answer::new(403, "Forged")
            }
        }
    })
    .await
}

fn url(application: &Upstream) -> String {
    format!("http://{}/sms", application.address())
}

fn last_status(delivery: &Value) -> &Value {
    &delivery["tries"][0]["status"]
}

#[tokio::test]
async fn every_kind_of_forgery_is_refused_by_a_good_application() {
    let sandbox = start();
    let application = application(&sandbox).await;
    sandbox.twilio("POST", "/2010-04-01/Accounts.json", "FriendlyName=Neighbour").await;
    for how in ["no-signature", "wrong-token", "changed-body", "other-account"] {
        for kind in ["message", "message-status", "voice", "call-status", "usage-trigger"] {
            let body = json!({ "url": url(&application), "how": how, "kind": kind }).to_string();
            let delivery = sandbox.post("/_sandbox/forge", &body).await;
            assert_eq!(*last_status(&delivery), json!(403), "{how} {kind}: {delivery}");
            assert_ne!(delivery["signature_is"], json!("genuine"));
            assert!(delivery["problem"].is_null(), "a refused forgery is no problem: {delivery}");
        }
    }
    let naive = Upstream::saying("ok").await;
    let body = json!({ "url": url(&naive), "how": "no-signature" }).to_string();
    let delivery = sandbox.post("/_sandbox/forge", &body).await;
    assert!(delivery["problem"].as_str().unwrap().contains("took a forged webhook"), "{delivery}");
    assert_eq!(naive.only_request().header("x-twilio-signature"), None);
}

#[tokio::test]
async fn a_replay_is_the_same_bytes_again() {
    let sandbox = start();
    let application = application(&sandbox).await;
    let genuine =
        json!({ "url": url(&application), "params": { "Body": "Hi", "MessageSid": "SM1" } }).to_string();
    sandbox.post("/_sandbox/webhooks", &genuine).await;
    let again = json!({ "url": url(&application), "how": "replay" }).to_string();
    let delivery = sandbox.post("/_sandbox/forge", &again).await;
    assert_eq!((last_status(&delivery), &delivery["kind"]), (&json!(200), &json!("replay")));
    let requests = application.requests();
    let (first, second) = (&requests[0], &requests[1]);
    assert_eq!(first.body, second.body);
    for header in ["x-twilio-signature", "i-twilio-idempotency-token"] {
        assert_eq!(first.header(header), second.header(header), "{header}");
        assert!(first.header(header).is_some(), "{header}");
    }
}

#[tokio::test]
async fn a_webhook_by_hand_is_rightly_signed_by_the_account_that_is_named() {
    let sandbox = start();
    let application = application(&sandbox).await;
    let params = json!({ "Body": "Grüße & more", "NumMedia": 0, "MediaUrl": ["b", "a"] });
    let body = json!({ "url": url(&application), "params": params }).to_string();
    let delivery = sandbox.post("/_sandbox/webhooks", &body).await;
    assert_eq!(*last_status(&delivery), json!(200), "{delivery}");
    assert_eq!(delivery["signature_is"], json!("genuine"));

    let (_, other) = sandbox.twilio("POST", "/2010-04-01/Accounts.json", "").await;
    let body = json!({ "url": url(&application), "account": other["sid"] }).to_string();
    let delivery = sandbox.post("/_sandbox/webhooks", &body).await;
    assert_eq!(*last_status(&delivery), json!(403), "its key is not the main account's");
    assert!(delivery["problem"].as_str().unwrap().contains("this account's auth token"), "{delivery}");
}

#[tokio::test]
async fn the_log_shows_what_was_signed() {
    let sandbox = start();
    let application = application(&sandbox).await;
    let body = json!({ "url": url(&application), "params": { "b": "2", "a": "1" } }).to_string();
    let sent = sandbox.post("/_sandbox/webhooks", &body).await;
    let request = &sent["request"];
    assert_eq!(request["string_to_sign"], json!(format!("{}a1b2", url(&application))));
    let token = sandbox.sandbox.auth_token(sandbox.sandbox.account_sid()).unwrap();
    let signed = Signer::token(&token).get(request["string_to_sign"].as_str().unwrap());
    assert_eq!(request["signature"].as_str(), signed.header("x-twilio-signature"));

    let one = sandbox.get(&format!("/_sandbox/deliveries/{}", sent["sid"].as_str().unwrap())).await;
    assert_eq!(one, sent);
}

#[tokio::test]
async fn the_log_is_searched_by_url_kind_and_state() {
    let sandbox = start();
    let application = application(&sandbox).await;
    let good = json!({ "url": format!("{}?good", url(&application)) }).to_string();
    sandbox.post("/_sandbox/webhooks", &good).await;
    let nobody = ringfence_testkit::free_port();
    let body =
        json!({ "url": format!("http://127.0.0.1:{nobody}/sms#rc=0"), "how": "wrong-token" }).to_string();
    let refused = sandbox.post("/_sandbox/forge", &body).await;
    assert_eq!(refused["tries"][0]["failure"], json!("connect"));
    assert!(refused["problem"].as_str().unwrap().contains("No connection"), "{refused}");

    for (query, count) in [
        ("", 2),
        ("?limit=1", 1),
        ("?url=good", 1),
        ("?kind=forged", 1),
        ("?kind=message", 0),
        ("?state=done", 1),
        ("?state=failed", 1),
    ] {
        let list = sandbox.get(&format!("/_sandbox/deliveries{query}")).await;
        assert_eq!(list["deliveries"].as_array().unwrap().len(), count, "{query}");
        assert_eq!(list["total"], json!(2), "{query}");
    }
}

#[tokio::test]
async fn why_an_application_could_not_be_asked_is_told_apart() {
    let sandbox = start();
    let silent = Upstream::start(|_| std::future::pending()).await;
    let plain = Upstream::saying("ok").await;
    let nobody = ringfence_testkit::free_port();
    for (url, failure, code) in [
        (format!("http://{}/#rt=100", silent.address()), "timeout", 11205),
        (format!("http://{}/#tt=100", silent.address()), "timeout", 11205),
        (format!("http://127.0.0.1:{nobody}/#rc=0"), "connect", 11205),
        (format!("https://{}/#rc=0", plain.address()), "tls", 11220),
    ] {
        let delivery = sandbox.post("/_sandbox/webhooks", &json!({ "url": url }).to_string()).await;
        let tried = &delivery["tries"][0];
        assert_eq!(
            (&tried["failure"], &tried["error_code"]),
            (&json!(failure), &json!(code)),
            "{url}: {tried}"
        );
        let took_ms = tried["took_ms"].as_u64().expect("how long it took");
        assert!(took_ms < 4000, "no longer than it may: {took_ms} ms at {url}");
    }
}
