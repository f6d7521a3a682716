//! The ledger: what stands under each limit, and the requests whose end is not known yet.

use std::sync::Arc;

use jiff::SignedDuration;
use ringfence_breaker::{Hold, Limit, Measure, Per, Scope, Subject, Window};
use ringfence_model::{Amount, Sid};
use ringfence_store::{Admission, NewReservation, Now, Reservation, Role, Sent, Spent, Where};

use crate::world::{World, limit};

/// An installation whose limits are applied and whose figures were read.
async fn world(limits: Vec<Limit>) -> World {
    let world = World::with(limits).await;
    world.apply_limits().await;
    world
}

/// A request of an account under all limits that hold for it.
async fn admit(world: &World, account: Sid, worst: &str) -> Reservation {
    match world.ask(account, "messages.create", worst).await {
        Admission::Admitted(reservation) => reservation,
        Admission::Refused(why) => panic!("{why:?}"),
    }
}

#[tokio::test]
async fn whoever_has_one_account_sees_its_own_sums_and_requests_and_no_others() {
    let world =
        world(vec![limit("fifty a day", 50, Per::Account), limit("all together", 400, Per::Together)]).await;
    let (own, other) = (world.subaccount("own").await, world.subaccount("somebody else").await);
    world.spend(own, "3").await;
    let mine = admit(&world, own, "1.25").await;
    let theirs = admit(&world, other, "7.77").await;
    let browser = world.signed_in("a@example.com", Role::Auditor, Where::Account(own)).await;
    assert_eq!(browser.get("/ledger").await.header("location"), format!("/accounts/{own}/ledger"));
    let page = browser.get(&format!("/accounts/{own}/ledger")).await;
    page.says("1.25");
    page.says("3.00 USD");
    for hidden in ["7.77", "all together", "somebody else", &other.to_string()] {
        page.does_not_say(hidden);
    }
    for path in ["ledger", "prices"] {
        assert_eq!(browser.get(&format!("/accounts/{other}/{path}")).await.status, 404);
    }
    let all = world.owner().await.get("/ledger").await;
    all.says("somebody else");
    all.says("all its accounts together");
    drop((mine, theirs));
}

#[tokio::test]
async fn a_sum_stands_beside_what_twilio_counts_and_when_that_was_read() {
    let world = world(vec![limit("fifty a day", 50, Per::Account)]).await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let path = format!("/accounts/{account}/ledger");
    let page = owner.get(&path).await;
    page.says("Twilio’s figure was not read yet, so nothing is admitted");
    page.says("<span class=\"pill near\">waits</span>");
    page.says("Nothing is open.");
    world.spend(account, "12").await;
    let open = admit(&world, account, "8").await;
    let page = owner.get(&path).await;
    page.says("data-live");
    page.says("<strong>20.00 USD</strong> <span class=\"quiet\">of 50.00 USD</span>");
    page.says("<dt>adjusted</dt><dd>12.00 USD</dd>");
    page.says("<dt>reserved</dt><dd>8.00 USD</dd>");
    page.says("<dt>left</dt><dd>30.00 USD</dd>");
    page.says("Twilio counts 12.00 USD, read just now · 1 request open");
    page.says("open: nobody has answered yet");
    world.store.sent(open, Sent::InDoubt, Now::At(world.now())).await.unwrap();
    world.advance(20 * 60).await;
    let page = owner.get(&path).await;
    page.says("read 20 min ago");
    page.says("in doubt: spent until it is found");
    owner.get(&format!("{path}?show=in-doubt")).await.says("in doubt: spent until it is found");
    owner.get(&format!("{path}?show=ended")).await.says("Nothing has ended in the last day.");
}

#[tokio::test]
async fn without_an_egress_the_ledger_says_so_and_nothing_of_what_it_would_have_taken() {
    let world = World::without_egress(vec![
        limit("fifty a day", 50, Per::Account),
        limit("all together", 400, Per::Together),
    ])
    .await;
    world.apply_limits().await;
    let account = world.subaccount("customer").await;
    world.spend(account, "3").await;
    let owner = world.owner().await;
    for path in ["/ledger".to_owned(), format!("/accounts/{account}/ledger")] {
        let page = owner.get(&path).await;
        page.says("This installation has no egress");
        page.says("Nothing is taken.");
        for untrue in ["figure was not read yet", "fifty a day", "all together", "as soon as a request comes"]
        {
            page.does_not_say(untrue);
        }
    }
    // What Twilio counts stands where it says.
    for path in ["/accounts".to_owned(), format!("/accounts/{account}")] {
        let page = owner.get(&path).await;
        page.says("3.00 USD");
    }
}

#[tokio::test]
async fn requests_are_told_without_numbers_and_page_by_page() {
    let world = world(vec![limit("fifty a day", 50, Per::Account)]).await;
    let account = world.subaccount("customer").await;
    world.spend(account, "0").await;
    for _ in 0..26 {
        drop(admit(&world, account, "0.01").await);
    }
    let last = admit(&world, account, "0.02").await;
    let sid = Sid::new(*b"SM", 7);
    let spent = Spent { price: "0.015".parse().unwrap(), ..Spent::default() };
    world.store.settle(last.id(), spent, Some(sid), Now::At(world.now())).await.unwrap();
    let owner = world.owner().await;
    let path = format!("/accounts/{account}/ledger");
    let page = owner.get(&path).await;
    assert_eq!(page.text.matches("messages.create").count(), 25);
    page.does_not_say("+14155550100");
    page.says("party <code>");
    let (_, after) = page.text.split_once("&#38;before=").expect("another page");
    let before = after.split('"').next().unwrap();
    let older = owner.get(&format!("{path}?show=&before={before}")).await;
    assert_eq!(older.text.matches("messages.create").count(), 1);
    older.says("Newest");
    let ended = owner.get(&format!("{path}?show=ended")).await;
    ended.says("0.015");
    ended.says(&sid.to_string());
    ended.says("settled");
    for wrong in ["1", "x-y", "99999999999999999999-0", "1-%3Cscript%3E"] {
        assert_eq!(owner.get(&format!("{path}?before={wrong}")).await.status, 404, "{wrong}");
    }
}

#[tokio::test]
async fn a_limit_that_only_watches_has_a_plain_verdict_and_tells_where_prices_were_too_low() {
    let watch = Limit { enforce: false, then: vec![], ..limit("watch <it>", 5, Per::Account) };
    let world = world(vec![watch]).await;
    let account = world.subaccount("customer").await;
    world.spend(account, "0").await;
    let owner = world.owner().await;
    owner.get("/ledger").await.says("too little seen yet");
    let low = admit(&world, account, "1").await;
    let spent = Spent { price: Amount::from_units(2), ..Spent::default() };
    world.store.settle(low.id(), spent, None, Now::At(world.now())).await.unwrap();
    drop(admit(&world, account, "60").await);
    for path in ["/ledger".to_owned(), format!("/accounts/{account}/ledger")] {
        let page = owner.get(&path).await;
        page.says("<span class=\"pill near\">would have refused</span>");
        page.says("it would have refused 1 of 2 requests, worth 60 USD at worst");
        page.says("it was too low once of 1, by 1 USD in all");
        page.says("<span class=\"bad\">1 (1.00 USD)</span>");
        page.does_not_say("<it>");
        let live = owner.get(&format!("{path}?live=yes")).await;
        live.says("data-live");
        live.does_not_say("would have refused");
    }
    // What refreshes the page asks for no more than it shows.
    assert!(owner.get("/assets/console.js").await.text.contains("\"live\", \"yes\""));
}

#[tokio::test]
async fn a_tripped_limit_and_the_beginnings_of_numbers_stand_there() {
    let prefix = Limit {
        scope: Scope::All,
        window: Window::Minute,
        measure: Measure::Price,
        then: vec![],
        ..limit("a minute to one place", 2, Per::Prefix)
    };
    let world = world(vec![limit("fifty a day", 50, Per::Account), prefix]).await;
    let account = world.subaccount("customer").await;
    world.spend(account, "60").await;
    let owner = world.owner().await;
    owner.get("/ledger").await.says("<span class=\"pill tripped\">tripped</span>");
    let hold = Hold {
        limit: Arc::new(world.engine.limits()[1].clone()),
        subject: Subject::Prefix("+1415".parse().unwrap()),
        amount: "0.5".parse().unwrap(),
        told: "0.5".parse().unwrap(),
        places: Vec::new(),
    };
    let (credential, _) = world.key("shop", Some(account)).await;
    let new = NewReservation {
        credential: Some(credential),
        account,
        operation: "messages.create".to_owned(),
        worst: "0.5".parse().unwrap(),
        holds: vec![hold],
        limits: world.store.limits_fingerprint().await.unwrap().into(),
        party: None,
        beginning: None,
        patience: SignedDuration::from_secs(60),
        goes_on: SignedDuration::ZERO,
    };
    assert!(matches!(world.store.admit(new, Now::At(world.now())).await.unwrap(), Admission::Admitted(_)));
    let page = owner.get("/ledger").await;
    page.says("numbers that begin with +1415");
    page.says("Twilio counts nothing of the kind");
    owner.get("/keys").await.says("used just now");
    owner.get(&format!("/accounts/{account}/ledger")).await.does_not_say("+1415");
}

#[tokio::test]
async fn whoever_has_one_account_does_not_learn_which_credentials_open_others() {
    let world = world(vec![limit("fifty a day", 50, Per::Account)]).await;
    let own = world.subaccount("own").await;
    world.spend(own, "0").await;
    let (wide, _) = world.key("everything", None).await;
    let new = NewReservation {
        credential: Some(wide),
        account: own,
        operation: "calls.create".to_owned(),
        worst: Amount::ZERO,
        holds: vec![],
        limits: world.store.limits_fingerprint().await.unwrap().into(),
        party: None,
        beginning: None,
        patience: SignedDuration::from_secs(60),
        goes_on: SignedDuration::ZERO,
    };
    assert!(matches!(world.store.admit(new, Now::At(world.now())).await.unwrap(), Admission::Admitted(_)));
    drop(admit(&world, own, "1").await);
    let mut credentials = world.store.credentials(None).await.unwrap();
    credentials.retain(|credential| credential.sid != wide);
    let path = format!("/accounts/{own}/ledger");
    let page = world.signed_in("a@example.com", Role::Auditor, Where::Account(own)).await.get(&path).await;
    page.says("calls.create");
    page.does_not_say(&wide.to_string());
    page.says("by a credential that is for other accounts too");
    page.says(&format!("by {}", credentials[0].sid));
    world.owner().await.get(&path).await.says(&format!("by {wide}"));
}

#[tokio::test]
async fn more_sums_are_shown_beside_the_same_requests() {
    let limits = (0..26).map(|number| limit(&format!("together {number}"), 400, Per::Together));
    let world = World::with(limits.collect()).await;
    let owner = world.owner().await;
    let before = format!("{}-{}", world.now().as_microsecond(), "0".repeat(32));
    let page = owner.get(&format!("/ledger?show=ended&before={before}")).await;
    page.says("1 are left out");
    page.says(&format!("/ledger?sums=100&#38;show=ended&#38;before={before}\">Show more"));
    let all = owner.get("/ledger?sums=100").await;
    all.does_not_say("Show more");
    all.does_not_say("left out");
}
