use std::sync::Arc;

use ringfence_store::{BreakerChange, NewAudit, NewObservation, Seen, Step};
use serde_json::json;

use crate::world::{Database, World, on_both, operator, start};

on_both! {
    a_write_that_fails_fails_alone,
    a_write_whose_asker_went_away_is_made,
    what_is_queued_is_written_before_the_store_closes,
}

fn change(subject: &str, version: i64) -> Step {
    let change = BreakerChange {
        limit: "l".into(),
        subject: subject.into(),
        version,
        state: json!(1),
        audit: None,
        seen: None,
    };
    Step { changes: vec![change], ..Step::default() }
}

async fn a_write_that_fails_fails_alone(world: World) {
    let store = Arc::new(world.store);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = Arc::clone(&store);
            // Every third says that it has read a version that never was.
            tokio::spawn(async move {
                store
                    .step(&operator(), change(&format!("AC{number}"), i64::from(number % 3 == 0)), start())
                    .await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let result = task.await.unwrap();
        assert_eq!(result.is_err(), number % 3 == 0, "{number}: {result:?}");
    }
    let breakers = store.breakers::<serde_json::Value>().await.unwrap();
    assert_eq!(breakers.len(), (0..200).filter(|number| number % 3 != 0).count());
}

async fn a_write_whose_asker_went_away_is_made(world: World) {
    let store = Arc::new(world.store);
    let by = operator();
    let mut asked = Box::pin(store.step(&by, change("AC1", 0), start()));
    // Polled once, it is queued.
    std::future::poll_fn(|context| {
        let _ = asked.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    drop(asked);
    store.step(&operator(), change("AC2", 0), start()).await.unwrap();
    assert!(store.find_breaker::<serde_json::Value>("l", "AC1").await.unwrap().is_some());
}

async fn what_is_queued_is_written_before_the_store_closes(world: World) {
    let other = world.another().await;
    let store = world.store;
    store.audit(&operator(), NewAudit::new("a.b", "x"), start()).await.unwrap();
    store.close().await;
    assert_eq!(other.audit_rows(Some("x"), None, 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_broke_are_replaced_unseen_by_writers() {
    let Some(world) = World::postgres().await else { return };
    let Database::Postgres(database) = &world.database else { unreachable!("it was just made") };
    for number in 0..3 {
        database.break_connections();
        let observation = NewObservation {
            key: format!("{number}"),
            source: "trigger".into(),
            account: "AC1".into(),
            payload: json!({}),
        };
        assert_eq!(world.store.observe(&operator(), observation, start()).await.unwrap(), Seen::New);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_lock_in_opposite_orders_both_get_through() {
    let Some(world) = World::postgres().await else { return };
    let nodes = Arc::new([world.another().await, world.another().await]);
    for subject in ["AC0", "AC1"] {
        world.store.step(&operator(), change(subject, 0), start()).await.unwrap();
    }
    // Each node's batches lock the same few rows, in the order in which they happened to be queued.
    let tasks: Vec<_> = (0..120)
        .map(|number| {
            let nodes = Arc::clone(&nodes);
            tokio::spawn(async move {
                let node = number % 2;
                let subject = format!("AC{}", (number / 2 + node) % 2);
                loop {
                    let store = &nodes[node];
                    let read = store.find_breaker::<serde_json::Value>("l", &subject).await.unwrap().unwrap();
                    match store.step(&operator(), change(&subject, read.version), start()).await {
                        Err(error) if error.is_conflict() => {}
                        result => return result.unwrap(),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let breakers = world.store.breakers::<serde_json::Value>().await.unwrap();
    assert_eq!(breakers.iter().map(|breaker| breaker.version).sum::<i64>(), 122);
}
