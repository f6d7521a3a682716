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
use ringfence_breaker::price_book::{
    Learnt, Network, NetworkPrices, NumberType, NumberTypePrice, PrefixPrice, Prices, Source,
};
use ringfence_breaker::{Action, Limit, Measure, Per, Scope, Sign, Threshold, Window};
use ringfence_console::Requests;
use ringfence_control::shared_keys::{Accounts, Settings};
use ringfence_control::virtual_credentials::{self, NewVirtualCredential};
use ringfence_model::{Actor, PhoneNumber, Secret, Sid};
use ringfence_second_factor::policy::{Demands, Kind, Policy, Strength};
use ringfence_store::{
    Admission, EgressAccounts, EgressArea, EgressScopes, FactorSecret, NewDevice, NewFactor, NewReservation,
    NewToken, Now, Role, Sent, SignInOutcome, Spent, Stage, StoredPrices, Told, Where,
};
use ringfence_twilio::client::Credentials;
use ringfence_twilio::wire::RuleMatch;

#[path = "../tests/console/world.rs"]
mod world;

use world::{World, limit, seen, seen_outgoing};

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9443".to_owned());
    let mut watching = limit("new customers, watched", 5, Per::Account);
    watching.enforce = false;
    let entered = Limit {
        scope: Scope::All,
        measure: Measure::Conversion,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
        warn: vec![],
        then: vec![Action::Notify],
        ..limit("codes that are entered", 20, Per::Prefix)
    };
    let limits = vec![
        limit("fifty a day", 50, Per::Account),
        watching,
        limit("all together", 400, Per::Together),
        entered,
    ];
    let shared_keys = Settings {
        accounts: Accounts::All,
        urls: vec![RuleMatch::Prefix("https://hooks.example.com/twilio/".to_owned())],
        settle: SignedDuration::from_mins(5),
    };
    let rules = ringfence_control::people::Rules::default();
    let world = World::build(limits, rules, Requests::InStore, |_| None, Some(shared_keys), true).await;
    let world = Arc::new(world);
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

/// Keys that sign the webhooks of two accounts: one is being replaced, of the other somebody has removed the rule.
async fn fill_shared_keys(world: &World, of: &[Sid]) {
    let (settings, by) = (world.engine.shared_keys().unwrap(), Actor::CommandLine("ops".to_owned()));
    let mut accounts = Vec::new();
    for sid in of {
        accounts.push(world.store.find_account(*sid).await.unwrap().unwrap());
    }
    world.engine.bring_shared_keys(settings, &accounts, Some(&by), 1).await.unwrap();
    world.take_over_tokens().await;
    world.advance(180).await;
    world.engine.bring_shared_keys(settings, &accounts, Some(&by), 1).await.unwrap();
    world.engine.rotate_shared_key(settings, &accounts[0], &by, "each year", true).await.unwrap();
    let token = accounts[1].auth_token.clone().unwrap();
    let own = world.client.with_credentials(Credentials::auth_token(accounts[1].sid, token));
    let rules = own.webhooks().rules().await.unwrap();
    own.webhooks().delete_rule(&rules[0].id).await.unwrap();
}

async fn fill(world: &World) -> Secret {
    let mut requests: Vec<_> = (0..40).flat_map(|_| [seen_outgoing(), seen()].concat()).collect();
    requests.reverse();
    world.store.keep_requests("gate-1", &requests, 1_000).await.unwrap();
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
    second_factors(world, &owner.person, &op.person).await;
    fill_keys(world, &accounts, &owner.person).await;
    fill_ledger(world, &accounts).await;
    fill_signs(world, accounts[3]).await;
    fill_refusals(world, accounts[3]).await;
    fill_prices(world).await;
    fill_shared_keys(world, &[accounts[0], accounts[2]]).await;
    world.store.seal_audit(world.now()).await.unwrap();
    owner.token
}

/// A policy that leaves the night shift out, and computers of which one was trusted by what it does not take.
async fn second_factors(world: &World, owner: &str, op: &str) {
    let (by, now) = (Actor::CommandLine("ops".to_owned()), world.now());
    let demands = Demands { policy: Policy::OncePerComputer, strength: Strength::NoPhone };
    world.store.set_policy(&by, Where::Everywhere, demands, now).await.unwrap();
    world.store.set_password(&by, op, &Secret::new("a hash"), Told::nobody(), now).await.unwrap();
    let phone = FactorSecret::Phone(PhoneNumber::parse("+14155550123").unwrap());
    world.store.add_factor(&by, op, NewFactor { secret: phone, verified: true }, now).await.unwrap();
    world.store.new_recovery_codes(&by, op, Told::nobody(), now).await.unwrap();
    world.session(op, Where::Everywhere, Stage::Inside).await;
    let of = [
        (owner, "Firefox on Linux", Kind::Totp),
        (owner, "Safari on iPhone", Kind::Phone),
        (op, "Chrome on Android", Kind::Phone),
    ];
    for (person, agent, kind) in of {
        let device = NewDevice {
            person: person.to_owned(),
            place: Where::Everywhere,
            kind,
            address: "203.0.113.7".to_owned(),
            agent: agent.to_owned(),
            trusted_for: SignedDuration::from_hours(30 * 24),
            session: None,
        };
        world.store.trust_device(&by, device, now).await.unwrap();
    }
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

/// Requests at every stage: open, in doubt, priced too low and too high, settled.
async fn fill_ledger(world: &World, accounts: &[Sid]) {
    world.apply_limits().await;
    for account in world.store.accounts().await.unwrap() {
        world.engine.read_usage(&account, "poll").await.unwrap();
    }
    let now = || Now::At(world.now());
    for (number, account) in accounts.iter().cycle().take(40).enumerate() {
        let operation = if number % 5 == 4 { "calls.create" } else { "messages.create" };
        let worst = if number % 5 == 4 { "0.145" } else { "0.0479" };
        let Admission::Admitted(it) = world.ask(*account, operation, worst).await else { continue };
        let resource = Sid::new(if number % 5 == 4 { *b"CA" } else { *b"SM" }, 77 + number as u128);
        let price = |text: &str| Spent { price: text.parse().unwrap(), ..Spent::default() };
        match number % 8 {
            0 | 1 => drop(world.store.settle(it.id(), price("0.0083"), Some(resource), now()).await),
            2 => drop(world.store.settle(it.id(), price("0.0492"), Some(resource), now()).await),
            3 => world.store.sent(it, Sent::InDoubt, now()).await.unwrap(),
            4 => drop(world.store.settle_at_worst(vec![it.id().to_owned()], now()).await),
            5 | 6 => world.store.sent(it, Sent::Made(Some(resource)), now()).await.unwrap(),
            _ => drop(it),
        }
    }
}

/// Codes to numbers that nobody reads, and what came of them.
async fn fill_signs(world: &World, account: Sid) {
    let at = Now::At(world.now() - SignedDuration::from_mins(30));
    for (to, from, count, entered) in [("+959", 0, 84, 3), ("+4915", 100, 60, 52), ("+44", 200, 12, 9)] {
        let beginning = to.parse().unwrap();
        for number in 0..count {
            let new = NewReservation {
                credential: None,
                account,
                operation: "verifications.create".to_owned(),
                worst: "0.05".parse().unwrap(),
                holds: Vec::new(),
                limits: world.store.limits_fingerprint().await.unwrap().into(),
                party: None,
                beginning: Some(beginning),
                patience: SignedDuration::from_secs(60),
                goes_on: SignedDuration::ZERO,
            };
            let Admission::Admitted(it) = world.store.admit(new, at).await.unwrap() else { continue };
            let verification = Sid::new(*b"VE", from + number);
            world.store.sent(it, Sent::Made(Some(verification)), at).await.unwrap();
            if number < entered {
                world.store.verified(account, beginning, Some(verification), at).await.unwrap();
            }
        }
    }
    world.engine.reconcile().await.unwrap();
}

/// A form that is pumped at a customer's: the first requests hold what was left, and the rest is refused.
async fn fill_refusals(world: &World, account: Sid) {
    for number in 0..40 {
        let operation = if number % 4 == 3 { "calls.create" } else { "messages.create" };
        drop(world.ask(account, operation, "9.85").await);
    }
}

/// Prices of a few countries, a day old.
async fn fill_prices(world: &World) {
    let from = Source::Account(world.parent);
    let at = world.now() - SignedDuration::from_hours(20);
    let mut prices = Prices::new("USD");
    prices.version = 41;
    let all = [
        ("GB", ["234", "235"], ["+44", "+447", "+447911"], ["0.0463", "0.05"], "0.0336"),
        ("DE", ["262", "262"], ["+49", "+4915", "+49160"], ["0.0979", "0.112"], "0.1242"),
        ("US", ["310", "311"], ["+1", "+1415", "+1907"], ["0.0083", "0.0083"], "0.014"),
    ];
    for (country, networks, prefixes, segments, minute) in all {
        let row = |(mcc, price): (&&str, &&str)| NetworkPrices {
            network: Some(Network { mcc: (*mcc).to_owned(), mnc: "01".to_owned() }),
            prices: vec![NumberTypePrice { number_type: NumberType::Mobile, price: price.parse().ok() }],
        };
        let rows = networks.iter().zip(&segments).map(row).collect();
        prices.learn_messages(country, "USD", Learnt { from, at, is: rows }).unwrap();
        let row = |prefix: &&str| PrefixPrice {
            to: vec![prefix.parse().unwrap()],
            from: Vec::new(),
            price: minute.parse().ok(),
        };
        let rows = prefixes.iter().map(row).collect();
        prices.learn_calls(country, "USD", Learnt { from, at, is: rows }).unwrap();
        let rows = [(NumberType::Local, "1.15"), (NumberType::TollFree, "2.15")];
        let row = |(number_type, price): (NumberType, &str)| NumberTypePrice {
            number_type,
            price: price.parse().ok(),
        };
        prices.learn_numbers(country, "USD", Learnt { from, at, is: rows.map(row).to_vec() }).unwrap();
    }
    let stored = StoredPrices { account: world.parent, fetched_at: at, prices };
    world.store.keep_prices(&Actor::job("prices"), stored, world.now()).await.unwrap();
}
