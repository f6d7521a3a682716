//! `[console]`, and what is demanded of its people.

use ringfence_second_factor::policy::{Policy, Strength};

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
        ("minimum_factors = \"strong\"", "it is no strength; write \"any\", \"no-phone\" or"),
        ("minimum_factors = 2", "it is no strength"),
        ("minimum = \"disabled\"\nminimum_factors = \"no-phone\"", "asks for no factor"),
        ("administrators = 1", "it is no policy"),
        ("trust_days = 0", "out of range"),
        ("trust_days = 91", "out of range"),
    ] {
        refused(&format!("{CONSOLE}[second_factor]\n{line}"), expected);
    }
}

#[test]
fn passkeys_are_not_demanded_where_no_browser_makes_one() {
    let demanded = "[second_factor]\nminimum_factors = \"phishing-resistant\"";
    let at = |url: &str| format!("{CONSOLE}[console]\nurl = \"{url}\"\n{demanded}");
    refused(&at("https://192.0.2.7"), "browsers make none for this [console] url");
    let strength = |text: &str| read(text).expect("it is right").control.rules.minimum.strength;
    assert_eq!(strength(&at("https://a.example")), Strength::PhishingResistant);
    assert_eq!(strength(&format!("{CONSOLE}{demanded}")), Strength::PhishingResistant, "at localhost");
    let no_phone = "[second_factor]\nminimum_factors = \"no-phone\"";
    assert_eq!(strength(&format!("{CONSOLE}{no_phone}")), Strength::NoPhone);
    assert_eq!(strength(CONSOLE), Strength::Any);
    let minimum = |text: &str| read(text).expect("it is right").control.rules.minimum.policy;
    assert_eq!(
        minimum(&format!("{CONSOLE}{no_phone}")),
        Policy::OncePerComputer,
        "what is named is asked for"
    );
    assert_eq!(minimum(&format!("{CONSOLE}{no_phone}\nminimum = \"every-sign-in\"")), Policy::EverySignIn);
    let any = "[second_factor]\nminimum_factors = \"any\"\nminimum = \"disabled\"";
    assert_eq!(minimum(&format!("{CONSOLE}{any}")), Policy::Disabled);
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

const BEHIND: &str = "[listen]\nconsole = \"127.0.0.1:8400\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
                      [store]\nurl = \"sqlite:a.db\"\n[console]\nurl = \"https://ringfence.example.com\"\n";

#[test]
fn what_could_protect_no_host_is_refused() {
    let protect = |lines: &str| format!("{BEHIND}[[console.protect]]\n{lines}");
    for (lines, expected) in [
        ("role = \"auditor\"", "has no `host`"),
        ("host = 7", "a text"),
        ("host = \"*.example.com\"", "wildcard; each host has sessions of its own"),
        ("host = \"https://wiki.example.com\"", "is a URL; scheme and path do not belong here"),
        ("host = \"http://wiki.example.com\"", "protected over https only"),
        ("host = \"wiki.example.com:443\"", "which browsers leave out"),
        ("host = \"wiki.example.com:80\"", "the port of http"),
        ("host = \"ringfence.example.com\"", "the console's own host"),
        ("host = \"Ringfence.example.com:8443\"", "the console's own host"),
        ("host = \"a.example\"\naccount = \"SK1\"", "is an API key"),
        ("host = \"a.example\"\nrole = \"admin\"", "is none of its values"),
        ("host = \"a.example\"\nroles = \"owner\"", "did you mean \"role\"?"),
        ("host = \"a.example\"\nproof_key = { file = \"none\" }", "proof_key"),
        ("host = \"a.example\"\n[[console.protect]]\nhost = \"A.example\"", "a.example is there already"),
        (
            "host = \"a.example\"\n[[console.protect]]\nhost = \"a.example:8443\"",
            "is there with another port",
        ),
    ] {
        refused(&protect(lines), expected);
    }
    let one = "[[console.protect]]\nhost = \"a.example\"";
    refused(
        &format!("{CONSOLE}[console]\nurl = \"https://b.example\"\n{one}"),
        "`trusted_proxies` of [listen]",
    );
    let behind = BEHIND.replace("url = \"https://ringfence.example.com\"\n", "");
    refused(&format!("{behind}{one}"), "nothing says where it is");
    refused(&format!("{BEHIND}protect = \"a.example\""), "a list");
}

#[test]
fn protected_hosts_are_for_whoever_looks_at_everything_unless_said_otherwise() {
    use ringfence_model::Sid;
    use ringfence_store::{Role, Where};

    let sid = format!("AC{}", "1".repeat(32));
    let text = format!(
        "{BEHIND}[[console.protect]]\nhost = \"Wiki.example.com\"\n\
         [[console.protect]]\nhost = \"crm.example.com:8443\"\naccount = \"{sid}\"\nrole = \"operator\"\n\
         proof_key = {{ env = \"KEY\" }}"
    );
    let loaded = read(&text).expect("it is right");
    let hosts: Vec<_> = loaded.control.rules.hosts.iter().collect();
    let [wiki, crm] = hosts.as_slice() else { panic!("{hosts:?}") };
    assert_eq!(
        (wiki.host.as_str(), wiki.place, wiki.role),
        ("wiki.example.com", Where::Everywhere, Role::Visitor)
    );
    assert!(wiki.key.is_none() && crm.key.is_some());
    let account = Where::Account(Sid::parse(&sid).expect("a SID"));
    assert_eq!((crm.host.as_str(), crm.place, crm.role), ("crm.example.com:8443", account, Role::Operator));
    assert_eq!(loaded.warnings.len(), 0);
    let here = text.replace("https://ringfence.example.com", "http://localhost:8400");
    assert_eq!(read(&here).expect("it is right").warnings.len(), 1, "only browsers on this machine");
}
