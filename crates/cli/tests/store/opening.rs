//! Opening a store by the configuration, and `migrate`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::installation::{Installation, shown};

#[test]
fn a_configuration_without_a_store_has_nothing_to_work_on() {
    let installation = Installation::with("");
    let run = installation.run(&["migrate"]).code(64).prints_nothing();
    run.complains("has no [store], so there is nothing to work on").complains("hint: add [store] with url");
}

#[test]
fn a_store_in_a_folder_that_is_not_there_says_what_is_missing() {
    let installation = Installation::with("[store]\nurl = \"sqlite:nowhere/ringfence.db\"\n");
    let run = installation.run(&["migrate"]).code(69).prints_nothing();
    let run = run.complains("a new store needs ").complains("nowhere/ringfence.key, which cannot be made");
    run.complains("its folder must be there, and one that this user may write to");
}

#[test]
fn a_lost_key_is_not_made_anew_and_check_says_so_too() {
    let installation = Installation::new();
    installation.run(&["migrate"]).code(0);
    fs::remove_file(installation.path("ringfence.key")).expect("the key");
    for command in ["migrate", "check"] {
        let run = installation.run(&[command]).code(64).prints_nothing();
        run.complains("there is a database, but its master key").complains("is missing: put it back");
    }
    assert!(!installation.path("ringfence.key").exists());
}

#[test]
fn a_key_that_others_may_read_opens_nothing() {
    let installation = Installation::new();
    installation.run(&["migrate"]).code(0);
    let key = installation.path("ringfence.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).expect("permissions");
    installation
        .run(&["migrate"])
        .code(64)
        .complains("may be read or changed by others (mode 644): chmod 600 it");
}

#[test]
fn another_key_opens_nothing() {
    let installation = Installation::new();
    installation.run(&["migrate"]).code(0);
    fs::write(installation.path("ringfence.key"), "0a".repeat(32)).expect("a file");
    let run = installation.run(&["migrate"]).code(64).prints_nothing();
    run.complains("the database is sealed with the master key").complains("give the key that belongs to it");
}

#[test]
fn a_database_that_is_not_there_is_unavailable_and_its_password_is_not_told() {
    let installation = Installation::with(
        "[store]\nurl = \"postgres://u:geheim@127.0.0.1:1/ringfence\"\nmaster_key = \"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\"\n",
    );
    let run = installation.run(&["migrate"]).code(69).prints_nothing();
    assert!(!run.err.contains("geheim"), "{}", run.err);
    run.complains("the database is away").complains("hint: the store is postgres://127.0.0.1:1/ringfence");
}

#[test]
fn what_only_looks_makes_no_store() {
    let installation = Installation::new();
    for command in [
        &["key", "list"][..],
        &["api-token", "list"],
        &["application", "list"],
        &["application", "stopped"],
        &["user", "list"],
        &["audit", "verify"],
        &["audit", "export"],
        &["audit", "heads"],
        &["inspector", "show"],
    ] {
        let run = installation.run(command).code(69).prints_nothing();
        let run =
            run.complains("there is no store at sqlite:").complains("ringfence.db yet, so nothing is known");
        run.complains("hint: `ringfence serve --config ");
    }
    assert!(!installation.path("ringfence.db").exists() && !installation.path("ringfence.key").exists());
}

/// What `serve` says as it gives up, and whatever command works on the store.
const OPENING: [&str; 3] = ["migrate", "status", "serve"];

#[test]
fn a_file_that_is_no_database_is_named_by_whoever_opens_it_with_what_to_do() {
    let installation = Installation::new();
    installation.run(&["migrate"]).code(0);
    fs::write(installation.path("ringfence.db"), "a letter, and no database ".repeat(400)).expect("a file");
    for command in OPENING {
        let run = installation.run(&[command]).code(69).prints_nothing();
        let named = format!("{} is no database, or a damaged one", shown(&installation.path("ringfence.db")));
        run.complains(&named)
            .complains("name another file in `url` of [store], or put a backup in its place");
    }
}

#[test]
fn a_folder_in_the_place_of_the_file_is_named_and_check_warns_of_it() {
    let installation = Installation::new();
    fs::create_dir(installation.path("ringfence.db")).expect("a folder");
    let database = shown(&installation.path("ringfence.db"));
    fs::write(installation.path("ringfence.key"), "0a".repeat(32)).expect("a file");
    fs::set_permissions(installation.path("ringfence.key"), Permissions::from_mode(0o600)).expect("a mode");
    for command in ["migrate", "serve"] {
        let run = installation.run(&[command]).code(69).prints_nothing();
        run.complains(&format!("{database} cannot be opened: Is a directory"))
            .complains("a file that this user may read and write");
    }
    installation
        .run(&["check", "--offline"])
        .code(0)
        .says(&format!("{database} is a folder; a store is a file"));
}

#[test]
fn a_store_of_a_newer_program_is_named_with_what_to_do() {
    let installation = Installation::new();
    installation.run(&["migrate"]).code(0);
    installation.statement("INSERT INTO schema_version (version, applied_at) VALUES (9999, 0)");
    for command in ["migrate", "serve"] {
        let run = installation.run(&[command]).code(64).prints_nothing();
        let run = run.complains("the database is of version 9999, this program knows versions up to");
        run.complains("restore a backup from before the upgrade")
            .complains(&format!("hint: the store is sqlite:{}", shown(&installation.path("ringfence.db"))));
    }
}

#[test]
fn check_warns_of_a_folder_that_is_not_there_on_the_line_that_names_it() {
    let installation = Installation::with("[store]\nurl = \"sqlite:nowhere/ringfence.db\"\n");
    let run = installation.run(&["check", "--offline"]).code(0);
    let nowhere = shown(&installation.path("nowhere"));
    let line = fs::read_to_string(installation.path("ringfence.toml")).expect("a file");
    let line = line.lines().position(|line| line.starts_with("url = \"sqlite")).expect("the line") + 1;
    let run = run.says(&format!("ringfence.toml:{line}: `url` in [store]: there is no folder {nowhere}"));
    drop(run.says("and `serve` makes none"));
    let json = installation.run(&["check", "--offline", "--json"]).code(0).json();
    assert_eq!(json["warnings"][0]["line"], line, "{json}");
    let installation = Installation::new();
    let run = installation.run(&["check", "--offline"]).code(0);
    assert!(!run.out.contains("warning"), "{}", run.out);
}

#[test]
fn migrate_makes_the_store_once_and_says_where_and_of_which_version() {
    let installation = Installation::new();
    let shown = format!("sqlite:{}", shown(&installation.path("ringfence.db")));
    let made = installation.run(&["migrate"]).code(0).complains("the master key was made at");
    let version = made.out.strip_prefix(&format!("{shown}: made, version ")).expect("where it is").trim();
    let version: i64 = version.parse().expect("a number");
    assert!(version >= 2);
    let key = fs::read(installation.path("ringfence.key")).expect("a key");

    let again = installation.run(&["migrate"]).code(0);
    assert_eq!((again.out, again.err), (format!("{shown}: up to date, version {version}\n"), String::new()));
    assert_eq!(fs::read(installation.path("ringfence.key")).expect("a key"), key);

    let json = installation.run(&["migrate", "--json"]).code(0).json();
    let expected = serde_json::json!({
        "store": shown, "found": version, "version": version, "changed": false, "made_master_key": null,
    });
    assert_eq!(json, expected);
}
