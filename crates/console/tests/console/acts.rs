//! What people do here: each with a reason, under their name, by the engine's own methods.

use ringfence_breaker::{Action, Limit, Measure, Per, Scope, Sign, Subject, Threshold, Window};
use ringfence_model::Actor;
use ringfence_store::{Role, Where};

use crate::world::{World, limit};

#[tokio::test]
async fn an_act_without_a_reason_is_not_done_and_what_was_typed_stays() {
    let world = World::new().await;
    let account = world.subaccount("customer").await.to_string();
    world.spend(account.parse().unwrap(), "60").await;
    let owner = world.owner().await;
    let breaker = [("limit", "fifty a day"), ("account", account.as_str())];
    let page =
        owner.post("/breakers/reset", &[breaker[0], breaker[1], ("allow", "25"), ("reason", "  ")]).await;
    assert_eq!(page.status, 422);
    page.says("Say why: the audit log keeps it.");
    page.says("name=\"allow\" value=\"25\"");
    page.says("aria-invalid=\"true\"");
    for (allow, said) in [
        ("0", "More than 0"),
        ("0.00", "More than 0"),
        ("-1", "A number"),
        ("1e3", "A number"),
        ("5 USD", "A number"),
    ] {
        let fields = [breaker[0], breaker[1], ("allow", allow), ("reason", "because")];
        let page = owner.post("/breakers/reset", &fields).await;
        assert_eq!(page.status, 422, "{allow}");
        page.says(said);
    }
    for (reason, said) in [
        ("a\u{7}b", "without control characters"),
        (&"x".repeat(501), "At most 500"),
        ("\u{200b} \u{2060}", "Say why: the audit log keeps it."),
    ] {
        let page = owner.post(&format!("/accounts/{account}/suspend"), &[("reason", reason)]).await;
        assert_eq!(page.status, 422);
        page.says(said);
    }
    owner.get("/").await.says("One breaker is");
}

#[tokio::test]
async fn a_breaker_is_reset_with_a_reason_and_the_log_has_the_person() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    world.spend(account, "60").await;
    world.work().await;
    let operator = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let page = operator.get("/").await;
    page.says("reached with 60.00 USD");
    page.says("/breakers/reset?limit=fifty%20a%20day");
    let sid = account.to_string();
    let form = operator.get(&format!("/breakers/reset?limit=fifty+a+day&account={sid}")).await;
    form.says("60.00 USD was used in this window");
    let fields =
        [("limit", "fifty a day"), ("account", &sid), ("allow", "12.50"), ("reason", "a campaign <b>")];
    let done = operator.post("/breakers/reset", &fields).await;
    assert_eq!((done.status, done.header("location")), (303, format!("/accounts/{sid}?done=reset").as_str()));
    world.work().await;
    let page = operator.get(done.header("location")).await;
    page.says("What the trip had ordered is being taken back");
    page.says("12.50 USD more may be used");
    page.says("<span class=\"pill good\">active</span>");
    page.says("a campaign &#60;b&#62;");
    page.says("by person op@example.com");
    let rows = world.store.audit_rows(Some(&format!("breaker fifty a day of {sid}")), None, 1).await.unwrap();
    assert_eq!((rows[0].action.as_str(), rows[0].actor.name()), ("breaker.reset", operator.person.as_str()));
    let again = operator.post("/breakers/reset", &fields).await;
    assert_eq!(again.status, 422);
    again.says("is not tripped");
}

#[tokio::test]
async fn numbers_that_are_closed_are_named_and_opened_again() {
    let rule = Limit {
        scope: Scope::All,
        measure: Measure::Conversion,
        window: Window::Rolling { seconds: 3_600 },
        at: Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }),
        warn: vec![],
        then: vec![Action::Notify],
        ..limit("codes entered", 20, Per::Prefix)
    };
    let world = World::with(vec![rule]).await;
    let account = world.subaccount("customer").await;
    let closed = Subject::Prefix("+959".parse().unwrap());
    let by = Actor::job("test");
    world.engine.trip("codes entered", closed, &by, "pumped").await.unwrap();
    let operator = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let page = operator.get("/").await;
    page.says("Numbers that begin with +959");
    page.says("/breakers/reset?limit=codes%20entered&#38;prefix=%2B959");
    page.does_not_say("All accounts together");
    let limits = operator.get("/limits").await;
    limits.says("codes that are entered");
    limits.says("less than 20 % of 20 or more");
    let form = operator.get("/breakers/reset?limit=codes+entered&prefix=%2B959").await;
    form.says("What goes to numbers that begin with +959 is let through again.");
    form.does_not_say("all accounts");
    form.does_not_say("name=\"allow\"");
    // Whoever looks at one account has no say about numbers, which are everybody's.
    let local = world.signed_in("local@example.com", Role::Operator, Where::Account(account)).await;
    let fields = [("limit", "codes entered"), ("prefix", "+959"), ("reason", "a campaign")];
    assert_eq!(local.post("/breakers/reset", &fields).await.status, 404);
    for wrong in ["", "959", "+", "+9a"] {
        let fields = [("limit", "codes entered"), ("prefix", wrong), ("reason", "a campaign")];
        assert_eq!(operator.post("/breakers/reset", &fields).await.status, 404, "{wrong}");
    }
    let done = operator.post("/breakers/reset", &fields).await;
    assert_eq!((done.status, done.header("location")), (303, "/?done=reset"));
    operator.get("/").await.does_not_say("Numbers that begin with +959");
    operator.get("/incidents").await.says("numbers that begin with +959");
}

#[tokio::test]
async fn an_account_is_suspended_and_resumed_at_twilio() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    let operator = world.signed_in("op@example.com", Role::Operator, Where::Account(account)).await;
    let path = |what: &str| format!("/accounts/{account}/{what}");
    let done = operator.post(&path("suspend"), &[("reason", "it calls at night")]).await;
    assert_eq!(done.status, 303);
    world.work().await;
    let page = operator.get(done.header("location")).await;
    page.says("<span class=\"pill bad\">suspended</span>");
    page.says("it calls at night");
    page.does_not_say("Suspend…");
    let done = operator.post(&path("resume"), &[("reason", "it was the owner")]).await;
    assert_eq!(done.status, 303);
    world.work().await;
    operator.get(&format!("/accounts/{account}")).await.says("<span class=\"pill good\">active</span>");
}

#[tokio::test]
async fn what_the_engine_refuses_is_said_beside_the_form() {
    let world = World::new().await;
    let account = world.subaccount("customer").await;
    world.spend(account, "60").await;
    world.work().await;
    let owner = world.owner().await;
    let page = owner.post(&format!("/accounts/{account}/resume"), &[("reason", "because")]).await;
    assert_eq!(page.status, 422);
    page.says("is held by");
    let parent = world.parent;
    let page = owner.post(&format!("/accounts/{parent}/suspend"), &[("reason", "because")]).await;
    assert_eq!(page.status, 422);
    page.says("Twilio suspends only subaccounts");
}

#[tokio::test]
async fn what_goes_on_to_hold_an_account_is_said_before_and_after_a_reset() {
    let world = World::new().await;
    let account = world.subaccount("Bakery").await;
    let operator = world.signed_in("op@example.com", Role::Operator, Where::Everywhere).await;
    let reset = format!("/breakers/reset?limit=fifty+a+day&account={account}");
    let resume = format!("/accounts/{account}/resume");
    // There is nothing to lift yet.
    for (path, said) in
        [(&reset, "the limit “fifty a day” is not tripped"), (&resume, "the account is not suspended")]
    {
        let page = operator.get(path).await;
        assert_eq!(page.status, 409, "{path}");
        page.says(said);
        page.does_not_say("may spend again");
        page.does_not_say("becomes active");
    }
    let page = operator.post(&resume, &[("reason", "by mistake")]).await;
    assert_eq!(page.status, 422);
    page.says("there is nothing to resume");
    let why = [("reason", "it calls at night")];
    assert_eq!(operator.post(&format!("/accounts/{account}/suspend"), &why).await.status, 303);
    world.spend(account, "60").await;
    world.work().await;
    // Both hold it.
    let page = operator.get(&resume).await;
    assert_eq!(page.status, 409);
    page.says("the limit “fifty a day” holds the account: reset that first");
    operator.get(&format!("/accounts/{account}")).await.does_not_say("Resume…");
    let form = operator.get(&reset).await;
    form.does_not_say("may spend again");
    form.says("stays suspended: an operator suspended it 2 min ago: resume it as well.");
    let fields =
        [("limit", "fifty a day"), ("account", &account.to_string()), ("allow", "5"), ("reason", "because")];
    let done = operator.post("/breakers/reset", &fields).await;
    assert_eq!(done.header("location"), format!("/accounts/{account}?done=reset-held"));
    world.work().await;
    let page = operator.get(done.header("location")).await;
    page.says("The account stays suspended, for what else holds it");
    page.says("an operator suspended it");
    page.says("<span class=\"pill bad\">suspended</span>");
    page.says("Resume…");
    operator.get(&resume).await.says("becomes active at Twilio again");
    assert_eq!(operator.post(&resume, &why).await.status, 303);
    world.work().await;
    operator.get(&format!("/accounts/{account}")).await.says("<span class=\"pill good\">active</span>");
}

#[tokio::test]
async fn stopping_by_hand_trips_on_every_node_at_once() {
    let world = World::new().await;
    let account = world.subaccount("customer").await.to_string();
    let owner = world.owner().await;
    let form = owner.get(&format!("/breakers/trip?limit=fifty+a+day&account={account}")).await;
    form.says("The account is suspended at Twilio");
    let fields = [("limit", "fifty a day"), ("account", account.as_str()), ("reason", "stolen key")];
    assert_eq!(owner.post("/breakers/trip", &fields).await.status, 303);
    world.work().await;
    let page = owner.get(&format!("/accounts/{account}")).await;
    page.says("stopped by an operator");
    page.says("<span class=\"pill bad\">suspended</span>");
    let together = [("limit", "all together"), ("reason", "everything")];
    let done = owner.post("/breakers/trip", &together).await;
    assert_eq!((done.status, done.header("location")), (303, "/?done=trip"));
}

#[tokio::test]
async fn a_token_is_revoked_and_the_session_that_leaves_is_over() {
    let world = World::new().await;
    let owner = world.owner().await;
    let by = Actor::CommandLine("ops".to_owned());
    let token = ringfence_store::NewToken {
        name: "dashboards".into(),
        scopes: vec!["read".into()],
        networks: vec![],
        expires_at: None,
    };
    let (token, secret) = world.store.create_token(&by, token, world.now()).await.unwrap();
    let listed = owner.get("/credentials").await;
    listed.says("dashboards");
    listed.does_not_say(secret.expose());
    let path = format!("/credentials/{}/revoke", token.id);
    assert_eq!(owner.post(&path, &[]).await.status, 422, "it wants a reason");
    let done = owner.post(&path, &[("reason", "it leaked")]).await;
    assert_eq!(done.header("location"), "/credentials?done=revoke");
    owner.get("/credentials").await.says("revoked 2026-03-01");
    assert_eq!(world.store.find_token(&secret, world.now()).await.unwrap(), None);

    let left = owner.post("/sign-out", &[]).await;
    assert_eq!((left.status, left.header("location")), (303, "/sign-in"));
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(owner.get("/").await.status, 303, "the token opens nothing any more");
}
