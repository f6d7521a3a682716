//! What people read.

use proptest::prelude::*;
use ringfence_breaker::{Action, Measure, Window};
use ringfence_model::{Amount, Encoding, Segments};

use super::super::render::{mail_text, slack_json, sms_text, subject, twiml, webhook_json};
use super::super::*;
use super::fixtures::*;

fn desk() -> Desk {
    Desk { installation: String::new(), config: "/etc/ringfence/ringfence.toml".to_owned() }
}

/// A name that tries to be a header, a link, a command and a tag.
const EVIL: &str =
    "x\r\nBcc: victim@example.com\r\n\r\n<!channel> <a href='http://evil'>&`id`$(id)\u{202e}\u{2028}";

#[test]
fn what_another_machine_said_names_nobody() {
    for (text, told) in [
        ("5.1.1 <ops@example.com>: Recipient address rejected", "5.1.1 … Recipient address rejected"),
        ("Invalid 'To' number +14155550100", "Invalid 'To' number …"),
        ("call 415-555-0100,\r\nor ask", "call … or ask"),
        ("key 0123456789abcdefghij is wrong", "key … is wrong"),
        ("greylisted, try again in 300 s", "greylisted, try again in 300 s"),
    ] {
        assert_eq!(text::said(text), told);
    }
}

#[test]
fn a_mail_says_what_happened_what_was_done_and_what_to_type() {
    let notice = tripped("customer-17", "fifty a day");
    assert_eq!(
        subject(&notice, &desk()),
        "[Ringfence] Critical: customer-17 is being suspended: 54.20 USD reached \"fifty a day\""
    );
    assert_eq!(
        mail_text(&notice, &desk()),
        format!(
            "customer-17 is being suspended: 54.20 USD reached \"fifty a day\".\n\
             \n\
             54.20 USD used in the day 2026-11-26 (GMT). The limit \"fifty a day\" is 50.00\n\
             USD.\n\
             \n\
             Ordered, and repeated until it is so: the suspension; the end of all calls.\n\
             Another notice follows when Twilio confirms it, or if it fails.\n\
             \n\
             It stays so until an operator lifts it.\n\
             \n\
             Account: AC0123456789abcdef0123456789abcdef (customer-17)\n\
             \n\
             To see where every limit stands:\n\
             \n    ringfence status --config /etc/ringfence/ringfence.toml\n\
             \n\
             To lift it:\n\
             \n    ringfence reset \"fifty a day\" --account {SID} --config /etc/ringfence/ringfence.toml --reason \"...\"\n\
             \n\
             Time: 2026-11-26 01:50:42 GMT\n\
             Notice: {}\n",
            notice.id()
        )
    );
}

#[test]
fn every_kind_of_mail_names_the_account_by_sid_and_name() {
    for notice in all("customer-17", "fifty a day") {
        let text = mail_text(&notice, &desk());
        if notice.account().is_some() {
            assert!(text.contains(&format!("{SID} (customer-17)")), "{text}");
        }
        if let Some(limit) = notice.limit() {
            assert!(text.replace('\n', " ").contains(&format!("\"{limit}\"")), "{text}");
        }
        if let Some(usage) = notice.usage() {
            let used = format!("{:.2} USD", usage.used.to_string().parse::<f64>().unwrap());
            let unwrapped = text.replace('\n', " ");
            assert!(unwrapped.contains(&used) && unwrapped.contains("50.00 USD"), "{text}");
        }
        assert!(text.is_ascii(), "nothing but names needs more than ASCII: {text}");
        assert!(text.lines().all(|line| line.starts_with("    ") || line.len() <= 76), "{text}");
    }
}

#[test]
fn a_failed_suspension_says_that_money_may_still_be_spent_and_where_to_do_it_by_hand() {
    let fails = all("customer-17", "fifty a day").remove(5);
    let text = mail_text(&fails, &desk()).replace('\n', " ");
    for said in
        ["FAILS, after 5 tries", "money may still be spent", "refused with HTTP 500.", "Console of Twilio"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn only_a_trip_that_the_next_window_lifts_names_a_time() {
    let text = mail_text(&all("a", "x")[2], &desk()).replace('\n', " ");
    assert!(text.contains("until the next window begins, at 2026-11-27 00:00:00 GMT, or"), "{text}");
    assert!(text.contains("ringfence reset x --config /etc/ringfence/ringfence.toml --reason"), "{text}");
}

#[test]
fn a_limit_of_each_beginning_names_the_numbers_and_the_command_that_lifts_it() {
    let notice = notice(Event::Tripped {
        who: Who::Numbers("+959".parse().unwrap()),
        limit: "x".to_owned(),
        cause: Cause::Usage(usage("54.2")),
        ordered: vec![Action::Notify],
        lifts: Some(at("2026-11-27T00:00:00Z")),
    });
    let text = mail_text(&notice, &desk()).replace('\n', " ");
    assert!(text.starts_with("What goes to +959... is over its limit"), "{text}");
    assert!(text.contains("numbers that begin with +959, whichever account"), "{text}");
    assert!(text.contains("until 2026-11-27 00:00:00 GMT, or until an operator lifts it"), "{text}");
    assert!(text.contains("ringfence reset x --prefix +959 --config"), "{text}");
    assert!(
        text.contains("Nothing is sent there any more") && !text.contains("can still be spent"),
        "{text}"
    );
    assert!(!text.contains("all accounts"), "{text}");
    assert_eq!(webhook_json(&notice, &desk())["data"]["numbers"], "+959");
    assert!(sms_text(&notice, &desk()).contains("+959... TRIPPED"), "{}", sms_text(&notice, &desk()));
}

#[test]
fn what_was_only_asked_for_is_not_told_as_used() {
    let mut notice = tripped("customer-17", "fifty a day");
    if let Event::Tripped { cause, .. } = &mut notice.event {
        *cause = Cause::Usage(Usage { wanted: Some("4.542".parse().unwrap()), ..usage("49.6179") });
    }
    let text = mail_text(&notice, &desk()).replace('\n', " ");
    assert!(
        text.starts_with("customer-17 is being suspended: 4.542 USD more do not fit \"fifty a day\"."),
        "{text}"
    );
    assert!(text.contains("49.6179 USD used in the day"), "{text}");
    assert!(
        text.contains("A request that could have cost 4.542 USD did not fit, and was not sent."),
        "{text}"
    );
    assert!(!text.contains("reached") && !text.contains("54.1"), "{text}");
    assert_eq!(webhook_json(&notice, &desk())["data"]["usage"]["wanted"], "4.542");
}

#[test]
fn a_share_is_told_in_words_and_never_as_money() {
    let share = Usage {
        measure: Measure::Conversion,
        window: Window::Rolling { seconds: 3_600 },
        used: "3.29".parse().unwrap(),
        trips_at: Amount::from_units(20),
        judged: Some(120),
        ..usage("0")
    };
    let who = Who::Numbers("+959".parse().unwrap());
    let (limit, cause) = ("codes".to_owned(), Cause::Usage(share.clone()));
    let tripped =
        Event::Tripped { who: who.clone(), limit: limit.clone(), cause, ordered: vec![], lifts: None };
    let would = Event::WouldTrip { who, limit, usage: share, would: vec![] };
    for (event, first) in
        [(tripped, "What goes to +959... is closed"), (would, "What goes to +959... would have been closed")]
    {
        let notice = notice(event);
        let text = mail_text(&notice, &desk()).replace('\n', " ");
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("only 3.2 % of 120 codes were entered"), "{text}");
        assert!(text.contains("The limit \"codes\" is at least 20 %"), "{text}");
        assert!(text.contains("in 1 hour,"), "{text}");
        assert!(!text.contains("USD") && !text.contains("ordered"), "{text}");
        let sms = sms_text(&notice, &desk());
        assert!(sms.contains("only 3.2 % of 120 codes were entered"), "{sms}");
        let json = webhook_json(&notice, &desk());
        assert_eq!(
            (&json["data"]["usage"]["judged"], &json["data"]["usage"]["used"]),
            (&120.into(), &"3.29".into())
        );
    }
}

#[test]
fn what_an_operator_holds_is_let_go_by_a_command_and_no_limit_is_named() {
    for number in [5, 6] {
        let mut notice = all("customer-17", "x").remove(number);
        if let Event::ActionFails { limit, .. } | Event::ActiveAgain { limit, .. } = &mut notice.event {
            limit.clear();
        }
        let text = mail_text(&notice, &desk()).replace('\n', " ");
        assert!(text.contains("An operator ") && !text.contains("\"\""), "{text}");
        let resume =
            format!("ringfence account resume {SID} --config /etc/ringfence/ringfence.toml --reason");
        assert_eq!(text.contains(&resume), number == 6, "{text}");
    }
}

#[test]
fn a_name_is_neither_a_header_nor_a_line_of_its_own() {
    for notice in all(EVIL, EVIL) {
        let subject = subject(&notice, &desk());
        assert!(
            subject.chars().all(|it| !it.is_control() && it != '\u{202e}' && it != '\u{2028}'),
            "{subject:?}"
        );
        let text = mail_text(&notice, &desk());
        assert!(
            !text.contains('\r') && !text.lines().any(|line| line.trim_start().starts_with("Bcc")),
            "{text}"
        );
    }
}

#[test]
fn a_command_with_a_strange_name_is_one_that_a_shell_takes_as_it_is_meant() {
    let text = mail_text(&tripped("a", "it's $(reboot) \"now\""), &desk());
    assert!(text.contains(r#" 'it'\''s $(reboot) "now"' --account AC01"#), "{text}");
}

#[test]
fn an_account_without_a_name_is_known_by_its_sid() {
    let notice = tripped(" \n ", "fifty a day");
    assert!(subject(&notice, &desk()).contains(&format!("{SID} is being suspended")));
    assert!(mail_text(&notice, &desk()).contains(&format!("Account: {SID}\n")));
}

#[test]
fn installations_can_be_told_apart() {
    let desk = Desk { installation: "production".to_owned(), ..Desk::default() };
    let test = notice(Event::Test { by: "user ana".to_owned() });
    assert_eq!(subject(&test, &desk), "[Ringfence production] This is a test");
    assert_eq!(sms_text(&test, &desk), "Ringfence production: this is a test.");
}

#[test]
fn amounts_are_written_with_what_they_are_counted_in() {
    let mut minutes = usage("120.5");
    minutes.measure = Measure::Usage;
    minutes.unit = "minutes".to_owned();
    minutes.category = "calls".to_owned();
    minutes.window = Window::Monthly;
    minutes.trips_at = Amount::from_units(120);
    let event = Event::Warning { who: who("a"), limit: "x".to_owned(), usage: minutes, level: 80 };
    let text = mail_text(&notice(event), &desk()).replace('\n', " ");
    assert!(text.contains("120.5 minutes of calls used in the month 2026-11 (GMT)."), "{text}");
    assert!(text.contains("When 120 minutes is reached"), "{text}");
}

#[test]
fn a_reason_from_elsewhere_shows_no_number_and_no_token() {
    let mut fails = all("a", "x").remove(5);
    if let Event::ActionFails { why, .. } = &mut fails.event {
        *why = "to +14155550100 with 0123456789abcdef0123456789abcdef".to_owned();
    }
    for text in [
        mail_text(&fails, &desk()),
        webhook_json(&fails, &desk()).to_string(),
        slack_json(&fails, &desk()).to_string(),
    ] {
        assert!(text.contains("to … with …") && !text.contains("5550100"), "{text}");
    }
}

#[test]
fn the_webhook_has_amounts_as_decimal_text_and_names_as_they_are() {
    let body = webhook_json(&tripped("cus\"tomer\n", "fifty a day"), &desk());
    assert_eq!(body["type"], "tripped");
    assert_eq!(body["timestamp"], "2026-11-26T01:50:42Z");
    assert_eq!(body["id"], tripped("", "fifty a day").id());
    let data = &body["data"];
    assert_eq!(data["severity"], "critical");
    assert_eq!(data["account"]["sid"], SID);
    assert_eq!(data["account"]["friendly_name"], "cus\"tomer\n");
    assert_eq!(data["limit"], "fifty a day");
    assert_eq!(data["usage"]["used"], "54.2");
    assert_eq!(data["usage"]["trips_at"], "50");
    assert_eq!(data["usage"]["unit"], "USD");
    assert_eq!(data["usage"]["window"], "daily");
    assert_eq!(data["details"]["ordered"], serde_json::json!(["suspend", "end-calls", "notify"]));
    assert_eq!(data["commands"][1].as_str().unwrap().split(' ').nth(1), Some("reset"));
}

#[test]
fn every_webhook_has_the_same_fields() {
    for notice in all("a", "x") {
        let body = webhook_json(&notice, &desk());
        let mut fields: Vec<_> = body["data"].as_object().unwrap().keys().cloned().collect();
        fields.sort();
        let wanted = [
            "account",
            "commands",
            "details",
            "installation",
            "limit",
            "numbers",
            "severity",
            "summary",
            "text",
            "usage",
        ];
        assert_eq!(fields, wanted, "{body}");
        assert!(body["data"]["details"].is_object(), "{body}");
    }
}

#[test]
fn slack_gets_text_in_which_nobody_can_call_a_channel_or_make_a_link() {
    for notice in all(EVIL, EVIL) {
        let body = slack_json(&notice, &desk());
        assert_eq!(body.as_object().unwrap().len(), 1);
        let text = body["text"].as_str().unwrap();
        assert!(!text.contains(['<', '>']), "{text}");
        let rest = text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        assert!(!rest.contains('&'), "{text}");
    }
    let text = slack_json(&tripped("A & B <c>", "x"), &desk())["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("*[Ringfence] Critical: A &amp; B &lt;c&gt; is being suspended"), "{text}");
}

#[test]
fn a_text_message_says_it_in_one_segment() {
    let said = |index: usize| sms_text(&all("customer-17", "fifty a day")[index], &desk());
    assert_eq!(said(0), "Ringfence: customer-17 at 80% of \"fifty a day\": 41.00 USD of 50.00 USD.");
    assert_eq!(said(1), "Ringfence: customer-17 being suspended: \"fifty a day\", 54.20 USD of 50.00 USD.");
    assert_eq!(said(5), "Ringfence: suspend FAILS for customer-17, 5 tries. Act by hand.");
}

#[test]
fn names_that_gsm7_cannot_write_are_replaced_in_a_text_message() {
    assert_eq!(
        sms_text(&tripped("Ана и друзья", "День"), &desk()),
        "Ringfence: AC..abcdef being suspended: \"a limit\", 54.20 USD of 50.00 USD."
    );
    assert_eq!(
        sms_text(&tripped("Ana’s “Café” – 東", "fifty a day"), &desk()),
        "Ringfence: Ana's \"Café\" - ? being suspended: \"fifty a day\", 54.20 USD of 50.00 USD."
    );
}

#[test]
fn a_call_says_it_twice_in_twiml_that_nothing_breaks_out_of() {
    let text = twiml(&tripped("<Dial>+15550100</Dial> & co", "x"), &desk());
    assert_eq!(text.matches("<Say ").count(), 2, "{text}");
    assert_eq!(text.matches("&lt;Dial&gt;").count(), 2, "{text}");
    assert!(!text.contains("<Dial>"), "{text}");
}

proptest! {
    #[test]
    fn any_names_and_amounts_fit_every_channel(
        name in ".{0,200}", limit in ".{0,200}", unit in ".{0,40}", installation in ".{0,60}",
        used in any::<i64>(), trips_at in any::<i64>(),
    ) {
        let desk = Desk { installation, config: limit.clone() };
        let mut notices = all(&name, &limit);
        for notice in &mut notices {
            if let Event::Warning { usage, .. } | Event::WouldTrip { usage, .. }
                | Event::Tripped { cause: Cause::Usage(usage), .. } = &mut notice.event
            {
                usage.unit.clone_from(&unit);
                (usage.used, usage.trips_at) = (Amount::from_micros(used), Amount::from_micros(trips_at));
            }
            let sms = sms_text(notice, &desk);
            let segments = Segments::of(&sms);
            prop_assert_eq!((segments.encoding, segments.count), (Encoding::Gsm7, 1), "{}", sms);
            let subject = subject(notice, &desk);
            prop_assert!(subject.chars().count() <= 200 && !subject.chars().any(char::is_control));
            let text = mail_text(notice, &desk);
            let is_fit = !text.contains(['\r', '\0', '\u{2028}', '\u{202e}']);
            prop_assert!(is_fit, "{}", text);
            let twiml = twiml(notice, &desk);
            prop_assert!(twiml.chars().count() <= 4000);
            let response = ringfence_twilio::twiml::parse(twiml.as_bytes());
            prop_assert!(response.is_ok(), "{}", twiml);
        }
    }
}
