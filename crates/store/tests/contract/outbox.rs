use ringfence_model::Sid;
use ringfence_store::{Added, EffectEnd, Error, Life, NewEffect, Store, Unfinished};
use serde_json::json;

use crate::world::{World, after, on_both, operator, seconds, start};

on_both! {
    a_claim_that_was_lost_ends_nothing,
    an_effect_is_claimed_by_one_node,
    a_node_takes_its_own_claim_again_when_it_has_run_out,
    what_could_be_claimed_is_counted_own_claims_that_have_run_out_among_it,
    claims_of_one_kind_that_nobody_works_on_are_let_go,
    a_dead_node_loses_its_claims,
    a_node_that_was_buried_claims_nothing,
    what_is_not_due_waits,
    a_failure_waits_for_its_next_try_and_says_why,
    what_was_given_up_can_be_tried_again,
    an_effect_that_happened_is_not_added_again,
    what_waits_for_an_account_is_found_by_its_key,
    one_kind_does_not_wait_for_another,
    claims_of_many_at_once_are_disjoint,
    what_fails_and_what_was_given_up_is_counted_and_comes_first,
    what_is_not_done_is_listed_in_its_order_page_by_page,
}

fn effect(kind: &str, key: &str) -> NewEffect {
    let payload = json!({ "to": "+14155550123" });
    NewEffect { kind: kind.into(), key: key.into(), payload, not_before: None }
}

async fn add(store: &Store, key: &str) {
    assert_eq!(store.add_effect(&operator(), effect("suspend", key), start()).await.unwrap(), Added::New);
}

async fn join(store: &Store, node: &str) -> Life {
    store.join(node, "limits", start()).await.unwrap()
}

async fn a_claim_that_was_lost_ends_nothing(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    add(store, "a").await;
    let lost = store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap().remove(0);
    let kept = store.claim_effects(&one, "suspend", 9, after(30), after(10)).await.unwrap().remove(0);

    assert!(store.complete_effect(&operator(), &lost, after(11)).await.unwrap_err().is_conflict());
    let failed = store.fail_effect(&operator(), &lost, "late", Some(after(12)), after(11)).await;
    assert!(failed.unwrap_err().is_conflict());
    assert!(store.fail_effect(&operator(), &lost, "late", None, after(11)).await.unwrap_err().is_conflict());
    assert!(store.renew_claim(&lost, after(99)).await.unwrap_err().is_conflict());

    store.complete_effect(&operator(), &kept, after(12)).await.unwrap();
    assert!(store.complete_effect(&operator(), &kept, after(13)).await.unwrap_err().is_conflict());
    let ended = store.find_effect("a").await.unwrap().unwrap();
    assert_eq!((ended.end, ended.attempts, ended.last_error), (Some((after(12), EffectEnd::Done)), 2, None));
}

async fn an_effect_is_claimed_by_one_node(world: World) {
    let other = world.another().await;
    let (one, two) = (join(&world.store, "one").await, join(&other, "two").await);
    add(&world.store, "a").await;
    let claims = world.store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].effect.payload, json!({ "to": "+14155550123" }));
    // However far ahead the clock of the other node is.
    let later = other.claim_effects(&two, "suspend", 9, after(9999), after(3600)).await.unwrap();
    assert!(later.is_empty());
}

async fn a_node_takes_its_own_claim_again_when_it_has_run_out(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    add(store, "a").await;
    let claim = store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap().remove(0);
    assert!(store.claim_effects(&one, "suspend", 9, after(20), after(9)).await.unwrap().is_empty());
    store.renew_claim(&claim, after(20)).await.unwrap();
    assert!(store.claim_effects(&one, "suspend", 9, after(30), after(19)).await.unwrap().is_empty());
    assert_eq!(store.claim_effects(&one, "suspend", 9, after(30), after(20)).await.unwrap().len(), 1);
}

async fn what_could_be_claimed_is_counted_own_claims_that_have_run_out_among_it(world: World) {
    let store = &world.store;
    let (one, two) = (join(store, "one").await, join(store, "two").await);
    add(store, "a").await;
    add(store, "b").await;
    assert_eq!(store.count_due(&one, "suspend", 9, start()).await.unwrap(), 2);
    assert_eq!(store.count_due(&one, "suspend", 1, start()).await.unwrap(), 1);
    assert_eq!(store.count_due(&one, "mail", 9, start()).await.unwrap(), 0);
    store.claim_effects(&one, "suspend", 1, after(10), start()).await.unwrap();
    assert_eq!(store.count_due(&one, "suspend", 9, after(9)).await.unwrap(), 1);
    assert_eq!(store.count_due(&one, "suspend", 9, after(10)).await.unwrap(), 2);
    assert_eq!(store.count_due(&two, "suspend", 9, after(10)).await.unwrap(), 1, "another's do not run out");
}

async fn claims_of_one_kind_that_nobody_works_on_are_let_go(world: World) {
    let store = &world.store;
    let (one, two) = (join(store, "one").await, join(store, "two").await);
    add(store, "a").await;
    let lost = store.claim_effects(&one, "suspend", 9, after(9999), start()).await.unwrap().remove(0);
    assert_eq!(store.release_claims(&two, "suspend").await.unwrap(), 0, "they are another's");
    assert_eq!(store.release_claims(&one, "mail").await.unwrap(), 0, "they are of another kind");
    assert_eq!(store.release_claims(&one, "suspend").await.unwrap(), 1);
    let again = store.claim_effects(&one, "suspend", 9, after(9999), start()).await.unwrap().remove(0);
    assert!(store.complete_effect(&operator(), &lost, after(1)).await.unwrap_err().is_conflict());
    store.complete_effect(&operator(), &again, after(1)).await.unwrap();
    assert_eq!(store.release_claims(&one, "suspend").await.unwrap(), 0, "what has ended stays so");
}

async fn a_dead_node_loses_its_claims(world: World) {
    let other = world.another().await;
    let (one, two) = (join(&world.store, "one").await, join(&other, "two").await);
    add(&world.store, "a").await;
    let lost = world.store.claim_effects(&one, "suspend", 9, after(9999), start()).await.unwrap().remove(0);

    assert!(
        other.bury_silent(&two, seconds(5), after(100)).await.unwrap().is_empty(),
        "seen for the first time"
    );
    assert!(other.bury_silent(&two, seconds(5), after(104)).await.unwrap().is_empty());
    assert_eq!(other.bury_silent(&two, seconds(5), after(105)).await.unwrap().len(), 1);
    let taken = other.claim_effects(&two, "suspend", 9, after(200), after(105)).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(world.store.complete_effect(&operator(), &lost, after(106)).await.unwrap_err().is_conflict());
}

async fn a_node_that_was_buried_claims_nothing(world: World) {
    let store = &world.store;
    let (one, two) = (join(store, "one").await, join(store, "two").await);
    add(store, "a").await;
    store.bury_silent(&two, seconds(5), start()).await.unwrap();
    assert_eq!(store.bury_silent(&two, seconds(5), after(5)).await.unwrap().len(), 1);
    let refused = store.claim_effects(&one, "suspend", 9, after(20), after(6)).await.unwrap_err();
    assert!(matches!(refused, Error::Buried { ref node } if node == "one"), "{refused:?}");
}

async fn what_is_not_due_waits(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    let later = NewEffect { not_before: Some(after(60)), ..effect("suspend", "later") };
    store.add_effect(&operator(), later, start()).await.unwrap();
    assert_eq!(store.next_effect_at("suspend").await.unwrap(), Some(after(60)));
    assert!(store.claim_effects(&one, "suspend", 9, after(90), after(59)).await.unwrap().is_empty());
    assert_eq!(store.claim_effects(&one, "suspend", 9, after(90), after(60)).await.unwrap().len(), 1);
    assert_eq!(store.next_effect_at("suspend").await.unwrap(), None);
}

async fn a_failure_waits_for_its_next_try_and_says_why(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    add(store, "a").await;
    let claim = store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap().remove(0);
    store.fail_effect(&operator(), &claim, "Twilio said\0 500", Some(after(30)), after(1)).await.unwrap();

    assert!(store.claim_effects(&one, "suspend", 9, after(40), after(29)).await.unwrap().is_empty());
    let waiting = &store.waiting_effects(10).await.unwrap()[0];
    assert_eq!(waiting.last_error.as_deref(), Some("Twilio said\u{fffd} 500"));
    assert_eq!((waiting.attempts, waiting.not_before, &waiting.claimed_by), (1, Some(after(30)), &None));
    let again = store.claim_effects(&one, "suspend", 9, after(40), after(30)).await.unwrap();
    assert_eq!(again[0].effect.attempts, 2);
    let rows = store.audit_rows(Some("effect a"), None, 9).await.unwrap();
    let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(actions, ["effect.fail", "effect.add"]);
}

async fn what_was_given_up_can_be_tried_again(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    add(store, "a").await;
    assert!(matches!(store.retry_effect(&operator(), "a", start()).await, Err(Error::Missing { .. })));
    let claim = store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap().remove(0);
    store.fail_effect(&operator(), &claim, "no", None, after(1)).await.unwrap();
    assert!(store.waiting_effects(10).await.unwrap().is_empty());
    let ended = store.find_effect("a").await.unwrap().unwrap();
    assert_eq!(ended.end, Some((after(1), EffectEnd::GivenUp)));

    store.retry_effect(&operator(), "a", after(2)).await.unwrap();
    assert_eq!(store.claim_effects(&one, "suspend", 9, after(10), after(2)).await.unwrap().len(), 1);
}

async fn an_effect_that_happened_is_not_added_again(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    add(store, "a").await;
    let claim = store.claim_effects(&one, "suspend", 9, after(10), start()).await.unwrap().remove(0);
    store.complete_effect(&operator(), &claim, after(1)).await.unwrap();
    let again = store.add_effect(&operator(), effect("suspend", "a"), after(2)).await.unwrap();
    assert_eq!(again, Added::Before);
    assert!(store.waiting_effects(10).await.unwrap().is_empty());
}

async fn what_waits_for_an_account_is_found_by_its_key(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    let (ours, other) = (Sid::new(*b"AC", 1), Sid::new(*b"AC", 2));
    assert!(store.waiting_of_account(ours).await.unwrap().is_empty());
    let keys = [
        ("status", format!("status/{ours}/daily/1")),
        ("geo", format!("geo/{ours}/daily/1")),
        ("status", format!("status/{other}/daily/1")),
        // Keys of another form name no account.
        ("notice", format!("notice/tripped/{ours}")),
        ("status", format!("{ours}/daily/1")),
        ("geo", format!("status/{ours}/daily/2")),
        ("geo", format!("geo/{}/daily", Sid::new(*b"UT", 1))),
    ];
    for (kind, key) in &keys {
        store.add_effect(&operator(), effect(kind, key), start()).await.unwrap();
    }
    let waiting = async || -> Vec<String> {
        store.waiting_of_account(ours).await.unwrap().into_iter().map(|effect| effect.key).collect()
    };
    assert_eq!(waiting().await, [keys[0].1.clone(), keys[1].1.clone()]);

    // One that is being performed waits still, one that ended does not.
    let claims = store.claim_effects(&one, "status", 1, after(10), start()).await.unwrap();
    assert_eq!(waiting().await.len(), 2);
    store.complete_effect(&operator(), &claims[0], after(1)).await.unwrap();
    assert_eq!(waiting().await, [keys[1].1.clone()]);
}

async fn one_kind_does_not_wait_for_another(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    for number in 0..20 {
        store.add_effect(&operator(), effect("mail", &format!("m{number}")), start()).await.unwrap();
    }
    add(store, "s").await;
    let claims = store.claim_effects(&one, "suspend", 5, after(10), start()).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].effect.key, "s");
}

async fn claims_of_many_at_once_are_disjoint(world: World) {
    let nodes = std::sync::Arc::new([world.another().await, world.another().await, world.another().await]);
    for number in 0..60 {
        add(&world.store, &format!("{number:02}")).await;
    }
    let mut lives = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        lives.push(join(node, &format!("n{number}")).await);
    }
    let tasks: Vec<_> = (0..30)
        .map(|number| {
            let (nodes, life) = (nodes.clone(), lives[number % 3].clone());
            tokio::spawn(async move {
                nodes[number % 3].claim_effects(&life, "suspend", 4, after(10), start()).await.unwrap()
            })
        })
        .collect();
    let mut keys = Vec::new();
    for task in tasks {
        keys.extend(task.await.unwrap().into_iter().map(|claim| claim.effect.key));
    }
    keys.sort();
    let claimed = keys.len();
    keys.dedup();
    assert_eq!((claimed, keys.len()), (60, 60));
}

async fn what_fails_and_what_was_given_up_is_counted_and_comes_first(world: World) {
    let store = &world.store;
    let me = join(store, "one").await;
    for key in ["given up", "done", "fails", "waits"] {
        add(store, key).await;
    }
    for key in ["given up", "done", "fails"] {
        let claim = store.claim_effects(&me, "suspend", 1, after(10), start()).await.unwrap().remove(0);
        assert_eq!(claim.effect.key, key);
        match key {
            "done" => store.complete_effect(&operator(), &claim, after(1)).await.unwrap(),
            "fails" => store.fail_effect(&operator(), &claim, "503", Some(after(9)), after(1)).await.unwrap(),
            _ => store.fail_effect(&operator(), &claim, "403", None, after(1)).await.unwrap(),
        }
    }
    add(store, "waits too").await;
    let keys = |effects: Vec<ringfence_store::Effect>| -> Vec<String> {
        effects.into_iter().map(|effect| effect.key).collect()
    };
    assert_eq!(keys(store.troubled_effects(9).await.unwrap()), ["fails", "waits", "waits too"]);
    assert_eq!(keys(store.troubled_effects(1).await.unwrap()), ["fails"]);
    assert_eq!(store.unfinished_effects().await.unwrap(), Unfinished { waiting: 3, failing: 1 });
    // What ended before is not asked for, nor are the kinds that are left out.
    for (since, but, given_up) in [
        (after(1), ["code", "console-code"], &["given up"][..]),
        (after(2), ["code", "console-code"], &[]),
        (after(1), ["code", "suspend"], &[]),
    ] {
        assert_eq!(keys(store.given_up_effects(since, but, 9).await.unwrap()), given_up);
        assert_eq!(store.count_given_up(since, but).await.unwrap(), given_up.len() as u64);
    }
}

async fn what_is_not_done_is_listed_in_its_order_page_by_page(world: World) {
    let store = &world.store;
    let one = join(store, "one").await;
    for key in ["done", "given-up", "waits", "claimed", "failing"] {
        add(store, key).await;
    }
    for claim in store.claim_effects(&one, "suspend", 5, after(60), start()).await.unwrap() {
        match claim.effect.key.as_str() {
            "done" => store.complete_effect(&operator(), &claim, after(1)).await.unwrap(),
            "given-up" => store.fail_effect(&operator(), &claim, "no", None, after(1)).await.unwrap(),
            "waits" | "failing" => {
                store.fail_effect(&operator(), &claim, "later", Some(after(9)), after(1)).await.unwrap();
            }
            _ => {}
        }
    }
    let (mut last, mut keys) = (0, Vec::new());
    loop {
        let page = store.unfinished_after(last, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(end) = page.last() else { break };
        last = end.id;
        keys.extend(page.into_iter().map(|effect| effect.key));
    }
    assert_eq!(keys, ["given-up", "waits", "claimed", "failing"]);
}
