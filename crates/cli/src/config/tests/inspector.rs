//! `[inspector]`: what is kept of requests.

use ringfence_gateway::settings::{Detail, Inspect};

use super::{SOUND, read};

const CONSOLE: &str = "[listen]\nconsole = \"127.0.0.1:8400\"\n[store]\nurl = \"sqlite:a.db\"\n";

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = read(text).expect_err("it is wrong").to_string();
    assert!(error.contains(expected), "{error}");
}

fn kept(text: &str) -> Inspect {
    let loaded = read(text).expect("it is right");
    assert_eq!(loaded.settings.inspect, loaded.control.inspector.inspect);
    loaded.settings.inspect
}

#[test]
fn what_cannot_be_kept_so_is_refused() {
    for (lines, expected) in [
        ("keep = \"all\"", "\"all\" is none of its values"),
        ("keep = true", "not a text"),
        ("keep = \"metadata\"\nfor = \"91d\"", "is too long"),
        ("keep = \"metadata\"\nfor = \"59m\"", "is too short"),
        ("keep = \"metadata\"\nat_most = 99", "out of range"),
        ("keep = \"metadata\"\nat_most = 10000001", "out of range"),
        ("keep = \"metadata\"\nin_memory = \"metadata\"", "is for where nothing is kept in the store"),
        ("keeps = \"metadata\"", "did you mean \"keep\""),
    ] {
        refused(&format!("{CONSOLE}[inspector]\n{lines}"), expected);
    }
    refused(&format!("{SOUND}\n[inspector]\nkeep = \"metadata\""), "is kept in a [store]");
}

#[test]
fn nothing_is_on_disk_unless_somebody_asks_and_in_memory_is_what_a_console_shows() {
    assert_eq!(kept(SOUND), Inspect::Nothing, "nobody looks");
    assert_eq!(kept(CONSOLE), Inspect::InMemory(Detail::Metadata));
    let with = |lines: &str| kept(&format!("{CONSOLE}[inspector]\n{lines}"));
    assert_eq!(with("keep = \"nothing\""), Inspect::InMemory(Detail::Metadata));
    assert_eq!(with("in_memory = \"nothing\""), Inspect::Nothing);
    assert_eq!(with("in_memory = \"redacted\"\nkeep = \"nothing\""), Inspect::InMemory(Detail::Redacted));
    assert_eq!(kept(&format!("{SOUND}\n[inspector]\nin_memory = \"metadata\"")), Inspect::Nothing);
}

#[test]
fn what_is_kept_is_kept_for_a_week_of_a_hundred_thousand() {
    let loaded = read(&format!("{CONSOLE}[inspector]\nkeep = \"metadata\"")).expect("it is right");
    let inspector = loaded.control.inspector;
    assert_eq!(inspector.inspect, Inspect::InStore { detail: Detail::Metadata, at_most: 100_000 });
    assert_eq!((inspector.keep_for.as_secs() / 86_400, inspector.at_most), (7, 100_000));
    let text = format!("{CONSOLE}[inspector]\nkeep = \"redacted\"\nfor = \"90d\"\nat_most = 500");
    let inspector = read(&text).expect("it is right").control.inspector;
    assert_eq!(inspector.inspect, Inspect::InStore { detail: Detail::Redacted, at_most: 500 });
    assert_eq!(inspector.keep_for.as_secs() / 86_400, 90);
}
