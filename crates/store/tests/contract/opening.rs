use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ringfence_model::Secret;
use ringfence_store::{Away, Error, Keys, Location, MasterKey, OpenError, Store};

use crate::world::{World, after, keys, on_both, operator, start};

fn in_file(path: &str) -> Keys {
    Keys::InFile { current: path.into(), previous: Vec::new() }
}

fn beside(database: &Path) -> Keys {
    Keys::InFile { current: MasterKey::path_beside(database), previous: Vec::new() }
}

on_both! {
    a_newer_database_is_refused,
    a_wrong_master_key_is_refused,
    a_store_keeps_its_instance_and_epoch_when_it_is_opened_again,
    an_operator_can_begin_an_epoch,
    nodes_that_start_at_once_make_the_tables_once,
}

async fn a_newer_database_is_refused(world: World) {
    world.run("INSERT INTO schema_version (version, applied_at) VALUES (999, 0)").await;
    let refused = Store::open(&world.location, &keys(), start()).await.unwrap_err();
    let Error::Open(refused) = refused else { panic!("{refused:?}") };
    assert!(matches!(*refused, OpenError::Newer { found: 999, .. }), "{refused}");
}

async fn a_wrong_master_key_is_refused(world: World) {
    let other = Keys::Given { current: MasterKey::from_bytes([8; 32]), previous: Vec::new() };
    let refused = Store::open(&world.location, &other, start()).await.unwrap_err();
    let Error::Open(refused) = refused else { panic!("{refused:?}") };
    let right = MasterKey::from_bytes([7; 32]).id();
    assert!(matches!(&*refused, OpenError::MasterKeyWrong { wanted, .. } if *wanted == right), "{refused}");
}

async fn a_store_keeps_its_instance_and_epoch_when_it_is_opened_again(world: World) {
    let (instance, epoch) =
        (world.store.instance().await.unwrap(), world.store.epoch(start()).await.unwrap());
    assert_eq!(epoch.number, 1);
    let again = world.another().await;
    assert_eq!(again.instance().await.unwrap(), instance);
    assert_eq!(again.epoch(after(9)).await.unwrap(), epoch);
}

async fn an_operator_can_begin_an_epoch(world: World) {
    let first = world.store.epoch(start()).await.unwrap();
    let second = world.store.new_epoch(&operator(), "restored from a dump", after(1)).await.unwrap();
    assert_eq!((second.number, second.since), (2, after(1)));
    assert_ne!(second.id, first.id);
    assert_eq!(world.another().await.epoch(after(2)).await.unwrap(), second);
    let row = &world.store.audit_rows(Some("epoch 2"), None, 9).await.unwrap()[0];
    assert_eq!((&row.actor, row.detail["reason"].as_str()), (&operator(), Some("restored from a dump")));
}

async fn nodes_that_start_at_once_make_the_tables_once(world: World) {
    if !world.is_sqlite() {
        world.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    }
    let directory = tempfile::tempdir().unwrap();
    let location = match &world.location {
        Location::Sqlite(_) => Location::Sqlite(directory.path().join("fresh.db")),
        postgres @ Location::Postgres(_) => postgres.clone(),
    };
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let location = location.clone();
            tokio::spawn(async move {
                let store = Store::open(&location, &keys(), start()).await.unwrap();
                store.epoch(start()).await.unwrap()
            })
        })
        .collect();
    let mut epochs = Vec::new();
    for task in tasks {
        epochs.push(task.await.unwrap());
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1);
    assert_eq!(epochs[0].number, 1);
}

#[tokio::test]
async fn postgresql_demands_a_master_key() {
    let location = Location::Postgres(Secret::new("postgres://nobody@localhost:1/none"));
    let refused = Store::open(&location, &in_file("/nowhere/key"), start()).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Open(error) if matches!(**error, OpenError::MasterKeyDemanded)),
        "{refused}"
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_away() {
    let location = Location::Postgres(Secret::new("postgres://nobody@127.0.0.1:1/none"));
    let refused = Store::open(&location, &keys(), start()).await.unwrap_err();
    assert!(refused.is_away(), "{refused:?}");
}

#[tokio::test]
async fn a_url_with_a_password_is_not_printed() {
    let location = Location::Postgres(Secret::new("postgres://u:hunter2@127.0.0.1:1/none"));
    let refused = Store::open(&location, &keys(), start()).await.unwrap_err();
    assert!(!format!("{location:?} {refused} {refused:?}").contains("hunter2"));
    let location = Location::Postgres(Secret::new("postgres://u:hunter2@[/none"));
    let refused = Store::open(&location, &keys(), start()).await.unwrap_err();
    assert!(matches!(&refused, Error::Open(error) if matches!(**error, OpenError::Url(_))), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("hunter2"));
}

#[tokio::test]
async fn sqlite_and_its_key_are_made_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ringfence.db");
    let store = Store::open(&Location::Sqlite(path.clone()), &beside(&path), start()).await.unwrap();
    assert_eq!(store.version().found, 0, "it was made");
    store.epoch(start()).await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 2, "the database and its key");
    store.close().await;
    let store = Store::open(&Location::Sqlite(path.clone()), &beside(&path), start()).await.unwrap();
    let version = store.version();
    assert_eq!((version.found, version.found > 0), (version.current, true), "it was there already");
}

#[tokio::test]
async fn a_file_that_is_not_where_it_was_opened_is_neither_read_nor_written() {
    let directory = tempfile::tempdir().unwrap();
    let (path, aside) = (directory.path().join("ringfence.db"), directory.path().join("aside"));
    let location = Location::Sqlite(path.clone());
    let store = Store::open(&location, &keys(), start()).await.unwrap();
    let is_moved = async || {
        let read = store.epoch(start()).await.unwrap_err();
        let written = store.new_epoch(&operator(), "it is lost", after(1)).await.unwrap_err();
        let copied = store.backup(&operator(), &directory.path().join("copy"), after(1)).await.unwrap_err();
        [read, written, copied].iter().all(|error| {
            matches!(error, Error::Away { reason: Away::Moved, in_doubt: false, .. }) && error.may_come_back()
        })
    };
    // It stays open, and would be written to as ever. With it goes its log, as whoever moves a store does it.
    let move_all = |from: &Path, to: &Path| {
        for with in ["", "-wal", "-shm"] {
            let named = |path: &Path| format!("{}{with}", path.display());
            std::fs::rename(named(from), named(to)).unwrap();
        }
    };
    move_all(&path, &aside);
    assert!(is_moved().await, "nothing is there");
    let another = Store::open(&location, &keys(), start()).await.unwrap();
    another.new_epoch(&operator(), "it binds nobody else", after(1)).await.unwrap();
    assert!(is_moved().await, "another is there");
    another.close().await;
    std::fs::remove_file(&path).unwrap();
    // Put back, it is the store as if nothing had been.
    move_all(&aside, &path);
    assert_eq!(store.epoch(start()).await.unwrap().number, 1);
    assert_eq!(store.new_epoch(&operator(), "it is back", after(1)).await.unwrap().number, 2);
    // Deleted, it never comes back.
    std::fs::remove_file(&path).unwrap();
    assert!(is_moved().await);
    assert!(!directory.path().join("copy").exists());
}

#[tokio::test]
async fn a_key_that_is_missing_beside_a_database_is_not_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ringfence.db");
    let location = Location::Sqlite(path.clone());
    Store::open(&location, &beside(&path), start()).await.unwrap().close().await;
    std::fs::remove_file(MasterKey::path_beside(&path)).unwrap();
    let refused = Store::open(&location, &beside(&path), start()).await.unwrap_err();
    assert!(matches!(&refused, Error::Open(error) if matches!(**error, OpenError::MasterKeyMissing { .. })));
    assert!(!MasterKey::path_beside(&path).exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ringfence.db");
    std::fs::write(&path, "this is a letter and no database ".repeat(200)).unwrap();
    let location = Location::Sqlite(path.clone());
    for refused in [
        Store::open(&location, &keys(), start()).await.map(drop),
        Store::find_version(&location).await.map(drop),
    ] {
        let Err(Error::Open(error)) = refused else { panic!("{refused:?}") };
        assert!(matches!(&*error, OpenError::NoDatabase { path: it, .. } if *it == path), "{error:?}");
    }
    assert!(std::fs::read(&path).unwrap().starts_with(b"this is a letter"), "it is left as it is");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    // Whoever runs the tests may open any file, but not a folder as one.
    let path = directory.path().join("ringfence.db");
    std::fs::create_dir(&path).unwrap();
    let refused = Store::open(&Location::Sqlite(path.clone()), &keys(), start()).await.unwrap_err();
    let Error::Open(error) = refused else { panic!("{refused:?}") };
    assert!(matches!(&*error, OpenError::NotOpened { path: it, .. } if *it == path), "{error:?}");
    assert!(error.to_string().contains("Is a directory"), "{error}");
}

#[tokio::test]
async fn a_promoted_or_restored_postgresql_has_a_new_epoch() {
    let Some(world) = World::postgres().await else { return };
    // What a promotion changes is the timeline, the second half; a restore of a dump elsewhere changes the first.
    for (before, number) in [("'1/00000001'", 2), ("replace(value, '/', '/9')", 3)] {
        world.run(&format!("UPDATE meta SET value = {before} WHERE name = 'server'")).await;
        let epoch = world.store.epoch(after(number)).await.unwrap();
        assert_eq!((epoch.number, epoch.since), (number, after(number)));
        assert_eq!(world.store.epoch(after(99)).await.unwrap(), epoch, "it is noticed once");
    }
}
