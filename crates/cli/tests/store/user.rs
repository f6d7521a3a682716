//! `ringfence user`.

use ringfence_second_factor::recovery::RecoveryCode;

use crate::installation::Installation;

const MARIA: &str = "maria@example.com";
const WHY: [&str; 2] = ["--reason", "she asked for it"];

#[test]
fn who_cannot_be_added_is_told_why() {
    let installation = Installation::new();
    for (arguments, expected) in [
        (
            vec!["user", "add", "maria"],
            "a login is a mail address and nothing else, such as maria@example.com",
        ),
        (vec!["user", "add", "<maria@example.com>"], "without brackets and quotes"),
        (
            vec!["user", "add", MARIA, "--role", "root"],
            "[possible values: visitor, auditor, operator, owner]",
        ),
        (vec!["user", "add", MARIA, "--account", "MG1"], "an account's SID is AC and 32 hexadecimal digits"),
        (vec!["user", "lock", MARIA, WHY[0], WHY[1]], "nobody signs in as maria@example.com"),
        (vec!["user", "reset-second-factor", MARIA, WHY[0], WHY[1]], "`ringfence user list` shows everybody"),
    ] {
        installation.run(&arguments).code(2).prints_nothing().complains(expected);
    }
    installation
        .run(&["user", "list"])
        .code(0)
        .says("`ringfence user add --role owner MAIL` adds the first owner");
    installation.run(&["user", "add", MARIA]).code(0);
    let again = installation.run(&["user", "add", " MARIA@example.com"]).code(2).prints_nothing();
    again.complains("somebody signs in as MARIA@example.com already");
}

#[test]
fn whatever_is_done_about_somebody_wants_a_reason_that_is_on_record() {
    let installation = Installation::new();
    installation.run(&["user", "add", MARIA, "--role", "owner", WHY[0], WHY[1]]).code(0);
    for act in ["reset-second-factor", "lock", "unlock", "end-sessions", "end-devices", "remove"] {
        let refused = installation.run(&["user", act, MARIA]).code(2).prints_nothing();
        refused.complains("a reason is needed: the audit log keeps why this was done");
        let refused = installation.run(&["user", act, MARIA, "--reason", " "]).code(2).prints_nothing();
        refused.complains("say why");
    }
    installation.run(&["user", "lock", MARIA, "--even-last-owner", "--reason", "a phone was stolen"]).code(0);
    installation.seal();
    let log = installation.run(&["audit", "export"]).code(0).out;
    for (action, reason) in [("person.add", WHY[1]), ("person.lock", "a phone was stolen")] {
        let row = log.lines().find(|line| line.contains(action)).expect("a row");
        assert!(row.contains(reason), "{row}");
    }
    assert!(!log.contains("factor.reset") && !log.contains("person.unlock"), "{log}");
}

#[test]
fn a_code_is_shown_once_and_alone() {
    let installation = Installation::new();
    let added = installation.run(&["user", "add", MARIA, "--role", "owner"]).code(0);
    let code = added.out.trim_end().to_owned();
    assert!(RecoveryCode::typed(&code).is_some(), "{code}");
    assert!(!added.err.contains(&code));
    added.complains("sets a password and binds a second factor, on the console's page /bind, until 20");
    let reset =
        installation.run(&["user", "reset-second-factor", MARIA, WHY[0], WHY[1], "--json"]).code(0).json();
    let second = reset["code"].as_str().expect("a code");
    assert!(RecoveryCode::typed(second).is_some() && second != code, "{second}");
    assert_eq!(reset["roles"][0], serde_json::json!({ "account": "*", "role": "owner" }));
    let database = std::fs::read(installation.path("ringfence.db")).expect("the database");
    for secret in [code.as_str(), second, MARIA] {
        assert!(!database.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn people_are_listed_locked_and_removed_but_for_the_last_owner() {
    let installation = Installation::new();
    let account = "AC00000000000000000000000000000001";
    installation.run(&["user", "add", MARIA, "--role", "owner"]).code(0);
    installation.run(&["user", "add", "op@example.com", "--role", "operator", "--account", account]).code(0);
    assert_eq!(
        installation.run(&["user", "list"]).code(0).out,
        format!("{MARIA}  owner  invited\nop@example.com     operator of {account}  invited\n")
    );
    let last = installation.run(&["user", "remove", MARIA, WHY[0], WHY[1]]).code(2).prints_nothing();
    last.complains("the last owner of everything stays")
        .complains("hint: `ringfence user add --role owner` first");
    let last = installation.run(&["user", "lock", MARIA, WHY[0], WHY[1]]).code(2).prints_nothing();
    last.complains("nobody could let them in again from the console")
        .complains("--even-last-owner if that is meant");
    installation
        .run(&["user", "lock", MARIA, "--even-last-owner", WHY[0], WHY[1]])
        .code(0)
        .says(&format!("{MARIA} is locked\n"));
    installation.run(&["user", "unlock", MARIA, WHY[0], WHY[1]]).code(0);
    installation
        .run(&["user", "lock", "op@example.com", WHY[0], WHY[1]])
        .code(0)
        .says("op@example.com is locked\n");
    installation
        .run(&["user", "lock", "op@example.com", WHY[0], WHY[1]])
        .code(0)
        .says("op@example.com is locked already\n");
    for (act, says) in
        [("end-sessions", "signed in nowhere"), ("end-devices", "asked on every computer already")]
    {
        installation
            .run(&["user", act, "op@example.com", WHY[0], WHY[1]])
            .code(0)
            .says(&format!("op@example.com is {says}\n"));
    }
    installation.run(&["user", "list"]).code(0).says("  locked\n");
    installation
        .run(&["user", "unlock", "op@example.com", WHY[0], WHY[1], "--json"])
        .code(0)
        .says("\"state\":\"unlocked\"");
    installation
        .run(&["user", "remove", "op@example.com", WHY[0], WHY[1]])
        .code(0)
        .says("op@example.com is removed\n");
    assert_eq!(
        installation.run(&["user", "list", "--json"]).code(0).json().as_array().map(Vec::len),
        Some(1)
    );
}
