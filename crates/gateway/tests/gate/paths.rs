//! What an application could read as another path, by whose rules it did not come in.

use ringfence_gateway::basic::{BasicUsers, PasswordCheck};
use ringfence_gateway::settings::{Check, PathRule, Settings};
use ringfence_model::Secret;

use crate::world::{ACCOUNT, NEIGHBOUR, World, route, sid, sms, twilio, url, wire};

/// A partner with a password beside Twilio, and two tenants, all before one application.
async fn beside_each_other() -> World {
    World::with(|settings| {
        let basic = |settings: &mut Settings, path: &str| {
            let upstream = settings.routes[0].upstream.address().unwrap().to_string();
            let mut partner = route(upstream.trim_start_matches("http://").parse().unwrap());
            let users = [("partner".to_owned(), PasswordCheck::Plain(Secret::new("secret")))];
            partner.check = Check::Basic(BasicUsers::new(users).unwrap());
            partner.path = PathRule::Prefix(path.to_owned());
            partner.label = path.into();
            settings.routes.push(partner);
        };
        basic(settings, "/partner/");
        basic(settings, "/");
        for (path, account) in [("/one/", ACCOUNT), ("/two/", NEIGHBOUR)] {
            let upstream = settings.routes[0].upstream.address().unwrap().to_string();
            let mut tenant = route(upstream.trim_start_matches("http://").parse().unwrap());
            tenant.path = PathRule::Prefix(path.to_owned());
            tenant.label = path.into();
            tenant.accounts = Some(vec![sid(account)]);
            settings.routes.push(tenant);
        }
        let upstream = settings.routes[0].upstream.address().unwrap().to_string();
        let mut named = route(upstream.trim_start_matches("http://").parse().unwrap());
        named.path = PathRule::Exact("/Twilio/named".to_owned());
        named.accounts = Some(vec![sid(ACCOUNT)]);
        settings.routes.push(named);
    })
    .await
}

async fn with_password(world: &World, path: &str) -> u16 {
    // partner:secret
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: hooks.example.com\r\nAuthorization: Basic cGFydG5lcjpzZWNyZXQ=\r\n\
         Content-Length: 0\r\n\r\n"
    );
    world.send(request).await.status
}

#[tokio::test]
async fn a_password_for_one_path_opens_no_other_however_it_is_spelled() {
    let world = beside_each_other().await;
    for path in [
        "/partner/../twilio/sms",
        "/partner/%2e%2e/twilio/sms",
        "/partner/..\\twilio/sms",
        "/partner/..%2ftwilio/sms",
        "/partner/..;/twilio/sms",
        "/./twilio/sms",
        "/%74wilio/sms",
        "/twilio%2Fsms",
        "/%2574wilio/sms",
        "//twilio/sms",
        "/twilio;a=b/sms",
        "/\\twilio/sms",
        "/TWILIO/sms",
        "/twilio",
        "/one",
        "/One%2fx",
    ] {
        assert_eq!(with_password(&world, path).await, 400, "{path}");
    }
    assert_eq!(world.refused("path_in_two_ways").await, 16);
    assert_eq!(world.upstream.requests().len(), 0);
    // What only looks odd is passed on as it came.
    let plain = [
        "/partner/a%20b",
        "/partner//x",
        "/partner/a;b",
        "/partner/./x",
        "/twilio-docs",
        "/x/twilio/sms",
        "/.well-known/x",
    ];
    for path in plain {
        assert_eq!(with_password(&world, path).await, 200, "{path}");
    }
    let passed: Vec<_> = world.upstream.requests().iter().map(|it| it.target.clone()).collect();
    assert_eq!(passed, plain);
}

#[tokio::test]
async fn a_tenant_reaches_no_other_tenants_path() {
    let world = beside_each_other().await;
    for (path, status) in
        [("/one/sms", 200), ("/one/%2e%2e/two/sms", 400), ("/one/../two/sms", 400), ("/two/sms", 403)]
    {
        let signed = twilio().form(&url(path), sms(ACCOUNT));
        assert_eq!(world.send(wire(&signed)).await.status, status, "{path}");
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_path_that_is_named_is_taken_at_its_word_and_so_is_any_where_all_routes_ask_the_same() {
    let world = beside_each_other().await;
    let signed = twilio().form(&url("/Twilio/named"), sms(ACCOUNT));
    assert_eq!(world.send(wire(&signed)).await.status, 200);
    let alone = World::new().await;
    for path in ["/twilio/%73ms", "/twilio//sms", "/twilio/SMS/", "/twilio/a;b", "/twilio/../x"] {
        let signed = twilio().form(&url(path), sms(ACCOUNT));
        assert_eq!(alone.send(wire(&signed)).await.status, 200, "{path}");
    }
}
