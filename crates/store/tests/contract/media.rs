//! The key of links to files: one for all nodes, until somebody ends all links.

use ringfence_model::Sid;

use crate::world::{World, after, on_both, operator, start};

on_both! {
    nodes_that_ask_at_once_have_one_key,
    ending_all_links_makes_another_key_for_every_node_and_is_in_the_audit_log,
    a_link_that_somebody_makes_is_in_the_audit_log,
}

async fn nodes_that_ask_at_once_have_one_key(world: World) {
    let (one, other) = (&world.store, world.another().await);
    let (first, second) = tokio::join!(one.media_link_key(), other.media_link_key());
    assert_eq!(*first.unwrap(), *second.unwrap());
    let again = world.another().await.media_link_key().await.unwrap();
    assert_eq!(*one.media_link_key().await.unwrap(), *again);
    assert_ne!(*again, [0; 32]);
}

async fn ending_all_links_makes_another_key_for_every_node_and_is_in_the_audit_log(world: World) {
    let (one, other) = (&world.store, world.another().await);
    // Also where there never was a link.
    one.end_media_links(&operator(), "to be sure", start()).await.unwrap();
    let before = one.media_link_key().await.unwrap();
    other.end_media_links(&operator(), "one was seen", after(1)).await.unwrap();
    let now = one.media_link_key().await.unwrap();
    assert_ne!(*now, *before);
    assert_eq!(*other.media_link_key().await.unwrap(), *now);
    let rows = one.audit_rows(None, None, 10).await.unwrap();
    let told: Vec<_> = rows.iter().filter(|row| row.action == "media.end_links").collect();
    let reasons: std::collections::BTreeSet<_> =
        told.iter().map(|row| row.detail["reason"].to_string()).collect();
    assert_eq!(reasons, ["\"one was seen\"".to_owned(), "\"to be sure\"".to_owned()].into());
    assert!(told.iter().all(|row| row.actor == operator()));
}

async fn a_link_that_somebody_makes_is_in_the_audit_log(world: World) {
    let (account, file) = (Sid::new(*b"AC", 1), Sid::new(*b"RE", 2));
    world.store.note_media_link(&operator(), account, file, after(60), start()).await.unwrap();
    let rows = world.store.audit_rows(None, None, 10).await.unwrap();
    let row = rows.iter().find(|row| row.action == "media.link").unwrap();
    assert_eq!((row.target.clone(), row.actor.clone()), (format!("file {file}"), operator()));
    assert_eq!(row.detail["account"], account.to_string());
    assert_eq!(row.detail["until"], after(60).to_string());
}
