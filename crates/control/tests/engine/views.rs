//! What there is to see is what is so.

use jiff::ToSpan as _;
use ringfence_breaker::{Action, Limit, Per, Subject};
use ringfence_control::engine::Triggers;
use ringfence_control::plan::Mark;
use ringfence_control::views::{
    BreakerFilter, IncidentFilter, NotSeen, OrderState, Page, PhaseName, PlannedChange, Verdict, Views,
    WantedStatus,
};
use ringfence_model::{Actor, Sid};
use ringfence_store::NewEffect;
use ringfence_twilio::wire::AccountStatus;
use serde_json::{Value, json};

use crate::node::{Node, fifty_a_day};

const LIMIT: &str = "fifty a day";

fn watching(then: Vec<Action>) -> Limit {
    Limit { enforce: false, ..fifty_a_day(Per::Account, then) }
}

fn operator() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

/// An hour later everybody's usage is known.
async fn hour(node: &Node) {
    node.advance(3600).await;
    node.poll().await;
}

fn of(limit: &str) -> BreakerFilter {
    BreakerFilter { limit: Some(limit.to_owned()), ..BreakerFilter::default() }
}

fn page(cursor: Option<String>, size: usize) -> Page {
    Page { cursor, size }
}

#[tokio::test]
async fn what_nobody_knows_is_told_apart_from_an_empty_list() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let views = node.engine.views();
    let stranger = Sid::new(*b"AC", 99);
    let all = Page::default();
    assert!(matches!(views.breakers(&of("sixty"), &all).await, Err(NotSeen::NoLimit(_))));
    let filter = BreakerFilter { account: Some(stranger), ..BreakerFilter::default() };
    assert!(matches!(views.breakers(&filter, &all).await, Err(NotSeen::NoAccount(_))));
    assert!(matches!(views.account(stranger).await, Err(NotSeen::NoAccount(_))));
    assert!(matches!(views.report(Some("sixty"), true, None).await, Err(NotSeen::NoLimit(_))));
    for cursor in ["", "x", "AC/fifty a day", "together", "together/sixty"] {
        let page = page(Some(cursor.to_owned()), 10);
        let seen = views.breakers(&BreakerFilter::default(), &page).await;
        assert!(matches!(seen, Err(NotSeen::Cursor)), "{cursor}");
        assert!(matches!(views.audit(None, &page).await, Err(NotSeen::Cursor)), "{cursor}");
        assert!(matches!(views.accounts(&page).await, Err(NotSeen::Cursor)), "{cursor}");
    }
    assert_eq!(views.breakers(&of(LIMIT), &all).await.expect("seen").breakers, []);
}

#[tokio::test]
async fn a_breaker_that_nothing_moved_passes_and_has_seen_nothing() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("quiet").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let breakers = node.engine.views().breakers(&of(LIMIT), &Page::default()).await.expect("seen");
    assert_eq!(
        json!(breakers),
        json!({
            "breakers": [{
                "limit": LIMIT,
                "account": { "sid": account, "friendly_name": "quiet" },
                "prefix": null,
                "phase": "passing",
                "tripped": null,
                "probing": null,
                "used": "0",
                "trips_at": "50",
                "percent": 0,
                "currency": null,
                "window_start": "2026-03-01T00:00:00Z",
                "window_end": "2026-03-02T00:00:00Z",
                "changed_at": null,
            }],
            "next": null,
        })
    );
    let status = node.engine.views().status().await.expect("seen");
    assert!(status.is_quiet);
    assert_eq!((status.limits[0].passing, status.limits[0].unseen), (1, 1));
    assert_eq!((status.breakers.len(), status.nearest.len()), (0, 0));
}

#[tokio::test]
async fn without_an_egress_only_breakers_say_what_is_used_and_nothing_waits_for_figures() {
    let sum = Limit { name: "in all".to_owned(), ..fifty_a_day(Per::Together, vec![Action::Suspend]) };
    let node = Node::without_egress(vec![fifty_a_day(Per::Account, vec![Action::Suspend]), sum]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "20").await;
    hour(&node).await;
    let views = node.engine.views();
    let status = views.status().await.expect("seen");
    for limit in &status.limits {
        assert_eq!((limit.sums.len(), limit.left_out, limit.wait_for_figure), (0, 0, 0), "{limit:?}");
    }
    let used: Vec<_> = status.nearest.iter().map(|it| (it.limit.as_str(), it.used.as_str())).collect();
    assert_eq!(used, [(LIMIT, "20"), ("in all", "20")]);
    for account in [None, Some(account)] {
        assert_eq!(views.ledger(account, true).await.expect("seen").sums, [], "{account:?}");
    }
}

#[tokio::test]
async fn a_trip_and_its_reset_are_seen_with_what_led_to_them_and_what_is_allowed() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "61.25").await;
    hour(&node).await;
    let tripped_at = node.now();
    node.advance(60).await;
    let seen = async || {
        let breakers = node.engine.views().breakers(&of(LIMIT), &Page::default()).await.expect("seen");
        json!(breakers.breakers[0])
    };
    let tripped = seen().await;
    assert_eq!((&tripped["phase"], &tripped["percent"]), (&json!("tripped"), &json!(122)));
    assert_eq!((&tripped["used"], &tripped["currency"]), (&json!("61.25"), &json!("USD")));
    assert_eq!(
        tripped["tripped"],
        json!({
            "since": tripped_at,
            "enforced": true,
            "by_operator": false,
            "over_in": "2026-03-01T00:00:00Z",
            "over_by_use_of": "61.25",
            "over_by_request_of": null,
            "share": null,
        })
    );
    // The next day does not lift it, and has used nothing.
    node.advance(24 * 3600).await;
    let next_day = seen().await;
    assert_eq!((&next_day["phase"], &next_day["used"]), (&json!("tripped"), &json!("0")));
    assert_eq!(next_day["window_start"], json!("2026-03-02T00:00:00Z"));

    let reset_at = node.now();
    node.engine.reset(LIMIT, Subject::Account(account), None, &operator(), "called").await.expect("lifted");
    let probing = seen().await;
    assert_eq!((&probing["phase"], &probing["tripped"]), (&json!("probing"), &Value::Null));
    assert_eq!(probing["probing"], json!({ "since": reset_at, "base": "0", "allowed_more": "50" }));
    assert_eq!(probing["trips_at"], json!("50"));
    // What was allowed was allowed for that day.
    node.advance(24 * 3600).await;
    assert_eq!(seen().await["phase"], json!("passing"));
}

#[tokio::test]
async fn status_shows_what_is_not_passing_and_then_what_is_nearest() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let mut accounts = Vec::new();
    for number in 0..14 {
        accounts.push(node.world.subaccount(&format!("customer-{number}")).await.0);
    }
    node.engine.synchronise_accounts().await.expect("synchronised");
    for (number, account) in accounts.iter().enumerate().skip(1) {
        node.spend(*account, &format!("{}", number * 4)).await;
    }
    hour(&node).await;
    let status = node.engine.views().status().await.expect("seen");
    let percents = |breakers: &[ringfence_control::views::BreakerView]| -> Vec<_> {
        breakers.iter().filter_map(|breaker| breaker.percent).collect()
    };
    assert_eq!(percents(&status.breakers), [104], "4 × 13 of 50");
    assert_eq!(percents(&status.nearest), [96, 88, 80, 72, 64, 56, 48, 40, 32, 24]);
    let limit = &status.limits[0];
    assert_eq!((limit.tripped, limit.probing, limit.passing, limit.unseen), (1, 0, 13, 1));
    assert!(!status.is_quiet);
    // The suspension of one, and the warnings of three.
    assert_eq!((status.orders.waiting, status.orders.failing), (4, 0));
    assert_eq!(status.accounts.known, 15);
}

#[tokio::test]
async fn pages_hold_every_breaker_once() {
    let yearly = Limit { name: "a/b of c".to_owned(), ..fifty_a_day(Per::Together, vec![Action::Notify]) };
    let limits = vec![fifty_a_day(Per::Account, vec![Action::Suspend]), yearly];
    let node = Node::start(limits).await;
    for number in 0..7 {
        node.world.subaccount(&format!("customer-{number}")).await;
    }
    node.engine.synchronise_accounts().await.expect("synchronised");
    let views = node.engine.views();
    let all = views.breakers(&BreakerFilter::default(), &Page::all()).await.expect("seen");
    assert_eq!((all.breakers.len(), &all.next), (8, &None));
    for size in [1, 3, 7, 8, 9] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = page(cursor, size);
            let part = views.breakers(&BreakerFilter::default(), &page).await.expect("seen");
            assert!(part.breakers.len() <= size);
            found.extend(part.breakers);
            cursor = part.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, all.breakers, "{size}");
    }
    let accounts = views.accounts(&page(None, 5)).await.expect("seen");
    let rest = views.accounts(&page(accounts.next, 5)).await.expect("seen");
    assert_eq!((accounts.accounts.len(), rest.accounts.len(), rest.next), (5, 3, None));
    let rows = views.audit(None, &page(None, 5)).await.expect("seen");
    let older = views.audit(None, &page(rows.next.clone(), 5)).await.expect("seen");
    assert!(rows.rows[4].id > older.rows[0].id && rows.next == Some(rows.rows[4].id.to_string()));
}

#[tokio::test]
async fn a_filter_leaves_only_what_concerns_the_account_alone_or_with_others() {
    let together = Limit { name: "all".to_owned(), ..fifty_a_day(Per::Together, vec![Action::Suspend]) };
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend]), together]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.world.subaccount("other").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.engine.trip(LIMIT, Subject::Account(account), &operator(), "leak").await.expect("tripped");
    let views = node.engine.views();
    let found = async |filter: &BreakerFilter| -> Vec<(String, Option<Sid>)> {
        let breakers = views.breakers(filter, &Page::default()).await.expect("seen").breakers;
        breakers.into_iter().map(|it| (it.limit, it.account.map(|account| account.sid))).collect()
    };
    let own = (LIMIT.to_owned(), Some(account));
    let mut filter = BreakerFilter { account: Some(account), ..BreakerFilter::default() };
    assert_eq!(found(&filter).await, [own.clone(), ("all".to_owned(), None)]);
    filter.phase = Some(PhaseName::Tripped);
    assert_eq!(found(&filter).await, [own]);
    let parent = node.world.sandbox.account_sid();
    let filter = BreakerFilter { account: Some(parent), ..BreakerFilter::default() };
    assert_eq!(found(&filter).await, []);
}

#[tokio::test]
async fn an_account_shows_what_it_is_and_what_it_is_to_be_and_why() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let seen = async || node.engine.views().account(account).await.expect("seen");
    let before = seen().await;
    assert_eq!((before.status.as_str(), before.wanted, before.is_as_wanted), ("active", None, true));

    node.engine.trip(LIMIT, Subject::Account(account), &operator(), "leak").await.expect("tripped");
    let ordered = seen().await;
    assert_eq!((ordered.wanted, ordered.is_as_wanted), (Some(WantedStatus::Suspended), false));
    let why = ordered.why.expect("there is a reason");
    assert_eq!((why.limits.as_slice(), why.by_operator), ([LIMIT.to_owned()].as_slice(), false));
    let status = node.engine.views().status().await.expect("seen");
    assert_eq!(status.accounts.not_as_wanted.len(), 1);

    node.engine.suspend_account(account, &operator(), "until the token is new").await.expect("held");
    node.work().await;
    let held = seen().await;
    assert_eq!((held.status.as_str(), held.is_as_wanted), ("suspended", true));
    let why = held.why.expect("there is a reason");
    assert_eq!((why.limits.len(), why.reason.as_deref()), (1, Some("until the token is new")));
    assert_eq!(node.engine.views().status().await.expect("seen").accounts.not_as_wanted, []);
}

#[tokio::test]
async fn an_order_that_fails_says_why_and_when_it_is_tried_again() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#).await;
    node.engine.suspend_account(account, &operator(), "leak").await.expect("held");
    let orders = async || node.engine.views().orders(10).await.expect("seen");
    let waiting = orders().await;
    assert_eq!((waiting.waiting, waiting.orders[0].state), (1, OrderState::Waiting));
    node.work().await;
    let failing = orders().await;
    assert_eq!((failing.waiting, failing.failing, failing.given_up, failing.left_out), (1, 1, 0, 0));
    let order = &failing.orders[0];
    assert_eq!((order.state, order.attempts, order.kind.as_str()), (OrderState::Failing, 1, "status"));
    assert_eq!(order.account.as_ref().map(|account| account.sid), Some(account));
    assert!(order.last_error.as_deref().is_some_and(|error| error.contains("503")), "{order:?}");
    assert!(order.next_try > Some(node.now()));
    assert!(!node.engine.views().status().await.expect("seen").is_quiet);
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn what_was_given_up_wants_a_person_for_a_day_and_a_code_never_does() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let give_up = async |kind: &str| {
        let key = format!("{kind}/one");
        let effect = NewEffect { kind: kind.to_owned(), key, payload: json!({}), not_before: None };
        node.store.add_effect(&operator(), effect, node.now()).await.expect("added");
        let until = node.now() + 1.minute();
        let claim = node.store.claim_effects(&node.me, kind, 1, until, node.now()).await.expect("claimed");
        node.store.fail_effect(&operator(), &claim[0], "550", None, node.now()).await.expect("given up");
    };
    let seen = async || {
        let status = node.engine.views().status().await.expect("seen");
        (status.is_quiet, status.orders.given_up, status.orders.orders.len())
    };
    // Twilio takes no such number.
    give_up("code").await;
    assert_eq!(seen().await, (true, 0, 0));
    // A mailbox is no more.
    give_up("delivery").await;
    assert_eq!(seen().await, (false, 1, 1));
    node.advance(24 * 3600 - 1).await;
    assert_eq!(seen().await, (false, 1, 1));
    node.advance(2).await;
    assert_eq!(seen().await, (true, 0, 0));
    // Whoever goes through the list still finds both.
    assert_eq!(node.engine.views().order_list(&page(None, 9)).await.expect("seen").orders.len(), 2);
}

#[tokio::test]
async fn a_node_whose_limits_differ_is_seen() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let nodes = node.engine.views().nodes().await.expect("seen");
    assert_eq!((nodes.nodes[0].name.as_str(), nodes.limits_agree), ("one", true));
    node.store.join("two", "another", node.now()).await.expect("a life");
    let nodes = node.engine.views().nodes().await.expect("seen");
    assert_eq!((nodes.nodes.len(), nodes.limits_agree), (2, false));
    assert!(!node.engine.views().status().await.expect("seen").is_quiet);
}

#[tokio::test]
async fn a_status_says_how_far_the_log_is_sealed() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let audit = async || node.engine.views().status().await.expect("seen").audit;
    let before = audit().await;
    assert!(before.sealed.is_none() && before.unsealed_rows > 0, "{before:?}");
    node.store.seal_audit(node.now()).await.expect("sealed");
    let after = audit().await;
    assert_eq!((after.sealed.map(|it| it.at), after.unsealed_rows), (Some(node.now()), 0));
}

#[tokio::test]
async fn a_limit_that_only_watches_is_safe_once_a_whole_window_was_quiet() {
    let node = Node::start(vec![watching(vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let report = async || node.engine.views().report(None, false, None).await.expect("seen").limits.remove(0);
    let unseen = report().await;
    assert_eq!(unseen.verdict, Verdict::TooEarly);
    assert!(unseen.summary.contains("nothing was seen"), "{}", unseen.summary);
    node.spend(account, "41").await;
    hour(&node).await;
    let early = report().await;
    assert_eq!((early.verdict, early.warnings.len()), (Verdict::TooEarly, 1));
    assert_eq!((early.warnings[0].level, early.warnings[0].used.as_str()), (80, "41"));
    node.advance(2 * 24 * 3600).await;
    let safe = report().await;
    assert_eq!(safe.verdict, Verdict::SafeToEnforce);
    assert_eq!(safe.summary, "safe to enforce: nothing would have been stopped since 2026-03-01");
}

#[tokio::test]
async fn a_limit_that_only_watches_tells_whom_it_would_have_stopped_and_how_far_above() {
    let node = Node::start(vec![watching(vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    let (other, _) = node.world.subaccount("other").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    for price in ["50", "25.5", "0"] {
        node.spend(account, price).await;
        hour(&node).await;
    }
    // What an operator stops says nothing about the limit.
    node.engine.trip(LIMIT, Subject::Account(other), &operator(), "leak").await.expect("tripped");
    let report = node.engine.views().report(None, false, None).await.expect("seen");
    let limit = &report.limits[0];
    assert_eq!((limit.verdict, limit.accounts, limit.trips.len()), (Verdict::WouldHaveStopped, 1, 1));
    let trip = &limit.trips[0];
    assert_eq!((trip.used.as_str(), trip.above.as_str(), trip.percent), ("75.5", "25.5", Some(151)));
    assert!(!trip.enforced);
    assert!(limit.summary.contains("once for 1 account"), "{}", limit.summary);
    assert!(limit.summary.contains("(spender) with 75.50 USD"), "{}", limit.summary);
    let later = node.now().checked_add(1.hours()).expect("a time");
    let later = node.engine.views().report(None, false, Some(later)).await.expect("seen");
    assert_eq!(later.limits[0].trips, []);
}

#[tokio::test]
async fn a_report_is_of_limits_that_watch_and_of_others_only_if_asked() {
    let acts = fifty_a_day(Per::Account, vec![Action::Suspend]);
    let node = Node::start(vec![acts, Limit { name: "watch".to_owned(), ..watching(vec![]) }]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "50").await;
    hour(&node).await;
    let views = node.engine.views();
    let names = async |limit, all| -> Vec<(String, Verdict)> {
        let report = views.report(limit, all, None).await.expect("seen");
        report.limits.into_iter().map(|it| (it.limit, it.verdict)).collect()
    };
    let watch = ("watch".to_owned(), Verdict::WouldHaveStopped);
    let acts = (LIMIT.to_owned(), Verdict::Stopped);
    assert_eq!(names(None, false).await, std::slice::from_ref(&watch));
    assert_eq!(names(None, true).await, [acts.clone(), watch]);
    assert_eq!(names(Some(LIMIT), false).await, [acts]);
}

#[tokio::test]
async fn a_plan_says_what_would_change_and_for_which_limit() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let accounts = node.store.accounts().await.expect("accounts");
    let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
    let plan = node.engine.views().plan(&planned).await.expect("seen");
    assert_eq!((plan.changes.len(), plan.kept, plan.foreign, plan.unread.len()), (1, 0, 0, 0));
    let change = &plan.changes[0];
    assert_eq!((change.change, change.account.sid), (PlannedChange::Create, account));
    assert_eq!(
        (change.value.as_deref(), change.trigger_by.as_deref(), change.recurring.as_deref()),
        (Some("50"), Some("price"), Some("daily"))
    );
}

#[tokio::test]
async fn no_view_shows_a_token() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.engine.trip(LIMIT, Subject::Account(account), &operator(), "leak").await.expect("tripped");
    let views = Views::new(&node.store, node.engine.limits(), node.now());
    let page = Page::all();
    let everything = json!([
        views.status().await.expect("seen"),
        views.accounts(&page).await.expect("seen"),
        views.breakers(&BreakerFilter::default(), &page).await.expect("seen"),
        views.audit(None, &Page { size: 1000, ..page }).await.expect("seen"),
        views.limits(),
    ])
    .to_string();
    for known in node.store.accounts().await.expect("accounts") {
        let token = known.auth_token.expect("the list gives tokens");
        assert!(!everything.contains(token.expose()));
    }
    assert!(everything.contains(&account.to_string()));
}

#[tokio::test]
async fn amounts_have_their_currency_for_whoever_looks_and_not_only_for_the_node_that_read_them() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "61").await;
    hour(&node).await;
    let elsewhere = Views::new(&node.store, node.engine.limits(), node.now());
    let currency = |currency: &Option<String>| currency.as_deref() == Some("USD");
    assert!(elsewhere.status().await.expect("seen").breakers.iter().all(|it| currency(&it.currency)));
    let incidents =
        elsewhere.incidents(&IncidentFilter::default(), &Page::all()).await.expect("seen").incidents;
    assert!(incidents.len() == 1 && currency(&incidents[0].currency), "{incidents:?}");
    assert_eq!(node.store.currencies().await.expect("kept").get(&account).map(String::as_str), Some("USD"));
}
