//! What is shown.

use ringfence_breaker::Per;
use ringfence_control::rotation::{Turn, Wish};
use ringfence_store::{Role, RotationEnd, SignInOutcome, Where};

use crate::world::{World, limit};

#[tokio::test]
async fn what_people_have_named_stays_text_everywhere() {
    let world = World::with(vec![limit("<i>night</i>", 50, Per::Account)]).await;
    let account = world.subaccount("<script>alert(1)</script>\"'&").await;
    world.spend(account, "60").await;
    let owner = world.signed_in("<b>x</b>@example.com", Role::Owner, Where::Everywhere).await;
    let evil = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        "/",
        "/accounts",
        &format!("/accounts/{account}"),
        &format!("/accounts/{account}/suspend"),
        &format!("/breakers/reset?limit=%3Ci%3Enight%3C%2Fi%3E&account={account}"),
        "/limits",
        "/limits/plan",
        "/audit",
        "/requests",
        &format!("/requests?verdict={evil}&search={evil}&from={evil}"),
        "/services",
        &format!("/audit?target={evil}&actor={evil}&action={evil}"),
        &format!("/accounts?q={evil}&show={evil}"),
        &format!("/?done={evil}"),
    ] {
        let page = owner.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for markup in ["<script>alert", "<i>night", "<b>x</b>"] {
            assert!(!page.text.contains(markup), "{path} has {markup}");
        }
    }
    owner.get("/accounts").await.says("&#60;script&#62;alert(1)");
}

#[tokio::test]
async fn an_empty_installation_says_what_to_do_next() {
    let world = World::with(Vec::new()).await;
    let owner = world.owner().await;
    owner.get("/").await.says("Add a [[limit]] to the configuration");
    owner.get("/limits").await.says("No limit is configured");
    owner.get("/credentials").await.says("ringfence api-token create");
    let page = owner.get(&format!("/accounts/{}", world.parent)).await;
    page.says("No limit holds for this account");
    page.says("Neither a limit nor a warning was reached");
    let page = owner.get("/accounts?q=nobody").await;
    page.says("No account matches");
    owner.get("/audit?action=nothing.done").await.says("Nothing matches");
}

#[tokio::test]
async fn the_overview_has_the_three_promises_in_figures() {
    let world = World::new().await;
    let (near, over) = (world.subaccount("nearly").await, world.subaccount("over it").await);
    world.spend(near, "42.5").await;
    world.spend(over, "61.25").await;
    let owner = world.owner().await;
    let person = &world.signed_in("a@example.com", Role::Auditor, Where::Everywhere).await.person;
    let failed = world.store.begin_sign_in(person, "203.0.113.9", "curl", world.now()).await.unwrap();
    world.store.end_sign_in(&failed, SignInOutcome::Failed, world.now()).await.unwrap();
    let page = owner.get("/").await;
    for said in [
        "<dd>48,210</dd>",
        "<dd>1,560</dd>",
        "signature mismatch",
        "61.25 USD</strong> <span class=\"quiet\">of 50.00 USD",
        "122 %",
        "42.50 USD</strong>",
        "85 per cent",
        "103.75 USD</strong> <span class=\"quiet\">of 400.00 USD",
        "password right, second factor wrong",
        "203.0.113.9",
        "<dt>stopped</dt><dd>1</dd>",
        "<dt>signed in</dt><dd>2</dd>",
    ] {
        page.says(said);
    }
}

#[tokio::test]
async fn a_token_that_is_replaced_or_out_of_date_needs_a_person_and_is_not_shown() {
    let world = World::new().await;
    let owner = world.owner().await;
    let by = ringfence_model::Actor::CommandLine("alice".to_owned());
    let wish =
        Wish { reason: "it leaked", holds: false, unconfirmed: true, replaces_second: false, again: false };
    let parent = world.parent;
    assert_eq!(world.engine.rotate(parent, &by, &wish).await.unwrap(), Turn::Made);
    owner.get("/").await.says(&format!("The auth token of {parent} is being replaced."));
    let node = world.store.nodes().await.unwrap().remove(0);
    world.store.take_over_tokens(&node.life, i64::MAX).await.unwrap();
    assert_eq!(world.engine.rotate(parent, &by, &wish).await.unwrap(), Turn::Promoted);
    let end = world.engine.rotate(parent, &by, &wish).await.unwrap();
    assert_eq!(end, Turn::Ended(RotationEnd::Unconfirmed));
    let page = owner.get("/").await;
    page.says(&format!("The configured auth token of {parent} was replaced."));
    let token = world.store.rotated_tokens().await.unwrap().remove(0).token;
    page.does_not_say(token.expose());
}

#[tokio::test]
async fn a_limit_that_only_watches_is_told_apart_from_one_that_stops() {
    let mut watching = limit("watched", 5, Per::Account);
    watching.enforce = false;
    let world = World::with(vec![watching, limit("fifty a day", 50, Per::Account)]).await;
    let (calm, hot) = (world.subaccount("calm").await, world.subaccount("hot").await);
    world.spend(calm, "6").await;
    world.spend(hot, "60").await;
    let owner = world.owner().await;
    let page = owner.get("/").await;
    page.says("<dt>tripped</dt><dd>1</dd>");
    page.says("<dt>would trip</dt><dd>2</dd>");
    page.says("One breaker is");
    page.says("the limit only watches");
    let (stopped, nearest) = page.text.split_once("id=\"nearest\"").unwrap();
    assert!(stopped.contains(">hot</a>") && !stopped.contains(">calm</a>"), "{stopped}");
    assert!(nearest.contains(">calm</a>"), "{nearest}");
    let page = owner.get("/limits").await;
    page.says("0 tripped</span>, <span class=\"near\">2 would trip");
    let page = owner.get(&format!("/accounts/{calm}")).await;
    page.says("<strong>watched</strong>");
    page.says("<span class=\"pill would\">would trip</span>");
    page.does_not_say("pill tripped");
}

#[tokio::test]
async fn accounts_are_found_by_name_sid_and_standing_in_pages() {
    let world = World::new().await;
    for number in 0..55 {
        world.subaccount(&format!("customer {number:02}")).await;
    }
    let hot = world.subaccount("the hot one").await;
    world.spend(hot, "60").await;
    world.work().await;
    let owner = world.owner().await;
    let first = owner.get("/accounts").await;
    first.says("57 accounts");
    let rows = |text: &str| text.matches("<th scope=\"row\"").count();
    assert_eq!(rows(&first.text), 50);
    let (place, other) = (first.text.find("the hot one").unwrap(), first.text.find("customer 00").unwrap());
    assert!(place < other, "what deserves a look comes first");
    first.says("page=2");
    assert_eq!(rows(&owner.get("/accounts?page=2").await.text), 7);
    assert_eq!(
        rows(&owner.get("/accounts?page=99").await.text),
        7,
        "a page that is not there is the last one"
    );
    owner.get("/accounts?q=CUSTOMER+5").await.says("5 accounts");
    owner.get("/accounts?show=suspended").await.says("1 account");
    let one = owner.get(&format!("/accounts?q={hot}")).await;
    one.says("1 account");
    one.says("the hot one");
}

#[tokio::test]
async fn the_audit_log_is_searched_and_read_page_by_page() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    world.spend(account, "60").await;
    let owner = world.owner().await;
    let page = owner.get("/audit?action=BREAKER").await;
    page.says("breaker.trip");
    page.does_not_say("person.add");
    owner.get("/audit?target=100%25").await.says("Nothing matches");
    owner.get("/audit?action=breaker_trip").await.says("Nothing matches");
    owner.get(&format!("/audit?actor=person+{}", owner.person)).await.says("sign-in");
    for number in 0..60 {
        let audit = ringfence_store::NewAudit::new("test.row", format!("row {number}"));
        world.store.audit(&ringfence_model::Actor::job("test"), audit, world.now()).await.unwrap();
    }
    let first = owner.get("/audit?action=test.row").await;
    first.says("row 59");
    first.does_not_say("row 9<");
    let (before, _) = first.text.split_once("\" rel=\"next\">Older").unwrap();
    let link = before.rsplit_once("href=\"").unwrap().1.replace("&#38;", "&");
    let second = owner.get(&link).await;
    second.says("row 9<");
    second.does_not_say("row 59");
    second.says("Newest");
}

#[tokio::test]
async fn the_log_verifies_and_says_so() {
    let world = World::new().await;
    let owner = world.owner().await;
    world.store.seal_audit(world.now()).await.unwrap();
    let page = owner.get("/audit/verify").await;
    page.says("The log is whole");
}

#[tokio::test]
async fn the_plan_shows_what_is_not_at_twilio_yet() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let page = owner.get("/limits/plan").await;
    page.says("create");
    page.says(&account.to_string());
    page.says("“fifty a day”");
}

#[tokio::test]
async fn money_is_shown_day_by_day_against_each_limit() {
    let world = World::with(vec![limit("night", 50, Per::Account)]).await;
    let account = world.subaccount("customer").await;
    let owner = world.owner().await;
    let path = format!("/accounts/{account}");
    owner.get(&path).await.does_not_say("class=\"days\"");
    world.spend(account, "20").await;
    world.advance(2 * 86_400).await;
    world.spend(account, "12.5").await;
    // Two days are more than a session lasts.
    let owner = world.signed_in("later@example.com", Role::Owner, Where::Everywhere).await;
    let page = owner.get(&path).await;
    page.says("What “night” saw on each of the last 30 days");
    page.says("<title>2026-03-01: 20.00 USD, 40 %</title>");
    page.says("<title>2026-03-03: ");
    page.does_not_say("<title>2026-03-02");
    owner.get("/").await.says("2026-03-01: 20.00 USD, 40 %");
}

#[tokio::test]
async fn what_somebody_did_is_found_by_what_they_sign_in_with() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let maria = world.signed_in("maria@example.com", Role::Owner, Where::Everywhere).await;
    let why = [("reason", "it calls at night")];
    maria.post(&format!("/accounts/{account}/suspend"), &why).await;
    let owner = world.owner().await;
    for by in ["maria@example.com", "Maria@Example.com", "person+maria@example.com"] {
        let page = owner.get(&format!("/audit?actor={by}")).await;
        page.says("it calls at night");
        page.does_not_say("person.add");
    }
    let page = owner.get("/audit?target=maria@example.com").await;
    page.says("person.add");
    page.does_not_say("it calls at night");
    page.says("value=\"maria@example.com\"");
    owner.get("/audit?actor=owner@example.com").await.does_not_say("it calls at night");
    // Whose names are not told are not found by them.
    let local = world.signed_in("local@example.com", Role::Auditor, Where::Account(account)).await;
    local.get("/audit").await.says("it calls at night");
    local.get("/audit?actor=maria@example.com").await.says("Nothing matches.");
}

#[tokio::test]
async fn a_little_that_was_spent_is_something_and_nothing_is_not_said_where_much_was() {
    const NOTHING: &str = "Nothing has been spent in the windows of this moment";
    let world = World::with(vec![limit("fifty a day", 50, Per::Account)]).await;
    let (bakery, dentist) = (world.subaccount("Bakery").await, world.subaccount("Dentist").await);
    let browsers = [
        world.signed_in("b@example.com", Role::Auditor, Where::Account(bakery)).await,
        world.signed_in("d@example.com", Role::Auditor, Where::Account(dentist)).await,
    ];
    for browser in &browsers {
        browser.get("/").await.says(NOTHING);
    }
    world.spend(bakery, "0.40").await;
    world.spend(dentist, "61.50").await;
    let [little, much] = [browsers[0].get("/").await, browsers[1].get("/").await];
    little.does_not_say(NOTHING);
    little.says("0.40 USD");
    much.says("61.50 USD");
    much.does_not_say(NOTHING);
    much.says("Nothing else has been spent in the windows of this moment");
}

#[tokio::test]
async fn what_a_limit_came_to_is_told_with_the_same_unit_on_both_sides() {
    let world = World::new().await;
    let account = world.subaccount("Bakery").await;
    world.spend(account, "61.50").await;
    let page = world.owner().await.get("/limits").await;
    page.says("with 61.50 USD in the window of 2026-03-01, at a limit of 50.00 USD");
}

#[tokio::test]
async fn an_account_whose_usage_is_not_counted_is_told_wherever_somebody_looks_at_it() {
    let world = World::new().await;
    let (blind, calm) = (world.subaccount("blind").await, world.subaccount("calm").await);
    let failed = [(blind, "refused with HTTP 401".to_owned())].into();
    world.store.note_usage_unread(&failed, world.now()).await.unwrap();
    world.advance(300).await;
    let told = "What blind spends is not counted, so its limits may not see it.";
    let owner = world.owner().await;
    let page = owner.get("/").await;
    page.says(told);
    page.says("refused with HTTP 401");
    let of_blind = world.signed_in("b@example.com", Role::Auditor, Where::Account(blind)).await;
    let page = of_blind.get("/").await;
    page.says(told);
    page.does_not_say("Nothing needs you");
    for viewer in [&owner, &of_blind] {
        let page = viewer.get(&format!("/accounts/{blind}")).await;
        page.says("What this account spends is not counted, so its limits may not see it.");
    }
    owner.get(&format!("/accounts/{calm}")).await.does_not_say("is not counted");
    let of_calm = world.signed_in("c@example.com", Role::Auditor, Where::Account(calm)).await;
    of_calm.get("/").await.does_not_say("is not counted");
    let page = owner.get("/accounts").await;
    let (first, _) = page.text.split_once(&format!("/accounts/{calm}")).unwrap();
    assert!(first.contains("what it spends is not counted"), "{first}");
    let page = owner.get("/accounts?show=not-counted").await;
    page.says(&format!("/accounts/{blind}"));
    page.does_not_say(&format!("/accounts/{calm}"));
}

#[tokio::test]
async fn a_limit_that_only_watches_hides_none_that_stops_and_is_nearer() {
    let mut watching = limit("watched each day", 5, Per::Account);
    watching.enforce = false;
    let mut stopping = limit("fifty a month", 50, Per::Account);
    stopping.window = ringfence_breaker::Window::Monthly;
    let world = World::with(vec![watching, stopping]).await;
    let account = world.subaccount("hot").await;
    world.spend(account, "48").await;
    // The next day nothing is used, and nobody has reset the one that watches.
    world.advance(86_400).await;
    world.spend(account, "0.01").await;
    let owner = world.owner().await;
    let page = owner.get("/accounts").await;
    let (_, row) = page.text.split_once(&format!("/accounts/{account}")).unwrap();
    assert!(row.contains("fifty a month") && !row.contains("watched each day"), "{row}");
    let page = owner.get("/").await;
    let (_, nearest) = page.text.split_once("id=\"nearest\"").unwrap();
    let place = |name: &str| nearest.find(name).unwrap();
    assert!(place("fifty a month") < place("watched each day"), "{nearest}");
}

#[tokio::test]
async fn what_keeps_itself_fresh_says_whose_figures_it_has() {
    let world = World::new().await;
    let account = world.subaccount("shop").await;
    let owner = world.signed_in("o@example.com", Role::Owner, Where::Everywhere).await;
    owner.get("/").await.says("<div data-live=\"o@example.com, All accounts\">");
    let of_shop = world.signed_in("s@example.com", Role::Auditor, Where::Account(account)).await;
    for path in ["/", &format!("/accounts/{account}/ledger")] {
        of_shop.get(path).await.says("<div data-live=\"s@example.com, ");
        of_shop.get(path).await.does_not_say("All accounts\">");
    }
}
