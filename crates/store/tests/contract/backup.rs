use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ringfence_breaker::Why;
use ringfence_store::{
    Admission, BackupError, Error, Keys, Location, MasterKey, NewAudit, NotAdmitted, Now, OpenError, Over,
    Store, restore,
};

use crate::ledger::{Money, limit};
use crate::world::{Database, World, after, keys, operator, seal, start};

/// The memory of a day that was there already, by a clock that was ahead, is lost with the backup that is restored.
#[tokio::test]
async fn a_day_that_a_lost_memory_may_have_seen_waits_for_twilios_figure() {
    let mut money = Money::with(World::sqlite().await, vec![limit("daily", 50)]).await;
    let (backup, today) = (path(&money.world, "backup"), 86_400);
    let Location::Sqlite(live) = money.world.location.clone() else { unreachable!() };
    money.store().backup(&operator(), &backup, after(2)).await.unwrap();
    assert!(money.book(&money.limits[0], 0, 0, after(today)).await);
    let spent = money.store().admit(money.request(50), Now::At(after(today))).await.unwrap();
    assert!(matches!(spent, Admission::Admitted(_)), "tomorrow, as it was thought: {spent:?}");

    money.world.store.close().await;
    restore(&backup, &live, Over::Anything, &keys(), start()).await.unwrap();
    money.world.store = Store::open(&money.world.location, &keys(), after(5)).await.unwrap();
    assert!(money.book(&money.limits[0], 0, 0, after(6)).await);
    let admitted = money.store().admit(money.request(1), Now::At(after(7))).await.unwrap();
    assert!(matches!(admitted, Admission::Admitted(_)), "{admitted:?}");
    let refused = money.store().admit(money.request(1), Now::At(after(today))).await.unwrap();
    let Admission::Refused(NotAdmitted::Limit { why, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(why, Why::NotReadBack);
}

fn path(world: &World, name: &str) -> PathBuf {
    let Database::Sqlite(directory) = &world.database else { panic!("only SQLite is backed up here") };
    directory.path().join(name)
}

fn refused(result: Result<Option<PathBuf>, Error>) -> BackupError {
    let Err(Error::Backup(error)) = result else { panic!("{result:?}") };
    std::sync::Arc::into_inner(error).expect("nobody else has it")
}

async fn note(store: &Store, target: &str) {
    store.audit(&operator(), NewAudit::new("thing.do", target), start()).await.unwrap();
}

async fn has(store: &Store, target: &str) -> bool {
    !store.audit_rows(Some(target), None, 1).await.unwrap().is_empty()
}

#[tokio::test]
async fn a_store_that_is_in_use_is_not_replaced() {
    let world = World::sqlite().await;
    let backup = path(&world, "backup");
    world.store.backup(&operator(), &backup, start()).await.unwrap();
    let Location::Sqlite(live) = &world.location else { unreachable!() };
    note(&world.store, "after").await;
    for over in [Over::Older, Over::Anything] {
        assert!(matches!(
            refused(restore(&backup, live, over, &keys(), start()).await),
            BackupError::Live(_)
        ));
    }
    assert!(matches!(
        refused(restore(&backup, live, Over::Nothing, &keys(), start()).await),
        BackupError::Exists(_)
    ));
    assert!(has(&world.store, "after").await, "it goes on working");
    note(&world.store, "later").await;
}

#[tokio::test]
async fn a_newer_store_is_replaced_only_if_that_is_meant() {
    let world = World::sqlite().await;
    let backup = path(&world, "backup");
    note(&world.store, "before").await;
    world.store.backup(&operator(), &backup, start()).await.unwrap();
    note(&world.store, "after").await;
    world.store.new_epoch(&operator(), "test", start()).await.unwrap();
    let Location::Sqlite(old) = &world.location else { unreachable!() };
    let old = old.clone();
    world.store.close().await;

    let error = refused(restore(&backup, &old, Over::Older, &keys(), start()).await);
    assert!(matches!(error, BackupError::Newer { store_epoch: 2, backup_epoch: 1, .. }), "{error}");
    let aside =
        restore(&backup, &old, Over::Anything, &keys(), start()).await.unwrap().expect("there was a store");

    let restored = Store::open(&Location::Sqlite(old), &keys(), after(9)).await.unwrap();
    assert!(has(&restored, "before").await && !has(&restored, "after").await);
    let epoch = restored.epoch(after(9)).await.unwrap();
    assert_eq!((epoch.number, epoch.since), (3, after(9)), "above both");
    let kept = Store::open(&Location::Sqlite(aside), &keys(), after(9)).await.unwrap();
    assert!(has(&kept, "after").await, "nothing is thrown away");
}

#[tokio::test]
async fn a_backup_that_the_keys_do_not_open_replaces_nothing() {
    let (world, elsewhere) = (World::sqlite().await, World::sqlite().await);
    let backup = path(&elsewhere, "backup");
    let Location::Sqlite(other) = elsewhere.location.clone() else { unreachable!() };
    elsewhere.store.close().await;
    std::fs::remove_file(&other).unwrap();
    let strange = Keys::Given { current: MasterKey::from_bytes([9; 32]), previous: Vec::new() };
    let store = Store::open(&Location::Sqlite(other), &strange, start()).await.unwrap();
    store.backup(&operator(), &backup, start()).await.unwrap();
    store.close().await;

    note(&world.store, "mine").await;
    let Location::Sqlite(live) = world.location.clone() else { unreachable!() };
    world.store.close().await;
    let there = std::fs::read(&live).unwrap();
    let error = restore(&backup, &live, Over::Anything, &keys(), start()).await.unwrap_err();
    let is_wrong_key = |open: &OpenError| matches!(open, OpenError::MasterKeyWrong { .. });
    assert!(matches!(&error, Error::Open(open) if is_wrong_key(open)), "{error}");
    assert_eq!(std::fs::read(&live).unwrap(), there, "not a byte is another");
    let beside = std::fs::read_dir(live.parent().unwrap()).unwrap();
    let names: Vec<_> = beside.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert!(!names.iter().any(|it| it.contains("partial") || it.contains("replaced")), "{names:?}");
    let kept = Store::open(&Location::Sqlite(live.clone()), &keys(), start()).await.unwrap();
    assert!(has(&kept, "mine").await);
    kept.close().await;

    // The same with its key, which is not newer or older than this store, but another.
    let error = refused(restore(&backup, &live, Over::Older, &strange, start()).await);
    assert!(matches!(error, BackupError::Another(_)), "{error}");
    restore(&backup, &live, Over::Anything, &strange, start()).await.unwrap().expect("there was a store");
    let restored = Store::open(&Location::Sqlite(live), &strange, after(5)).await.unwrap();
    assert_eq!(restored.epoch(after(5)).await.unwrap().since, after(5), "trying it out began none");
}

#[tokio::test]
async fn a_backup_that_was_only_copied_into_place_begins_a_new_epoch_too() {
    let world = World::sqlite().await;
    let backup = path(&world, "backup");
    world.store.backup(&operator(), &backup, start()).await.unwrap();
    let first = world.store.epoch(start()).await.unwrap();
    let copied = Store::open(&Location::Sqlite(backup), &keys(), after(5)).await.unwrap();
    let epoch = copied.epoch(after(5)).await.unwrap();
    assert_eq!((epoch.number, first.number), (2, 1));
    assert_eq!(copied.epoch(after(6)).await.unwrap(), epoch, "once");
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let world = World::sqlite().await;
    let (text, store, to) = (path(&world, "text"), path(&world, "other.db"), path(&world, "to.db"));
    std::fs::write(&text, "not a database, but long enough to be taken for one".repeat(100)).unwrap();
    Store::open(&Location::Sqlite(store.clone()), &keys(), start()).await.unwrap().close().await;
    for file in [&text, &store] {
        let error = refused(restore(file, &to, Over::Nothing, &keys(), start()).await);
        assert!(matches!(error, BackupError::NoBackup { .. }), "{error}");
    }
    let missing = refused(restore(&path(&world, "missing"), &to, Over::Nothing, &keys(), start()).await);
    assert!(matches!(missing, BackupError::File { .. }), "{missing}");
    assert!(!to.exists());
}

#[tokio::test]
async fn a_damaged_backup_is_not_restored() {
    let world = World::sqlite().await;
    for number in 0..200 {
        note(&world.store, &format!("thing {number} {}", "x".repeat(200))).await;
    }
    let backup = path(&world, "backup");
    world.store.backup(&operator(), &backup, start()).await.unwrap();
    let mut bytes = std::fs::read(&backup).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 6000].fill(0xa5);
    std::fs::write(&backup, bytes).unwrap();
    let error = refused(restore(&backup, &path(&world, "to.db"), Over::Nothing, &keys(), start()).await);
    assert!(matches!(error, BackupError::NoBackup { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_while_others_write() {
    let world = World::sqlite().await;
    let backup = path(&world, "backup");
    let store = std::sync::Arc::new(world.store);
    let writing = tokio::spawn({
        let store = std::sync::Arc::clone(&store);
        async move {
            for number in 0..300 {
                note(&store, &format!("thing {number}")).await;
            }
        }
    });
    store.backup(&operator(), &backup, start()).await.unwrap();
    writing.await.unwrap();
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let again = store.backup(&operator(), &backup, start()).await.unwrap_err();
    assert!(matches!(&again, Error::Backup(error) if matches!(**error, BackupError::Exists(_))), "{again:?}");

    let Database::Sqlite(directory) = &world.database else { unreachable!() };
    let to = directory.path().join("to.db");
    std::fs::set_permissions(&backup, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(restore(&backup, &to, Over::Nothing, &keys(), start()).await.unwrap(), None);
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    let restored = Store::open(&Location::Sqlite(to), &keys(), start()).await.unwrap();
    seal(&restored).await;
    assert_eq!(restored.verify_audit(&[]).await.unwrap().findings, []);
    let leftovers = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("partial"));
    assert_eq!(leftovers.count(), 0);
}

#[tokio::test]
async fn postgresql_is_backed_up_by_its_own_tools() {
    let Some(world) = World::postgres().await else { return };
    let refused =
        world.store.backup(&operator(), std::path::Path::new("/nowhere"), start()).await.unwrap_err();
    assert!(matches!(&refused, Error::Backup(error) if matches!(**error, BackupError::NotSqlite)));
}
