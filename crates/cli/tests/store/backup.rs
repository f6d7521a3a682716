//! `ringfence store backup` and `store restore`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::{FlockOperation, fcntl_lock};

use crate::installation::{Installation, shown};

/// An installation with one token, and a backup of it.
fn with_a_backup() -> (Installation, String) {
    let installation = Installation::new();
    installation.run(&["api-token", "create", "--name", "before"]).code(0);
    let backup = shown(&installation.path("backup"));
    installation
        .run(&["store", "backup", &backup])
        .code(0)
        .says(&format!("is copied to {backup}; its master key"));
    (installation, backup)
}

fn remove(installation: &Installation) {
    for name in ["ringfence.db", "ringfence.db-wal", "ringfence.db-shm"] {
        _ = fs::remove_file(installation.path(name));
    }
}

#[test]
fn a_backup_replaces_no_file() {
    let (installation, backup) = with_a_backup();
    installation.run(&["store", "backup", &backup]).code(2).prints_nothing().complains("is there already");
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let (installation, _backup) = with_a_backup();
    remove(&installation);
    let letter = installation.write("letter", &"this is a letter ".repeat(500));
    installation.run(&["store", "restore", &letter]).code(2).prints_nothing().complains("is not a backup");
    installation.run(&["store", "restore", "/nowhere/b"]).code(69).prints_nothing().complains("/nowhere/b");
    assert!(!installation.path("ringfence.db").exists());
}

#[test]
fn what_cannot_be_read_or_written_is_named_and_nothing_else_is_proposed() {
    let (installation, _backup) = with_a_backup();
    let run = installation.run(&["store", "restore", "/nowhere/b"]).code(69).complains("/nowhere/b");
    assert!(!run.err.contains("--replace"), "{}", run.err);
    installation.run(&["store", "backup", "/nowhere/b"]).code(69).complains("error: /nowhere/b: ");
}

#[test]
fn a_restore_replaces_nothing_unless_it_is_told_to_and_forgets_nothing_unless_that_is_meant() {
    let (installation, backup) = with_a_backup();
    installation.run(&["api-token", "create", "--name", "after"]).code(0);
    let run = installation.run(&["store", "restore", &backup]).code(2).prints_nothing();
    run.complains("is there already").complains("hint: --replace older or --replace anything");
    let run = installation.run(&["store", "restore", &backup, "--replace", "older"]).code(2).prints_nothing();
    run.complains("is newer than the backup").complains("hint: --replace anything says so");
    installation.run(&["api-token", "list"]).code(0).says("after");

    let json =
        installation.run(&["store", "restore", &backup, "--replace", "anything", "--json"]).code(0).json();
    let aside = json["replaced"].as_str().expect("the old store");
    assert!(fs::metadata(aside).is_ok_and(|metadata| metadata.len() > 0), "{aside}");
    let run = installation.run(&["api-token", "list"]).code(0).says("before");
    assert!(!run.out.contains("after"), "{}", run.out);
}

#[test]
fn what_cannot_be_compared_with_a_backup_is_replaced_only_if_that_is_meant() {
    let (installation, backup) = with_a_backup();
    // What a machine leaves that was switched off, with a disk that fails: the log is not taken into the file.
    let (file, log) = (installation.path("ringfence.db"), installation.path("ringfence.db-wal"));
    fs::write(&file, "a disk failed").expect("written");
    fs::write(&log, "and so did this").expect("written");
    let run = installation.run(&["store", "restore", &backup, "--replace", "older"]).code(2).prints_nothing();
    let run = run.complains("cannot be read as a store, so whether the backup lacks something");
    run.complains("hint: --replace anything says so");
    // Whoever has it open keeps a lock on it, whatever is in it.
    let open = File::open(&file).expect("the file");
    fcntl_lock(&open, FlockOperation::NonBlockingLockShared).expect("a lock, as SQLite's");
    installation.run(&["store", "restore", &backup, "--replace", "anything"]).code(69).complains("is in use");
    drop(open);
    let run = installation.run(&["store", "restore", &backup, "--replace", "anything", "--json"]).code(0);
    let aside = run.json()["replaced"].as_str().expect("the old store").to_owned();
    assert_eq!(fs::read_to_string(&aside).expect("the file"), "a disk failed");
    installation.run(&["api-token", "list"]).code(0).says("before");
}

#[test]
fn a_store_is_not_restored_without_the_key_of_the_backup() {
    let (installation, backup) = with_a_backup();
    remove(&installation);
    let key = installation.path("ringfence.key");
    let bytes = fs::read(&key).expect("the key");
    fs::remove_file(&key).expect("the key");
    let run = installation.run(&["store", "restore", &backup]).code(64).prints_nothing();
    run.complains("the master key").complains("hint: put back the key that the backup was made with");
    assert!(!installation.path("ringfence.db").exists() && !key.exists());

    fs::write(&key, bytes).expect("the key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("permissions");
    installation.run(&["store", "restore", &backup]).code(0).says("ringfence.db is restored from");
    installation.run(&["api-token", "list"]).code(0).says("before");
    let rows = installation.in_store(async |store| store.audit_rows(None, None, 5).await.expect("rows"));
    assert!(
        rows.iter().any(|row| row.action == "store.restore" && row.actor.kind() == "command-line"),
        "{rows:?}"
    );
}

#[test]
fn a_backup_of_another_key_leaves_the_store_as_it_was() {
    let (installation, backup) = with_a_backup();
    let (_elsewhere, strange) = with_a_backup();
    let run =
        installation.run(&["store", "restore", &strange, "--replace", "older"]).code(2).prints_nothing();
    run.complains("is of another installation than the backup").complains("hint: --replace anything says so");
    let run = installation.run(&["store", "restore", &strange, "--replace", "anything"]).code(64);
    let run = run.prints_nothing().complains("is sealed with the master key");
    run.complains("hint: nothing is replaced; put back the key");
    installation.run(&["api-token", "list"]).code(0).says("before");
    installation.run(&["store", "restore", &backup, "--replace", "anything"]).code(0);
    installation.run(&["api-token", "list"]).code(0).says("before");
}

#[test]
fn no_store_is_made_where_one_is_to_be_copied_or_has_forgotten_something() {
    let installation = Installation::new();
    let backup = shown(&installation.path("backup"));
    for command in [&["store", "backup", &backup][..], &["store", "new-epoch", "--reason", "a dump"]] {
        let run = installation.run(command).code(69).prints_nothing();
        run.complains("there is no store at").complains("ringfence.db yet");
    }
    for name in ["ringfence.db", "ringfence.key", "backup"] {
        assert!(!installation.path(name).exists(), "{name}");
    }
}

#[test]
fn a_new_epoch_needs_a_reason_and_the_audit_log_keeps_it() {
    let installation = Installation::new();
    installation.run(&["store", "new-epoch"]).code(2).prints_nothing().complains("--reason");
    installation.run(&["store", "new-epoch", "--reason", " "]).code(2).prints_nothing();
    let reason = "a dump was restored into the same cluster";
    installation.run(&["migrate"]).code(0);
    installation.run(&["store", "new-epoch", "--reason", reason]).code(0).says("is in epoch 2");
    let json = installation.run(&["store", "new-epoch", "--reason", reason, "--json"]).code(0).json();
    assert_eq!(json["epoch"], 3);
    installation.seal();
    let log = installation.run(&["audit", "export"]).code(0);
    log.says("epoch.begin").says(reason).says("epoch 3");
}
