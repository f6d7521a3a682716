use ringfence_store::{NewObservation, Seen};
use serde_json::json;

use crate::world::{World, after, on_both, operator, start};

on_both! {
    a_repeat_is_seen_and_changes_nothing,
    a_hundred_deliveries_at_once_are_one,
    the_oldest_comes_first,
    however_many_of_one_account_wait_the_next_of_another_is_among_the_first,
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

async fn however_many_of_one_account_wait_the_next_of_another_is_among_the_first(world: World) {
    let new: Vec<_> = (0..50).map(|number| observation(&format!("flood {number:02}"), 0)).collect();
    for (second, new) in (0..).zip(new) {
        world.store.observe(&operator(), new, after(second)).await.unwrap();
    }
    let other = NewObservation { account: "AC2".into(), ..observation("other", 0) };
    world.store.observe(&operator(), other, after(99)).await.unwrap();
    let first = world.store.unprocessed_observations(2).await.unwrap();
    let keys: Vec<_> = first.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["flood 00", "other"]);
    let all = world.store.unprocessed_observations(1_000).await.unwrap();
    assert_eq!(all.len(), 11, "and the others come when these are dealt with");
}

async fn a_nul_from_outside_does_not_lose_the_observation(world: World) {
    let nul = NewObservation { account: "A\0C".into(), payload: json!("\0"), ..observation("k\0", 0) };
    assert_eq!(world.store.observe(&operator(), nul.clone(), start()).await.unwrap(), Seen::New);
    assert_eq!(world.store.observe(&operator(), nul, start()).await.unwrap(), Seen::Before);
    let kept = &world.store.unprocessed_observations(1).await.unwrap()[0];
    assert_eq!((kept.account.as_str(), &kept.payload), ("A\u{fffd}C", &json!("\0")));
}
