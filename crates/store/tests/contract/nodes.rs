use ringfence_store::Error;

use crate::world::{World, after, on_both, seconds, start};

on_both! {
    a_node_that_was_buried_is_told_so,
    a_node_that_gives_signs_is_not_buried_however_wrong_its_clock_is,
    a_job_is_done_by_one_node,
    a_job_changes_hands_with_a_higher_fence,
    a_name_that_joins_again_frees_what_it_held,
    a_node_that_leaves_frees_its_jobs,
    a_job_is_told_with_the_life_that_does_it_and_a_job_that_nobody_does_is_not,
    a_node_is_known_with_its_limits,
    a_server_has_a_clock_of_its_own_and_a_file_has_none,
}

async fn a_node_that_was_buried_is_told_so(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", start()).await.unwrap();
    let two = store.join("two", "h", start()).await.unwrap();
    store.bury_silent(&two, seconds(5), start()).await.unwrap();
    store.bury_silent(&two, seconds(5), after(5)).await.unwrap();
    assert!(matches!(store.beat(&one, "h", after(6)).await, Err(Error::Buried { .. })));
    assert!(matches!(store.acquire(&one, "poll").await, Err(Error::Buried { .. })));
    store.beat(&two, "h", after(6)).await.unwrap();
    let again = store.join("one", "h", after(7)).await.unwrap();
    store.beat(&again, "h", after(8)).await.unwrap();
}

async fn a_node_that_gives_signs_is_not_buried_however_wrong_its_clock_is(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", after(-3600)).await.unwrap();
    let two = store.join("two", "h", start()).await.unwrap();
    for second in (0..60).step_by(3) {
        store.beat(&one, "h", after(second - 3600)).await.unwrap();
        assert!(store.bury_silent(&two, seconds(5), after(second)).await.unwrap().is_empty());
    }
}

async fn a_job_is_done_by_one_node(world: World) {
    let other = world.another().await;
    let one = world.store.join("one", "h", start()).await.unwrap();
    let two = other.join("two", "h", start()).await.unwrap();
    let lease = world.store.acquire(&one, "poll").await.unwrap().unwrap();
    assert_eq!(other.acquire(&two, "poll").await.unwrap(), None);
    assert_eq!(world.store.acquire(&one, "poll").await.unwrap(), Some(lease.clone()), "it has it already");
    assert!(other.acquire(&two, "seal").await.unwrap().is_some(), "another job is free");
    world.store.release(&lease).await.unwrap();
    assert!(!other.holds(&lease).await.unwrap());
    assert!(other.acquire(&two, "poll").await.unwrap().is_some());
}

async fn a_job_changes_hands_with_a_higher_fence(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", start()).await.unwrap();
    let two = store.join("two", "h", start()).await.unwrap();
    let old = store.acquire(&one, "poll").await.unwrap().unwrap();
    store.bury_silent(&two, seconds(5), start()).await.unwrap();
    store.bury_silent(&two, seconds(5), after(5)).await.unwrap();
    let new = store.acquire(&two, "poll").await.unwrap().unwrap();
    assert!(new.fence > old.fence);
    assert!(!store.holds(&old).await.unwrap());
    store.release(&old).await.unwrap();
    assert!(store.holds(&new).await.unwrap(), "a lease that was lost releases nothing");
}

async fn a_name_that_joins_again_frees_what_it_held(world: World) {
    let store = &world.store;
    let before = store.join("one", "h", start()).await.unwrap();
    let lease = store.acquire(&before, "poll").await.unwrap().unwrap();
    store.join("one", "h", after(1)).await.unwrap();
    assert!(!store.holds(&lease).await.unwrap());
    assert!(matches!(store.beat(&before, "h", after(2)).await, Err(Error::Buried { .. })));
}

async fn a_node_that_leaves_frees_its_jobs(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", start()).await.unwrap();
    let two = store.join("two", "h", start()).await.unwrap();
    store.acquire(&one, "poll").await.unwrap().unwrap();
    store.leave(&one, after(1)).await.unwrap();
    assert!(store.acquire(&two, "poll").await.unwrap().is_some());
}

async fn a_job_is_told_with_the_life_that_does_it_and_a_job_that_nobody_does_is_not(world: World) {
    let store = &world.store;
    let one = store.join("one", "h", start()).await.unwrap();
    let two = store.join("two", "h", start()).await.unwrap();
    store.acquire(&one, "usage").await.unwrap().unwrap();
    store.acquire(&two, "poll").await.unwrap().unwrap();
    let given_up = store.acquire(&two, "seal").await.unwrap().unwrap();
    store.release(&given_up).await.unwrap();
    let held = store.held_jobs().await.unwrap();
    let told: Vec<_> = held.iter().map(|it| (it.name.as_str(), it.is_of(&one), it.is_of(&two))).collect();
    assert_eq!(told, [("poll", false, true), ("usage", true, false)]);
    // A later life of the same name does not do what the earlier one did.
    let again = store.join("one", "h", after(1)).await.unwrap();
    let held = store.held_jobs().await.unwrap();
    assert!(held.iter().all(|it| !it.is_of(&again) && !it.is_of(&one)), "{held:?}");
}

async fn a_node_is_known_with_its_limits(world: World) {
    let store = &world.store;
    let one = store.join("one", "old", start()).await.unwrap();
    store.beat(&one, "new", after(3)).await.unwrap();
    let nodes = store.nodes().await.unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].limits_hash.as_str(), nodes[0].seen_at, &nodes[0].life), ("new", after(3), &one));
}

async fn a_server_has_a_clock_of_its_own_and_a_file_has_none(world: World) {
    let first = world.store.database_clock().await.unwrap();
    assert_eq!(first.is_none(), world.is_sqlite());
    let second = world.store.database_clock().await.unwrap();
    assert!(first <= second, "{first:?} {second:?}");
}
