//! Where two answers meet: the last moment of the one and the first of the other.

use jiff::SignedDuration;
use proptest::prelude::*;
use ringfence_model::PhoneNumber;

use super::*;
use crate::{CLOCK_BACK, DialPrefix, Ledger, Verdict, Why};

const NOON: &str = "2026-03-05T12:00:00Z";

#[test]
fn a_clock_that_is_set_back_as_far_as_a_right_one_may_be_moves_nothing() {
    let ahead = at(NOON) + CLOCK_BACK;
    let rolling = Limit { window: Window::Rolling { seconds: 3_600 }, then: vec![], ..fifty_a_day() };
    let mut ledger = Ledger::new(&rolling, ahead);
    ledger.settle(Amount::ZERO, dollars(20), ahead);
    ledger.roll(at(NOON));
    ledger.roll(at("2026-03-05T13:01:59Z"));
    assert_eq!(ledger.settled, dollars(20), "it counts for an hour from when it was settled");
    ledger.roll(at("2026-03-05T13:02:00Z"));
    assert_eq!(ledger.settled, Amount::ZERO);

    let minute = Limit { window: Window::Minute, then: vec![], ..fifty_a_day() };
    let mut ledger = Ledger::new(&minute, ahead);
    ledger.roll(at(NOON));
    assert_eq!(ledger.window, ahead);
    ledger.roll(at(NOON) - SignedDuration::from_micros(1));
    assert_eq!(ledger.window, at("2026-03-05T11:59:00Z"), "further back, it has been wrong");
}

#[test]
fn turning_back_within_a_window_forgets_nothing_nor_does_one_that_twilio_does_not_count() {
    let later = at(NOON) + SignedDuration::from_hours(3);
    for window in [Window::Daily, Window::Hour, Window::Rolling { seconds: 600 }] {
        let limit = Limit { window, ..fifty_a_day() };
        let mut ledger = Ledger::new(&limit, later);
        ledger.settle(Amount::ZERO, dollars(20), later);
        let before = ledger.clone();
        ledger.turn_back(at(NOON));
        assert_eq!(ledger, before, "{window:?}");
    }
}

#[test]
fn what_may_come_back_is_told_from_what_is_spent() {
    let limit = Limit { window: Window::Hour, then: vec![], ..fifty_a_day() };
    let mut ledger = Ledger::new(&limit, at(NOON));
    let decide = |ledger: &Ledger, units| ledger.decide(&limit, None, dollars(units), "", at(NOON));
    ledger.settle(Amount::ZERO, dollars(40), at(NOON));
    ledger.reserve(dollars(5));
    assert_eq!(decide(&ledger, 5), Verdict::Fits);
    assert_eq!(decide(&ledger, 6), Verdict::Refuse(Why::OpenOnly));
    assert_eq!(decide(&ledger, 10), Verdict::Refuse(Why::OpenOnly));
    assert_eq!(decide(&ledger, 11), Verdict::Refuse(Why::DoesNotFit), "whatever comes back of what is open");
    // What is billed beside a price, and Twilio has not told yet.
    ledger.release(dollars(5));
    ledger.unsure = dollars(5);
    assert_eq!(decide(&ledger, 6), Verdict::Refuse(Why::OpenOnly));
    ledger.adjusted = dollars(5);
    assert_eq!(decide(&ledger, 6), Verdict::Refuse(Why::DoesNotFit), "Twilio has told it");
}

#[test]
fn what_costs_nothing_takes_no_place() {
    let limit = Limit { window: Window::Gcra { seconds: 3_600 }, then: vec![], ..fifty_a_day() };
    let mut ledger = Ledger::new(&limit, at(NOON));
    assert_eq!(ledger.reserve(Amount::ZERO).place, None);
    assert!(ledger.reserve(dollars(1)).place.is_some());
}

#[test]
fn what_was_admitted_before_the_flow_takes_only_what_it_cost_beyond_its_worst() {
    let hour = Limit { window: Window::Hour, then: vec![], ..fifty_a_day() };
    let flow = Limit { window: Window::Gcra { seconds: 3_600 }, ..hour.clone() };
    for (spent, taken) in [(4, 0), (5, 0), (8, 3)] {
        let mut ledger = Ledger::new(&hour, at(NOON));
        let open = ledger.reserve(dollars(5));
        ledger.follow(&flow, at(NOON));
        ledger.settle(open, dollars(spent), at(NOON));
        assert_eq!((ledger.taken(), ledger.reserved), (dollars(taken), Amount::ZERO), "{spent}");
    }
}

#[test]
fn each_slice_of_a_rolling_window_leaves_it_in_its_own_time() {
    let rolling = Limit { window: Window::Rolling { seconds: 3_600 }, then: vec![], ..fifty_a_day() };
    let mut ledger = Ledger::new(&rolling, at(NOON));
    for (time, spent) in [("12:00:00", 1), ("12:00:59", 2), ("12:30:00", 4), ("12:30:30", 8)] {
        ledger.settle(Amount::ZERO, dollars(spent), at(&format!("2026-03-05T{time}Z")));
    }
    for (time, left) in [("13:00:59", 15), ("13:01:00", 12), ("13:30:59", 12), ("13:31:00", 0)] {
        ledger.roll(at(&format!("2026-03-05T{time}Z")));
        assert_eq!(ledger.settled, dollars(left), "{time}");
    }
}

#[test]
fn twilios_figure_says_nothing_of_a_window_that_it_does_not_count() {
    let mut ledger = Ledger::new(&Limit { window: Window::Hour, ..fifty_a_day() }, at(NOON));
    let before = ledger.clone();
    ledger.book(at(NOON), dollars(40), "one", at(NOON));
    assert_eq!(ledger, before);
}

#[test]
fn marks_are_a_minute_apart_and_only_where_something_was_settled_between() {
    let limit = fifty_a_day();
    let mut ledger = Ledger::new(&limit, at(NOON));
    let mut book = |second: i64, settles: i64| {
        let now = at(NOON) + SignedDuration::from_secs(second);
        ledger.settle(Amount::ZERO, dollars(settles), now);
        ledger.book(now, dollars(0), "one", now);
        ledger.marks.len()
    };
    let marks = [(0, 1), (59, 1), (60, 0), (119, 1), (120, 0), (400, 0)].map(|(second, it)| book(second, it));
    assert_eq!(marks, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn after_the_memory_was_lost_all_that_twilio_counts_may_be_ours() {
    let limit = fifty_a_day();
    let mut ledger = Ledger::new(&limit, at(NOON));
    ledger.reserve(dollars(20));
    let mut known = ledger.clone();
    known.book(at(NOON), dollars(25), "one", at(NOON));
    assert_eq!(known.taken(), dollars(25), "what is open hides what Twilio counts");
    ledger.book_lost(at(NOON), dollars(25), "one", at(NOON));
    assert_eq!(ledger.taken(), dollars(45), "both may have been spent");
    // Of another day, a figure says nothing.
    let mut other = Ledger::new(&limit, at(NOON));
    other.book_lost(at("2026-03-04T12:00:00Z"), dollars(25), "one", at(NOON));
    assert_eq!(other, Ledger::new(&limit, at(NOON)));
}

proptest! {
    /// A breaker that somebody trips at a beginning stops every number that begins so, or it is not tripped there.
    #[test]
    fn every_number_that_begins_so_is_counted_where_its_beginning_is(begins in "[1-9][0-9]{0,6}", more in "[0-9]{7,8}") {
        let beginning: DialPrefix = format!("+{begins}").parse().expect("a prefix");
        let counted = DialPrefix::of(PhoneNumber::parse(&format!("+{begins}{more}")).expect("a number"));
        if let Some(one) = beginning.counted() {
            prop_assert_eq!(counted, one);
            prop_assert_eq!(one.counted(), Some(one), "it can be named");
        }
        prop_assert_eq!(counted.counted(), Some(counted), "where a number is counted can be named");
    }
}
