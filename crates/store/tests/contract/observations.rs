use ringfence_store::{Error, NewObservation, Seen};
use serde_json::json;

use crate::world::{World, after, on_both, operator, start};

on_both! {
    a_repeat_is_seen_and_changes_nothing,
    a_hundred_deliveries_at_once_are_one,
    the_oldest_comes_first,
    of_one_account_that_tells_much_no_other_waits_and_no_more_than_a_thousand_are_kept,
    a_nul_from_outside_does_not_lose_the_observation,
}

fn observation(key: &str, payload: i32) -> NewObservation {
    let payload = json!({ "CurrentValue": payload });
    NewObservation { key: key.into(), source: "trigger".into(), account: "AC1".into(), payload }
}

async fn a_repeat_is_seen_and_changes_nothing(world: World) {
    let store = &world.store;
    assert_eq!(store.observe(&operator(), observation("a", 1), start()).await.unwrap(), Seen::New);
    let rows = store.audit_rows(None, None, 10).await.unwrap();
    assert_eq!(store.observe(&operator(), observation("a", 2), after(9)).await.unwrap(), Seen::Before);
    let kept = store.find_observation("a").await.unwrap().unwrap();
    assert_eq!((kept.payload, kept.received_at), (json!({ "CurrentValue": 1 }), start()));
    assert_eq!(store.audit_rows(None, None, 10).await.unwrap(), rows);
}

async fn a_hundred_deliveries_at_once_are_one(world: World) {
    let nodes = std::sync::Arc::new([world.another().await, world.another().await]);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let nodes = nodes.clone();
            tokio::spawn(async move {
                nodes[number % 2].observe(&operator(), observation("same", 1), start()).await.unwrap()
            })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap() == Seen::New);
    }
    assert_eq!(new, 1);
}

async fn the_oldest_comes_first(world: World) {
    for (key, at) in [("b", 2), ("c", 3), ("a", 1)] {
        world.store.observe(&operator(), observation(key, 0), after(at)).await.unwrap();
    }
    let keys: Vec<_> = world.store.unprocessed_observations(2).await.unwrap();
    assert_eq!(keys.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

/// As somebody would send it who has the token of one account alone.
async fn of_one_account_that_tells_much_no_other_waits_and_no_more_than_a_thousand_are_kept(world: World) {
    let of = |account: &str, source: &str, number: i64| NewObservation {
        account: account.to_owned(),
        source: source.to_owned(),
        ..observation(&format!("{account} {source} {number}"), 0)
    };
    let observe = async |it: NewObservation, at| world.store.observe(&operator(), it, after(at)).await;
    let node = std::sync::Arc::new(world.another().await);
    let all: Vec<_> = (0..1_000)
        .map(|number| {
            let (node, it) = (std::sync::Arc::clone(&node), of("loud", "trigger", number));
            tokio::spawn(async move { node.observe(&operator(), it, after(number)).await.unwrap() })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Seen::New);
    }
    let full = observe(of("loud", "trigger", 1_000), 1_000).await;
    assert!(matches!(full, Err(Error::Crowd { .. })), "{full:?}");
    assert!(world.store.find_observation("loud trigger 1000").await.unwrap().is_none());
    assert_eq!(observe(of("loud", "trigger", 7), 1_000).await.unwrap(), Seen::Before, "that one is kept");
    // Nobody else is kept away by it, nor is what was found in another way of the account itself.
    for account in ["quiet", "another"] {
        assert_eq!(observe(of(account, "trigger", 0), 1_001).await.unwrap(), Seen::New);
    }
    assert_eq!(observe(of("loud", "ledger", 0), 1_002).await.unwrap(), Seen::New);
    let keys = async |limit| -> Vec<String> {
        let waiting = world.store.unprocessed_observations(limit).await.unwrap();
        waiting.into_iter().map(|it| it.key).collect()
    };
    let first = ["loud trigger 0", "another trigger 0", "quiet trigger 0", "loud ledger 0", "loud trigger 1"];
    assert_eq!(keys(5).await, first);
    assert_eq!(keys(100).await.len(), 13, "ten of the loud one");
}

async fn a_nul_from_outside_does_not_lose_the_observation(world: World) {
    let nul = NewObservation { account: "A\0C".into(), payload: json!("\0"), ..observation("k\0", 0) };
    assert_eq!(world.store.observe(&operator(), nul.clone(), start()).await.unwrap(), Seen::New);
    assert_eq!(world.store.observe(&operator(), nul, start()).await.unwrap(), Seen::Before);
    let kept = &world.store.unprocessed_observations(1).await.unwrap()[0];
    assert_eq!((kept.account.as_str(), &kept.payload), ("A\u{fffd}C", &json!("\0")));
}
