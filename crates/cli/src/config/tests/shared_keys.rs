//! `[shared_keys]` and `[[route]] signed_by`; and how many keys a trigger is tried against.

use std::fmt::Write as _;

use ringfence_control::shared_keys::Accounts;
use ringfence_gateway::settings::SignedBy;
use ringfence_twilio::wire::RuleMatch;

use super::*;

/// [`SOUND`] with a store and the section.
fn with_keys(lines: &str) -> String {
    let store = "[store]\nurl = \"sqlite:ringfence.db\"\n\n[[account]]";
    format!("{}\n[shared_keys]\n{lines}\n", SOUND.replacen("[[account]]", store, 1))
}

const ALL: &str = "accounts = \"all\"";

#[track_caller]
fn keys_refused(text: &str, expected: &str) {
    let error = read(text).expect_err(expected).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{error}\ndoes not say\n{expected}");
}

#[track_caller]
fn route_with(lines: &str) -> String {
    with_keys(ALL).replacen("check = \"signature\"", &format!("check = \"signature\"\n{lines}"), 1)
}

/// One more route for the same application.
fn and_route(text: &str, path: &str, lines: &str) -> String {
    format!(
        "{text}\n[[route]]\npath = \"{path}\"\npublic_url = \"https://hooks.example.com\"\nupstream = \
         \"http://127.0.0.1:3000\"\n{lines}\n"
    )
}

#[test]
fn what_no_key_of_its_own_can_be_made_for_is_refused() {
    keys_refused(&with_keys(""), "[shared_keys] has no `accounts`");
    keys_refused(&with_keys("accounts = \"none\""), "\"all\"");
    keys_refused(&with_keys("accounts = [\"SK00000000000000000000000000000000\"]"), "is an API key");
    keys_refused(
        &with_keys("accounts = [\"AC99999999999999999999999999999999\"]"),
        "is no account of this file, and no [[account]] has subaccounts = true",
    );
    keys_refused(
        &with_keys("accounts = \"all\"\nsettle = \"119s\""),
        "less than twice what a change of Twilio's may take",
    );
    keys_refused(&with_keys("accounts = \"all\"\nsettle = \"25h\""), "too long");
    keys_refused(
        &format!("{SOUND}\n[shared_keys]\n{ALL}\n"),
        "keys are kept in the store, and there is none",
    );
    keys_refused(&route_with("signed_by = \"auth-token\""), "no [[route]] takes what a SharedKey may sign");
    keys_refused(&route_with("mode = \"shadow\""), "no [[route]] takes what a SharedKey may sign");
    let mut many = with_keys(ALL);
    for number in 0..50 {
        many = and_route(&many, &format!("/more/{number}/"), "check = \"signature\"");
    }
    keys_refused(&many, "the routes need 51 rules at Twilio, and an account may have 50");
    let key = |id: usize| {
        format!("{{ id = \"a{id}\", secret = {{ env = \"KEY\" }}, algorithm = \"HMAC_SHA256\" }}")
    };
    let keys = (1..=5).map(key).collect::<Vec<_>>().join(", ");
    let keys = format!("shared_keys = [{keys}]\n\n[[route]]");
    keys_refused(
        &with_keys(ALL).replacen("\n[[route]]", &keys, 1),
        "has 6 keys in its [[account]], and with 3 SharedKeys",
    );
}

#[test]
fn a_rule_covers_no_route_that_cannot_do_with_it() {
    let shadow = and_route(&with_keys(ALL), "/twilio/old", "check = \"signature\"\nmode = \"shadow\"");
    keys_refused(
        &shadow,
        "the rule for https://hooks.example.com/twilio/ holds for https://hooks.example.com/twilio/old too, whose [[route]] has mode",
    );
    let users = "check = \"signature+basic\"\nbasic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]";
    keys_refused(&and_route(&with_keys(ALL), "/twilio/in", users), "too, whose [[route]] has a password");
    read(&and_route(&with_keys(ALL), "/other", users)).expect("it is not below the prefix");
}

#[test]
fn a_route_demands_a_shared_key_only_where_there_can_be_one() {
    route_refused("signed_by = \"token\"", "\"any\"");
    route_refused(
        "signed_by = \"shared-key\"",
        "no account here has a SharedKey, so every request would be refused",
    );
    keys_refused(
        &and_route(
            &with_keys(ALL),
            "/in",
            "check = \"basic\"\nbasic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]\nsigned_by = \"any\"",
        ),
        "check = \"basic\" verifies no signature",
    );
    let ws = and_route(&with_keys(ALL), "/stream", "check = \"signature\"\nsigned_by = \"shared-key\"");
    let at = ws.rfind("https://hooks").expect("a URL");
    let ws = format!("{}wss{}", &ws[..at], &ws[at + "https".len()..]);
    keys_refused(&ws, "Twilio's rules are for http and https");
    let loaded = read(&route_with("signed_by = \"shared-key\"")).expect("it is right");
    assert_eq!(loaded.settings.routes[0].signed_by, SignedBy::SharedKey);
}

#[test]
fn rules_are_wanted_for_what_applications_take_and_for_nothing_twice() {
    let text = and_route(&with_keys(ALL), "/twilio/below", "check = \"signature\"");
    let text = and_route(&text, "/voice", "check = \"signature\"");
    let text = and_route(&text, "/by-token", "check = \"signature\"\nsigned_by = \"auth-token\"");
    let loaded = read(&text).expect("it is right");
    let keys = loaded.control.shared_keys.expect("the section is there");
    assert_eq!(keys.accounts, Accounts::All);
    assert_eq!(keys.settle.as_secs(), 300);
    assert_eq!(
        keys.urls,
        [
            RuleMatch::Exact("https://hooks.example.com/voice".to_owned()),
            RuleMatch::Prefix("https://hooks.example.com/twilio/".to_owned())
        ]
    );
    // A usage trigger may be signed by the token, so its route asks for no rule and takes both.
    let armed = read(&format!("{ARMED}\n[shared_keys]\n{ALL}\n"));
    assert!(
        armed
            .expect_err("triggers alone")
            .to_string()
            .contains("no [[route]] takes what a SharedKey may sign")
    );
    let loaded = read(&format!("{ARMED}\n[shared_keys]\naccounts = []\nsettle = \"2m\"\n"));
    let loaded = loaded.expect("what was made can be taken back");
    assert_eq!(loaded.settings.routes[0].signed_by, SignedBy::AuthToken);
    assert_eq!(loaded.control.shared_keys.expect("the section").accounts, Accounts::These(Vec::new()));
    assert!(
        read(SOUND).expect("it is right").control.shared_keys.is_none(),
        "nothing is touched without the section"
    );
}

#[test]
fn an_account_needs_no_key_of_the_file_where_the_store_has_them() {
    let bare = |text: &str| text.replacen("auth_token = { env = \"TOKEN\" }\n", "", 1);
    let loaded = read(&bare(&with_keys(ALL))).expect("another node makes the keys");
    assert!(
        loaded.warnings.iter().any(|it| it.text().contains("another node has to make the keys")),
        "{:?}",
        loaded.warnings
    );
    read(&bare(SOUND)).expect_err("it could verify nothing");
}

#[test]
fn no_more_keys_are_given_to_a_trigger_than_are_tried() {
    let retired = |count: usize| {
        let mut tokens = String::new();
        for _ in 0..count {
            let _ = write!(tokens, "{{ env = \"KEY\" }}, ");
        }
        format!("previous_auth_tokens = [{tokens}]")
    };
    let sub = |count: usize| {
        format!(
            "[[account]]\nsid = \"AC11111111111111111111111111111111\"\nparent = \"{PARENT}\"\nauth_token = {{ env = \"TOKEN\" }}\n{}\n\n\
             [[route]]",
            retired(count)
        )
    };
    let with = |parent: usize, child: Option<usize>| {
        let mut text =
            ARMED.replacen("subaccounts = true", &format!("subaccounts = true\n{}", retired(parent)), 1);
        if let Some(count) = child {
            text = text.replacen("[[route]]", &sub(count), 1);
        }
        text
    };
    // Of the parent 5 and of one that is found 2, and one while a token is replaced.
    read(&with(4, None)).expect("eight are tried");
    keys_refused(
        &with(5, None),
        "the keys of a subaccount that is found (2) and of its parent AC00000000000000000000000000000000 (6)",
    );
    read(&with(3, Some(2))).expect("eight are tried");
    keys_refused(&with(3, Some(3)), "the keys of its subaccount AC11111111111111111111111111111111 (4)");
    // Without a route for triggers each account is tried by its own keys.
    let apart = with(3, Some(3));
    let from = apart.find("[[limit]]").expect("limits");
    let apart = apart[..from].replacen("\"breaker\"", "\"http://127.0.0.1:3000\"", 1);
    read(&apart).expect("no trigger is taken");
}
