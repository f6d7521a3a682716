//! `[[route]] upstream = "breaker"`.

use ringfence_gateway::settings::Upstream;

use super::*;

#[test]
fn the_route_of_triggers_verifies_and_forwards_nothing() {
    let users = "basic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]";
    for word in ["basic", "signature+basic"] {
        armed_refused(
            "check = \"signature\"",
            &format!("check = \"{word}\"\n{users}"),
            "r.toml:16: `check` in [[route]]: a usage trigger is signed and knows no password; write check = \"signature\"",
        );
    }
    for (line, expected) in [
        (
            "mode = \"shadow\"",
            "r.toml:17: `mode` in [[route]]: a trigger that is only watched suspends nothing",
        ),
        ("methods = \"POST\"", "this is a text, not a list; write a list such as"),
        ("methods = [\"GET\"]", "triggers call with POST; add it"),
        ("proof_key = { env = \"KEY\" }", "forwards nothing, so it would have no effect"),
        ("resign_url = \"http://127.0.0.1:3000\"", "forwards nothing, so it would have no effect"),
        ("replay = \"off\"", "forwards nothing, so it would have no effect"),
        ("twiml = \"pass\"", "forwards nothing, so it would have no effect"),
    ] {
        armed_refused("check = \"signature\"", &format!("check = \"signature\"\n{line}"), expected);
    }
    armed_refused("\"/triggers\"", "\"/triggers/\"", "triggers call one URL, so write an exact path");
    armed_refused("https://hooks", "wss://hooks", "triggers call over http");
    armed_refused(
        "upstream = \"breaker\"",
        "upstream = \"braker\"",
        "\"breaker\" for usage triggers, or \"second-factor\"",
    );
    armed_refused(
        "gate = \"127.0.0.1:8443\"",
        "forward_auth = \"127.0.0.1:8443\"\ntrusted_proxies = [\"127.0.0.1\"]",
        "triggers are taken by the gate itself",
    );
    let error =
        read(&SOUND.replace("\"/twilio/\"", "\"/t\"").replace("\"http://127.0.0.1:3000\"", "\"breaker\""));
    let error = error.expect_err("no store").to_string();
    assert!(error.contains("r.toml:11: `upstream` in [[route]]: what a trigger says is kept"), "{error}");
}

#[test]
fn an_address_that_cannot_be_read_is_not_told_as_one_that_is_missing() {
    for (typed, wrong) in [
        ("gate = \"127.0.0.1:8443\"", "gate = \"127.0.0.1\""),
        ("gate = \"127.0.0.1:8443\"", "gate = \"127.0.0.1:8443\"\nadmin = \"9400\""),
    ] {
        let error = read(&ARMED.replacen(typed, wrong, 1)).expect_err("it has no port").to_string();
        assert!(error.contains("has no port"), "{error}");
        assert!(!error.contains("gives it no address") && !error.contains("add `"), "{error}");
    }
}

#[test]
fn triggers_have_one_route() {
    let route =
        ARMED.split_once("[[route]]").and_then(|(_, rest)| rest.split_once("[[limit]]")).expect("a route").0;
    let second = route.replace("/triggers", "/other");
    armed_refused(
        "[[limit]]",
        &format!("[[route]]{second}[[limit]]"),
        "r.toml:21: `upstream` in [[route]]: the route of line 12 takes usage triggers already",
    );
}

#[test]
fn triggers_call_the_public_url_and_the_path() {
    let loaded =
        read(&armed("https://hooks.example.com", "https://hooks.example.com:8443/in/")).expect("it is right");
    assert_eq!(loaded.control.trigger_url.as_deref(), Some("https://hooks.example.com:8443/in/triggers"));
    assert_eq!(loaded.settings.routes[0].upstream, Upstream::Breaker);
    assert_eq!(loaded.control.is_needed_for(), Some("limits are configured"));
    let [parent] = loaded.control.credentials.as_slice() else { panic!("one account") };
    assert_eq!((parent.account.to_string().as_str(), parent.parent), (PARENT, None));
    assert!(parent.finds_subaccounts && parent.auth_token.expose().len() == 32);
    let gate = read(SOUND).expect("it is right");
    assert_eq!((gate.control.trigger_url, gate.settings.routes.len()), (None, 1));
}

/// [`ARMED`] with a second route, which takes keys, and what is beside it.
fn with_keys(route: &str, second_factor: &str) -> String {
    let keys = format!(
        "[[route]]\npath = \"/keys\"\npublic_url = \"https://hooks.example.com\"\nupstream = \"second-factor\"\n{route}\n\n"
    );
    ARMED.replacen("[[limit]]", &format!("{keys}[[limit]]"), 1) + second_factor
}

#[test]
fn the_route_of_keys_wants_somebody_who_calls_and_forwards_nothing() {
    let calls = format!(
        "\n[second_factor]\naccount = \"{PARENT}\"\nsender = \"+15550006789\"\ncountries = [\"US\"]\n\
         caller = \"+15550006789\"\n"
    );
    let signed = "check = \"signature\"";
    let refused = |route: &str, second_factor: &str, expected: &str| {
        let error = read(&with_keys(route, second_factor)).expect_err("it is wrong").to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(signed, "", "there is no [second_factor] whose calls carry codes; add one with `caller`");
    let silent = calls.lines().filter(|line| !line.starts_with("caller")).collect::<Vec<_>>().join("\n");
    refused(signed, &silent, "[second_factor] calls nobody without `caller`");
    let verify =
        silent.replace("sender = \"+15550006789\"", &format!("verify_service = \"VA{}\"", "1".repeat(32)));
    refused(signed, &verify, "with `verify_service` Twilio's Verify makes the calls");
    refused(&format!("{signed}\nmode = \"shadow\""), &calls, "never says its code; write mode = \"enforce\"");
    refused(&format!("{signed}\nreplay = \"off\""), &calls, "upstream = \"second-factor\" forwards nothing");
    refused(
        "check = \"basic\"\nbasic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]",
        &calls,
        "knows no password",
    );

    let loaded = read(&with_keys(signed, &calls)).expect("it is right");
    let second_factor = loaded.control.second_factor.expect("it is there");
    assert_eq!(second_factor.key_url.as_deref(), Some("https://hooks.example.com/keys"));
    let loaded = read(&(ARMED.to_owned() + &calls)).expect("it is right");
    assert_eq!(loaded.control.second_factor.and_then(|it| it.key_url), None, "without it, at once");
}

#[test]
fn the_gate_alone_needs_no_control_plane_and_everything_else_does() {
    assert_eq!(read(SOUND).expect("it is right").control.is_needed_for(), None);
    let (gate, _) = ARMED.split_once("[[limit]]").expect("limits");
    assert_eq!(
        read(gate).expect("it is right").control.is_needed_for(),
        Some("subaccounts are to be found at Twilio")
    );
    let gate = gate.replace("subaccounts = true", "");
    assert_eq!(
        read(&gate).expect("it is right").control.is_needed_for(),
        Some("a route takes usage triggers")
    );
}
