//! `[egress]`, and where it listens.

use ringfence_breaker::price_book::Unknown;
use ringfence_breaker::{Action, Per, Reset, Sign, Threshold, Unseen, Window};
use ringfence_gateway::settings::Twiml;

use super::*;

const EGRESS: &str = "[listen]\negress = \"127.0.0.1:8500\"\n[store]\nurl = \"sqlite:a.db\"\n[[account]]\n\
                      sid = \"AC00000000000000000000000000000000\"\nauth_token = { env = \"TOKEN\" }\n";

#[track_caller]
fn refused(lines: &str, expected: &str) {
    let error = read(lines).expect_err(lines).to_string();
    assert_eq!(error.lines().count(), 1, "one mistake is told once:\n{error}");
    assert!(error.contains(expected), "{lines}:\n{error}\ndoes not say\n{expected}");
}

#[test]
fn an_egress_that_could_let_nothing_out_or_in_clear_is_refused() {
    refused(&format!("{SOUND}\n[egress]\ntimeout = \"5s\""), "[listen] has no `egress`");
    refused(&EGRESS.replace("[store]\nurl = \"sqlite:a.db\"\n", ""), "there is no [store]");
    refused(
        &EGRESS.replace("127.0.0.1", "0.0.0.0"),
        "without [tls]: passwords and codes would travel in clear",
    );
    let led_here = SOUND.replace("[listen]", "[listen]\negress = \"127.0.0.1:3000\"");
    let led_here = format!("{led_here}[store]\nurl = \"sqlite:a.db\"\n");
    refused(&led_here, "this is `egress` of [listen], our own address");
    let without = EGRESS.split("[[account]]").next().unwrap();
    refused(without, "no account has an auth token");
    refused(&EGRESS.replace("TOKEN", "UNSET"), "the environment variable UNSET is not set");
}

#[test]
fn what_would_be_no_limit_at_all_is_refused() {
    for (line, expected) in [
        ("unknown_operations = \"allow\"", "is none of its values"),
        ("unknown_operations = true", "a text"),
        ("unknown_price = \"0\"", "nothing is free that nobody knows the price of"),
        ("unknown_price = \"-1\"", "nothing is free"),
        ("unknown_price = \"cheap\"", "is no amount"),
        ("foreign_twiml = \"\"", "is none of its values"),
        ("call_time = \"10s\"", "is too short"),
        ("call_time = \"25h\"", "is too long"),
        ("call_time = \"5h\"", "is longer than `call_time_max`"),
        ("call_time_max = \"5m\"", "is longer than `call_time_max`"),
        ("timeout = \"1h\"", "is too long"),
    ] {
        refused(&format!("{EGRESS}[egress]\n{line}"), expected);
    }
}

#[test]
fn prices_that_the_operator_knows_better_are_in_the_book() {
    let lines = "[egress]\nprices = [{ of = \"carrier-sms-us\", price = \"0.003\" }, \
                 { of = \"segment\", to = \"GB\", price = \"0.04\" }, { of = \"segment\", to = \"+4477\", price = \"0.05\" }, \
                 { of = \"minute\", price = \"0.9\" }]";
    let prices = read(&format!("{EGRESS}{lines}")).unwrap().control.prices.unwrap();
    let fees: Vec<_> =
        prices.overrides.fees.iter().map(|(fee, price)| (fee.name(), price.to_string())).collect();
    assert_eq!(fees, [("carrier-sms-us", "0.003".to_owned())]);
    let kinds: Vec<_> =
        prices.overrides.destinations.iter().map(|it| (it.kind.name(), it.price.to_string())).collect();
    assert_eq!(
        kinds,
        [("segment", "0.04".to_owned()), ("segment", "0.05".to_owned()), ("minute", "0.9".to_owned())]
    );
    for (entry, expected) in [
        ("{ of = \"carrier\", price = \"1\" }", "is not the name of a price"),
        ("{ of = \"segment\", price = \"-1\" }", "is less than 0"),
        ("{ of = \"segment\", price = \"cheap\" }", "is no amount"),
        ("{ of = \"segment\", to = \"gb\", price = \"1\" }", "is no country of two capital letters"),
        ("{ of = \"segment\", to = \"+0\", price = \"1\" }", "is not the beginning of a number"),
        ("{ of = \"mms-us\", to = \"US\", price = \"1\" }", "remove `to`"),
        ("{ of = \"mms-us\", price = \"1\" }, { of = \"mms-us\", price = \"2\" }", "is there twice"),
        ("{ price = \"1\" }", "`of`"),
        ("{ of = \"mms-us\" }", "`price`"),
        ("\"mms-us\"", "a list such as"),
    ] {
        refused(&format!("{EGRESS}[egress]\nprices = [{entry}]"), expected);
    }
}

#[test]
fn a_destination_that_costs_nothing_is_taken_with_a_warning() {
    let told = |entry: &str| {
        let loaded = read(&format!("{EGRESS}[egress]\nprices = [{entry}]")).unwrap();
        loaded.warnings.iter().filter(|it| it.text().contains("passes every limit of money")).count()
    };
    assert_eq!(told("{ of = \"segment\", to = \"GB\", price = \"0\" }"), 1);
    assert_eq!(told("{ of = \"segment\", to = \"GB\", price = \"0.04\" }"), 0);
    assert_eq!(told("{ of = \"carrier-fee\", to = \"GB\", price = \"0\" }"), 0);
    assert_eq!(told("{ of = \"carrier-sms-us\", price = \"0\" }"), 0);
}

#[test]
fn an_egress_without_a_word_refuses_what_it_does_not_know() {
    let loaded = read(EGRESS).unwrap();
    let egress = loaded.settings.egress.unwrap();
    assert!(
        !egress.passes_unknown_operations && !egress.passes_foreign_twiml && !egress.passes_unknown_twiml
    );
    assert_eq!((egress.accounts.len(), egress.timeout), (1, Duration::from_secs(30)));
    let prices = loaded.control.prices.unwrap();
    assert_eq!((prices.unknown, prices.assumed.call_seconds), (Unknown::Refuse, 600));
    let told: Vec<_> = loaded.warnings.iter().map(|warning| warning.text()).collect();
    assert!(told.iter().any(|text| text.contains("there is no [[limit]]")), "{told:?}");
}

#[test]
fn what_is_passed_is_passed_with_a_warning() {
    let lines = "[egress]\nunknown_operations = \"pass\"\nforeign_twiml = \"pass\"\nunknown_twiml = \"pass\"\n\
                 unknown_price = \"0.50\"\ncall_time = \"1h\"\ncall_time_max = \"2h\"\ntimeout = \"5s\"";
    let loaded = read(&format!("{EGRESS}{lines}")).unwrap();
    let egress = loaded.settings.egress.unwrap();
    assert!(egress.passes_unknown_operations && egress.passes_foreign_twiml && egress.passes_unknown_twiml);
    let prices = loaded.control.prices.unwrap();
    assert_eq!(prices.unknown, Unknown::Costs("0.5".parse().unwrap()));
    assert_eq!((prices.assumed.call_seconds, prices.assumed.call_seconds_at_most), (3600, 7200));
    let passed = loaded.warnings.iter().filter(|warning| warning.text().contains("with \"pass\""));
    assert_eq!(passed.count(), 3);
}

#[test]
fn an_authority_that_somebody_broke_is_refused_and_one_that_is_not_there_yet_is_made_later() {
    let folder = tempfile::tempdir().unwrap();
    let lines = format!("{EGRESS}[egress]\nca_folder = {:?}", folder.path());
    let loaded = read(&lines).unwrap();
    assert!(loaded.settings.egress.unwrap().authority.is_none());
    assert_eq!(loaded.control.ca_folder.as_deref(), Some(folder.path()));
    std::fs::write(folder.path().join("ca.pem"), "no certificate").unwrap();
    refused(&lines, "its authority cannot be used");
    std::fs::write(folder.path().join("ca.key"), "no key").unwrap();
    refused(&lines, "remove ca.pem and ca.key there");
    refused(&format!("{EGRESS}[egress]\nca_folder = \"\""), "is empty");
}

/// A file with an egress and a route that is held to the limits.
fn held(line: &str) -> String {
    SOUND.replacen("[listen]", "[listen]\negress = \"127.0.0.1:8500\"", 1).replacen(
        "check = \"signature\"",
        &format!("check = \"signature\"\ntwiml = \"limits\"\n{line}"),
        1,
    ) + "\n[store]\nurl = \"sqlite:a.db\"\n"
}

#[test]
fn a_route_whose_answers_could_not_be_held_to_the_limits_is_refused() {
    route_refused("twiml = \"limits\"", "[listen] has no `egress`");
    route_refused("twiml = \"limit\"", "is none of its values");
    refused(&held("mode = \"shadow\""), "there is no answer to hold");
    let basic = held("").replacen(
        "check = \"signature\"",
        "check = \"basic\"\nbasic = [{ user = \"a\", password = { env = \"KEY\" } }]",
        1,
    );
    refused(&basic, "only a signature proves which account pays");
}

#[test]
fn a_route_is_held_to_the_limits_where_it_says_so() {
    let loaded = read(&held("")).unwrap();
    assert_eq!(loaded.settings.routes[0].twiml, Twiml::Limits);
    assert_eq!(read(SOUND).unwrap().settings.routes[0].twiml, Twiml::Pass);
    let asked = held("").replacen(
        "[listen]",
        "[listen]\nforward_auth = \"127.0.0.1:8501\"\ntrusted_proxies = [\"127.0.0.1\"]",
        1,
    );
    let told = read(&asked).unwrap();
    assert!(
        told.warnings.iter().any(|it| it.text().contains("past every limit")),
        "{:?}",
        told.warnings.len()
    );
}

const TELLS: &str =
    "[notify]\nwebhook = { url = \"https://ops.example.com/\", secret = { env = \"KEY\" } }\n";

fn share(lines: &str) -> String {
    format!("{EGRESS}{TELLS}[[limit]]\nname = \"a\"\nscope = \"all\"\n{lines}")
}

#[test]
fn a_limit_of_a_share_that_says_what_it_cannot_mean_is_refused() {
    let sound = "measure = \"delivery\"\nwindow = \"rolling 1h\"\nat = \"20%\"\n";
    for (line, expected) in [
        ("category = \"sms\"", "means nothing for a share"),
        ("warn = [80]", "means nothing for a share"),
        ("probe = \"10%\"", "means nothing for a share"),
        ("burst = \"5\"", "means nothing for a share"),
        ("unseen = \"30d\"", "means nothing for a share"),
        ("least = 0", "0 is out of range; write a whole number from 1 to 1000000"),
        ("settle = \"30s\"", "is too short or too long"),
        ("settle = \"13h\"", "is too short or too long"),
        ("settle = \"soon\"", "is no time that can be read"),
        ("per = \"account\"", "a share is judged for each beginning of a number"),
        ("then = [\"close-geo\"]", "it closes the beginning of the numbers and tells people"),
    ] {
        refused(&share(&format!("{sound}{line}")), expected);
    }
    for (from, to, expected) in [
        ("20%", "20", "has no per cent sign"),
        ("20%", "0%", "is not from 1% to 99%"),
        ("20%", "100%", "is not from 1% to 99%"),
        ("20%", "2.5%", "is not a whole number of per cents"),
        ("rolling 1h", "daily", "write window = \"rolling 1h\""),
        ("rolling 1h", "rolling 25h", "from a minute to a day"),
        ("rolling 1h", "rolling 90s", "in whole minutes"),
        ("measure = \"delivery\"\n", "", "\"20%\" is not a number"),
    ] {
        refused(&share(&sound.replace(from, to)), expected);
    }
    refused(
        &share("window = \"hour\"\nper = \"prefix\"\nat = \"2\"\nleast = 3"),
        "means nothing for an amount",
    );
    refused(
        &share(sound).replace("\"all\"", "{ tenant = \"shop\" }"),
        "what came of traffic is counted by account",
    );
    refused(&share(sound).replace(TELLS, ""), "write then = []");
}

#[test]
fn a_limit_of_a_share_is_read() {
    let limit =
        |lines: &str| read(&share(lines)).unwrap_or_else(|error| panic!("{error}")).control.limits.remove(0);
    let usual = limit("measure = \"conversion\"\nwindow = \"rolling 1h\"\nat = \"20%\"\n");
    assert_eq!(usual.at, Threshold::Share(Sign { percent: 20, least: 20, settle: 600 }));
    assert_eq!((usual.per, usual.window), (Per::Prefix, Window::Rolling { seconds: 3_600 }));
    assert_eq!((usual.then, usual.reset, usual.warn.len()), (vec![Action::Notify], Reset::Manual, 0));
    let other = limit(
        "measure = \"delivery\"\nwindow = \"rolling 1d\"\nat = \"5%\"\nleast = 100\nsettle = \"1h\"\nthen = []\n\
         reset = \"next window\"\nenforce = false\n",
    );
    assert_eq!(other.at, Threshold::Share(Sign { percent: 5, least: 100, settle: 3_600 }));
    assert_eq!((other.then.len(), other.reset, other.enforce), (0, Reset::NextWindow, false));
}

#[test]
fn an_even_flow_and_a_limit_of_unknown_places_are_read() {
    let limit = |lines: &str| {
        let text = format!(
            "{EGRESS}[[limit]]\nname = \"a\"\nscope = \"all\"\nper = \"prefix\"\nat = \"2.50\"\n{lines}"
        );
        read(&text).unwrap_or_else(|error| panic!("{error}")).control.limits.remove(0)
    };
    let flow = limit("window = \"gcra 1h\"\nburst = \"0.40\"");
    assert_eq!(flow.window, Window::Gcra { seconds: 3_600 });
    assert_eq!(flow.burst, Some("0.4".parse().unwrap()));
    assert_eq!((flow.then.len(), flow.warn.len(), flow.reset, flow.unseen), (0, 0, Reset::NextWindow, None));
    assert_eq!(limit("window = \"gcra 90s\"").burst, None);
    let unseen = limit("window = \"gcra 1d\"\nunseen = \"30d\"").unseen;
    assert_eq!(unseen, Some(Unseen { within: 30 * 86_400, known_after: 3 * 86_400 }));
    let unseen = limit("window = \"hour\"\nunseen = \"7d\"\nknown_after = \"12h\"").unseen;
    assert_eq!(unseen, Some(Unseen { within: 7 * 86_400, known_after: 12 * 3_600 }));
}
