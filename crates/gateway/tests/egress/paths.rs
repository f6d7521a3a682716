//! Other spellings of what would be refused.

use ringfence_store::EgressArea;

use crate::world::{ACCOUNT, STRANGER, World, form, message, messages, raw, request};

#[tokio::test]
async fn another_spelling_of_a_path_reaches_nobody() {
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let path = messages(ACCOUNT);
    for (target, code) in [
        (path.replace("Messages.json", "messages.json"), 84003),
        (path.replace("Messages.json", "Messages"), 84003),
        (path.replace("Messages.json", "Messages.xml"), 84003),
        (path.replace("Messages.json", "Messages.JSON"), 84003),
        (path.replace("2010-04-01", "2008-08-01"), 84003),
        (path.replace("/Accounts", "/accounts"), 84003),
        (path.replace("Messages", "%4Dessages"), 84000),
        (path.replace("Messages", "x/../Messages"), 84000),
        (path.replace("Messages", "%2e%2e/Messages"), 84000),
        (path.replace("/Messages", "//Messages"), 84000),
        (path.replace("/Messages", "/;a=b/Messages"), 84000),
        (path.replace("/Messages", "%2FMessages"), 84000),
        (path.replace("Messages", "Messages%00"), 84000),
        (path.replace("api.twilio.com", "API.twilio.com"), 84002),
        (path.replace("api.twilio.com", "evil.example"), 84002),
        (path.replace("/api", "//api"), 84002),
    ] {
        let response = world.send(request(&key, "POST", &target, &form())).await;
        let status = if code == 84002 { 404 } else { 400 };
        world.assert_refused(&response, status, code);
    }
    assert_eq!(world.reserved("daily").await.to_string(), "0");
}

#[tokio::test]
async fn that_a_record_of_a_call_is_deleted_is_noted_before_it_is_gone() {
    let world = World::new().await;
    let key = world.key().await;
    let account = ringfence_model::Sid::parse(ACCOUNT).unwrap();
    let record =
        |of: &str, sid: &str| format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/{of}/{sid}.json");
    for (method, target, is_noted) in [
        ("GET", record("Calls", "CA00000000000000000000000000000001"), false),
        ("DELETE", record("Messages", "SM00000000000000000000000000000001"), false),
        ("DELETE", record("Calls", "CA00000000000000000000000000000001"), true),
    ] {
        let response = world.send(request(&key, method, &target, "")).await;
        assert!(response.status < 300, "{method} {target}: {}", response.text());
        let noted = world.store.last_deleted_call(account).await.unwrap();
        assert_eq!(noted.is_some(), is_noted, "{method} {target}");
    }
}

#[tokio::test]
async fn another_method_or_an_override_of_it_reaches_nobody() {
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        let response = world.send(request(&key, method, &messages(ACCOUNT), &form())).await;
        world.assert_refused(&response, 400, 84003);
    }
    for name in ["x-http-method-override", "X-HTTP-Method", "x-method-override"] {
        let authorization = key.as_user(ACCOUNT);
        let lines = [authorization.as_str(), &format!("{name}: POST")];
        let response = world.send(raw("GET", &messages(ACCOUNT), &lines, "")).await;
        world.assert_refused(&response, 400, 84000);
    }
}

#[tokio::test]
async fn a_head_that_two_readers_could_read_in_two_ways_reaches_nobody() {
    let world = World::new().await;
    let key = world.key().await;
    let authorization = key.as_user(ACCOUNT);
    for line in ["host: other", "x_forwarded_for: 1", authorization.as_str(), "content-encoding: gzip"] {
        let response = world.send(raw("POST", &messages(ACCOUNT), &[&authorization, line], &form())).await;
        assert_eq!(response.status, 400, "{line}");
    }
    let twice = message(&key, &form()).replace("content-length: ", "content-length: 1\r\ncontent-length: ");
    assert_eq!(world.send(twice).await.status, 400);
    assert_eq!(world.requests(), []);
}

#[tokio::test]
async fn a_form_in_the_query_or_twice_in_the_form_reaches_nobody() {
    let world = World::new().await;
    let key = world.key().await;
    for query in ["To=%2B37112345678", "MediaUrl=https://x.example/a", "media_url[]=a", "Anything=1"] {
        let target = format!("{}?{query}", messages(ACCOUNT));
        let response = world.send(request(&key, "POST", &target, &form())).await;
        world.assert_refused(&response, 400, 84000);
    }
    let all = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let account = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}");
    for target in [
        format!("{account}/Applications.json?VoiceMethod=GET"),
        format!("{account}/Applications.json?Anything=1"),
        "/verify.twilio.com/v2/Services?body[]=x".to_owned(),
    ] {
        let response = world.send(request(&all, "POST", &target, "FriendlyName=x")).await;
        world.assert_refused(&response, 400, 84000);
    }
    for form in [
        format!("{}&To=%2B37112345678", form()),
        format!("{}&to=%2B37112345678", form()),
        format!("{}&T%6F=%2B37112345678", form()),
        format!("{}&Body[]=x", form()),
        format!("{}&MediaUrl[]=x", form()),
        format!("{}&mediaUrl=x", form()),
        format!("{}&Method=POST&Method=GET", form()),
        format!("{}&FallbackFrom=%2B14155550102&FallbackFrom=%2B14155550103", form()),
        format!("{}&callerid=%2B14155550102", form()),
        form() + "&Body2=%ff",
    ] {
        let response = world.send(message(&key, &form)).await;
        world.assert_refused(&response, 400, 84007);
    }
    let json =
        raw("POST", &messages(ACCOUNT), &[&key.as_user(ACCOUNT), "content-type: application/json"], "");
    let json = json.replace("\r\n\r\n", "\r\ncontent-length: 2\r\n\r\n{}");
    world.assert_refused(&world.send(json).await, 415, 84004);
}

#[tokio::test]
async fn a_body_over_the_cap_reaches_nobody() {
    let world = World::new().await;
    let key = world.key().await;
    let long = format!("{}&Body2={}", form(), "x".repeat(1024 * 1024));
    world.assert_refused(&world.send(message(&key, &long)).await, 413, 84005);
}

#[tokio::test]
async fn what_makes_or_returns_a_credential_is_refused_whatever_the_configuration_says() {
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let account = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}");
    for (method, target) in [
        ("POST", "/api.twilio.com/2010-04-01/Accounts.json".to_owned()),
        ("POST", format!("{account}/Keys.json")),
        ("GET", format!("{account}/Keys.json")),
        ("POST", format!("{account}/SigningKeys.json")),
        ("POST", format!("{account}/Tokens.json")),
        ("GET", format!("{account}/ConnectApps.json")),
        ("GET", format!("{account}/AuthorizedConnectApps.json")),
        ("POST", format!("{account}/SIP/CredentialLists.json")),
        ("POST", "/accounts.twilio.com/v1/AuthTokens/Promote".to_owned()),
        ("POST", "/accounts.twilio.com/v1/AuthTokens/Secondary".to_owned()),
        ("GET", "/iam.twilio.com/v1/Keys".to_owned()),
        ("POST", "/oauth.twilio.com/v1/token".to_owned()),
        ("POST", "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001/AccessTokens".to_owned()),
    ] {
        let response = world.send(request(&key, method, &target, "FriendlyName=x")).await;
        let body = response.text().to_owned();
        assert_eq!(response.status, 403, "{method} {target}: {body}");
        world.assert_refused(&response, 403, 84016);
    }
}

#[tokio::test]
async fn what_is_unknown_passes_only_where_the_configuration_and_the_credential_say_so() {
    let target = "/studio.twilio.com/v2/Flows";
    let refusing = World::new().await;
    let key = refusing.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    refusing.assert_refused(&refusing.send(request(&key, "GET", target, "")).await, 403, 84017);
    let target_of_rows = "/api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls/\
                          CA00000000000000000000000000000001/Payments.json";
    refusing.assert_refused(&refusing.send(request(&key, "POST", target_of_rows, "a=b")).await, 403, 84018);

    let passing = World::with(|egress| egress.passes_unknown_operations = true).await;
    let without = passing.key().await;
    passing.assert_refused(&passing.send(request(&without, "GET", target, "")).await, 403, 84013);
    let key = passing.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let stranger = format!("{target}?AccountSid={STRANGER}");
    passing.assert_refused(&passing.send(request(&key, "GET", &stranger, "")).await, 403, 84010);
    assert_eq!(passing.send(request(&key, "GET", target, "")).await.status, 200);
    assert_eq!(passing.requests()[0].target, "/studio.twilio.com/v2/Flows");
}

#[tokio::test]
async fn json_reaches_nobody_but_the_operations_that_are_documented_with_it() {
    let world = World::with(|egress| egress.passes_unknown_operations = true).await;
    let key = world.key_with(|scopes| scopes.operations = EgressArea::ALL.into_iter().collect()).await;
    let json = |target: &str, body: &str| {
        let (authorization, length) = (key.as_user(ACCOUNT), format!("content-length: {}", body.len()));
        raw("POST", target, &[&authorization, "content-type: application/json", &length], "") + body
    };
    let evil = "{\"VoiceUrl\":\"https://evil.example/\",\"InboundRequestUrl\":\"https://evil.example/\"}";
    let of = |prefix: &str| format!("{prefix}{}", &ACCOUNT[2..]);
    for target in [
        format!("/messaging.twilio.com/v1/Services/{}", of("MG")),
        format!("/voice.twilio.com/v1/ByocTrunks/{}", of("BY")),
        format!("/verify.twilio.com/v2/Services/{}/Verifications", of("VA")),
        format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Applications.json"),
    ] {
        world.assert_refused(&world.send(json(&target, evil)).await, 415, 84004);
    }
    // Of a path that is not known, whatever else is known of its product, JSON passes; nothing runs TwiML from elsewhere by it.
    let unheard = "/voice.twilio.com/v1/Unheard";
    for evil in [
        evil,
        "{\"voice_url\":\"https://evil.example/\"}",
        "{\"voice\":{\"url\":[\"https://evil.example/\"]}}",
    ] {
        world.assert_refused(&world.send(json(unheard, evil)).await, 403, 84020);
    }
    let passkeys = format!("/verify.twilio.com/v2/Services/{}/Passkeys/Challenges", of("VA"));
    let stranger = format!("{{\"a\":\"{STRANGER}\",\"a\":\"x\"}}");
    world.assert_refused(&world.send(json(&passkeys, &stranger)).await, 403, 84010);
    assert_eq!(world.send(json(&passkeys, "{\"identity\":\"x\"}")).await.status, 200);
    for target in [
        unheard,
        "/messaging.twilio.com/v9/Unheard",
        "/verify.twilio.com/v3/Unheard",
        "/content.twilio.com/v1/Content",
    ] {
        let passed = world.send(json(target, "{\"name\":\"x\"}")).await;
        assert_eq!(passed.status, 200, "{target}: {}", passed.text());
    }
}

#[tokio::test]
async fn what_a_lookup_asks_for_is_spelled_in_one_way() {
    let world = World::new().await;
    let key = world.key().await;
    for (version, query) in [
        ("v2", "fields=caller_name"),
        ("v2", "FIELDS=caller_name"),
        ("v2", "Fields[]=caller_name"),
        ("v2", "Fields%5B%5D=caller_name"),
        ("v2", "Fields%00=caller_name"),
        ("v2", "Fields=validation&Fields=caller_name"),
        ("v1", "type=carrier"),
        ("v1", "Type[]=carrier"),
        ("v1", "addons=payfone"),
    ] {
        let target = format!("/lookups.twilio.com/{version}/PhoneNumbers/%2B14155550100?{query}");
        world.assert_refused(&world.send(request(&key, "GET", &target, "")).await, 400, 84007);
    }
    let target = "/lookups.twilio.com/v1/PhoneNumbers/%2B14155550100?Type=carrier&Type=caller-name";
    assert_eq!(world.send(request(&key, "GET", target, "")).await.status, 200);
    assert_eq!(world.reserved("daily").await.to_string(), "0.2");
}
