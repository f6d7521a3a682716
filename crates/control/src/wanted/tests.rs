use jiff::Timestamp;
use ringfence_breaker::{Measure, NamePattern, Observation, Probe, Reset, Scope, Threshold, Window, step};
use ringfence_model::{Amount, Sid};

use super::*;

const PARENT: Sid = Sid::new(*b"AC", 1);

fn applied(name: &str, per: Per, then: Vec<Action>) -> AppliedLimit {
    let limit = Limit {
        name: name.to_owned(),
        scope: Scope::All,
        per,
        measure: Measure::Price,
        category: "totalprice".to_owned(),
        window: Window::Daily,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![],
        then,
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    };
    AppliedLimit { limit, since: now() }
}

fn now() -> Timestamp {
    "2026-03-10T12:00:00Z".parse().expect("a time")
}

const fn account(number: u128, parent: Option<Sid>) -> ScopedAccount<'static> {
    ScopedAccount { sid: Sid::new(*b"AC", number), parent, friendly_name: "", created: Timestamp::UNIX_EPOCH }
}

fn tripped(limits: &[(&AppliedLimit, Subject)]) -> Breakers {
    limits
        .iter()
        .map(|(applied, subject)| {
            let fresh = State::new(&applied.limit, now());
            let (state, _) = step(&applied.limit, fresh, &Observation::Trip, now());
            ((applied.limit.name.clone(), *subject), state)
        })
        .collect()
}

#[test]
fn a_parent_is_never_to_be_suspended() {
    let limits = [applied("one", Per::Account, vec![Action::Suspend])];
    let breakers = tripped(&[(&limits[0], Subject::Account(PARENT))]);
    assert_eq!(must_be_suspended(&account(1, None), true, &limits, &breakers), None);
}

#[test]
fn one_limit_that_is_lifted_does_not_free_what_another_holds() {
    let limits = [
        applied("one", Per::Account, vec![Action::Suspend]),
        applied("two", Per::Together, vec![Action::Suspend]),
        applied("three", Per::Account, vec![Action::Notify]),
    ];
    let child = account(2, Some(PARENT));
    let own = Subject::Account(child.sid);
    let because = |breakers: &Breakers| must_be_suspended(&child, false, &limits, breakers);
    let limits_of = |names: &[&str]| Some(Because::Limits(names.iter().map(|it| (*it).to_owned()).collect()));
    let both = tripped(&[(&limits[0], own), (&limits[1], Subject::Together)]);
    assert_eq!(because(&both), limits_of(&["one", "two"]));
    assert_eq!(because(&tripped(&[(&limits[1], Subject::Together)])), limits_of(&["two"]));
    assert_eq!(because(&tripped(&[(&limits[2], own)])), None, "it orders no suspension");
    assert_eq!(because(&Breakers::new()), None);
    assert_eq!(must_be_suspended(&child, true, &limits, &Breakers::new()), Some(Because::Operator));
}

#[test]
fn a_neighbours_trip_is_not_ones_own_unless_the_limit_is_for_all_together() {
    let limits = [
        applied("each", Per::Account, vec![Action::Suspend]),
        applied("all", Per::Together, vec![Action::Suspend]),
    ];
    let (one, other) = (account(2, Some(PARENT)), account(3, Some(PARENT)));
    let own = tripped(&[(&limits[0], Subject::Account(one.sid))]);
    assert!(must_be_suspended(&one, false, &limits, &own).is_some());
    assert!(must_be_suspended(&other, false, &limits, &own).is_none());
    let all = tripped(&[(&limits[1], Subject::Together)]);
    assert!(must_be_suspended(&other, false, &limits, &all).is_some());
}

#[test]
fn an_account_that_was_renamed_out_of_the_scope_stays_held() {
    let mut limit = applied("customers", Per::Account, vec![Action::Suspend]);
    limit.limit.scope = Scope::Name(NamePattern::new("customer-*"));
    let limits = [limit];
    let child = account(2, Some(PARENT));
    assert_eq!(limits[0].subject(&child), None, "its name is another one now");
    let breakers = tripped(&[(&limits[0], Subject::Account(child.sid))]);
    assert!(must_be_suspended(&child, false, &limits, &breakers).is_some());
}
