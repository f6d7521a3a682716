//! `POST /v1/links`: applications have links made.

use std::sync::atomic::Ordering;

use ringfence_gateway::media::{LINK_AT_MOST_FOR, LINK_USUALLY_FOR};
use ringfence_model::Clock as _;
use ringfence_store::{EgressAccounts, EgressArea};
use serde_json::json;

use crate::world::{
    ACCOUNT, CHILD, PUBLIC_URL, STRANGER, World, authorization, media, media_of, raw, recording, sid,
};

#[tokio::test]
async fn nobody_without_a_good_virtual_credential_has_a_link_made() {
    let world = World::new().await;
    let body = json!({ "url": media() }).to_string();
    let good = world.key(|_| {}).await;
    let other_kind = world.key_of_kind("verify", vec![]).await;
    for line in [
        "x: y".to_owned(),
        authorization(ACCOUNT, "wrong"),
        authorization("alice", "wrong"),
        "authorization: Bearer x".to_owned(),
        good.replace("Basic ", "Digest "),
        other_kind,
    ] {
        let (status, problem) = world.ask(&line, &body).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")), "{line}");
    }
    let refused = world.send(raw("POST", "/v1/links", &[], &body)).await;
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"Ringfence media\""));
    let refused = world.send(raw("GET", "/v1/links", &[&good], "")).await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    // One of two could be read by one reader, and the other by the next.
    let doubled = world.send(raw("POST", "/v1/links", &[&good, &good], &body)).await;
    assert_eq!(doubled.status, 400);
    assert_eq!(world.send(raw("POST", "/v1/links?url=x", &[&good], &body)).await.status, 400);
    world.is_away.store(true, Ordering::SeqCst);
    assert_eq!(world.ask(&good, &body).await.0, 503);
}

#[tokio::test]
async fn a_credential_has_links_made_within_its_scopes_alone() {
    let world = World::new().await;
    let asks = async |key: &str, path: &str| world.ask(key, &json!({ "url": path }).to_string()).await;
    let calls = world.key(|scopes| scopes.operations = [EgressArea::Calls].into()).await;
    let messages = world.key(|scopes| scopes.operations = [EgressArea::Messages].into()).await;
    let all = world.key(|scopes| scopes.accounts = EgressAccounts::All).await;
    for (key, path) in [(&calls, media()), (&messages, recording("")), (&messages, media_of(CHILD))] {
        let (status, problem) = asks(key, &path).await;
        assert_eq!((status, &problem["code"]), (403, &json!("out_of_scope")), "{path}");
    }
    let (status, problem) = asks(&all, &media_of(STRANGER)).await;
    assert_eq!((status, &problem["code"]), (403, &json!("unknown_account")));
    assert_eq!(asks(&calls, &recording(".mp3")).await.0, 201);
    assert_eq!(asks(&messages, &media()).await.0, 201);
    assert_eq!(asks(&all, &media_of(CHILD)).await.0, 201);
    let child = world.key(|scopes| scopes.accounts = EgressAccounts::Listed([sid(CHILD)].into())).await;
    assert_eq!(asks(&child, &media()).await.0, 403);
}

#[tokio::test]
async fn what_is_no_file_of_twilio_s_or_no_time_makes_no_link() {
    let world = World::new().await;
    let key = world.key(|_| {}).await;
    for body in [
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "url": 1 }).to_string(),
        json!({ "url": "https://evil.example/" }).to_string(),
        json!({ "url": media() + "/x" }).to_string(),
        json!({ "url": media(), "expires_in": 0 }).to_string(),
        json!({ "url": media(), "expires_in": -1 }).to_string(),
        json!({ "url": media(), "expires_in": LINK_AT_MOST_FOR.as_secs() + 1 }).to_string(),
        json!({ "url": media(), "expires_at": 1 }).to_string(),
    ] {
        let (status, problem) = world.ask(&key, &body).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")), "{body}");
    }
    let (status, _) = world.ask(&key, &" ".repeat(5000)).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn a_link_that_is_made_opens_its_file_until_its_end() {
    let world = World::new().await;
    let key = world.key(|_| {}).await;
    let url = format!("https://api.twilio.com{}", media());
    let (status, made) = world.ask(&key, &json!({ "url": url, "expires_in": 90 }).to_string()).await;
    assert_eq!((status, &made["expires_at"]), (201, &json!("2027-01-15T08:01:30Z")), "{made}");
    let target = made["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    assert_eq!(world.get(&target, &[]).await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(90));
    assert_eq!(world.get(&target, &[]).await.status, 403);
    // An hour, where nobody says anything.
    let now = world.clock.unix_seconds();
    let (_, made) = world.ask(&key, &json!({ "url": url }).to_string()).await;
    let expires = format!("expires={}", now + LINK_USUALLY_FOR.as_secs());
    assert!(made["url"].as_str().unwrap().contains(&expires), "{made}");
    assert_eq!(world.metric("ringfence_media_links_total{outcome=\"made\"}").await, 2);
}
