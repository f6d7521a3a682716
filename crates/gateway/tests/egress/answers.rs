//! What comes back: no secret, links that lead back, files as they are.

use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::Settings;
use ringfence_store::{EgressAccounts, EgressArea};
use ringfence_testkit::{Answer, Upstream};
use serde_json::{Value, json};

use crate::world::{ACCOUNT, MESSAGE, Setup, World, json_answer, raw, request};

async fn saying(answer: impl Fn() -> Answer + Send + Sync + 'static) -> (World, crate::world::Key) {
    let upstream = Upstream::start(move |_| {
        let answer = answer();
        async move { answer }
    });
    let world = World::before(upstream.await, Setup::default()).await;
    let key = world
        .key_with(|scopes| {
            scopes.accounts = EgressAccounts::All;
            scopes.operations = EgressArea::ALL.into_iter().collect();
        })
        .await;
    (world, key)
}

#[tokio::test]
async fn no_secret_of_twilio_s_is_in_an_answer() {
    let (world, key) = saying(|| {
        let account = json!({ "sid": ACCOUNT, "auth_token": "s3cret", "nested": [{ "secret": "s3cret" }] });
        json_answer(200, &json!({ "accounts": [account], "token": "s3cret" }))
    })
    .await;
    for target in [
        "/api.twilio.com/2010-04-01/Accounts.json".to_owned(),
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json"),
    ] {
        let response = world.send(request(&key, "GET", &target, "")).await;
        assert_eq!(response.status, 200);
        assert!(!response.text().contains("s3cret"), "{}", response.text());
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["accounts"][0]["sid"], ACCOUNT);
        assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    }
}

#[tokio::test]
async fn an_answer_that_is_neither_json_nor_a_file_is_not_passed_on() {
    for (kind, body) in [
        ("application/xml", "<AuthToken>s3cret</AuthToken>"),
        ("text/html", "<html>s3cret"),
        ("text/csv", "auth_token,s3cret"),
        ("application/json", "{\"auth_token\":\"s3cret\""),
        ("application/json", "\u{feff}{\"auth_token\":\"s3cret\"}"),
        ("application/octet-stream", "s3cret"),
    ] {
        let (world, key) = saying(move || Answer::new(200, body).header("content-type", kind)).await;
        let target = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let response = world.send(request(&key, "GET", &target, "")).await;
        assert_eq!(response.status, 502, "{kind}");
        assert!(
            response.text().contains("84052") && !response.text().contains("s3cret"),
            "{}",
            response.text()
        );
    }
    let (world, key) = saying(|| {
        Answer::new(200, "{}").header("content-type", "application/json").header("content-encoding", "gzip")
    })
    .await;
    let target = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    assert_eq!(world.send(request(&key, "GET", &target, "")).await.status, 502);
}

#[tokio::test]
async fn a_refusal_of_twilio_s_that_is_no_json_stays_a_refusal_and_nothing_is_set_aside_for_it() {
    for (status, kind, refused) in [
        (429, "text/html", true),
        (404, "text/html", true),
        (403, "application/json", true),
        // Nobody knows whether these have made something.
        (408, "text/html", false),
        (503, "text/html", false),
        (201, "text/html", false),
    ] {
        let (world, key) = saying(move || {
            let answer = Answer::new(status, "<html>s3cret").header("content-type", kind);
            answer.header("retry-after", "7").header("location", "https://elsewhere.example/")
        })
        .await;
        let response = world.message(&key).await;
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let seen = (response.status, body["code"].as_u64(), response.header("retry-after"));
        let wanted = if refused { (status, Some(84053), Some("7")) } else { (502, Some(84052), None) };
        assert_eq!(seen, wanted, "{status} {kind}: {body}");
        assert!(!response.text().contains("s3cret") && response.header("location").is_none());
        let length = response.body.len().to_string();
        assert_eq!(response.header("content-length"), Some(length.as_str()));
        let reserved = world.reserved("daily").await;
        assert_eq!(reserved == ringfence_model::Amount::ZERO, refused, "{status} {kind}: {reserved}");
    }
}

#[tokio::test]
async fn absolute_links_lead_back_and_the_rest_is_byte_for_byte_twilio_s() {
    let body = "{ \"meta\": {\"next_page_url\": \"https://verify.twilio.com/v2/Attempts?Page=1\"},\n \"n\": 1.50,\
                \"url\":\"https://hooks.example.com/x\" }";
    let (world, key) = saying(move || {
        Answer::new(200, body)
            .header("content-type", "application/json")
            .header("twilio-request-id", "RQ1")
            .header("set-cookie", "a=b")
    })
    .await;
    let response = world.send(request(&key, "GET", "/verify.twilio.com/v2/Attempts", "")).await;
    let own = "http://egress.example:8500/verify.twilio.com";
    assert_eq!(response.text(), body.replace("https://verify.twilio.com", own));
    assert_eq!(response.header("twilio-request-id"), Some("RQ1"));
    assert_eq!(response.header("set-cookie"), None);
}

#[tokio::test]
async fn links_lead_back_through_a_listed_proxy_that_ends_tls() {
    for (listed, scheme) in [(true, "https"), (false, "http")] {
        let upstream = Upstream::start(|_| async {
            json_answer(200, &json!({ "url": "https://verify.twilio.com/v2/Attempts" }))
        });
        let change: Box<dyn FnOnce(&mut Settings)> = Box::new(move |settings| {
            let proxies = if listed { vec!["127.0.0.1"] } else { vec!["10.1.2.3"] };
            settings.listen.trusted_proxies = TrustedPeers::parse(proxies).unwrap();
        });
        let world = World::before(upstream.await, Setup { change, ..Setup::default() }).await;
        let authorization = world.key().await.as_user(ACCOUNT);
        let lines = [authorization.as_str(), "x-forwarded-proto: https"];
        let response = world.send(raw("GET", "/verify.twilio.com/v2/Attempts", &lines, "")).await;
        let expected = format!("{scheme}://egress.example:8500/verify.twilio.com/v2/Attempts");
        assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap()["url"], expected);
    }
}

#[tokio::test]
async fn an_error_of_twilio_s_passes_as_it_is() {
    let body = "{\"code\": 21211, \"message\": \"Invalid 'To'\", \"more_info\": \"https://www.twilio.com/docs/errors/21211\", \"status\": 400}";
    let (world, key) = saying(move || {
        Answer::new(429, body).header("content-type", "application/json").header("retry-after", "7")
    })
    .await;
    let response = world.message(&key).await;
    assert_eq!((response.status, response.text()), (429, body));
    assert_eq!(response.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn a_file_streams_and_a_redirect_leads_only_where_files_are() {
    let media =
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{MESSAGE}/Media/ME{}", &MESSAGE[2..]);
    let large = vec![0xff_u8; 3 * 1024 * 1024];
    let file = large.clone();
    let (world, key) =
        saying(move || Answer::new(200, file.clone()).header("content-type", "image/jpeg")).await;
    let response = world.send(request(&key, "GET", &media, "")).await;
    assert_eq!(response.body, large);
    assert_eq!(response.header("content-type"), Some("image/jpeg"));

    for (location, led) in [
        (
            "https://s3-external-1.amazonaws.com/media/a?X-Amz=1",
            Some("https://s3-external-1.amazonaws.com/media/a?X-Amz=1"),
        ),
        ("https://api.twilio.com/x", Some("http://egress.example:8500/api.twilio.com/x")),
        ("https://evil.example/x", None),
        ("http://169.254.169.254/", None),
    ] {
        let (world, key) = saying(move || Answer::new(307, "see there").header("location", location)).await;
        let response = world.send(request(&key, "GET", &media, "")).await;
        match led {
            Some(led) => assert_eq!((response.status, response.header("location")), (307, Some(led))),
            None => assert_eq!((response.status, response.header("location")), (502, None), "{location}"),
        }
        assert_eq!(world.requests().len(), 1, "it is not followed");
    }
}
