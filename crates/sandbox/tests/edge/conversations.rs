//! Twilio is a browser to an application: it follows redirects and keeps cookies.

use std::sync::Arc;

use ringfence_signature::Signer;
use ringfence_testkit::{Answer, Recorded, Upstream};
use serde_json::{Value, json};

use crate::kit::{Served, start};

const PHONE: &str = "+12025550123";

/// An application that answers by path and refuses what is not signed for the URL that it was asked at.
async fn application(
    sandbox: &Served,
    answer: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
) -> Upstream {
    let token = sandbox.sandbox.auth_token(sandbox.sandbox.account_sid()).expect("a token");
    let answer = Arc::new(answer);
    Upstream::start(move |request| {
        let (token, answer) = (token.clone(), Arc::clone(&answer));
        async move {
            let url = format!("http://{}{}", request.header("host").unwrap_or_default(), request.target);
            let signer = Signer::token(&token);
            let expected = match request.method.as_str() {
                "GET" => signer.get(&url),
                _ => signer.form_body(&url, request.body.to_vec()),
            };
            if request.header("x-twilio-signature") == expected.header("x-twilio-signature") {
                answer(&request)
            } else {
                Answer::new(403, "Forged")
            }
        }
    })
    .await
}

fn twiml(text: &str) -> Answer {
    Answer::new(200, text.to_owned()).header("content-type", "text/xml")
}

fn redirect(status: u16, location: &str) -> Answer {
    Answer::new(status, "").header("location", location)
}

/// The sandbox's first number, whose application is asked at these paths.
async fn number(sandbox: &Served, application: &Upstream, hooks: &[(&str, &str)]) -> String {
    let account = sandbox.sandbox.account_sid();
    let base = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers");
    let (_, list) = sandbox.twilio("GET", &format!("{base}.json"), "").await;
    let number = &list["incoming_phone_numbers"][0];
    let form: Vec<String> =
        hooks.iter().map(|(name, path)| format!("{name}=http://{}{path}", application.address())).collect();
    let one = format!("{base}/{}.json", number["sid"].as_str().expect("a SID"));
    let (status, changed) = sandbox.twilio("POST", &one, &form.join("&")).await;
    assert_eq!(status, 200, "{changed}");
    number["phone_number"].as_str().expect("a number").to_owned()
}

async fn text(sandbox: &Served, from: &str, to: &str, body: &str) -> String {
    let text = json!({ "from": from, "to": to, "body": body }).to_string();
    let sid = sandbox.post("/_sandbox/messages", &text).await["sid"].as_str().expect("a SID").to_owned();
    pass(sandbox, "1s").await;
    sid
}

/// Time passes, and whatever was asked meanwhile is answered.
async fn pass(sandbox: &Served, time: &str) {
    sandbox.post("/_sandbox/clock", &json!({ "advance": time }).to_string()).await;
}

fn asked(application: &Upstream) -> Vec<String> {
    application.requests().iter().map(|it| format!("{} {}", it.method, it.target)).collect()
}

async fn error_of(sandbox: &Served, sid: &str) -> Value {
    let account = sandbox.sandbox.account_sid();
    let path = format!("/2010-04-01/Accounts/{account}/Messages/{sid}.json");
    sandbox.twilio("GET", &path, "").await.1["error_code"].clone()
}

#[tokio::test]
async fn a_circle_of_redirects_and_one_that_leads_nowhere_are_errors_of_their_own() {
    for (status, location, requests, code) in
        [(302, "/sms", 11, 11215), (302, "ftp://app.example/", 1, 11216), (308, "/sms", 1, 11216)]
    {
        let sandbox = start();
        let application = application(&sandbox, move |_| redirect(status, location)).await;
        let to = number(&sandbox, &application, &[("SmsUrl", "/sms")]).await;
        let sid = text(&sandbox, PHONE, &to, "hi").await;
        assert_eq!(asked(&application).len(), requests, "{status} {location}");
        assert_eq!(error_of(&sandbox, &sid).await, json!(code), "{status} {location}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_signed_anew_and_relative_urls_are_seen_from_its_end() {
    for (status, method, has_params) in
        [(301, "GET", false), (302, "GET", false), (303, "GET", false), (307, "POST", true)]
    {
        let sandbox = start();
        let application = application(&sandbox, move |request| match request.target.as_str() {
            "/sms" => redirect(status, "/deep/answer?x=1"),
            "/deep/answer?x=1" => twiml("<Response><Redirect>next</Redirect></Response>"),
            _ => twiml("<Response/>"),
        })
        .await;
        let to = number(&sandbox, &application, &[("SmsUrl", "/sms")]).await;
        let sid = text(&sandbox, PHONE, &to, "hi").await;
        let followed = format!("{method} /deep/answer?x=1");
        assert_eq!(asked(&application), ["POST /sms", &followed, "POST /deep/next"], "{status}");
        let body = application.requests()[1].body.clone();
        assert_eq!(String::from_utf8_lossy(&body).contains("Body=hi"), has_params, "{status}");
        assert_eq!(error_of(&sandbox, &sid).await, Value::Null);
    }
}

#[tokio::test]
async fn the_fallback_is_asked_after_a_circle_and_told_which_url_failed() {
    let sandbox = start();
    let application = application(&sandbox, |request| match request.target.as_str() {
        "/voice" => redirect(307, "/voice"),
        _ => twiml("<Response><Say>sorry</Say></Response>"),
    })
    .await;
    let hooks = [("VoiceUrl", "/voice"), ("VoiceFallbackUrl", "/fallback")];
    let to = number(&sandbox, &application, &hooks).await;
    sandbox.post("/_sandbox/calls", &json!({ "from": PHONE, "to": to }).to_string()).await;
    pass(&sandbox, "10s").await;
    let last = application.requests().pop().expect("it was asked");
    assert_eq!(last.target, "/fallback");
    let params: Vec<_> = form_urlencoded::parse(&last.body).into_owned().collect();
    let url = format!("http://{}/voice", application.address());
    assert!(params.contains(&("ErrorCode".to_owned(), "11215".to_owned())), "{params:?}");
    assert!(params.contains(&("ErrorUrl".to_owned(), url)), "{params:?}");
}

/// The cookies that the application was shown, request by request.
fn cookies(application: &Upstream) -> Vec<Option<String>> {
    application.requests().iter().map(|it| it.header("cookie").map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_conversation_of_messages_has_cookies_that_no_other_sees_and_that_last_four_hours() {
    let sandbox = start();
    let application = application(&sandbox, |request| match request.header("cookie") {
        None => {
            twiml("<Response/>").header("set-cookie", "turn=1; Path=/").header("set-cookie", "b=2; Secure")
        }
        Some(_) => twiml("<Response/>").header("set-cookie", "turn=2; Path=/"),
    })
    .await;
    let to = number(&sandbox, &application, &[("SmsUrl", "/sms")]).await;
    text(&sandbox, PHONE, &to, "one").await;
    text(&sandbox, "+12025550124", &to, "somebody else").await;
    text(&sandbox, PHONE, &to, "two").await;
    text(&sandbox, PHONE, &to, "three").await;
    let shown = |text: &str| Some(text.to_owned());
    assert_eq!(cookies(&application), [None, None, shown("turn=1"), shown("turn=2")]);
    pass(&sandbox, "4h").await;
    text(&sandbox, PHONE, &to, "four").await;
    assert_eq!(cookies(&application)[4], None, "too late");
}

#[tokio::test]
async fn a_call_has_cookies_of_its_own() {
    let sandbox = start();
    let application = application(&sandbox, |request| match request.target.as_str() {
        "/voice" => {
            let answer = twiml("<Response><Redirect>/next</Redirect></Response>");
            answer.header("set-cookie", "step=one; Path=/; HttpOnly")
        }
        "/next" => twiml("<Response><Redirect>/last</Redirect></Response>")
            .header("set-cookie", "step=gone; Path=/; Max-Age=0"),
        _ => twiml("<Response/>"),
    })
    .await;
    let hooks = [("VoiceUrl", "/voice"), ("StatusCallback", "/status")];
    let to = number(&sandbox, &application, &hooks).await;
    for _ in 0..2 {
        sandbox.post("/_sandbox/calls", &json!({ "from": PHONE, "to": to }).to_string()).await;
        pass(&sandbox, "10s").await;
    }
    let (asked, cookies) = (asked(&application), cookies(&application));
    assert_eq!(asked[..4], ["POST /voice", "POST /next", "POST /last", "POST /status"]);
    assert_eq!(cookies[..4], [None, Some("step=one".to_owned()), None, None]);
    assert_eq!((&asked[4..], &cookies[4..]), (&asked[..4], &cookies[..4]), "the next call begins anew");
}

#[tokio::test]
async fn an_answer_that_has_no_end_is_cut_off_and_is_no_error_of_a_callback() {
    let sandbox = start();
    let application = application(&sandbox, |request| match request.target.as_str() {
        "/sms" => {
            let long = format!("<Response>{}</Response>", " ".repeat(5_000_000));
            twiml(&long)
        }
        _ => Answer::new(200, " ".repeat(5_000_000)),
    })
    .await;
    let to = number(&sandbox, &application, &[("SmsUrl", "/sms")]).await;
    let sid = text(&sandbox, PHONE, &to, "hi").await;
    assert_eq!(error_of(&sandbox, &sid).await, json!(11750));
    let body = json!({ "url": format!("http://{}/status", application.address()) }).to_string();
    let delivery = sandbox.post("/_sandbox/webhooks", &body).await;
    assert_eq!(delivery["state"], json!("done"), "{}", delivery["problem"]);
}
