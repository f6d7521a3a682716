//! The configuration as a whole: refusals first, then what is meant, then that its pages tell all of it.

mod console;
mod egress;
mod inspector;
mod limits;
mod listeners;
mod media;
mod notices;
mod odd_values;
mod pages;
mod second_factor;
mod shared_keys;
mod stores;
mod triggers;
mod upstreams;

use std::path::Path;
use std::time::{Duration, SystemTime};

use ringfence_gateway::settings::{Check, Limits, Mode, PathRule, Replay};
use ringfence_signature::Strict;
use tracing::Level;

use super::*;

const PARENT: &str = "AC00000000000000000000000000000000";

/// A sound file; each test changes one thing.
const SOUND: &str = r#"[listen]
gate = "127.0.0.1:8443"

[[account]]
sid = "AC00000000000000000000000000000000"
auth_token = { env = "TOKEN" }

[[route]]
path = "/twilio/"
public_url = "https://hooks.example.com"
upstream = "http://127.0.0.1:3000"
check = "signature"
"#;

/// A sound file with all that limits need; each test changes one thing.
const ARMED: &str = r#"[listen]
gate = "127.0.0.1:8443"

[store]
url = "sqlite:ringfence.db"

[[account]]
sid = "AC00000000000000000000000000000000"
auth_token = { env = "TOKEN" }
subaccounts = true

[[route]]
path = "/triggers"
public_url = "https://hooks.example.com"
upstream = "breaker"
check = "signature"

[[limit]]
name = "fifty"
scope = "subaccounts"
window = "daily"
at = "50"

[[limit]]
name = "in all"
scope = "subaccounts"
per = "together"
window = "daily"
at = "1000"

[notify]
mail = { smtp = "smtp://localhost:25", from = "ringfence@example.com", to = ["ops@example.com"] }
"#;

fn read(text: &str) -> Result<Loaded, ConfigError> {
    let env = |name: &str| match name {
        "TOKEN" | "TWILIO_AUTH_TOKEN" => Some("0123456789abcdef0123456789abcdef".to_owned()),
        "PASSWORD" | "TWILIO_PASSWORD" => Some("correct horse".to_owned()),
        "KEY" => Some("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned()),
        "EMPTY" => Some(String::new()),
        "BLANK" => Some(" \n".to_owned()),
        "PADDED" => Some("0123456789abcdef0123456789abcdef ".to_owned()),
        _ => None,
    };
    let around = Surroundings { folder: Path::new("/nowhere"), env: &env, now: SystemTime::UNIX_EPOCH };
    resolve(text, Path::new("r.toml"), &around)
}

/// The file with one line after `after` is refused with this text, and only this.
#[track_caller]
fn refused(after: &str, line: &str, expected: &str) {
    let text = SOUND.replacen(after, &format!("{after}\n{line}"), 1);
    let error = read(&text).expect_err(line).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{line}:\n{error}\ndoes not say\n{expected}");
}

#[track_caller]
fn route_refused(line: &str, expected: &str) {
    refused("check = \"signature\"", line, expected);
}

/// The file with one text replaced is refused with this one text.
#[track_caller]
fn refused_with(from: &str, to: &str, expected: &str) {
    assert!(SOUND.contains(from), "{from}");
    let error = read(&SOUND.replacen(from, to, 1)).expect_err(to).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{to}:\n{error}\ndoes not say\n{expected}");
}

/// The file with all that limits need, with one text replaced.
#[track_caller]
fn armed(from: &str, to: &str) -> String {
    assert!(ARMED.contains(from), "{from}");
    ARMED.replacen(from, to, 1)
}

/// It is refused with this one text, which may begin with the line.
#[track_caller]
fn armed_refused(from: &str, to: &str, expected: &str) {
    let error = read(&armed(from, to)).expect_err(to).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{to}:\n{error}\ndoes not say\n{expected}");
}

/// It is taken with this one warning.
#[track_caller]
fn armed_warned(from: &str, to: &str, expected: &str) {
    let loaded = read(&armed(from, to)).unwrap_or_else(|error| panic!("{error}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|it| it.in_file(Path::new("r.toml"))).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(expected), "{warnings:?}\ndo not say\n{expected}");
}

#[track_caller]
fn warned(text: &str, expected: &str) {
    let loaded = read(text).expect("the configuration is right");
    let warnings: Vec<_> =
        loaded.warnings.iter().map(|warning| warning.in_file(Path::new("r.toml"))).collect();
    assert!(
        warnings.iter().any(|warning| warning.contains(expected)),
        "{warnings:?}\ndo not say\n{expected}"
    );
}

fn with_route(line: &str) -> String {
    SOUND.replacen("check = \"signature\"", &format!("check = \"signature\"\n{line}"), 1)
}

#[test]
fn an_unknown_key_names_line_key_and_the_nearest_valid_one() {
    let error = read(&SOUND.replace("check =", "chekc =")).expect_err("chekc").to_string();
    assert!(
        error.contains("r.toml:12: unknown key \"chekc\" in [[route]]; did you mean \"check\"?"),
        "{error}"
    );
    refused(
        "[listen]",
        "gatte = \"127.0.0.1:1\"",
        "r.toml:2: unknown key \"gatte\" in [listen]; did you mean \"gate\"?",
    );
    refused("[listen]", "timeout = \"14s\"", "unknown key \"timeout\" in [listen]; it belongs in [[route]]");
    refused(
        "[listen]",
        "colour = 1",
        "unknown key \"colour\" in [listen]; it may have: gate, forward_auth, admin",
    );
    refused_with(
        "[listen]",
        "[[routes]]\n[listen]",
        "unknown key \"routes\" in the file; did you mean \"route\"?",
    );
}

#[test]
fn a_file_that_is_no_toml_names_the_line() {
    let error = read("[listen]\ngate = \n").expect_err("no value").to_string();
    assert!(error.starts_with("r.toml:2: this is not TOML: "), "{error}");
    let error =
        read("[listen]\ngate = \"127.0.0.1:1\"\ngate = \"127.0.0.1:1\"\n").expect_err("twice").to_string();
    assert!(error.starts_with("r.toml:3: `gate` is there twice; remove one of them"), "{error}");
    let error = read(&format!("{SOUND}\n[listen]\n")).expect_err("twice").to_string();
    assert!(error.starts_with("r.toml:14: `listen` is there twice"), "{error}");
}

#[test]
fn a_problem_is_on_the_line_of_its_first_byte() {
    let problems = Problems::new("a\n\nbc\n");
    let lines: Vec<_> = (0..8).map(|offset| problems.line(offset)).collect();
    assert_eq!(lines, [1, 1, 2, 3, 3, 3, 4, 4]);
}

#[test]
fn all_problems_come_at_once_in_the_order_of_their_lines() {
    let text = SOUND.replace("8443", "x").replace("/twilio/", "twilio").replace("\"signature\"", "\"none\"");
    let error = read(&text).expect_err("three mistakes");
    let lines: Vec<_> = error.problems().iter().map(Problem::line).collect();
    assert_eq!(lines, [Some(2), Some(9), Some(12)], "{error}");
}

#[test]
fn a_route_without_a_check_is_refused_and_told_the_three() {
    let error = read(&SOUND.replace("check = \"signature\"\n", "")).expect_err("no check").to_string();
    assert!(
        error.contains("[[route]] has no `check`; write \"signature\", \"basic\" or \"signature+basic\""),
        "{error}"
    );
    for word in ["none", "", "off", "Signature"] {
        refused_with("\"signature\"", &format!("\"{word}\""), "is none of its values");
    }
    refused_with("\"signature\"", "false", "this is true or false, not a text");
}

#[test]
fn a_check_and_its_users_must_fit_together() {
    route_refused("basic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]", "asks for no password");
    refused_with("\"signature\"", "\"basic\"", "there are no users");
    refused_with("\"signature\"", "\"signature+basic\"", "there are no users");
    let basic = "\"basic\"\nbasic = [{ user = \"a\", password = { env = \"PASSWORD\" } }]";
    for key in ["accounts = \"any\"", "strict = \"refuse\"", "replay = \"off\"", "resign_url = \"http://a\""]
    {
        refused_with(
            "\"signature\"",
            &format!("{basic}\n{key}"),
            "verifies no signature, so it would have no effect",
        );
    }
    let no_account =
        SOUND.replace("sid = \"AC00000000000000000000000000000000\"\nauth_token = { env = \"TOKEN\" }", "");
    let error = read(&no_account.replace("[[account]]", "")).expect_err("no account").to_string();
    assert!(error.contains("there is no account whose keys could"), "{error}");
}

#[test]
fn a_user_needs_a_name_and_one_password() {
    let users = |users: &str| format!("\"signature+basic\"\nbasic = {users}");
    let refused = |list: &str, expected: &str| refused_with("\"signature\"", &users(list), expected);
    refused("[]", "the list is empty");
    refused("[{ password = { env = \"PASSWORD\" } }]", "has no `user`");
    refused("[{ user = \"a\" }]", "one of `password` and `password_sha256`");
    refused("[{ user = \"a:b\", password = { env = \"PASSWORD\" } }]", "contains a colon");
    refused("[{ user = \"\", password = { env = \"PASSWORD\" } }]", "empty name");
    refused("[{ user = \"a\", password = { env = \"EMPTY\" } }]", "the secret is empty");
    refused("[{ user = \"a\", password_sha256 = \"abc\" }]", "not 64 hexadecimal digits");
    refused(
        "[{ user = \"a\", pasword = \"b\", password = { env = \"PASSWORD\" } }]",
        "did you mean \"password\"?",
    );
    refused("\"a:b\"", "this is a text, not a list");
}

#[test]
fn values_out_of_range_are_refused_with_the_accepted_form() {
    route_refused("refusal_status = 404", "401");
    route_refused("refusal_status = 402", "401 or 403");
    route_refused("timeout = \"16s\"", "longer than Twilio waits, which is 15s");
    route_refused("timeout = 14", "this is a whole number, not a text");
    route_refused("body_cap = \"65 MiB\"", "too much to hold in memory");
    route_refused("body_cap = \"0 B\"", "lets no body through");
    route_refused("methods = []", "every request would be refused");
    route_refused("methods = [\"post\"]", "not a method in capitals");
    route_refused("methods = [\"CONNECT\"]", "not for webhooks");
    route_refused("proof_key = \"short\"", "has 5 bytes and needs at least 32");
    route_refused("host = \"h.example:443\"", "is not a host name");
    route_refused("accounts = []", "every request would be refused");
    route_refused("accounts = [\"AC11111111111111111111111111111111\"]", "has no keys here");
    route_refused("accounts = \"all\"", "is none of its values");
    route_refused("resign_url = \"nowhere\"", "the URL needs a scheme");
    route_refused("mode = \"shadowed\"", "did you mean \"shadow\"?");
    for (line, expected) in [
        ("drain = \"14s\"", "write a time from \"15s\" to \"10m\""),
        ("head_cap = \"4 KiB\"", "write a size from \"8 KiB\" to \"1 MiB\""),
        ("connections = 0", "write a whole number from 1 to 1000000"),
        ("connections = -1", "out of range"),
        ("in_flight = \"9\"", "this is a text, not a whole number"),
        ("replay_ttl = \"1y\"", "unknown unit"),
    ] {
        let error = read(&format!("{SOUND}\n[limits]\n{line}\n")).expect_err(line).to_string();
        assert!(error.starts_with("r.toml:15: ") && error.contains(expected), "{line}:\n{error}");
    }
}

#[test]
fn paths_and_urls_that_can_match_nothing_are_refused() {
    refused_with("\"/twilio/\"", "\"twilio/\"", "does not begin with /");
    refused_with("\"/twilio/\"", "\"/a?b=c\"", "holds a query or a fragment");
    refused_with("\"/twilio/\"", "\"/a b\"", "percent-encode it");
    refused_with("\"/twilio/\"", "\"\"", "does not begin with /");
    refused_with("https://hooks.example.com", "https://hooks.example.com?a=b", "must not have a query");
    refused_with("https://hooks.example.com", "hooks.example.com", "the URL needs a scheme");
    refused_with("\"http://127.0.0.1:3000\"", "\"ftp://127.0.0.1:3000\"", "begins with http:// or https://");
    refused_with("\"http://127.0.0.1:3000\"", "\"http://127.0.0.1:3000/app\"", "no path");
}

#[test]
fn a_password_in_a_wrong_url_is_not_printed() {
    let text = SOUND.replace("https://hooks.example.com", "https://user:geheim@hooks.example.com?a");
    let error = read(&text).expect_err("a query").to_string();
    assert!(!error.contains("geheim"), "{error}");
}

#[test]
fn two_routes_must_not_take_the_same_requests() {
    let route = SOUND.split("[[route]]").nth(1).expect("a route");
    let second = |change: &str| read(&format!("{SOUND}\n[[route]]{route}{change}\n"));
    let error = second("").expect_err("the same route").to_string();
    assert!(
        error.contains("r.toml:15: `path` in [[route]]: the route of line 8 takes /twilio/ already"),
        "{error}"
    );
    assert!(second("methods = [\"POST\", \"PUT\"]").is_err());
    assert!(second("methods = [\"PUT\"]").is_ok());
    assert!(second("host = \"other.example.com\"").is_ok());
}

#[test]
fn an_account_needs_a_sid_and_a_key_and_is_given_once() {
    refused_with("sid = \"AC", "sid = \"SK", "is an API key, which cannot check webhooks");
    refused_with("sid = \"AC0", "sid = \"AC", "is not an account's SID");
    refused_with("auth_token = { env = \"TOKEN\" }", "", "the account has no key");
    refused("auth_token = { env = \"TOKEN\" }", &format!("parent = \"{PARENT}\""), "not its own parent");
    let twice = format!("{SOUND}\n[[account]]\nsid = \"{PARENT}\"\nauth_token = {{ env = \"TOKEN\" }}\n");
    let error = read(&twice).expect_err("twice").to_string();
    assert!(error.contains("r.toml:15: `sid` in [[account]]: line 4 has this account already"), "{error}");
    let tokens = ["{ env = \"TOKEN\" }"; 8].join(", ");
    refused(
        "auth_token = { env = \"TOKEN\" }",
        &format!("previous_auth_tokens = [{tokens}]"),
        "9 keys, and at most 8",
    );
    refused_with("[[account]]", "[account]", "write [[account]], with two brackets");
}

#[test]
fn a_shared_key_needs_its_algorithm_pinned() {
    let keys = |keys: &str, expected: &str| {
        refused("auth_token = { env = \"TOKEN\" }", &format!("shared_keys = [{keys}]"), expected);
    };
    keys("{ id = \"k\", secret = { env = \"KEY\" } }", "has no `algorithm`");
    keys("{ id = \"k\", secret = { env = \"KEY\" }, algorithm = \"HMAC_MD5\" }", "is none of its values");
    keys(
        "{ id = \"a,b\", secret = { env = \"KEY\" }, algorithm = \"HMAC_SHA1\" }",
        "is not the id of a SharedKey",
    );
    let one = "{ id = \"k\", secret = { env = \"KEY\" }, algorithm = \"HMAC_SHA1\" }";
    keys(&format!("{one}, {one}"), "line 7 has this SharedKey already");
}

#[test]
fn a_secret_that_is_not_there_is_refused() {
    refused_with(
        "{ env = \"TOKEN\" }",
        "{ env = \"NOWHERE\" }",
        "the environment variable NOWHERE is not set",
    );
    refused_with("{ env = \"TOKEN\" }", "{ env = \"EMPTY\" }", "the secret is empty");
    refused_with("{ env = \"TOKEN\" }", "\"\"", "the secret is empty");
    for blank in ["{ env = \"BLANK\" }", "\" \\n\"", "\"\\t\""] {
        refused_with("{ env = \"TOKEN\" }", blank, "nothing but white space");
    }
    refused_with("{ env = \"TOKEN\" }", "{ file = \"/dev/zero\" }", "holds more than 16384 bytes");
    refused_with("{ env = \"TOKEN\" }", "{ file = \"missing\" }", "cannot read /nowhere/missing");
    refused_with("{ env = \"TOKEN\" }", "{ env = \"TOKEN\", file = \"x\" }", "a secret has one source");
    refused_with("{ env = \"TOKEN\" }", "{}", "a secret has one source");
    refused_with("{ env = \"TOKEN\" }", "12345", "this is a whole number, not a secret");
}

#[test]
fn listeners_must_be_there_apart_and_complete() {
    refused_with("gate = \"127.0.0.1:8443\"", "", "[listen] has no address");
    refused_with("\"127.0.0.1:8443\"", "\"localhost:8443\"", "has a name where an IP address must be");
    refused_with("\"127.0.0.1:8443\"", "\"0.0.0.0\"", "has no port");
    refused_with("\"127.0.0.1:8443\"", "\":8443\"", "has no IP address");
    refused("[listen]", "admin = \"127.0.0.1:8443\"", "is the address of `gate` already");
    refused("[listen]", "proxy_protocol = true", "`trusted_proxies` lists none");
    refused("[listen]", "forward_auth = \"127.0.0.1:1\"", "count only from `trusted_proxies`");
    refused(
        "[listen]",
        "trusted_proxies = [\"0.0.0.0/0\"]",
        "would believe forwarded headers from everybody",
    );
    for all in ["\"0.0.0.0/1\", \"128.0.0.0/1\"", "\"2000::/4\", \"3000::/4\"", "\"::/1\", \"8000::/1\""] {
        refused("[listen]", &format!("trusted_proxies = [{all}]"), "these networks together hold everybody");
    }
    refused("[listen]", "trusted_proxies = [\"10.1.2.3/8\"]", "write 10.0.0.0/8");
    refused("[listen]", "trusted_proxies = [\"proxy\"]", "neither an IP address nor a network");
    let error = read("").expect_err("nothing").to_string();
    assert!(error.contains("there is no [listen]"), "{error}");
    let error = read("[listen]\ngate = \"127.0.0.1:1\"\n").expect_err("no route").to_string();
    assert!(error.contains("there is no [[route]]"), "{error}");
}

#[test]
fn tls_is_complete_or_refused() {
    let tls = |lines: &str, expected: &str| {
        let error = read(&format!("{SOUND}\n[tls]\n{lines}\n")).expect_err(lines).to_string();
        assert!(error.contains(expected), "{lines}:\n{error}");
    };
    tls("certificate = \"c.pem\"", "[tls] has no `key`");
    tls("certificate = \"c.pem\"\nkey = \"k.pem\"", "cannot read /nowhere/c.pem");
    tls(
        "acme = { domains = [\"h.example\"], contact = \"a@b.example\" }\nkey = \"k\"",
        "leave one of them out",
    );
    tls("acme = { domains = [], contact = \"a@b.example\" }", "the list is empty");
    tls("acme = { domains = [\"*.h.example\"], contact = \"a@b.example\" }", "is a wildcard");
    tls("acme = { domains = [\"h.example\"] }", "has no `contact`");
    tls("acme = { domains = [\"h.example\"], contact = \"ops\" }", "is not a mail address");
    tls(
        "acme = { domains = [\"h.example\"], contact = \"a@b.example\", directory_url = \"http://ca\" }",
        "https://",
    );
    let no_gate = SOUND.replace("gate =", "admin =");
    let error =
        read(&format!("{no_gate}\n[tls.acme]\ndomains = [\"h.example\"]\ncontact = \"a@b.example\"\n"));
    assert!(error.expect_err("no gate").to_string().contains("gives none of them an address"));
}

#[test]
fn what_works_and_is_risky_is_a_warning() {
    warned(
        &SOUND.replace("127.0.0.1:8443", "0.0.0.0:8443"),
        "r.toml:2: `gate` in [listen]: 0.0.0.0:8443 without [tls]",
    );
    warned(
        &SOUND.replace("{ env = \"TOKEN\" }", "\"0123456789abcdef0123456789abcdef\""),
        "r.toml:6: `auth_token`",
    );
    warned(
        &SOUND.replace("{ env = \"TOKEN\" }", "{ env = \"PASSWORD\" }"),
        "does not look like an auth token",
    );
    warned(&SOUND.replace("//127.0.0.1:3000", "//app.internal:3000"), "without `proof_key`");
    warned(&SOUND.replace("\"/twilio/\"", "\"/twilio/*\""), "a prefix ends with /");
    warned(&SOUND.replace("example.com", "example.com/twilio"), "https://hooks.example.com/twilio/twilio");
    warned(&SOUND.replace("[listen]", "[listen]\nadmin = \"0.0.0.0:9400\""), "without a password");
    let keys = "{ env = \"TOKEN\" }, { env = \"TOKEN\" }, { env = \"TOKEN\" }, { env = \"TOKEN\" }";
    let second = format!(
        "\n[[account]]\nsid = \"AC1{0}\"\nauth_token = {{ env = \"TOKEN\" }}\nprevious_auth_tokens = [{keys}]\n",
        "1".repeat(31)
    );
    let first = with_route(&format!("accounts = [\"{PARENT}\", \"AC1{}\"]", "1".repeat(31)));
    let first = first
        .replace("{ env = \"TOKEN\" }", &format!("{{ env = \"TOKEN\" }}\nprevious_auth_tokens = [{keys}]"));
    warned(&format!("{first}{second}"), "these accounts have 10 keys together");
}

#[test]
fn white_space_around_a_secret_is_a_warning() {
    warned(&SOUND.replace("\"TOKEN\"", "\"PADDED\""), "begins or ends with white space, which is part of it");
}

#[test]
fn an_upstream_that_is_our_own_address_is_refused() {
    for own in ["http://127.0.0.1:8443", "http://localhost:8443"] {
        refused_with("\"http://127.0.0.1:3000\"", &format!("\"{own}\""), "this is `gate` of [listen]");
    }
    let admin = SOUND.replace("[listen]", "[listen]\nadmin = \"127.0.0.1:3000\"");
    let error = read(&admin).expect_err("the admin listener").to_string();
    assert!(error.contains("`upstream` in [[route]]: this is `admin` of [listen]"), "{error}");
}

#[test]
fn networks_that_leave_somebody_out_are_taken() {
    for some in
        ["\"0.0.0.0/1\", \"128.0.0.0/2\"", "\"10.0.0.0/8\", \"fd00::/8\", \"192.0.2.7\"", "\"2000::/4\""]
    {
        let text = SOUND.replace("[listen]", &format!("[listen]\ntrusted_proxies = [{some}]"));
        assert!(read(&text).is_ok(), "{some}");
    }
}

#[test]
fn an_answer_that_forward_auth_cannot_give_again_is_a_warning() {
    let asked = |text: &str| {
        text.replace(
            "[listen]",
            "[listen]\nforward_auth = \"127.0.0.1:1\"\ntrusted_proxies = [\"127.0.0.1\"]",
        )
    };
    warned(&asked(&with_route("replay = \"answer-again\"")), "only \"refuse\" has an effect there");
    for line in ["replay = \"refuse\"", ""] {
        assert_eq!(read(&asked(&with_route(line))).expect("it is right").warnings, []);
    }
    assert_eq!(read(&with_route("replay = \"answer-again\"")).expect("it is right").warnings, []);
}

/// Reading grows with the file, not with its square: a line is found without counting from the beginning.
#[test]
fn twenty_thousand_routes_are_read_in_one_go() {
    let route = SOUND.split_once("[[route]]").expect("a route").1;
    let mut text = SOUND.to_owned();
    for number in 0..20_000 {
        text += "[[route]]";
        text += &route.replace("/twilio/", &format!("/{number}/"));
    }
    let begun = std::time::Instant::now();
    assert_eq!(read(&text).expect("it is right").settings.routes.len(), 20_001);
    // Generous even for a build without optimisation; counting lines anew for each route took minutes there.
    let taken = begun.elapsed();
    assert!(taken < Duration::from_secs(20), "{taken:?}");
}

#[test]
fn a_proxy_that_ends_tls_needs_no_warning() {
    let text = SOUND.replace("127.0.0.1:8443\"", "0.0.0.0:8443\"\ntrusted_proxies = [\"10.0.0.1\"]");
    assert_eq!(read(&text).expect("it is right").warnings, []);
}

#[test]
fn little_is_needed_and_the_rest_has_safe_defaults() {
    let loaded = read(SOUND).expect("it is right");
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.log, Log { format: LogFormat::Text, level: Level::INFO });
    let [route] = loaded.settings.routes.as_slice() else { panic!("one route") };
    assert_eq!(&*route.label, "/twilio/");
    assert_eq!(route.path, PathRule::Prefix("/twilio/".to_owned()));
    assert!(matches!(route.check, Check::Signature));
    assert_eq!((route.mode, route.strict, route.replay), (Mode::Enforce, Strict::Refuse, Replay::Auto));
    assert_eq!((route.refusal_status.as_u16(), route.body_cap), (403, 1 << 20));
    assert_eq!((route.timeout, route.accounts.is_none()), (Duration::from_secs(14), true));
    assert_eq!(loaded.settings.keyring.accounts().count(), 1);
}

#[test]
fn everything_that_was_typed_is_meant() {
    let text = with_route(&format!(
        "host = \"Hooks.Example.com\"\nmethods = [\"POST\"]\nmode = \"shadow\"\nstrict = \"report\"\nreplay = \
         \"refuse\"\nrefusal_status = 401\nbody_cap = \"64 KiB\"\ntimeout = \"500ms\"\naccounts = \
         [\"{PARENT}\"]\nproof_key = {{ env = \"KEY\" }}\nresign_url = \"http://127.0.0.1:3000\"\ntwiml = \"pass\""
    ));
    let text = text.replace("\"/twilio/\"", "\"/sms\"") + "\n[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let loaded = read(&text).expect("it is right");
    assert_eq!(loaded.log, Log { format: LogFormat::Json, level: Level::DEBUG });
    let [route] = loaded.settings.routes.as_slice() else { panic!("one route") };
    assert_eq!(&*route.label, "hooks.example.com/sms");
    assert_eq!(route.path, PathRule::Exact("/sms".to_owned()));
    assert_eq!((route.mode, route.strict, route.replay), (Mode::Shadow, Strict::Report, Replay::Refuse));
    assert_eq!((route.refusal_status.as_u16(), route.body_cap), (401, 64 << 10));
    assert_eq!(route.timeout, Duration::from_millis(500));
    assert_eq!(route.accounts.as_ref().map(Vec::len), Some(1));
    assert!(route.proof.is_some() && route.resign.is_some());
}
