use jiff::Timestamp;
use ringfence_model::Amount;
use ringfence_store::{
    Added, Breaker, BreakerChange, Error, Forget, NewAudit, NewEffect, NewObservation, NewReading, Reading,
    Seen, Step,
};
use serde_json::{Value, json};

use crate::world::{World, after, all, on_both, operator, start};

on_both! {
    a_breaker_that_was_changed_meanwhile_is_a_conflict_and_nothing_is_written,
    of_fifty_that_step_at_once_one_gets_through,
    a_step_writes_state_audit_and_effects_together,
    an_observation_is_settled_once,
    a_breaker_is_removed_only_in_the_version_that_was_read,
    a_reading_leaves_no_audit_row,
    of_each_day_the_most_that_was_seen_is_kept_until_its_time_is_over,
    a_thousand_breakers_come_in_order,
}

fn change(subject: &str, version: i64, state: Value) -> BreakerChange {
    let audit = NewAudit::new("breaker.trip", format!("account {subject}"));
    BreakerChange {
        limit: "daily".into(),
        subject: subject.into(),
        version,
        state,
        audit: Some(audit),
        seen: None,
    }
}

fn effect(key: &str) -> NewEffect {
    NewEffect { kind: "suspend".into(), key: key.into(), payload: json!({ "sid": "AC1" }), not_before: None }
}

fn step(changes: Vec<BreakerChange>) -> Step {
    Step { changes, ..Step::default() }
}

async fn a_breaker_that_was_changed_meanwhile_is_a_conflict_and_nothing_is_written(world: World) {
    let store = &world.store;
    store.step(&operator(), step(vec![change("AC1", 0, json!(1))]), start()).await.unwrap();
    store.step(&operator(), step(vec![change("AC1", 1, json!(2))]), start()).await.unwrap();
    let rows = store.audit_rows(None, None, 100).await.unwrap().len();

    for version in [0, 1, 3] {
        let changes = vec![change("AC0", 0, json!("new")), change("AC1", version, json!("late"))];
        let late = Step { changes, effects: vec![effect("late")], ..Step::default() };
        let refused = store.step(&operator(), late, start()).await.unwrap_err();
        assert!(refused.is_conflict(), "version {version}: {refused:?}");
    }

    let breakers: Vec<Breaker<Value>> = store.breakers().await.unwrap();
    assert_eq!(breakers.len(), 1);
    assert_eq!((&breakers[0].state, breakers[0].version), (&json!(2), 2));
    assert_eq!(store.find_effect("late").await.unwrap(), None);
    assert_eq!(store.audit_rows(None, None, 100).await.unwrap().len(), rows);
}

async fn of_fifty_that_step_at_once_one_gets_through(world: World) {
    let (one, two) = (world.another().await, world.another().await);
    let tasks = (0..50).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        async move { store.step(&operator(), step(vec![change("AC1", 0, json!(number))]), start()).await }
    });
    let results = all(tasks).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(Error::is_conflict));
}

async fn a_step_writes_state_audit_and_effects_together(world: World) {
    let store = &world.store;
    let both = Step {
        changes: vec![change("AC1", 0, json!({ "Tripped": { "at": 5 } }))],
        effects: vec![effect("suspend/AC1"), effect("suspend/AC1")],
        ..Step::default()
    };
    store.step(&operator(), both, after(5)).await.unwrap();

    let breaker: Breaker<Value> = store.find_breaker("daily", "AC1").await.unwrap().unwrap();
    assert_eq!(breaker.state, json!({ "Tripped": { "at": 5 } }));
    assert_eq!((breaker.version, breaker.changed_at), (1, after(5)));
    assert_eq!(store.breakers_of::<Value>("AC1").await.unwrap(), [breaker]);
    assert_eq!(store.waiting_effects(10).await.unwrap().len(), 1, "the same effect is there once");
    assert_eq!(store.add_effect(&operator(), effect("suspend/AC1"), after(6)).await.unwrap(), Added::Before);
    let rows = store.audit_rows(Some("account AC1"), None, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].action.as_str(), rows[0].at), ("breaker.trip", after(5)));
    assert_eq!(rows[0].actor, operator());
}

async fn an_observation_is_settled_once(world: World) {
    let store = &world.store;
    let settle = |key: &str| Step { observation: Some(key.into()), ..step(vec![change(key, 0, json!(1))]) };
    let unknown = store.step(&operator(), settle("token"), start()).await.unwrap_err();
    assert!(matches!(unknown, Error::Missing { .. }), "{unknown:?}");

    let observation = NewObservation {
        key: "token".into(),
        source: "trigger".into(),
        account: "AC1".into(),
        payload: json!({}),
    };
    assert_eq!(store.observe(&operator(), observation, start()).await.unwrap(), Seen::New);
    store.step(&operator(), settle("token"), after(1)).await.unwrap();
    let again = Step { observation: Some("token".into()), ..step(vec![change("AC9", 0, json!(1))]) };
    let settled = store.step(&operator(), again, after(2)).await.unwrap_err();
    assert!(settled.is_conflict() && settled.is_settled_conflict(), "{settled:?}");
    let stale = Step { observation: Some("token".into()), ..step(vec![change("token", 7, json!(1))]) };
    let both = store.step(&operator(), stale, after(2)).await.unwrap_err();
    assert!(both.is_settled_conflict(), "it is told before a breaker's conflict: {both:?}");
    let changed =
        store.step(&operator(), step(vec![change("token", 7, json!(1))]), after(2)).await.unwrap_err();
    assert!(changed.is_conflict() && !changed.is_settled_conflict(), "{changed:?}");
    assert_eq!(store.breakers::<Value>().await.unwrap().len(), 1);
    assert!(store.unprocessed_observations(10).await.unwrap().is_empty());
    let settled = store.find_observation("token").await.unwrap().unwrap();
    assert_eq!(settled.processed_at, Some(after(1)));
}

async fn a_breaker_is_removed_only_in_the_version_that_was_read(world: World) {
    let store = &world.store;
    store.step(&operator(), step(vec![change("AC1", 0, json!(1))]), start()).await.unwrap();
    let refused = store.remove_breaker(&operator(), "daily", "AC1", 2, start()).await.unwrap_err();
    assert!(refused.is_conflict());
    store.remove_breaker(&operator(), "daily", "AC1", 1, start()).await.unwrap();
    assert_eq!(store.find_breaker::<Value>("daily", "AC1").await.unwrap(), None);
}

async fn a_reading_leaves_no_audit_row(world: World) {
    let store = &world.store;
    let before = store.audit_rows(None, None, 10).await.unwrap();
    let reading = BreakerChange { audit: None, ..change("AC1", 0, json!(1)) };
    store.step(&operator(), step(vec![reading]), start()).await.unwrap();
    assert_eq!(store.audit_rows(None, None, 10).await.unwrap(), before);
}

async fn of_each_day_the_most_that_was_seen_is_kept_until_its_time_is_over(world: World) {
    let store = &world.store;
    let day: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let hours = |count: i64| day + jiff::SignedDuration::from_hours(count);
    for (version, hour, units) in [(0, 1, 5), (1, 23, 40), (2, 23, 12), (3, 24, 3), (4, 75, 9)] {
        let seen = NewReading { at: hours(hour), amount: Amount::from_units(units) };
        let change = BreakerChange { seen: Some(seen), ..change("AC1", version, json!(1)) };
        store.step(&operator(), step(vec![change]), start()).await.unwrap();
    }
    let kept = |readings: Vec<Reading>| -> Vec<(Timestamp, Amount)> {
        readings.into_iter().map(|reading| (reading.day, reading.most)).collect()
    };
    let units = Amount::from_units;
    let all = kept(store.readings("daily", "AC1", day).await.unwrap());
    assert_eq!(all, [(hours(0), units(40)), (hours(24), units(3)), (hours(72), units(9))]);
    assert_eq!(
        kept(store.readings("daily", "AC1", hours(30)).await.unwrap()),
        all[1..],
        "the day of that time too"
    );
    assert_eq!(store.readings("daily", "AC2", day).await.unwrap(), []);
    assert_eq!(store.readings("monthly", "AC1", day).await.unwrap(), []);
    let forget = async || store.forget(&operator(), Forget::Readings, hours(48), 1, start()).await.unwrap();
    assert_eq!((forget().await, forget().await, forget().await), (1, 1, 0), "a batch at a time");
    assert_eq!(kept(store.readings("daily", "AC1", day).await.unwrap()), all[2..]);
}

async fn a_thousand_breakers_come_in_order(world: World) {
    let subjects: Vec<_> = (0..1000).map(|number| format!("AC{number:04}")).collect();
    let changes = subjects.iter().rev().map(|subject| change(subject, 0, json!(1))).collect();
    world.store.step(&operator(), step(changes), start()).await.unwrap();
    let breakers: Vec<Breaker<Value>> = world.store.breakers().await.unwrap();
    assert!(breakers.iter().map(|breaker| &breaker.subject).eq(&subjects));
}
