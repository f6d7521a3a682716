//! Prices of instructions, as a function.

use proptest::prelude::*;
use ringfence_breaker::PriceBook;
use ringfence_model::Amount;

use super::{Assignment, of};
use crate::egress::Refusal;
use crate::twiml::price::{Around, Worth};
use crate::twiml::tests::{around, book, total};

fn assignment() -> Assignment {
    Assignment::of(
        Some(r#"{"contact_uri":"+14155550123","skills":["a"]}"#),
        Some(r#"{"call_sid":"CA00000000000000000000000000000001","to":"+14155550100"}"#),
    )
}

fn held(book: &PriceBook) -> Around<'_> {
    Around { passes_foreign: false, ..around(book) }
}

fn read(said: &str) -> Result<Worth, Refusal> {
    let book = book();
    of(said.as_bytes(), &assignment(), &held(&book))
}

/// In tenths: a minute costs one, and no call is longer than four hours.
fn costs(said: &str) -> Amount {
    total(&read(said).unwrap_or_else(|why| panic!("{said}: {why:?}")))
}

#[test]
fn what_leads_elsewhere_is_foreign_whatever_it_costs() {
    for said in [
        r#"{"instruction":"redirect","call_sid":"CA1","url":"https://evil.example/twiml"}"#,
        r#"{"instruction":"redirect","call_sid":"CA1","url":"/twilio/voice"}"#,
        r#"{"instruction":"redirect","call_sid":"CA1","url":"https://evil.example/twiml","accept":"true"}"#,
        r#"{"instruction":"call","to":"+14155550123","url":"https://evil.example/"}"#,
        r#"{"instruction":"conference","wait_url":"http://evil.example/"}"#,
        r#"{"instruction":"conference","wait_url":"//evil.example/","wait_method":"GET"}"#,
    ] {
        let refused = read(said).unwrap_err();
        assert!(matches!(refused, Refusal::ForeignTwiml(_)), "{said}: {refused:?}");
    }
}

#[test]
fn what_is_not_known_or_not_read_in_one_way_alone_is_refused() {
    for said in [
        r#"{"instruction":"dial","to":"+14155550123"}"#,
        r#"{"instruction":7}"#,
        r#"{"Instruction":"call"}"#,
        r#"{"instruction":"call","To":"+14155550123"}"#,
        r#"{"instruction":"call","call_to":"+14155550123"}"#,
        r#"{"instruction":"accept","to":"+14155550123"}"#,
        r#"{"instruction":"conference","supervisor":"WK1"}"#,
        r#"{"\u0069nstruction":"surprise"}"#,
    ] {
        let refused = read(said).unwrap_err();
        assert!(matches!(refused, Refusal::UnknownTwiml(_)), "{said}: {refused:?}");
    }
    for said in [
        r#"{"instruction":"accept","instruction":"call"}"#,
        r#"{"instruction":"call","to":"+14155550123","to":"+447911123456"}"#,
        r#"{"instruction":"call","to":["+14155550123"]}"#,
        r#"{"instruction":"call","url":7}"#,
        "{'instruction':'call'}",
        r#"{"instruction":"call""#,
        r#"[{"instruction":"call"}]"#,
        r#""{\"instruction\":\"call\"}""#,
        "\u{feff}{\"instruction\":\"accept\"}",
        "{\0\"\0i\0",
    ] {
        let refused = read(said).unwrap_err();
        assert!(matches!(refused, Refusal::UnreadableTwiml(_)), "{said}: {refused:?}");
    }
}

#[test]
fn whom_nobody_has_a_price_for_is_not_called() {
    for said in [
        r#"{"instruction":"call","to":"+37120000000"}"#,
        r#"{"instruction":"dequeue","to":"jo"}"#,
        r#"{"instruction":"conference","to":"+37120000000"}"#,
    ] {
        assert!(matches!(read(said).unwrap_err(), Refusal::UnknownPrice(_)), "{said}");
    }
    // Where neither the instruction nor the worker says whom.
    let book = book();
    let nobody = of(br#"{"instruction":"dequeue"}"#, &Assignment::default(), &held(&book));
    assert!(matches!(nobody.unwrap_err(), Refusal::UnknownPrice(_)));
    let none = Around { book: None, ..held(&book) };
    let refused = of(br#"{"instruction":"dequeue"}"#, &assignment(), &none).unwrap_err();
    assert!(matches!(refused, Refusal::NotReady(_)));
}

#[test]
fn every_call_of_an_instruction_costs_the_longest_that_it_may_take() {
    for (said, cost) in [
        (r#"{"instruction":"dequeue"}"#, "24"),
        (
            r#"{"instruction":"dequeue","from":"+14155550100","timeout":"10","post_work_activity_sid":"WA1"}"#,
            "24",
        ),
        (r#"{"instruction":"call","to":"+447911123456","accept":"true"}"#, "24"),
        // A recording takes a hundredth of each minute.
        (r#"{"instruction":"dequeue","record":"record-from-answer"}"#, "26.4"),
        (r#"{"instruction":"dequeue","record":true}"#, "26.4"),
        (r#"{"instruction":"dequeue","record":"do-not-record"}"#, "24"),
        // In a conference are the worker, and whoever waits.
        (r#"{"instruction":"conference","from":"+14155550100"}"#, "28.8"),
        (r#"{"instruction":"conference","record":"true","conference_record":"record-from-start"}"#, "33.6"),
        (r#"{"instruction":"Conference"}"#, "28.8"),
    ] {
        assert_eq!(costs(said), cost.parse().unwrap(), "{said}");
    }
    let worth = read(r#"{"instruction":"dequeue"}"#).unwrap();
    let [step] = worth.steps.as_slice() else { panic!("one call: {worth:?}") };
    assert_eq!((step.to.as_deref(), step.from.as_deref()), (Some("+14155550123"), Some("+14155550100")));
    assert!(worth.changes.is_empty(), "an instruction has no time limit");
}

#[test]
fn a_conference_about_a_task_that_goes_out_calls_the_customer_too() {
    let book = book();
    let outbound = Assignment { customer: Some("+447911123456".to_owned()), ..assignment() };
    let worth = of(br#"{"instruction":"conference"}"#, &outbound, &held(&book)).unwrap();
    let to: Vec<_> = worth.steps.iter().map(|step| step.to.as_deref().unwrap()).collect();
    assert_eq!(to, ["+14155550123", "+447911123456"]);
    assert_eq!(total(&worth), "55.2".parse().unwrap());
    let foreign = Assignment { customer: Some("+37120000000".to_owned()), ..assignment() };
    assert!(of(br#"{"instruction":"conference"}"#, &foreign, &held(&book)).is_err());
    // What only dequeues calls the worker alone.
    let worth = of(br#"{"instruction":"dequeue"}"#, &outbound, &held(&book)).unwrap();
    assert_eq!(worth.steps.len(), 1);
}

#[test]
fn what_is_no_instruction_costs_nothing() {
    for said in [
        "",
        "  ",
        "{}",
        "OK",
        "null",
        r#"{"ok":true}"#,
        r#"{"instruction":"accept"}"#,
        r#" {"instruction":"reject","activity_sid":"WA1"} "#,
    ] {
        assert_eq!(costs(said), Amount::ZERO, "{said}");
    }
    // Nor is what the operator has said to pass.
    let book = book();
    let passes = Around { passes_unknown: true, passes_foreign: true, ..around(&book) };
    for said in [r#"{"instruction":"dial"}"#, r#"{"instruction":"redirect","url":"https://other.example/"}"#]
    {
        assert!(of(said.as_bytes(), &assignment(), &passes).unwrap().steps.is_empty(), "{said}");
    }
}

#[test]
fn attributes_that_say_nothing_name_nobody() {
    for text in ["", "[]", "null", "{\"contact_uri\":7}", "{\"contact_uri\":\"\"}", "{"] {
        assert_eq!(Assignment::of(Some(text), Some(text)), Assignment::default(), "{text}");
    }
    assert_eq!(Assignment::of(None, None), Assignment::default());
}

proptest! {
    /// Whatever an application answers: it is refused, or each call in it has a price.
    #[test]
    fn no_call_is_free(
        instruction in prop::sample::select(vec!["call", "dequeue", "conference", "redirect", "accept", "reject", "x"]),
        to in "[+]?[0-9a-z:@.]{0,14}",
        field in prop::sample::select(vec!["to", "from", "url", "record", "wait_url", "x"]),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let said = serde_json::json!({ "instruction": instruction, field: to }).to_string();
        if let Ok(worth) = read(&said) {
            let calls = matches!(instruction, "call" | "dequeue" | "conference");
            prop_assert_eq!(!worth.steps.is_empty(), calls, "{}", said);
            prop_assert!(worth.steps.iter().all(|step| step.charge.price() > Amount::ZERO));
        }
        let book = book();
        let _ = of(&bytes, &assignment(), &held(&book));
    }
}
