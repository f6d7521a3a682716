//! `[[limit]]`, and what limits need of the rest of the file.

use ringfence_breaker::{Action, Measure, NamePattern, Per, Probe, Reset, Scope, Threshold, Window};
use ringfence_model::{Amount, Sid};

use super::*;

const CHILD: &str = "AC11111111111111111111111111111111";

/// The first limit, with lines added or one line replaced.
fn first(from: &str, to: &str) -> ringfence_breaker::Limit {
    let loaded = read(&armed(from, to)).unwrap_or_else(|error| panic!("{error}"));
    loaded.control.limits[0].clone()
}

#[test]
fn an_amount_is_a_plain_positive_number_in_quotes() {
    for (at, expected) in [
        ("\"-50\"", "r.toml:22: `at` in [[limit]]: the limit must be more than 0, not -50"),
        ("\"0\"", "r.toml:22: `at` in [[limit]]: the limit must be more than 0, not 0"),
        ("\"0.0\"", "must be more than 0"),
        (
            "\"+\"",
            "r.toml:22: `at` in [[limit]]: \"+\" has no number after the plus; write an amount in quotes",
        ),
        ("\"+-5\"", "has two signs"),
        ("\"++5\"", "has two signs"),
        ("\"+5\"", "it needs window = \"alltime\"; write \"5\""),
        ("\"$50\"", "has a currency sign, and an amount is in the account's own currency; write an amount"),
        ("\"50 USD\"", "has letters, and an amount is a plain number in the account's own currency"),
        ("\"5 0\"", "has white space in it"),
        ("\"50USD\"", "has letters"),
        ("\"1e3\"", "has letters"),
        ("\"1,000\"", "has a comma: decimals come after a point"),
        ("\"0,5\"", "has a comma"),
        ("\" 50\"", "has white space in it"),
        ("\"\"", "is empty"),
        ("\".\"", "is not a number"),
        ("\"-\"", "is not a number"),
        ("\"5.0.0\"", "is not a number"),
        ("\"٥\"", "is not a number"),
        ("\"0.0000001\"", "is finer than a millionth"),
        ("\"99999999999999\"", "is too large to be counted"),
        ("50", "r.toml:22: `at` in [[limit]]: this is a whole number, not a text; write an amount in quotes"),
        ("0.5", "this is a number with a fraction, not a text"),
    ] {
        armed_refused("at = \"50\"", &format!("at = {at}"), expected);
    }
}

#[test]
fn what_must_be_there_is_asked_for_and_the_rest_has_defaults() {
    for (line, expected) in [
        ("name = \"fifty\"", "r.toml:18: [[limit]] has no `name`; write a name such as"),
        ("scope = \"subaccounts\"", "r.toml:18: [[limit]] has no `scope`; write an account's SID"),
        ("window = \"daily\"", "r.toml:18: [[limit]] has no `window`; write \"daily\", \"monthly\""),
        ("at = \"50\"", "r.toml:18: [[limit]] has no `at`; write an amount in quotes"),
    ] {
        armed_refused(line, "", expected);
    }
    armed_refused(
        "[[limit]]\nname = \"fifty\"",
        "[[limit]]\nat_ = \"1\"\nname = \"fifty\"",
        "did you mean \"at\"?",
    );
    let loaded = read(ARMED).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let limit = &loaded.control.limits[0];
    assert_eq!((limit.per, limit.measure), (Per::Account, Measure::Price));
    assert_eq!((limit.category.as_str(), limit.warn.as_slice()), ("totalprice", &[80][..]));
    assert_eq!(limit.then, [Action::Suspend, Action::Notify]);
    assert_eq!((limit.probe, limit.reset, limit.enforce), (Probe::Percent(10), Reset::Manual, true));
    assert_eq!(limit.at, Threshold::At(Amount::from_units(50)));
}

#[test]
fn everything_that_was_typed_of_a_limit_is_meant() {
    let limit = first(
        "window = \"daily\"\nat = \"50\"",
        "per = \"account\"\nmeasure = \"count\"\ncategory = \"sms-outbound\"\nwindow = \"alltime\"\nat = \"+50\"\n\
         warn = [90, 50, 90]\nthen = [\"notify\", \"end-calls\"]\nprobe = \"5\"\nenforce = false",
    );
    assert_eq!((limit.per, limit.measure, limit.window), (Per::Account, Measure::Count, Window::Alltime));
    assert_eq!(first("at = \"50\"", "at = \"50\"\nper = \"together\"").per, Per::Together);
    assert_eq!((limit.category.as_str(), limit.warn.as_slice()), ("sms-outbound", &[50, 90][..]));
    assert_eq!(limit.at, Threshold::More(Amount::from_units(50)));
    assert_eq!(limit.then, [Action::Notify, Action::EndCalls]);
    assert_eq!((limit.probe, limit.enforce), (Probe::Amount(Amount::from_units(5)), false));
    let together = "per = \"together\"\nwindow = \"alltime\"\nat = \"+50\"";
    assert_eq!(
        first("window = \"daily\"\nat = \"50\"", together).at,
        Threshold::More(Amount::from_units(50))
    );
    assert_eq!(first("at = \"50\"", "at = \"50\"\nreset = \"next window\"").reset, Reset::NextWindow);
    for (text, window) in
        [("monthly", Window::Monthly), ("yearly", Window::Yearly), ("alltime", Window::Alltime)]
    {
        assert_eq!(first("window = \"daily\"", &format!("window = \"{text}\"")).window, window);
    }
}

#[test]
fn a_name_is_unique_and_can_be_seen() {
    let long = "x".repeat(61);
    for (name, expected) in [
        ("", "is empty"),
        (" fifty", "begins or ends with white space"),
        (long.as_str(), "has 61 characters"),
        ("a\\tb", "cannot be seen"),
        ("a\\u202eb", "cannot be seen"),
        ("a\\u200bb", "cannot be seen"),
    ] {
        armed_refused("name = \"fifty\"", &format!("name = \"{name}\""), expected);
    }
    armed_refused(
        "name = \"in all\"",
        "name = \"fifty\"",
        "r.toml:25: `name` in [[limit]]: the limit of line 18 has this name already; write another",
    );
    assert_eq!(first("name = \"fifty\"", "name = \"Fünfzig am Tag\"").name, "Fünfzig am Tag");
}

#[test]
fn a_limit_that_repeats_another_is_refused() {
    armed_refused(
        "per = \"together\"\nwindow = \"daily\"\nat = \"1000\"",
        "window = \"daily\"\nat = \"50.00\"",
        "r.toml:24: [[limit]] repeats the limit of line 18 word for word",
    );
}

#[test]
fn a_scope_is_one_of_a_few_words_an_account_or_a_pattern() {
    let scope = |text: &str, expected: &str| {
        armed_refused("scope = \"subaccounts\"", &format!("scope = {text}"), expected);
    };
    scope(
        "\"subacounts\"",
        "r.toml:20: `scope` in [[limit]]: \"subacounts\" is no scope; did you mean \"subaccounts\"?",
    );
    scope("\"everything\"", "is no scope; write an account's SID");
    scope("\"tenant\"", "names nobody yet");
    scope("\"AC1\"", "is not an account's SID");
    scope("\"SK00000000000000000000000000000000\"", "is no scope");
    scope("7", "this is a whole number, not a scope");
    scope("{ nmae = \"a\", name = \"b\" }", "did you mean \"name\"?");
    scope("{ name = \"\" }", "is empty, and no subaccount is named so");
    scope("{ tenant = \"a\", name = \"b\" }", "a scope is one thing, and `name` is there too");
    scope("{ tenant = \" \" }", "is empty");
    scope("{ credential = \"SK1\" }", "write the SID of a credential");
    scope("{ destination = [] }", "is empty; write a list of what numbers begin with");
    scope("{ destination = [\"95\"] }", "is no beginning of a number");
    armed_warned("scope = \"subaccounts\"", "scope = { name = \"*\" }", "this is every subaccount");
    for (text, expected) in [
        ("\"new-subaccounts\"", Scope::NewSubaccounts),
        ("{ name = \"customer-*\" }", Scope::Name(NamePattern::new("customer-*"))),
        (&format!("\"{CHILD}\""), Scope::Account(Sid::parse(CHILD).expect("a SID"))),
    ] {
        assert_eq!(first("scope = \"subaccounts\"", &format!("scope = {text}")).scope, expected);
    }
}

#[test]
fn a_parent_account_is_not_suspended() {
    for scope in ["\"parent\"", "\"all\"", &format!("\"{PARENT}\"")] {
        armed_refused(
            "scope = \"subaccounts\"",
            &format!("scope = {scope}"),
            "r.toml:18: [[limit]] has no `then`; write what is done when it trips",
        );
        armed_refused(
            "scope = \"subaccounts\"",
            &format!("scope = {scope}\nthen = [\"suspend\"]"),
            "r.toml:21: `then` in [[limit]]: Twilio cannot suspend a parent account",
        );
        let limit = first("scope = \"subaccounts\"", &format!("scope = {scope}\nthen = [\"close-geo\"]"));
        assert_eq!(limit.then, [Action::CloseGeo]);
    }
}

#[test]
fn what_only_the_egress_counts_is_refused_where_there_is_none_and_so_are_unknown_windows() {
    for (line, typed) in [
        ("window = \"daily\"", "window = \"minute\""),
        ("window = \"daily\"", "window = \"hour\""),
        ("window = \"daily\"", "window = \"rolling 10m\""),
        ("window = \"daily\"", "window = \"gcra 1h\""),
        ("window = \"daily\"", "window = \"daily\"\nunseen = \"30d\""),
        ("scope = \"subaccounts\"", "scope = { tenant = \"shop\" }"),
        ("scope = \"subaccounts\"", "scope = { destination = [\"+95\", \"+4479\"] }"),
        ("scope = \"subaccounts\"", "scope = \"subaccounts\"\nper = \"prefix\""),
    ] {
        armed_refused(line, typed, "counts what only the egress sees, and there is none");
    }
    for (window, expected) in [
        (
            "dayly",
            "r.toml:21: `window` in [[limit]]: \"dayly\" is none of its values; did you mean \"daily\"?",
        ),
        ("rolling", "has no time that can be read"),
        ("rolling 1s", "is too short or too long"),
        ("rolling 10 parsecs", "has no time that can be read"),
        ("gcra", "has no time that can be read"),
        ("gcra 999ms", "is too short or too long"),
        ("gcra 1500ms", "is too short or too long"),
        ("gcra 366d", "is too short or too long"),
    ] {
        armed_refused("window = \"daily\"", &format!("window = \"{window}\""), expected);
    }
    armed_refused("window = \"daily\"", "window = 1", "not a text");
}

#[test]
fn actions_warnings_and_probes_have_their_forms() {
    for (line, expected) in [
        ("then = \"suspend\"", "this is a text, not a list; write a list such as [\"suspend\", \"notify\"]"),
        (
            "then = [\"suspnd\"]",
            "r.toml:23: `then` in [[limit]]: \"suspnd\" is none of its values; did you mean \"suspend\"?",
        ),
        ("then = [\"notify\", \"notify\"]", "\"notify\" is there twice"),
        ("then = []", "nothing is done when it trips"),
        ("warn = 80", "this is a whole number, not a list"),
        ("warn = [100]", "100 is out of range; write a whole number from 1 to 99"),
        ("warn = [\"80\"]", "this is a text, not a whole number"),
        ("probe = 10", "this is a whole number, not a text; write per cents"),
        ("probe = \"%\"", "is not a whole number of per cents"),
        ("probe = \"1.5%\"", "is not a whole number of per cents"),
        ("probe = \"-5%\"", "is not a whole number of per cents"),
        ("probe = \"0%\"", "a reset must allow something to be spent"),
        ("probe = \"0\"", "a reset must allow something to be spent"),
        ("probe = \"+5\"", "has a plus"),
        ("probe = \"$5\"", "has a currency sign"),
        ("reset = \"auto\"", "is none of its values; write \"manual\" or \"next window\""),
        ("enforce = \"no\"", "not true or false"),
        ("per = \"each\"", "is none of its values; write \"account\", \"together\" or \"prefix\""),
        (
            "measure = \"money\"",
            "is none of its values; write \"price\", \"usage\", \"count\", \"delivery\" or \"conversion\"",
        ),
        ("measure = \"count\"", "Twilio counts nothing in totalprice"),
        ("burst = 5", "this is a whole number, not a text; write an amount in quotes"),
        ("burst = \"$5\"", "has a currency sign"),
        ("burst = \"5\"", "only an even flow has a burst"),
        ("unseen = \"30\"", "has no time that can be read"),
        ("unseen = \"23h\"", "is too short or too long"),
        ("unseen = \"91d\"", "is too long"),
        ("unseen = \"30d\"\nknown_after = \"30m\"", "is too short or too long"),
        ("unseen = \"3d\"\nknown_after = \"3d\"", "is forgotten before it is known"),
        ("known_after = \"3d\"", "means nothing without `unseen`"),
    ] {
        armed_refused("at = \"50\"", &format!("at = \"50\"\n{line}"), expected);
    }
    armed_refused(
        "at = \"50\"",
        "at = \"0.5\"\nmeasure = \"count\"\ncategory = \"sms\"",
        "what is counted is whole, and 0.5 is not",
    );
    armed_refused(
        "window = \"daily\"",
        "window = \"alltime\"\nreset = \"next window\"",
        "r.toml:22: `reset` in [[limit]]: window = \"alltime\" has no next window",
    );
    armed_warned("at = \"50\"", "at = \"50\"\nprobe = \"51\"", "a reset allows more than the limit itself");
    assert_eq!(first("at = \"50\"", "at = \"50\"\nenforce = false\nthen = []").then, []);
}

#[test]
fn a_category_that_is_not_known_is_a_warning_with_the_nearest() {
    for (category, expected) in [
        ("sms-outbund", "did you mean \"sms-outbound\"?"),
        ("total-price", "did you mean \"totalprice\"?"),
        ("SMS", "did you mean \"sms\"?"),
        ("calls_inbound", "did you mean \"calls-inbound\"?"),
        ("quantum-entanglement-minutes", "one that Twilio does not have never trips"),
    ] {
        armed_warned("at = \"50\"", &format!("at = \"50\"\ncategory = \"{category}\""), expected);
        let limit = first("at = \"50\"", &format!("at = \"50\"\ncategory = \"{category}\""));
        assert_eq!(limit.category, category, "it is kept as typed");
    }
    armed_refused("at = \"50\"", "at = \"50\"\ncategory = \"\"", "is empty");
    armed_refused(
        "at = \"50\"",
        "at = \"50\"\ncategory = \"sms outbound\"",
        "has characters that no category has",
    );
}

#[test]
fn limits_need_a_store_credentials_and_accounts() {
    let without = |text: &str, expected: &[&str]| {
        let error = read(text).expect_err("something is missing");
        let problems: Vec<_> = error.problems().iter().map(Problem::text).collect();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.contains(expected), "{problems:#?}\ndo not say\n{expected}");
        }
    };
    without(
        &armed("[store]\nurl = \"sqlite:ringfence.db\"\n", ""),
        &["what is found is kept in the store", "and there is no [store]", "[[limit]] needs a [store]"],
    );
    without(
        &armed("subaccounts = true", ""),
        &["there is no subaccount; add subaccounts = true", "there is no subaccount"],
    );
    without(
        &armed(
            "auth_token = { env = \"TOKEN\" }\nsubaccounts = true",
            "shared_keys = [{ id = \"k\", secret = { env = \"KEY\" }, algorithm = \"HMAC_SHA256\" }]",
        ),
        &["held with the credentials of a parent account, and none is here"],
    );
    armed_refused(
        "auth_token = { env = \"TOKEN\" }\nsubaccounts = true",
        "subaccounts = true\nshared_keys = [{ id = \"k\", secret = { env = \"KEY\" }, algorithm = \"HMAC_SHA256\" }]",
        "subaccounts are found with their parent's auth token",
    );
    armed_refused(
        "subaccounts = true",
        "subaccounts = true\nparent = \"AC22222222222222222222222222222222\"",
        "a subaccount has no subaccounts",
    );
    // Listed subaccounts do as well as found ones, but for those that are not created yet.
    let child = format!(
        "\n[[account]]\nsid = \"{CHILD}\"\nauth_token = {{ env = \"TOKEN\" }}\nparent = \"{PARENT}\"\n"
    );
    let listed = armed("subaccounts = true\n", &child);
    assert!(read(&listed).is_ok());
    without(
        &listed.replacen("scope = \"subaccounts\"", "scope = \"new-subaccounts\"", 1),
        &["new subaccounts are not found by themselves here"],
    );
    let one = |sid: &str| listed.replacen("scope = \"subaccounts\"", &format!("scope = \"{sid}\""), 1);
    assert!(read(&one(CHILD)).is_ok());
    without(
        &one("AC33333333333333333333333333333333"),
        &[
            "AC33333333333333333333333333333333 is no account of this file, and no [[account]] has subaccounts = true",
        ],
    );
    let orphan = one(CHILD)
        .replace(&format!("parent = \"{PARENT}\""), "parent = \"AC22222222222222222222222222222222\"");
    without(&orphan, &["only a parent's credentials suspend", "there is no subaccount"]);
}

#[test]
fn a_notice_needs_somebody_to_tell() {
    let mail = ARMED.split_once("[notify]").expect("notify").1;
    armed_refused(
        &format!("[notify]{mail}"),
        "",
        "r.toml:18: `then` in [[limit]]: \"notify\" tells nobody, as there is no [notify]",
    );
    let nobody =
        ARMED.replace(mail, "").replace("[notify]", "").replace("at = ", "then = [\"suspend\"]\nat = ");
    assert_eq!(read(&nobody).expect("nobody is told, as typed").warnings, []);
    warned(
        &format!("{SOUND}\n[notify]{mail}"),
        "[notify]: there is no [[limit]], so there is nothing to tell",
    );
}

#[test]
fn many_limits_without_one_on_the_sum_are_a_warning_with_the_arithmetic() {
    let sum = "\n[[limit]]\nname = \"in all\"\nscope = \"subaccounts\"\nper = \"together\"\nwindow = \"daily\"\nat = \"1000\"\n";
    armed_warned(
        sum,
        "",
        "r.toml:18: [[limit]] \"fifty\": no limit holds for the sum, and 300 subaccounts at 50 each are 15000 a day",
    );
    armed_warned("per = \"together\"", "enforce = false\nper = \"together\"", "no limit holds for the sum");
    armed_warned(
        "per = \"together\"",
        "per = \"together\"\ncategory = \"sms\"",
        "no limit holds for the sum",
    );
    armed_warned("per = \"together\"", "", "no limit holds for the sum");
    // The same category does, and so does the total price.
    let both = ARMED.replace("at = ", "category = \"sms\"\nat = ");
    assert_eq!(read(&both).expect("it is right").warnings, []);
    assert_eq!(read(&armed("at = ", "category = \"sms\"\nat = ")).expect("it is right").warnings, []);
    assert_eq!(
        read(&armed(sum, "").replace("at = ", "enforce = false\nat = ")).expect("it only watches").warnings,
        []
    );
}

#[test]
fn limits_that_only_the_poller_sees_are_a_warning() {
    armed_warned(
        "upstream = \"breaker\"",
        "upstream = \"http://127.0.0.1:3000\"",
        "r.toml:18: [[limit]]: no [[route]] has upstream = \"breaker\"",
    );
}
