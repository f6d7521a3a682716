//! The engine on a real store, with a Twilio of our own: what is observed ends in what is so at Twilio, what is so can be
//! seen, and what is wanted can be asked for.

#[path = "engine/api.rs"]
mod api;
#[path = "engine/api_lists.rs"]
mod api_lists;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "world/database.rs"]
mod database;
#[path = "engine/incidents.rs"]
mod incidents;
#[path = "engine/ledger.rs"]
mod ledger;
#[path = "engine/left.rs"]
mod left;
#[path = "world/limits.rs"]
mod limits;
#[path = "engine/missing.rs"]
mod missing;
#[path = "engine/node.rs"]
mod node;
#[path = "engine/shape.rs"]
mod shape;
#[path = "engine/signs.rs"]
mod signs;
#[path = "engine/tallied.rs"]
mod tallied;
#[path = "engine/views.rs"]
mod views;
mod world;

use ringfence_breaker::{Action, Limit, Measure, Per, Reset, Scope, State, Subject, Threshold, Window};
use ringfence_control::decide::kind;
use ringfence_control::engine::{ActRefused, Triggers};
use ringfence_control::plan::Mark;
use ringfence_model::{Actor, Amount, Sid};
use ringfence_sandbox::Settings;
use ringfence_store::{BreakerChange, Step};
use ringfence_twilio::client::{NewUsageTrigger, TriggerFilter};
use ringfence_twilio::wire::AccountStatus;

use self::node::{Node, fifty_a_day};

#[tokio::test]
async fn an_account_below_its_limit_is_left_alone() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("quiet").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "49.99").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn a_trigger_that_speaks_of_anothers_account_trips_nothing() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (victim, _) = node.world.subaccount("victim").await;
    let (attacker, _) = node.world.subaccount("attacker").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(victim).await;
    node.fire(attacker, trigger, "1000", "a").await;
    assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 1);
    node.work().await;
    for account in [victim, attacker] {
        assert_eq!(node.world.status(account).await, AccountStatus::Active);
    }
    assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 0, "it is settled");
}

#[tokio::test]
async fn a_forged_amount_uses_up_no_more_than_the_triggers_value() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    node.fire(account, trigger, "100000", "a").await;
    node.engine.take_triggered().await.expect("taken");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    let (anna, subject) = (Actor::Person("anna".to_owned()), Subject::Account(account));
    node.engine.reset("fifty a day", subject, None, &anna, "it was forged").await.expect("a reset");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
    // What is really spent then trips it where a reset at the limit lets it trip.
    node.spend(account, "60").await;
    node.advance(60).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn a_trigger_that_says_it_fired_in_the_next_window_lifts_nothing_in_this_one() {
    let limit = Limit { reset: Reset::NextWindow, ..fifty_a_day(Per::Account, vec![Action::Suspend]) };
    let node = Node::start(vec![limit]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    node.spend(account, "60").await;
    node.advance(11 * 3_600 + 55 * 60).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    node.fire_on(account, trigger, "0", "a", Some("Mon, 02 Mar 2026 00:00:01 +0000")).await;
    node.engine.take_triggered().await.expect("taken");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn by_a_limit_that_accounts_have_together_a_trigger_of_one_has_only_its_records_read() {
    let node = Node::start(vec![fifty_a_day(Per::Together, vec![Action::Suspend])]).await;
    let (tenant, _) = node.world.subaccount("tenant").await;
    let (neighbour, _) = node.world.subaccount("neighbour").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger_of(tenant, "together").await;
    let fires = async |key: &str| {
        node.fire(tenant, trigger, "600", key).await;
        let taken = node.engine.take_triggered().await.expect("taken");
        assert!(taken.accounts.contains(&tenant));
        for account in taken.accounts {
            let account = node.store.find_account(account).await.expect("found").expect("it is known");
            node.engine.read_usage(&account, "confirm").await.expect("usage is read");
        }
        node.work().await;
        [node.world.status(tenant).await, node.world.status(neighbour).await]
    };
    assert_eq!(fires("a").await, [AccountStatus::Active, AccountStatus::Active], "it was forged");
    node.spend(tenant, "50").await;
    node.advance(3600).await;
    assert_eq!(
        fires("b").await,
        [AccountStatus::Suspended, AccountStatus::Suspended],
        "the records say that it is reached"
    );
}

#[tokio::test]
async fn nobody_is_held_to_a_limit_for_a_day_that_was_over_when_it_was_applied() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    for (key, fired, status) in [
        ("a", "Sat, 28 Feb 2026 23:59:59 +0000", AccountStatus::Active),
        ("b", "Sun, 01 Mar 2026 00:00:00 +0000", AccountStatus::Suspended),
    ] {
        node.fire_on(account, trigger, "1000", key, Some(fired)).await;
        assert_eq!(node.engine.take_triggered().await.expect("taken").settled, 1);
        node.work().await;
        assert_eq!(node.world.status(account).await, status, "{fired}");
    }
}

#[tokio::test]
async fn a_delivery_that_cannot_be_dealt_with_keeps_no_other_back() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (broken, _) = node.world.subaccount("broken").await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let change = BreakerChange {
        limit: "fifty a day".to_owned(),
        subject: broken.to_string(),
        version: 0,
        state: serde_json::json!("no state"),
        audit: None,
        seen: None,
    };
    let step = Step { changes: vec![change], ..Step::default() };
    let now = "2026-03-01T12:00:00Z".parse().expect("a time");
    node.store.step(&Actor::job("test"), step, now).await.expect("written");
    for (number, account) in [broken, account].into_iter().enumerate() {
        let trigger = node.add_trigger(account).await;
        node.fire(account, trigger, "50.01", &number.to_string()).await;
    }
    let taken = node.engine.take_triggered().await.expect("the store is there");
    assert_eq!((taken.settled, taken.failed.is_some()), (1, true));
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn a_trigger_that_fires_suspends_its_account_once_however_often_it_comes() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend, Action::Notify])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    for key in ["a", "a", "b"] {
        node.fire(account, trigger, "50.01", key).await;
        node.engine.take_triggered().await.expect("taken");
    }
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    let trips = node.audit_actions().await.iter().filter(|it| *it == "breaker.trip").count();
    assert_eq!(trips, 1);
}

#[tokio::test]
async fn what_subaccounts_use_does_not_trip_their_parents_limit_although_its_trigger_counts_it() {
    for per in [Per::Account, Per::Together] {
        let limit = Limit { scope: Scope::Parent, ..fifty_a_day(per, vec![Action::Notify]) };
        let node = Node::start(vec![limit]).await;
        assert!(Settings::default().trigger_includes_subaccounts, "as Twilio may");
        let parent = node.world.sandbox.account_sid();
        let (spender, _) = node.world.subaccount("spender").await;
        node.engine.synchronise_accounts().await.expect("synchronised");
        let triggers = Triggers {
            callback_url: "https://hooks.example.com/trigger".to_owned(),
            mark: Mark::new("test"),
        };
        let accounts = node.store.accounts().await.expect("accounts");
        let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        let by = Actor::job("triggers");
        node.engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied");
        let ours = node.store.triggers().await.expect("triggers").remove(0);
        let fires = async |key: &str, value: &str| {
            node.advance(3600).await;
            let at_twilio =
                node.world.parent.usage_triggers(parent).fetch(ours.sid).await.expect("the trigger");
            let current = at_twilio.current_value.expect("a value");
            assert_eq!(current.parse::<Amount>().ok(), value.parse().ok(), "{per:?}");
            node.fire(parent, ours.sid, &current, key).await;
            let taken = node.engine.take_triggered().await.expect("taken");
            assert_eq!((taken.settled, taken.accounts.contains(&parent)), (1, true));
            for account in taken.accounts {
                let account = node.store.find_account(account).await.expect("found").expect("it is known");
                node.engine.read_usage(&account, "confirm").await.expect("usage is read");
            }
            node.audit_actions().await.iter().filter(|it| *it == "breaker.trip").count()
        };
        node.spend(spender, "60").await;
        node.spend(parent, "49.99").await;
        assert_eq!(fires("a", "109.99").await, 0, "{per:?}: the parent itself is below its limit");
        node.spend(parent, "0.01").await;
        assert_eq!(fires("b", "110").await, 1, "{per:?}: the records say that it has reached it");
    }
}

#[tokio::test]
async fn the_poll_trips_what_no_webhook_told() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    let (neighbour, _) = node.world.subaccount("neighbour").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "50.01").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    assert_eq!(node.world.status(neighbour).await, AccountStatus::Active);
}

#[tokio::test]
async fn many_accounts_are_stopped_together_where_none_alone_is_over() {
    let node = Node::start(vec![fifty_a_day(Per::Together, vec![Action::Suspend])]).await;
    let (one, _) = node.world.subaccount("one").await;
    let (other, _) = node.world.subaccount("other").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(one, "25").await;
    node.spend(other, "25").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    for account in [one, other] {
        assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    }
}

#[tokio::test]
async fn what_accounts_may_use_together_from_now_on_counts_from_when_all_of_them_were_read() {
    let limit = Limit {
        window: Window::Alltime,
        at: Threshold::More(Amount::from_units(50)),
        ..fifty_a_day(Per::Together, vec![Action::Suspend])
    };
    let node = Node::start(vec![limit]).await;
    let mut accounts = Vec::new();
    for (name, before) in [("one", "100"), ("other", "200"), ("third", "0")] {
        let (account, _) = node.world.subaccount(name).await;
        node.spend(account, before).await;
        accounts.push(account);
    }
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.advance(3600).await;
    let baseline = async || {
        let breaker =
            node.store.find_breaker::<State>("fifty a day", "together").await.expect("the store is there");
        breaker.and_then(|breaker| breaker.state.baseline)
    };
    let read = async |account| {
        let account =
            node.store.find_account(account).await.expect("the store is there").expect("it is known");
        node.engine.read_usage(&account, "poll").await.expect("usage is read");
    };
    for account in &accounts[..2] {
        read(*account).await;
        read(*account).await;
        assert_eq!(baseline().await, None, "not all of them were read");
    }
    read(accounts[2]).await;
    assert_eq!(baseline().await, Some(Amount::from_units(300)));
    // 49.99 more, then a cent.
    node.spend(accounts[0], "30").await;
    node.spend(accounts[2], "19.99").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    assert_eq!(node.world.status(accounts[0]).await, AccountStatus::Active);
    node.spend(accounts[1], "0.01").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    for account in accounts {
        assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    }
}

#[tokio::test]
async fn an_account_that_never_used_any_of_it_keeps_no_sum_from_beginning() {
    // A category that is listed only for whoever has used it, unless it alone is asked for.
    let rare = "marketplace-mobile-commons-opt-out-classifier";
    let rarely = Limit {
        name: "rarely".to_owned(),
        category: rare.to_owned(),
        measure: Measure::Count,
        window: Window::Alltime,
        at: Threshold::More(Amount::from_units(5)),
        ..fifty_a_day(Per::Together, vec![Action::Suspend])
    };
    let money = Limit { window: Window::Alltime, ..fifty_a_day(Per::Account, vec![Action::Suspend]) };
    let node = Node::start(vec![rarely, money]).await;
    let (one, _) = node.world.subaccount("one").await;
    node.world.subaccount("other").await;
    let usage = format!(r#"{{"account": "{one}", "category": "{rare}", "count": 3, "price": "0.1"}}"#);
    node.world.control("POST", "usage", &usage).await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.advance(3600).await;
    node.poll().await;
    let breaker = node.store.find_breaker::<State>("rarely", "together").await.expect("the store is there");
    let baseline = breaker.and_then(|breaker| breaker.state.baseline);
    assert_eq!(baseline, Some(Amount::from_units(3)));
}

#[tokio::test]
async fn an_account_that_somebody_made_active_again_is_suspended_again_and_reported() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.spend(account, "60").await;
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), [], "nothing is wrong yet");
    node.world.parent.accounts().set_status(account, &AccountStatus::Active).await.expect("tampered");
    node.engine.synchronise_accounts().await.expect("synchronised");
    let waiting = node.store.waiting_effects(10).await.expect("effects");
    let mut kinds: Vec<_> = waiting.iter().map(|effect| effect.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [kind::NOTICE, kind::STATUS]);
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn what_somebody_else_had_suspended_before_a_trip_stays_so_after_the_reset_until_an_operator_resumes_it()
 {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("in arrears").await;
    node.spend(account, "60").await;
    node.world.parent.accounts().set_status(account, &AccountStatus::Suspended).await.expect("suspended");
    node.engine.synchronise_accounts().await.expect("synchronised");
    node.advance(3600).await;
    node.poll().await;
    node.work().await;
    let anna = Actor::CommandLine("anna".to_owned());
    let subject = Subject::Account(account);
    node.engine.reset("fifty a day", subject, None, &anna, "it was a mistake").await.expect("a reset");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended, "it is not ours to resume");
    node.engine.resume_account(account, &anna, "they have paid").await.expect("resumed");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn twilio_that_fails_is_asked_again_until_it_is_so() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let trigger = node.add_trigger(account).await;
    node.fire(account, trigger, "50", "a").await;
    node.engine.take_triggered().await.expect("taken");
    node.world.fault(r#"{"api": [{"method": "POST", "path": "/Accounts", "status": 503}]}"#).await;
    let worked = node.engine.work(&node.me, kind::STATUS, 10).await.expect("the store is there");
    assert_eq!((worked.done, worked.failed), (0, 1));
    node.world.control("DELETE", "faults", "").await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active, "it is not yet time");
    node.advance(60).await;
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
}

#[tokio::test]
async fn a_trigger_that_somebody_deleted_comes_back_and_is_reported_and_others_are_left_alone() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, client) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let by = Actor::job("triggers");
    let apply = || async {
        let accounts = node.store.accounts().await.expect("accounts");
        let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        assert!(planned.unread.is_empty());
        let applied = node.engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied");
        assert!(applied.failed.is_empty(), "{applied:?}");
        applied.changed
    };
    let there = || async {
        client.usage_triggers(account).list(&TriggerFilter::default()).all().await.expect("triggers")
    };
    let foreign = NewUsageTrigger {
        callback_url: "https://elsewhere.example.com/".to_owned(),
        trigger_value: "5".to_owned(),
        usage_category: "calls".to_owned(),
        callback_method: None,
        friendly_name: None,
        recurring: None,
        trigger_by: None,
    };
    client.usage_triggers(account).create(&foreign).await.expect("a trigger");
    assert_eq!((apply().await, apply().await), (1, 0));
    assert_eq!(there().await.len(), 2);
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), [], "nothing is wrong yet");
    let ours = there().await.into_iter().find(|it| it.usage_category == "totalprice").expect("ours");
    client.usage_triggers(account).delete(ours.sid.parse().expect("a SID")).await.expect("deleted");
    assert_eq!((apply().await, apply().await), (1, 0));
    assert_eq!(there().await.len(), 2);
    let waiting = node.store.waiting_effects(10).await.expect("effects");
    assert!(waiting.len() == 1 && waiting[0].key.starts_with("trigger-restored/"), "{waiting:?}");
}

#[tokio::test]
async fn an_act_without_a_reason_on_a_stranger_or_on_a_parent_is_refused() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let stranger = Sid::new(*b"AC", 99);
    let engine = &node.engine;
    let trip = async |limit, subject, reason| engine.trip(limit, subject, &by, reason).await.unwrap_err();
    assert!(matches!(trip("fifty", own, "x").await, ActRefused::NoLimit(_)));
    assert!(matches!(trip("fifty a day", own, " ").await, ActRefused::NoReason));
    let unknown = Subject::Account(stranger);
    assert!(matches!(trip("fifty a day", unknown, "x").await, ActRefused::NoAccount(_)));
    assert!(matches!(trip("fifty a day", Subject::Together, "x").await, ActRefused::OutOfScope { .. }));
    let parent = node.world.sandbox.account_sid();
    let refused = engine.suspend_account(parent, &by, "x").await.unwrap_err();
    assert!(matches!(refused, ActRefused::Parent(_)), "{refused}");
    let refused = engine.reset("fifty a day", own, None, &by, "x").await.unwrap_err();
    assert!(matches!(refused, ActRefused::NotTripped { .. }), "{refused}");
    assert_eq!(node.store.waiting_effects(10).await.expect("effects"), []);
}

#[tokio::test]
async fn a_limit_of_requests_is_tripped_by_hand_for_the_account_that_they_are_of() {
    let scope = Scope::Tenant("shop".to_owned());
    let node = Node::start(vec![Limit { scope, ..fifty_a_day(Per::Account, vec![Action::Notify]) }]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let tripped = node.engine.trip("fifty a day", own, &by, "its key leaked").await.expect("tripped");
    assert!(tripped.stops());
    let refused = node.engine.trip("fifty a day", Subject::Together, &by, "x").await.unwrap_err();
    assert!(matches!(refused, ActRefused::OutOfScope { .. }), "{refused}");
    let lifted = node.engine.reset("fifty a day", own, None, &by, "it has another").await.expect("lifted");
    assert!(!lifted.stops());
}

#[tokio::test]
async fn a_reset_lets_a_stated_amount_more_be_spent_and_then_it_trips_again() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("spender").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let spend = async |price: &str| {
        node.spend(account, price).await;
        node.advance(3600).await;
        node.poll().await;
        node.work().await;
        node.world.status(account).await
    };
    assert_eq!(spend("50").await, AccountStatus::Suspended);
    let refused = node.engine.resume_account(account, &by, "customer called").await.unwrap_err();
    assert!(matches!(refused, ActRefused::Held { .. }), "{refused}");
    node.engine.reset("fifty a day", own, None, &by, "customer called").await.expect("lifted");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
    assert_eq!(spend("4.99").await, AccountStatus::Active);
    assert_eq!(spend("0.01").await, AccountStatus::Suspended);
}

#[tokio::test]
async fn an_operators_hold_outlives_a_reset() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    let (account, _) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    node.engine.trip("fifty a day", own, &by, "leaked token").await.expect("tripped");
    node.engine.suspend_account(account, &by, "leaked token").await.expect("held");
    node.engine.reset("fifty a day", own, None, &by, "wrong alarm").await.expect("lifted");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Suspended);
    node.engine.resume_account(account, &by, "token rotated").await.expect("resumed");
    node.work().await;
    assert_eq!(node.world.status(account).await, AccountStatus::Active);
}

#[tokio::test]
async fn a_trigger_whose_row_was_lost_in_a_crash_is_taken_for_ours_again() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::Suspend])]).await;
    node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let triggers =
        Triggers { callback_url: "https://hooks.example.com/trigger".to_owned(), mark: Mark::new("test") };
    let by = Actor::job("triggers");
    let apply = async || {
        let accounts = node.store.accounts().await.expect("accounts");
        let planned = node.engine.plan_triggers(&triggers, &accounts).await.expect("planned");
        node.engine.apply_triggers(&triggers, &planned.plan, &by).await.expect("applied").changed
    };
    assert_eq!(apply().await, 1);
    let before = node.store.triggers().await.expect("triggers");
    node.store.remove_trigger(&by, before[0].sid, "as a crash does", node.now()).await.expect("removed");
    assert_eq!(apply().await, 0, "Twilio has it already");
    let after = node.store.triggers().await.expect("triggers");
    assert_eq!((after.len(), after[0].sid, &after[0].limit), (1, before[0].sid, &before[0].limit));
}

#[tokio::test]
async fn countries_that_were_closed_open_again_although_the_reset_finds_the_account_suspended() {
    let node = Node::start(vec![fifty_a_day(Per::Account, vec![Action::CloseGeo])]).await;
    let (account, client) = node.world.subaccount("one").await;
    node.engine.synchronise_accounts().await.expect("synchronised");
    let (by, own) = (Actor::CommandLine("ops".to_owned()), Subject::Account(account));
    let open = async || {
        let countries = client.sms_geo_permissions().list(&[]).await.expect("countries");
        countries.iter().filter(|country| country.enabled).count()
    };
    let before = open().await;
    assert!(before > 0);
    node.engine.trip("fifty a day", own, &by, "pumped").await.expect("tripped");
    node.work().await;
    assert_eq!(open().await, 0);
    node.engine.suspend_account(account, &by, "pumped").await.expect("held");
    node.work().await;
    node.engine.reset("fifty a day", own, None, &by, "mended").await.expect("lifted");
    node.work().await;
    let waiting = node.store.waiting_of_account(account).await.expect("effects");
    assert!(waiting.iter().any(|effect| effect.kind == kind::GEO), "it goes on being tried: {waiting:?}");
    node.engine.resume_account(account, &by, "mended").await.expect("resumed");
    node.work().await;
    node.advance(600).await;
    node.work().await;
    assert!(open().await > before / 2, "all but those that only the console opens");
}
