//! `[second_factor]`.

use ringfence_control::notices::Sender;
use ringfence_control::second_factor::{Delivery, Lines};
use ringfence_second_factor::pumping::Cap;
use ringfence_twilio::wire::LineType;

use super::*;

/// A file with all that the section needs, and these lines in it.
fn sending(lines: &str) -> String {
    format!(
        "{SOUND}\n[store]\nurl = \"sqlite:a.db\"\n[second_factor]\naccount = \"AC00000000000000000000000000000000\"\n{lines}"
    )
}

const ENOUGH: &str = "sender = \"+15550006789\"\ncountries = [\"US\", \"GB\"]\n";

#[track_caller]
fn sending_refused(lines: &str, expected: &str) {
    let error = read(&sending(lines)).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[test]
fn what_cannot_send_a_code_is_refused() {
    sending_refused("countries = [\"US\"]", "[second_factor] has no `sender`");
    sending_refused("sender = \"+15550006789\"", "[second_factor] has no `countries`");
    sending_refused(
        "sender = \"+15550006789\"\ncountries = []",
        "no country is allowed, so no code is ever sent",
    );
    sending_refused("sender = \"+15550006789\"\ncountries = [\"UK\"]", "\"UK\" is no country");
    sending_refused("sender = \"a name that is too long\"\ncountries = [\"US\"]", "is no sender of messages");
    for (line, expected) in [
        ("caller = \"5550006789\"", "is no phone number with + and its country"),
        (
            "verify_service = \"VA00000000000000000000000000000001\"",
            "Verify sends by itself with `verify_service`",
        ),
        ("lifetime = \"11m\"", "is longer than a code may be good"),
        ("lifetime = \"59s\"", "is too short to type a code in"),
        ("public_url = \"2fa.example.com\"", "is no URL with http or https"),
        ("public_url = \"https://a@b.example\"", "has a user name in it"),
        ("per_number = []", "without a cap there is no end to what is sent"),
        ("per_number = [\"5 per hour\"]", "is not a number of codes in a time"),
        ("in_total = [\"0 in 1h\"]", "allows none at all"),
        ("in_total = [\"5 in 1s\"]", "has a time that is not from 1m to 31d"),
        ("kept_percent = 41", "41 is out of range; write a whole number from 0 to 40"),
        ("refuse_lines = \"landline\"", "[\"landline\", \"nonFixedVoip\", \"premium\"]"),
        ("refuse_lines = [\"landline\", \"voip\"]", "is no kind of line that Lookup knows"),
        ("refuse_lines = [\"mobile\"]", "mobile phones are what codes go to"),
        ("refuse_lines = []", "is empty; leave it out"),
        ("refuse_lines = [\"landline\"]\nlookup_away = \"allow\"", "write \"send\" or \"refuse\""),
        ("lookup_away = \"refuse\"", "Lookup is not asked without `refuse_lines`"),
    ] {
        sending_refused(&format!("{ENOUGH}{line}"), expected);
    }
    let storeless = sending(ENOUGH).replace("[store]\nurl = \"sqlite:a.db\"\n", "");
    let error = read(&storeless).expect_err("no store").to_string();
    assert!(error.contains("[second_factor] needs a [store]"), "{error}");
    let other = sending(ENOUGH).replacen("account = \"AC0", "account = \"AC1", 1);
    let error = read(&other).expect_err("another account").to_string();
    assert!(error.contains("has no auth token here to send with"), "{error}");
}

#[test]
fn what_is_typed_is_what_is_meant() {
    let settings = |lines: &str| {
        let loaded = read(&sending(lines)).expect(lines);
        assert_eq!(loaded.warnings, []);
        loaded.control.second_factor.expect("it is there")
    };
    let plain = settings(ENOUGH);
    assert_eq!(
        plain.delivery,
        Delivery::Programmable { sender: Sender::Name("+15550006789".to_owned()), caller: None }
    );
    assert_eq!((plain.limits.countries.len(), plain.lifetime.as_secs()), (2, 600));
    assert_eq!(plain.limits.number[0], Cap { most: 5, seconds: 600 });
    assert_eq!(plain.limits.kept_percent, 25);
    assert_eq!(settings(&format!("{ENOUGH}kept_percent = 0\n")).limits.kept_percent, 0);
    assert_eq!(plain.lines, None, "a question costs something");
    let lines =
        |more: &str| settings(&format!("{ENOUGH}refuse_lines = [\"landline\", \"premium\"]\n{more}")).lines;
    let refused = vec![LineType::Landline, LineType::Premium];
    assert_eq!(lines(""), Some(Lines { refused: refused.clone(), send_while_away: true }));
    assert_eq!(lines("lookup_away = \"refuse\"\n"), Some(Lines { refused, send_while_away: false }));
    let other = settings(&format!(
        "{ENOUGH}caller = \"+15550006789\"\nlifetime = \"5m\"\nper_number = [\"3 in 10m\", \"9 in 1d\"]\n\
         public_url = \"https://2fa.example.com/\"\n"
    ));
    assert!(matches!(other.delivery, Delivery::Programmable { caller: Some(_), .. }));
    assert_eq!(other.limits.number, [Cap { most: 3, seconds: 600 }, Cap { most: 9, seconds: 86_400 }]);
    assert_eq!(
        (other.lifetime.as_secs(), other.public_url.as_deref()),
        (300, Some("https://2fa.example.com"))
    );
    let service = settings("verify_service = \"VA00000000000000000000000000000001\"\ncountries = [\"US\"]\n");
    assert!(matches!(service.delivery, Delivery::Verify { .. }));
}

#[test]
fn a_listener_without_anything_to_send_by_is_doubtful() {
    let text = SOUND.replacen("[listen]", "[listen]\nsecond_factor = \"127.0.0.1:1\"", 1);
    let loaded = read(&format!("{text}\n[store]\nurl = \"sqlite:a.db\"\n")).expect("it is right");
    let warnings: Vec<_> = loaded.warnings.iter().map(|warning| warning.text().to_owned()).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("there is no [second_factor], so no code goes out"), "{warnings:?}");
}

#[test]
fn a_limit_that_can_suspend_the_sender_is_doubtful() {
    let limited =
        format!("{ARMED}\n[second_factor]\naccount = \"AC00000000000000000000000000000000\"\n{ENOUGH}");
    let doubts = |text: &str| {
        let loaded = read(text).unwrap_or_else(|error| panic!("{error}"));
        loaded
            .warnings
            .iter()
            .any(|warning| warning.text().contains("can suspend the account that sends the codes"))
    };
    assert!(!doubts(&limited), "a parent is not suspended");
    let child = "[[account]]\nsid = \"AC00000000000000000000000000000009\"\n\
                 parent = \"AC00000000000000000000000000000000\"\nauth_token = { env = \"TOKEN\" }\n";
    let child = format!(
        "{ARMED}\n{child}[second_factor]\naccount = \"AC00000000000000000000000000000009\"\n{ENOUGH}"
    );
    assert!(doubts(&child));
}

#[test]
fn codes_that_no_egress_holds_to_the_limit_on_their_account_are_doubtful() {
    let warns = |scope: &str, listen: &str| {
        let text =
            format!("{ARMED}\n[second_factor]\naccount = \"AC00000000000000000000000000000000\"\n{ENOUGH}");
        let scope = format!("scope = \"{scope}\"\nthen = [\"end-calls\"]");
        let text = text.replace("scope = \"subaccounts\"", &scope);
        let text = text.replacen("[listen]", &format!("[listen]\n{listen}"), 1);
        let loaded = read(&text).unwrap_or_else(|error| panic!("{error}"));
        loaded.warnings.iter().any(|warning| warning.text().contains("codes go out past the limit"))
    };
    assert!(warns("all", ""));
    assert!(warns("parent", ""));
    assert!(!warns("subaccounts", ""), "no limit holds for the account that sends");
    assert!(!warns("all", "egress = \"127.0.0.1:8500\""));
}
