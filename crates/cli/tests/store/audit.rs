//! `ringfence audit`.

use std::process::{Command, Stdio};

use ringfence_model::Actor;
use ringfence_store::NewAudit;
use serde_json::Value;

use crate::installation::{Installation, now};

/// An installation whose log has the row of its beginning and three more, the last of them about a person; gives back the
/// signed end of the chain.
fn with_a_log() -> (Installation, String) {
    let installation = Installation::new();
    installation.in_store(async |store| {
        for name in ["alpha", "bravo"] {
            let audit = NewAudit::new("test.act", format!("thing {name}"));
            store.audit(&Actor::job("test"), audit, now()).await.expect("a row");
        }
        let audit = NewAudit::new("test.act", "thing charlie").about("person-1", "called the help desk");
        store.audit(&Actor::job("test"), audit, now()).await.expect("a row");
    });
    let head = installation.seal();
    (installation, head)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_row_that_was_changed_on_the_disk_is_found() {
    let (installation, _head) = with_a_log();
    installation.tamper("thing bravo", "thing blame");
    let run = installation
        .run(&["audit", "verify"])
        .code(1)
        .says("audit row 3 was changed after it was sealed at 3\n");
    run.says(
        "the log is not whole: 1 finding; 4 sealed rows up to place 4, 1 signed heads, 0 rows not sealed yet",
    );
    let json = installation.run(&["audit", "verify", "--json"]).code(1).json();
    assert_eq!((&json["whole"], &json["findings"][0]["kind"]), (&false.into(), &"changed".into()));
    assert_eq!((&json["findings"][0]["seq"], &json["findings"][0]["id"]), (&3.into(), &3.into()));
}

#[test]
fn a_log_that_was_put_back_in_time_is_found_by_a_head_that_was_kept_elsewhere() {
    let (installation, _head) = with_a_log();
    let before = std::fs::read(installation.path("ringfence.db")).expect("the database");
    installation.run(&["api-token", "create", "--name", "thief"]).code(0);
    let head = installation.seal();
    let printed = installation.run(&["audit", "heads"]).code(0);
    assert_eq!(printed.out.lines().last(), Some(head.trim_end()), "what is kept is what was signed");
    let kept = installation.write("heads", &format!("\n{}", printed.out));
    installation.run(&["audit", "verify", "--heads", &kept]).code(0).says("the log is whole; 5 sealed rows");

    std::fs::write(installation.path("ringfence.db"), before).expect("the database");
    installation
        .run(&["audit", "verify"])
        .code(0)
        .complains("note: without --heads, a log whose end was cut off");
    let run = installation.run(&["audit", "verify", "--heads", &kept]).code(1);
    run.says("the chain has nothing from 5 to 5\n").says("the log is not whole: 1 finding");
}

/// The lines of the example in its help, as one types them on this machine.
fn as_the_help_says(installation: &Installation) {
    let help = installation.run(&["audit", "heads", "--help"]).code(0);
    let (_, example) = help.out.split_once("those that are new:\n").expect("an example");
    let typed = example
        .replace("ssh ringfence ringfence", env!("CARGO_BIN_EXE_ringfence"))
        .replace("/etc/ringfence.toml", "ringfence.toml");
    let done = Command::new("sh")
        .args(["-euc", &typed])
        .current_dir(installation.path(""))
        .env("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
        .status()
        .expect("a shell");
    assert!(done.success(), "{typed}");
}

#[test]
fn heads_that_are_kept_as_the_help_says_outlive_a_store_that_was_cut_off() {
    let (installation, _head) = with_a_log();
    let before = std::fs::read(installation.path("ringfence.db")).expect("the database");
    installation.run(&["api-token", "create", "--name", "thief"]).code(0);
    installation.seal();
    as_the_help_says(&installation);
    let kept = std::fs::read_to_string(installation.path("heads")).expect("heads");
    assert_eq!(kept.lines().count(), 2);
    as_the_help_says(&installation);
    let file = installation.path("heads");
    assert_eq!(std::fs::read_to_string(&file).expect("heads"), kept, "each head once");

    std::fs::write(installation.path("ringfence.db"), before).expect("the database");
    as_the_help_says(&installation);
    let file = file.to_str().expect("a path");
    installation
        .run(&["audit", "verify", "--heads", file])
        .code(1)
        .says("the chain has nothing from 5 to 5\n");
}

#[test]
fn heads_that_nobody_added_to_are_said_to_show_nothing_of_what_came_after_them() {
    let (installation, head) = with_a_log();
    installation.run(&["api-token", "create", "--name", "later"]).code(0);
    let kept = installation.write("heads", &head);
    installation.seal();
    let run = installation.run(&["audit", "verify", "--heads", &kept]).code(0);
    run.complains("note: the newest of these heads is for 4, signed at ");
}

#[test]
fn heads_of_another_store_are_not_taken_for_ours() {
    let (installation, _head) = with_a_log();
    let (_other, head) = with_a_log();
    let kept = installation.write("heads", &head);
    let run = installation.run(&["audit", "verify", "--heads", &kept]).code(1);
    run.says("the signature for 4 is not this store's");
}

#[test]
fn a_file_without_heads_proves_nothing_and_is_refused() {
    let (installation, head) = with_a_log();
    for (text, expected) in [
        (format!("{head}\nnonsense\n"), "heads:2: this is no head of the chain"),
        (format!("{head} more\n"), "heads:1: this is no head of the chain"),
        ("\n".to_owned(), "holds no head, so it proves nothing"),
    ] {
        let kept = installation.write("heads", &text);
        installation.run(&["audit", "verify", "--heads", &kept]).code(2).prints_nothing().complains(expected);
    }
    installation
        .run(&["audit", "verify", "--heads", "/nowhere/heads"])
        .code(2)
        .complains("cannot read /nowhere/heads");
    installation.run(&["audit"]).code(2);
}

#[test]
fn a_whole_log_is_told_in_numbers() {
    let (installation, head) = with_a_log();
    installation.run(&["api-token", "create", "--name", "later"]).code(0);
    let kept = installation.write("heads", &head);
    let run = installation.run(&["audit", "verify", "--heads", &kept]).code(0);
    let expected = "the log is whole; 4 sealed rows up to place 4, 2 signed heads, 1 rows not sealed yet\n";
    assert_eq!((run.out.as_str(), run.err.as_str()), (expected, ""));
}

#[test]
fn an_export_goes_on_where_the_last_one_ended_and_leaves_people_out() {
    let (installation, _head) = with_a_log();
    let first = installation.run(&["audit", "export"]).code(0).complains("4 rows; go on with --after 4\n");
    let rows = lines(&first.out);
    let told: Vec<_> = rows.iter().skip(1).map(|row| (row["id"].as_i64(), row["target"].as_str())).collect();
    let named = |id, name| (Some(id), Some(name));
    assert_eq!(told, [named(2, "thing alpha"), named(3, "thing bravo"), named(4, "thing charlie")]);
    assert!(!first.out.contains("help desk"), "{}", first.out);
    assert_eq!(rows[3]["person"], "person-1");

    installation.run(&["api-token", "create", "--name", "later"]).code(0);
    let none = installation.run(&["audit", "export", "--after", "4"]).code(0).prints_nothing();
    none.complains("0 rows; go on with --after 4\n");
    installation.seal();
    let second = installation.run(&["audit", "export", "--after", "4"]).code(0);
    assert_eq!(lines(&second.out)[0]["action"], "token.create");
    second.complains("1 rows; go on with --after 5\n");
    installation.run(&["audit", "export", "--after", "-1"]).code(2);
}

#[test]
fn an_export_with_people_is_written_down() {
    let (installation, _head) = with_a_log();
    let run = installation.run(&["audit", "export", "--with-personal"]).code(0);
    assert_eq!(lines(&run.out)[3]["personal"], "called the help desk");
    let rows = installation.in_store(async |store| store.audit_rows(None, None, 1).await.expect("a row"));
    assert_eq!((rows[0].action.as_str(), &rows[0].detail["with_personal"]), ("audit.export", &true.into()));
}

#[test]
fn a_log_of_several_pages_is_exported_whole_and_a_reader_may_leave() {
    let installation = Installation::new();
    installation.in_store(async |store| {
        for number in 0..1000 {
            let audit = NewAudit::new("test.act", format!("thing {number}"));
            store.audit(&Actor::job("test"), audit, now()).await.expect("a row");
        }
        while store.seal_audit(now()).await.expect("sealed").more {}
    });
    let run = installation.run(&["audit", "export"]).code(0);
    let ids: Vec<_> = lines(&run.out).iter().map(|row| row["id"].as_i64().expect("an id")).collect();
    assert_eq!(ids, (1..=1001).collect::<Vec<_>>());
    run.complains("1001 rows; go on with --after 1001\n");

    let mut child = Command::new(env!("CARGO_BIN_EXE_ringfence"))
        .args(["audit", "export", "--config"])
        .arg(installation.path("ringfence.toml"))
        .env("TWILIO_AUTH_TOKEN", "0123456789abcdef0123456789abcdef")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}
