use ringfence_store::{AuditFilter, ExportOf, Finding, Head, NewAudit, SealedSoFar};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::world::{World, after, on_both, operator, seal, start};

on_both! {
    a_row_that_was_changed_is_found,
    a_row_that_was_removed_is_found,
    a_row_that_was_inserted_is_found,
    rows_that_changed_places_are_found,
    a_chain_that_was_computed_anew_is_found_by_its_heads,
    a_log_that_was_cut_off_is_found_by_its_heads,
    a_log_that_was_cut_off_with_its_heads_is_found_from_outside,
    a_forged_head_is_found,
    audit_rows_cannot_be_changed_by_mistake,
    any_single_change_of_any_row_is_found,
    an_untouched_log_verifies_while_it_grows,
    an_erased_person_leaves_the_chain_whole,
    an_export_goes_on_where_it_was_interrupted,
    rows_come_newest_first_and_by_target,
    rows_are_found_by_parts_of_what_they_say_and_by_account,
    what_happened_to_breakers_is_told_apart_from_everything_else,
    a_log_says_how_much_of_it_is_sealed,
}

/// Ten rows, sealed in three runs.
async fn sealed(world: &World) -> Vec<Head> {
    let mut heads = Vec::new();
    for (from, to) in [(1, 4), (4, 7), (7, 11)] {
        for number in from..to {
            let audit = NewAudit::new("thing.do", format!("thing {number}")).with(json!({ "n": number }));
            world.store.audit(&operator(), audit, after(number)).await.unwrap();
        }
        heads.extend(seal(&world.store).await);
    }
    assert_eq!(world.store.verify_audit(&heads).await.unwrap().findings, []);
    heads
}

async fn findings(world: &World) -> Vec<Finding> {
    world.store.verify_audit(&[]).await.unwrap().findings
}

async fn a_row_that_was_changed_is_found(world: World) {
    sealed(&world).await;
    world.unlock_audit().await;
    for (column, value) in [
        ("at", "at + 1"),
        ("actor_kind", "'job'"),
        ("actor_name", "'mallory'"),
        ("action", "'thing.undo'"),
        ("target", "'thing 55'"),
        ("detail", "'{}'"),
        ("person", "''"),
    ] {
        let before = match column {
            "at" => "at - 1".to_owned(),
            "actor_kind" => "'command-line'".into(),
            "actor_name" => "'alice'".into(),
            "action" => "'thing.do'".into(),
            "target" => "'thing 5'".into(),
            "detail" => "'{\"n\":5}'".into(),
            _ => "NULL".into(),
        };
        world.run(&format!("UPDATE audit SET {column} = {value} WHERE id = 6")).await;
        assert_eq!(findings(&world).await, [Finding::Changed { seq: 6, audit_id: 6 }], "{column}");
        world.run(&format!("UPDATE audit SET {column} = {before} WHERE id = 6")).await;
        assert_eq!(findings(&world).await, [], "{column}, put back");
    }
}

async fn a_row_that_was_removed_is_found(world: World) {
    sealed(&world).await;
    world.unlock_audit().await;
    world.run("DELETE FROM audit WHERE id = 6").await;
    assert_eq!(findings(&world).await, [Finding::Removed { seq: 6, audit_id: 6 }]);
    world.run("DELETE FROM audit_chain WHERE seq = 6").await;
    assert_eq!(findings(&world).await, [Finding::Gap { from: 6, to: 6 }]);
}

async fn a_row_that_was_inserted_is_found(world: World) {
    sealed(&world).await;
    world.unlock_audit().await;
    world.run("DELETE FROM audit_chain WHERE seq = 6; DELETE FROM audit WHERE id = 6").await;
    world
        .run(
            "INSERT INTO audit (id, at, actor_kind, actor_name, action, target, detail) \
         VALUES (6, 1, 'job', 'mallory', 'thing.do', 'thing 5', '{}')",
        )
        .await;
    let found = findings(&world).await;
    assert_eq!(found, [Finding::Gap { from: 6, to: 6 }, Finding::Inserted { audit_id: 6 }]);
}

async fn rows_that_changed_places_are_found(world: World) {
    sealed(&world).await;
    world
        .run(
            "UPDATE audit_chain SET seq = -5 WHERE seq = 5; UPDATE audit_chain SET seq = 5 WHERE seq = 6; \
         UPDATE audit_chain SET seq = 6 WHERE seq = -5",
        )
        .await;
    let found = findings(&world).await;
    assert!(found.contains(&Finding::Reordered { seq: 6, audit_id: 5 }), "{found:?}");
    assert!(found.contains(&Finding::Changed { seq: 5, audit_id: 6 }), "{found:?}");
}

async fn a_chain_that_was_computed_anew_is_found_by_its_heads(world: World) {
    sealed(&world).await;
    // A hash that was put in the place of another stands for any chain that was computed anew from there.
    world
        .run("UPDATE audit_chain SET hash = (SELECT hash FROM audit_chain WHERE seq = 2) WHERE seq = 11")
        .await;
    let found = findings(&world).await;
    assert!(found.contains(&Finding::HeadDisagrees { seq: 11 }), "{found:?}");
}

async fn a_log_that_was_cut_off_is_found_by_its_heads(world: World) {
    sealed(&world).await;
    world.unlock_audit().await;
    world.run("DELETE FROM audit_chain WHERE seq > 8; DELETE FROM audit WHERE id > 8").await;
    assert_eq!(findings(&world).await, [Finding::Gap { from: 9, to: 11 },]);
}

async fn a_log_that_was_cut_off_with_its_heads_is_found_from_outside(world: World) {
    let heads = sealed(&world).await;
    world.unlock_audit().await;
    world.run("DELETE FROM audit_chain WHERE seq > 7; DELETE FROM audit WHERE id > 7; DELETE FROM audit_heads WHERE seq > 7")
        .await;
    assert_eq!(findings(&world).await, [], "from inside nobody can tell");
    let lines: Vec<_> = heads.iter().map(Head::to_line).collect();
    let outside: Vec<_> = lines.iter().filter_map(|line| Head::parse_line(line)).collect();
    assert_eq!(outside, heads);
    let found = world.store.verify_audit(&outside).await.unwrap().findings;
    assert_eq!(found, [Finding::Gap { from: 8, to: 11 }]);
}

async fn a_forged_head_is_found(world: World) {
    let heads = sealed(&world).await;
    let forged = Head { audit_id: 99, ..heads[0].clone() };
    let found = world.store.verify_audit(&[forged]).await.unwrap().findings;
    assert_eq!(found, [Finding::Forged { seq: heads[0].seq }]);
    world.run("UPDATE audit_heads SET seq = 9 WHERE seq = 11").await;
    assert_eq!(findings(&world).await, [Finding::Forged { seq: 9 }, Finding::Unsigned { seq: 11 }]);
}

async fn audit_rows_cannot_be_changed_by_mistake(world: World) {
    sealed(&world).await;
    for statement in ["UPDATE audit SET action = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 11"]
    {
        let refused = match &world.location {
            ringfence_store::Location::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.is_err()
            }
            ringfence_store::Location::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
                sqlx::raw_sql(statement).execute(&mut connection).await.is_err()
            }
        };
        assert!(refused, "{statement}");
    }
    assert_eq!(findings(&world).await, []);
}

async fn any_single_change_of_any_row_is_found(world: World) {
    sealed(&world).await;
    world.unlock_audit().await;
    let saved = ["audit", "audit_chain", "audit_heads"];
    for table in saved {
        world.run(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
    }
    for id in 1..=11 {
        for change in [
            format!("UPDATE audit SET detail = '[]' WHERE id = {id}"),
            format!("UPDATE audit SET id = 99 WHERE id = {id}"),
            format!("DELETE FROM audit WHERE id = {id}"),
            format!("DELETE FROM audit_chain WHERE audit_id = {id}"),
            format!("DELETE FROM audit_chain WHERE audit_id = {id}; DELETE FROM audit WHERE id = {id}"),
            format!("UPDATE audit_chain SET audit_id = 99 WHERE audit_id = {id}"),
            format!("UPDATE audit_chain SET seq = 99 WHERE audit_id = {id}"),
            format!(
                "UPDATE audit_chain SET hash = (SELECT signature FROM audit_heads WHERE seq = 11) WHERE seq = {id}"
            ),
        ] {
            world.run(&change).await;
            assert_ne!(findings(&world).await, [], "{change}");
            for table in saved {
                world
                    .run(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved_{table}"))
                    .await;
            }
        }
    }
    assert_eq!(findings(&world).await, [], "put back");
}

async fn an_untouched_log_verifies_while_it_grows(world: World) {
    let nodes = std::sync::Arc::new([world.another().await, world.another().await]);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let nodes = nodes.clone();
            tokio::spawn(async move {
                for number in 0..50 {
                    let audit = NewAudit::new("thing.do", format!("thing {writer} {number}"));
                    nodes[writer % 2].audit(&operator(), audit, start()).await.unwrap();
                }
            })
        })
        .collect();
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        world.store.seal_audit(after(100)).await.unwrap();
        assert_eq!(findings(&world).await, []);
    }
    seal(&world.store).await;
    let verified = world.store.verify_audit(&[]).await.unwrap();
    assert_eq!((verified.rows, verified.unsealed, verified.findings), (201, 0, vec![]));
}

async fn an_erased_person_leaves_the_chain_whole(world: World) {
    let store = &world.store;
    let about = |text: &str| NewAudit::new("notice.send", "account AC1").about("person-1", text);
    store.audit(&operator(), about("mail to ann@example.com"), after(1)).await.unwrap();
    store
        .audit(&operator(), NewAudit::new("notice.send", "account AC1").about("person-2", "bob"), after(2))
        .await
        .unwrap();
    seal(store).await;
    let rows = store.audit_rows(Some("account AC1"), None, 9).await.unwrap();
    assert_eq!(rows[1].personal.as_deref(), Some("mail to ann@example.com"));

    assert!(store.erase_person(&operator(), "person-1", after(3)).await.unwrap());
    assert!(!store.erase_person(&operator(), "person-1", after(4)).await.unwrap());
    store.audit(&operator(), about("a new text"), after(5)).await.unwrap();
    seal(store).await;
    let rows = store.audit_rows(Some("account AC1"), None, 9).await.unwrap();
    let personal: Vec<_> = rows.iter().map(|row| row.personal.as_deref()).collect();
    assert_eq!(personal, [Some("a new text"), Some("bob"), None], "newest first");
    assert_eq!(findings(&world).await, []);
}

async fn an_export_goes_on_where_it_was_interrupted(world: World) {
    let store = &world.store;
    sealed(&world).await;
    let about = NewAudit::new("notice.send", "x").about("person-1", "ann@example.com");
    store.audit(&operator(), about, after(11)).await.unwrap();
    assert_eq!(
        store.export_audit(0, 100, ExportOf::WithPersonal).await.unwrap().len(),
        11,
        "only what is sealed"
    );
    seal(store).await;

    let (mut after_id, mut lines) = (0, Vec::new());
    loop {
        let page = store.export_audit(after_id, 5, ExportOf::WithoutPersonal).await.unwrap();
        let Some(last) = page.last() else { break };
        after_id = serde_json::from_str::<Value>(last).unwrap()["id"].as_i64().unwrap();
        lines.extend(page);
    }
    assert_eq!(lines.len(), 12);
    assert!(!lines.concat().contains("ann@example.com"));
    let places: Vec<_> =
        lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64()).collect();
    assert!(places.into_iter().eq((1..=12).map(Some)));
    let whole = store.export_audit(0, 100, ExportOf::WithPersonal).await.unwrap().concat();
    assert!(whole.contains("ann@example.com"));
}

async fn rows_are_found_by_parts_of_what_they_say_and_by_account(world: World) {
    let (one, two) = (format!("AC{}", "1".repeat(32)), format!("AC{}", "2".repeat(32)));
    for (action, target) in [
        ("account.new", format!("account {one}")),
        ("breaker.trip", format!("breaker 100% of all_day of {one}")),
        ("breaker.trip", format!("breaker night of {two}")),
        ("breaker.trip", "breaker sum of together".to_owned()),
        ("effect.add", format!("effect status/{one}/night/1")),
    ] {
        world.store.audit(&operator(), NewAudit::new(action, target), after(1)).await.unwrap();
    }
    let found = async |filter: AuditFilter, before: Option<i64>, limit: usize| {
        let rows = world.store.search_audit(&filter, before, limit).await.unwrap();
        rows.into_iter().map(|row| row.target).collect::<Vec<_>>()
    };
    let of = |text: &str| AuditFilter { target: Some(text.to_owned()), ..AuditFilter::default() };
    let own = [format!("breaker 100% of all_day of {one}"), format!("account {one}")];
    assert_eq!(found(of("100%"), None, 9).await, own[..1], "what is text is no pattern");
    assert_eq!(found(of("ALL_day"), None, 9).await, own[..1], "case does not count");
    for nothing in ["all%day", "allxday", "100!%", "100_ of"] {
        assert_eq!(found(of(nothing), None, 9).await, Vec::<String>::new(), "{nothing}");
    }
    let account = AuditFilter { account: Some(one.parse().unwrap()), ..AuditFilter::default() };
    assert_eq!(found(account.clone(), None, 9).await, own, "of this account alone, newest first");
    assert_eq!(found(account.clone(), None, 1).await, own[..1]);
    let newest = world.store.search_audit(&account, None, 1).await.unwrap()[0].id;
    assert_eq!(found(account.clone(), Some(newest), 9).await, own[1..]);
    let by = |actor: &str, action: &str| AuditFilter {
        actor: Some(actor.to_owned()),
        action: Some(action.to_owned()),
        ..account.clone()
    };
    assert_eq!(found(by("command-line alice", "trip"), None, 9).await, own[..1], "all of it holds at once");
    assert_eq!(found(by("bob", ""), None, 9).await, Vec::<String>::new());
}

async fn rows_come_newest_first_and_by_target(world: World) {
    sealed(&world).await;
    let newest = world.store.audit_rows(None, None, 3).await.unwrap();
    let targets: Vec<_> = newest.iter().map(|row| row.target.as_str()).collect();
    assert_eq!(targets, ["thing 10", "thing 9", "thing 8"]);
    let before = world.store.audit_rows(None, Some(newest[2].id), 1).await.unwrap();
    assert_eq!(before[0].target, "thing 7");
    assert_eq!(world.store.audit_rows(Some("thing 3"), None, 9).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sealer_waits_for_a_transaction_that_took_an_id_and_is_open() {
    let Some(world) = World::postgres().await else { return };
    let ringfence_store::Location::Postgres(url) = &world.location else { unreachable!("it was just made") };
    seal(&world.store).await;
    let insert = "INSERT INTO audit (at, actor_kind, actor_name, action, target, detail) \
                  VALUES (1, 'job', 'slow', 'thing.do', 'slow', '{}')";

    // 1. A slow transaction takes the lower id, a quick one commits the higher.
    let mut slow = sqlx::PgConnection::connect(url.expose()).await.unwrap();
    let mut open = slow.begin().await.unwrap();
    sqlx::raw_sql(insert).execute(&mut *open).await.unwrap();
    world.store.audit(&operator(), NewAudit::new("thing.do", "quick"), after(1)).await.unwrap();

    // 2. The quick one is not sealed, since the slow one belongs before it; and nobody waits meanwhile.
    for _ in 0..3 {
        assert_eq!(world.store.seal_audit(after(2)).await.unwrap().rows, 0);
        world.store.audit(&operator(), NewAudit::new("thing.do", "later"), after(2)).await.unwrap();
    }

    // 3. Once it has committed, everything is sealed in the order of ids.
    open.commit().await.unwrap();
    seal(&world.store).await;
    let verified = world.store.verify_audit(&[]).await.unwrap();
    assert_eq!((verified.unsealed, verified.findings), (0, vec![]));
    let lines = world.store.export_audit(1, 2, ExportOf::WithPersonal).await.unwrap();
    assert!(lines[0].contains("slow") && lines[1].contains("quick"), "{lines:?}");
}

async fn what_happened_to_breakers_is_told_apart_from_everything_else(world: World) {
    let store = &world.store;
    let mut ids = Vec::new();
    for (second, action, target) in [
        (1, "breaker.trip", "breaker daily of AC1"),
        (2, "breaker.trip", "breakers"),
        (3, "effect.add", "effect breaker daily"),
        (4, "breaker.reset", "breaker daily of AC1"),
        (5, "breaker.would-trip", "breaker daily of AC2"),
        (6, "breaker.trip", "breaker daily of AC1"),
        (7, "breaker.warn", "breaker daily of AC1"),
    ] {
        let id = store.audit(&operator(), NewAudit::new(action, target), after(second)).await.unwrap();
        if target.starts_with("breaker ") {
            ids.push(id);
        }
    }
    let first = store.audit_of_breakers(0, 3).await.unwrap();
    let rest = store.audit_of_breakers(first[2].id, 3).await.unwrap();
    let found: Vec<_> = first.iter().chain(&rest).map(|row| row.id).collect();
    assert_eq!(found, ids);

    let mut last: Vec<_> = store
        .last_done_to_breakers("breaker.trip", "breaker.would-trip")
        .await
        .unwrap()
        .into_iter()
        .collect();
    last.sort();
    let wanted = [("breaker daily of AC1", 6), ("breaker daily of AC2", 5)];
    assert_eq!(last, wanted.map(|(target, second)| (target.to_owned(), after(second))));
}

async fn a_log_says_how_much_of_it_is_sealed(world: World) {
    let before = world.store.sealed_so_far().await.unwrap();
    assert_eq!(before.head, None);
    let heads = sealed(&world).await;
    let last = heads.last().unwrap();
    let head = Some((last.seq, last.audit_id, last.signed_at));
    assert_eq!(world.store.sealed_so_far().await.unwrap(), SealedSoFar { head, unsealed: 0 });
    world.store.audit(&operator(), NewAudit::new("thing.do", "thing"), after(20)).await.unwrap();
    assert_eq!(world.store.sealed_so_far().await.unwrap(), SealedSoFar { head, unsealed: 1 });
}
