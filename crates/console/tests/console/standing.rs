//! How limits stand before they trip.

use ringfence_breaker::{Limit, Measure, Per, Scope, Sign, Subject, Threshold, Window};
use ringfence_model::Sid;
use ringfence_store::{Admission, Arrival, Now, Role, Sent, Spent, Where};

use crate::world::{World, limit};

fn delivered() -> Limit {
    Limit {
        scope: Scope::All,
        measure: Measure::Delivery,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
        warn: vec![],
        ..limit("delivered", 20, Per::Prefix)
    }
}

/// Messages to numbers that begin so, of which the first ones arrive.
async fn send(world: &World, account: Sid, to: &str, count: u128, arriving: u128) {
    for number in 0..count {
        let Admission::Admitted(it) = world.ask_for(account, "messages.create", "0.01", Some(to)).await
        else {
            panic!("nothing is full");
        };
        let id = it.id().to_owned();
        let sid = Sid::new(*b"SM", number);
        world.store.sent(it, Sent::Made(Some(sid)), Now::At(world.now())).await.unwrap();
        let arrival = if number < arriving { Arrival::Delivered } else { Arrival::Failed };
        let spent = Spent { price: "0.01".parse().unwrap(), arrival, ..Spent::default() };
        world.store.settle(&id, spent, Some(sid), Now::At(world.now())).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_looks_at_one_account_sees_how_it_stands_and_nobody_else() {
    let world = World::with(vec![
        limit("fifty a day", 50, Per::Account),
        limit("together", 400, Per::Together),
        delivered(),
    ])
    .await;
    world.apply_limits().await;
    let (own, other) = (world.subaccount("own").await, world.subaccount("somebody else").await);
    world.spend(own, "3").await;
    world.spend(other, "44").await;
    send(&world, other, "+959", 30, 1).await;
    world.advance(20 * 60).await;
    let browser = world.signed_in("a@example.com", Role::Auditor, Where::Account(own)).await;
    let page = browser.get("/limits").await;
    page.says("<strong>3.00 USD</strong> <span class=\"quiet\">of 50.00 USD</span>");
    for hidden in ["somebody else", "44.00", "together", "+959", "were delivered"] {
        page.does_not_say(hidden);
    }
}

#[tokio::test]
async fn what_is_settled_adjusted_and_reserved_is_seen_beside_each_limit_before_it_trips() {
    let world = World::with(vec![Limit { warn: vec![80], ..limit("fifty a day", 50, Per::Account) }]).await;
    world.apply_limits().await;
    let account = world.subaccount("customer <b>").await;
    let owner = world.owner().await;
    owner.get("/limits").await.does_not_say("<dt>settled</dt>");
    world.spend(account, "12").await;
    let open = world.ask(account, "messages.create", "8").await;
    let Admission::Admitted(settled) = world.ask(account, "messages.create", "5").await else {
        panic!("it fits")
    };
    let spent = Spent { price: "2.5".parse().unwrap(), ..Spent::default() };
    world.store.settle(settled.id(), spent, None, Now::At(world.now())).await.unwrap();
    for path in ["/limits".to_owned(), format!("/accounts/{account}/ledger")] {
        let page = owner.get(&path).await;
        for said in [
            "<dt>settled</dt><dd>2.50 USD</dd>",
            "<dt>reserved</dt><dd>8.00 USD</dd>",
            "<dt>warns at</dt><dd>40.00 USD (80 %)</dd>",
            "<dt>trips at</dt><dd>50.00 USD</dd>",
            "class=\"reserved\"",
            "class=\"mark warn\" x=\"8000\"",
        ] {
            page.says(said);
        }
        page.does_not_say("customer <b>");
    }
    drop(open);
}

#[tokio::test]
async fn a_share_is_seen_before_it_trips_and_the_one_that_is_nearest_first() {
    let world = World::with(vec![delivered()]).await;
    world.apply_limits().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    for (to, count, arriving) in [("+1415", 40, 39), ("+959", 40, 10), ("+44", 3, 0)] {
        send(&world, account, to, count, arriving).await;
    }
    owner.get("/limits").await.does_not_say("were delivered");
    world.advance(20 * 60).await;
    let page = owner.get("/limits").await;
    page.says("25 % of 40 messages to numbers that begin with +959 were delivered; below 20 % it trips");
    page.says("97.5 % of 40 messages to numbers that begin with +1415 were delivered");
    page.says("<dt>trips below</dt><dd>20 % of 20 or more</dd>");
    page.says("too few to judge");
    let place = |text: &str| page.text.find(text).unwrap();
    assert!(place("begin with +959") < place("begin with +1415"));
    assert!(place("begin with +1415") < place("begin with +44"), "too few say nothing");
    page.says("class=\"mark limit\" x=\"2000\"");
    // What has tripped is told as a trip.
    let by = ringfence_model::Actor::job("test");
    let burma = Subject::Prefix("+959".parse().unwrap());
    world.engine.trip("delivered", burma, &by, "pumped").await.unwrap();
    let page = owner.get("/limits").await;
    page.says("<span class=\"pill tripped\">tripped</span>");
    assert_eq!(page.text.matches("numbers that begin with +959</span>").count(), 1);
}
