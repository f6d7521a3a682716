//! The same event has the same key, and no other has it.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use proptest::prelude::*;
use ringfence_breaker::Action;

use super::super::*;
use super::fixtures::*;

#[test]
fn no_two_events_share_a_key() {
    let notices = all("customer-17", "fifty a day");
    let keys: BTreeSet<_> = notices.iter().map(Notice::key).collect();
    assert_eq!(keys.len(), notices.len());
    let ids: BTreeSet<_> = notices.iter().map(Notice::id).collect();
    assert_eq!(ids.len(), notices.len());
}

#[test]
fn a_warning_is_one_event_however_often_and_late_it_is_found_out() {
    let warning = |used: &str, level| Event::Warning {
        who: who("a"),
        limit: "x".to_owned(),
        usage: usage(used),
        level,
    };
    let first = notice(warning("41", 80));
    let again = Notice { at: first.at + 5.minutes(), event: warning("42.5", 80) };
    assert_eq!(first.key(), again.key());
    assert_ne!(first.key(), notice(warning("46", 90)).key(), "another level is another warning");
    let mut tomorrow = warning("41", 80);
    if let Event::Warning { usage, .. } = &mut tomorrow {
        usage.since += 24.hours();
    }
    assert_ne!(first.key(), notice(tomorrow).key(), "so is one of another window");
}

#[test]
fn a_second_trip_in_one_window_is_another_event() {
    let first = tripped("a", "x");
    let second = Notice { at: first.at + 1.minute(), ..first.clone() };
    assert_ne!(first.key(), second.key());
}

#[test]
fn what_is_found_again_after_one_act_of_somebody_is_one_event() {
    let changed = at("2026-11-26T01:50:40Z");
    let active = |changed| Event::ActiveAgain { account: account("a"), limit: "x".to_owned(), changed };
    let first = notice(active(changed));
    let again = Notice { at: first.at + 1.minute(), event: active(changed) };
    assert_eq!(first.key(), again.key());
    assert_ne!(first.key(), notice(active(changed + 30.seconds())).key());
}

#[test]
fn a_failure_is_told_again_when_it_lasts_and_not_because_its_words_differ() {
    let fails = |tries, why: &str| {
        let (account, limit, why) = (account("a"), "x".to_owned(), why.to_owned());
        let tripped = at("2026-11-26T01:50:40Z");
        notice(Event::ActionFails { account, limit, action: Action::Suspend, tripped, why, tries })
    };
    assert_eq!(fails(5, "500").key(), fails(5, "503").key());
    assert_ne!(fails(5, "500").key(), fails(50, "500").key());
}

#[test]
fn the_friendly_name_is_no_part_of_the_event() {
    assert_eq!(tripped("before", "x").key(), tripped("after", "x").key());
}

#[test]
fn a_notice_comes_back_from_the_outbox_as_it_was() {
    for notice in all("customer-17 \"é\n", "fifty a day") {
        let text = serde_json::to_string(&notice).unwrap();
        assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice, "{text}");
        assert!(text.contains(&format!("\"kind\":\"{}\"", notice.event.kind())), "{text}");
    }
}

#[test]
fn a_notice_of_an_earlier_release_lacks_what_came_later() {
    let mut value = serde_json::to_value(tripped("a", "x")).unwrap();
    assert!(value.as_object_mut().unwrap().remove("lifts").is_some());
    assert_eq!(serde_json::from_value::<Notice>(value).unwrap(), tripped("a", "x"));
}

#[test]
fn severities_are_in_order_and_read_as_they_are_written() {
    assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
        assert_eq!(severity.name().parse(), Ok(severity));
        assert_eq!(serde_json::to_value(severity).unwrap(), severity.name());
    }
    assert_eq!("Critical".parse::<Severity>(), Err(UnknownSeverity));
}

proptest! {
    #[test]
    fn limits_with_any_two_names_have_different_keys_of_printable_ascii(one in ".{0,20}", other in ".{0,20}") {
        let (key, other_key) = (tripped("a", &one).key(), tripped("a", &other).key());
        prop_assert_eq!(one == other, key == other_key);
        prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
