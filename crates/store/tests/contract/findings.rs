//! What the daily examination found is told once, and once more when it is mended.

use jiff::SignedDuration;
use ringfence_store::{FindingKey, FindingsChange, NewEffect};
use serde_json::json;

use crate::world::{World, after, on_both, start};

on_both! {
    a_finding_that_two_nodes_tell_is_told_once,
    a_finding_that_gets_graver_is_told_again,
    an_examination_is_not_due_before_its_time,
}

fn key(place: &str) -> FindingKey {
    FindingKey { check: "webhook-https".to_owned(), account: String::new(), place: place.to_owned() }
}

fn notice(key: &str) -> NewEffect {
    NewEffect { kind: "notice".to_owned(), key: key.to_owned(), payload: json!({}), not_before: None }
}

fn found(place: &str, told_by: &str) -> FindingsChange {
    FindingsChange {
        new: vec![(vec![(key(place), "critical".to_owned())], notice(told_by))],
        ..FindingsChange::default()
    }
}

fn mended(place: &str, told_by: Option<&str>) -> FindingsChange {
    FindingsChange { mended: vec![(vec![key(place)], told_by.map(notice))], ..FindingsChange::default() }
}

async fn a_finding_that_two_nodes_tell_is_told_once(world: World) {
    let (one, other) = (&world.store, world.another().await);
    one.change_findings(found("PN1/sms_url", "first"), after(100), start()).await.unwrap();
    // The other node has read before the first one wrote.
    other.change_findings(found("PN1/sms_url", "second"), after(100), after(1)).await.unwrap();
    let open = one.open_findings().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0].key, open[0].since), (&key("PN1/sms_url"), start()));

    one.change_findings(mended("PN1/sms_url", Some("mended")), after(100), after(2)).await.unwrap();
    other.change_findings(mended("PN1/sms_url", Some("mended too")), after(100), after(3)).await.unwrap();
    assert_eq!(other.open_findings().await.unwrap(), []);

    let life = one.join("a", "hash", after(4)).await.unwrap();
    let due = one.claim_effects(&life, "notice", 10, after(60), after(5)).await.unwrap();
    let keys: Vec<_> = due.into_iter().map(|claim| claim.effect.key).collect();
    assert_eq!(keys, ["first", "mended"]);
    // Found again later, it is news again.
    one.change_findings(found("PN1/sms_url", "again"), after(100), after(6)).await.unwrap();
    assert_eq!(one.claim_effects(&life, "notice", 10, after(60), after(7)).await.unwrap().len(), 1);
}

async fn a_finding_that_gets_graver_is_told_again(world: World) {
    let store = &world.store;
    let severity = async || store.open_findings().await.unwrap().remove(0).severity;
    let of = |severity: &str, told_by: &str| FindingsChange {
        new: vec![(vec![(key("a.example"), severity.to_owned())], notice(told_by))],
        ..FindingsChange::default()
    };
    store.change_findings(of("warning", "ends in 14 days"), after(100), start()).await.unwrap();
    store.change_findings(of("critical", "ends in 3 days"), after(100), after(1)).await.unwrap();
    assert_eq!(severity().await, "critical");
    store.change_findings(of("warning", "not graver"), after(100), after(2)).await.unwrap();
    assert_eq!(severity().await, "critical", "a node that read before does not make it less");
    let eased = vec![(key("a.example"), "warning".to_owned())];
    store
        .change_findings(FindingsChange { eased, ..FindingsChange::default() }, after(100), after(3))
        .await
        .unwrap();
    assert_eq!(severity().await, "warning");
    store.change_findings(of("critical", "graver again"), after(100), after(4)).await.unwrap();

    let life = store.join("a", "hash", after(5)).await.unwrap();
    let due = store.claim_effects(&life, "notice", 10, after(60), after(6)).await.unwrap();
    let keys: Vec<_> = due.into_iter().map(|claim| claim.effect.key).collect();
    assert_eq!(keys, ["ends in 14 days", "ends in 3 days", "graver again"]);
}

async fn an_examination_is_not_due_before_its_time(world: World) {
    let store = &world.store;
    let first = SignedDuration::from_mins(10);
    assert!(!store.examination_is_due(first, start()).await.unwrap(), "a new installation is given time");
    assert!(!store.examination_is_due(first, after(599)).await.unwrap());
    assert!(store.examination_is_due(first, after(600)).await.unwrap());
    store.change_findings(FindingsChange::default(), after(1000), after(601)).await.unwrap();
    // A restart does not begin anew, nor does another node.
    let other = world.another().await;
    assert!(!other.examination_is_due(first, after(999)).await.unwrap());
    assert!(other.examination_is_due(first, after(1000)).await.unwrap());
}
