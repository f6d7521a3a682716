//! What was acknowledged is there after `kill -9`.
//!
//! This test starts itself again as the process that is killed: [`writes_are_answered_in_order`] goes on for ever where
//! [`WHERE`] names a database.

use std::process::Stdio;

use ringfence_model::Secret;
use ringfence_store::{Durability, Location, NewAudit, Store};
use ringfence_testkit::PostgresDatabase;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::world::{Database, World, keys, on_both, operator, seal, start};

on_both! { what_was_acknowledged_survives_a_kill, a_store_says_how_its_database_treats_a_commit }

/// The variable by which the process that is killed is told where to write.
const WHERE: &str = "RINGFENCE_TEST_WRITES_TO";

async fn what_was_acknowledged_survives_a_kill(world: World) {
    let to = match &world.database {
        Database::Sqlite(directory) => directory.path().join("ringfence.db").display().to_string(),
        Database::Postgres(database) => database.url(),
    };
    world.store.close().await;
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::writes_are_answered_in_order", "--nocapture"])
            .env(WHERE, &to)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It is killed in the middle of its writes, at another one each time.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(target) = line.strip_prefix("acknowledged ") {
                acknowledged.push(target.to_owned());
            }
            if acknowledged.len() == 40 + 7 * round {
                child.start_kill().unwrap();
            }
        }
        assert!(!child.wait().await.unwrap().success());
        assert!(acknowledged.len() >= 40, "{}", acknowledged.len());

        let store = Store::open(&world.location, &keys(), start()).await.unwrap();
        for target in &acknowledged {
            let rows = store.audit_rows(Some(target), None, 2).await.unwrap();
            assert_eq!(rows.len(), 1, "{target} was acknowledged");
        }
        seal(&store).await;
        assert_eq!(store.verify_audit(&[]).await.unwrap().findings, []);
        store.close().await;
    }
}

async fn a_store_says_how_its_database_treats_a_commit(world: World) {
    match world.store.durability().await.unwrap() {
        Durability::Sqlite { synchronous, journal_mode } => {
            assert_eq!((synchronous, journal_mode.as_str()), (2, "wal"));
        }
        // The tests' cluster waits for no disk, and our connections ask for durable commits all the same.
        Durability::Postgres(server) => {
            assert_eq!((server.fsync, server.full_page_writes), (false, false));
            assert_eq!((server.synchronous_commit.as_str(), server.role.as_str()), ("on", "ringfence"));
            let by_default = server.by_default.expect("it is asked");
            assert_eq!((by_default.value.as_str(), by_default.from.as_str()), ("on", "default"));
        }
    }
}

#[tokio::test]
async fn what_was_set_for_a_role_or_a_database_is_told_with_its_place() {
    let Some(database) = PostgresDatabase::create_durable() else { return };
    let location = Location::Postgres(Secret::new(database.url()));
    let store = Store::open(&location, &keys(), start()).await.unwrap();
    let name = database.psql("SELECT current_database()").trim().to_owned();
    for (set, reset, from) in [
        (
            format!("ALTER DATABASE {name} SET synchronous_commit = off"),
            format!("ALTER DATABASE {name} RESET synchronous_commit"),
            "database",
        ),
        (
            format!("ALTER ROLE ringfence IN DATABASE {name} SET synchronous_commit = off"),
            format!("ALTER ROLE ringfence IN DATABASE {name} RESET synchronous_commit"),
            "database user",
        ),
    ] {
        database.psql(&set);
        let Durability::Postgres(server) = store.durability().await.unwrap() else { panic!("a server") };
        let by_default = server.by_default.expect("it is asked");
        assert_eq!((by_default.value.as_str(), by_default.from.as_str()), ("off", from));
        assert_eq!(server.synchronous_commit, "on", "our own connections ask for it");
        assert!(server.fsync && server.full_page_writes);
        database.psql(&reset);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "how a test tells itself, in another process, what to do")]
async fn writes_are_answered_in_order() {
    let told = std::env::var(WHERE).ok();
    let world = World::sqlite().await;
    let location = match &told {
        None => world.location.clone(),
        Some(url) if url.starts_with("postgres:") => Location::Postgres(Secret::new(url)),
        Some(path) => Location::Sqlite(path.into()),
    };
    let store = Store::open(&location, &keys(), start()).await.unwrap();
    let mut before = 0;
    for number in 0.. {
        let target = format!("write {number} of {}", std::process::id());
        let id = store.audit(&operator(), NewAudit::new("thing.do", &target), start()).await.unwrap();
        assert!(id > before);
        before = id;
        match told {
            Some(_) => println!("acknowledged {target}"),
            None if number == 50 => break,
            None => {}
        }
    }
    assert_eq!(store.audit_rows(None, None, 100).await.unwrap().len(), 52);
}
