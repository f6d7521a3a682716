//! Whose request it is, and what a credential may do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringfence_gateway::forwarded::TrustedPeers;
use ringfence_gateway::settings::Settings;
use ringfence_store::{EgressAccounts, EgressArea, NewCredential};
use ringfence_testkit::RawClient;

use crate::world::{
    ACCOUNT, CHILD, CHILD_TOKEN, FROM, MESSAGE, STRANGER, Setup, TO, TOKEN, World, authorization, encoded,
    form, message, messages, operator, raw, request, sid, twilio,
};

#[tokio::test]
async fn nobody_comes_in_without_a_good_credential() {
    let world = World::new().await;
    let key = world.key().await;
    let secret = key.secret.expose();
    let mut lines = vec![
        String::new(),
        format!("authorization: Bearer {secret}"),
        format!("authorization: Basic {secret}"),
        authorization(ACCOUNT, ""),
        authorization(ACCOUNT, "rfk_0000000000000000000000000000000000000000000000000000000000000000"),
        authorization(ACCOUNT, TOKEN),
        authorization(STRANGER, secret),
        authorization("SK00000000000000000000000000000001", secret),
        authorization("admin", secret),
        authorization("", secret),
    ];
    lines.retain(|line| !line.is_empty());
    lines.push("x-nothing: 1".to_owned());
    for line in lines {
        let response = world.send(raw("POST", &messages(ACCOUNT), &[&line], &form())).await;
        world.assert_refused(&response, 401, 20003);
        assert!(response.header("www-authenticate").is_some_and(|it| it.starts_with("Basic")), "{line}");
    }
    // One of another kind, and one that nobody can read.
    let new = NewCredential {
        kind: "verify".to_owned(),
        application: None,
        name: String::new(),
        scopes: vec![format!("account={ACCOUNT}"), "operation=messages".to_owned()],
        expires_at: None,
    };
    let (_, other) = world.store.create_credential(&operator(), new, world.clock.now()).await.unwrap();
    let line = authorization(ACCOUNT, other.expose());
    world.assert_refused(&world.send(raw("POST", &messages(ACCOUNT), &[&line], &form())).await, 401, 20003);
    let words =
        vec![format!("account={ACCOUNT}"), "operation=messages".to_owned(), "weekday=monday".to_owned()];
    let odd = world.key_of_words(words).await;
    world.assert_refused(&world.message(&odd).await, 401, 20003);
}

#[tokio::test]
async fn credentials_in_a_url_are_refused_even_beside_good_ones() {
    let world = World::new().await;
    let key = world.key().await;
    for query in ["AuthToken=x", "auth_token=x", "password=x", "Authorization=Basic"] {
        let target = format!("{}?{query}", messages(ACCOUNT));
        world.assert_refused(&world.send(request(&key, "GET", &target, "")).await, 400, 84001);
    }
    let target = format!("http://{ACCOUNT}:{}@egress.example:8500{}", key.secret.expose(), messages(ACCOUNT));
    let response = world.send(request(&key, "GET", &target, "")).await;
    assert_eq!(response.status, 400);
    assert_eq!(world.requests(), []);
}

#[tokio::test]
async fn off_loopback_without_tls_only_a_listed_proxy_is_heard() {
    for (listed, is_heard) in [("10.1.2.3", false), ("127.0.0.1", true)] {
        let change: Box<dyn FnOnce(&mut Settings)> = Box::new(move |settings| {
            settings.listen.egress = Some("0.0.0.0:0".parse().unwrap());
            settings.listen.trusted_proxies = TrustedPeers::parse([listed]).unwrap();
        });
        let world = World::before(twilio().await, Setup { change, ..Setup::default() }).await;
        let key = world.key().await;
        let response = world.message(&key).await;
        if is_heard {
            assert_eq!(response.status, 201, "{}", response.text());
        } else {
            world.assert_refused(&response, 403, 84008);
        }
    }
}

#[tokio::test]
async fn a_revoked_credential_opens_nothing_on_a_connection_that_is_long_open() {
    let world = World::new().await;
    let key = world.key().await;
    let mut connection = RawClient::connect(world.address()).await.unwrap();
    assert_eq!(connection.exchange(message(&key, &form())).await.unwrap().status, 201);
    world.store.revoke_credential(&operator(), key.sid, world.clock.now()).await.unwrap();
    let refused = connection.exchange(message(&key, &form())).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn who_is_revoked_is_told_nothing_of_what_a_request_of_his_lacks() {
    let world = World::new().await;
    let key = world.key().await;
    let lacking = || {
        [
            request(&key, "POST", &messages(ACCOUNT), "From=%2B15005550006"),
            request(&key, "POST", &messages(STRANGER), &form()),
            request(&key, "POST", &messages(ACCOUNT).replace("Messages", "Unheard"), ""),
        ]
    };
    for bytes in lacking() {
        assert_ne!(world.send(bytes).await.status, 401);
    }
    assert_eq!(world.message(&key).await.status, 201);
    world.store.revoke_credential(&operator(), key.sid, world.clock.now()).await.unwrap();
    for bytes in lacking() {
        assert_eq!(world.send(bytes).await.status, 401);
    }
    assert_eq!(world.message(&key).await.status, 401);
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn a_credential_is_worthless_when_its_time_is_over() {
    let world = World::new().await;
    let key = world.key().await;
    world.clock.advance(Duration::from_hours(24) - Duration::from_secs(1));
    assert_eq!(world.send(request(&key, "GET", &messages(ACCOUNT), "")).await.status, 200);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send(request(&key, "GET", &messages(ACCOUNT), "")).await.status, 401);
    assert_eq!(world.requests().len(), 1);
}

#[tokio::test]
async fn where_the_store_is_away_nothing_is_sent() {
    let world = World::new().await;
    let key = world.key().await;
    world.is_away.store(true, Ordering::SeqCst);
    let response = world.message(&key).await;
    world.assert_refused(&response, 503, 84041);
    assert_eq!(response.header("retry-after"), Some("1"));
    world.is_away.store(false, Ordering::SeqCst);
    assert_eq!(world.message(&key).await.status, 201);
}

#[tokio::test]
async fn another_account_is_out_of_reach_wherever_it_is_named() {
    let world = World::new().await;
    let key = world.key_with(|scopes| {
        scopes.accounts = EgressAccounts::Listed([sid(ACCOUNT)].into());
        scopes.operations = EgressArea::ALL.into_iter().collect();
    });
    let key = key.await;
    for account in [CHILD, STRANGER] {
        let response = world.send(request(&key, "POST", &messages(account), &form())).await;
        world.assert_refused(&response, 403, 84010);
        let number = format!(
            "/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers/PN{}.json",
            &MESSAGE[2..]
        );
        let response = world.send(request(&key, "POST", &number, &format!("AccountSid={account}"))).await;
        world.assert_refused(&response, 403, 84010);
        let filtered = format!("/monitor.twilio.com/v1/Events?ActorSid={account}");
        world.assert_refused(&world.send(request(&key, "GET", &filtered, "")).await, 403, 84010);
    }
    let all = "/api.twilio.com/2010-04-01/Accounts.json";
    world.assert_refused(&world.send(request(&key, "GET", all, "")).await, 403, 84010);
}

#[tokio::test]
async fn usage_of_subaccounts_is_told_only_to_who_is_for_all_of_them() {
    let world = World::new().await;
    let usage = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Usage/Records/Daily.json");
    let read = async |accounts: EgressAccounts, query: &str| {
        let key = world.key_with(|scopes| {
            scopes.accounts = accounts;
            scopes.operations = [EgressArea::Reads].into();
        });
        let response = world.send(request(&key.await, "GET", &format!("{usage}{query}"), "")).await;
        assert_eq!(response.status, 200, "{query}: {}", response.text());
        world.requests().last().unwrap().target.split_once("Daily.json").unwrap().1.to_owned()
    };
    let one = || EgressAccounts::Listed([sid(ACCOUNT)].into());
    assert_eq!(read(one(), "").await, "?IncludeSubaccounts=false");
    for asked in ["IncludeSubaccounts=true", "includesubaccounts=true", "Include%53ubaccounts=1"] {
        let told = read(one(), &format!("?Category=sms&{asked}&StartDate=-30days")).await;
        assert_eq!(told, "?Category=sms&StartDate=-30days&IncludeSubaccounts=false", "{asked}");
    }
    let key = world.key_with(|scopes| scopes.operations = [EgressArea::Reads].into()).await;
    let odd = format!("{usage}?IncludeSubaccounts[]=true");
    assert_eq!(world.send(request(&key, "GET", &odd, "")).await.status, 400);
    assert_eq!(read(EgressAccounts::All, "?IncludeSubaccounts=true").await, "?IncludeSubaccounts=true");
}

#[tokio::test]
async fn an_account_without_a_token_here_is_refused_and_never_asked_for_with_its_parent_s() {
    let world = World::new().await;
    let key = world.key_with(|scopes| scopes.accounts = EgressAccounts::All).await;
    let response = world.send(request(&key, "POST", &messages(STRANGER), &form())).await;
    world.assert_refused(&response, 403, 84012);
}

#[tokio::test]
async fn twilio_is_asked_with_the_token_of_the_account_in_the_path_and_the_caller_s_never_leaves() {
    let world = World::new().await;
    let key = world.key().await;
    assert_eq!(world.send(request(&key, "POST", &messages(CHILD), &form())).await.status, 201);
    // A host that names no account: the user name does.
    let lines = [key.as_user(CHILD)];
    let read = raw("GET", "/verify.twilio.com/v2/Attempts", &lines.each_ref().map(String::as_str), "");
    assert_eq!(world.send(read).await.status, 200);
    let own = raw("GET", "/verify.twilio.com/v2/Attempts", &[&key.as_user(&key.sid.to_string())], "");
    let refused = world.send(own).await;
    assert_eq!(refused.status, 400, "it is for two accounts: {}", refused.text());
    let real = format!("Basic {}", STANDARD.encode(format!("{CHILD}:{CHILD_TOKEN}")));
    let requests = world.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("authorization"), Some(real.as_str()));
        let secret = key.secret.expose().as_bytes();
        assert!(!request.headers.iter().any(|(_, value)| value.windows(secret.len()).any(|it| it == secret)));
    }
}

#[tokio::test]
async fn a_credential_does_only_what_it_is_for() {
    let world = World::new().await;
    let key = world.key_with(|scopes| scopes.operations = [EgressArea::Messages].into()).await;
    let account = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}");
    for (method, target) in [
        ("POST", format!("{account}/Calls.json")),
        ("POST", format!("{account}/IncomingPhoneNumbers.json")),
        ("GET", format!("{account}/Usage/Records.json")),
        ("GET", "/lookups.twilio.com/v2/PhoneNumbers/%2B14155550100".to_owned()),
        ("POST", format!("{account}.json")),
    ] {
        let body = if method == "POST" { "Status=closed" } else { "" };
        world.assert_refused(&world.send(request(&key, method, &target, body)).await, 403, 84013);
    }
    assert_eq!(world.message(&key).await.status, 201);
}

#[tokio::test]
async fn destinations_and_senders_are_held_to_where_a_credential_lists_some() {
    let world = World::new().await;
    let key = world
        .key_with(|scopes| {
            scopes.destinations = ["GB", "+1415"].map(|it| it.parse().unwrap()).to_vec();
            scopes.senders = vec![FROM.to_owned(), "MG00000000000000000000000000000001".to_owned()];
        })
        .await;
    let send = async |to: &str, sender: &str| {
        let form = format!("To={}&{sender}&Body=x", encoded(to));
        world.send(message(&key, &form)).await
    };
    let from = format!("From={}", encoded(FROM));
    for to in ["+37120000000", "+14165550100", "whatsapp:+37120000000", "client:alice"] {
        world.assert_refused(&send(to, &from).await, 403, 84014);
    }
    for sender in [
        "From=%2B14155550199",
        "MessagingServiceSid=MG00000000000000000000000000000002",
        "From=%2B14155550101&MessagingServiceSid=MG00000000000000000000000000000002",
        "Nothing=1",
        "From=%2B14155550101&FallbackFrom=%2B14155550199",
    ] {
        world.assert_refused(&send(TO, sender).await, 403, 84015);
    }
    let account = format!("/api.twilio.com/2010-04-01/Accounts/{ACCOUNT}");
    let other = format!("To={}&{from}&CallerId=%2B14155550199&Twiml=%3CResponse%2F%3E", encoded(TO));
    for target in ["Calls.json", "Conferences/support/Participants.json"] {
        let response = world.send(request(&key, "POST", &format!("{account}/{target}"), &other)).await;
        world.assert_refused(&response, 403, 84015);
    }
    assert_eq!(send(TO, &from).await.status, 201);
    assert_eq!(
        send("+447700900123", "MessagingServiceSid=MG00000000000000000000000000000001").await.status,
        201
    );
}
