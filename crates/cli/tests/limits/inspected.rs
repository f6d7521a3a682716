//! What a running `serve` keeps of requests to Twilio: no number, no text and no secret, neither in its log at the fullest level
//! nor in its database, on either of them.

use std::fs;
use std::path::Path;

use ringfence_testkit::PostgresDatabase;
use serde_json::{Value, json};

use crate::codes::ask;
use crate::world::{PATIENCE, World};

/// Everything personal that the requests have in them.
const PERSONAL: [&str; 8] = [
    "4155550123",
    "15112345678",
    "topsecretword",
    "Annabel",
    "spokenword",
    "a.example/picture",
    "thestatusword",
    "987654",
];

const SETTINGS: &str = "[[limit]]\nname = \"watched\"\nscope = \"all\"\nwindow = \"daily\"\nat = \"0.001\"\n\
                        then = [\"end-calls\"]\nenforce = false\n\n[egress]\nunknown_price = \"0.50\"\n\n\
                        [inspector]\nkeep = \"redacted\"\n\n[log]\nlevel = \"trace\"\n";

fn nothing_personal_is_kept(store: &str, dump: impl Fn(&Path) -> Vec<u8>) {
    let world = World::with(store, SETTINGS);
    let port = ringfence_testkit::free_port();
    let file = world.path("ringfence.toml");
    let text = fs::read_to_string(&file).expect("the configuration");
    let listen = format!("[listen]\negress = \"127.0.0.1:{port}\"\n");
    fs::write(&file, text.replacen("[listen]\n", &listen, 1)).expect("written");
    let serving = world.serve();
    world.until(&["limits", "plan"], |run| run.code == 0);
    let account = world.account().to_string();
    let mut made = vec!["key", "create", "--account", &account, "--name", "shop", "--json"];
    for area in ["messages", "calls", "verifications", "lookups", "settings"] {
        made.extend(["--operation", area]);
    }
    let made = world.run(&made).code(0).json();
    let (key, secret) = (made["sid"].as_str().expect("a SID"), made["secret"].as_str().expect("a secret"));
    let number = world.number().replace('+', "%2B");
    let of_account = format!("/api.twilio.com/2010-04-01/Accounts/{account}");
    let service = "/verify.twilio.com/v2/Services/VA00000000000000000000000000000001";
    let message = format!(
        "To=%2B14155550123&From={number}&Body=topsecretword+987654+for+Annabel&SmartEncoded=true\
         &MediaUrl=https%3A%2F%2Fa.example%2Fpicture&StatusCallback=https%3A%2F%2Fa.example%2Fthestatusword"
    );
    let call = format!(
        "To=%2B14155550123&From={number}&TimeLimit=60\
         &Twiml=%3CResponse%3E%3CSay%3Espokenword%3C%2FSay%3E%3CDial%3E%2B4915112345678%3C%2FDial%3E%3C%2FResponse%3E"
    );
    let requests = [
        ("POST", format!("{of_account}/Messages.json"), message),
        ("POST", format!("{of_account}/Calls.json"), call),
        ("GET", format!("{of_account}/Messages.json?To=%2B4915112345678"), String::new()),
        ("GET", "/lookups.twilio.com/v2/PhoneNumbers/%2B14155550123".to_owned(), String::new()),
        ("POST", format!("{service}/Verifications"), "To=%2B4915112345678&Channel=Annabel".to_owned()),
        ("GET", format!("{service}/Entities/Annabel/Factors"), String::new()),
        ("POST", format!("{service}/Entities"), "Identity=Annabel".to_owned()),
        ("GET", "/conversations.twilio.com/v1/Users/Annabel".to_owned(), String::new()),
        ("GET", "/Annabel/4915112345678".to_owned(), String::new()),
        (
            "POST",
            format!("{of_account}/Calls.json"),
            format!("To=%2B14155550123&From={number}&Url=https%3A%2F%2Fa.example%2Fpicture"),
        ),
    ];
    let began = std::time::Instant::now();
    let mut statuses = Vec::new();
    for (login, user) in [(secret, &*account), ("987654-Annabel", &*account)] {
        for (method, path, form) in &requests {
            let status = loop {
                // The node takes its limits over within a second.
                match ask(port, method, path, &format!("{user}:{login}"), form).0 {
                    503 => assert!(began.elapsed() < PATIENCE),
                    status => break status,
                }
            };
            statuses.push(status);
        }
    }
    assert_eq!(statuses[..2], [201, 201], "{statuses:?}");
    assert!(statuses.iter().all(|status| (200..500).contains(status)), "{statuses:?}");
    // A stop writes what stands in line.
    let log = serving.stop();

    let show = |arguments: &[&str]| {
        world.run(&[&["inspector", "show", "--limit", "1000"], arguments].concat()).code(0).out
    };
    let (text, shown) = (show(&[]), show(&["--json", "--direction", "to-twilio"]));
    let told: Value = serde_json::from_str(&shown).expect("JSON");
    let all = told["requests"].as_array().expect("a list");
    let of = |route: &str, verdict: &str| {
        let found = all.iter().find(|it| it["route"] == route && it["verdict"] == verdict);
        assert!(found.is_some(), "{route} {verdict}: {shown}");
        found.expect("it is there").clone()
    };
    let sent = of("messages.create", "passed_on");
    assert_eq!((&sent["credential"], &sent["credential_name"]), (&json!(key), &json!("shop")));
    assert_eq!((&sent["account"], &sent["direction"]), (&json!(account), &json!("to-twilio")));
    assert!(sent["worst"].is_string() && sent["resource"].is_string(), "{sent}");
    let parameters = sent["parameters"].to_string();
    for expected in ["+1… (11 digits)", "(a URL of 25 characters)", "\"true\""] {
        assert!(parameters.contains(expected), "{parameters}");
    }
    assert_eq!(of("lookups.fetch", "refused")["path"], "/lookups.twilio.com/v2/PhoneNumbers/+1… (11 digits)");
    assert_eq!(of("messages.create", "refused")["reason"], "unauthorized");
    assert!(text.contains("to Twilio, operation calls.create"), "{text}");
    let refused = show(&["--direction", "to-twilio", "--refused", "--account", &account]);
    assert!(refused.contains("refused: foreign twiml") && !refused.contains("passed on"), "{refused}");
    // Usage triggers of Twilio's may have come meanwhile.
    let others = show(&["--direction", "from-twilio", "--json"]);
    assert!(!others.contains("to-twilio") && !others.contains("egress"), "{others}");

    let everything = [
        ("the log", log.as_bytes().to_vec()),
        ("the database", dump(&world.path(""))),
        ("show", [text, shown, refused].concat().into_bytes()),
    ];
    for (place, bytes) in &everything {
        assert!(bytes.len() > 500, "{place} was looked at");
        let text = String::from_utf8_lossy(bytes);
        for personal in PERSONAL.iter().chain([&secret]) {
            assert!(!text.contains(personal), "{personal} is in {place}: {}", around(&text, personal));
        }
    }
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is at its fullest");
    let purged =
        world.run(&["inspector", "purge", "--all", "--reason", "asked to by law", "--json"]).code(0).json();
    assert!(purged["deleted"].as_u64() >= Some(18), "{purged}");
    assert_eq!(show(&[]), "");
}

/// Where a text is, for whoever has to find out how it came there.
fn around<'t>(text: &'t str, personal: &str) -> &'t str {
    let line = text.lines().find(|line| line.contains(personal)).unwrap_or_default();
    let end = line.char_indices().nth(600).map_or(line.len(), |(end, _)| end);
    &line[..end]
}

#[test]
fn nothing_personal_of_requests_to_twilio_is_in_a_sqlite_store_or_in_the_log_at_any_level() {
    nothing_personal_is_kept("url = \"sqlite:ringfence.db\"", |folder| {
        let files = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
        let of_the_store = files.filter(|path| path.to_string_lossy().contains("ringfence.db"));
        of_the_store.flat_map(|path| fs::read(path).expect("a file")).collect()
    });
}

#[test]
fn nothing_personal_of_requests_to_twilio_is_in_a_postgresql_store_or_in_the_log_at_any_level() {
    let Some(database) = PostgresDatabase::create() else { return };
    let store = format!("url = \"{}\"\nmaster_key = {{ env = \"STORE_KEY\" }}", database.url());
    nothing_personal_is_kept(&store, |_| database.dump());
}
