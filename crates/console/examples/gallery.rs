//! The console with an installation in it that looks like a real one, to be looked at in a browser. Whoever comes is
//! signed in as its owner.
//!
//! `cargo run -p ringfence-console --example gallery -- 127.0.0.1:9443`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    reason = "nobody relies on it; the world is that of the tests, of which it uses a part"
)]

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::SignedDuration;
use ringfence_breaker::Per;
use ringfence_control::virtual_credentials::{self, NewVirtualCredential};
use ringfence_model::{Actor, Sid};
use ringfence_store::{EgressAccounts, EgressArea, EgressScopes, NewToken, Role, SignInOutcome, Where};

#[path = "../tests/console/world.rs"]
mod world;

use world::{World, limit};

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9443".to_owned());
    let mut watching = limit("new customers, watched", 5, Per::Account);
    watching.enforce = false;
    let limits =
        vec![limit("fifty a day", 50, Per::Account), watching, limit("all together", 400, Per::Together)];
    let world = Arc::new(World::with(limits).await);
    let token = fill(&world).await;
    let cookie = format!("ringfence={}", token.expose());
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    println!("http://{address}/");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (world, cookie) = (Arc::clone(&world), cookie.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let (world, cookie) = (Arc::clone(&world), cookie.clone());
                async move {
                    let (mut parts, body) = request.into_parts();
                    let body: Bytes = body.collect().await?.to_bytes();
                    parts.headers.insert("cookie", cookie.parse().unwrap());
                    let caller = ringfence_console::Caller {
                        address: [127, 0, 0, 1].into(),
                        is_https: false,
                        told: None,
                    };
                    let answer = world.console.answer(caller, Request::from_parts(parts, body)).await;
                    Ok::<_, hyper::Error>(answer.map(Full::new))
                }
            });
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn fill(world: &World) -> ringfence_model::Secret {
    let names = [
        "Harbour Dental",
        "Nordlicht Reisen GmbH",
        "Pizzeria Da Gino",
        "Fleetline Logistics",
        "Café Zoë",
        "Acme Billing",
    ];
    let mut accounts = Vec::new();
    for name in names {
        accounts.push(world.subaccount(name).await);
    }
    for number in 1..50 {
        world.subaccount(&format!("Customer {number:03}")).await;
    }
    let op = world.signed_in("night-shift@example.com", Role::Operator, Where::Everywhere).await;
    for (account, price) in accounts.iter().zip(["43.10", "61.4", "12.02", "3.5", "0.9", "52"]) {
        world.spend(*account, price).await;
    }
    world.work().await;
    let subject = ringfence_breaker::Subject::Account(accounts[5]);
    let actor = Actor::Person(op.person.clone());
    world.engine.reset("fifty a day", subject, None, &actor, "a campaign that was announced").await.unwrap();
    world.engine.suspend_account(accounts[4], &actor, "asked for by the customer").await.unwrap();
    world.work().await;
    let failed = world.store.begin_sign_in(&op.person, "203.0.113.40", "curl", world.now()).await.unwrap();
    world.store.end_sign_in(&failed, SignInOutcome::Failed, world.now()).await.unwrap();
    let owner = world.owner().await;
    let by = Actor::CommandLine("ops".to_owned());
    for (name, scope, networks) in
        [("grafana", "read", vec!["10.0.0.0/8"]), ("on-call bot", "operate", vec![])]
    {
        let token = NewToken {
            name: name.into(),
            scopes: vec![scope.into()],
            networks: networks.into_iter().map(str::to_owned).collect(),
            expires_at: None,
        };
        world.store.create_token(&by, token, world.now()).await.unwrap();
    }
    fill_keys(world, &accounts, &owner.person).await;
    world.store.seal_audit(world.now()).await.unwrap();
    owner.token
}

/// Credentials as a platform has them: one for each customer, one for itself, and one that leaked.
async fn fill_keys(world: &World, accounts: &[Sid], owner: &str) {
    let by = Actor::Person(owner.to_owned());
    let all = NewVirtualCredential {
        name: "billing reminders, all customers".to_owned(),
        scopes: EgressScopes::for_accounts(EgressAccounts::All),
        expires_at: None,
    };
    virtual_credentials::create(&world.store, &by, all, world.now()).await.unwrap();
    let scopes = EgressScopes {
        operations: [EgressArea::Messages, EgressArea::Verifications].into(),
        destinations: vec!["DE".parse().unwrap(), "AT".parse().unwrap(), "whatsapp:+49".parse().unwrap()],
        senders: vec!["+4915112345678".to_owned(), "NORDLICHT".to_owned()],
        tenant: Some("nordlicht".to_owned()),
        ..EgressScopes::for_accounts(EgressAccounts::Listed([accounts[1]].into()))
    };
    let expires_at = world.now().checked_add(SignedDuration::from_hours(90 * 24)).ok();
    let new = NewVirtualCredential { name: "booking confirmations".to_owned(), scopes, expires_at };
    virtual_credentials::create(&world.store, &by, new, world.now()).await.unwrap();
    let (leaked, _) = world.key("old shop", Some(accounts[0])).await;
    world.store.revoke_credential((&by, "it was in a repository"), leaked, world.now()).await.unwrap();
}
