//! Incidents: what fired, one row for each time, as the store remembers it.

use jiff::{SignedDuration, Timestamp};
use ringfence_breaker::{Action, Limit, Per, Reset, Subject, Window};
use ringfence_control::views::{Fired, IncidentFilter, IncidentKind, IncidentView, Page};
use ringfence_model::{Actor, Amount, Sid};
use ringfence_store::{Admission, NotAdmitted};

use crate::database::{Database, on_both};
use crate::ledger::{Money, TO};
use crate::node::{Node, fifty_a_day};

on_both! {
    a_trip_is_one_incident_with_its_warning_its_orders_and_its_end => trip,
    what_a_limit_refused_stands_beside_its_trip_and_else_by_the_day => refused,
}

fn ops() -> Actor {
    Actor::CommandLine("ops".to_owned())
}

impl Node {
    async fn incidents(&self, filter: &IncidentFilter) -> Vec<IncidentView> {
        let all = self.engine.views().incidents(filter, &Page::all()).await.expect("they are read").incidents;
        for it in &all {
            let one = self.engine.views().incident(&it.id).await.expect("it is read");
            assert_eq!(one.as_ref(), Some(it), "it is found by its id");
        }
        all
    }

    async fn all(&self) -> Vec<IncidentView> {
        self.incidents(&IncidentFilter::default()).await
    }
}

async fn trip(open: impl Fn() -> Database) {
    let node = Node::on(open(), vec![fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify])]).await;
    let (account, _) = node.world.subaccount("shop").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    assert_eq!(node.all().await, []);
    node.spend(account, "41").await;
    node.advance(120).await;
    node.poll().await;
    let warned = node.all().await;
    assert_eq!((warned.len(), warned[0].kind, warned[0].level), (1, IncidentKind::Warned, Some(80)));
    assert_eq!((warned[0].used.as_deref(), warned[0].open, warned[0].ended_at), (Some("41"), false, None));

    node.spend(account, "19.5").await;
    node.advance(120).await;
    node.poll().await;
    node.work().await;
    let tripped = node.all().await;
    assert_eq!(tripped.len(), 1, "the warning belongs to it: {tripped:#?}");
    let it = &tripped[0];
    assert_eq!((it.kind, it.open, it.fired), (IncidentKind::Tripped, true, Fired::UsageRecords));
    assert_eq!((it.used.as_deref(), it.trips_at.as_deref()), (Some("60.5"), Some("50")));
    assert_eq!(it.account.as_ref().map(|it| (it.sid, it.friendly_name.as_str())), Some((account, "shop")));
    assert_eq!(it.warned_at, Some(warned[0].began_at));
    assert_eq!(it.ordered, [Action::Suspend, Action::Notify]);
    let by_warning = node.engine.views().incident(&warned[0].id).await.expect("it is read");
    assert_eq!(by_warning.as_ref(), Some(it), "a link to the warning leads to what it came to");

    node.advance(600).await;
    let subject = Subject::Account(account);
    node.engine.reset("fifty a day", subject, None, &ops(), "it was a sale").await.expect("reset");
    node.work().await;
    let over = node.all().await;
    let it = &over[0];
    assert_eq!((over.len(), it.open, it.ended_at), (1, false, Some(node.now())));
    assert_eq!(it.ended_reason.as_deref(), Some("it was a sale"));
    assert_eq!(
        it.ended_by.as_ref().map(|by| (by.kind.as_str(), by.name.as_str())),
        Some(("command-line", "ops"))
    );
    assert_eq!(it.allowed_more.as_deref(), Some("5"));
    let until = Some(it.began_at + SignedDuration::from_secs(1));
    let earlier = node.incidents(&IncidentFilter { until, ..IncidentFilter::default() }).await;
    assert_eq!(earlier, over, "it is over, though what ended it is not looked at");
    let timeline = node.engine.views().timeline(it).await.expect("it is read");
    let actions: Vec<&str> = timeline.iter().map(|row| row.action.as_str()).collect();
    assert_eq!((actions.first(), actions.last()), (Some(&"breaker.trip"), Some(&"breaker.reset")));
    assert!(actions.contains(&"effect.done"), "the suspension was carried out: {actions:?}");
    assert!(actions.contains(&"account.status"), "and seen at Twilio: {actions:?}");
}

async fn refused(open: impl Fn() -> Database) {
    let money = Money::on(open(), fifty_a_day(Per::Account, vec![Action::Suspend])).await;
    money.node.poll().await;
    drop(money.admitted("10", TO).await);
    // While something else is open, it is refused and nothing trips.
    assert!(matches!(money.admit("45", TO).await, Admission::Refused(NotAdmitted::Limit { .. })));
    let it = &money.node.all().await[0];
    assert_eq!((it.kind, it.open, it.refused), (IncidentKind::Refused, true, 1));
    assert_eq!((it.refused_worth.as_str(), it.operations.len()), ("45", 1));
    assert_eq!(
        (it.operations[0].operation.as_str(), it.account.as_ref().map(|it| it.sid)),
        ("messages.create", Some(money.account))
    );

    // Now it trips, and what is refused by that stands beside it.
    money.admit("60", TO).await;
    money.node.engine.take_triggered().await.expect("taken");
    money.admit("1", TO).await;
    let all = money.node.all().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    let it = &all[0];
    assert_eq!((it.kind, it.fired, it.refused), (IncidentKind::Tripped, Fired::Request, 3));
    assert_eq!((it.refused_worth.as_str(), it.wanted.as_deref()), ("106", Some("60")));
    assert_eq!((it.used.as_deref(), it.reserved.as_deref()), (Some("0"), Some("10")));
}

#[tokio::test]
async fn what_only_watches_would_have_been_an_incident() {
    let limit = Limit { enforce: false, ..fifty_a_day(Per::Account, vec![Action::Suspend]) };
    let money = Money::with(limit).await;
    money.node.poll().await;
    drop(money.admitted("51", TO).await);
    let it = &money.node.all().await[0];
    assert_eq!((it.kind, it.refused, it.would_refuse), (IncidentKind::WouldHaveRefused, 0, 1));
    assert_eq!(it.would_refuse_worth, "51");
    // Days that are over are over.
    money.node.advance(24 * 3_600).await;
    let it = &money.node.all().await[0];
    assert_eq!((it.open, it.ended_at), (false, Timestamp::from_second(1_772_409_600).ok()));
    money.node.spend(money.account, "70").await;
    money.node.advance(120).await;
    money.node.poll().await;
    let all = money.node.all().await;
    assert_eq!((all.len(), all[0].kind, all[0].open), (2, IncidentKind::WouldHaveTripped, true));
    assert_eq!(all[0].ordered, [], "nothing was ordered");
}

#[tokio::test]
async fn what_operators_stop_is_told_with_who_and_why() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("shop").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let subject = Subject::Account(account);
    node.engine.trip("fifty a day", subject, &ops(), "a leak").await.expect("stopped");
    node.advance(60).await;
    node.engine.suspend_account(account, &ops(), "a thief").await.expect("suspended");
    let all = node.all().await;
    let told = |it: &IncidentView| (it.kind, it.open, it.reason.clone().unwrap_or_default());
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [
            (IncidentKind::SuspendedByHand, true, "a thief".to_owned()),
            (IncidentKind::StoppedByHand, true, "a leak".to_owned())
        ]
    );
    node.advance(60).await;
    node.engine.reset("fifty a day", subject, None, &ops(), "closed").await.expect("reset");
    node.engine.resume_account(account, &ops(), "caught").await.expect("resumed");
    let all = node.all().await;
    assert!(all.iter().all(|it| !it.open && it.ended_at == Some(node.now())), "{all:#?}");
    assert_eq!(all[0].ended_reason.as_deref(), Some("caught"));
}

#[tokio::test]
async fn what_goes_on_is_told_however_long_ago_it_began() {
    let limit = Limit { reset: Reset::NextWindow, ..fifty_a_day(Per::Account, vec![Action::Notify]) };
    let other = Limit {
        name: "a month".to_owned(),
        window: Window::Monthly,
        ..fifty_a_day(Per::Account, vec![Action::Suspend])
    };
    let node = Node::start(vec![limit, other]).await;
    let (account, _) = node.world.subaccount("shop").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "60").await;
    node.advance(120).await;
    node.poll().await;
    assert_eq!(node.all().await.len(), 2);
    node.advance(24 * 3_600).await;
    node.engine.tick().await.expect("the store is there");
    let day = SignedDuration::from_hours(24);
    let of = |since| IncidentFilter { since: Some(since), ..IncidentFilter::default() };
    let seen = node.incidents(&of(node.now() - SignedDuration::from_mins(10))).await;
    let names: Vec<_> = seen.iter().map(|it| (it.limit.clone().unwrap_or_default(), it.open)).collect();
    assert_eq!(
        names,
        [("a month".to_owned(), true), ("fifty a day".to_owned(), false)],
        "one goes on, and the window ended the other a moment ago"
    );
    node.advance(3_600).await;
    let seen = node.incidents(&of(node.now() - SignedDuration::from_mins(10))).await;
    assert_eq!(seen.iter().map(|it| it.limit.as_deref()).collect::<Vec<_>>(), [Some("a month")]);
    assert_eq!(node.incidents(&of(node.now() - day - day)).await.len(), 2);
}

#[tokio::test]
async fn incidents_are_found_by_account_limit_and_kind_and_come_in_pages() {
    let node = Node::start(vec![
        fifty_a_day(Per::Account, vec![Action::Notify]),
        Limit {
            name: "all".to_owned(),
            at: ringfence_breaker::Threshold::At(Amount::from_units(100)),
            warn: vec![],
            ..fifty_a_day(Per::Together, vec![Action::Notify])
        },
    ])
    .await;
    let mut accounts: Vec<Sid> = Vec::new();
    for name in ["one", "two", "three"] {
        accounts.push(node.world.subaccount(name).await.0);
    }
    node.engine.synchronise_accounts().await.expect("synchronised");
    for (account, price) in accounts.iter().zip(["60", "70", "45"]) {
        node.spend(*account, price).await;
    }
    node.advance(120).await;
    node.poll().await;
    let all = node.all().await;
    let kinds = |kind| all.iter().filter(|it| it.kind == kind).count();
    assert_eq!((kinds(IncidentKind::Tripped), kinds(IncidentKind::Warned)), (3, 1), "{all:#?}");

    let filter = IncidentFilter::default();
    let of_one = IncidentFilter { account: Some(accounts[0]), ..filter.clone() };
    assert_eq!(node.incidents(&of_one).await.len(), 2, "its own, and that of all together");
    assert_eq!(node.incidents(&IncidentFilter { alone: true, ..of_one }).await.len(), 1);
    assert_eq!(
        node.incidents(&IncidentFilter { limit: Some("all".to_owned()), ..filter.clone() }).await.len(),
        1
    );
    let kind = Some(IncidentKind::Warned);
    assert_eq!(node.incidents(&IncidentFilter { kind, ..filter.clone() }).await.len(), 1);
    assert_eq!(node.incidents(&IncidentFilter { open: true, ..filter.clone() }).await.len(), 3);
    let until = Some(all.iter().map(|it| it.began_at).min().expect("some"));
    assert_eq!(node.incidents(&IncidentFilter { until, ..filter.clone() }).await, []);

    let (mut page, mut seen) = (Page { cursor: None, size: 1 }, Vec::new());
    loop {
        let found = node.engine.views().incidents(&filter, &page).await.expect("a page");
        seen.extend(found.incidents);
        let Some(next) = found.next else { break };
        page.cursor = Some(next);
    }
    assert_eq!(seen, all);
    let wrong = Page { cursor: Some("nonsense".to_owned()), size: 1 };
    assert!(node.engine.views().incidents(&filter, &wrong).await.is_err());
    for id in ["0", "99999", "nonsense", "-1", "1-2-3"] {
        assert_eq!(node.engine.views().incident(id).await.expect("asked"), None, "{id}");
    }
}
