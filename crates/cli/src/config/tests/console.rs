//! `[console]`, and what is demanded of its people.

use ringfence_second_factor::policy::Policy;

use ringfence_gateway::settings::Remember;

use super::*;

const CONSOLE: &str = "[listen]\nconsole = \"127.0.0.1:8400\"\n[store]\nurl = \"sqlite:a.db\"\n";

#[track_caller]
fn refused(lines: &str, expected: &str) {
    let error = read(lines).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[test]
fn what_nobody_could_reach_or_should_is_refused() {
    refused(&format!("{SOUND}\n[console]\nurl = \"https://a.example\""), "[listen] has no `console`");
    for (url, expected) in [
        ("\"a.example\"", "is no URL"),
        ("\"http://a.example\"", "passwords are typed there"),
        ("\"https://a.example/console\"", "only scheme, host and port belong here"),
        ("7", "a text"),
    ] {
        refused(&format!("{CONSOLE}[console]\nurl = {url}"), expected);
    }
    for (line, expected) in [
        ("minimum = \"always\"", "it is no policy; write \"disabled\""),
        ("administrators = 1", "it is no policy"),
        ("trust_days = 0", "out of range"),
        ("trust_days = 91", "out of range"),
    ] {
        refused(&format!("{CONSOLE}[second_factor]\n{line}"), expected);
    }
}

#[test]
fn a_console_alone_has_rules_and_needs_no_account_that_sends() {
    let loaded = read(CONSOLE).expect("it is right");
    let rules = &loaded.control.rules;
    assert_eq!(rules.console_url.as_deref(), Some("http://localhost:8400"));
    assert_eq!((rules.minimum.policy, rules.administrators), (Policy::Disabled, Policy::EverySignIn));
    assert_eq!(rules.trust_for.as_hours(), 30 * 24);
    let text = format!(
        "{CONSOLE}[console]\nurl = \"https://a.example/\"\n[second_factor]\nminimum = \"every-sign-in\"\n\
         administrators = \"once-per-computer\"\ntrust_days = 7"
    );
    let loaded = read(&text).expect("it is right");
    let rules = &loaded.control.rules;
    assert_eq!(rules.console_url.as_deref(), Some("https://a.example"));
    assert_eq!((rules.minimum.policy, rules.administrators), (Policy::EverySignIn, Policy::OncePerComputer));
    assert_eq!(rules.trust_for.as_hours(), 7 * 24);
    assert!(loaded.control.second_factor.is_none());
}

#[test]
fn mail_to_people_is_reason_enough_for_notify() {
    let mail = "[notify]\nmail = { smtp = \"smtp://localhost:25\", from = \"a@example.com\", to = [\"b@example.com\"] }\n";
    let warned = |text: &str| read(text).expect("it is right").warnings.len();
    assert_eq!(warned(&format!("{CONSOLE}{mail}")), 0);
    assert_eq!(warned(&format!("{SOUND}\n[store]\nurl = \"sqlite:a.db\"\n{mail}")), 1);
}

#[test]
fn requests_are_remembered_where_somebody_can_look_at_them_and_bodies_only_where_they_are_wanted() {
    for (value, expected) in
        [("\"all\"", "write \"off\", \"metadata\" or \"redacted-bodies\""), ("1", "not a text")]
    {
        refused(&format!("{CONSOLE}[console]\nrequests = {value}"), expected);
    }
    let remembered = |text: &str| read(text).expect("it is right").settings.remember;
    assert_eq!(remembered(SOUND), Remember::Nothing, "nobody looks");
    assert_eq!(remembered(CONSOLE), Remember::Metadata);
    for (value, expected) in [
        ("off", Remember::Nothing),
        ("metadata", Remember::Metadata),
        ("redacted-bodies", Remember::RedactedBodies),
    ] {
        assert_eq!(remembered(&format!("{CONSOLE}[console]\nrequests = \"{value}\"")), expected);
    }
}
