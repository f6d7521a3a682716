use ringfence_breaker::{Measure, Per, Probe, Reset, Scope, Threshold, Window};

use super::*;

fn limit(then: Vec<Action>) -> Limit {
    Limit {
        name: "fifty a day".to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![80],
        then,
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

fn now() -> Timestamp {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

fn account(number: u128) -> Account {
    Account { sid: Sid::new(*b"AC", number), name: format!("customer {number}") }
}

/// One breaker, kept as the store keeps it.
struct Desk {
    limit: Limit,
    accounts: Vec<Account>,
    subject: Subject,
    kept: Option<Breaker<State>>,
}

impl Desk {
    fn new(then: Vec<Action>) -> Self {
        let accounts = vec![account(1)];
        let subject = Subject::Account(accounts[0].sid);
        Self { limit: limit(then), accounts, subject, kept: None }
    }

    fn decide(&mut self, observation: Observation, reason: Option<&str>) -> Option<Step> {
        let watched =
            Watched { limit: &self.limit, subject: self.subject, accounts: &self.accounts, unit: "USD" };
        let actor = Actor::job("test");
        let by = By { actor: &actor, reason };
        let step = decide(&watched, self.kept.as_ref(), &observation, &by, None, now())?;
        for change in &step.changes {
            assert_eq!(change.version, self.kept.as_ref().map_or(0, |kept| kept.version));
            self.kept = Some(Breaker {
                limit: change.limit.clone(),
                subject: change.subject.clone(),
                state: serde_json::from_value(change.state.clone()).expect("a state"),
                version: change.version + 1,
                changed_at: now(),
            });
        }
        Some(step)
    }

    fn used(&mut self, units: i64) -> Option<Step> {
        self.decide(Observation::Usage { at: now(), amount: Amount::from_units(units) }, None)
    }
}

fn kinds(step: &Step) -> Vec<&str> {
    step.effects.iter().map(|effect| effect.kind.as_str()).collect()
}

fn action(step: &Step) -> Option<&str> {
    step.changes[0].audit.as_ref().map(|audit| audit.action.as_str())
}

#[test]
fn what_changes_nothing_is_not_written_unless_it_settles_a_webhook() {
    let mut desk = Desk::new(vec![Action::Suspend]);
    let step = desk.used(10).expect("the first look");
    assert_eq!((kinds(&step), action(&step)), (vec![], None));
    assert_eq!(desk.used(10), None);
    assert_eq!(desk.used(9), None);
    let watched =
        Watched { limit: &desk.limit, subject: desk.subject, accounts: &desk.accounts, unit: "USD" };
    let actor = Actor::job("test");
    let by = By { actor: &actor, reason: None };
    let again = Observation::Usage { at: now(), amount: Amount::from_units(10) };
    let step = decide(&watched, desk.kept.as_ref(), &again, &by, Some("token"), now()).expect("it settles");
    assert_eq!(step, Step { observation: Some("token".to_owned()), ..Step::default() });
}

#[test]
fn a_trip_is_one_step_with_its_orders_its_notice_and_its_audit_row() {
    let mut desk = Desk::new(vec![
        Action::Notify,
        Action::EndCalls,
        Action::Suspend,
        Action::CancelQueued,
        Action::CloseGeo,
        Action::RevokeKeys,
    ]);
    let step = desk.used(60).expect("it trips");
    let wanted =
        [kind::STATUS, kind::END_CALLS, kind::CANCEL_QUEUED, kind::GEO, kind::REVOKE_KEYS, kind::NOTICE];
    assert_eq!((kinds(&step), action(&step)), (wanted.to_vec(), Some("breaker.trip")));
    let order: Order = serde_json::from_value(step.effects[0].payload.clone()).expect("an order");
    assert_eq!((order.account, order.action), (account(1), Action::Suspend));
    assert_eq!(desk.used(70).map(|step| kinds(&step).len()), Some(0));
}

#[test]
fn a_reset_undoes_what_can_be_undone_and_has_the_operators_reason() {
    let mut desk = Desk::new(vec![Action::Suspend, Action::EndCalls, Action::CloseGeo, Action::Notify]);
    desk.used(60);
    let step = desk.decide(Observation::Reset { allow: None }, Some("it was a test")).expect("it is lifted");
    assert_eq!(
        (kinds(&step), action(&step)),
        (vec![kind::STATUS, kind::GEO, kind::NOTICE], Some("breaker.reset"))
    );
    let notice: Notice = serde_json::from_value(step.effects[2].payload.clone()).expect("a notice");
    let Event::Reset { operator, allowed, .. } = notice.event else { panic!("{notice:?}") };
    assert_eq!(operator.reason, "it was a test");
    assert_eq!(allowed.map(|it| it.amount), Some(Amount::from_units(5)));
    // The same order again later is another one.
    let again = desk.used(65).expect("it trips again");
    assert_ne!(again.effects[0].key, step.effects[0].key);
}

#[test]
fn a_limit_for_all_together_orders_for_each_account_and_tells_once() {
    let mut desk = Desk::new(vec![Action::Suspend, Action::Notify]);
    desk.accounts.push(account(2));
    desk.subject = Subject::Together;
    let step = desk.used(60).expect("it trips");
    assert_eq!(kinds(&step), [kind::STATUS, kind::STATUS, kind::NOTICE]);
    let keys: std::collections::HashSet<_> = step.effects.iter().map(|effect| &effect.key).collect();
    assert_eq!(keys.len(), 3);
}

#[test]
fn a_warning_is_told_and_what_only_watches_says_what_it_would_have_done() {
    let mut desk = Desk::new(vec![Action::Suspend]);
    let step = desk.used(45).expect("a warning");
    assert_eq!((kinds(&step), action(&step)), (vec![kind::NOTICE], Some("breaker.warn")));
    let mut desk = Desk::new(vec![Action::Suspend]);
    desk.limit.enforce = false;
    let step = desk.used(60).expect("it would have tripped");
    assert_eq!((kinds(&step), action(&step)), (vec![kind::NOTICE], Some("breaker.would-trip")));
}
