//! `[store]` and `[twilio]`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use ringfence_model::Secret;
use ringfence_store::MasterKey as StoreKey;

use super::*;
use crate::config::store::{Database, MasterKey, Store};

/// What everything is told that is no key of the store.
const NO_KEY: &str = "a master key is 64 hexadecimal digits, for example from `openssl rand -hex 32`";
const KEY_TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

fn store(lines: &str) -> Store {
    let loaded = read(&format!("{SOUND}\n[store]\n{lines}\n")).unwrap_or_else(|error| panic!("{error}"));
    loaded.control.store.expect("a store")
}

#[track_caller]
fn refused_in(section: &str, lines: &str, expected: &str) {
    let error = read(&format!("{SOUND}\n[{section}]\n{lines}\n")).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[track_caller]
fn warned_in(section: &str, lines: &str, expected: &str) {
    warned(&format!("{SOUND}\n[{section}]\n{lines}\n"), expected);
}

#[test]
fn a_store_is_a_file_or_a_server_and_is_named_whole() {
    for (url, expected) in [
        (
            "\"ringfence.db\"",
            "r.toml:15: `url` in [store]: this is neither SQLite nor PostgreSQL; write \"sqlite:ringfence.db\"",
        ),
        ("\"mysql://a@b/c\"", "is neither SQLite nor PostgreSQL"),
        ("\"sqlite:\"", "names no file"),
        ("\"sqlite:folder/\"", "names no file"),
        ("\"sqlite::memory:\"", "would be forgotten at every stop"),
        ("\"sqlite:a.db?mode=ro\"", "has a query"),
        ("\"postgres://user@host\"", "names no database"),
        ("\"postgres://user@host/\"", "names no database"),
        ("\"postgres:///db\"", "names no host"),
        ("\"postgres://user@host/a b\"", "must be percent-encoded"),
        ("1", "this is a whole number, not a URL"),
        ("{ env = \"NOWHERE\" }", "is not set"),
    ] {
        refused_in("store", &format!("url = {url}"), expected);
    }
    refused_in("store", "", "r.toml:14: [store] has no `url`");
    refused_in("store", "ulr = \"sqlite:a.db\"\nurl = \"sqlite:a.db\"", "did you mean \"url\"?");
    for (url, path) in [
        ("sqlite:a.db", "/nowhere/a.db"),
        ("sqlite:///var/a.db", "/var/a.db"),
        ("sqlite:/var/a.db", "/var/a.db"),
    ] {
        let Database::Sqlite(file) = store(&format!("url = \"{url}\"")).database else { panic!("SQLite") };
        assert_eq!(file, Path::new(path));
    }
    let text = "url = \"postgres://user:geheim@127.0.0.1:5432/ringfence\"\nmaster_key = { env = \"KEY\" }";
    let store = store(text);
    assert!(!format!("{store:?}").contains("geheim"));
    let Database::Postgres { url, shown } = store.database else { panic!("PostgreSQL") };
    assert_eq!(url.expose(), "postgres://user:geheim@127.0.0.1:5432/ringfence");
    assert_eq!(shown, "postgres://127.0.0.1:5432/ringfence");
}

#[test]
fn a_password_in_a_wrong_store_s_url_is_not_printed() {
    let error =
        read(&format!("{SOUND}\n[store]\nurl = \"postgres://user:geheim@host\"\n")).expect_err("no database");
    assert!(!error.to_string().contains("geheim"), "{error}");
}

#[test]
fn a_server_s_connection_is_looked_at_twice() {
    let key = "master_key = { env = \"KEY\" }";
    warned_in(
        "store",
        &format!("url = \"postgres://u:p@localhost/db\"\n{key}"),
        "r.toml:15: `url` in [store]: a password stands in the file",
    );
    warned_in(
        "store",
        &format!("url = \"postgres://u@db.internal/db\"\n{key}"),
        "the connection may be in clear",
    );
    // The driver takes the last of them, and lets them count more than what stands before.
    for query in
        ["host=db.internal", "hostaddr=192.0.2.7", "host=localhost&host=db.internal&ssl-mode=disable"]
    {
        let line = format!("url = \"postgres://u@localhost/db?{query}\"\n{key}");
        warned_in("store", &line, "the connection may be in clear");
    }
    let twice = "postgres://u@db.internal/db?sslmode=require&sslmode=disable";
    warned_in("store", &format!("url = \"{twice}\"\n{key}"), "the connection may be in clear");
    let password = format!("url = \"postgres://u@localhost/db?password=p\"\n{key}");
    warned_in("store", &password, "a password stands in the file");
    let hidden = format!("url = \"postgres://u@localhost/db?%68ost=db.internal\"\n{key}");
    refused_in("store", &hidden, "has escapes in the name of a parameter");
    for url in [
        "postgres://u@localhost/db",
        "postgres://u@[::1]:5432/db",
        "postgres://u@db.internal/db?sslmode=verify-full",
        "postgresql:///db?host=/run/postgresql",
    ] {
        let loaded = read(&format!("{SOUND}\n[store]\nurl = \"{url}\"\n{key}\n")).expect(url);
        assert_eq!(loaded.warnings, [], "{url}");
    }
}

#[test]
fn a_master_key_is_made_beside_sqlite_and_demanded_on_postgresql() {
    let MasterKey::MadeAt(path) = store("url = \"sqlite:a.db\"").master_key else { panic!("made") };
    assert_eq!(path, Path::new("/nowhere/a.key"));
    let MasterKey::MadeAt(path) = store("url = \"sqlite:a.key\"").master_key else { panic!("made") };
    assert_eq!(path, Path::new("/nowhere/a.key.key"));
    let MasterKey::MadeAt(path) =
        store("url = \"sqlite:a.db\"\nmaster_key = { file = \"b.key\" }").master_key
    else {
        panic!("made")
    };
    assert_eq!(path, Path::new("/nowhere/b.key"));
    let given = store(
        "url = \"sqlite:a.db\"\nmaster_key = { env = \"KEY\" }\nprevious_master_keys = [\"fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210\"]",
    );
    assert!(matches!(given.master_key, MasterKey::Given(_)));
    assert_eq!(given.previous_master_keys.len(), 1);

    let postgres = "url = \"postgres://u@localhost/db\"";
    refused_in("store", postgres, "r.toml:14: [store] has no `master_key`; write { file = \"PATH\" }");
    refused_in(
        "store",
        &format!("{postgres}\nmaster_key = {{ file = \"b.key\" }}"),
        "cannot read /nowhere/b.key",
    );
    refused_in("store", "url = \"sqlite:a.db\"\nmaster_key = \"short\"", NO_KEY);
    refused_in("store", "url = \"sqlite:a.db\"\nmaster_key = { env = \"NOWHERE\" }", "is not set");
    refused_in(
        "store",
        "url = \"sqlite:a.db\"\nmaster_key = { env = \"KEY\", file = \"a\" }",
        "a secret has one source",
    );
    refused_in("store", "url = \"sqlite:a.db\"\nprevious_master_keys = [{ env = \"PASSWORD\" }]", NO_KEY);
    refused_in(
        "store",
        "url = \"sqlite:a.db\"\nmaster_key = { env = \"KEY\" }\nprevious_master_keys = [{ env = \"KEY\" }]",
        "r.toml:17: `previous_master_keys` in [store]: the master key itself is among them",
    );
}

#[test]
fn a_key_that_is_there_already_is_read_and_never_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name| folder.path().join(name).display().to_string();
    let url = format!("url = \"sqlite:{}\"", path("a.db"));
    let write = |name, text: &str, mode| {
        std::fs::write(path(name), text).expect("a file");
        std::fs::set_permissions(path(name), Permissions::from_mode(mode)).expect("permissions");
    };
    // Named or not, the file is judged alike.
    for name in ["a.key", "b.key"] {
        let lines = match name {
            "a.key" => url.clone(),
            _ => format!("{url}\nmaster_key = {{ file = \"{}\" }}", path(name)),
        };
        // 48 bytes of Base64 are as good a secret, and no key.
        for text in ["short", "9u8YH1UsdZ0nqUqTtdSfJ3nIl0oXzK8vUoTQF3Zb4nM0cXkq", &"0".repeat(65)] {
            write(name, text, 0o600);
            refused_in("store", &lines, &format!("{} holds no key: {NO_KEY}", path(name)));
        }
        write(name, KEY_TEXT, 0o644);
        refused_in(
            "store",
            &lines,
            &format!("{} may be read or changed by others (mode 644): chmod 600 it", path(name)),
        );
        write(name, KEY_TEXT, 0o600);
        let MasterKey::Given(key) = store(&lines).master_key else { panic!("given") };
        assert_eq!(key.id(), StoreKey::parse(&Secret::new(KEY_TEXT)).expect("a key").id());
    }
}

#[test]
fn a_database_without_its_key_gets_no_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("a.db");
    let url = format!("url = \"sqlite:{}\"", database.display());
    std::fs::write(&database, "").expect("a file");
    assert!(
        matches!(store(&url).master_key, MasterKey::MadeAt(_)),
        "an interrupted start left an empty file"
    );
    std::fs::write(&database, "something").expect("a file");
    refused_in("store", &url, "r.toml:14: `master_key` in [store]: there is a database, but its master key");
    refused_in(
        "store",
        &format!("{url}\nmaster_key = {{ file = \"c.key\" }}"),
        "r.toml:16: `master_key` in [store]: there is a database, but its master key /nowhere/c.key is missing: put it back",
    );
}

#[test]
fn where_heads_go_is_one_place_an_entry_and_a_webhook_is_signed() {
    let url = "url = \"sqlite:a.db\"";
    for (heads, expected) in [
        ("\"syslog\"", "`audit_heads` in [store]: this is a text, not a list"),
        ("[\"heads\"]", "this is not \"syslog\"; write a list of { file = \"PATH\" }"),
        ("[1]", "this is a whole number, not a table"),
        ("[{}]", "it names no place"),
        ("[{ file = \"a\", syslog = \"b\" }]", "each entry is one place"),
        ("[{ fiel = \"a\" }]", "did you mean \"file\"?"),
        ("[{ file = \"\" }]", "is empty"),
        ("[{ file = \"heads/\" }]", "names no file"),
        ("[{ file = \"a\", secret = { env = \"KEY\" } }]", "only a webhook is signed with it"),
        ("[{ file = \"a\" }, { file = \"a\" }]", "the same place is there twice"),
        ("[\"syslog\", { syslog = \"/dev/log\" }]", "the same place is there twice"),
        ("[\"syslog\", \"syslog\"]", "the same place is there twice"),
        ("[{ webhook = \"https://a.example/geheim\" }]", "audit_heads of [store] has no `secret`"),
        (
            "[{ webhook = \"a.example/geheim\", secret = { env = \"KEY\" } }]",
            "`webhook` in audit_heads of [store]",
        ),
        ("[{ webhook = \"https://a.example/geheim\", secret = { env = \"NOWHERE\" } }]", "is not set"),
        ("[{ webhook = 1, secret = { env = \"KEY\" } }]", "this is a whole number, not a URL"),
    ] {
        let lines = format!("{url}\naudit_heads = {heads}");
        let unknown = heads.contains("fiel ");
        let error = read(&format!("{SOUND}\n[store]\n{lines}\n")).expect_err(heads).to_string();
        assert!(unknown || error.lines().count() == 1, "one mistake is told once:\n{error}");
        assert!(error.contains("r.toml:16: ") && error.contains(expected), "{heads}:\n{error}");
        assert!(!error.contains("geheim"), "{error}");
    }
    let nine = (0..9).map(|number| format!("{{ file = \"{number}\" }}")).collect::<Vec<_>>().join(", ");
    refused_in("store", &format!("{url}\naudit_heads = [{nine}]"), "the list has more than 8");
    warned_in(
        "store",
        &format!(
            "{url}\naudit_heads = [{{ webhook = \"http://a.example/x\", secret = {{ env = \"KEY\" }} }}]"
        ),
        "heads go over the network in clear",
    );
    let heads = "audit_heads = [{ file = \"heads\" }, \"syslog\", { syslog = \"/run/log\" }, \
                 { webhook = \"https://a.example/geheim\", secret = { env = \"KEY\" } }]";
    let places: Vec<_> =
        store(&format!("{url}\n{heads}")).audit_heads.iter().map(ToString::to_string).collect();
    let expected =
        ["the file /nowhere/heads", "syslog at /dev/log", "syslog at /run/log", "the webhook to a.example"];
    assert_eq!(places, expected);
    assert!(store(url).audit_heads.is_empty());
}

#[test]
fn what_is_over_is_kept_long_enough_to_be_of_use() {
    let url = "url = \"sqlite:a.db\"";
    for (keep, expected) in [
        ("\"1y\"", "`keep` in [store]: this is a text, not a table"),
        ("{ audti = \"1y\" }", "unknown key \"audti\" in keep of [store]; did you mean \"audit\"?"),
        ("{ audit = 365 }", "this is a whole number, not a text"),
        ("{ audit = \"365\" }", "\"365\" has no unit"),
        ("{ audit = \"29d\" }", "\"29d\" is too short; write a time from \"30d\""),
        ("{ audit = \"101y\" }", "is too long"),
        ("{ audit = \"99999999999999999y\" }", "is too long"),
        ("{ audit = \"y\" }", "does not begin with a whole number"),
        ("{ audit = \"always\" }", "\"always\" does not begin with a whole number"),
        ("{ observations = \"6d\" }", "is too short"),
        ("{ effects = \"167h\" }", "is too short"),
        ("{ accounts = \"0d\" }", "is too short"),
        ("{ tokens = \"23h\" }", "is too short"),
        ("{ sign_ins = \"6d\" }", "is too short"),
    ] {
        refused_in("store", &format!("{url}\nkeep = {keep}"), expected);
    }
    let days = |lines: &str| {
        let keep = store(&format!("{url}\n{lines}")).keep;
        keep.all().map(|(_, time)| time.map(|time| time.as_secs() / 86_400))
    };
    assert_eq!(days(""), [Some(365), Some(90), Some(90), Some(30), Some(30), Some(30), Some(90), Some(90)]);
    assert_eq!(days("keep = {}"), days(""));
    assert_eq!(
        days(
            "keep = { audit = \"forever\", observations = \"1y\", effects = \"168h\", tokens = \"1d\", challenges = \"2d\", sign_ins = \"8d\" }"
        ),
        [None, Some(365), Some(7), Some(30), Some(1), Some(2), Some(90), Some(8)]
    );
}

#[test]
fn twilio_is_reached_over_tls_and_in_time() {
    for (line, expected) in [
        (
            "base_url = \"http://api.twilio.com\"",
            "r.toml:15: `base_url` in [twilio]: Twilio is reached over https only",
        ),
        ("base_url = \"https://verify.twilio.com\"", "give the one that stands for all products"),
        ("base_url = \"https://user:geheim@sandbox.example\"", "no user name or password"),
        ("base_url = \"api.twilio.com\"", "write \"https://api.twilio.com\""),
        ("base_url = 1", "not a text"),
        ("poll_interval = \"0s\"", "is too short; write a time from \"1s\" to \"1h\""),
        ("poll_interval = 60", "this is a whole number, not a text"),
        ("timeout = \"3m\"", "is too long; write a time from \"1s\" to \"2m\""),
        ("ca_file = \"missing.pem\"", "cannot be read"),
        ("timout = \"3s\"", "did you mean \"timeout\"?"),
    ] {
        refused_in("twilio", line, expected);
    }
    warned_in(
        "twilio",
        "base_url = \"http://sandbox.internal:4010\"",
        "shows the auth tokens to whoever is on the way",
    );
    let twilio = |lines: &str| {
        let loaded = read(&format!("{SOUND}\n[twilio]\n{lines}\n")).expect(lines);
        assert_eq!(loaded.warnings, [], "{lines}");
        loaded.control.twilio
    };
    for base in [
        "http://127.0.0.1:4010",
        "http://localhost:4010",
        "http://[::1]:4010",
        "https://api.dublin.ie1.twilio.com",
    ] {
        assert_eq!(twilio(&format!("base_url = \"{base}\"")).client.base.to_string(), base);
    }
    let set = twilio("timeout = \"2s\"\npoll_interval = \"30s\"");
    assert_eq!((set.client.timeout, set.poll_interval), (Duration::from_secs(2), Duration::from_secs(30)));
    assert!(set.client.connect_timeout < set.client.timeout);
    let patient = twilio("timeout = \"2m\"").client;
    assert!(patient.deadline > patient.timeout * 2);
}

#[test]
fn an_authority_s_file_must_hold_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "nothing").expect("a file");
    let line = format!("ca_file = \"{}\"", path.display());
    refused_in("twilio", &line, "the file has no certificate in it");
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("a file");
    let loaded = read(&format!("{SOUND}\n[twilio]\n{line}\n")).expect("it is taken as it is");
    assert_eq!(loaded.control.twilio.client.extra_roots.len(), 1);
}
