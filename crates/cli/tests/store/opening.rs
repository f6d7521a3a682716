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
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("permissions");
    installation.run(&["migrate"]).code(64).complains("may be read by others (mode 640): chmod 600 it");
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
fn a_folder_that_is_not_there_is_unavailable() {
    let installation = Installation::with("[store]\nurl = \"sqlite:nowhere/ringfence.db\"\n");
    installation.run(&["migrate"]).code(69).prints_nothing().complains("nowhere/ringfence.key");
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
