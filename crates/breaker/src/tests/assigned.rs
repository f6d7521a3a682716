//! Calls that `TaskRouter` makes, which limits count calls, and the words of what has no price.

use ringfence_model::Country;

use super::books::{amount, book, book_with, number};
use super::charges::AMERICAN;
use super::*;
use crate::charge::{AssignedCall, Recipient, Unpriced, categories};
use crate::price_book::{Assumptions, Fee, Rules};

#[test]
fn an_assigned_call_is_priced_for_the_longest_that_a_call_may_be() {
    let call = AssignedCall {
        to: Recipient::parse(AMERICAN),
        from: Some(number("+442071234567")),
        record: false,
        participants: 0,
        conference_record: false,
    };
    let of = |call: AssignedCall, category: &str| {
        call.charge(&book()).expect("a price").amount(Measure::Price, category)
    };
    // Four hours at 0.014, and Voice Insights.
    assert_eq!(of(call, "calls-outbound"), amount("3.36"));
    let insights = Fee::VoiceInsightsMinute.built_in().saturating_mul(240);
    assert_eq!(of(call, "totalprice"), amount("3.36").saturating_add(insights));
    let recording = Fee::RecordingMinute.built_in().saturating_mul(240);
    for (record, conference_record, times) in [(true, false, 1), (false, true, 1), (true, true, 2)] {
        let recorded = AssignedCall { record, conference_record, ..call };
        assert_eq!(of(recorded, "recordings"), recording.saturating_mul(times));
    }
    let conference = AssignedCall { participants: 2, ..call };
    assert_eq!(of(conference, "conference"), Fee::ConferenceMinute.built_in().saturating_mul(480));
    let assumed = Assumptions { voice_insights: false, ..Assumptions::default() };
    let without = book_with(Rules { assumed, ..Rules::default() });
    assert_eq!(call.charge(&without).expect("a price").price(), amount("3.36"));
    let nobody = AssignedCall { to: Recipient::parse("nobody"), ..call };
    assert_eq!(nobody.charge(&book()), Err(Unpriced::Recipient));
}

#[test]
fn a_limit_counts_calls_where_its_category_is_one_of_calls_themselves() {
    for category in
        ["calls", "calls-outbound", "calls-inbound-local", "pstnconnectivity-inbound", "calls-client"]
    {
        assert!(categories::counts_calls(category), "{category}");
    }
    for category in ["recordings", "sms", "sms-inbound", "conference", "mms-inbound-longcode"] {
        assert!(!categories::counts_calls(category), "{category}");
    }
}

#[test]
fn what_has_no_price_says_of_where() {
    let german = Unpriced::Segment(Country::parse("DE").ok());
    assert_eq!(german.to_string(), "no price is known of messages to DE");
    assert_eq!(Unpriced::Minute(None).to_string(), "no price is known of calls to numbers of no country");
    assert_eq!(Fee::MmsUs.to_string(), "mms-us");
}
