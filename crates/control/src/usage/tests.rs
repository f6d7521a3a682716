use ringfence_breaker::{Action, Per, Probe, Reset, Scope, Threshold};

use super::*;

fn limit(category: &str, measure: Measure, window: Window) -> Limit {
    Limit {
        name: "limit".to_owned(),
        scope: Scope::Subaccounts,
        per: Per::Account,
        measure,
        category: category.to_owned(),
        window,
        at: Threshold::At(Amount::from_units(50)),
        burst: None,
        unseen: None,
        warn: vec![],
        then: vec![Action::Suspend],
        probe: Probe::Percent(10),
        reset: Reset::Manual,
        enforce: true,
    }
}

fn record(json: &str) -> UsageRecord {
    serde_json::from_str(json).expect("a usage record")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

#[test]
fn one_request_serves_all_limits_of_a_window() {
    let limits = [
        limit("totalprice", Measure::Price, Window::Daily),
        limit("sms", Measure::Count, Window::Daily),
        limit("totalprice", Measure::Price, Window::Monthly),
        limit("totalprice", Measure::Price, Window::Minute),
    ];
    let readings = readings(&limits);
    assert_eq!(
        readings,
        [
            Reading { window: Window::Daily, category: None },
            Reading { window: Window::Monthly, category: Some("totalprice".to_owned()) },
        ]
    );
}

#[test]
fn the_window_before_is_read_for_another_day() {
    let asked = |window, now| {
        let (_, filter) = Reading { window, category: None }.request(at(now), false);
        (filter.start.map(|it| it.to_string()), filter.end.map(|it| it.to_string()))
    };
    let days = |start: &str, end: &str| (Some(start.to_owned()), Some(end.to_owned()));
    assert_eq!(asked(Window::Daily, "2026-03-10T23:59:59Z"), days("2026-03-09", "2026-03-10"));
    assert_eq!(asked(Window::Daily, "2026-03-11T00:00:00Z"), days("2026-03-10", "2026-03-11"));
    assert_eq!(asked(Window::Monthly, "2026-03-01T12:00:00Z"), days("2026-02-01", "2026-03-01"));
    assert_eq!(asked(Window::Monthly, "2026-03-02T12:00:00Z"), days("2026-03-01", "2026-03-02"));
    assert_eq!(asked(Window::Yearly, "2026-01-01T12:00:00Z"), days("2025-01-01", "2026-01-01"));
    assert_eq!(asked(Window::Alltime, "2026-01-01T12:00:00Z"), (None, None));
}

const RECORD: &str = r#"{
    "account_sid": "AC00000000000000000000000000000001", "api_version": "2010-04-01", "as_of": null,
    "category": "sms", "count": "7", "count_unit": "messages", "description": null,
    "start_date": "2026-03-10", "end_date": "2026-03-10", "price": "0.0553", "price_unit": "usd",
    "usage": "9.5", "usage_unit": "segments", "uri": "/"
}"#;

#[test]
fn a_record_says_what_its_measure_asks_for() {
    let record = record(RECORD);
    let of = |measure| used(&limit("sms", measure, Window::Daily), &record).expect("readable").expect("ours");
    let start = at("2026-03-10T00:00:00Z");
    let micros = Amount::from_micros;
    assert_eq!(
        of(Measure::Price),
        Used { at: start, amount: micros(55_300), currency: Some("USD".to_owned()) }
    );
    assert_eq!(of(Measure::Usage), Used { at: start, amount: micros(9_500_000), currency: None });
    assert_eq!(of(Measure::Count), Used { at: start, amount: micros(7_000_000), currency: None });
    assert_eq!(used(&limit("calls", Measure::Count, Window::Daily), &record), Ok(None));
}

#[test]
fn what_did_not_occur_is_nothing_and_what_cannot_be_read_is_said() {
    let nothing = UsageRecord { count: None, usage: Some(String::new()), price: None, ..record(RECORD) };
    for measure in [Measure::Price, Measure::Usage, Measure::Count] {
        let used = used(&limit("sms", measure, Window::Daily), &nothing).expect("readable").expect("ours");
        assert_eq!(used.amount, Amount::ZERO);
    }
    let odd = UsageRecord { count: Some("many".to_owned()), ..record(RECORD) };
    let refused = used(&limit("sms", Measure::Count, Window::Daily), &odd).expect_err("no number");
    assert_eq!(refused.what, "count");
    let timeless = UsageRecord { start_date: None, ..record(RECORD) };
    assert!(used(&limit("sms", Measure::Count, Window::Daily), &timeless).is_err());
    assert!(used(&limit("sms", Measure::Count, Window::Alltime), &timeless).is_ok());
}

#[test]
fn a_sum_keeps_the_last_that_was_heard_of_each_and_refuses_a_mixture() {
    let account = |number| Sid::new(*b"AC", number);
    let spent = |day: &str, units, currency: &str| Used {
        at: at(&format!("2026-03-{day}T00:00:00Z")),
        amount: Amount::from_units(units),
        currency: Some(currency.to_owned()),
    };
    let mut sum = Sum::default();
    let mut add = |number, used: &Used| {
        sum.add(Window::Daily, account(number), used).map(|sum| sum.amount.micros() / 1_000_000)
    };
    assert_eq!(add(1, &spent("10", 20, "USD")), Ok(20));
    assert_eq!(add(2, &spent("10", 15, "USD")), Ok(35));
    // An answer that comes late says less, and changes nothing.
    assert_eq!(add(1, &spent("10", 5, "USD")), Ok(35));
    assert_eq!(add(1, &spent("11", 1, "USD")), Ok(1));
    assert_eq!(add(2, &spent("10", 30, "USD")), Ok(50));
    assert!(add(3, &spent("10", 1, "EUR")).is_err());
}
